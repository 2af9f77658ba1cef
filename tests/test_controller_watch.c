// What goes wrong: old observations, faults, own pauses; and limits, which hold through all of it.
#include "tests/one_joint.h"

// The defaults at a policy step of 100 ms: plans up to 220 ms, following up to 300 ms, then a hold, and
// a fault after 1 s, which stays until it is acknowledged.
static void test_ages(void** state) {
  (void)state;
  for (int64_t age_ms = 0; age_ms <= 400; age_ms += 20) {
    const size_t mark = dpc_arena_mark(&arena);
    dpc_controller* c = make_controller(0, 1);
    float obs[3];
    dpc_tick_input input = observe(0, 1, obs);
    bool asked = false;
    assert_int_equal(tick_with(c, &input, 5, &asked).state, DPC_STATE_ACTIVE);
    assert_true(asked);
    for (uint64_t tick = 1; tick <= ROWS; ++tick) {
      input = observe(tick, 1, obs);
      input.age.ns = tick < ROWS ? 0 : age_ms * 1000000;
      const dpc_tick_output out = tick_with(c, &input, 6, &asked);
      if (tick < ROWS) continue;
      assert_int_equal(asked, age_ms <= 220);
      assert_int_equal(out.state, age_ms <= 300 ? DPC_STATE_ACTIVE : DPC_STATE_HOLD);
      assert_int_equal(dpc_controller_counts(c)->too_old, age_ms > 220 ? 1 : 0);
    }
    dpc_arena_release(&arena, mark);
  }
}

static void test_fault_stays_until_acknowledged(void** state) {
  (void)state;
  dpc_controller* c = make_controller(0, 1);
  float obs[3];
  uint64_t tick = 0;
  dpc_tick_input input = observe(tick, 1, obs);
  assert_int_equal(tick_with(c, &input, 5, NULL).state, DPC_STATE_ACTIVE);
  for (int late = 1; late <= 12; ++late) {
    input.tick = ++tick;
    input.fresh = false;
    input.age.ns = late * INT64_C(100000000);
    const dpc_tick_output out = tick_with(c, &input, 5, NULL);
    assert_int_equal(out.state, late <= 3    ? DPC_STATE_ACTIVE
                                : late <= 10 ? DPC_STATE_HOLD
                                             : DPC_STATE_FAULT);
    assert_int_equal(out.fault, late <= 10 ? DPC_FAULT_NONE : DPC_FAULT_STALE);
  }
  // acknowledged while its cause lasts, it comes back in the same tick
  input.tick = ++tick;
  input.acknowledged = true;
  assert_int_equal(tick_with(c, &input, 5, NULL).state, DPC_STATE_FAULT);
  // it outlives its cause and its episode, and nothing is planned meanwhile
  for (int i = 0; i < 5; ++i) {
    bool asked = false;
    input = observe(++tick, i < 3 ? 1 : 2, obs);
    assert_int_equal(tick_with(c, &input, 5, &asked).state, DPC_STATE_FAULT);
    assert_false(asked);
  }
  input = observe(++tick, 2, obs);
  input.acknowledged = true;
  const dpc_tick_output out = tick_with(c, &input, 5, NULL);
  assert_int_equal(out.state, DPC_STATE_ACTIVE);
  assert_int_equal(out.fault, DPC_FAULT_NONE);
  assert_int_equal(dpc_controller_counts(c)->faults, 2);
}

static void test_failing_policy_is_a_fault(void** state) {
  (void)state;
  dpc_controller* c = make_controller(0, 1);
  float obs[3];
  for (uint64_t tick = 0; tick < 5; ++tick) {
    const dpc_tick_input input = observe(tick, 1, obs);
    dpc_plan_request request;
    dpc_tick_output out;
    const bool due = dpc_controller_observe(c, &input, &request);
    assert_int_equal(due, tick < 2);
    const dpc_plan failed = {request.tick, request.epoch, request.plan, true, NULL};
    dpc_controller_tick(c, &input, due ? &failed : NULL, &out);
    assert_int_equal(out.state, tick < 1 ? DPC_STATE_HOLD : DPC_STATE_FAULT);
    assert_int_equal(out.fault, tick < 1 ? DPC_FAULT_NONE : DPC_FAULT_PLANS);
    assert_near(out.action[0], 0, 0);
  }
}

