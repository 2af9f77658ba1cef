// Plans and the ticks at which they act, and which settings leave room for them.
#include "tests/one_joint.h"

// For every delay and rate that is allowed, plans answered at once: a plan asked for at tick k acts
// from k + delay on, every tick has the row that is due, and asking goes on at the right ticks.
static void test_plans_act_at_their_tick(void** state) {
  (void)state;
  for (int rate = 1; rate <= 10; rate += 3) {
    for (int delay = 0; delay <= 7 * rate; ++delay) {
      const size_t mark = dpc_arena_mark(&arena);
      dpc_controller* c = make_controller(delay, rate);
      dpc_plan_request request = {0}, asked[64] = {0};
      int asked_count = 0;
      for (uint64_t tick = 0; tick < 40 * (uint64_t)rate; ++tick) {
        float obs[3], chunk[HORIZON];
        const dpc_tick_input input = observe(tick, 1, obs);
        dpc_tick_output out;
        dpc_plan plan;
        const bool due = dpc_controller_observe(c, &input, &request);
        if (due) plan = answer(&request, chunk);
        if (due) asked[asked_count++] = request;
        dpc_controller_tick(c, &input, due ? &plan : NULL, &out);
        const int since = (int)tick - delay;
        if (since < 0) {
          assert_int_equal(out.mode, DPC_MODE_HOLD);
          assert_near(out.action[0], 0, 0);  // where it was when the hold began
          continue;
        }
        const int number = since / (ROWS * rate);
        const uint64_t from = (uint64_t)number * ROWS * (uint64_t)rate;
        const int row = N_OBS - 1 + (int)(tick - from) / rate;
        assert_int_equal(out.mode, DPC_MODE_ACTIVE);
        assert_int_equal(out.plan, number);
        assert_int_equal(out.row, row);
        assert_near(out.action[0], (double)from * 100 + row, 0);
        assert_false(out.late);
      }
      for (int i = 0; i < asked_count; ++i) {
        assert_int_equal(asked[i].tick, i * ROWS * rate);
        assert_int_equal(asked[i].plan, i);
      }
      assert_int_equal(dpc_controller_counts(c)->late, 0);
      dpc_arena_release(&arena, mark);
    }
  }
}

// Requests show the policy's values in its order, rows a policy step apart, the first repeated.
static void test_history(void** state) {
  (void)state;
  const int rate = 3;
  dpc_controller* c = make_controller(0, rate);
  for (uint64_t tick = 0; tick < 100; ++tick) {
    float obs[3], chunk[HORIZON];
    const dpc_tick_input input = observe(tick, 1, obs);
    dpc_plan_request request;
    dpc_tick_output out;
    dpc_plan plan;
    const bool due = dpc_controller_observe(c, &input, &request);
    if (due) {
      const double before = tick >= (uint64_t)rate ? (double)tick - rate : 0;
      assert_near(request.obs[0], before, 0);
      assert_near(request.obs[1], before + 0.25, 0);
      assert_near(request.obs[2], (double)tick, 0);
      assert_near(request.obs[3], (double)tick + 0.25, 0);
      assert_int_equal(request.key.episode, 8);
      plan = answer(&request, chunk);
    }
    dpc_controller_tick(c, &input, due ? &plan : NULL, &out);
  }
}

// A plan that comes late is entered at the row that is due, whatever the lateness.
static void test_late_plans(void** state) {
  (void)state;
  const int delay = 2;
  for (int lateness = 1; lateness < 20; ++lateness) {
    const size_t mark = dpc_arena_mark(&arena);
    dpc_controller_def def = make_def(delay, 1);
    def.fault_age = 10;  // want of plans alone does not end this
    dpc_controller* c = make_controller_of(&def);
    float chunk[HORIZON];
    dpc_plan_request request = {0};
    dpc_plan plan = {0};
    for (uint64_t tick = 0; tick <= (uint64_t)delay + (uint64_t)lateness; ++tick) {
      float obs[3];
      const dpc_tick_input input = observe(tick, 1, obs);
      dpc_tick_output out;
      if (dpc_controller_observe(c, &input, &request)) plan = answer(&request, chunk);
      const bool now = tick == (uint64_t)delay + (uint64_t)lateness;
      dpc_controller_tick(c, &input, now ? &plan : NULL, &out);
      const int row = N_OBS - 1 + (int)tick;
      assert_int_equal(out.mode, now && row < HORIZON ? DPC_MODE_ACTIVE : DPC_MODE_HOLD);
      if (now && row < HORIZON) assert_int_equal(out.row, row);
      if (now) assert_true(out.late);
    }
    dpc_arena_release(&arena, mark);
  }
}

