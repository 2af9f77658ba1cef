// What is measured of commands at switches.

#include "tools/motion.h"

#include "tests/test.h"

enum { COUNT = 400 };

typedef double path(double t, int i);

// Commands along a path from tick 0 on, with plans that begin at these ticks.
static dpc_motion_steps measure(path* along, int ticks_held, const int* switches,
                                int switch_count) {
  dpc_motion_meter meter = {0};
  for (int n = 0; n < COUNT; ++n) {
    const double t = 0.01 * (n - n % ticks_held);
    const float command[DPC_PUSH_ACTION_DIM] = {(float)along(t, 0), (float)along(t, 1)};
    bool first = false;
    for (int k = 0; k < switch_count; ++k) first |= n == switches[k];
    dpc_motion_add(&meter, command, first);
  }
  return meter.motion;
}

// 3 cm/s^3 and so on: powers of t, of which the differences are known; small enough for floats.
static double cubic(double t, int i) {
  return i == 0 ? 3 * t * t * t : -4 * t * t * t;
}

static double jump(double t, int i) {
  return i == 0 && t > 1.995 ? 30 : 0;
}

static void test_nothing_without_switches(void** state) {
  (void)state;
  const int first[] = {0};
  const dpc_motion_steps none = measure(cubic, 1, NULL, 0), one = measure(cubic, 1, first, 1);
  assert_true(none.switches == 0 && none.velocity_step == 0 && none.jerk == 0);
  assert_true(one.switches == 0 && one.velocity_step == 0 && one.jerk == 0);
}

// |(3, -4)| t^3 has a jerk of 30, and its velocity steps grow: the last of the switch is the largest.
static void test_smooth(void** state) {
  (void)state;
  const int switches[] = {0, 100};
  const dpc_motion_steps m = measure(cubic, 1, switches, 2);
  assert_int_equal(m.switches, 1);
  assert_near(m.velocity_step, 30 * 1.08 * 0.01, 0.003);  // the second difference around 1.08 s
  assert_near(m.jerk, 30, 30);                            // floats at 5 are 5e-7 apart, over 1e-6
}

// A jump within the switch, at its first command or its last; and just before or after it.
static void test_jump(void** state) {
  (void)state;
  static const struct {
    int begin;
    bool seen;
  } cases[] = {{200, true}, {191, true}, {190, false}, {202, true}, {203, true}, {204, false}};
  for (int i = 0; i < DPC_COUNT(cases); ++i) {
    const int switches[] = {5, cases[i].begin};
    const dpc_motion_steps m = measure(jump, 1, switches, 2);
    // a jump of 30 at n: second differences 30, -30 at n and n + 1; third 30, -60, 30 up to n + 2
    const double step = !cases[i].seen || cases[i].begin > 201 ? 0 : 30 / 0.01;
    const double jerk = !cases[i].seen          ? 0
                        : cases[i].begin == 191 ? 30 / 1e-6
                        : cases[i].begin < 202  ? 60 / 1e-6
                        : cases[i].begin == 202 ? 30 / 1e-6
                                                : 0;
    assert_near(m.velocity_step, step, 1e-6 * step);
    assert_near(m.jerk, jerk, 1e-6 * jerk);
  }
}

// Held commands are what they are 100 times a second, however seldom they change.
static void test_held(void** state) {
  (void)state;
  const int switches[] = {0, 200};
  const dpc_motion_steps m = measure(jump, 10, switches, 2);
  assert_near(m.velocity_step, 3000, 1e-3);
  assert_near(m.jerk, 6e7, 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_nothing_without_switches),
      cmocka_unit_test(test_smooth),
      cmocka_unit_test(test_jump),
      cmocka_unit_test(test_held),
  };
  return cmocka_run_group_tests_name("motion", tests, NULL, NULL);
}
