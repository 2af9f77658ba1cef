/// The flight recorder: keeps what every tick got and gave. The control thread writes into a ring
/// (runtime/tick_ring.h); a thread of the recorder's own empties it twenty times a second, or when
/// it is half full, remembers the last two seconds, and writes all of it to a file when there is one (proto/run_log.h). When the disk is
/// full, slow or gone the run goes on, and what is missing is counted.
#pragma once

#include "proto/run_log.h"
#include "runtime/tick_ring.h"

typedef struct dpc_recorder_def {
  const char* path;          // as for dpc_run_log_create; "" = no file, only the last two seconds
  const dpc_run_info* info;  // what the file begins with; its times are set here
  dpc_tick_dims dims;
  dpc_duration period;  // of a tick
} dpc_recorder_def;

/// How far it is, or has come.
typedef struct dpc_recorder_result {
  uint64_t ticks;      // of the run
  uint64_t dropped;    // of these, by a full ring
  uint64_t unwritten;  // of these, because the file could not be written; some of them may be in it
  const char* path;    // where the file is; "" where there is none
  bool complete;       // it has ended in order
} dpc_recorder_result;

typedef struct dpc_recorder dpc_recorder;

/// Make a recorder, and begin the file. `def->info` and what it points to must outlive it. Errors are
/// those of dpc_run_log_create. Release with dpc_recorder_destroy.
/// Allocates: from the arena; heap for the file. Blocks: disk. Thread: start-up only.
DPC_NODISCARD dpc_status dpc_recorder_create(const dpc_recorder_def* def, dpc_arena* arena,
                                             dpc_recorder** out, dpc_error* error);

/// Stop, and give everything back but the arena's. NULL is left alone.
/// Allocates: no. Blocks: disk. Thread: the one that created it.
void dpc_recorder_destroy(dpc_recorder* recorder);

/// Where the ticks go in.
/// Allocates: no. Blocks: no. Thread: any; the ring has one writer.
dpc_tick_ring* dpc_recorder_ring(const dpc_recorder* recorder);

/// Start its thread.
/// Allocates: the thread's stack. Blocks: no. Thread: the one that created it.
DPC_NODISCARD dpc_status dpc_recorder_start(dpc_recorder* recorder, dpc_error* error);

/// Stop its thread, write what is left, and end the file. The ring's writer has stopped before. Nothing
/// the second time.
/// Allocates: a little. Blocks: disk. Thread: the one that created it.
void dpc_recorder_stop(dpc_recorder* recorder);

/// Write the last two seconds to a file of their own, named as by dpc_run_log_create, while the run goes
/// on: for when something went wrong. Errors name the file.
/// Allocates: heap, freed before it returns. Blocks: disk. Thread: any but the control thread.
DPC_NODISCARD dpc_status dpc_recorder_save_last(dpc_recorder* recorder, const char* path,
                                                dpc_error* error);

/// What there is of the run so far.
/// Allocates: no. Blocks: while something is being written. Thread: any but the control thread.
dpc_recorder_result dpc_recorder_result_of(dpc_recorder* recorder);
