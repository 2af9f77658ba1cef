#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "dpc.pb-c.h"
#include "proto/episode_log.h"
#include "proto/mcap.h"

enum { ROWS_FIRST = 256 };

/// An episode while its messages come in.
typedef struct reading {
  const char* path;
  dpc_mcap_reader* mcap;
  dpc_arena scratch;  // for one message
  dpc_message* message;
  bool greeted;  // the Hello is there
  int obs_dim, action_dim;
  int observations, commands;  // so far
  bool ended;                  // by an observation without values
  dpc_episode episode;         // its length is how much room there is; reward and done still belong
                               // to the observation of their row
} reading;

// --- messages -----------------------------------------------------------------------------------

/// The index of the first value that is not finite, or -1. Only called to explain a refusal.
static int find_not_finite(dpc_message_kind kind, const dpc_mcap_message* m) {
  int found = -1;
  if (kind == DPC_MESSAGE_OBSERVATION) {
    Dpc__Observation* o = dpc__observation__unpack(NULL, m->size, m->data);
    for (size_t i = 0; o != NULL && found < 0 && i < o->n_values; i++) {
      if (!isfinite(o->values[i])) found = (int)i;
    }
    if (o != NULL) dpc__observation__free_unpacked(o, NULL);
  } else if (kind == DPC_MESSAGE_COMMAND) {
    Dpc__Command* c = dpc__command__unpack(NULL, m->size, m->data);
    for (size_t i = 0; c != NULL && found < 0 && i < c->n_values; i++) {
      if (!isfinite(c->values[i])) found = (int)i;
    }
    if (c != NULL) dpc__command__free_unpacked(c, NULL);
  }
  return found;
}

/// Say file and step of what cannot be decoded, and the signal where a value is not finite.
static dpc_status explain(const reading* r, dpc_message_kind kind, const dpc_mcap_message* m,
                          dpc_status status, dpc_error* error) {
  const bool command = kind == DPC_MESSAGE_COMMAND;
  const int step = command ? r->commands : r->observations;
  int index = status == DPC_ERR_INVALID ? find_not_finite(kind, m) : -1;
  const dpc_layout* layout = command ? &r->episode.interface.action : &r->episode.interface.obs;
  for (int s = 0; index >= 0 && s < layout->count; s++) {
    if (index < layout->signals[s].dim) {
      return dpc_fail(error, status, "%s: step %d: %s '%s[%d]' is not finite", r->path, step,
                      command ? "action" : "observation", layout->signals[s].name, index);
    }
    index -= layout->signals[s].dim;
  }
  return kind == DPC_MESSAGE_HELLO ? dpc_fail_prefix(error, status, "%s: ", r->path)
                                   : dpc_fail_prefix(error, status, "%s: step %d: ", r->path, step);
}

static dpc_status decode(reading* r, dpc_message_kind kind, const dpc_mcap_message* m,
                         dpc_error* error) {
  dpc_arena_release(&r->scratch, 0);
  const dpc_status status =
      dpc_wire_decode_bare(kind, m->data, m->size, -1, &r->scratch, r->message, error);
  return status == DPC_OK ? DPC_OK : explain(r, kind, m, status, error);
}

static dpc_status misplaced(const reading* r, const char* what, dpc_error* error) {
  return dpc_fail(error, DPC_ERR_FORMAT, "%s: at step %d: %s", r->path, r->observations, what);
}

static dpc_status check_tick(const reading* r, const char* what, uint64_t tick, int expected,
                             int values, int dim, dpc_error* error) {
  if (tick != (uint64_t)expected) {
    return dpc_fail(error, DPC_ERR_FORMAT, "%s: step %d: %s %" PRIu64 " comes next", r->path,
                    expected, what, tick);
  }
  if (values == dim) return DPC_OK;
  return dpc_fail(error, DPC_ERR_FORMAT, "%s: step %d: %s has %d values, its signals %d", r->path,
                  expected, what, values, dim);
}

static dpc_status take_hello(reading* r, const dpc_mcap_message* m, dpc_error* error) {
  if (r->greeted) return misplaced(r, "a second hello", error);
  DPC_TRY(decode(r, DPC_MESSAGE_HELLO, m, error));
  const dpc_hello* hello = &r->message->hello;
  const dpc_status status = dpc_interface_check(&hello->interface, error);
  if (status != DPC_OK) return dpc_fail_prefix(error, DPC_ERR_FORMAT, "%s: hello: ", r->path);
  dpc_episode* e = &r->episode;
  e->interface = hello->interface;
  e->notes = calloc((size_t)hello->note_count + 1, sizeof(*e->notes));
  if (e->notes == NULL) return dpc_fail(error, DPC_ERR_NO_MEMORY, "%s: out of memory", r->path);
  e->note_count = hello->note_count;
  for (int i = 0; i < e->note_count; i++) e->notes[i] = hello->notes[i];
  r->obs_dim = dpc_layout_dim(&e->interface.obs);
  r->action_dim = dpc_layout_dim(&e->interface.action);
  r->greeted = true;
  return DPC_OK;
}

