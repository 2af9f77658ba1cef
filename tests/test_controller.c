#include "runtime/controller.h"

#include "tests/test.h"

enum { N_OBS = 2, HORIZON = 16, ROWS = 8 };

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

// A policy that observes two values of a robot that has three, and commands the position it sees.
static dpc_checkpoint_info make_policy(void) {
  dpc_checkpoint_info info = {.policy = {N_OBS, ROWS}, .unet = dpc_unet_def_default()};
  dpc_layout_add(&info.interface.obs, "pos", 1, "m", NULL);
  dpc_layout_add(&info.interface.obs, "speed", 1, "m/s", NULL);
  dpc_layout_add(&info.interface.action, "target", 1, "m", "pos");
  info.interface.period_ns = 100000000;
  return info;
}

static dpc_interface make_robot(void) {
  dpc_interface robot = {.period_ns = 100000000};
  dpc_layout_add(&robot.obs, "speed", 1, "m/s", NULL);
  dpc_layout_add(&robot.obs, "heat", 1, "K", NULL);
  dpc_layout_add(&robot.obs, "pos", 1, "m", NULL);
  dpc_layout_add(&robot.action, "target", 1, "m", "pos");
  return robot;
}

static dpc_controller_def make_def(int delay, int ticks_per_step) {
  dpc_controller_def def = dpc_controller_def_default();
  def.delay = delay;
  def.ticks_per_step = ticks_per_step;
  def.action_min = -1e5;
  def.action_max = 1e5;
  return def;
}

static dpc_controller* make_controller_of(const dpc_controller_def* def) {
  const dpc_checkpoint_info policy = make_policy();
  const dpc_interface robot = make_robot();
  dpc_controller* c = NULL;
  dpc_error error;
  assert_ok(dpc_controller_create(def, &policy, &robot, &arena, &c, &error), &error);
  return c;
}

static dpc_controller* make_controller(int delay, int ticks_per_step) {
  const dpc_controller_def def = make_def(delay, ticks_per_step);
  return make_controller_of(&def);
}

static dpc_controller* make_limited(int delay, int ticks_per_step, const char* limits) {
  dpc_controller_def def = make_def(delay, ticks_per_step);
  def.limits.count = 1;
  strncpy(def.limits.values[0], limits, DPC_LIST_TEXT_MAX - 1);
  return make_controller_of(&def);
}

// The robot at a tick: speed, heat, position all tell the tick.
static dpc_tick_input observe(uint64_t tick, uint64_t epoch, float* obs) {
  obs[0] = (float)tick + 0.25F;
  obs[1] = -1;
  obs[2] = (float)tick;
  return (dpc_tick_input){
      .tick = tick, .epoch = epoch, .seed = epoch + 7, .obs = obs, .fresh = true};
}

// A chunk whose rows say which plan they are of and which row.
static dpc_plan answer(const dpc_plan_request* request, float* chunk) {
  for (int r = 0; r < HORIZON; ++r) chunk[r] = (float)request->tick * 100 + (float)r;
  return (dpc_plan){request->tick, request->epoch, request->plan, false, chunk};
}

// For every delay and rate that is allowed, plans answered at once: a plan asked for at tick k acts
// from k + delay on, every tick has the row that is due, and asking goes on at the right ticks.
static void test_plans_act_at_their_tick(void** state) {
  (void)state;
  for (int rate = 1; rate <= 10; rate += 3) {
    for (int delay = 0; delay <= 7 * rate; ++delay) {
      const size_t mark = dpc_arena_mark(&arena);
      dpc_controller* c = make_controller(delay, rate);
      dpc_plan_request request = {0}, asked[64] = {0};
      int asked_count = 0;
      for (uint64_t tick = 0; tick < 40 * (uint64_t)rate; ++tick) {
        float obs[3], chunk[HORIZON];
        const dpc_tick_input input = observe(tick, 1, obs);
        dpc_tick_output out;
        dpc_plan plan;
        const bool due = dpc_controller_observe(c, &input, &request);
        if (due) plan = answer(&request, chunk);
        if (due) asked[asked_count++] = request;
        dpc_controller_tick(c, &input, due ? &plan : NULL, &out);
        const int since = (int)tick - delay;
        if (since < 0) {
          assert_int_equal(out.mode, DPC_MODE_HOLD);
          assert_near(out.action[0], 0, 0);  // where it was when the hold began
          continue;
        }
        const int number = since / (ROWS * rate);
        const uint64_t from = (uint64_t)number * ROWS * (uint64_t)rate;
        const int row = N_OBS - 1 + (int)(tick - from) / rate;
        assert_int_equal(out.mode, DPC_MODE_ACTIVE);
        assert_int_equal(out.plan, number);
        assert_int_equal(out.row, row);
        assert_near(out.action[0], (double)from * 100 + row, 0);
        assert_false(out.late);
      }
      for (int i = 0; i < asked_count; ++i) {
        assert_int_equal(asked[i].tick, i * ROWS * rate);
        assert_int_equal(asked[i].plan, i);
      }
      assert_int_equal(dpc_controller_counts(c)->late, 0);
      dpc_arena_release(&arena, mark);
    }
  }
}

