/// What dpc-run says at the end: a latency table per stage, what disturbed the real-time threads, what
/// was missed, and the scores that the robot reported.
#pragma once

#include "runtime/recorder.h"
#include "tools/cli.h"
#include "tools/run_link.h"

/// An episode that has ended.
typedef struct dpc_run_episode {
  uint64_t seed, steps;
  double score;
  bool success;
} dpc_run_episode;

/// All that is reported; the threads have stopped.
typedef struct dpc_run_result {
  const char* pace;
  int delay;  // ticks
  int steps;  // denoising
  const char* rt;
  bool memory_locked;
  const dpc_thread *control, *planner;  // the planner's is zeroed where it plans inside the tick
  int episode_count;
  dpc_run_episode* episodes;  // [episode_count], in the order in which they ended
  uint64_t lost;              // times the robot was gone
  bool stopped;               // the robot was brought to rest at the end, or was not there
  const dpc_loop_stats* loop;
  const dpc_latency* inference;
  const dpc_controller_counters* controller;
  const dpc_run_link* link;
  const dpc_link_counters* link_counts;
  dpc_recorder_result record;
} dpc_run_result;

/// Print it, and save it where `--json` says.
/// Allocates: heap, freed before it returns. Blocks: on the streams. Thread: main.
DPC_NODISCARD dpc_status dpc_run_report(const dpc_cli* cli, const dpc_run_result* result,
                                        dpc_error* error);