// Plans that do not come, or only when all their rows are over: the robot is held, for fault_age beyond
// the delay nothing else happens, and then someone has to be told.
static void test_want_of_plans_is_a_fault(void** state) {
  (void)state;
  enum { PATIENCE = 50, END = 70 };
  for (int delay = 1; delay <= 5; delay += 2) {
    for (int late = 0; late <= HORIZON; late += HORIZON) {
      const size_t mark = dpc_arena_mark(&arena);
      dpc_controller_def def = make_def(delay, 1);
      def.fault_age = PATIENCE * 0.1;
      dpc_controller* c = make_controller_of(&def);
      dpc_plan_request request = {0};
      float obs[3], chunk[HORIZON];
      bool in_flight = false;
      for (uint64_t tick = 0; tick < END; ++tick) {
        const dpc_tick_input input = observe(tick, 1, obs);
        dpc_tick_output out;
        in_flight |= dpc_controller_observe(c, &input, &request);
        const bool comes = in_flight && late > 0 && tick - request.tick >= (uint64_t)late;
        const dpc_plan plan = answer(&request, chunk);
        dpc_controller_tick(c, &input, comes ? &plan : NULL, &out);
        in_flight &= !comes;
        const bool wanting = tick <= (uint64_t)(PATIENCE + delay);
        assert_int_equal(out.state, wanting ? DPC_STATE_HOLD : DPC_STATE_FAULT);
        assert_int_equal(out.fault, wanting ? DPC_FAULT_NONE : DPC_FAULT_STARVED);
      }
      // acknowledged, it begins anew: a plan is asked for, and followed when it comes in time
      for (uint64_t tick = END; tick < END + 2 + (uint64_t)delay; ++tick) {
        dpc_tick_input input = observe(tick, 1, obs);
        dpc_tick_output out;
        input.acknowledged = tick == END;
        const bool due = dpc_controller_observe(c, &input, &request);
        assert_int_equal(due, tick == END);
        const dpc_plan plan = answer(&request, chunk);
        dpc_controller_tick(c, &input, due ? &plan : NULL, &out);
        assert_int_equal(out.state,
                         tick < END + (uint64_t)delay ? DPC_STATE_HOLD : DPC_STATE_ACTIVE);
      }
      assert_int_equal(dpc_controller_counts(c)->faults, 1);
      dpc_arena_release(&arena, mark);
    }
  }
}

// A robot that is to stand while a plan is made stands as long as that takes by design.
static void test_waiting_is_no_want(void** state) {
  (void)state;
  enum { DELAY = 40 };
  dpc_controller_def def = make_def(DELAY, 1);
  def.switching = DPC_SWITCHING_WAIT;
  dpc_controller* c = make_controller_of(&def);
  dpc_plan_request request = {0};
  float obs[3], chunk[HORIZON];
  for (uint64_t tick = 0; tick < 200; ++tick) {
    const dpc_tick_input input = observe(tick, 1, obs);
    dpc_tick_output out;
    (void)dpc_controller_observe(c, &input, &request);
    const dpc_plan plan = answer(&request, chunk);
    dpc_controller_tick(c, &input, tick == request.tick + DELAY ? &plan : NULL, &out);
    assert_int_not_equal(out.state, DPC_STATE_FAULT);
  }
  assert_true(dpc_controller_counts(c)->plans >= 3);
}

