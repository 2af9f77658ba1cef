#include "tools/rollout.h"

#include <string.h>

#include "runtime/planner.h"

struct dpc_rollout {
  dpc_controller* controller;
  dpc_planner* planner;
  dpc_push_task* task;
  uint64_t epoch;  // episodes begun
};

dpc_rollout_def dpc_rollout_def_default(const dpc_checkpoint_info* info) {
  dpc_rollout_def def = {.sampler = info->sampler, .controller = dpc_controller_def_default()};
  def.controller.delay = 0;
  def.controller.action_min = 0;
  def.controller.action_max = DPC_PUSH_SIZE;
  return def;
}

static dpc_status create(const dpc_rollout_def* def, const dpc_policy* policy, dpc_arena* arena,
                         dpc_rollout* r, dpc_error* error) {
  const dpc_checkpoint_info* info = dpc_policy_info(policy);
  const dpc_interface* world = dpc_push_task_interface();
  DPC_TRY(dpc_controller_create(&def->controller, info, world, arena, &r->controller, error));
  DPC_TRY(dpc_planner_create(policy, &def->sampler, 1, arena, &r->planner, error));
  return dpc_push_task_create(&r->task, error);
}

dpc_status dpc_rollout_create(const dpc_rollout_def* def, const dpc_policy* policy,
                              dpc_arena* arena, dpc_rollout** out, dpc_error* error) {
  const size_t mark = dpc_arena_mark(arena);
  dpc_rollout* r = DPC_TAKE(arena, dpc_rollout, 1);
  if (r == NULL) return dpc_arena_full(arena, "a rollout", error);
  const dpc_status status = create(def, policy, arena, r, error);
  if (status != DPC_OK) {
    dpc_rollout_destroy(r);
    dpc_arena_release(arena, mark);
    return status;
  }
  *out = r;
  return DPC_OK;
}

void dpc_rollout_destroy(dpc_rollout* rollout) {
  if (rollout == NULL) return;
  dpc_push_task_destroy(rollout->task);
  dpc_planner_destroy(rollout->planner);
}

// --- an episode ------------------------------------------------------------------------------------

// One tick: a plan that is due is made on the spot, and the controller waits with it for its tick.
static void decide(dpc_rollout* r, const dpc_tick_input* input, dpc_tick_output* output) {
  dpc_plan_request request;
  dpc_plan plan;
  const bool wanted = dpc_controller_observe(r->controller, input, &request);
  if (wanted) dpc_planner_make(r->planner, &request, &plan);
  dpc_controller_tick(r->controller, input, wanted ? &plan : NULL, output);
}

static void record_step(dpc_episode* episode, int row, const float* obs, const float* action,
                        const dpc_push_progress* progress) {
  memcpy(episode->obs + (size_t)row * DPC_PUSH_OBS_DIM, obs, sizeof(float) * DPC_PUSH_OBS_DIM);
  memcpy(episode->action + (size_t)row * DPC_PUSH_ACTION_DIM, action,
         sizeof(float) * DPC_PUSH_ACTION_DIM);
  episode->reward[row] = progress->reward;
  episode->done[row] = progress->done;
}

static dpc_status begin_record(dpc_episode* episode, uint32_t seed, dpc_error* error) {
  episode->interface = *dpc_push_task_interface();
  episode->seed = seed;
  return dpc_episode_resize(episode, DPC_PUSH_STEPS_MAX, DPC_PUSH_OBS_DIM, DPC_PUSH_ACTION_DIM,
                            error);
}

static dpc_status end_record(dpc_episode* episode, int steps, const float* last_obs,
                             dpc_error* error) {
  DPC_TRY(dpc_episode_resize(episode, steps, DPC_PUSH_OBS_DIM, DPC_PUSH_ACTION_DIM, error));
  episode->last_obs = episode->obs + (size_t)steps * DPC_PUSH_OBS_DIM;
  memcpy(episode->last_obs, last_obs, sizeof(float) * DPC_PUSH_OBS_DIM);
  return DPC_OK;
}

dpc_status dpc_rollout_run(dpc_rollout* rollout, uint32_t seed, dpc_episode* episode,
                           dpc_rollout_result* result, dpc_error* error) {
  dpc_rollout* r = rollout;
  float obs[DPC_PUSH_OBS_DIM];
  if (episode != NULL) DPC_TRY(begin_record(episode, seed, error));
  const uint64_t failed = dpc_controller_counts(r->controller)->failed;
  const uint64_t epoch = r->epoch++;
  dpc_push_task_reset(r->task, seed);
  dpc_push_task_observe(r->task, obs);
  dpc_push_progress progress = dpc_push_task_progress(r->task);
  while (!progress.done) {
    const dpc_tick_input input = {
        .tick = (uint64_t)progress.steps, .epoch = epoch, .seed = seed, .obs = obs, .fresh = true};
    dpc_tick_output output;
    decide(r, &input, &output);
    DPC_TRY(dpc_push_task_step(r->task, output.action, error));
    progress = dpc_push_task_progress(r->task);
    if (episode != NULL) {
      record_step(episode, progress.steps - 1, obs, output.action, &progress);
    }
    dpc_push_task_observe(r->task, obs);
  }
  if (episode != NULL) DPC_TRY(end_record(episode, progress.steps, obs, error));
  *result = (dpc_rollout_result){
      .seed = seed,
      .steps = progress.steps,
      .score = progress.score,
      .success = progress.success,
      .failed_plans = dpc_controller_counts(r->controller)->failed - failed,
  };
  return DPC_OK;
}
