/// Episodes in process: a policy drives the push world, planning inside the tick. Used to evaluate a
/// policy, and as the trainer's callback. The controller is the one that drives robots, so an episode
/// here and one over the lock-step link have the same actions, bit for bit.
///
/// A rollout is an episode that can be left where it wants a plan: a world and the controller that
/// drives it. Who plans is not its business, so one planner may serve many, in one pass over the
/// network's weights. Alone, an episode goes like this (dpc_rollout_run):
///
///     dpc_rollout_begin(rollout, seed, episode_or_null, error);        // up to its first plan
///     while (dpc_rollout_request(rollout) != NULL) {
///       dpc_planner_make(planner, dpc_rollout_request(rollout), &plan);
///       dpc_rollout_advance(rollout, &plan, error);                    // up to its next
///     }
///     dpc_rollout_outcome(rollout, &result);
///
/// With several ticks to a policy step the agent has a command for each; what is observed, rewarded
/// and recorded stays once per policy step.
#pragma once

#include "policy/policy.h"
#include "proto/episode_log.h"
#include "runtime/controller.h"
#include "runtime/planner.h"
#include "sim/push_task.h"
#include "tools/motion.h"

/// How an episode went.
typedef struct dpc_rollout_result {
  uint32_t seed;
  int steps;
  double score;  // largest reward, in [0, 1]
  bool success;
  uint64_t failed_plans;    // chunks that were not finite; the agent was held meanwhile
  dpc_motion_steps motion;  // of the commands
} dpc_rollout_result;

// --- one -------------------------------------------------------------------------------------------

typedef struct dpc_rollout dpc_rollout;

/// Make a world and a controller for it; `def->delay` must be set, `def->seed` is that of the run.
/// DPC_ERR_CONFIG for settings that do not fit the policy, or ticks that are no whole physics steps,
/// DPC_ERR_MISMATCH for a policy that observes or commands something else than the push world has.
/// Allocates: from the arena; heap, for the world. Blocks: no. Thread: any, one rollout each.
DPC_NODISCARD dpc_status dpc_rollout_create(const dpc_controller_def* def,
                                            const dpc_checkpoint_info* policy, dpc_arena* arena,
                                            dpc_rollout** out, dpc_error* error);

/// Free the world. NULL is left alone.
/// Allocates: no. Blocks: no. Thread: the rollout's owner.
void dpc_rollout_destroy(dpc_rollout* rollout);

/// Begin the episode of `seed`, whatever became of the one before, and play it until a plan is wanted.
/// With `episode`, which is zeroed or from an earlier call, all that happens is written there (free it
/// with dpc_episode_free; NULL when not wanted). Only episodes with one tick to a policy step can be:
/// an episode's steps have one action each. What comes of an episode depends on settings, policy
/// and seed alone, not on episodes before.
/// Allocates: heap, in Chipmunk and for `episode`. Blocks: no. Thread: the rollout's owner.
DPC_NODISCARD dpc_status dpc_rollout_begin(dpc_rollout* rollout, uint32_t seed,
                                           dpc_episode* episode, dpc_error* error);

/// The plan that the episode waits for, until it is advanced; NULL when the episode is over.
/// Allocates: no. Blocks: no. Thread: the rollout's owner.
const dpc_plan_request* dpc_rollout_request(const dpc_rollout* rollout);

/// Go on with the `plan` that answers dpc_rollout_request, until the next is wanted or the episode is
/// over. After a failure, the episode can only be begun anew.
/// Allocates: heap, in Chipmunk and for the episode. Blocks: no. Thread: the rollout's owner.
DPC_NODISCARD dpc_status dpc_rollout_advance(dpc_rollout* rollout, const dpc_plan* plan,
                                             dpc_error* error);

/// How the episode went that is over now.
/// Allocates: no. Blocks: no. Thread: the rollout's owner.
void dpc_rollout_outcome(const dpc_rollout* rollout, dpc_rollout_result* result);

/// The whole episode of `seed`, with a planner that has no other. dpc_rollouts_run gives the same.
/// Allocates: as dpc_rollout_begin. Blocks: no. Thread: the rollout's and the planner's owner.
DPC_NODISCARD dpc_status dpc_rollout_run(dpc_rollout* rollout, dpc_planner* planner, uint32_t seed,
                                         dpc_episode* episode, dpc_rollout_result* result,
                                         dpc_error* error);

// --- many, on all cores ----------------------------------------------------------------------------

/// Called for each episode in the order of seeds, one at a time, from any thread. `episode` is as
/// recorded, or NULL. Anything but DPC_OK ends the run.
typedef dpc_status dpc_rollout_visit(void* user, const dpc_rollout_result* result,
                                     const dpc_episode* episode, dpc_error* error);

typedef struct dpc_rollout_def {
  dpc_sampler_def sampler;        // what to denoise with
  dpc_controller_def controller;  // `delay` must be set; `seed` is that of the run
} dpc_rollout_def;

/// What a policy's checkpoint says, no delay, and commands bounded by the table.
/// Allocates: no. Blocks: no. Thread: any.
dpc_rollout_def dpc_rollout_def_default(const dpc_checkpoint_info* info);

typedef struct dpc_rollouts_def {
  dpc_rollout_def rollout;
  uint32_t first_seed;
  int count;                  // seeds, >= 1; they must stay below 2^32
  int threads;                // 0: as many as there are processors
  bool record;                // whether `visit` gets the episode
  dpc_rollout_visit* visit;   // NULL: none
  void* user;                 // of `visit`
  bool (*interrupted)(void);  // asked often, from any thread, one at a time; NULL: never
} dpc_rollouts_def;

/// Whether dpc_rollouts_run takes these settings: the errors of dpc_rollout_create, dpc_planner_create
/// and, for guided switching, dpc_planner_guide.
/// Allocates: heap and mapped memory, given back. Blocks: no. Thread: any.
DPC_NODISCARD dpc_status dpc_rollouts_check(const dpc_rollout_def* def, const dpc_policy* policy,
                                            dpc_error* error);

/// Run the episodes of `count` seeds into `results` [count], out. Each thread has several in flight and
/// plans for them together, which changes no bit of the results; nor does the number of threads. The
/// threads share the policy, whose engine should have one of its own. The first failure in the order
/// of seeds ends it, and so does an interruption (DPC_ERR_INTERRUPTED), with episodes left in flight.
/// Allocates: heap and mapped memory, given back. Blocks: on its threads. Thread: any.
DPC_NODISCARD dpc_status dpc_rollouts_run(const dpc_rollouts_def* def, const dpc_policy* policy,
                                          dpc_rollout_result* results, dpc_error* error);
