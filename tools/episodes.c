#include "tools/episodes.h"

#include <stdlib.h>
#include <string.h>

#include "policy/sha256.h"
#include "proto/episode_log.h"

// --- arrays that grow -----------------------------------------------------------------------------

typedef struct loader {
  dpc_episode_source* source;
  int* lengths;
  float* obs;
  float* action;
  size_t rows, capacity;  // rows held, and rows there is room for
} loader;

static bool grow_array(float** array, size_t rows, int dim) {
  float* grown = realloc(*array, rows * (size_t)dim * sizeof(float));
  if (grown == NULL) return false;
  *array = grown;
  return true;
}

static dpc_status make_room(loader* l, size_t rows, dpc_error* error) {
  if (l->rows + rows <= l->capacity) return DPC_OK;
  const size_t capacity = (l->rows + rows) * 2;
  if (!grow_array(&l->obs, capacity, l->source->obs_dim) ||
      !grow_array(&l->action, capacity, l->source->action_dim)) {
    return dpc_fail(error, DPC_ERR_NO_MEMORY, "no memory for %zu steps", capacity);
  }
  l->capacity = capacity;
  return DPC_OK;
}

// --- one interface for all --------------------------------------------------------------------------

static dpc_status same_layout(const char* what, const dpc_layout* first, const dpc_layout* other,
                              dpc_error* error) {
  if (first->count != other->count) {
    return dpc_fail(error, DPC_ERR_MISMATCH, "%d %s signals, the first episode has %d",
                    other->count, what, first->count);
  }
  for (int i = 0; i < first->count; ++i) {
    const dpc_signal *a = &first->signals[i], *b = &other->signals[i];
    if (strcmp(a->name, b->name) == 0 && a->dim == b->dim && strcmp(a->unit, b->unit) == 0 &&
        strcmp(a->tracks, b->tracks) == 0) {
      continue;
    }
    return dpc_fail(error, DPC_ERR_MISMATCH,
                    "%s signal %d is %s(%d) in '%s', the first episode has %s(%d) in '%s'", what, i,
                    b->name, b->dim, b->unit, a->name, a->dim, a->unit);
  }
  return DPC_OK;
}

static dpc_status same_interface(const dpc_interface* first, const dpc_interface* other,
                                 dpc_error* error) {
  DPC_TRY(same_layout("observation", &first->obs, &other->obs, error));
  DPC_TRY(same_layout("action", &first->action, &other->action, error));
  if (first->period_ns == other->period_ns) return DPC_OK;
  return dpc_fail(error, DPC_ERR_MISMATCH, "period is %lld ns, the first episode has %lld",
                  (long long)other->period_ns, (long long)first->period_ns);
}

// --- loading ------------------------------------------------------------------------------------

static dpc_status append_episode(loader* l, int index, const dpc_episode* episode, const char* path,
                                 dpc_error* error) {
  dpc_episode_source* source = l->source;
  if (index == 0) {
    source->interface = episode->interface;
    source->obs_dim = dpc_layout_dim(&episode->interface.obs);
    source->action_dim = dpc_layout_dim(&episode->interface.action);
  }
  const dpc_status status = same_interface(&source->interface, &episode->interface, error);
  if (status != DPC_OK) return dpc_fail_prefix(error, status, "%s: ", path);

  const size_t length = (size_t)episode->length;
  const size_t obs_dim = (size_t)source->obs_dim, action_dim = (size_t)source->action_dim;
  DPC_TRY(make_room(l, length, error));
  DPC_ASSERT(l->obs != NULL && l->action != NULL);
  memcpy(l->obs + l->rows * obs_dim, episode->obs, sizeof(float) * length * obs_dim);
  memcpy(l->action + l->rows * action_dim, episode->action, sizeof(float) * length * action_dim);
  l->lengths[index] = episode->length;
  l->rows += length;
  return DPC_OK;
}

static dpc_status load_all(loader* l, const dpc_episode_log* log, dpc_error* error) {
  const int count = dpc_episode_log_count(log);
  l->lengths = calloc((size_t)count, sizeof *l->lengths);
  if (l->lengths == NULL) return dpc_fail(error, DPC_ERR_NO_MEMORY, "no memory for episodes");
  for (int i = 0; i < count; ++i) {
    dpc_episode episode = {0};
    DPC_TRY(dpc_episode_read(log, i, &episode, error));
    const dpc_status status = append_episode(l, i, &episode, dpc_episode_log_path(log, i), error);
    dpc_episode_free(&episode);
    DPC_TRY(status);
  }
  l->source->episode_count = count;
  return DPC_OK;
}

// --- what identifies a recording ----------------------------------------------------------------

static void hash_layout(dpc_sha256* hash, const dpc_layout* layout) {
  for (int i = 0; i < layout->count; ++i) {
    const dpc_signal* signal = &layout->signals[i];
    dpc_sha256_add(hash, signal->name, strlen(signal->name) + 1);
    dpc_sha256_add(hash, signal->unit, strlen(signal->unit) + 1);
    dpc_sha256_add(hash, &signal->dim, sizeof signal->dim);
  }
  dpc_sha256_add(hash, "", 1);
}

static void hash_source(const loader* l, char text[DPC_SHA256_TEXT]) {
  const dpc_episode_source* source = l->source;
  dpc_sha256 hash;
  dpc_sha256_start(&hash);
  hash_layout(&hash, &source->interface.obs);
  hash_layout(&hash, &source->interface.action);
  dpc_sha256_add(&hash, &source->interface.period_ns, sizeof source->interface.period_ns);
  dpc_sha256_add(&hash, l->lengths, sizeof(int) * (size_t)source->episode_count);
  dpc_sha256_add(&hash, l->obs, sizeof(float) * l->rows * (size_t)source->obs_dim);
  dpc_sha256_add(&hash, l->action, sizeof(float) * l->rows * (size_t)source->action_dim);
  dpc_sha256_finish(&hash, text);
}

dpc_status dpc_episodes_load(const char* path, dpc_episode_source* source, dpc_error* error) {
  dpc_episode_source loaded = {0};
  loader l = {.source = &loaded};
  dpc_episode_log* log = NULL;
  DPC_TRY(dpc_episode_log_open(path, &log, error));
  const dpc_status status = load_all(&l, log, error);
  dpc_episode_log_close(log);
  loaded.lengths = l.lengths;
  loaded.obs = l.obs;
  loaded.action = l.action;
  if (status != DPC_OK) {
    dpc_episodes_free(&loaded);
    return status;
  }
  hash_source(&l, loaded.sha256);
  *source = loaded;
  return DPC_OK;
}

void dpc_episodes_free(dpc_episode_source* source) {
  free((void*)source->lengths);
  free((void*)source->obs);
  free((void*)source->action);
  *source = (dpc_episode_source){0};
}
