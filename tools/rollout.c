#include "tools/rollout.h"

#include <string.h>

struct dpc_rollout {
  dpc_controller* controller;
  dpc_push_task* task;
  int ticks_per_step;

  // the episode
  uint64_t tick;
  uint64_t epoch;  // tells the controller episodes apart
  uint32_t seed;
  float obs[DPC_PUSH_OBS_DIM];  // what is seen now
  bool waiting;                 // for the answer to `request`
  dpc_plan_request request;
  uint64_t failed_before;  // plans, in earlier episodes
  dpc_motion_meter motion;
  dpc_episode* record;  // NULL: not wanted
};

static dpc_status create(const dpc_controller_def* def, const dpc_checkpoint_info* policy,
                         dpc_arena* arena, dpc_rollout* r, dpc_error* error) {
  const dpc_interface* world = dpc_push_task_interface();
  r->ticks_per_step = def->ticks_per_step;
  if (DPC_PUSH_STEP_TICKS % def->ticks_per_step != 0) {
    return dpc_fail(error, DPC_ERR_CONFIG,
                    "controller.ticks_per_step: %d, but a step of the push world is cut into equal "
                    "parts of its %d physics steps",
                    def->ticks_per_step, DPC_PUSH_STEP_TICKS);
  }
  DPC_TRY(dpc_controller_create(def, policy, world, arena, &r->controller, error));
  return dpc_push_task_create(&r->task, error);
}

dpc_status dpc_rollout_create(const dpc_controller_def* def, const dpc_checkpoint_info* policy,
                              dpc_arena* arena, dpc_rollout** out, dpc_error* error) {
  const size_t mark = dpc_arena_mark(arena);
  dpc_rollout* r = DPC_TAKE(arena, dpc_rollout, 1);
  if (r == NULL) return dpc_arena_full(arena, "a rollout", error);
  const dpc_status status = create(def, policy, arena, r, error);
  if (status != DPC_OK) {
    dpc_arena_release(arena, mark);
    return status;
  }
  *out = r;
  return DPC_OK;
}

void dpc_rollout_destroy(dpc_rollout* rollout) {
  if (rollout != NULL) dpc_push_task_destroy(rollout->task);
}

// --- recording -------------------------------------------------------------------------------------

static dpc_status begin_record(dpc_rollout* r, dpc_error* error) {
  r->record->interface = *dpc_push_task_interface();
  r->record->seed = r->seed;
  return dpc_episode_resize(r->record, DPC_PUSH_STEPS_MAX, DPC_PUSH_OBS_DIM, DPC_PUSH_ACTION_DIM,
                            error);
}

// The step that was taken, and what was seen before it.
static void record_step(dpc_rollout* r, const float* action) {
  const dpc_push_progress progress = dpc_push_task_progress(r->task);
  const size_t row = (size_t)progress.steps - 1;
  memcpy(r->record->obs + row * DPC_PUSH_OBS_DIM, r->obs, sizeof r->obs);
  memcpy(r->record->action + row * DPC_PUSH_ACTION_DIM, action,
         sizeof(float) * DPC_PUSH_ACTION_DIM);
  r->record->reward[row] = progress.reward;
  r->record->done[row] = progress.done;
}

static dpc_status end_record(dpc_rollout* r, dpc_error* error) {
  const int steps = dpc_push_task_progress(r->task).steps;
  DPC_TRY(dpc_episode_resize(r->record, steps, DPC_PUSH_OBS_DIM, DPC_PUSH_ACTION_DIM, error));
  r->record->last_obs = r->record->obs + (size_t)steps * DPC_PUSH_OBS_DIM;
  memcpy(r->record->last_obs, r->obs, sizeof r->obs);
  return DPC_OK;
}

// --- an episode ------------------------------------------------------------------------------------

// Observed once per policy step, as in the benchmark; between, the controller sees that nothing is new.
static bool step_begins(const dpc_rollout* r) {
  return r->tick % (uint64_t)r->ticks_per_step == 0;
}

