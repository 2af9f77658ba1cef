/// A controller of one joint: a policy and a robot that fit, ticks, and plans that say which they are.
#pragma once

#include "runtime/controller.h"
#include "tests/test.h"

enum { N_OBS = 2, HORIZON = 16, ROWS = 8 };

static dpc_arena arena;

static inline int set_up(void** state) {
  (void)state;
  dpc_error error;
  assert_ok(dpc_arena_map(&arena, 1 << 20, &error), &error);
  return 0;
}

static inline int tear_down(void** state) {
  (void)state;
  dpc_arena_unmap(&arena);
  return 0;
}

/// A policy that observes two values of a robot that has three, and commands the position it sees.
static inline dpc_checkpoint_info make_policy(void) {
  dpc_checkpoint_info info = {.policy = {N_OBS, ROWS}, .unet = dpc_unet_def_default()};
  dpc_layout_add(&info.interface.obs, "pos", 1, "m", NULL);
  dpc_layout_add(&info.interface.obs, "speed", 1, "m/s", NULL);
  dpc_layout_add(&info.interface.action, "target", 1, "m", "pos");
  info.interface.period_ns = 100000000;
  return info;
}

static inline dpc_interface make_robot(void) {
  dpc_interface robot = {.period_ns = 100000000};
  dpc_layout_add(&robot.obs, "speed", 1, "m/s", NULL);
  dpc_layout_add(&robot.obs, "heat", 1, "K", NULL);
  dpc_layout_add(&robot.obs, "pos", 1, "m", NULL);
  dpc_layout_add(&robot.action, "target", 1, "m", "pos");
  return robot;
}

static inline dpc_controller_def make_def(int delay, int ticks_per_step) {
  dpc_controller_def def = dpc_controller_def_default();
  def.delay = delay;
  def.ticks_per_step = ticks_per_step;
  def.action_min = -1e5;
  def.action_max = 1e5;
  return def;
}

static inline dpc_controller* make_controller_of(const dpc_controller_def* def) {
  const dpc_checkpoint_info policy = make_policy();
  const dpc_interface robot = make_robot();
  dpc_controller* c = NULL;
  dpc_error error;
  assert_ok(dpc_controller_create(def, &policy, &robot, &arena, &c, &error), &error);
  return c;
}

static inline dpc_controller* make_controller(int delay, int ticks_per_step) {
  const dpc_controller_def def = make_def(delay, ticks_per_step);
  return make_controller_of(&def);
}

static inline dpc_controller* make_limited(int delay, int ticks_per_step, const char* limits) {
  dpc_controller_def def = make_def(delay, ticks_per_step);
  def.limits.count = 1;
  strncpy(def.limits.values[0], limits, DPC_LIST_TEXT_MAX - 1);
  return make_controller_of(&def);
}

/// The robot at a tick: speed, heat, position all tell the tick.
static inline dpc_tick_input observe(uint64_t tick, uint64_t epoch, float* obs) {
  obs[0] = (float)tick + 0.25F;
  obs[1] = -1;
  obs[2] = (float)tick;
  return (dpc_tick_input){
      .tick = tick, .epoch = epoch, .seed = epoch + 7, .obs = obs, .fresh = true};
}

/// A chunk whose rows say which plan they are of and which row.
static inline dpc_plan answer(const dpc_plan_request* request, float* chunk) {
  for (int r = 0; r < HORIZON; ++r) chunk[r] = (float)request->tick * 100 + (float)r;
  return (dpc_plan){request->tick, request->epoch, request->plan, false, chunk};
}

/// A whole tick, delay 0, with a plan at once when one is asked for; all rows of it are `row`.
static inline dpc_tick_output tick_with(dpc_controller* c, const dpc_tick_input* input, float row,
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
