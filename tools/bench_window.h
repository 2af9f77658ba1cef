/// Windows of time in which wake-ups are counted: of the control loop as dpc-run has it, and of a bare
/// loop that only sleeps, which shows what the machine itself does to a thread of that priority.
#pragma once

#include "runtime/loop.h"

typedef struct dpc_window_def {
  const dpc_policy* policy;
  dpc_thread_place control, planner;
  dpc_duration period;  // of a control tick; the policy's is a multiple
  dpc_duration length;  // of a window
} dpc_window_def;

/// What has been counted in one window, or in several of a kind.
typedef struct dpc_window_count {
  dpc_latency wake_up;  // how late
  uint64_t missed;      // wake-ups later than a period
  dpc_thread_usage usage;
} dpc_window_count;

/// Add what `count` has to `to`.
/// Allocates: no. Blocks: no. Thread: the owner of both.
void dpc_window_count_add(dpc_window_count* to, const dpc_window_count* count);

/// A window of the loop: control thread, planner in its thread, and in the link's place an ordinary
/// thread that is the robot: it observes once per policy step and takes the commands. Adds to `count`.
/// Errors are those of creating and starting what it needs.
/// Allocates: from the arena, given back; thread stacks. Blocks: for the window. Thread: main only.
DPC_NODISCARD dpc_status dpc_window_loop(const dpc_window_def* def, dpc_arena* arena,
                                         dpc_window_count* count, dpc_error* error);

/// A window of the bare loop, with the same priority on the same CPU.
/// Allocates: a thread's stack. Blocks: for the window. Thread: main only.
DPC_NODISCARD dpc_status dpc_window_bare(const dpc_window_def* def, dpc_window_count* count,
                                         dpc_error* error);
