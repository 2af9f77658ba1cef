/// Latency as a setting: before a robot hears of us, the time of a plan is measured on this machine, and
/// the delay and the number of denoising steps are chosen from it, or checked against it.
#pragma once

#include "tools/run_def.h"

typedef struct dpc_run_latency {
  const dpc_run_def* def;
  const dpc_policy* policy;
  dpc_thread_place place;          // of the thread that will plan
  dpc_controller_def* controller;  // delay in and out
  dpc_sampler_def* sampler;        // steps in and out
  dpc_arena* arena;                // holds the planner as the last thing
  size_t mark;                     // of the arena, before the planner
  dpc_planner** planner;           // made anew when the steps change
} dpc_run_latency;

/// A control tick.
/// Allocates: no. Blocks: no. Thread: any.
dpc_duration dpc_run_period(const dpc_policy* policy, const dpc_controller_def* controller);

/// Make the planner; steps that are to be chosen are the policy's own at first. Errors are those of
/// dpc_planner_create.
/// Allocates: from the arena. Blocks: no. Thread: start-up only.
DPC_NODISCARD dpc_status dpc_run_make_planner(dpc_run_latency* latency, dpc_error* error);

/// Measure plans. DPC_DELAY_AUTO becomes the delay that the p99.9 needs, with a margin, as far as the
/// policy has rows for it. `choose_steps`: the largest number of steps, up to the policy's own, with
/// which a plan fits in the delay. What was chosen is logged. A delay that is still too small is warned
/// of; where real time is required it is refused with DPC_ERR_CONFIG, as is, always, a delay for which
/// the policy has no rows.
/// Allocates: from the arena, in the planner's place. Blocks: while it measures. Thread: start-up only.
DPC_NODISCARD dpc_status dpc_run_settle(dpc_run_latency* latency, bool choose_steps,
                                        dpc_error* error);
