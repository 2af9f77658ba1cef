#include "tools/episodes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "policy/sha256.h"

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

// The number in an episode's file name; one that no name has when there is none.
static int number_of(const char* path, int index) {
  const char* slash = strrchr(path, '/');
  int number = 0;
  if (sscanf(slash == NULL ? path : slash + 1, "episode_%d.mcap", &number) == 1) return number;
  return -1 - index;
}

// The number of the episode that this one is an image of, or its own (see tools/augment.c).
static int group_of(const dpc_episode* episode, const char* path, int index) {
  int number = 0;
  for (int i = 0; i < episode->note_count; ++i) {
    const dpc_note* note = &episode->notes[i];
    if (strcmp(note->key, "mirrored") != 0) continue;
    if (sscanf(note->value, "image of episode %d", &number) == 1) return number;
  }
  return number_of(path, index);
}

static dpc_status begin(dpc_episodes_loader* l, const dpc_episode* episode, dpc_error* error) {
  l->source.interface = episode->interface;
  l->source.obs_dim = dpc_layout_dim(&episode->interface.obs);
  l->source.action_dim = dpc_layout_dim(&episode->interface.action);
  DPC_TRY(dpc_spool_open(&l->obs, error));
  return dpc_spool_open(&l->action, error);
}

// Room for one more episode.
static dpc_status make_room(dpc_episodes_loader* l, dpc_error* error) {
  if (l->source.episode_count < l->capacity) return DPC_OK;
  const int capacity = l->capacity * 2 + 64;
  int* lengths = realloc(l->lengths, sizeof *lengths * (size_t)capacity);
  if (lengths != NULL) l->lengths = lengths;
  int* groups = realloc(l->groups, sizeof *groups * (size_t)capacity);
  if (groups != NULL) l->groups = groups;
  if (lengths == NULL || groups == NULL) {
    return dpc_fail(error, DPC_ERR_NO_MEMORY, "no memory for %d episodes", capacity);
  }
  l->capacity = capacity;
  return DPC_OK;
}

dpc_status dpc_episodes_add(dpc_episodes_loader* l, const dpc_episode* episode, const char* name,
                            dpc_error* error) {
  dpc_episode_source* source = &l->source;
  const int index = source->episode_count;
  if (index == 0) DPC_TRY(begin(l, episode, error));
  const dpc_status status = same_interface(&source->interface, &episode->interface, error);
  if (status != DPC_OK) return dpc_fail_prefix(error, status, "%s: ", name);
  const size_t length = (size_t)episode->length;
  DPC_TRY(make_room(l, error));
  DPC_TRY(dpc_spool_add(&l->obs, episode->obs, length * (size_t)source->obs_dim, error));
  DPC_TRY(dpc_spool_add(&l->action, episode->action, length * (size_t)source->action_dim, error));
  l->lengths[index] = episode->length;
  l->groups[index] = group_of(episode, name, index);
  source->episode_count = index + 1;
  return DPC_OK;
}

static dpc_status add_all(dpc_episodes_loader* l, const dpc_episode_log* log, dpc_error* error) {
  for (int i = 0; i < dpc_episode_log_count(log); ++i) {
    dpc_episode episode = {0};
    DPC_TRY(dpc_episode_read(log, i, &episode, error));
    const dpc_status status = dpc_episodes_add(l, &episode, dpc_episode_log_path(log, i), error);
    dpc_episode_free(&episode);
    DPC_TRY(status);
  }
  return DPC_OK;
}

static size_t count_rows(const dpc_episode_source* source) {
  size_t rows = 0;
  for (int i = 0; i < source->episode_count; ++i) rows += (size_t)source->lengths[i];
  return rows;
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

static void hash_source(dpc_episode_source* source) {
  const size_t rows = count_rows(source);
  dpc_sha256 hash;
  dpc_sha256_start(&hash);
  hash_layout(&hash, &source->interface.obs);
  hash_layout(&hash, &source->interface.action);
  dpc_sha256_add(&hash, &source->interface.period_ns, sizeof source->interface.period_ns);
  dpc_sha256_add(&hash, source->lengths, sizeof(int) * (size_t)source->episode_count);
  dpc_sha256_add(&hash, source->obs, sizeof(float) * rows * (size_t)source->obs_dim);
  dpc_sha256_add(&hash, source->action, sizeof(float) * rows * (size_t)source->action_dim);
  dpc_sha256_finish(&hash, source->sha256);
}

static void unmap(const float* values, size_t rows, int dim) {
  if (values != NULL) (void)munmap((void*)values, sizeof(float) * rows * (size_t)dim);
}

void dpc_episodes_free(dpc_episode_source* source) {
  const size_t rows = count_rows(source);
  unmap(source->obs, rows, source->obs_dim);
  unmap(source->action, rows, source->action_dim);
  free((void*)source->lengths);
  free((void*)source->groups);
  *source = (dpc_episode_source){0};
}

void dpc_episodes_drop(dpc_episodes_loader* l) {
  dpc_spool_close(&l->obs);
  dpc_spool_close(&l->action);
  free(l->lengths);
  free(l->groups);
  *l = (dpc_episodes_loader){0};
}

dpc_status dpc_episodes_take(dpc_episodes_loader* l, dpc_episode_source* source, dpc_error* error) {
  dpc_episode_source made = l->source;
  made.lengths = l->lengths;
  made.groups = l->groups;
  l->lengths = l->groups = NULL;  // the source's now
  dpc_status status = dpc_spool_map(&l->obs, &made.obs, error);
  if (status == DPC_OK) status = dpc_spool_map(&l->action, &made.action, error);
  dpc_episodes_drop(l);
  if (status != DPC_OK) {
    dpc_episodes_free(&made);
    return status;
  }
  hash_source(&made);
  *source = made;
  return DPC_OK;
}

dpc_status dpc_episodes_load(const char* path, dpc_episode_source* source, dpc_error* error) {
  dpc_episodes_loader l = {.capacity = 0};
  dpc_episode_log* log = NULL;
  DPC_TRY(dpc_episode_log_open(path, &log, error));
  const dpc_status status = add_all(&l, log, error);
  dpc_episode_log_close(log);
  if (status == DPC_OK) return dpc_episodes_take(&l, source, error);
  dpc_episodes_drop(&l);
  return status;
}
