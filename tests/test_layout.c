#include "policy/layout.h"

#include "tests/test.h"

static dpc_interface push_robot(void) {
  dpc_interface robot = {.period_ns = 100000000};
  dpc_layout_add(&robot.obs, "keypoint", 18, "px", NULL);
  dpc_layout_add(&robot.obs, "block_angle", 1, "rad", NULL);
  dpc_layout_add(&robot.obs, "agent_pos", 2, "px", NULL);
  dpc_layout_add(&robot.action, "action", 2, "px", "agent_pos");
  return robot;
}

static dpc_interface push_policy(void) {
  dpc_interface policy = {.period_ns = 100000000};
  dpc_layout_add(&policy.obs, "agent_pos", 2, "px", NULL);
  dpc_layout_add(&policy.obs, "keypoint", 18, "", NULL);
  dpc_layout_add(&policy.action, "action", 2, "px", "agent_pos");
  return policy;
}

static void test_dims_and_offsets(void** state) {
  (void)state;
  const dpc_interface robot = push_robot();
  int offset = -1;
  assert_int_equal(dpc_layout_dim(&robot.obs), 21);
  assert_int_equal(dpc_layout_find(&robot.obs, "agent_pos", &offset)->dim, 2);
  assert_int_equal(offset, 19);
  assert_null(dpc_layout_find(&robot.obs, "agent", &offset));
  assert_int_equal(offset, 19);
}

static void test_gather_finds_each_value(void** state) {
  (void)state;
  const dpc_interface robot = push_robot(), policy = push_policy();
  int gather[20];
  dpc_layout_gather(&policy.obs, &robot.obs, gather);
  assert_int_equal(gather[0], 19);
  assert_int_equal(gather[1], 20);
  for (int i = 0; i < 18; ++i) assert_int_equal(gather[2 + i], i);
}

static void test_extra_observations_and_unknown_units_match(void** state) {
  (void)state;
  const dpc_interface robot = push_robot(), policy = push_policy();
  dpc_error error = {""};
  assert_ok(dpc_interface_check(&robot, &error), &error);
  assert_ok(dpc_interface_check(&policy, &error), &error);
  assert_ok(dpc_interface_match(&policy, &robot, &error), &error);
}

static void test_the_first_difference_is_named(void** state) {
  (void)state;
  static const char* const words[] = {
      "observation 'agent_pos': policy has dim 2, robot has 3",
      "observation 'agent_pos': policy has unit 'px', robot has 'm'",
      "observation 'agent_pos': policy needs it, robot has none",
      "action 'action': policy has dim 2, robot has 3",
      "action 'action': policy has unit 'px', robot has 'rad'",
      "action 0: policy has 'action', robot has 'gripper'",
      "action 'gripper': robot has it, policy does not",
      "action 'action': policy has it, robot does not",
      "action 'action': policy's tracks 'agent_pos', robot's 'keypoint'",
      "period: policy has 100000000 ns, robot has 50000000 ns",
  };
  for (int i = 0; i < DPC_COUNT(words); ++i) {
    const dpc_interface policy = push_policy();
    dpc_interface robot = push_robot();
    dpc_signal* seen = &robot.obs.signals[2];
    dpc_signal* act = &robot.action.signals[0];
    if (i == 0) seen->dim = 3;
    if (i == 1) strcpy(seen->unit, "m");
    if (i == 2) strcpy(seen->name, "agent");
    if (i == 3) act->dim = 3;
    if (i == 4) strcpy(act->unit, "rad");
    if (i == 5) strcpy(act->name, "gripper");
    if (i == 6) dpc_layout_add(&robot.action, "gripper", 1, "", NULL);
    if (i == 7) robot.action.count = 0;
    if (i == 8) strcpy(act->tracks, "keypoint");
    if (i == 9) robot.period_ns = 50000000;
    dpc_error error = {""};
    assert_fails(dpc_interface_match(&policy, &robot, &error), DPC_ERR_MISMATCH, &error, words[i]);
  }
}

static void test_unsound_interfaces_are_refused(void** state) {
  (void)state;
  static const char* const words[] = {
      "observation: 0 signals",
      "signals: must be 1 to",
      "plain ASCII characters",
      "plain ASCII characters",
      "plain ASCII characters",
      "unit and tracks",
      "dim 0 is not in",
      "dim 4097 is not in",
      "'keypoint' comes twice",
      "action: signal 'action'",
      "'nobody', which is not observed",
      "tracks 'block_angle' of dim 1",
      "period of 0 ns",
      "period of 3600000000001 ns",
  };
  for (int i = 0; i < DPC_COUNT(words); ++i) {
    dpc_interface robot = push_robot();
    dpc_signal* seen = &robot.obs.signals[2];
    dpc_signal* act = &robot.action.signals[0];
    if (i == 0) robot.obs.count = 0;
    if (i == 1) robot.obs.count = DPC_SIGNAL_MAX + 1;
    if (i == 2) seen->name[0] = '\0';
    if (i == 3) memset(seen->name, 'x', sizeof seen->name);
    if (i == 4) seen->name[0] = '\n';
    if (i == 5) seen->unit[0] = (char)0xb0;
    if (i == 6) seen->dim = 0;
    if (i == 7) seen->dim = 4097;
    if (i == 8) strcpy(seen->name, "keypoint");
    if (i == 9) act->dim = -1;
    if (i == 10) strcpy(act->tracks, "nobody");
    if (i == 11) strcpy(act->tracks, "block_angle");
    if (i == 12) robot.period_ns = 0;
    if (i == 13) robot.period_ns = INT64_C(3600000000001);
    dpc_error error = {""};
    assert_fails(dpc_interface_check(&robot, &error), DPC_ERR_INVALID, &error, words[i]);
  }
}

