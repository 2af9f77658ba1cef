#include "runtime/safety.h"

#include "policy/rng.h"
#include "tests/test.h"

enum { DIM = 5, RECOVERY = 4 };

static const dpc_duration period = {INT64_C(10000000)};
static const float pose[DIM] = {0.5F, -1, 0, 2, 3};
static dpc_arena arena;

static int set_up(void** state) {
  (void)state;
  dpc_error error;
  assert_ok(dpc_arena_map(&arena, 1 << 20, &error), &error);
  return 0;
}

static int tear_down(void** state) {
  (void)state;
  dpc_arena_unmap(&arena);
  return 0;
}

// Five values, the bounds of all as an element of the settings says.
static dpc_gate* make_gate(const char* limits) {
  dpc_text_list list = {.count = limits[0] == '\0' ? 0 : 1};
  dpc_interface robot = {.period_ns = 10000000};
  dpc_bounds bounds[DIM];
  dpc_gate* gate = NULL;
  dpc_error error = {""};
  strncpy(list.values[0], limits, DPC_LIST_TEXT_MAX - 1);
  dpc_layout_add(&robot.action, "arm", DIM, "rad", NULL);
  assert_ok(dpc_bounds_read(&list, &robot, -2, 3, bounds, &error), &error);
  assert_ok(dpc_gate_create(bounds, DIM, period, RECOVERY, &arena, &gate, &error), &error);
  dpc_gate_anchor(gate, pose);
  return gate;
}

static dpc_gate_report pass(dpc_gate* gate, const float* wanted, float* out) {
  return dpc_gate_pass(gate, &(dpc_wanted){.position = wanted}, 1, out);
}

static void draw(uint32_t trial, double scale, float* wanted) {
  dpc_rng_normal((dpc_rng_key){3, 1}, DPC_STREAM_TEST, trial, 0, DIM, wanted);
  for (int i = 0; i < DIM; ++i) wanted[i] *= (float)scale;
}

// Whatever is asked for, what comes out is finite and within its range, and what is refused leaves
// everything as it was.
static void test_never_out_of_range(void** state) {
  (void)state;
  static const float special[] = {NAN, INFINITY, -INFINITY, 1e38F, -1e38F, 1e-45F, 0};
  dpc_gate* gate = make_gate("");
  float before[DIM];
  memcpy(before, pose, sizeof before);
  for (uint32_t trial = 0; trial < 200000; ++trial) {
    uint32_t bits[4];
    float wanted[DIM], out[DIM];
    dpc_rng_bits((dpc_rng_key){3, 0}, trial, 0, 0, 0, bits);
    draw(trial, 3, wanted);
    if (bits[0] % 3 == 0) wanted[bits[1] % DIM] = special[bits[2] % (uint32_t)DPC_COUNT(special)];
    const dpc_gate_report report = pass(gate, wanted, out);
    int clamped = 0, bad = 0;
    for (int i = 0; i < DIM; ++i) {
      assert_true(out[i] >= -2 && out[i] <= 3);
      bad += !isfinite(wanted[i]);
      clamped += wanted[i] < -2 || wanted[i] > 3;
    }
    assert_int_equal(report.rejected, bad > 0);
    if (bad == 0) assert_int_equal(report.clamped, clamped);
    if (bad > 0) assert_memory_equal(out, before, sizeof out);
    memcpy(before, out, sizeof before);
  }
}

static void test_inside_is_untouched(void** state) {
  (void)state;
  const float wanted[DIM] = {-2, 3, 0, -0.0F, 1.5F};
  float out[DIM];
  const dpc_gate_report report = pass(make_gate(""), wanted, out);
  assert_false(report.rejected || report.jumped);
  assert_int_equal(report.clamped + report.limited, 0);
  assert_memory_equal(out, wanted, sizeof out);
  // limits that are wide enough are no different; of a zero the sign is lost
  const dpc_gate_report wide =
      pass(make_gate("* speed=1e9 acceleration=1e15 jerk=1e22"), wanted, out);
  assert_int_equal(wide.clamped + wide.limited, 0);
  for (int i = 0; i < DIM; ++i) assert_true(out[i] == wanted[i]);
}

