#include "runtime/liveness.h"

#include "tests/test.h"

static dpc_time at(double seconds) {
  return dpc_time_after((dpc_time){INT64_C(1000000000000)}, dpc_seconds(seconds));
}

static void test_silence_counts_only_while_we_listen(void** state) {
  (void)state;
  dpc_liveness liveness;
  dpc_liveness_start(&liveness, dpc_seconds(0.5), at(0));
  for (int i = 1; i <= 50; ++i) assert_false(dpc_liveness_update(&liveness, at(0.01 * i)));
  assert_true(dpc_liveness_update(&liveness, at(0.51)));
  // heard again
  dpc_liveness_heard(&liveness, at(0.52));
  assert_false(dpc_liveness_update(&liveness, at(0.52)));
  // away ourselves for 10 s: two heartbeats more, then dead
  assert_false(dpc_liveness_update(&liveness, at(10.52)));
  assert_false(dpc_liveness_update(&liveness, at(10.6)));
  assert_true(dpc_liveness_update(&liveness, at(10.63)));
  // away again and again does not keep the dead alive
  dpc_liveness_start(&liveness, dpc_seconds(0.5), at(0));
  assert_false(dpc_liveness_update(&liveness, at(1)));
  assert_true(dpc_liveness_update(&liveness, at(2)));
}

static void test_heartbeats_are_due_every_period(void** state) {
  (void)state;
  dpc_liveness liveness;
  dpc_liveness_start(&liveness, dpc_seconds(0.5), at(0));
  int spoken = 0;
  for (int i = 0; i <= 1000; ++i) spoken += dpc_liveness_speak(&liveness, at(0.001 * i));
  assert_int_equal(spoken, 20);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_silence_counts_only_while_we_listen),
      cmocka_unit_test(test_heartbeats_are_due_every_period),
  };
  return cmocka_run_group_tests_name("liveness", tests, NULL, NULL);
}