// Requests show the policy's values in its order, rows a policy step apart, the first repeated.
static void test_history(void** state) {
  (void)state;
  const int rate = 3;
  dpc_controller* c = make_controller(0, rate);
  for (uint64_t tick = 0; tick < 100; ++tick) {
    float obs[3], chunk[HORIZON];
    const dpc_tick_input input = observe(tick, 1, obs);
    dpc_plan_request request;
    dpc_tick_output out;
    dpc_plan plan;
    const bool due = dpc_controller_observe(c, &input, &request);
    if (due) {
      const double before = tick >= (uint64_t)rate ? (double)tick - rate : 0;
      assert_near(request.obs[0], before, 0);
      assert_near(request.obs[1], before + 0.25, 0);
      assert_near(request.obs[2], (double)tick, 0);
      assert_near(request.obs[3], (double)tick + 0.25, 0);
      assert_int_equal(request.key.episode, 8);
      plan = answer(&request, chunk);
    }
    dpc_controller_tick(c, &input, due ? &plan : NULL, &out);
  }
}

// A plan that comes late is entered at the row that is due, whatever the lateness.
static void test_late_plans(void** state) {
  (void)state;
  const int delay = 2;
  for (int lateness = 1; lateness < 20; ++lateness) {
    const size_t mark = dpc_arena_mark(&arena);
    dpc_controller* c = make_controller(delay, 1);
    float chunk[HORIZON];
    dpc_plan_request request = {0};
    dpc_plan plan = {0};
    for (uint64_t tick = 0; tick <= (uint64_t)delay + (uint64_t)lateness; ++tick) {
      float obs[3];
      const dpc_tick_input input = observe(tick, 1, obs);
      dpc_tick_output out;
      if (dpc_controller_observe(c, &input, &request)) plan = answer(&request, chunk);
      const bool now = tick == (uint64_t)delay + (uint64_t)lateness;
      dpc_controller_tick(c, &input, now ? &plan : NULL, &out);
      const int row = N_OBS - 1 + (int)tick;
      assert_int_equal(out.mode, now && row < HORIZON ? DPC_MODE_ACTIVE : DPC_MODE_HOLD);
      if (now && row < HORIZON) assert_int_equal(out.row, row);
      if (now) assert_true(out.late);
    }
    dpc_arena_release(&arena, mark);
  }
}

// A new epoch forgets everything, and what was asked in the old one is thrown away.
static void test_new_epoch(void** state) {
  (void)state;
  dpc_controller* c = make_controller(4, 1);
  float obs[3], chunk[HORIZON];
  dpc_plan_request old = {0}, request = {0};
  dpc_tick_output out;
  dpc_tick_input input = observe(10, 1, obs);
  assert_true(dpc_controller_observe(c, &input, &old));
  dpc_controller_tick(c, &input, NULL, &out);
  input = observe(0, 2, obs);
  assert_true(dpc_controller_observe(c, &input, &request));
  assert_int_equal(request.plan, 0);
  assert_int_equal(request.key.episode, 9);
  assert_near(request.obs[0], 0, 0);  // nothing of the old history
  const dpc_plan stale = answer(&old, chunk);
  dpc_controller_tick(c, &input, &stale, &out);
  assert_int_equal(dpc_controller_counts(c)->discarded, 1);
  for (uint64_t tick = 1; tick < 9; ++tick) {
    input = observe(tick, 2, obs);
    assert_false(dpc_controller_observe(c, &input, &request));
    dpc_controller_tick(c, &input, NULL, &out);
    assert_int_equal(out.mode, DPC_MODE_HOLD);
  }
}