// With limits: from tick to tick no more speed, acceleration and jerk than allowed, through bad
// values, jumps, holds and late ticks.
static void test_motion_is_bounded(void** state) {
  (void)state;
  dpc_gate* gate = make_gate("* speed=2 acceleration=20 jerk=400");
  const double dt = 0.01, rounding = 4e-7;
  float seen[4][DIM];
  for (int j = 0; j < 4; ++j) memcpy(seen[j], pose, sizeof pose);
  float wanted[DIM] = {0};
  for (uint32_t tick = 0; tick < 50000; ++tick) {
    uint32_t bits[4];
    dpc_rng_bits((dpc_rng_key){3, 5}, tick, 0, 0, 0, bits);
    if (bits[0] % 20 == 0) draw(tick, 2, wanted);
    if (bits[1] % 50 == 0) wanted[bits[2] % DIM] = NAN;
    memmove(seen[0], seen[1], sizeof seen - sizeof seen[0]);
    if (bits[3] % 64 < 8) {
      dpc_gate_hold(gate, pose, 1, seen[3]);
    } else {
      const dpc_gate_report report = pass(gate, wanted, seen[3]);
      assert_false(report.jumped);
      if (report.rejected) draw(tick, 2, wanted);
    }
    for (int i = 0; i < DIM; ++i) {
      const double a = seen[0][i], b = seen[1][i], c = seen[2][i], d = seen[3][i];
      assert_true(d >= -2 && d <= 3);
      assert_true(fabs(d - c) <= 2 * dt + rounding);
      assert_true(fabs(d - 2 * c + b) <= 20 * dt * dt + 2 * rounding);
      assert_true(fabs(d - 3 * c + 3 * b - a) <= 400 * dt * dt * dt + 4 * rounding);
    }
  }
}

// A hold brakes from the commanded speed and stays where that ends; from there it goes on without a
// jump, as the test above has seen.
static void test_hold_comes_to_rest_and_stays(void** state) {
  (void)state;
  dpc_gate* gate = make_gate("* speed=2 acceleration=20 jerk=400");
  const float far[DIM] = {3, 3, 3, -2, -2};
  float out[DIM], rest[DIM];
  for (int i = 0; i < 30; ++i) pass(gate, far, out);
  assert_false(dpc_gate_at_rest(gate));
  int ticks = 0;
  while (!dpc_gate_at_rest(gate)) {
    dpc_gate_hold(gate, pose, 1, rest);
    assert_true(++ticks < 100);
  }
  assert_true(rest[0] > out[0] && rest[3] < out[3]);
  for (int i = 0; i < 10; ++i) {
    dpc_gate_hold(gate, pose, 1, out);
    assert_memory_equal(out, rest, sizeof rest);
  }
  // the same tick once more: nothing moves
  assert_int_equal(dpc_gate_pass(gate, &(dpc_wanted){.position = far}, 0, out).rejected, 0);
  assert_memory_equal(out, rest, sizeof rest);
}

// Pass, clamp, refuse: what jumps is not followed until so many in a row have not.
static void test_jumps_are_refused(void** state) {
  (void)state;
  dpc_gate* gate = make_gate("* speed=2 acceleration=20 jerk=400 jump=0.3");
  float wanted[DIM], out[DIM];
  memcpy(wanted, pose, sizeof wanted);
  wanted[0] += 0.29F;
  assert_false(pass(gate, wanted, out).jumped);
  wanted[1] += 0.31F;
  assert_true(pass(gate, wanted, out).jumped);
  for (int i = 1; i < RECOVERY; ++i) assert_true(pass(gate, wanted, out).jumped);
  assert_false(pass(gate, wanted, out).jumped);
  // one more jump on the way begins anew
  wanted[2] -= 1;
  assert_true(pass(gate, wanted, out).jumped);
  assert_true(pass(gate, wanted, out).jumped);
  wanted[2] += 1;
  for (int i = 0; i < RECOVERY; ++i) assert_true(pass(gate, wanted, out).jumped);
  assert_false(pass(gate, wanted, out).jumped);
  for (int i = 0; i < 100; ++i) pass(gate, wanted, out);
  assert_memory_equal(out, wanted, sizeof out);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_never_out_of_range, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_inside_is_untouched, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_motion_is_bounded, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_hold_comes_to_rest_and_stays, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_jumps_are_refused, set_up, tear_down),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
