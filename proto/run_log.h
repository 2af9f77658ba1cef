/// Recordings of runs: one MCAP file with everything that went into each tick of a controller and came
/// out of it, and at the beginning what is needed to compute it again. Foxglove and PlotJuggler open
/// it.
///
/// Topic /run has dpc.Run, /hello the robot's interface (dpc.Hello), /tick a dpc.Tick for each tick,
/// /gap a dpc.Gap where some are missing, and /end a dpc.End when it ends in order. A file is written as
/// `.part`, and gets its name when it is complete: what a killed program or a full disk leaves behind
/// is a `.part`, which is read up to where it was cut.
///
/// What a tick is, is not known here: its owner brings a table of it (proto/wire_table.h).
#pragma once

#include "policy/layout.h"
#include "proto/wire_table.h"

typedef struct dpc_run_setting {
  const char* key;  // "controller.delay"
  const char* value;
} dpc_run_setting;

/// What a recording begins with. Texts are printable UTF-8 of up to 4095 bytes.
typedef struct dpc_run_info {
  const char* software;        // "dpc run 0.3.0"
  const char* build;           // its compiler and build id
  const char* policy;          // path
  const char* weights_sha256;  // of the policy; "" = unknown
  const char* isa;             // what the network was computed with
  const char* precision;       //
  int64_t start_ns;            // monotonic clock
  int64_t start_unix_ns;       // the same moment since 1970
  int setting_count;
  const dpc_run_setting* settings;  // as they were used
  const dpc_interface* robot;
} dpc_run_info;

enum { DPC_RUN_SETTING_MAX = 512 };

/// Ticks that are missing in a recording.
typedef struct dpc_run_gap {
  uint64_t sequence;  // of the first
  uint64_t count;
} dpc_run_gap;

/// How a run ended.
typedef struct dpc_run_end {
  uint64_t ticks, dropped;
} dpc_run_end;

// --- writing -------------------------------------------------------------------------------------

typedef struct dpc_run_log_writer dpc_run_log_writer;

/// Begin a recording. `path` is a file when it ends with .mcap, which must not be there yet; anything
/// else is a folder, made when it is not there, in which it becomes the next run_NNNNNN.mcap. `tick`
/// must outlive the writer, `info` need not. Errors name the file.
/// Allocates: heap, about 1 MiB. Blocks: disk. Thread: any, one writer each.
DPC_NODISCARD dpc_status dpc_run_log_create(const char* path, const dpc_run_info* info,
                                            const dpc_wire_table* tick, dpc_run_log_writer** out,
                                            dpc_error* error);

/// The name that the file gets in the end.
/// Allocates: no. Blocks: no. Thread: any.
const char* dpc_run_log_path(const dpc_run_log_writer* writer);

/// Append a tick: a struct of the table, which happened at `time_ns` on the monotonic clock. After a
/// failure every later call fails as well.
/// Allocates: rarely. Blocks: disk, when a chunk is full. Thread: the writer's owner.
DPC_NODISCARD dpc_status dpc_run_log_tick(dpc_run_log_writer* writer, int64_t time_ns,
                                          const void* tick, dpc_error* error);

/// Append a gap, which was noticed at `time_ns`.
/// Allocates: rarely. Blocks: disk, when a chunk is full. Thread: the writer's owner.
DPC_NODISCARD dpc_status dpc_run_log_gap(dpc_run_log_writer* writer, int64_t time_ns,
                                         const dpc_run_gap* gap, dpc_error* error);

/// What is there so far survives the program from now on.
/// Allocates: rarely. Blocks: disk. Thread: the writer's owner.
DPC_NODISCARD dpc_status dpc_run_log_flush(dpc_run_log_writer* writer, dpc_error* error);

/// Write the end, have the disk keep it, give the file its name, and free the writer. On failure the
/// `.part` stays.
/// Allocates: a little. Blocks: disk. Thread: the writer's owner.
DPC_NODISCARD dpc_status dpc_run_log_close(dpc_run_log_writer* writer, const dpc_run_end* end,
                                           dpc_error* error);

/// Free the writer; the `.part` stays. NULL is left alone.
/// Allocates: no. Blocks: disk. Thread: the writer's owner.
void dpc_run_log_abandon(dpc_run_log_writer* writer);

// --- reading -------------------------------------------------------------------------------------

typedef struct dpc_run_log dpc_run_log;

typedef enum dpc_run_log_kind {
  DPC_RUN_LOG_TICK,
  DPC_RUN_LOG_GAP,
  DPC_RUN_LOG_DONE,  // there is no more
} dpc_run_log_kind;

typedef struct dpc_run_log_event {
  dpc_run_log_kind kind;
  dpc_run_gap gap;  // GAP
  bool cut;         // DONE: it did not end in order
  dpc_run_end end;  // DONE, and not cut
} dpc_run_log_event;

/// Open a recording and read how it begins. DPC_ERR_FORMAT for what is none.
/// Allocates: heap. Blocks: disk. Thread: any, one reader each.
DPC_NODISCARD dpc_status dpc_run_log_open(const char* path, const dpc_wire_table* tick,
                                          dpc_run_log** out, dpc_error* error);

/// What it begins with; it is the reader's.
/// Allocates: no. Blocks: no. Thread: any.
const dpc_run_info* dpc_run_log_info(const dpc_run_log* log);

/// The next of what is in it. A tick goes to `tick`, whose values stay until the next call.
/// DPC_ERR_FORMAT for a file that is damaged, and for one that is cut unless it is a `.part`.
/// Allocates: heap. Blocks: disk. Thread: the reader's owner.
DPC_NODISCARD dpc_status dpc_run_log_read(dpc_run_log* log, void* tick, dpc_run_log_event* event,
                                          dpc_error* error);

/// Close and free. NULL is left alone.
/// Allocates: no. Blocks: no. Thread: the reader's owner.
void dpc_run_log_free(dpc_run_log* log);