// Failed plans are asked for again; commands that are not finite are replaced, large ones bounded.
static void test_bad_plans(void** state) {
  (void)state;
  dpc_controller* c = make_controller(0, 1);
  float obs[3], chunk[HORIZON];
  dpc_plan_request request;
  dpc_tick_output out;
  dpc_tick_input input = observe(0, 1, obs);
  assert_true(dpc_controller_observe(c, &input, &request));
  const dpc_plan failed = {request.tick, request.epoch, request.plan, true, NULL};
  dpc_controller_tick(c, &input, &failed, &out);
  assert_int_equal(out.mode, DPC_MODE_HOLD);
  input = observe(1, 1, obs);
  assert_true(dpc_controller_observe(c, &input, &request));
  dpc_plan plan = answer(&request, chunk);
  chunk[1] = 5;
  chunk[2] = NAN;
  chunk[3] = 2e5F;
  dpc_controller_tick(c, &input, &plan, &out);
  assert_near(out.action[0], 5, 0);
  input = observe(2, 1, obs);
  assert_false(dpc_controller_observe(c, &input, &request));
  dpc_controller_tick(c, &input, NULL, &out);
  assert_true(out.gate.rejected);
  assert_near(out.action[0], 5, 0);
  input = observe(3, 1, obs);
  assert_false(dpc_controller_observe(c, &input, &request));
  dpc_controller_tick(c, &input, NULL, &out);
  assert_near(out.action[0], 1e5, 0);
  assert_int_equal(dpc_controller_counts(c)->clamped, 1);
}

// Missed ticks keep rows a policy step apart; without observations nothing is commanded.
static void test_missing(void** state) {
  (void)state;
  dpc_controller* c = make_controller(0, 1);
  float obs[3];
  dpc_plan_request request;
  dpc_tick_output out;
  const dpc_tick_input nothing = {.tick = 0};
  assert_false(dpc_controller_observe(c, &nothing, &request));
  dpc_controller_tick(c, &nothing, NULL, &out);
  assert_int_equal(out.mode, DPC_MODE_IDLE);
  assert_null(out.action);
  dpc_tick_input input = observe(1, 1, obs);
  input.fresh = false;
  assert_false(dpc_controller_observe(c, &input, &request));
  input = observe(5, 1, obs);
  assert_true(dpc_controller_observe(c, &input, &request));
  assert_near(request.obs[0], 5, 0);  // ticks 2 to 4 were missed: the tick before saw the same
}

// A tick that was made without its observation, and again with it, has one row of history.
static void test_late_observation(void** state) {
  (void)state;
  dpc_controller* c = make_controller(0, 2);
  float obs[3], chunk[HORIZON];
  dpc_plan_request request;
  dpc_tick_output out;
  for (uint64_t tick = 0; tick < 16; ++tick) {
    const dpc_tick_input input = observe(tick, 1, obs);
    const bool due = dpc_controller_observe(c, &input, &request);
    assert_int_equal(due, tick == 0);
    const dpc_plan plan = answer(&request, chunk);
    dpc_controller_tick(c, &input, due ? &plan : NULL, &out);
  }
  dpc_tick_input input = observe(15, 1, obs);
  input.tick = 16;
  input.fresh = false;
  assert_false(dpc_controller_observe(c, &input, &request));
  dpc_controller_tick(c, &input, NULL, &out);
  input = observe(16, 1, obs);
  assert_true(dpc_controller_observe(c, &input, &request));
  assert_near(request.obs[0], 14, 0);
  assert_near(request.obs[2], 16, 0);
}

// --- switching -------------------------------------------------------------------------------------

enum { RUN_TICKS = 1000 };