// An observation that is not finite is as good as none: what was seen before only grows older.
static void test_bad_observations(void** state) {
  (void)state;
  dpc_controller* c = make_controller(0, 1);
  float obs[3];
  dpc_tick_input input = observe(0, 1, obs);
  obs[2] = NAN;
  assert_int_equal(tick_with(c, &input, 5, NULL).mode, DPC_MODE_IDLE);
  input = observe(1, 1, obs);
  assert_int_equal(tick_with(c, &input, 5, NULL).mode, DPC_MODE_ACTIVE);
  for (uint64_t tick = 2; tick < 30; ++tick) {
    input = observe(tick, 1, obs);
    obs[tick % 2 * 2] = tick % 3 == 0 ? NAN : INFINITY;
    bool asked = false;
    const dpc_tick_output out = tick_with(c, &input, 5, &asked);
    assert_false(asked);
    assert_true(isfinite(out.action[0]));
    assert_int_equal(out.state, tick <= 4    ? DPC_STATE_ACTIVE
                                : tick <= 11 ? DPC_STATE_HOLD
                                             : DPC_STATE_FAULT);
    if (out.mode == DPC_MODE_HOLD) assert_near(out.action[0], 1, 0);
  }
  // of a value that nobody needs it does not matter
  dpc_arena_release(&arena, 0);
  c = make_controller(0, 1);
  input = observe(0, 1, obs);
  obs[1] = NAN;
  assert_int_equal(tick_with(c, &input, 5, NULL).mode, DPC_MODE_ACTIVE);
}

// After a pause of its own the controller waits to see the robot, and goes on from there.
static void test_own_pause_is_no_fault(void** state) {
  (void)state;
  dpc_controller* c = make_limited(0, 1, "* speed=1 acceleration=10 jerk=100");
  float obs[3];
  uint64_t tick = 0;
  for (; tick < 5; ++tick) {
    const dpc_tick_input input = observe(tick, 1, obs);
    assert_int_equal(tick_with(c, &input, 900, NULL).mode, DPC_MODE_ACTIVE);
  }
  tick += 50;
  dpc_tick_input input = observe(4, 1, obs);
  input.tick = tick;
  input.age.ns = INT64_C(5000000000);
  const dpc_tick_output stale = tick_with(c, &input, 900, NULL);
  assert_int_equal(stale.mode, DPC_MODE_IDLE);
  assert_int_equal(stale.state, DPC_STATE_HOLD);
  input = observe(++tick, 1, obs);
  const dpc_tick_output out = tick_with(c, &input, 900, NULL);
  assert_int_equal(out.state, DPC_STATE_ACTIVE);
  assert_true(out.action[0] >= (float)tick && out.action[0] < (float)tick + 0.1F);
  assert_int_equal(dpc_controller_counts(c)->gaps, 1);
  assert_int_equal(dpc_controller_counts(c)->faults, 0);
}

// With limits: from the first command on, into holds and out of them, through a fault and to the stop,
// every command keeps speed, acceleration and jerk; the stop ends at rest and cannot be undone.
static void test_motion_is_bounded_through_everything(void** state) {
  (void)state;
  dpc_controller* c = make_limited(0, 1, "* speed=1 acceleration=10 jerk=200");
  const double dt = 0.1, rounding = 1e-5;
  float obs[3], p[4] = {0};
  int64_t age = 0;
  dpc_state last = DPC_STATE_INACTIVE;
  for (uint64_t tick = 0; tick < 400; ++tick) {
    const bool seen = (tick / 16) % 3 != 2;
    age = seen ? 0 : age + 100000000;
    dpc_tick_input input = observe(seen ? tick : tick - 1, 1, obs);
    obs[2] = 0;
    input.tick = tick;
    input.fresh = seen;
    input.age.ns = age;
    input.acknowledged = tick % 7 == 0;
    input.stop = tick >= 360 && tick % 2 == 0;
    const dpc_tick_output out = tick_with(c, &input, (tick / 20) % 2 ? 8 : -8, NULL);
    for (int i = 0; i < 3; ++i) p[i] = p[i + 1];
    p[3] = out.action[0];
    assert_true(fabs((double)(p[3] - p[2])) <= dt + rounding);
    assert_true(fabs((double)(p[3] - 2 * p[2] + p[1])) <= 10 * dt * dt + rounding);
    assert_true(fabs((double)(p[3] - 3 * p[2] + 3 * p[1] - p[0])) <= 200 * dt * dt * dt + rounding);
    last = out.state;
    if (tick >= 360) assert_true(last == DPC_STATE_STOPPING || last == DPC_STATE_FINALIZED);
  }
  assert_int_equal(last, DPC_STATE_FINALIZED);
  assert_true(p[3] == p[2]);
  assert_true(dpc_controller_counts(c)->faults > 0);
  assert_true(dpc_controller_counts(c)->limited > 0);
}

