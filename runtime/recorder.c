#include "runtime/recorder.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "runtime/clock.h"
#include "runtime/rt.h"
#include "runtime/tick_message.h"

enum {
  RING_MIN = 2048,  // records; in lock-step ticks come as fast as they can
  MEMORY_MIN = 64,
  DRAIN_MS = 50,
  FLUSH_MS = 1000,      // a killed program loses what is younger, and
  FLUSH_RECORDS = 512,  // not many more than these
};

// A disk may stall for seconds; what happened before something went wrong took less.
static const double RING_S = 4, MEMORY_S = 2;

struct dpc_recorder {
  dpc_recorder_def def;
  dpc_run_info info;
  dpc_tick_ring* ring;
  dpc_thread thread;
  atomic_bool stop;
  int wake;  // eventfd: the ring is half full, or stop

  pthread_mutex_t
      lock;  // of all below, and of the ring's reading end; the control thread takes none
  dpc_run_log_writer* log;  // NULL: no file, or not any more
  char path[PATH_MAX];
  bool complete;
  uint64_t next;       // sequence of the record that comes next, if none was dropped
  uint64_t unflushed;  // records in the file since it was last known to be safe
  uint64_t unwritten;
  dpc_time flushed;
  char* memory;  // [memory_count] records: the newest
  size_t record_size;
  int memory_count;
  uint64_t remembered;  // records that ever went into it
};

static dpc_time wall_clock(void) {
  struct timespec now = {0};
  (void)clock_gettime(CLOCK_REALTIME, &now);
  return (dpc_time){(int64_t)now.tv_sec * 1000000000 + now.tv_nsec};
}

static int records_in(double seconds, dpc_duration period, int least) {
  const int64_t count = dpc_seconds(seconds).ns / period.ns + 1;
  return count < least ? least : (int)count;
}

// --- the file ------------------------------------------------------------------------------------

// From here on there is no file. The `.part` stays.
static void give_up(dpc_recorder* r, const dpc_error* error) {
  dpc_log(DPC_LOG_WARNING, "recording: %s; the run goes on without", error->text);
  dpc_run_log_abandon(r->log);
  r->log = NULL;
  (void)snprintf(r->path + strlen(r->path), sizeof r->path - strlen(r->path), ".part");
  r->unwritten += r->unflushed;
  r->unflushed = 0;
}

static void write_record(dpc_recorder* r, const dpc_tick_record* record) {
  dpc_error error = {""};
  const dpc_run_gap gap = {r->next, record->sequence - r->next};
  dpc_status status = DPC_OK;
  if (gap.count > 0) status = dpc_run_log_gap(r->log, record->times.start.ns, &gap, &error);
  if (status == DPC_OK) status = dpc_run_log_tick(r->log, record->times.start.ns, record, &error);
  r->unflushed++;
  if (status != DPC_OK) give_up(r, &error);
}

static void flush(dpc_recorder* r, dpc_time now) {
  dpc_error error = {""};
  const bool due = dpc_time_since(now, r->flushed).ns >= FLUSH_MS * INT64_C(1000000);
  if (r->log == NULL || (!due && r->unflushed < FLUSH_RECORDS)) return;
  r->flushed = now;
  if (dpc_run_log_flush(r->log, &error) == DPC_OK) {
    r->unflushed = 0;
  } else {
    give_up(r, &error);
  }
}

static void close_file(dpc_recorder* r) {
  if (r->log == NULL) return;
  dpc_error error = {""};
  const dpc_run_end end = {dpc_tick_ring_count(r->ring), dpc_tick_ring_dropped(r->ring)};
  const dpc_run_gap gap = {r->next, end.ticks - r->next};
  dpc_status status = DPC_OK;
  if (gap.count > 0) status = dpc_run_log_gap(r->log, dpc_clock_now().ns, &gap, &error);
  if (status == DPC_OK) {
    status = dpc_run_log_close(r->log, &end, &error);
    r->log = NULL;
  }
  r->complete = status == DPC_OK;
  if (!r->complete) give_up(r, &error);
}

// --- emptying the ring ---------------------------------------------------------------------------

static dpc_tick_record* memory_at(const dpc_recorder* r, uint64_t index) {
  const size_t slot = (size_t)(index % (uint64_t)r->memory_count);
  return (dpc_tick_record*)(void*)(r->memory + slot * r->record_size);
}

// The lock is held.
static void drain(dpc_recorder* r) {
  const dpc_tick_record* record;
  while ((record = dpc_tick_ring_first(r->ring)) != NULL) {
    dpc_tick_record_copy(&r->def.dims, record, memory_at(r, r->remembered++));
    if (r->log != NULL) {
      write_record(r, record);
    } else if (r->path[0] != '\0') {
      r->unwritten++;
    }
    r->next = record->sequence + 1;
    dpc_tick_ring_pop(r->ring);
  }
}

static void drain_until_stopped(void* context) {
  dpc_recorder* r = context;
  while (!atomic_load(&r->stop)) {
    struct pollfd watched = {.fd = r->wake, .events = POLLIN};
    uint64_t count;
    if (poll(&watched, 1, DRAIN_MS) > 0) {
      const ssize_t got = read(r->wake, &count, sizeof count);
      (void)got;
    }
    pthread_mutex_lock(&r->lock);
    drain(r);
    flush(r, dpc_clock_now());
    pthread_mutex_unlock(&r->lock);
  }
}