// A new epoch forgets everything, and what was asked in the old one is thrown away.
static void test_new_epoch(void** state) {
  (void)state;
  dpc_controller* c = make_controller(4, 1);
  float obs[3], chunk[HORIZON];
  dpc_plan_request old = {0}, request = {0};
  dpc_tick_output out;
  dpc_tick_input input = observe(10, 1, obs);
  assert_true(dpc_controller_observe(c, &input, &old));
  dpc_controller_tick(c, &input, NULL, &out);
  input = observe(0, 2, obs);
  assert_true(dpc_controller_observe(c, &input, &request));
  assert_int_equal(request.plan, 0);
  assert_int_equal(request.key.episode, 9);
  assert_near(request.obs[0], 0, 0);  // nothing of the old history
  const dpc_plan stale = answer(&old, chunk);
  dpc_controller_tick(c, &input, &stale, &out);
  assert_int_equal(dpc_controller_counts(c)->discarded, 1);
  for (uint64_t tick = 1; tick < 9; ++tick) {
    input = observe(tick, 2, obs);
    assert_false(dpc_controller_observe(c, &input, &request));
    dpc_controller_tick(c, &input, NULL, &out);
    assert_int_equal(out.mode, DPC_MODE_HOLD);
  }
}

// Failed plans are asked for again; commands that are not finite are replaced, large ones bounded.
static void test_bad_plans(void** state) {
  (void)state;
  dpc_controller* c = make_controller(0, 1);
  float obs[3], chunk[HORIZON];
  dpc_plan_request request;
  dpc_tick_output out;
  dpc_tick_input input = observe(0, 1, obs);
  assert_true(dpc_controller_observe(c, &input, &request));
  const dpc_plan failed = {request.tick, request.epoch, request.plan, true, NULL};
  dpc_controller_tick(c, &input, &failed, &out);
  assert_int_equal(out.mode, DPC_MODE_HOLD);
  input = observe(1, 1, obs);
  assert_true(dpc_controller_observe(c, &input, &request));
  dpc_plan plan = answer(&request, chunk);
  chunk[1] = 5;
  chunk[2] = NAN;
  chunk[3] = 2e5F;
  dpc_controller_tick(c, &input, &plan, &out);
  assert_near(out.action[0], 5, 0);
  input = observe(2, 1, obs);
  assert_false(dpc_controller_observe(c, &input, &request));
  dpc_controller_tick(c, &input, NULL, &out);
  assert_true(out.gate.rejected);
  assert_near(out.action[0], 5, 0);
  input = observe(3, 1, obs);
  assert_false(dpc_controller_observe(c, &input, &request));
  dpc_controller_tick(c, &input, NULL, &out);
  assert_near(out.action[0], 1e5, 0);
  assert_int_equal(dpc_controller_counts(c)->clamped, 1);
}

// Missed ticks keep rows a policy step apart; without observations nothing is commanded.
static void test_missing(void** state) {
  (void)state;
  dpc_controller* c = make_controller(0, 1);
  float obs[3];
  dpc_plan_request request;
  dpc_tick_output out;
  const dpc_tick_input nothing = {.tick = 0};
  assert_false(dpc_controller_observe(c, &nothing, &request));
  dpc_controller_tick(c, &nothing, NULL, &out);
  assert_int_equal(out.mode, DPC_MODE_IDLE);
  assert_null(out.action);
  dpc_tick_input input = observe(1, 1, obs);
  input.fresh = false;
  assert_false(dpc_controller_observe(c, &input, &request));
  input = observe(5, 1, obs);
  assert_true(dpc_controller_observe(c, &input, &request));
  assert_near(request.obs[0], 5, 0);  // ticks 2 to 4 were missed: the tick before saw the same
}

