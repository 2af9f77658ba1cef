#include "runtime/bounds.h"

#include <stdio.h>

#include "policy/rng.h"
#include "tests/test.h"

// --- the settings alone ---------------------------------------------------------------------------

static dpc_interface make_robot(void) {
  dpc_interface robot = {.period_ns = 100000000};
  dpc_layout_add(&robot.action, "arm", 2, "rad", NULL);
  dpc_layout_add(&robot.action, "grip", 1, "m", NULL);
  return robot;
}

static void test_by_signal(void** state) {
  (void)state;
  const dpc_text_list list = {
      .count = 3,
      .values = {"* low=-1 high=1", "grip speed=0.1 acceleration=1 jerk=10", "grip high=0.5"}};
  const dpc_interface robot = make_robot();
  dpc_bounds bounds[3];
  dpc_error error;
  assert_ok(dpc_bounds_read(&list, &robot, -9, 9, bounds, &error), &error);
  assert_near(bounds[1].limits.low, -1, 0);
  assert_near(bounds[1].limits.speed, 0, 0);
  assert_near(bounds[2].limits.low, -1, 0);
  assert_near(bounds[2].limits.high, 0.5, 0);
  assert_near(bounds[2].limits.speed, (double)0.1, 0);
  assert_near(bounds[2].limits.jerk, 10, 0);
}

static void test_what_cannot_be(void** state) {
  (void)state;
  static const char* const bad[][2] = {
      {"leg low=0", "'leg low=0': no action signal"},
      {"arm low=2 high=1", "'arm low=2 high=1': low 2 is not below high 1"},
      {"arm high=-9", "'arm high=-9': low -3 is not below high -9"},
      {"arm speed=1",
       "action 'arm', element 0: speed, acceleration and jerk belong together, and "
       "neither these settings nor the robot says acceleration"},
      {"grip speed=1 jerk=3", "action 'grip', element 0"},
      {"arm acceleration=1 jerk=3", "says speed"},
      {"arm speed=1 acceleration=3", "says jerk"},
      {"arm jump=1", "action 'arm', element 0: jump needs"},
      {"arm pace=1", "'pace=1' is not one of"},
      {"arm low", "'low' is not one of"},
      {"arm low=", "needs a number"},
      {"arm low=nan", "needs a number"},
      {"arm low=1e31", "needs a number"},
      {"arm low=1x", "needs a number"},
      {"arm speed=0 acceleration=1 jerk=1", "above 0"},
      {"arm speed=-1 acceleration=1 jerk=1", "above 0"},
  };
  const dpc_interface robot = make_robot();
  for (int i = 0; i < DPC_COUNT(bad); ++i) {
    dpc_text_list list = {.count = 1};
    dpc_bounds bounds[3];
    dpc_error error;
    strncpy(list.values[0], bad[i][0], DPC_LIST_TEXT_MAX - 1);
    assert_fails(dpc_bounds_read(&list, &robot, -3, 3, bounds, &error), DPC_ERR_CONFIG, &error,
                 bad[i][1]);
    assert_non_null(strstr(error.text, "controller.limits"));
  }
}

// --- with the robot's own -------------------------------------------------------------------------

static void test_contradictions_name_both(void** state) {
  (void)state;
  static const struct {
    const char* setting;
    float low[2], high[2];
    const char* words;
  } cases[] = {
      {"arm low=0 high=1",
       {0, 2},
       {1, 3},
       "action 'arm', element 1: controller.limits allow 0 to 1, "
       "and the robot takes 2 to 3: nothing is in both"},
      {"arm low=1",
       {0, 0},
       {1, 1},
       "element 0: controller.limits allow 1 to 3, and the robot takes 0 "
       "to 1"},
      {"grip low=1",
       {0, 3},
       {1, 9},
       "element 1: controller.action_min and action_max allow -3 to 3, "
       "and the robot takes 3 to 9"},
  };
  for (int i = 0; i < DPC_COUNT(cases); ++i) {
    dpc_interface robot = make_robot();
    dpc_text_list list = {.count = 1};
    dpc_bounds bounds[3];
    dpc_error error;
    strncpy(list.values[0], cases[i].setting, DPC_LIST_TEXT_MAX - 1);
    dpc_interface_limit(&robot, "arm", DPC_LIMIT_LOW, cases[i].low);
    dpc_interface_limit(&robot, "arm", DPC_LIMIT_HIGH, cases[i].high);
    assert_fails(dpc_bounds_read(&list, &robot, -3, 3, bounds, &error), DPC_ERR_CONFIG, &error,
                 cases[i].words);
  }
}

// What the one side leaves out the other may say.
static void test_each_completes_the_other(void** state) {
  (void)state;
  dpc_interface robot = make_robot();
  dpc_text_list list = {.count = 1, .values = {"arm speed=1 jump=0.5"}};
  dpc_bounds bounds[3];
  dpc_error error;
  dpc_interface_limit(&robot, "arm", DPC_LIMIT_ACCELERATION, (float[]){2, 3});
  assert_fails(dpc_bounds_read(&list, &robot, -3, 3, bounds, &error), DPC_ERR_CONFIG, &error,
               "says jerk");
  dpc_interface_limit(&robot, "arm", DPC_LIMIT_JERK, (float[]){20, 30});
  assert_ok(dpc_bounds_read(&list, &robot, -3, 3, bounds, &error), &error);
  assert_near(bounds[1].limits.speed, 1, 0);
  assert_near(bounds[1].limits.acceleration, 3, 0);
  assert_near(bounds[1].limits.jerk, 30, 0);
  assert_near(bounds[1].jump, 0.5, 0);
  assert_near(bounds[2].limits.speed, 0, 0);
}

enum { TRIALS = 100000, DIM = 3 };