// --- the last two seconds ------------------------------------------------------------------------

static dpc_status write_memory(const dpc_recorder* r, dpc_run_log_writer* log, dpc_error* error) {
  const uint64_t count = (uint64_t)r->memory_count;
  uint64_t next = 0;
  for (uint64_t i = r->remembered > count ? r->remembered - count : 0; i < r->remembered; i++) {
    const dpc_tick_record* record = memory_at(r, i);
    const dpc_run_gap gap = {next, record->sequence - next};
    if (gap.count > 0) DPC_TRY(dpc_run_log_gap(log, record->times.start.ns, &gap, error));
    DPC_TRY(dpc_run_log_tick(log, record->times.start.ns, record, error));
    next = record->sequence + 1;
  }
  return DPC_OK;
}

static dpc_status save_last(dpc_recorder* r, const char* path, dpc_error* error) {
  dpc_run_log_writer* log = NULL;
  drain(r);
  DPC_TRY(dpc_run_log_create(path, &r->info, &dpc_tick_table, &log, error));
  const dpc_status status = write_memory(r, log, error);
  if (status != DPC_OK) {
    dpc_run_log_abandon(log);
    return status;
  }
  const dpc_run_end end = {r->next, dpc_tick_ring_dropped(r->ring)};
  return dpc_run_log_close(log, &end, error);
}

dpc_status dpc_recorder_save_last(dpc_recorder* r, const char* path, dpc_error* error) {
  pthread_mutex_lock(&r->lock);
  const dpc_status status = save_last(r, path, error);
  pthread_mutex_unlock(&r->lock);
  return status;
}

// --- life ----------------------------------------------------------------------------------------

static dpc_status create(dpc_recorder* r, dpc_arena* arena, dpc_error* error) {
  const dpc_duration period = r->def.period;
  r->record_size = dpc_tick_record_size(&r->def.dims);
  r->memory_count = records_in(MEMORY_S, period, MEMORY_MIN);
  r->memory = dpc_arena_take(arena, r->record_size * (size_t)r->memory_count);
  if (r->memory == NULL) return dpc_arena_full(arena, "the recorder", error);
  r->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (r->wake < 0) return dpc_fail(error, DPC_ERR_IO, "eventfd: %s", strerror(errno));
  DPC_TRY(dpc_tick_ring_create(&r->def.dims, records_in(RING_S, period, RING_MIN), r->wake, arena,
                               &r->ring, error));
  if (r->def.path[0] == '\0') return DPC_OK;
  DPC_TRY(dpc_run_log_create(r->def.path, &r->info, &dpc_tick_table, &r->log, error));
  memcpy(r->path, dpc_run_log_path(r->log), strlen(dpc_run_log_path(r->log)) + 1);
  return DPC_OK;
}

dpc_status dpc_recorder_create(const dpc_recorder_def* def, dpc_arena* arena, dpc_recorder** out,
                               dpc_error* error) {
  DPC_ASSERT(def->period.ns > 0);
  const size_t mark = dpc_arena_mark(arena);
  dpc_recorder* r = DPC_TAKE(arena, dpc_recorder, 1);
  if (r == NULL) return dpc_arena_full(arena, "the recorder", error);
  r->def = *def;
  r->info = *def->info;
  r->wake = -1;
  r->flushed = dpc_clock_now();
  r->info.start_ns = r->flushed.ns;
  r->info.start_unix_ns = wall_clock().ns;
  atomic_init(&r->stop, false);
  const dpc_status status = create(r, arena, error);
  if (status != DPC_OK) {
    if (r->wake >= 0) (void)close(r->wake);
    dpc_arena_release(arena, mark);
    return status;
  }
  pthread_mutex_init(&r->lock, NULL);
  *out = r;
  return DPC_OK;
}

dpc_tick_ring* dpc_recorder_ring(const dpc_recorder* r) {
  return r->ring;
}

dpc_status dpc_recorder_start(dpc_recorder* r, dpc_error* error) {
  const dpc_thread_def def = {.name = "dpc-recorder", .stack_size = (size_t)1 << 20};
  return dpc_thread_start(&r->thread, &def, drain_until_stopped, r, error);
}

void dpc_recorder_stop(dpc_recorder* r) {
  const uint64_t one = 1;
  atomic_store(&r->stop, true);
  const ssize_t written = write(r->wake, &one, sizeof one);
  (void)written;
  dpc_thread_join(&r->thread);
  pthread_mutex_lock(&r->lock);
  drain(r);
  close_file(r);
  pthread_mutex_unlock(&r->lock);
}

void dpc_recorder_destroy(dpc_recorder* r) {
  if (r == NULL) return;
  dpc_recorder_stop(r);
  (void)close(r->wake);
  pthread_mutex_destroy(&r->lock);
}

dpc_recorder_result dpc_recorder_result_of(dpc_recorder* r) {
  pthread_mutex_lock(&r->lock);
  const dpc_recorder_result result = {.ticks = dpc_tick_ring_count(r->ring),
                                      .dropped = dpc_tick_ring_dropped(r->ring),
                                      .unwritten = r->unwritten,
                                      .path = r->path,
                                      .complete = r->complete};
  pthread_mutex_unlock(&r->lock);
  return result;
}