static void test_limits_are_kept_by_signal(void** state) {
  (void)state;
  dpc_interface robot = push_robot();
  dpc_error error = {""};
  dpc_layout_add(&robot.action, "grip", 3, "m", NULL);
  dpc_interface_limit(&robot, "grip", DPC_LIMIT_JERK, (float[]){1, 2, 3});
  dpc_interface_limit(&robot, "action", DPC_LIMIT_LOW, (float[]){-1, -2});
  assert_ok(dpc_interface_check(&robot, &error), &error);
  for (int k = 0; k < DPC_LIMIT_COUNT; ++k) {
    assert_int_equal(robot.limits.given[0][k], k == DPC_LIMIT_LOW);
    assert_int_equal(robot.limits.given[1][k], k == DPC_LIMIT_JERK);
  }
  assert_true(robot.limits.values[DPC_LIMIT_LOW][1] == -2);
  assert_true(robot.limits.values[DPC_LIMIT_JERK][4] == 3);
  // a policy that says nothing of them fits
  dpc_interface policy = push_policy();
  dpc_layout_add(&policy.action, "grip", 3, "m", NULL);
  assert_ok(dpc_interface_match(&policy, &robot, &error), &error);
}

static void test_unsound_limits_are_refused(void** state) {
  (void)state;
  static const struct {
    dpc_limit limit;
    float value;
    const char* words;
  } cases[] = {
      {DPC_LIMIT_LOW, NAN, "action 'action': limit low of element 1 is nan"},
      {DPC_LIMIT_LOW, -INFINITY, "limit low of element 1 is -inf: must be within 1e30"},
      {DPC_LIMIT_LOW, 3, "limit low of element 1 is 3, which is not below high, 3"},
      {DPC_LIMIT_HIGH, 2e30F, "limit high of element 1"},
      {DPC_LIMIT_HIGH, -4, "limit low of element 1 is -3, which is not below high, -4"},
      {DPC_LIMIT_SPEED, 0, "limit speed of element 1 is 0: must be above 0"},
      {DPC_LIMIT_SPEED, INFINITY, "limit speed of element 1 is inf"},
      {DPC_LIMIT_ACCELERATION, -1, "limit acceleration of element 1 is -1"},
      {DPC_LIMIT_JERK, NAN, "limit jerk of element 1 is nan"},
  };
  for (int i = 0; i < DPC_COUNT(cases); ++i) {
    dpc_interface robot = push_robot();
    dpc_error error = {""};
    dpc_interface_limit(&robot, "action", DPC_LIMIT_LOW, (float[]){-3, -3});
    dpc_interface_limit(&robot, "action", DPC_LIMIT_HIGH, (float[]){3, 3});
    assert_ok(dpc_interface_check(&robot, &error), &error);
    dpc_interface_limit(&robot, "action", cases[i].limit, (float[]){2, cases[i].value});
    if (cases[i].limit == DPC_LIMIT_LOW) robot.limits.values[DPC_LIMIT_LOW][0] = -3;
    assert_fails(dpc_interface_check(&robot, &error), DPC_ERR_INVALID, &error, cases[i].words);
  }
  dpc_interface wide = push_robot();
  dpc_error error = {""};
  dpc_layout_add(&wide.action, "many", DPC_LIMITED_MAX - 1, "", NULL);
  assert_ok(dpc_interface_check(&wide, &error), &error);
  wide.limits.given[1][DPC_LIMIT_SPEED] = true;
  assert_fails(dpc_interface_check(&wide, &error), DPC_ERR_INVALID, &error,
               "action 'many': has limits, but only the first 256 values");
}

static void test_the_first_value_that_is_not_finite_is_named(void** state) {
  (void)state;
  enum { ROWS = 2, DIM = 20 };
  const dpc_interface policy = push_policy();
  float values[ROWS * DIM] = {0};
  dpc_error error = {""};
  assert_ok(dpc_layout_check_finite(&policy.obs, "observation", values, ROWS, &error), &error);
  assert_ok(dpc_layout_check_finite(&policy.obs, "observation", NULL, 0, &error), &error);
  values[DIM + 5] = NAN;
  assert_fails(dpc_layout_check_finite(&policy.obs, "observation", values, ROWS, &error),
               DPC_ERR_INVALID, &error, "observation 'keypoint': row 1, element 3 is not finite");
  values[1] = -INFINITY;
  assert_fails(dpc_layout_check_finite(&policy.obs, "observation", values, ROWS, &error),
               DPC_ERR_INVALID, &error, "observation 'agent_pos': row 0, element 1 is not finite");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_dims_and_offsets),
      cmocka_unit_test(test_gather_finds_each_value),
      cmocka_unit_test(test_extra_observations_and_unknown_units_match),
      cmocka_unit_test(test_the_first_difference_is_named),
      cmocka_unit_test(test_unsound_interfaces_are_refused),
      cmocka_unit_test(test_limits_are_kept_by_signal),
      cmocka_unit_test(test_unsound_limits_are_refused),
      cmocka_unit_test(test_the_first_value_that_is_not_finite_is_named),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
