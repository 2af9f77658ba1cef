#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dpc_schema.h"
#include "proto/mcap.h"
#include "proto/publish.h"
#include "proto/wire.h"
#include "proto/wire_run.h"

enum { CHANNEL_RUN, CHANNEL_HELLO, CHANNEL_TICK, CHANNEL_GAP, CHANNEL_END, CHANNELS };
enum { INDEX_MAX = 999999, BUFFER_MIN = 65536 };

struct dpc_run_log_writer {
  char path[PATH_MAX];  // the final name
  char part[PATH_MAX];  // the name until then
  dpc_mcap_channel channels[CHANNELS];
  dpc_mcap_writer* mcap;
  const dpc_wire_table* tick;
  int64_t to_unix;  // what to add to a time of the monotonic clock
  int64_t last_ns;  // time of the newest message
  void* buffer;     // for one message
  size_t capacity;
};

// --- messages ------------------------------------------------------------------------------------

static dpc_status put(dpc_run_log_writer* w, int channel, int64_t time_ns, size_t size,
                      dpc_error* error) {
  const int64_t time = time_ns + w->to_unix;
  w->last_ns = time_ns;
  return dpc_mcap_write(w->mcap, channel, time < 0 ? 0 : time, w->buffer, size, error);
}

// A message that the buffer has no room for makes it larger; values are what takes room.
static dpc_status put_table(dpc_run_log_writer* w, int channel, int64_t time_ns,
                            const dpc_wire_table* table, const void* from, dpc_error* error) {
  size_t size = 0;
  dpc_status status = dpc_wire_encode_table(table, from, w->buffer, w->capacity, &size, error);
  while (status == DPC_ERR_NO_MEMORY) {
    void* grown = realloc(w->buffer, 2 * w->capacity);
    if (grown == NULL) return dpc_fail(error, status, "%s: out of memory", w->path);
    w->buffer = grown;
    w->capacity *= 2;
    status = dpc_wire_encode_table(table, from, w->buffer, w->capacity, &size, error);
  }
  DPC_TRY(status);
  return put(w, channel, time_ns, size, error);
}

dpc_status dpc_run_log_tick(dpc_run_log_writer* w, int64_t time_ns, const void* tick,
                            dpc_error* error) {
  return put_table(w, CHANNEL_TICK, time_ns, w->tick, tick, error);
}

dpc_status dpc_run_log_gap(dpc_run_log_writer* w, int64_t time_ns, const dpc_run_gap* gap,
                           dpc_error* error) {
  return put_table(w, CHANNEL_GAP, time_ns, &dpc_run_gap_table, gap, error);
}

dpc_status dpc_run_log_flush(dpc_run_log_writer* w, dpc_error* error) {
  return dpc_mcap_flush(w->mcap, error);
}

static dpc_status put_run(dpc_run_log_writer* w, const dpc_run_info* info, dpc_error* error) {
  size_t size = 0;
  const dpc_status status = dpc_wire_encode_run(info, w->buffer, w->capacity, &size, error);
  if (status != DPC_OK) return dpc_fail_prefix(error, status, "%s: ", w->path);
  return put(w, CHANNEL_RUN, info->start_ns, size, error);
}

static dpc_status put_hello(dpc_run_log_writer* w, const dpc_run_info* info, dpc_error* error) {
  size_t size = 0;
  dpc_message* message = calloc(1, sizeof *message);
  if (message == NULL) return dpc_fail(error, DPC_ERR_NO_MEMORY, "%s: out of memory", w->path);
  message->kind = DPC_MESSAGE_HELLO;
  message->hello.interface = *info->robot;
  dpc_status status = dpc_wire_encode_bare(message, w->buffer, w->capacity, &size, error);
  free(message);
  if (status != DPC_OK) return dpc_fail_prefix(error, status, "%s: ", w->path);
  return put(w, CHANNEL_HELLO, info->start_ns, size, error);
}

// --- beginning -----------------------------------------------------------------------------------

static bool ends_with(const char* text, const char* end) {
  const size_t length = strlen(text), tail = strlen(end);
  return length > tail && strcmp(text + length - tail, end) == 0;
}

static bool set_names(dpc_run_log_writer* w, const char* path) {
  const int length = snprintf(w->part, sizeof w->part, "%s.part", path);
  if (length < 0 || length >= (int)sizeof w->part) return false;
  memcpy(w->path, path, strlen(path) + 1);
  return true;
}

