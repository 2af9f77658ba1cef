#include "runtime/safety.h"

#include "policy/rng.h"
#include "tests/test.h"

enum { DIM = 5 };

static const dpc_gate gate = {-2, 3};
static const float fallback[DIM] = {0.5F, -1, 0, 2, 3};

// Whatever is asked for, what comes out is finite and within bounds.
static void test_never_out_of_bounds(void** state) {
  (void)state;
  static const float special[] = {NAN, INFINITY, -INFINITY, 1e38F, -1e38F, 1e-45F, 0};
  for (uint32_t trial = 0; trial < 200000; ++trial) {
    uint32_t bits[4];
    float wanted[DIM], out[DIM];
    dpc_rng_bits((dpc_rng_key){3, 0}, trial, 0, 0, 0, bits);
    dpc_rng_normal((dpc_rng_key){3, 1}, DPC_STREAM_TEST, trial, 0, DIM, wanted);
    for (int i = 0; i < DIM; ++i) wanted[i] *= 3;
    if (bits[0] % 3 == 0) wanted[bits[1] % DIM] = special[bits[2] % (uint32_t)DPC_COUNT(special)];
    const dpc_gate_report report = dpc_gate_pass(&gate, wanted, fallback, DIM, out);
    int clamped = 0, bad = 0;
    for (int i = 0; i < DIM; ++i) {
      assert_true(out[i] >= gate.low && out[i] <= gate.high);
      bad += !isfinite(wanted[i]);
      clamped += wanted[i] < gate.low || wanted[i] > gate.high;
    }
    assert_int_equal(report.rejected, bad > 0);
    if (bad == 0) assert_int_equal(report.clamped, clamped);
    if (bad > 0) assert_memory_equal(out, fallback, sizeof out);
  }
}

static void test_inside_is_untouched(void** state) {
  (void)state;
  const float wanted[DIM] = {-2, 3, 0, -0.0F, 1.5F};
  float out[DIM];
  const dpc_gate_report report = dpc_gate_pass(&gate, wanted, fallback, DIM, out);
  assert_false(report.rejected);
  assert_int_equal(report.clamped, 0);
  assert_memory_equal(out, wanted, sizeof out);
}

static void test_in_place(void** state) {
  (void)state;
  float values[DIM] = {9, -9, 1, NAN, 0};
  float kept[DIM];
  memcpy(kept, fallback, sizeof kept);
  assert_true(dpc_gate_pass(&gate, values, kept, DIM, kept).rejected);
  assert_memory_equal(kept, fallback, sizeof kept);
  values[3] = 2;
  assert_int_equal(dpc_gate_pass(&gate, values, kept, DIM, values).clamped, 2);
  assert_near(values[0], 3, 0);
  assert_near(values[1], -2, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_never_out_of_bounds),
      cmocka_unit_test(test_inside_is_untouched),
      cmocka_unit_test(test_in_place),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