// What a robot says of itself counts as if the settings had said it, to the bit; where both do, the
// tighter.
static void test_the_robots_own_limits(void** state) {
  (void)state;
  static const char* const settings[][2] = {
      {"*", "* low=-2 high=3 speed=1 acceleration=10 jerk=200"},
      {"* low=-9 high=1 speed=8", "* low=-2 high=1 speed=1 acceleration=10 jerk=200"},
      {"* speed=0.5 acceleration=90 jerk=80", "* low=-2 high=3 speed=0.5 acceleration=10 jerk=80"}};
  static const float own[DPC_LIMIT_COUNT] = {-2, 3, 1, 10, 200};
  const dpc_checkpoint_info policy = make_policy();
  dpc_interface robot = make_robot();
  for (int k = 0; k < DPC_LIMIT_COUNT; ++k) {
    dpc_interface_limit(&robot, "target", (dpc_limit)k, &own[k]);
  }
  for (int i = 0; i < DPC_COUNT(settings); ++i) {
    dpc_controller_def def = make_def(0, 1);
    dpc_controller *c = NULL, *twin = make_limited(0, 1, settings[i][1]);
    dpc_error error;
    def.limits.count = 1;
    strncpy(def.limits.values[0], settings[i][0], DPC_LIST_TEXT_MAX - 1);
    assert_ok(dpc_controller_create(&def, &policy, &robot, &arena, &c, &error), &error);
    assert_memory_equal(dpc_controller_bounds(c), dpc_controller_bounds(twin), sizeof(dpc_bounds));
    for (uint64_t tick = 0; tick < 300; ++tick) {
      float obs[3];
      const dpc_tick_input input = observe(tick, 1, obs);
      const float row = (tick / 20) % 2 ? 8 : -8;
      obs[2] = 0;
      const dpc_tick_output out = tick_with(c, &input, row, NULL);
      const dpc_tick_output same = tick_with(twin, &input, row, NULL);
      assert_memory_equal(out.action, same.action, sizeof(float));
      assert_true(out.action[0] >= -2 && out.action[0] <= 3);
    }
    assert_true(dpc_controller_counts(c)->limited > 0);
  }
}

static void test_nothing_to_stop_is_stopped(void** state) {
  (void)state;
  dpc_controller* c = make_controller(0, 1);
  const dpc_tick_input input = {.stop = true};
  assert_int_equal(tick_with(c, &input, 0, NULL).state, DPC_STATE_FINALIZED);
}

static void test_watching_that_cannot_be(void** state) {
  (void)state;
  const dpc_checkpoint_info policy = make_policy();
  const dpc_interface robot = make_robot();
  dpc_controller_def def = dpc_controller_def_default();
  dpc_controller* c = NULL;
  dpc_error error;
  def.delay = 0;
  def.hold_age = 2;
  assert_fails(dpc_controller_create(&def, &policy, &robot, &arena, &c, &error), DPC_ERR_CONFIG,
               &error, "controller.hold_age: 2 s");
  def.hold_age = 0;
  def.limits = (dpc_text_list){1, {"leg speed=1"}};
  assert_fails(dpc_controller_create(&def, &policy, &robot, &arena, &c, &error), DPC_ERR_CONFIG,
               &error, "controller.limits: 'leg speed=1'");
  dpc_interface far = make_robot();
  def = make_def(0, 1);
  dpc_interface_limit(&far, "target", DPC_LIMIT_LOW, &(float){2e5F});
  assert_fails(dpc_controller_create(&def, &policy, &far, &arena, &c, &error), DPC_ERR_CONFIG,
               &error,
               "action 'target', element 0: controller.action_min and action_max allow -100000 to "
               "100000, and the robot takes 200000 to inf");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_ages, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_fault_stays_until_acknowledged, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_failing_policy_is_a_fault, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_want_of_plans_is_a_fault, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_waiting_is_no_want, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_bad_observations, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_own_pause_is_no_fault, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_motion_is_bounded_through_everything, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_the_robots_own_limits, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_nothing_to_stop_is_stopped, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_watching_that_cannot_be, set_up, tear_down),
  };
  return cmocka_run_group_tests_name("controller watch", tests, NULL, NULL);
}
