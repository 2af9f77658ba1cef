#include "runtime/clock.h"

#include "runtime/rt.h"
#include "tests/test.h"

static void test_sleep_ends_after_its_time(void** state) {
  (void)state;
  const dpc_time start = dpc_clock_now();
  const dpc_time until = dpc_time_after(start, dpc_seconds(0.01));
  dpc_clock_sleep_until(until);
  assert_true(dpc_clock_now().ns >= until.ns);
  dpc_clock_sleep_until(start);  // has passed: returns
  dpc_clock_sleep_until((dpc_time){-5});
}

// However late one is, due times stay on the grid, the next is in the future, and all are counted.
static void test_cadence_keeps_its_phase(void** state) {
  (void)state;
  for (int64_t late = 0; late < 1000; late += 7) {
    dpc_cadence cadence = {.due = {500}, .period = {100}};
    const uint64_t skipped = dpc_cadence_next(&cadence, (dpc_time){500 + late});
    assert_int_equal((cadence.due.ns - 500) % 100, 0);
    assert_true(cadence.due.ns > 500 + late);
    assert_true(cadence.due.ns <= 500 + late + 100);
    assert_int_equal(skipped, late / 100);
  }
}

static void test_cadence_early_is_not_hurried(void** state) {
  (void)state;
  dpc_cadence cadence = {.due = {500}, .period = {100}};
  assert_int_equal(dpc_cadence_next(&cadence, (dpc_time){0}), 0);
  assert_int_equal(cadence.due.ns, 600);
}

// --- threads --------------------------------------------------------------------------------------

static void set_flag(void* context) {
  *(int*)context = 1;
}

static void test_thread_runs_whatever_the_permissions(void** state) {
  (void)state;
  for (int priority = 0; priority <= 10; priority += 10) {
    dpc_error error = {""};
    dpc_thread thread = {0};
    int flag = 0;
    const dpc_thread_def def = {.name = "a-name-too-long-for-it", .priority = priority};
    assert_ok(dpc_thread_start(&thread, &def, set_flag, &flag, &error), &error);
    if (priority == 0) assert_false(thread.realtime);
    dpc_thread_join(&thread);
    assert_int_equal(flag, 1);
    dpc_thread_join(&thread);  // nothing
  }
}

static void test_denormals_are_flushed_and_restored(void** state) {
  (void)state;
  volatile float tiny = 1e-30f, factor = 1e-10f;
  assert_true(tiny * factor > 0);
  const unsigned before = dpc_denormals_flush();
#if defined(__SSE2__)
  assert_true(tiny * factor == 0);
#endif
  dpc_denormals_restore(before);
  assert_true(tiny * factor > 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_sleep_ends_after_its_time),
      cmocka_unit_test(test_cadence_keeps_its_phase),
      cmocka_unit_test(test_cadence_early_is_not_hurried),
      cmocka_unit_test(test_thread_runs_whatever_the_permissions),
      cmocka_unit_test(test_denormals_are_flushed_and_restored),
  };
  return cmocka_run_group_tests_name("clock", tests, NULL, NULL);
}
