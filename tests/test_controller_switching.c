// From plan to plan, and between the rows of one.
#include "tests/one_joint.h"

// --- switching -------------------------------------------------------------------------------------

enum { RUN_TICKS = 1000 };

// What happened in a run of ticks, each plan answered when it was due.
typedef struct run {
  int ticks, asked_count;
  float commands[RUN_TICKS];
  dpc_mode modes[RUN_TICKS];
  bool adopted[RUN_TICKS];
  dpc_plan_request asked[RUN_TICKS];
  float fixed[RUN_TICKS][HORIZON];  // of these, with those behind
} run;

// Plans that wander off, each to somewhere else.
static dpc_plan wander(const dpc_plan_request* request, float* chunk) {
  for (int r = 0; r < HORIZON; ++r) {
    const float u = (float)request->plan + 0.2F * (float)r;
    chunk[r] = 300 * sinf(u) + 40 * cosf(7 * u + (float)request->plan);
  }
  return (dpc_plan){request->tick, request->epoch, request->plan, false, chunk};
}

static void run_ticks(const dpc_controller_def* def, int ticks, run* r) {
  const size_t mark = dpc_arena_mark(&arena);
  dpc_controller* c = make_controller_of(def);
  float chunk[HORIZON];
  dpc_plan plan = {0};
  bool answered = true;
  *r = (run){.ticks = ticks};
  for (int t = 0; t < ticks; ++t) {
    float obs[3];
    const dpc_tick_input input = observe((uint64_t)t, 1, obs);
    dpc_plan_request request;
    dpc_tick_output out;
    if (dpc_controller_observe(c, &input, &request)) {
      const size_t rows = (size_t)request.fixed_count + (size_t)request.near_count;
      memcpy(r->fixed[r->asked_count], request.fixed, sizeof(float) * rows);
      r->asked[r->asked_count++] = request;
      plan = wander(&request, chunk);
      answered = false;
    }
    const bool now = !answered && (uint64_t)t >= plan.tick + (uint64_t)def->delay;
    dpc_controller_tick(c, &input, now ? &plan : NULL, &out);
    answered |= now;
    r->commands[t] = out.action[0];
    r->modes[t] = out.mode;
    r->adopted[t] = out.adopted;
  }
  dpc_arena_release(&arena, mark);
}

// Waiting: all rows are executed from the first on, then the robot stands at the last until the plan
// is there that was asked for when it began to stand.
static void test_wait(void** state) {
  (void)state;
  static run r;
  for (int rate = 1; rate <= 5; rate += 2) {
    for (int delay = 1; delay <= 20; delay += 3) {
      dpc_controller_def def = make_def(delay, rate);
      def.switching = DPC_SWITCHING_WAIT;
      run_ticks(&def, 400, &r);
      const int period = delay + ROWS * rate;
      for (int t = 0; t < r.ticks; ++t) {
        const int number = t / period, phase = t % period - delay;
        float chunk[HORIZON];
        wander(&(dpc_plan_request){.plan = (uint32_t)number}, chunk);
        assert_int_equal(r.modes[t], phase < 0 ? DPC_MODE_HOLD : DPC_MODE_ACTIVE);
        assert_int_equal(r.adopted[t], phase == 0);
        const float want = phase >= 0  ? chunk[N_OBS - 1 + phase / rate]
                           : t < delay ? 0
                                       : r.commands[t - 1];
        assert_near(r.commands[t], want, 0);
      }
      for (int i = 0; i < r.asked_count; ++i) assert_int_equal(r.asked[i].tick, i * period);
    }
  }
}

// Without a delay there is nothing to wait for.
static void test_wait_for_nothing(void** state) {
  (void)state;
  static run waited, dropped;
  for (int cubic = 0; cubic < 2; ++cubic) {
    dpc_controller_def def = make_def(0, 10);
    def.interpolation = cubic;
    run_ticks(&def, RUN_TICKS, &dropped);
    def.switching = DPC_SWITCHING_WAIT;
    run_ticks(&def, RUN_TICKS, &waited);
    assert_memory_equal(waited.commands, dropped.commands, sizeof waited.commands);
  }
}

