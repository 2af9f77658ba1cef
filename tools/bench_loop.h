/// `dpc bench --loop`: does the control loop wake up as punctually as this machine allows?
#pragma once

#include "tools/bench_network.h"
#include "tools/cli.h"

typedef struct dpc_bench_loop_def {
  double seconds;  // of a window
  int windows;     // of each kind, at each rate
  int priority;    // SCHED_FIFO
} dpc_bench_loop_def;

/// Count wake-ups at 100 and at 500 Hz, in windows of the loop and of a bare loop by turns, on one CPU
/// while a process keeps each other one busy. Prints both beside each other and the verdicts, and puts
/// them into `json`. Without the privileges it warns, and measures ordinary threads.
/// Allocates: from the arena; thread stacks. Blocks: for all windows. Thread: main only.
DPC_NODISCARD dpc_status dpc_bench_loop(const dpc_cli* cli, const dpc_bench_loop_def* def,
                                        const dpc_bench_network* network, dpc_arena* arena,
                                        dpc_json* json, dpc_error* error);
