#include "runtime/loop.h"

#include <time.h>

#include "runtime/clock.h"
#include "tests/small_policy.h"
#include "tests/test.h"

static dpc_arena arena;
static dpc_policy* policy;
static dpc_controller* controller;
static dpc_planner* planner;
static dpc_loop* loop;

static int setup(void** state) {
  (void)state;
  dpc_error error = {""};
  assert_ok(dpc_arena_map(&arena, (size_t)64 << 20, &error), &error);
  assert_ok(small_policy_load(&arena, &policy, &error), &error);
  return 0;
}

static int teardown(void** state) {
  (void)state;
  dpc_loop_destroy(loop);
  dpc_planner_destroy(planner);
  dpc_arena_unmap(&arena);
  loop = NULL;
  planner = NULL;
  return 0;
}

static dpc_controller* make_controller(int delay) {
  dpc_error error = {""};
  dpc_controller* made = NULL;
  dpc_controller_def def = dpc_controller_def_default();
  def.delay = delay;
  // how busy the machine is must not show in what these tests see
  def.plan_age = def.hold_age = 1000;
  def.fault_age = 2000;
  const dpc_checkpoint_info* info = dpc_policy_info(policy);
  assert_ok(dpc_controller_create(&def, info, &info->interface, &arena, &made, &error), &error);
  return made;
}

static void make_loop(dpc_pace pace, dpc_duration period, int delay, bool in_thread) {
  dpc_error error = {""};
  controller = make_controller(delay);
  assert_ok(dpc_planner_create(policy, NULL, 1, &arena, &planner, &error), &error);
  const dpc_loop_def def = {.pace = pace, .period = period, .plan_in_thread = in_thread};
  assert_ok(
      dpc_loop_create(&def, controller, planner, SMALL_OBS, SMALL_ACTION, &arena, &loop, &error),
      &error);
  assert_ok(dpc_loop_start(loop, &error), &error);
}

static void fill(float* values, uint64_t epoch, uint64_t tick) {
  for (int i = 0; i < SMALL_OBS; ++i) {
    values[i] = 100 + (float)(epoch * 10) + (float)tick + 3 * (float)i;
  }
}

static void observe(uint64_t epoch, uint64_t tick, bool live) {
  dpc_mailbox* box = dpc_loop_observations(loop);
  dpc_loop_observation* slot = dpc_mailbox_slot(box);
  slot->received = dpc_clock_now();
  slot->sampled = slot->received;
  slot->epoch = epoch;
  slot->seed = 1000 + epoch;
  slot->tick = tick;
  slot->live = live;
  slot->label = (uint32_t)epoch;
  fill(slot->values, epoch, tick);
  dpc_mailbox_publish(box);
}

static const dpc_loop_command* wait_for_command(void) {
  for (;;) {
    dpc_mailbox_wait(dpc_loop_commands(loop), dpc_seconds(20));
    const dpc_loop_command* command = dpc_mailbox_take(dpc_loop_commands(loop));
    if (command != NULL) return command;
  }
}

// In lock-step, each command has the bits of the same tick without a loop, a thread or a clock.
static void check_lockstep(int delay) {
  make_loop(DPC_PACE_LOCKSTEP, dpc_seconds(0.1), delay, false);
  dpc_error error = {""};
  dpc_controller* twin = make_controller(delay);
  dpc_planner* inline_planner;
  assert_ok(dpc_planner_create(policy, NULL, 1, &arena, &inline_planner, &error), &error);
  for (uint64_t epoch = 1; epoch <= 3; ++epoch) {
    for (uint64_t tick = 0; tick < 30; ++tick) {
      observe(epoch, tick, true);
      float values[SMALL_OBS];
      fill(values, epoch, tick);
      const dpc_tick_input input = {
          .tick = tick, .epoch = epoch, .seed = 1000 + epoch, .obs = values, .fresh = true};
      dpc_plan_request request;
      dpc_plan plan;
      dpc_tick_output output;
      const bool due = dpc_controller_observe(twin, &input, &request);
      if (due) dpc_planner_make(inline_planner, &request, &plan);
      dpc_controller_tick(twin, &input, due ? &plan : NULL, &output);
      const dpc_loop_command* command = wait_for_command();
      assert_int_equal(command->tick, tick);
      assert_int_equal(command->epoch, epoch);
      assert_int_equal(command->label, epoch);
      assert_true(command->fresh);
      assert_memory_equal(command->values, output.action, sizeof(float) * SMALL_ACTION);
    }
    observe(epoch, 30, false);
  }
  dpc_loop_stop(loop);
  const dpc_loop_stats* stats = dpc_loop_measured(loop);
  assert_int_equal(stats->tick.count, 90);
  assert_int_equal(stats->observation_age.count, 90);
  assert_int_equal(stats->missed, 0);
  assert_int_equal(stats->overdue, 0);
  assert_int_equal(stats->wake_up.count, 0);
  dpc_planner_destroy(inline_planner);
}

