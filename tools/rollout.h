/// Episodes in process: a policy drives the push world, planning inside the tick. Used to evaluate a
/// policy, and as the trainer's callback. The controller is the one that drives robots, so an episode
/// here and one over the lock-step link have the same actions, bit for bit.
#pragma once

#include "policy/policy.h"
#include "proto/episode_log.h"
#include "runtime/controller.h"
#include "sim/push_task.h"

typedef struct dpc_rollout_def {
  dpc_sampler_def sampler;        // what to denoise with
  dpc_controller_def controller;  // `delay` must be set; `seed` is that of the run
} dpc_rollout_def;

/// What a policy's checkpoint says, no delay, and commands bounded by the table.
/// Allocates: no. Blocks: no. Thread: any.
dpc_rollout_def dpc_rollout_def_default(const dpc_checkpoint_info* info);

/// How an episode went.
typedef struct dpc_rollout_result {
  uint32_t seed;
  int steps;
  double score;  // largest reward, in [0, 1]
  bool success;
  uint64_t failed_plans;  // chunks that were not finite; the agent was held meanwhile
} dpc_rollout_result;

// --- one thread's ----------------------------------------------------------------------------------

typedef struct dpc_rollout dpc_rollout;

/// Make what episodes of one thread need: a world, a controller, a planner. The policy is shared
/// and must outlive it. DPC_ERR_CONFIG for settings that do not fit the policy, DPC_ERR_MISMATCH for
/// a policy that observes or commands something else than the push world has.
/// Allocates: from the arena; heap, for the world. Blocks: no. Thread: any, one rollout each.
DPC_NODISCARD dpc_status dpc_rollout_create(const dpc_rollout_def* def, const dpc_policy* policy,
                                            dpc_arena* arena, dpc_rollout** out, dpc_error* error);

/// Free the world and what the planner holds. NULL is left alone.
/// Allocates: no. Blocks: no. Thread: the rollout's owner.
void dpc_rollout_destroy(dpc_rollout* rollout);

/// Run the episode of `seed` to its end. With `episode`, which is zeroed or from an earlier call, all
/// that happened is written there (free it with dpc_episode_free); NULL when not wanted. The result
/// depends on settings, policy and seed alone, not on episodes before.
/// Allocates: heap, in Chipmunk and for `episode`. Blocks: no. Thread: the rollout's owner.
DPC_NODISCARD dpc_status dpc_rollout_run(dpc_rollout* rollout, uint32_t seed, dpc_episode* episode,
                                         dpc_rollout_result* result, dpc_error* error);

// --- many, on all cores ----------------------------------------------------------------------------

/// Called for each episode in the order of seeds, one at a time, from any thread. `episode` is as
/// recorded, or NULL. Anything but DPC_OK ends the run.
typedef dpc_status dpc_rollout_visit(void* user, const dpc_rollout_result* result,
                                     const dpc_episode* episode, dpc_error* error);

typedef struct dpc_rollouts_def {
  dpc_rollout_def rollout;
  uint32_t first_seed;
  int count;                 // seeds, >= 1; they must stay below 2^32
  int threads;               // 0: as many as there are processors
  bool record;               // whether `visit` gets the episode
  dpc_rollout_visit* visit;  // NULL: none
  void* user;                // of `visit`
} dpc_rollouts_def;

/// Run the episodes of `count` seeds, whatever the number of threads with the same results, into
/// `results` [count], out. The first failure in the order of seeds ends it.
/// Allocates: heap and mapped memory, given back. Blocks: on its threads. Thread: any.
DPC_NODISCARD dpc_status dpc_rollouts_run(const dpc_rollouts_def* def, const dpc_policy* policy,
                                          dpc_rollout_result* results, dpc_error* error);