static dpc_tick_input input_now(const dpc_rollout* r) {
  return (dpc_tick_input){.tick = r->tick,
                          .epoch = r->epoch,
                          .seed = r->seed,
                          .obs = r->obs,
                          .fresh = step_begins(r),
                          // each episode counts by itself, whatever the one before ended with
                          .acknowledged = r->tick == 0};
}

// A tick's second half, with the plan if it asked for one, and what the world makes of it.
static dpc_status act(dpc_rollout* r, const dpc_plan* plan, dpc_error* error) {
  const dpc_tick_input input = input_now(r);
  dpc_tick_output output;
  dpc_controller_tick(r->controller, &input, plan, &output);
  const int physics = DPC_PUSH_STEP_TICKS / r->ticks_per_step;
  DPC_TRY(dpc_push_task_advance(r->task, output.action, physics, error));
  for (int i = 0; i < physics; ++i) {
    dpc_motion_add(&r->motion, output.action, output.adopted && i == 0);
  }
  r->tick += 1;
  if (!step_begins(r)) return DPC_OK;
  if (r->record != NULL) record_step(r, output.action);
  dpc_push_task_observe(r->task, r->obs);
  return DPC_OK;
}

// Whole ticks, up to the first half of one that asks for a plan.
static dpc_status play(dpc_rollout* r, dpc_error* error) {
  while (!dpc_push_task_progress(r->task).done) {
    const dpc_tick_input input = input_now(r);
    r->waiting = dpc_controller_observe(r->controller, &input, &r->request);
    if (r->waiting) return DPC_OK;
    DPC_TRY(act(r, NULL, error));
  }
  return r->record != NULL ? end_record(r, error) : DPC_OK;
}

dpc_status dpc_rollout_begin(dpc_rollout* rollout, uint32_t seed, dpc_episode* episode,
                             dpc_error* error) {
  dpc_rollout* r = rollout;
  DPC_ASSERT(episode == NULL || r->ticks_per_step == 1);
  r->epoch += 1;
  r->seed = seed;
  r->tick = 0;
  r->motion = (dpc_motion_meter){0};
  r->waiting = false;
  r->failed_before = dpc_controller_counts(r->controller)->failed;
  r->record = episode;
  if (r->record != NULL) DPC_TRY(begin_record(r, error));
  dpc_push_task_reset(r->task, seed);
  dpc_push_task_observe(r->task, r->obs);
  return play(r, error);
}

const dpc_plan_request* dpc_rollout_request(const dpc_rollout* rollout) {
  return rollout->waiting ? &rollout->request : NULL;
}

dpc_status dpc_rollout_advance(dpc_rollout* rollout, const dpc_plan* plan, dpc_error* error) {
  DPC_ASSERT(rollout->waiting);
  rollout->waiting = false;
  DPC_TRY(act(rollout, plan, error));
  return play(rollout, error);
}

void dpc_rollout_outcome(const dpc_rollout* rollout, dpc_rollout_result* result) {
  const dpc_push_progress progress = dpc_push_task_progress(rollout->task);
  DPC_ASSERT(progress.done);
  *result = (dpc_rollout_result){
      .seed = rollout->seed,
      .steps = progress.steps,
      .score = progress.score,
      .success = progress.success,
      .failed_plans = dpc_controller_counts(rollout->controller)->failed - rollout->failed_before,
      .motion = rollout->motion.motion,
  };
}

dpc_status dpc_rollout_run(dpc_rollout* rollout, dpc_planner* planner, uint32_t seed,
                           dpc_episode* episode, dpc_rollout_result* result, dpc_error* error) {
  DPC_TRY(dpc_rollout_begin(rollout, seed, episode, error));
  while (dpc_rollout_request(rollout) != NULL) {
    dpc_plan plan;
    dpc_planner_make(planner, dpc_rollout_request(rollout), &plan);
    DPC_TRY(dpc_rollout_advance(rollout, &plan, error));
  }
  dpc_rollout_outcome(rollout, result);
  return DPC_OK;
}
