#include "runtime/clock.h"

#include <sched.h>
#include <sys/mman.h>

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

static void note_cpu(void* context) {
  *(int*)context = sched_getcpu();
}

static int64_t count_calls(void) {
  static int64_t calls;
  return calls += 7;
}

static void touch_pages(void* context) {
  (void)context;
  enum { SIZE = 256 << 10 };
  char* block = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  for (int at = 0; at < SIZE; at += 4096) block[at] = 1;
  munmap(block, SIZE);
}

static void use_stack(void* context) {
  (void)context;
  volatile char frame[512 << 10];
  for (size_t at = 0; at < sizeof frame; at += 4096) frame[at] = 1;
}

static void test_thread_runs_whatever_the_permissions(void** state) {
  (void)state;
  for (int priority = 0; priority <= 10; priority += 10) {
    dpc_error error = {""};
    dpc_thread thread = {0};
    int flag = 0;
    const dpc_thread_def def = {.name = "a-name-too-long-for-it", .place.priority = priority};
    assert_ok(dpc_thread_start(&thread, &def, set_flag, &flag, &error), &error);
    if (priority == 0) assert_false(thread.realtime);
    dpc_thread_join(&thread);
    assert_int_equal(flag, 1);
    dpc_thread_join(&thread);  // nothing
  }
}

static void test_thread_runs_where_it_is_put(void** state) {
  (void)state;
  dpc_error error = {""};
  const int first = dpc_rt_cpu(0), last = dpc_rt_cpu(-1);
  assert_true(first >= 0 && last >= first);
  assert_int_equal(dpc_rt_cpu(1024), -1);
  assert_int_equal(dpc_rt_cpu(-1025), -1);
  for (int i = 0; i < 2; ++i) {
    dpc_thread thread;
    int cpu = -1;
    const dpc_thread_def def = {.name = "pinned",
                                .place = {.pinned = true, .cpu = i == 0 ? first : last}};
    assert_ok(dpc_thread_start(&thread, &def, note_cpu, &cpu, &error), &error);
    dpc_thread_join(&thread);
    assert_int_equal(cpu, def.place.cpu);
  }
  dpc_thread thread;
  const dpc_thread_def nowhere = {.name = "nowhere", .place = {.pinned = true, .cpu = 1023}};
  assert_fails(dpc_thread_start(&thread, &nowhere, note_cpu, &(int){0}, &error), DPC_ERR_CONFIG,
               &error, "CPU 1023");
}

// The heap's counter is asked, and pages that are touched for the first time are seen.
static void test_thread_is_watched(void** state) {
  (void)state;
  dpc_error error = {""};
  const dpc_thread_def def = {.name = "watched", .stack_size = (size_t)1 << 20};
  for (int counted = 0; counted < 2; ++counted) {
    dpc_thread thread;
    dpc_thread_count_heap(counted ? count_calls : NULL);
    assert_ok(dpc_thread_start(&thread, &def, touch_pages, &error, &error), &error);
    dpc_thread_join(&thread);
    assert_int_equal(thread.usage.heap_calls, counted ? 7 : -1);
    assert_true(thread.usage.minor_faults + thread.usage.major_faults >= 32);
    assert_true(thread.usage.involuntary_switches >= 0);
  }
  dpc_thread_count_heap(NULL);
}

// A thread that wants to be on time finds its stack there: nearly all of it can be used without a fault.
static void test_stack_is_touched_before(void** state) {
  (void)state;
  dpc_error error = {""};
  const dpc_thread_def def = {
      .name = "on-time", .stack_size = (size_t)2 << 20, .place.priority = 1};
  int64_t least = INT64_MAX;
  for (int i = 0; i < 5 && least > 0; ++i) {  // the system may take a page away at any time
    dpc_thread thread;
    assert_ok(dpc_thread_start(&thread, &def, use_stack, &error, &error), &error);
    dpc_thread_join(&thread);
    const int64_t faults = thread.usage.minor_faults + thread.usage.major_faults;
    if (faults < least) least = faults;
  }
  assert_true(least < 32);  // 512 kB are 128 pages
}

static void test_off_asks_for_nothing(void** state) {
  (void)state;
  dpc_error error = {""};
  dpc_rt_granted granted = {true, true};
  assert_ok(dpc_rt_prepare(DPC_RT_OFF, 80, &granted, &error), &error);
  assert_false(granted.priority || granted.memory);
}

static void test_denormals_are_flushed_and_restored(void** state) {
  (void)state;
  volatile float tiny = 1e-30f, factor = 1e-10f;
  assert_true(tiny * factor > 0);
  const unsigned before = dpc_denormals_flush();
#if defined(__SSE2__) || defined(__aarch64__)
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
      cmocka_unit_test(test_thread_runs_where_it_is_put),
      cmocka_unit_test(test_thread_is_watched),
      cmocka_unit_test(test_stack_is_touched_before),
      cmocka_unit_test(test_off_asks_for_nothing),
      cmocka_unit_test(test_denormals_are_flushed_and_restored),
  };
  return cmocka_run_group_tests_name("clock", tests, NULL, NULL);
}
