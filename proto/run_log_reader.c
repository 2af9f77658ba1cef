#include <stdlib.h>
#include <string.h>

#include "proto/mcap.h"
#include "proto/wire.h"
#include "proto/wire_run.h"

// Memory for one message, and for how the file begins: a Run is the largest.
enum { MEMORY_SIZE = 8 << 20 };

struct dpc_run_log {
  const char* path;
  bool part;  // may be cut
  dpc_mcap_reader* mcap;
  const dpc_wire_table* tick;
  dpc_arena beginning;  // texts of `info`
  dpc_arena scratch;    // one message
  void *beginning_block, *scratch_block;
  dpc_run_info info;
  dpc_interface robot;
  bool has_run, has_robot, ended;
  dpc_run_end end;
};

static dpc_status prefix(const dpc_run_log* log, dpc_status status, dpc_error* error) {
  return status == DPC_OK ? DPC_OK : dpc_fail_prefix(error, status, "%s: ", log->path);
}

// --- messages ------------------------------------------------------------------------------------

static dpc_status take_run(dpc_run_log* log, const dpc_mcap_message* m, dpc_error* error) {
  if (log->has_run) return dpc_fail(error, DPC_ERR_FORMAT, "begins twice");
  log->has_run = true;
  return dpc_wire_decode_run(m->data, m->size, &log->beginning, &log->info, error);
}

// Readers make room for this robot's values: there is no other one later.
static dpc_status take_hello(dpc_run_log* log, const dpc_mcap_message* m, dpc_error* error) {
  if (log->has_robot) return dpc_fail(error, DPC_ERR_FORMAT, "begins twice");
  dpc_message* message = calloc(1, sizeof *message);
  if (message == NULL) return dpc_fail(error, DPC_ERR_NO_MEMORY, "out of memory");
  const dpc_status status =
      dpc_wire_decode_bare(DPC_MESSAGE_HELLO, m->data, m->size, -1, &log->scratch, message, error);
  if (status == DPC_OK) {
    log->robot = message->hello.interface;
    log->info.robot = &log->robot;
    log->has_robot = true;
  }
  free(message);
  return status;
}

/// Take a message in; `*found` when it is one for the caller.
static dpc_status take(dpc_run_log* log, const dpc_mcap_message* m, void* tick,
                       dpc_run_log_event* event, bool* found, dpc_error* error) {
  if (strcmp(m->topic, "/run") == 0) return take_run(log, m, error);
  if (strcmp(m->topic, "/hello") == 0) return take_hello(log, m, error);
  if (strcmp(m->topic, "/end") == 0) {
    return dpc_wire_decode_table(&dpc_run_end_table, m->data, m->size, &log->scratch, &log->end,
                                 error);
  }
  if (strcmp(m->topic, "/gap") == 0) {
    *found = true;
    *event = (dpc_run_log_event){.kind = DPC_RUN_LOG_GAP};
    return dpc_wire_decode_table(&dpc_run_gap_table, m->data, m->size, &log->scratch, &event->gap,
                                 error);
  }
  if (strcmp(m->topic, "/tick") == 0) {
    if (tick == NULL) return dpc_fail(error, DPC_ERR_FORMAT, "a tick before the beginning");
    *found = true;
    *event = (dpc_run_log_event){.kind = DPC_RUN_LOG_TICK};
    return dpc_wire_decode_table(log->tick, m->data, m->size, &log->scratch, tick, error);
  }
  return DPC_OK;  // what others may add
}

static dpc_status read_one(dpc_run_log* log, void* tick, dpc_run_log_event* event, bool* found,
                           dpc_error* error) {
  dpc_mcap_message message;
  bool end = false;
  const dpc_status status = dpc_mcap_read(log->mcap, &message, &end, error);
  const bool cut = status == DPC_ERR_FORMAT && log->part;
  if (cut || (status == DPC_OK && end)) {
    *event = (dpc_run_log_event){.kind = DPC_RUN_LOG_DONE, .cut = cut, .end = log->end};
    *found = log->ended = true;
    return DPC_OK;
  }
  DPC_TRY(status);
  dpc_arena_release(&log->scratch, 0);
  return prefix(log, take(log, &message, tick, event, found, error), error);
}

dpc_status dpc_run_log_read(dpc_run_log* log, void* tick, dpc_run_log_event* event,
                            dpc_error* error) {
  DPC_ASSERT(!log->ended);
  bool found = false;
  while (!found) DPC_TRY(read_one(log, tick, event, &found, error));
  return DPC_OK;
}

// --- life ----------------------------------------------------------------------------------------

static dpc_status read_beginning(dpc_run_log* log, dpc_error* error) {
  DPC_TRY(dpc_mcap_reader_open(log->path, &log->mcap, error));
  dpc_run_log_event event = {0};
  bool found = false;
  while (!log->has_run || !log->has_robot) {
    DPC_TRY(read_one(log, NULL, &event, &found, error));
    if (found) {
      return dpc_fail(error, DPC_ERR_FORMAT, "%s: not the recording of a run", log->path);
    }
  }
  return DPC_OK;
}

dpc_status dpc_run_log_open(const char* path, const dpc_wire_table* tick, dpc_run_log** out,
                            dpc_error* error) {
  static const char part[] = ".part";
  const size_t length = strlen(path), tail = sizeof part - 1;
  dpc_run_log* log = calloc(1, sizeof *log + length + 1);
  if (log == NULL) return dpc_fail(error, DPC_ERR_NO_MEMORY, "%s: out of memory", path);
  log->path = memcpy(log + 1, path, length + 1);
  log->part = length > tail && strcmp(path + length - tail, part) == 0;
  log->tick = tick;
  log->beginning_block = malloc(MEMORY_SIZE);
  log->scratch_block = malloc(MEMORY_SIZE);
  dpc_status status = DPC_ERR_NO_MEMORY;
  if (log->beginning_block != NULL && log->scratch_block != NULL) {
    dpc_arena_init(&log->beginning, log->beginning_block, MEMORY_SIZE);
    dpc_arena_init(&log->scratch, log->scratch_block, MEMORY_SIZE);
    status = read_beginning(log, error);
  } else {
    (void)dpc_fail(error, status, "%s: out of memory", path);
  }
  if (status == DPC_OK) {
    *out = log;
  } else {
    dpc_run_log_free(log);
  }
  return status;
}

const dpc_run_info* dpc_run_log_info(const dpc_run_log* log) {
  return &log->info;
}

void dpc_run_log_free(dpc_run_log* log) {
  if (log == NULL) return;
  dpc_mcap_reader_close(log->mcap);
  free(log->beginning_block);
  free(log->scratch_block);
  free(log);
}