// A limit that one side states or leaves out, in a range where the two often cross.
typedef struct statement {
  bool given;
  float value;
} statement;

static statement draw(uint32_t trial, uint32_t side, dpc_limit limit) {
  uint32_t bits[4];
  dpc_rng_bits((dpc_rng_key){5, 6}, trial, side, (uint32_t)limit, 0, bits);
  const float size = (float)(bits[0] % 1000 + 1) / 64;
  return (statement){bits[1] % 3 > 0, limit == DPC_LIMIT_LOW ? -size + 4 : size};
}

// What one side leaves in force, as if it were alone; 0 or infinite for nothing.
static double alone(statement s, dpc_limit limit) {
  if (s.given) return (double)s.value;
  return limit == DPC_LIMIT_LOW ? -INFINITY : limit == DPC_LIMIT_HIGH ? INFINITY : 0;
}

static bool looser(double a, double b, dpc_limit limit) {
  if (limit == DPC_LIMIT_LOW) return a < b;
  if (limit == DPC_LIMIT_HIGH) return a > b;
  return b > 0 && (a <= 0 || a > b);
}

static double part(const dpc_limits* l, dpc_limit limit) {
  const double parts[DPC_LIMIT_COUNT] = {l->low, l->high, l->speed, l->acceleration, l->jerk};
  return parts[limit];
}

// Whatever the two say: what is in force is one of the two, never looser than either; and it is refused
// just when nothing is in both ranges, or a part of the motion is said by neither.
static void test_never_looser_than_either(void** state) {
  (void)state;
  int taken = 0;
  for (uint32_t trial = 0; trial < TRIALS; ++trial) {
    dpc_interface robot = make_robot();
    dpc_text_list list = {.count = 1, .values = {"grip"}};
    statement ours[DPC_LIMIT_COUNT], own[DPC_LIMIT_COUNT];
    int length = 4, motion = 0;
    for (int k = 0; k < DPC_LIMIT_COUNT; ++k) {
      const dpc_limit limit = (dpc_limit)k;
      ours[k] = draw(trial, 0, limit);
      own[k] = draw(trial, 1, limit);
      if (own[k].given) dpc_interface_limit(&robot, "grip", limit, &own[k].value);
      if (ours[k].given) {
        length += snprintf(list.values[0] + length, DPC_LIST_TEXT_MAX - (size_t)length, " %s=%.9g",
                           dpc_limit_name(limit), (double)ours[k].value);
      }
      if (k >= DPC_LIMIT_SPEED) motion += ours[k].given || own[k].given;
    }
    const bool range =
        fmax(alone(ours[0], 0), alone(own[0], 0)) < fmin(alone(ours[1], 1), alone(own[1], 1));
    dpc_bounds bounds[DIM];
    dpc_error error = {""};
    const dpc_status status = dpc_bounds_read(&list, &robot, -1e30, 1e30, bounds, &error);
    assert_int_equal(status, range && motion % 3 == 0 ? DPC_OK : DPC_ERR_CONFIG);
    if (status != DPC_OK) assert_non_null(strstr(error.text, "grip"));
    for (int k = 0; status == DPC_OK && k < DPC_LIMIT_COUNT; ++k) {
      const dpc_limit limit = (dpc_limit)k;
      const double is = part(&bounds[DIM - 1].limits, limit);
      const double a = alone(ours[k], limit), b = alone(own[k], limit);
      assert_false(looser(is, a, limit) || looser(is, b, limit));
      if (ours[k].given || own[k].given) assert_true(is == a || is == b);
      ++taken;
    }
  }
  assert_true(taken > TRIALS / 10);
}

// --- in words -------------------------------------------------------------------------------------

static char said[4][256];
static int lines;

static void hear(void* context, dpc_log_level level, const char* text) {
  (void)context;
  (void)level;
  if (lines < DPC_COUNT(said)) snprintf(said[lines++], sizeof said[0], "%s", text);
}

static void test_says_what_is_in_force(void** state) {
  (void)state;
  dpc_interface robot = make_robot();
  const dpc_text_list list = {.count = 1, .values = {"grip speed=1 acceleration=20 jerk=300"}};
  dpc_bounds bounds[DIM];
  dpc_error error;
  dpc_interface_limit(&robot, "arm", DPC_LIMIT_HIGH, (float[]){2, 2});
  dpc_interface_limit(&robot, "grip", DPC_LIMIT_ACCELERATION, &(float){10});
  assert_ok(dpc_bounds_read(&list, &robot, -3, 3, bounds, &error), &error);
  dpc_log_to(hear, NULL);
  dpc_bounds_log(bounds, &robot);
  robot.limits.values[DPC_LIMIT_HIGH][1] = 1;
  bounds[1].limits.high = 1;
  dpc_bounds_log(bounds, &robot);
  dpc_log_to(NULL, NULL);
  assert_string_equal(said[0], "limits of arm[0:2]: low -3 (settings), high 2 (robot)");
  assert_string_equal(said[1],
                      "limits of grip[0:1]: low -3 (settings), high 3 (settings), speed 1 "
                      "(settings), acceleration 10 (robot), jerk 300 (settings)");
  assert_string_equal(said[2], "limits of arm[0:1]: low -3 (settings), high 2 (robot)");
  assert_string_equal(said[3], "limits of arm[1:2]: low -3 (settings), high 1 (robot)");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_by_signal),
      cmocka_unit_test(test_what_cannot_be),
      cmocka_unit_test(test_contradictions_name_both),
      cmocka_unit_test(test_each_completes_the_other),
      cmocka_unit_test(test_never_looser_than_either),
      cmocka_unit_test(test_says_what_is_in_force),
  };
  return cmocka_run_group_tests_name("bounds", tests, NULL, NULL);
}