// What happened in a run of ticks, each plan answered when it was due.
typedef struct run {
  int ticks, asked_count;
  float commands[RUN_TICKS];
  dpc_mode modes[RUN_TICKS];
  bool adopted[RUN_TICKS];
  dpc_plan_request asked[RUN_TICKS];
  float fixed[RUN_TICKS][HORIZON];  // of these
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
      memcpy(r->fixed[r->asked_count], request.fixed, sizeof(float) * (size_t)request.fixed_count);
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

// --- what fits -------------------------------------------------------------------------------------

// Every delay up to the largest is taken, with as many rows as it leaves; one more is refused.
static void test_rows_are_chosen(void** state) {
  (void)state;
  const dpc_interface robot = make_robot();
  dpc_error error;
  for (int trained = 1; trained <= HORIZON - N_OBS + 1; ++trained) {
    for (int rate = 1; rate <= 10; rate += 3) {
      dpc_checkpoint_info policy = make_policy();
      policy.policy.n_actions = trained;
      dpc_controller_def def = make_def(0, rate);
      const int most = dpc_controller_delay_max(&def, &policy);
      assert_true(most >= (trained < 7 ? trained : 7) * rate);
      for (def.delay = 0; def.delay <= most + 1; ++def.delay) {
        const size_t mark = dpc_arena_mark(&arena);
        dpc_controller* c = NULL;
        const int rows = dpc_controller_rows(&def, &policy);
        const int left = HORIZON - N_OBS + 1 - (def.delay + rate - 1) / rate;
        assert_int_equal(rows, trained < left ? trained : left);
        const dpc_status status = dpc_controller_create(&def, &policy, &robot, &arena, &c, &error);
        assert_int_equal(status, def.delay <= most ? DPC_OK : DPC_ERR_CONFIG);
        dpc_arena_release(&arena, mark);
      }
      def.switching = DPC_SWITCHING_WAIT;
      assert_int_equal(dpc_controller_rows(&def, &policy), trained);
      assert_int_equal(dpc_controller_delay_max(&def, &policy), DPC_DELAY_LIMIT);
    }
  }
}

// Where every tick has a row there is nothing between.
static void test_spline_needs_ticks(void** state) {
  (void)state;
  dpc_controller_def def = make_def(0, 1);
  dpc_error error;
  def.interpolation = DPC_INTERPOLATION_CUBIC;
  assert_fails(dpc_controller_def_check(&def, &error), DPC_ERR_CONFIG, &error,
               "controller.interpolation");
  def.ticks_per_step = 2;
  assert_ok(dpc_controller_def_check(&def, &error), &error);
}

// --- what goes wrong ------------------------------------------------------------------------------

// A whole tick, delay 0, with a plan at once when one is asked for; all rows of it are `row`.
static dpc_tick_output tick_with(dpc_controller* c, const dpc_tick_input* input, float row,
                                 bool* asked) {
  float chunk[HORIZON];
  dpc_plan_request request;
  dpc_tick_output out;
  dpc_plan plan;
  const bool due = dpc_controller_observe(c, input, &request);
  if (due) plan = answer(&request, chunk);
  for (int i = 0; i < HORIZON; ++i) chunk[i] = row;
  dpc_controller_tick(c, input, due ? &plan : NULL, &out);
  if (asked != NULL) *asked = due;
  return out;
}

// The defaults at a policy step of 100 ms: plans up to 220 ms, following up to 300 ms, then a hold, and
// a fault after 1 s, which stays until it is acknowledged.
static void test_ages(void** state) {
  (void)state;
  for (int64_t age_ms = 0; age_ms <= 400; age_ms += 20) {
    const size_t mark = dpc_arena_mark(&arena);
    dpc_controller* c = make_controller(0, 1);
    float obs[3];
    dpc_tick_input input = observe(0, 1, obs);
    bool asked = false;
    assert_int_equal(tick_with(c, &input, 5, &asked).state, DPC_STATE_ACTIVE);
    assert_true(asked);
    for (uint64_t tick = 1; tick <= ROWS; ++tick) {
      input = observe(tick, 1, obs);
      input.age.ns = tick < ROWS ? 0 : age_ms * 1000000;
      const dpc_tick_output out = tick_with(c, &input, 6, &asked);
      if (tick < ROWS) continue;
      assert_int_equal(asked, age_ms <= 220);
      assert_int_equal(out.state, age_ms <= 300 ? DPC_STATE_ACTIVE : DPC_STATE_HOLD);
      assert_int_equal(dpc_controller_counts(c)->too_old, age_ms > 220 ? 1 : 0);
    }
    dpc_arena_release(&arena, mark);
  }
}

static void test_fault_stays_until_acknowledged(void** state) {
  (void)state;
  dpc_controller* c = make_controller(0, 1);
  float obs[3];
  uint64_t tick = 0;
  dpc_tick_input input = observe(tick, 1, obs);
  assert_int_equal(tick_with(c, &input, 5, NULL).state, DPC_STATE_ACTIVE);
  for (int late = 1; late <= 12; ++late) {
    input.tick = ++tick;
    input.fresh = false;
    input.age.ns = late * INT64_C(100000000);
    const dpc_tick_output out = tick_with(c, &input, 5, NULL);
    assert_int_equal(out.state, late <= 3    ? DPC_STATE_ACTIVE
                                : late <= 10 ? DPC_STATE_HOLD
                                             : DPC_STATE_FAULT);
    assert_int_equal(out.fault, late <= 10 ? DPC_FAULT_NONE : DPC_FAULT_STALE);
  }
  // acknowledged while its cause lasts, it comes back in the same tick
  input.tick = ++tick;
  input.acknowledged = true;
  assert_int_equal(tick_with(c, &input, 5, NULL).state, DPC_STATE_FAULT);
  // it outlives its cause and its episode, and nothing is planned meanwhile
  for (int i = 0; i < 5; ++i) {
    bool asked = false;
    input = observe(++tick, i < 3 ? 1 : 2, obs);
    assert_int_equal(tick_with(c, &input, 5, &asked).state, DPC_STATE_FAULT);
    assert_false(asked);
  }
  input = observe(++tick, 2, obs);
  input.acknowledged = true;
  const dpc_tick_output out = tick_with(c, &input, 5, NULL);
  assert_int_equal(out.state, DPC_STATE_ACTIVE);
  assert_int_equal(out.fault, DPC_FAULT_NONE);
  assert_int_equal(dpc_controller_counts(c)->faults, 2);
}

static void test_failing_policy_is_a_fault(void** state) {
  (void)state;
  dpc_controller* c = make_controller(0, 1);
  float obs[3];
  for (uint64_t tick = 0; tick < 5; ++tick) {
    const dpc_tick_input input = observe(tick, 1, obs);
    dpc_plan_request request;
    dpc_tick_output out;
    const bool due = dpc_controller_observe(c, &input, &request);
    assert_int_equal(due, tick < 2);
    const dpc_plan failed = {request.tick, request.epoch, request.plan, true, NULL};
    dpc_controller_tick(c, &input, due ? &failed : NULL, &out);
    assert_int_equal(out.state, tick < 1 ? DPC_STATE_HOLD : DPC_STATE_FAULT);
    assert_int_equal(out.fault, tick < 1 ? DPC_FAULT_NONE : DPC_FAULT_PLANS);
    assert_near(out.action[0], 0, 0);
  }
}

// An observation that is not finite is as good as none: what was seen before only grows older.
static void test_bad_observations(void** state) {
  (void)state;
  dpc_controller* c = make_controller(0, 1);
  float obs[3];
  dpc_tick_input input = observe(0, 1, obs);
  obs[2] = NAN;
  assert_int_equal(tick_with(c, &input, 5, NULL).mode, DPC_MODE_IDLE);
  input = observe(1, 1, obs);
  assert_int_equal(tick_with(c, &input, 5, NULL).mode, DPC_MODE_ACTIVE);
  for (uint64_t tick = 2; tick < 30; ++tick) {
    input = observe(tick, 1, obs);
    obs[tick % 2 * 2] = tick % 3 == 0 ? NAN : INFINITY;
    bool asked = false;
    const dpc_tick_output out = tick_with(c, &input, 5, &asked);
    assert_false(asked);
    assert_true(isfinite(out.action[0]));
    assert_int_equal(out.state, tick <= 4    ? DPC_STATE_ACTIVE
                                : tick <= 11 ? DPC_STATE_HOLD
                                             : DPC_STATE_FAULT);
    if (out.mode == DPC_MODE_HOLD) assert_near(out.action[0], 1, 0);
  }
  // of a value that nobody needs it does not matter
  dpc_arena_release(&arena, 0);
  c = make_controller(0, 1);
  input = observe(0, 1, obs);
  obs[1] = NAN;
  assert_int_equal(tick_with(c, &input, 5, NULL).mode, DPC_MODE_ACTIVE);
}

// After a pause of its own the controller waits to see the robot, and goes on from there.
static void test_own_pause_is_no_fault(void** state) {
  (void)state;
  dpc_controller* c = make_limited(0, 1, "* speed=1 acceleration=10 jerk=100");
  float obs[3];
  uint64_t tick = 0;
  for (; tick < 5; ++tick) {
    const dpc_tick_input input = observe(tick, 1, obs);
    assert_int_equal(tick_with(c, &input, 900, NULL).mode, DPC_MODE_ACTIVE);
  }
  tick += 50;
  dpc_tick_input input = observe(4, 1, obs);
  input.tick = tick;
  input.age.ns = INT64_C(5000000000);
  const dpc_tick_output stale = tick_with(c, &input, 900, NULL);
  assert_int_equal(stale.mode, DPC_MODE_IDLE);
  assert_int_equal(stale.state, DPC_STATE_HOLD);
  input = observe(++tick, 1, obs);
  const dpc_tick_output out = tick_with(c, &input, 900, NULL);
  assert_int_equal(out.state, DPC_STATE_ACTIVE);
  assert_true(out.action[0] >= (float)tick && out.action[0] < (float)tick + 0.1F);
  assert_int_equal(dpc_controller_counts(c)->gaps, 1);
  assert_int_equal(dpc_controller_counts(c)->faults, 0);
}

// With limits: from the first command on, into holds and out of them, through a fault and to the stop,
// every command keeps speed, acceleration and jerk; the stop ends at rest and cannot be undone.
static void test_motion_is_bounded_through_everything(void** state) {
  (void)state;
  dpc_controller* c = make_limited(0, 1, "* speed=1 acceleration=10 jerk=200");
  const double dt = 0.1, rounding = 1e-5;
  float obs[3], p[4] = {0};
  int64_t age = 0;
  dpc_state last = DPC_STATE_INACTIVE;
  for (uint64_t tick = 0; tick < 400; ++tick) {
    const bool seen = (tick / 16) % 3 != 2;
    age = seen ? 0 : age + 100000000;
    dpc_tick_input input = observe(seen ? tick : tick - 1, 1, obs);
    obs[2] = 0;
    input.tick = tick;
    input.fresh = seen;
    input.age.ns = age;
    input.acknowledged = tick % 7 == 0;
    input.stop = tick >= 360 && tick % 2 == 0;
    const dpc_tick_output out = tick_with(c, &input, (tick / 20) % 2 ? 8 : -8, NULL);
    for (int i = 0; i < 3; ++i) p[i] = p[i + 1];
    p[3] = out.action[0];
    assert_true(fabs((double)(p[3] - p[2])) <= dt + rounding);
    assert_true(fabs((double)(p[3] - 2 * p[2] + p[1])) <= 10 * dt * dt + rounding);
    assert_true(fabs((double)(p[3] - 3 * p[2] + 3 * p[1] - p[0])) <= 200 * dt * dt * dt + rounding);
    last = out.state;
    if (tick >= 360) assert_true(last == DPC_STATE_STOPPING || last == DPC_STATE_FINALIZED);
  }
  assert_int_equal(last, DPC_STATE_FINALIZED);
  assert_true(p[3] == p[2]);
  assert_true(dpc_controller_counts(c)->faults > 0);
  assert_true(dpc_controller_counts(c)->limited > 0);
}

// What a robot says of itself counts as if the settings had said it, to the bit; where both do, the
// tighter.
static void test_the_robots_own_limits(void** state) {
  (void)state;
  static const char* const settings[][2] = {
      {"*", "* low=-2 high=3 speed=1 acceleration=10 jerk=200"},
      {"* low=-9 high=1 speed=8", "* low=-2 high=1 speed=1 acceleration=10 jerk=200"},
      {"* speed=0.5 acceleration=90 jerk=80", "* low=-2 high=3 speed=0.5 acceleration=10 jerk=80"}};
  static const float own[DPC_LIMIT_COUNT] = {-2, 3, 1, 10, 200};
  const dpc_checkpoint_info policy = make_policy();
  dpc_interface robot = make_robot();
  for (int k = 0; k < DPC_LIMIT_COUNT; ++k) {
    dpc_interface_limit(&robot, "target", (dpc_limit)k, &own[k]);
  }
  for (int i = 0; i < DPC_COUNT(settings); ++i) {
    dpc_controller_def def = make_def(0, 1);
    dpc_controller *c = NULL, *twin = make_limited(0, 1, settings[i][1]);
    dpc_error error;
    def.limits.count = 1;
    strncpy(def.limits.values[0], settings[i][0], DPC_LIST_TEXT_MAX - 1);
    assert_ok(dpc_controller_create(&def, &policy, &robot, &arena, &c, &error), &error);
    assert_memory_equal(dpc_controller_bounds(c), dpc_controller_bounds(twin), sizeof(dpc_bounds));
    for (uint64_t tick = 0; tick < 300; ++tick) {
      float obs[3];
      const dpc_tick_input input = observe(tick, 1, obs);
      const float row = (tick / 20) % 2 ? 8 : -8;
      obs[2] = 0;
      const dpc_tick_output out = tick_with(c, &input, row, NULL);
      const dpc_tick_output same = tick_with(twin, &input, row, NULL);
      assert_memory_equal(out.action, same.action, sizeof(float));
      assert_true(out.action[0] >= -2 && out.action[0] <= 3);
    }
    assert_true(dpc_controller_counts(c)->limited > 0);
  }
}

static void test_nothing_to_stop_is_stopped(void** state) {
  (void)state;
  dpc_controller* c = make_controller(0, 1);
  const dpc_tick_input input = {.stop = true};
  assert_int_equal(tick_with(c, &input, 0, NULL).state, DPC_STATE_FINALIZED);
}

static void test_watching_that_cannot_be(void** state) {
  (void)state;
  const dpc_checkpoint_info policy = make_policy();
  const dpc_interface robot = make_robot();
  dpc_controller_def def = dpc_controller_def_default();
  dpc_controller* c = NULL;
  dpc_error error;
  def.delay = 0;
  def.hold_age = 2;
  assert_fails(dpc_controller_create(&def, &policy, &robot, &arena, &c, &error), DPC_ERR_CONFIG,
               &error, "controller.hold_age: 2 s");
  def.hold_age = 0;
  def.limits = (dpc_text_list){1, {"leg speed=1"}};
  assert_fails(dpc_controller_create(&def, &policy, &robot, &arena, &c, &error), DPC_ERR_CONFIG,
               &error, "controller.limits: 'leg speed=1'");
  dpc_interface far = make_robot();
  def = make_def(0, 1);
  dpc_interface_limit(&far, "target", DPC_LIMIT_LOW, &(float){2e5F});
  assert_fails(dpc_controller_create(&def, &policy, &far, &arena, &c, &error), DPC_ERR_CONFIG,
               &error,
               "action 'target', element 0: controller.action_min and action_max allow -100000 to "
               "100000, and the robot takes 200000 to inf");
}

static void test_settings_that_do_not_fit(void** state) {
  (void)state;
  const dpc_checkpoint_info policy = make_policy();
  dpc_interface robot = make_robot();
  dpc_controller_def def = dpc_controller_def_default();
  dpc_controller* c = NULL;
  dpc_error error;
  assert_fails(dpc_controller_create(&def, &policy, &robot, &arena, &c, &error), DPC_ERR_CONFIG,
               &error, "controller.delay");
  def.delay = 8;
  assert_fails(dpc_controller_create(&def, &policy, &robot, &arena, &c, &error), DPC_ERR_CONFIG,
               &error, "8 ticks are more than the 7");
  def.delay = 0;
  def.n_actions = 16;
  assert_fails(dpc_controller_create(&def, &policy, &robot, &arena, &c, &error), DPC_ERR_CONFIG,
               &error, "16 rows");
  def.n_actions = 15;
  def.action_min = def.action_max;
  assert_fails(dpc_controller_create(&def, &policy, &robot, &arena, &c, &error), DPC_ERR_CONFIG,
               &error, "action_min");
  def.action_min = 0;
  robot.obs.signals[0].dim = 2;
  assert_fails(dpc_controller_create(&def, &policy, &robot, &arena, &c, &error), DPC_ERR_MISMATCH,
               &error, "speed");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_plans_act_at_their_tick, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_history, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_late_plans, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_new_epoch, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_bad_plans, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_missing, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_late_observation, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_wait, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_wait_for_nothing, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_prefix, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_blend, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_no_steps, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_comes_to_rest, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_spline_within_limits, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_rows_are_chosen, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_spline_needs_ticks, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_ages, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_fault_stays_until_acknowledged, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_failing_policy_is_a_fault, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_bad_observations, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_own_pause_is_no_fault, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_motion_is_bounded_through_everything, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_the_robots_own_limits, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_nothing_to_stop_is_stopped, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_watching_that_cannot_be, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_settings_that_do_not_fit, set_up, tear_down),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
