/// The task in the push world: bring the block onto its goal. Observations, reward and end of an
/// episode are those of the public Push-T benchmark.
#pragma once

#include "policy/layout.h"
#include "sim/push_world.h"

enum {
  DPC_PUSH_OBS_DIM = 23,     // keypoint (9 x 2), agent_pos (2), block_pos (2), block_angle (1)
  DPC_PUSH_ACTION_DIM = 2,   // where the agent should go
  DPC_PUSH_STEPS_MAX = 300,  // steps of an episode
};

/// Coverage that is success, and at which the reward is 1.
#define DPC_PUSH_COVERAGE_GOAL 0.95

/// Targets up to here on both sides of zero are followed, px. Far outside the table, and far inside
/// of what the physics can stand.
#define DPC_PUSH_TARGET_MAX 1e6

/// How far an episode is.
typedef struct dpc_push_progress {
  int steps;        // taken
  double coverage;  // of the goal now, in [0, 1]
  double reward;    // of the last step: min(coverage / 0.95, 1); 0 before the first
  double score;     // largest reward so far
  bool success;     // coverage > 0.95 was reached
  bool done;        // success, or no steps left
} dpc_push_progress;

typedef struct dpc_push_task dpc_push_task;

/// What the push world observes and is commanded with, targets on its table, and its period of 0.1 s.
/// Allocates: no. Blocks: no. Thread: any.
const dpc_interface* dpc_push_task_interface(void);

/// Make a task with a world of its own, as `dpc_push_world_create` does; reset it before use.
/// Allocates: heap. Blocks: no. Thread: any, one task each.
DPC_NODISCARD dpc_status dpc_push_task_create(dpc_push_task** out, dpc_error* error);

/// Free a task and its world. NULL is left alone.
/// Allocates: no. Blocks: no. Thread: the task's owner.
void dpc_push_task_destroy(dpc_push_task* task);

/// Begin an episode from the benchmark's initial state for `seed`, placed as the benchmark's
/// evaluation does.
/// Allocates: heap, in Chipmunk. Blocks: no. Thread: the task's owner.
void dpc_push_task_reset(dpc_push_task* task, uint32_t seed);

/// Begin an episode from any state.
/// Allocates: heap, in Chipmunk. Blocks: no. Thread: the task's owner.
void dpc_push_task_place(dpc_push_task* task, const dpc_push_state* state,
                         dpc_push_placing placing);

/// What is seen now: `obs`, out, [DPC_PUSH_OBS_DIM], px and rad (the angle is not wrapped).
/// Allocates: no. Blocks: no. Thread: the task's owner.
void dpc_push_task_observe(const dpc_push_task* task, float* obs);

/// A part of a step, `ticks` of its DPC_PUSH_STEP_TICKS physics steps, towards `action`
/// [DPC_PUSH_ACTION_DIM], px; nothing is clipped. The step is counted and judged with its last tick,
/// and no call may go beyond it. An episode that is done goes no further (asserts). DPC_ERR_INVALID,
/// and no movement, for a target that is not finite or beyond DPC_PUSH_TARGET_MAX.
/// Allocates: heap, in Chipmunk. Blocks: no. Thread: the task's owner.
DPC_NODISCARD dpc_status dpc_push_task_advance(dpc_push_task* task, const float* action, int ticks,
                                               dpc_error* error);

/// One whole step of 0.1 s, as dpc_push_task_advance.
/// Allocates: heap, in Chipmunk. Blocks: no. Thread: the task's owner.
DPC_NODISCARD dpc_status dpc_push_task_step(dpc_push_task* task, const float* action,
                                            dpc_error* error);

/// How far the episode is.
/// Allocates: no. Blocks: no. Thread: the task's owner.
dpc_push_progress dpc_push_task_progress(const dpc_push_task* task);

/// Where everything is, unrounded.
/// Allocates: no. Blocks: no. Thread: the task's owner.
dpc_push_state dpc_push_task_state(const dpc_push_task* task);