// The settled rows of a request are what is commanded in their steps, before it and after.
static void test_prefix(void** state) {
  (void)state;
  static run r, dropped;
  for (int rate = 1; rate <= 10; rate += 3) {
    for (int delay = 0; delay <= 7 * rate; ++delay) {
      dpc_controller_def def = make_def(delay, rate);
      run_ticks(&def, 600, &dropped);
      def.switching = DPC_SWITCHING_PREFIX;
      run_ticks(&def, 600, &r);
      assert_memory_equal(r.commands, dropped.commands, sizeof r.commands);
      for (int i = 0; i < r.asked_count; ++i) {
        assert_int_equal(dropped.asked[i].fixed_count, 0);
        assert_int_equal(r.asked[i].near_count, 0);
        assert_int_equal(r.asked[i].fixed_count, N_OBS - 1 + (delay + rate - 1) / rate);
        for (int row = 0; row < r.asked[i].fixed_count; ++row) {
          const int t = (int)r.asked[i].tick + (row - (N_OBS - 1)) * rate;
          if (t < 0 || t >= r.ticks) continue;
          assert_near(r.fixed[i][row], r.commands[t], 0);
        }
      }
    }
  }
}

// A guided planner is told of all the rows that are left of the plan in force.
static void test_guided(void** state) {
  (void)state;
  static run r, prefixed;
  for (int rate = 1; rate <= 10; rate += 3) {
    for (int delay = 0; delay <= 7 * rate; ++delay) {
      dpc_controller_def def = make_def(delay, rate);
      def.switching = DPC_SWITCHING_PREFIX;
      run_ticks(&def, 600, &prefixed);
      def.switching = DPC_SWITCHING_GUIDED;
      run_ticks(&def, 600, &r);
      assert_memory_equal(r.commands, prefixed.commands, sizeof r.commands);
      for (int i = 0; i < r.asked_count; ++i) {
        const int settled = r.asked[i].fixed_count;
        assert_int_equal(settled, prefixed.asked[i].fixed_count);
        assert_memory_equal(r.fixed[i], prefixed.fixed[i], sizeof(float) * (size_t)settled);
        assert_int_equal(r.asked[i].near_count, i == 0 ? 0 : HORIZON - ROWS - settled);
        float before[HORIZON];
        wander(&(dpc_plan_request){.plan = (uint32_t)i - 1}, before);
        for (int row = settled; i > 0 && row < HORIZON - ROWS; ++row) {
          assert_near(r.fixed[i][row], before[row + ROWS], 0);
        }
      }
    }
  }
}

// A plan that is no more than a longer look at what the last one said changes nothing when blended;
// one that differs is led to.
static void test_blend(void** state) {
  (void)state;
  static run dropped, blended;
  for (int delay = 0; delay <= 7; ++delay) {
    dpc_controller_def def = make_def(delay, 1);
    run_ticks(&def, 300, &dropped);
    def.switching = DPC_SWITCHING_BLEND;
    run_ticks(&def, 300, &blended);
    double hard = 0, soft = 0;
    for (int t = delay + 1; t < 300; ++t) {
      if (!dropped.adopted[t]) continue;
      hard += fabs((double)dropped.commands[t] - (double)dropped.commands[t - 1]);
      soft += fabs((double)blended.commands[t] - (double)blended.commands[t - 1]);
    }
    if (delay < 7) assert_true(soft < hard);  // with 7 no row is left in both
    if (delay == 7) assert_near(soft, hard, 0);
  }
}

// Of a policy that has learned to go on from settled rows no more of them are asked than that, and one
// that has not is refused where it has to.
static void test_prefix_is_what_was_learned(void** state) {
  (void)state;
  const dpc_interface robot = make_robot();
  const size_t mark = dpc_arena_mark(&arena);
  dpc_controller* c = NULL;
  dpc_error error;
  for (int learned = 0; learned <= 9; ++learned) {
    for (int mode = DPC_SWITCHING_DROP; mode <= DPC_SWITCHING_TRAINED; ++mode) {
      dpc_checkpoint_info policy = make_policy();
      policy.prefix_max = learned;
      dpc_controller_def def = make_def(0, 3);
      def.switching = mode;
      const bool counts = mode >= DPC_SWITCHING_PREFIX && learned > 0 && learned <= 7;
      const bool untrained = mode == DPC_SWITCHING_TRAINED && learned == 0;
      const int most = 3 * (counts ? learned - (N_OBS - 1) : 7);
      assert_int_equal(dpc_controller_delay_max(&def, &policy), most);
      for (def.delay = 0; def.delay <= 8 * 3; ++def.delay) {
        const dpc_status status = dpc_controller_create(&def, &policy, &robot, &arena, &c, &error);
        assert_int_equal(status, untrained || def.delay > most ? DPC_ERR_CONFIG : DPC_OK);
        if (untrained) assert_non_null(strstr(error.text, "controller.switching: trained"));
        if (status != DPC_OK && counts) assert_non_null(strstr(error.text, "train.prefix_max"));
        dpc_arena_release(&arena, mark);
      }
    }
  }
}

// --- between rows ----------------------------------------------------------------------------------

