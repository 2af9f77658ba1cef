/// dpc-run's supervisor, in the main thread: while the others drive the robot it receives signals, notes
/// from the link and acknowledgements, and in the end it has the robot brought to rest.
#pragma once

#include "tools/run_def.h"
#include "tools/run_report.h"

/// Whom it listens to, and what it has heard.
typedef struct dpc_run_supervisor {
  const dpc_run_def* def;
  const char* endpoint;  // by which a person can acknowledge
  int signal_fd, ack_fd;
  dpc_run_link* carrier;
  dpc_loop* loop;
  dpc_recorder* recorder;
  dpc_run_result* result;  // its episodes, `lost` and `stopped` are kept here

  bool stopping;
  dpc_time end;  // by run.duration
  int room;      // of `result->episodes`
} dpc_run_supervisor;

/// From now on SIGINT, SIGTERM and SIGHUP are written to `fd`, out, an eventfd, and end nothing by
/// themselves; SIGXFSZ and SIGPIPE are ignored, and SIGHUP where it was. DPC_ERR_IO. Once in a process.
/// Allocates: no. Blocks: no. Thread: main, before others are started.
DPC_NODISCARD dpc_status dpc_run_open_signals(int* fd, dpc_error* error);

/// Supervise until something says that the run is over: a signal, the robot's Bye, the last of
/// `run.episodes`, or `run.duration`. `result->episodes` is heap, the caller's to free.
/// Allocates: heap. Blocks: until then. Thread: main.
void dpc_run_supervise(dpc_run_supervisor* supervisor);

/// Have the robot braked, and say in `result->stopped` whether it has come to rest.
/// Allocates: no. Blocks: until it has, 2 s at most. Thread: main.
void dpc_run_bring_to_rest(dpc_run_supervisor* supervisor);
