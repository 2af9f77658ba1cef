/// What the episodes of an evaluation say about a policy, and how sure that is.
#pragma once

#include "tools/rollout.h"

/// Means with 95 % confidence intervals, [low, high].
typedef struct dpc_score {
  int episodes;
  double mean, mean_ci95[2];        // score, bootstrap over episodes
  double success, success_ci95[2];  // rate, Wilson (1927)
  // an episode's largest at its switches: mean and largest of the episodes that have switches
  double velocity_step_mean, velocity_step_max;  // px/s
  double jerk_mean, jerk_max;                    // px/s^3
} dpc_score;

/// Sum up `count` >= 1 results; `seed` fixes the bootstrap's draws. Depends on the order of results
/// only within rounding.
/// Allocates: heap, given back. Blocks: no. Thread: any.
DPC_NODISCARD dpc_status dpc_score_of(const dpc_rollout_result* results, int count, uint32_t seed,
                                      dpc_score* out, dpc_error* error);

/// What `others` lose in score against `results`, episode by episode of the same `count` >= 1 seeds:
/// the mean, and its interval as dpc_score_of makes it.
/// Allocates: heap, given back. Blocks: no. Thread: any.
DPC_NODISCARD dpc_status dpc_score_loss(const dpc_rollout_result* results,
                                        const dpc_rollout_result* others, int count, uint32_t seed,
                                        double* mean, double interval[2], dpc_error* error);

/// Wilson's interval for `successes` of `count` >= 1 trials at 95 %.
/// Allocates: no. Blocks: no. Thread: any.
void dpc_score_wilson(int successes, int count, double interval[2]);

/// Load the policy in a checkpoint, run it with its own settings over `count` seeds on `threads`
/// threads (0: all processors), and sum up: what a trainer calls now and then.
/// Allocates: heap and mapped memory, given back. Blocks: disk, and on its threads. Thread: any.
DPC_NODISCARD dpc_status dpc_score_checkpoint(const char* path, uint32_t first_seed, int count,
                                              int threads, dpc_score* out, dpc_error* error);