// Whatever the delay, the rate and the mode, and wherever plans lead: commands that follow a spline
// have no steps in position or velocity. Both are bounded by what the rows ask for in their time.
static void test_no_steps(void** state) {
  (void)state;
  static run r;
  for (int mode = DPC_SWITCHING_WAIT; mode <= DPC_SWITCHING_PREFIX; ++mode) {
    for (int rate = 20; rate <= 100; rate += 40) {
      for (int delay = 0; delay <= 6 * rate; delay += rate / 2 + 1) {
        dpc_controller_def def = make_def(delay, rate);
        def.switching = mode;
        def.interpolation = DPC_INTERPOLATION_CUBIC;
        run_ticks(&def, RUN_TICKS, &r);
        for (int t = 2; t < r.ticks; ++t) {
          const double before = (double)r.commands[t - 1] - (double)r.commands[t - 2];
          const double now = (double)r.commands[t] - (double)r.commands[t - 1];
          // rows differ by up to 700, and a spline's velocity by some times that in a step
          assert_true(fabs(now) < 4.0 * 700 / rate);
          assert_true(fabs(now - before) < 20.0 * 700 / rate / rate);
        }
      }
    }
  }
}

// Where no plan follows, commands come to rest by themselves and stay there, and there the next is to
// begin.
static void test_comes_to_rest(void** state) {
  (void)state;
  const int rate = 20, end = (HORIZON - N_OBS + 1) * rate;
  dpc_controller_def def = make_def(rate, rate);
  def.interpolation = DPC_INTERPOLATION_CUBIC;
  def.switching = DPC_SWITCHING_PREFIX;
  dpc_controller* c = make_controller_of(&def);
  float obs[3], chunk[HORIZON], last = 0, velocity = 0;
  dpc_plan_request request;
  dpc_tick_output out;
  for (int t = 0; t < end + 100; ++t) {
    const dpc_tick_input input = observe((uint64_t)t, 1, obs);
    const bool due = dpc_controller_observe(c, &input, &request);
    const dpc_plan plan = t == 0 ? wander(&request, chunk) : (dpc_plan){0};
    const dpc_plan failed = {request.tick, request.epoch, request.plan, true, NULL};
    // the second plan fails, just before the first is over, and the third does not come
    dpc_controller_tick(c, &input, t == 0 ? &plan : t == end - 1 ? &failed : NULL, &out);
    if (t > 1) assert_true(fabsf(out.action[0] - last - velocity) < 35);  // as test_no_steps
    velocity = t > 0 ? out.action[0] - last : 0;
    last = out.action[0];
    assert_int_equal(out.mode, t >= rate && t < end ? DPC_MODE_ACTIVE : DPC_MODE_HOLD);
    if (t < end) continue;
    assert_near(last, chunk[HORIZON - 1], 1e-3);
    assert_int_equal(due, t == end);
    assert_int_equal(request.fixed_count, N_OBS);
    for (int i = 0; i < N_OBS; ++i) assert_near(request.fixed[i], chunk[HORIZON - 1], 1e-3);
  }
}

// Limits that are wide enough let a spline pass as it is; through narrower ones the commands keep them.
static void test_spline_within_limits(void** state) {
  (void)state;
  static run r, plain;
  const int rate = 20;
  const double tick = 0.1 / rate;
  for (int mode = DPC_SWITCHING_WAIT; mode <= DPC_SWITCHING_PREFIX; ++mode) {
    dpc_controller_def def = make_def(rate + 3, rate);
    def.switching = mode;
    def.interpolation = DPC_INTERPOLATION_CUBIC;
    run_ticks(&def, 600, &plain);
    def.limits = (dpc_text_list){1, {"* speed=1e6 acceleration=1e9 jerk=1e12"}};
    run_ticks(&def, 600, &r);
    for (int t = 0; t < r.ticks; ++t) {
      assert_near(r.commands[t], plain.commands[t], 1e-2);
      assert_int_equal(r.modes[t], plain.modes[t]);
    }
    def.limits = (dpc_text_list){1, {"* speed=2000 acceleration=20000 jerk=400000"}};
    run_ticks(&def, 600, &r);
    for (int t = 2; t < r.ticks; ++t) {
      const double before = (double)r.commands[t - 1] - (double)r.commands[t - 2];
      const double now = (double)r.commands[t] - (double)r.commands[t - 1];
      assert_true(fabs(now) <= 2000 * tick + 1e-3);
      assert_true(fabs(now - before) <= 20000 * tick * tick + 1e-3);
    }
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_wait, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_wait_for_nothing, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_prefix, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_guided, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_blend, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_prefix_is_what_was_learned, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_no_steps, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_comes_to_rest, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_spline_within_limits, set_up, tear_down),
  };
  return cmocka_run_group_tests_name("controller switching", tests, NULL, NULL);
}
