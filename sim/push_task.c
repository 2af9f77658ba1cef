#include "sim/push_task.h"

#include <math.h>
#include <stdlib.h>

#include "sim/coverage.h"
#include "sim/push_block.h"

struct dpc_push_task {
  dpc_push_world* world;
  dpc_push_progress progress;
  int ticks;  // of the step that is under way
};

const dpc_interface* dpc_push_task_interface(void) {
  static const dpc_interface interface = {
      .obs = {.count = 4,
              .signals = {{.name = "keypoint", .dim = 2 * DPC_PUSH_KEYPOINTS, .unit = "px"},
                          {.name = "agent_pos", .dim = 2, .unit = "px"},
                          {.name = "block_pos", .dim = 2, .unit = "px"},
                          {.name = "block_angle", .dim = 1, .unit = "rad"}}},
      .action = {.count = 1,
                 .signals = {{.name = "action",
                              .dim = DPC_PUSH_ACTION_DIM,
                              .unit = "px",
                              .tracks = "agent_pos"}}},
      .period_ns = 1000000000 / DPC_PUSH_CONTROL_HZ,
      // the table, as in the benchmark; how fast targets move does not matter to the agent
      .limits = {.given = {{[DPC_LIMIT_LOW] = true, [DPC_LIMIT_HIGH] = true}},
                 .values = {[DPC_LIMIT_HIGH] = {DPC_PUSH_SIZE, DPC_PUSH_SIZE}}}};
  return &interface;
}

dpc_status dpc_push_task_create(dpc_push_task** out, dpc_error* error) {
  dpc_push_world* world = NULL;
  DPC_TRY(dpc_push_world_create(&world, error));
  dpc_push_task* task = calloc(1, sizeof *task);
  if (task == NULL) {
    dpc_push_world_destroy(world);
    return dpc_fail(error, DPC_ERR_NO_MEMORY, "no memory for a push task");
  }
  task->world = world;
  *out = task;
  return DPC_OK;
}

void dpc_push_task_destroy(dpc_push_task* task) {
  if (task == NULL) return;
  dpc_push_world_destroy(task->world);
  free(task);
}

void dpc_push_task_reset(dpc_push_task* task, uint32_t seed) {
  const dpc_push_state state = dpc_push_reset_state(seed);
  dpc_push_task_place(task, &state, DPC_PLACE_LEGACY);
}

void dpc_push_task_place(dpc_push_task* task, const dpc_push_state* state,
                         dpc_push_placing placing) {
  dpc_push_world_place(task->world, state, placing);
  const dpc_push_state placed = dpc_push_world_state(task->world);
  task->progress = (dpc_push_progress){.coverage = dpc_push_coverage(&placed)};
  task->ticks = 0;
}

void dpc_push_task_observe(const dpc_push_task* task, float* obs) {
  const dpc_push_state state = dpc_push_world_state(task->world);
  for (int i = 0; i < DPC_PUSH_KEYPOINTS; ++i) {
    double point[2];
    dpc_push_block_point(&state, dpc_push_keypoints[i][0], dpc_push_keypoints[i][1], point);
    *obs++ = (float)point[0];
    *obs++ = (float)point[1];
  }
  *obs++ = (float)state.agent_x;
  *obs++ = (float)state.agent_y;
  *obs++ = (float)state.block_x;
  *obs++ = (float)state.block_y;
  *obs = (float)state.block_angle;
}

// An episode ends with its first success, so success needs no memory.
static void judge(dpc_push_progress* progress, double coverage) {
  progress->steps += 1;
  progress->coverage = coverage;
  progress->reward = fmin(coverage / DPC_PUSH_COVERAGE_GOAL, 1);
  progress->score = fmax(progress->score, progress->reward);
  progress->success = coverage > DPC_PUSH_COVERAGE_GOAL;
  progress->done = progress->success || progress->steps == DPC_PUSH_STEPS_MAX;
}

dpc_status dpc_push_task_advance(dpc_push_task* task, const float* action, int ticks,
                                 dpc_error* error) {
  DPC_ASSERT(!task->progress.done);
  DPC_ASSERT(ticks >= 1 && task->ticks + ticks <= DPC_PUSH_STEP_TICKS);
  for (int i = 0; i < DPC_PUSH_ACTION_DIM; ++i) {
    // written so that NaN fails, too
    if (!(fabsf(action[i]) <= (float)DPC_PUSH_TARGET_MAX)) {
      return dpc_fail(error, DPC_ERR_INVALID, "action[%d] is %g; the push world takes %g to %g px",
                      i, (double)action[i], -DPC_PUSH_TARGET_MAX, DPC_PUSH_TARGET_MAX);
    }
  }
  dpc_push_world_advance(task->world, (double)action[0], (double)action[1], ticks);
  task->ticks += ticks;
  if (task->ticks == DPC_PUSH_STEP_TICKS) {
    const dpc_push_state state = dpc_push_world_state(task->world);
    judge(&task->progress, dpc_push_coverage(&state));
    task->ticks = 0;
  }
  return DPC_OK;
}

dpc_status dpc_push_task_step(dpc_push_task* task, const float* action, dpc_error* error) {
  return dpc_push_task_advance(task, action, DPC_PUSH_STEP_TICKS, error);
}

dpc_push_progress dpc_push_task_progress(const dpc_push_task* task) {
  return task->progress;
}

dpc_push_state dpc_push_task_state(const dpc_push_task* task) {
  return dpc_push_world_state(task->world);
}
