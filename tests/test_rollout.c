// An episode in process: whole, repeatable, and the same whatever was before it.

#include "tools/rollout.h"

#include "tests/rollout_alone.h"
#include "tests/small_policy.h"

enum { SEEDS = 5 };

static dpc_arena arena;
static dpc_policy* policy;
static dpc_error error;

static int set_up(void** state) {
  (void)state;
  assert_ok(dpc_arena_map(&arena, (size_t)1 << 30, &error), &error);
  assert_ok(small_policy_load(&arena, &policy, &error), &error);
  return 0;
}

static int tear_down(void** state) {
  (void)state;
  dpc_arena_unmap(&arena);
  return 0;
}

static dpc_rollout_def default_def(void) {
  return dpc_rollout_def_default(dpc_policy_info(policy));
}

static dpc_episode run_alone(const dpc_rollout_def* def, uint32_t seed) {
  dpc_episode episode = {0};
  alone a = alone_make(def, policy, &arena);
  alone_run(&a, seed, &episode);
  alone_free(&a);
  return episode;
}

// --- one rollout -----------------------------------------------------------------------------------

static void test_records_all_of_an_episode(void** state) {
  (void)state;
  const dpc_rollout_def def = default_def();
  alone a = alone_make(&def, policy, &arena);
  dpc_push_task* task = NULL;
  assert_ok(dpc_push_task_create(&task, &error), &error);
  for (uint32_t seed = 0; seed < SEEDS; ++seed) {
    dpc_episode e = {0};
    float obs[DPC_PUSH_OBS_DIM];
    const dpc_rollout_result result = alone_run(&a, seed, &e);
    assert_int_equal(result.seed, seed);
    assert_int_equal(result.steps, e.length);
    assert_int_equal(e.seed, seed);
    double best = 0;
    dpc_push_task_reset(task, seed);
    for (int t = 0; t < e.length; ++t) {  // the task, given the recorded actions, says the same
      const float* action = e.action + (size_t)t * DPC_PUSH_ACTION_DIM;
      dpc_push_task_observe(task, obs);
      assert_memory_equal(obs, e.obs + (size_t)t * DPC_PUSH_OBS_DIM, sizeof obs);
      assert_true(action[0] >= 0 && action[0] <= 512 && action[1] >= 0 && action[1] <= 512);
      assert_ok(dpc_push_task_step(task, action, &error), &error);
      assert_true(e.reward[t] == dpc_push_task_progress(task).reward);
      assert_true(e.done[t] == (t == e.length - 1));
      best = fmax(best, e.reward[t]);
    }
    dpc_push_task_observe(task, obs);
    assert_memory_equal(obs, e.last_obs, sizeof obs);
    assert_true(result.score == best);
    assert_true(result.success || e.length == DPC_PUSH_STEPS_MAX);
    dpc_episode_free(&e);
  }
  dpc_push_task_destroy(task);
  alone_free(&a);
}

static void test_earlier_episodes_leave_no_trace(void** state) {
  (void)state;
  const dpc_rollout_def def = default_def();
  alone a = alone_make(&def, policy, &arena);
  dpc_episode first = run_alone(&def, 7), after = {0};
  for (uint32_t seed = 11; seed < 13; ++seed) alone_run(&a, seed, NULL);
  alone_run(&a, 7, &after);
  assert_true(same_episode(&first, &after));
  dpc_episode_free(&first);
  dpc_episode_free(&after);
  alone_free(&a);
}

// An episode may be left where it wants a plan; the next begins as if it had not been.
static void test_left_in_flight_leaves_no_trace(void** state) {
  (void)state;
  const dpc_rollout_def def = default_def();
  alone a = alone_make(&def, policy, &arena);
  dpc_episode first = run_alone(&def, 7), after = {0};
  dpc_plan plan;
  assert_ok(dpc_rollout_begin(a.rollout, 11, &after, &error), &error);
  for (uint64_t tick = 0; tick < 3 * SMALL_N_ACTIONS; tick += SMALL_N_ACTIONS) {
    assert_int_equal(dpc_rollout_request(a.rollout)->tick, tick);
    dpc_planner_make(a.planner, dpc_rollout_request(a.rollout), &plan);
    assert_ok(dpc_rollout_advance(a.rollout, &plan, &error), &error);
  }
  alone_run(&a, 7, &after);
  assert_null(dpc_rollout_request(a.rollout));
  assert_true(same_episode(&first, &after));
  dpc_episode_free(&first);
  dpc_episode_free(&after);
  alone_free(&a);
}

static void test_noise_is_the_run_seeds(void** state) {
  (void)state;
  dpc_rollout_def def = default_def();
  dpc_episode first = run_alone(&def, 7);
  def.controller.seed = 1;
  dpc_episode second = run_alone(&def, 7);
  assert_memory_equal(first.obs, second.obs, DPC_PUSH_OBS_DIM * sizeof(float));
  assert_memory_not_equal(first.action, second.action, 2 * sizeof(float));
  dpc_episode_free(&first);
  dpc_episode_free(&second);
}

