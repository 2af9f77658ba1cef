#include "runtime/planner.h"

#include "runtime/clock.h"
#include "tests/small_policy.h"
#include "tests/test.h"

enum { CHUNK = SMALL_HORIZON * SMALL_ACTION, OBS = SMALL_N_OBS * SMALL_OBS };

static dpc_arena arena;
static dpc_policy* policy;
static float obs[OBS];

static int setup(void** state) {
  (void)state;
  dpc_error error = {""};
  assert_ok(dpc_arena_map(&arena, (size_t)64 << 20, &error), &error);
  assert_ok(small_policy_load(&arena, &policy, &error), &error);
  for (int i = 0; i < OBS; ++i) obs[i] = 100 + 5 * (float)i;
  return 0;
}

static int teardown(void** state) {
  (void)state;
  dpc_arena_unmap(&arena);
  return 0;
}

static dpc_planner* make_planner(void) {
  dpc_error error = {""};
  dpc_planner* planner = NULL;
  assert_ok(dpc_planner_create(policy, NULL, 1, &arena, &planner, &error), &error);
  return planner;
}

static dpc_plan_request request_for(uint32_t plan) {
  return (dpc_plan_request){
      .tick = 8 * (uint64_t)plan, .epoch = 3, .plan = plan, .key = {7, 100000}, .obs = obs};
}

static const dpc_plan* wait_for_plan(dpc_planner* planner) {
  const dpc_plan* plan;
  while ((plan = dpc_planner_ready(planner)) == NULL) {
    dpc_clock_sleep_until(dpc_time_after(dpc_clock_now(), dpc_seconds(1e-4)));
  }
  return plan;
}

// Inside the tick, or in the thread: the same bits, and the answer says what it answers.
static void test_thread_gives_the_same_bits(void** state) {
  (void)state;
  dpc_error error = {""};
  dpc_planner* inline_planner = make_planner();
  dpc_planner* threaded = make_planner();
  assert_ok(dpc_planner_start(threaded, &(dpc_thread_place){0}, &error), &error);
  for (uint32_t n = 0; n < 5; ++n) {
    const dpc_plan_request request = request_for(n);
    dpc_plan expected;
    dpc_planner_make(inline_planner, &request, &expected);
    dpc_planner_ask(threaded, &request);
    const dpc_plan* got = wait_for_plan(threaded);
    assert_false(expected.failed || got->failed);
    assert_int_equal(got->tick, 8 * n);
    assert_int_equal(got->epoch, 3);
    assert_int_equal(got->plan, n);
    assert_memory_equal(got->chunk, expected.chunk, sizeof(float) * CHUNK);
    assert_null(dpc_planner_ready(threaded));
  }
  dpc_planner_stop(threaded);
  assert_int_equal(dpc_planner_latency(threaded)->count, 5);
  assert_true(dpc_planner_latency(threaded)->max_ns > 0);
  dpc_planner_destroy(threaded);
  dpc_planner_destroy(inline_planner);
  dpc_planner_destroy(NULL);
}

// The thread has copies: what the request points to may change as soon as it is asked.
static void test_settled_rows_travel_to_the_thread(void** state) {
  (void)state;
  dpc_error error = {""};
  float fixed[CHUNK];
  dpc_planner *inline_planner = make_planner(), *threaded = make_planner();
  assert_ok(dpc_planner_start(threaded, &(dpc_thread_place){0}, &error), &error);
  for (int rows = 0; rows <= SMALL_HORIZON; rows += 4) {
    for (int i = 0; i < CHUNK; ++i) fixed[i] = 200 + (float)i;
    dpc_plan_request request = request_for((uint32_t)rows);
    request.fixed_count = rows;
    request.fixed = fixed;
    dpc_plan expected;
    dpc_planner_make(inline_planner, &request, &expected);
    assert_memory_equal(expected.chunk, fixed, sizeof(float) * (size_t)(rows * SMALL_ACTION));
    dpc_planner_ask(threaded, &request);
    for (int i = 0; i < CHUNK; ++i) fixed[i] = NAN;
    const dpc_plan* got = wait_for_plan(threaded);
    assert_false(got->failed);
    assert_memory_equal(got->chunk, expected.chunk, sizeof(float) * CHUNK);
  }
  dpc_planner_destroy(threaded);
  dpc_planner_destroy(inline_planner);
}