// A tick that was made without its observation, and again with it, has one row of history.
static void test_late_observation(void** state) {
  (void)state;
  dpc_controller* c = make_controller(0, 2);
  float obs[3], chunk[HORIZON];
  dpc_plan_request request;
  dpc_tick_output out;
  for (uint64_t tick = 0; tick < 16; ++tick) {
    const dpc_tick_input input = observe(tick, 1, obs);
    const bool due = dpc_controller_observe(c, &input, &request);
    assert_int_equal(due, tick == 0);
    const dpc_plan plan = answer(&request, chunk);
    dpc_controller_tick(c, &input, due ? &plan : NULL, &out);
  }
  dpc_tick_input input = observe(15, 1, obs);
  input.tick = 16;
  input.fresh = false;
  assert_false(dpc_controller_observe(c, &input, &request));
  dpc_controller_tick(c, &input, NULL, &out);
  input = observe(16, 1, obs);
  assert_true(dpc_controller_observe(c, &input, &request));
  assert_near(request.obs[0], 14, 0);
  assert_near(request.obs[2], 16, 0);
}

// --- what fits -------------------------------------------------------------------------------------

// Every delay up to the largest is taken, with as many rows as it leaves; one more is refused.
static void test_rows_are_chosen(void** state) {
  (void)state;
  const dpc_interface robot = make_robot();
  dpc_error error;
  for (int trained = 1; trained <= HORIZON - N_OBS + 1; ++trained) {
    for (int rate = 1; rate <= 10; rate += 3) {
      dpc_checkpoint_info policy = make_policy();
      policy.policy.n_actions = trained;
      dpc_controller_def def = make_def(0, rate);
      const int most = dpc_controller_delay_max(&def, &policy);
      assert_true(most >= (trained < 7 ? trained : 7) * rate);
      for (def.delay = 0; def.delay <= most + 1; ++def.delay) {
        const size_t mark = dpc_arena_mark(&arena);
        dpc_controller* c = NULL;
        const int rows = dpc_controller_rows(&def, &policy);
        const int left = HORIZON - N_OBS + 1 - (def.delay + rate - 1) / rate;
        assert_int_equal(rows, trained < left ? trained : left);
        const dpc_status status = dpc_controller_create(&def, &policy, &robot, &arena, &c, &error);
        assert_int_equal(status, def.delay <= most ? DPC_OK : DPC_ERR_CONFIG);
        dpc_arena_release(&arena, mark);
      }
      def.switching = DPC_SWITCHING_WAIT;
      assert_int_equal(dpc_controller_rows(&def, &policy), trained);
      assert_int_equal(dpc_controller_delay_max(&def, &policy), DPC_DELAY_LIMIT);
    }
  }
}

// Where every tick has a row there is nothing between.
static void test_spline_needs_ticks(void** state) {
  (void)state;
  dpc_controller_def def = make_def(0, 1);
  dpc_error error;
  def.interpolation = DPC_INTERPOLATION_CUBIC;
  assert_fails(dpc_controller_def_check(&def, &error), DPC_ERR_CONFIG, &error,
               "controller.interpolation");
  def.ticks_per_step = 2;
  assert_ok(dpc_controller_def_check(&def, &error), &error);
}

static void test_settings_that_do_not_fit(void** state) {
  (void)state;
  const dpc_checkpoint_info policy = make_policy();
  dpc_interface robot = make_robot();
  dpc_controller_def def = dpc_controller_def_default();
  dpc_controller* c = NULL;
  dpc_error error;
  assert_fails(dpc_controller_create(&def, &policy, &robot, &arena, &c, &error), DPC_ERR_CONFIG,
               &error, "controller.delay");
  def.delay = 8;
  assert_fails(dpc_controller_create(&def, &policy, &robot, &arena, &c, &error), DPC_ERR_CONFIG,
               &error, "8 ticks are more than the 7");
  def.delay = 0;
  def.n_actions = 16;
  assert_fails(dpc_controller_create(&def, &policy, &robot, &arena, &c, &error), DPC_ERR_CONFIG,
               &error, "16 rows");
  def.n_actions = 15;
  def.action_min = def.action_max;
  assert_fails(dpc_controller_create(&def, &policy, &robot, &arena, &c, &error), DPC_ERR_CONFIG,
               &error, "action_min");
  def.action_min = 0;
  robot.obs.signals[0].dim = 2;
  assert_fails(dpc_controller_create(&def, &policy, &robot, &arena, &c, &error), DPC_ERR_MISMATCH,
               &error, "speed");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_plans_act_at_their_tick, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_history, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_late_plans, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_new_epoch, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_bad_plans, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_missing, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_late_observation, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_rows_are_chosen, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_spline_needs_ticks, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_settings_that_do_not_fit, set_up, tear_down),
  };
  return cmocka_run_group_tests_name("controller", tests, NULL, NULL);
}