static bool taken(const dpc_run_log_writer* w) {
  return access(w->path, F_OK) == 0 || access(w->part, F_OK) == 0;
}

// The first number of which there is nothing in the folder.
static dpc_status name_in_folder(dpc_run_log_writer* w, const char* dir, dpc_error* error) {
  if (mkdir(dir, 0777) != 0 && errno != EEXIST) {
    return dpc_fail(error, DPC_ERR_IO, "%s: %s", dir, strerror(errno));
  }
  for (int i = 0; i <= INDEX_MAX; i++) {
    char path[PATH_MAX];
    const int length = snprintf(path, sizeof path, "%s/run_%06d.mcap", dir, i);
    if (length < 0 || length >= (int)sizeof path || !set_names(w, path)) break;
    if (!taken(w)) return DPC_OK;
  }
  return dpc_fail(error, DPC_ERR_IO, "%s: no name is left for a recording", dir);
}

static dpc_status choose_names(dpc_run_log_writer* w, const char* path, dpc_error* error) {
  if (!ends_with(path, ".mcap")) return name_in_folder(w, path, error);
  if (!set_names(w, path)) return dpc_fail(error, DPC_ERR_IO, "%s: path too long", path);
  if (!taken(w)) return DPC_OK;
  return dpc_fail(error, DPC_ERR_IO, "%s: already there",
                  access(w->path, F_OK) == 0 ? w->path : w->part);
}

static dpc_status start(dpc_run_log_writer* w, const char* path, const dpc_run_info* info,
                        dpc_error* error) {
  const struct {
    const char *topic, *schema;
  } channels[CHANNELS] = {{"/run", "dpc.Run"},
                          {"/hello", "dpc.Hello"},
                          {"/tick", w->tick->message},
                          {"/gap", dpc_run_gap_table.message},
                          {"/end", dpc_run_end_table.message}};
  for (int i = 0; i < CHANNELS; i++) {
    w->channels[i] =
        (dpc_mcap_channel){channels[i].topic, channels[i].schema, dpc_schema, sizeof dpc_schema};
  }
  DPC_TRY(choose_names(w, path, error));
  w->to_unix = info->start_unix_ns - info->start_ns;
  w->capacity = dpc_wire_run_size(info) + BUFFER_MIN;
  w->buffer = malloc(w->capacity);
  if (w->buffer == NULL) return dpc_fail(error, DPC_ERR_NO_MEMORY, "%s: out of memory", w->path);
  DPC_TRY(dpc_mcap_writer_create(w->part, w->channels, CHANNELS, &w->mcap, error));
  dpc_status status = put_run(w, info, error);
  if (status == DPC_OK) status = put_hello(w, info, error);
  if (status == DPC_OK) status = dpc_run_log_flush(w, error);
  if (status != DPC_OK) (void)unlink(w->part);
  return status;
}

dpc_status dpc_run_log_create(const char* path, const dpc_run_info* info,
                              const dpc_wire_table* tick, dpc_run_log_writer** out,
                              dpc_error* error) {
  dpc_run_log_writer* w = calloc(1, sizeof *w);
  if (w == NULL) return dpc_fail(error, DPC_ERR_NO_MEMORY, "%s: out of memory", path);
  w->tick = tick;
  const dpc_status status = start(w, path, info, error);
  if (status == DPC_OK) {
    *out = w;
  } else {
    dpc_run_log_abandon(w);
  }
  return status;
}

const char* dpc_run_log_path(const dpc_run_log_writer* w) {
  return w->path;
}

// --- ending --------------------------------------------------------------------------------------

static dpc_status finish(dpc_run_log_writer* w, const dpc_run_end* end, dpc_error* error) {
  DPC_TRY(put_table(w, CHANNEL_END, w->last_ns, &dpc_run_end_table, end, error));
  dpc_mcap_writer* mcap = w->mcap;
  w->mcap = NULL;
  DPC_TRY(dpc_mcap_writer_finish(mcap, error));
  return dpc_publish(w->part, w->path, error);
}

dpc_status dpc_run_log_close(dpc_run_log_writer* w, const dpc_run_end* end, dpc_error* error) {
  const dpc_status status = finish(w, end, error);
  dpc_run_log_abandon(w);
  return status;
}

void dpc_run_log_abandon(dpc_run_log_writer* w) {
  if (w == NULL) return;
  dpc_mcap_writer_abandon(w->mcap);
  free(w->buffer);
  free(w);
}