// Until the first plan takes effect the agent is told to stay where it is; the plan then goes on from
// the row that is due, as if there had been no wait.
static void test_delay_holds_then_follows(void** state) {
  (void)state;
  enum { DELAY = 3 };
  dpc_rollout_def def = default_def();
  dpc_episode prompt = run_alone(&def, 7);
  def.controller.delay = DELAY;
  dpc_episode late = run_alone(&def, 7);
  for (size_t t = 0; t < DELAY; ++t) {
    assert_memory_equal(&late.action[2 * t], &late.obs[18], 2 * sizeof(float));
  }
  assert_memory_equal(&late.action[(size_t)2 * DELAY], &prompt.action[(size_t)2 * DELAY],
                      sizeof(float[2][SMALL_N_ACTIONS - DELAY]));
  dpc_episode_free(&prompt);
  dpc_episode_free(&late);
}

// --- many commands to a step -----------------------------------------------------------------------

static dpc_rollout_result result_of(const dpc_rollout_def* def, uint32_t seed) {
  alone a = alone_make(def, policy, &arena);
  const dpc_rollout_result result = alone_run(&a, seed, NULL);
  alone_free(&a);
  return result;
}

// A row that is held for all the ticks of its step is the row of one tick, to the bit.
static void test_held_rows_are_the_same_at_every_rate(void** state) {
  (void)state;
  for (int mode = DPC_SWITCHING_WAIT; mode <= DPC_SWITCHING_PREFIX; ++mode) {
    for (int delay = 0; delay <= 6; delay += 3) {
      dpc_rollout_def def = default_def();
      def.controller.switching = mode;
      def.controller.delay = delay;
      const dpc_rollout_result once = result_of(&def, 7);
      for (int rate = 2; rate <= 10; rate += rate == 2 ? 3 : 5) {
        def.controller.ticks_per_step = rate;
        def.controller.delay = delay * rate;
        const dpc_rollout_result often = result_of(&def, 7);
        assert_true(often.steps == once.steps && often.score == once.score);
        assert_true(often.motion.switches == once.motion.switches);
        assert_true(often.motion.velocity_step == once.motion.velocity_step);
        assert_true(often.motion.jerk == once.motion.jerk);
      }
    }
  }
}

// A spline is another way there, without the steps of held rows.
static void test_splines_are_smooth(void** state) {
  (void)state;
  dpc_rollout_def def = default_def();
  const dpc_rollout_result held = result_of(&def, 7);
  def.controller.ticks_per_step = 10;
  def.controller.interpolation = DPC_INTERPOLATION_CUBIC;
  const dpc_rollout_result smooth = result_of(&def, 7), again = result_of(&def, 7);
  assert_true(held.motion.switches > 10 && smooth.motion.switches > 10);
  assert_true(smooth.motion.velocity_step < 0.3 * held.motion.velocity_step);
  assert_true(smooth.motion.jerk < 0.1 * held.motion.jerk);
  assert_true(smooth.score == again.score && smooth.motion.jerk == again.motion.jerk);
}

static void test_settings_that_do_not_fit_are_refused(void** state) {
  (void)state;
  dpc_rollout* rollout = NULL;
  dpc_rollout_result result;
  const size_t mark = arena.used;
  dpc_rollouts_def def = {.rollout = default_def(), .count = 1};
  def.rollout.controller.n_actions = SMALL_HORIZON;
  assert_fails(dpc_rollout_create(&def.rollout.controller, dpc_policy_info(policy), &arena,
                                  &rollout, &error),
               DPC_ERR_CONFIG, &error, "n_actions");
  assert_fails(dpc_rollouts_run(&def, policy, &result, &error), DPC_ERR_CONFIG, &error,
               "n_actions");
  def.rollout = default_def();
  def.rollout.controller.ticks_per_step = 4;
  assert_fails(dpc_rollouts_run(&def, policy, &result, &error), DPC_ERR_CONFIG, &error,
               "controller.ticks_per_step");
  def.rollout = default_def();
  def.rollout.sampler.steps = 101;
  assert_fails(dpc_rollouts_run(&def, policy, &result, &error), DPC_ERR_CONFIG, &error, "steps");
  assert_null(rollout);
  assert_true(arena.used == mark);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_records_all_of_an_episode),
      cmocka_unit_test(test_earlier_episodes_leave_no_trace),
      cmocka_unit_test(test_left_in_flight_leaves_no_trace),
      cmocka_unit_test(test_noise_is_the_run_seeds),
      cmocka_unit_test(test_delay_holds_then_follows),
      cmocka_unit_test(test_held_rows_are_the_same_at_every_rate),
      cmocka_unit_test(test_splines_are_smooth),
      cmocka_unit_test(test_settings_that_do_not_fit_are_refused),
  };
  return cmocka_run_group_tests_name("rollout", tests, set_up, tear_down);
}