static dpc_status take_observation(reading* r, const dpc_mcap_message* m, dpc_error* error) {
  if (!r->greeted) return misplaced(r, "an observation before the hello", error);
  if (r->ended) return misplaced(r, "an observation after the end", error);
  DPC_TRY(decode(r, DPC_MESSAGE_OBSERVATION, m, error));
  const dpc_observation* o = &r->message->observation;
  const int row = r->observations;
  r->ended = o->value_count == 0 && o->done && row > 0;
  DPC_TRY(
      check_tick(r, "observation", o->tick, row, o->value_count, r->ended ? 0 : r->obs_dim, error));
  dpc_episode* e = &r->episode;
  if (row == e->length) {
    const dpc_status status =
        dpc_episode_resize(e, row == 0 ? ROWS_FIRST : row * 2, r->obs_dim, r->action_dim, error);
    if (status != DPC_OK) return dpc_fail_prefix(error, status, "%s: ", r->path);
  }
  if (row == 0) e->seed = o->seed;
  if (o->seed != e->seed) return misplaced(r, "another seed", error);
  const size_t size = (size_t)r->obs_dim;
  if (!r->ended) memcpy(e->obs + (size_t)row * size, o->values, size * sizeof(*e->obs));
  e->reward[row] = o->reward;
  e->done[row] = o->done;
  r->observations++;
  return DPC_OK;
}

static dpc_status take_command(reading* r, const dpc_mcap_message* m, dpc_error* error) {
  const int row = r->commands;
  if (row >= r->observations || r->ended) {
    return misplaced(r, "a command without an observation", error);
  }
  DPC_TRY(decode(r, DPC_MESSAGE_COMMAND, m, error));
  const dpc_command* c = &r->message->command;
  DPC_TRY(check_tick(r, "command", c->tick, row, c->value_count, r->action_dim, error));
  const size_t size = (size_t)r->action_dim;
  memcpy(r->episode.action + (size_t)row * size, c->values, size * sizeof(*c->values));
  r->commands++;
  return DPC_OK;
}

/// Remember that there is a camera of this name.
static dpc_status take_image(reading* r, const char* name, dpc_error* error) {
  dpc_episode* e = &r->episode;
  for (int i = 0; i < e->image_count; i++) {
    if (strcmp(e->images[i].name, name) == 0) return DPC_OK;
  }
  if (e->image_count == DPC_EPISODE_IMAGE_MAX || strlen(name) >= sizeof(e->images[0].name)) {
    return misplaced(r, "too many cameras, or a name too long", error);
  }
  memcpy(e->images[e->image_count++].name, name, strlen(name) + 1);
  return DPC_OK;
}

static dpc_status take(reading* r, const dpc_mcap_message* m, dpc_error* error) {
  static const char image_prefix[] = "/image/";
  const size_t prefix = sizeof(image_prefix) - 1;
  if (strcmp(m->topic, "/hello") == 0) return take_hello(r, m, error);
  if (strcmp(m->topic, "/observation") == 0) return take_observation(r, m, error);
  if (strcmp(m->topic, "/command") == 0) return take_command(r, m, error);
  if (strncmp(m->topic, image_prefix, prefix) == 0) {
    return take_image(r, m->topic + prefix, error);
  }
  return DPC_OK;  // what others may add
}

// --- the whole ----------------------------------------------------------------------------------

/// All messages are in: bring each reward to the action that earned it.
static dpc_status complete(reading* r, dpc_error* error) {
  dpc_episode* e = &r->episode;
  if (!r->greeted) return dpc_fail(error, DPC_ERR_FORMAT, "%s: holds no episode", r->path);
  const int unanswered = r->observations - r->commands;
  if (r->commands == 0 || unanswered > 1) {
    return dpc_fail(error, DPC_ERR_FORMAT, "%s: step %d: has no command", r->path, r->commands);
  }
  e->length = r->commands;
  for (int t = 0; t + 1 < r->observations; t++) {
    e->reward[t] = e->reward[t + 1];
    e->done[t] = e->done[t + 1];
  }
  if (unanswered == 0) e->reward[e->length - 1] = 0;
  e->done[e->length - 1] = true;
  const bool seen = unanswered == 1 && !r->ended;
  e->last_obs = seen ? e->obs + (size_t)e->length * (size_t)r->obs_dim : NULL;
  return DPC_OK;
}

static dpc_status read_all(reading* r, dpc_error* error) {
  DPC_TRY(dpc_mcap_reader_open(r->path, &r->mcap, error));
  for (;;) {
    dpc_mcap_message message;
    bool end = false;
    DPC_TRY(dpc_mcap_read(r->mcap, &message, &end, error));
    if (end) return complete(r, error);
    DPC_TRY(take(r, &message, error));
  }
}

dpc_status dpc_episode_read(const dpc_episode_log* log, int index, dpc_episode* out,
                            dpc_error* error) {
  reading* r = calloc(1, sizeof(*r));
  dpc_message* message = calloc(1, sizeof(*message));
  void* block = malloc(DPC_WIRE_SCRATCH_SIZE);
  dpc_status status = DPC_ERR_NO_MEMORY;
  if (r != NULL && message != NULL && block != NULL) {
    r->path = dpc_episode_log_path(log, index);
    r->message = message;
    dpc_arena_init(&r->scratch, block, DPC_WIRE_SCRATCH_SIZE);
    status = read_all(r, error);
    dpc_mcap_reader_close(r->mcap);
    if (status == DPC_OK) {
      *out = r->episode;
    } else {
      dpc_episode_free(&r->episode);
    }
  } else {
    (void)dpc_fail(error, status, "no memory to read an episode");
  }
  free(block);
  free(message);
  free(r);
  return status;
}