static void test_lockstep_is_the_controller(void** state) {
  (void)state;
  check_lockstep(0);
}

static void test_lockstep_with_delay_is_the_controller(void** state) {
  (void)state;
  check_lockstep(3);
}

// With a thread for planning, commands come all the same, and every plan is adopted in time or late.
static void test_planning_in_a_thread(void** state) {
  (void)state;
  make_loop(DPC_PACE_ROBOT, dpc_seconds(10), 4, true);
  for (uint64_t tick = 0; tick < 60; ++tick) {
    observe(1, tick, true);
    assert_int_equal(wait_for_command()->tick, tick);
    dpc_clock_sleep_until(dpc_time_after(dpc_clock_now(), dpc_seconds(1e-3)));
  }
  dpc_loop_stop(loop);
  assert_true(dpc_controller_counts(controller)->plans >= 1);
  assert_int_equal(dpc_controller_counts(controller)->failed, 0);
  assert_int_equal(dpc_loop_measured(loop)->missed, 0);
}

static void test_robot_pace_counts_gaps(void** state) {
  (void)state;
  make_loop(DPC_PACE_ROBOT, dpc_seconds(100), 0, false);
  const uint64_t ticks[] = {0, 1, 2, 5, 6, 10};
  for (int i = 0; i < DPC_COUNT(ticks); ++i) {
    observe(1, ticks[i], true);
    assert_int_equal(wait_for_command()->tick, ticks[i]);
  }
  observe(2, 0, true);
  wait_for_command();
  dpc_loop_stop(loop);
  assert_int_equal(dpc_loop_measured(loop)->missed, 2 + 3);
}

// The robot falls silent: the plan is followed on, answering the last observation.
static void test_robot_pace_goes_on_when_overdue(void** state) {
  (void)state;
  make_loop(DPC_PACE_ROBOT, dpc_seconds(0.005), 0, false);
  observe(1, 0, true);
  for (int repeated = 0; repeated < 3;) {
    const dpc_loop_command* command = wait_for_command();
    assert_int_equal(command->tick, 0);
    if (!command->fresh) ++repeated;
  }
  observe(1, 5, false);
  dpc_loop_stop(loop);
  assert_true(dpc_loop_measured(loop)->overdue >= 3);
}

static void test_not_live_gets_no_command(void** state) {
  (void)state;
  make_loop(DPC_PACE_LOCKSTEP, dpc_seconds(0.1), 0, false);
  observe(1, 0, false);
  assert_false(dpc_mailbox_wait(dpc_loop_commands(loop), dpc_seconds(0.05)));
  dpc_loop_stop(loop);
  assert_int_equal(dpc_loop_measured(loop)->tick.count, 0);
}

static void test_timer_pace_ticks_by_itself(void** state) {
  (void)state;
  make_loop(DPC_PACE_TIMER, dpc_seconds(0.002), 5, true);
  observe(1, 0, true);
  for (int i = 0; i < 20; ++i) assert_int_equal(wait_for_command()->tick, 0);
  observe(1, 1, true);
  while (wait_for_command()->tick != 1) {
  }
  dpc_loop_stop(loop);
  const dpc_loop_stats* stats = dpc_loop_measured(loop);
  assert_true(stats->tick.count >= 21);
  assert_int_equal(stats->wake_up.count, stats->tick.count);
  assert_int_equal(stats->observation_age.count, 2);
}

static void test_stops_when_nothing_comes(void** state) {
  (void)state;
  make_loop(DPC_PACE_LOCKSTEP, dpc_seconds(0.1), 2, true);
  dpc_loop_stop(loop);
  dpc_loop_stop(loop);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_lockstep_is_the_controller, setup, teardown),
      cmocka_unit_test_setup_teardown(test_lockstep_with_delay_is_the_controller, setup, teardown),
      cmocka_unit_test_setup_teardown(test_planning_in_a_thread, setup, teardown),
      cmocka_unit_test_setup_teardown(test_robot_pace_counts_gaps, setup, teardown),
      cmocka_unit_test_setup_teardown(test_robot_pace_goes_on_when_overdue, setup, teardown),
      cmocka_unit_test_setup_teardown(test_not_live_gets_no_command, setup, teardown),
      cmocka_unit_test_setup_teardown(test_timer_pace_ticks_by_itself, setup, teardown),
      cmocka_unit_test_setup_teardown(test_stops_when_nothing_comes, setup, teardown),
  };
  return cmocka_run_group_tests_name("loop", tests, NULL, NULL);
}