// A guided plan begins with the settled rows, to the bit, whenever it is made, and those near them count.
static void test_guided_plans(void** state) {
  (void)state;
  enum { SETTLED = 3, NEAR = 5 };
  dpc_error error = {""};
  float before[CHUNK], chunk[CHUNK];
  dpc_planner *guided = make_planner(), *again = make_planner();
  assert_ok(dpc_planner_guide(guided, &arena, &error), &error);
  assert_ok(dpc_planner_guide(again, &arena, &error), &error);
  for (int i = 0; i < CHUNK; ++i) before[i] = 300 + (float)i;
  dpc_plan_request request = request_for(1);
  request.fixed = before;
  request.fixed_count = SETTLED;
  dpc_plan plan;
  dpc_planner_make(guided, &request, &plan);
  assert_memory_equal(plan.chunk, before, sizeof(float[SETTLED][SMALL_ACTION]));
  memcpy(chunk, plan.chunk, sizeof chunk);
  request.near_count = NEAR;
  dpc_planner_make(guided, &request, &plan);
  assert_memory_equal(plan.chunk, before, sizeof(float[SETTLED][SMALL_ACTION]));
  assert_memory_not_equal(plan.chunk, chunk, sizeof chunk);
  memcpy(chunk, plan.chunk, sizeof chunk);
  dpc_planner_make(again, &request, &plan);
  assert_memory_equal(plan.chunk, chunk, sizeof chunk);
  dpc_planner_destroy(guided);
  dpc_planner_destroy(again);
}

static void test_what_is_not_finite_fails(void** state) {
  (void)state;
  dpc_planner* planner = make_planner();
  obs[3] = NAN;
  const dpc_plan_request request = request_for(1);
  dpc_plan plan;
  dpc_planner_make(planner, &request, &plan);
  assert_true(plan.failed);
  assert_int_equal(plan.plan, 1);
  dpc_planner_destroy(planner);
}

static void test_measure_leaves_no_trace(void** state) {
  (void)state;
  dpc_error error = {""};
  static dpc_latency taken;
  dpc_latency_clear(&taken);
  dpc_planner* planner = make_planner();
  const dpc_plan_request request = request_for(2);
  dpc_plan plan;
  dpc_planner_make(planner, &request, &plan);
  float before[CHUNK];
  memcpy(before, plan.chunk, sizeof before);
  assert_ok(dpc_planner_measure(planner, &(dpc_thread_place){0}, 10, &taken, &error), &error);
  assert_int_equal(taken.count, 10);
  assert_int_equal(dpc_planner_latency(planner)->count, 1);
  dpc_planner_make(planner, &request, &plan);
  assert_memory_equal(plan.chunk, before, sizeof before);
  dpc_planner_destroy(planner);
}

// Stopping with a request that nobody has begun with, and starting again.
static void test_stop_and_start_again(void** state) {
  (void)state;
  dpc_error error = {""};
  dpc_planner* planner = make_planner();
  for (uint32_t n = 0; n < 20; ++n) {
    assert_ok(dpc_planner_start(planner, &(dpc_thread_place){0}, &error), &error);
    const dpc_plan_request request = request_for(n);
    dpc_planner_ask(planner, &request);
    dpc_planner_stop(planner);
  }
  dpc_planner_destroy(planner);
}

static void test_full_arena(void** state) {
  (void)state;
  dpc_error error = {""};
  dpc_arena small;
  static char block[8192];
  dpc_arena_init(&small, block, sizeof block);
  dpc_planner* planner = NULL;
  assert_fails(dpc_planner_create(policy, NULL, 1, &small, &planner, &error), DPC_ERR_NO_MEMORY,
               &error, "does not fit");
  assert_null(planner);
  assert_int_equal(small.used, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_thread_gives_the_same_bits, setup, teardown),
      cmocka_unit_test_setup_teardown(test_settled_rows_travel_to_the_thread, setup, teardown),
      cmocka_unit_test_setup_teardown(test_guided_plans, setup, teardown),
      cmocka_unit_test_setup_teardown(test_what_is_not_finite_fails, setup, teardown),
      cmocka_unit_test_setup_teardown(test_measure_leaves_no_trace, setup, teardown),
      cmocka_unit_test_setup_teardown(test_stop_and_start_again, setup, teardown),
      cmocka_unit_test_setup_teardown(test_full_arena, setup, teardown),
  };
  return cmocka_run_group_tests_name("planner", tests, NULL, NULL);
}
