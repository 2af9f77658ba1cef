#include "runtime/controller_state.h"

static dpc_status take_buffers(dpc_controller* c, dpc_arena* arena, dpc_error* error) {
  const size_t chunk = (size_t)c->horizon * (size_t)c->action_dim;
  c->gather = DPC_TAKE(arena, int, c->obs_dim);
  c->hold_source = DPC_TAKE(arena, int, c->action_dim);
  c->history = DPC_TAKE(arena, float, (size_t)c->history_length*(size_t)c->obs_dim);
  c->stacked = DPC_TAKE(arena, float, (size_t)c->n_obs*(size_t)c->obs_dim);
  c->row = DPC_TAKE(arena, float, c->obs_dim);
  c->pose = DPC_TAKE(arena, float, c->action_dim);
  c->hold = DPC_TAKE(arena, float, c->action_dim);
  c->action = DPC_TAKE(arena, float, c->action_dim);
  c->velocity = DPC_TAKE(arena, float, c->action_dim);
  c->acceleration = DPC_TAKE(arena, float, c->action_dim);
  c->waiting_values = DPC_TAKE(arena, float, chunk);
  c->fixed = DPC_TAKE(arena, float, chunk);
  const bool observing = c->gather && c->hold_source && c->history && c->stacked;
  const bool commanding = c->row && c->pose && c->hold && c->action && c->velocity &&
                          c->acceleration && c->waiting_values && c->fixed;
  if (!observing || !commanding) return dpc_arena_full(arena, "the controller", error);
  return dpc_course_create((dpc_interpolation)c->def.interpolation, c->horizon, c->action_dim,
                           arena, &c->course, error);
}

// For each value of a command, which observed value it moves.
static void find_hold_sources(const dpc_layout* action, const dpc_layout* obs, int* sources) {
  int at = 0;
  for (int i = 0; i < action->count; ++i) {
    const dpc_signal* signal = &action->signals[i];
    int offset = NO_SOURCE;
    const dpc_signal* tracked =
        signal->tracks[0] == '\0' ? NULL : dpc_layout_find(obs, signal->tracks, &offset);
    for (int j = 0; j < signal->dim; ++j, ++at) {
      sources[at] = tracked != NULL && tracked->dim == signal->dim ? offset + j : NO_SOURCE;
    }
  }
}

// An age in s, or where it is not given so many policy steps and so many ns.
static dpc_duration age_of(double given, int64_t period, int steps, int64_t more) {
  return given > 0 ? dpc_seconds(given) : (dpc_duration){steps * period + more};
}

static dpc_duration at_least(dpc_duration age, double given, double seconds) {
  const dpc_duration least = dpc_seconds(seconds);
  return given > 0 || age.ns > least.ns ? age : least;
}

static dpc_status start_watch(dpc_controller* c, int64_t period, dpc_error* error) {
  const dpc_controller_def* def = &c->def;
  dpc_watch_def watch = {
      .tick = {period / def->ticks_per_step},
      .plan_age = age_of(def->plan_age, period, 2, 20000000),
      .hold_age = at_least(age_of(def->hold_age, period, 3, 0), def->hold_age, 0.1),
      .fault_age = at_least(age_of(def->fault_age, period, 10, 0), def->fault_age, 0.5),
  };
  // what a plan takes by design is no want of one
  watch.plan_wait.ns = watch.fault_age.ns + def->delay * watch.tick.ns;
  if (watch.hold_age.ns >= watch.fault_age.ns) {
    return dpc_fail(error, DPC_ERR_CONFIG,
                    "controller.hold_age: %g s, which is not below controller.fault_age, %g s",
                    dpc_to_seconds(watch.hold_age), dpc_to_seconds(watch.fault_age));
  }
  c->watch = dpc_watch_start(&watch);
  return DPC_OK;
}

static dpc_status make_gate(dpc_controller* c, const dpc_interface* robot, dpc_arena* arena,
                            dpc_error* error) {
  dpc_bounds* bounds = DPC_TAKE(arena, dpc_bounds, c->action_dim);
  if (bounds == NULL) return dpc_arena_full(arena, "the controller", error);
  c->bounds = bounds;
  DPC_TRY(
      dpc_bounds_read(&c->def.limits, robot, c->def.action_min, c->def.action_max, bounds, error));
  return dpc_gate_create(bounds, c->action_dim, c->watch.def.tick, c->def.jump_recovery, arena,
                         &c->gate, error);
}

dpc_status dpc_controller_create(const dpc_controller_def* def, const dpc_checkpoint_info* policy,
                                 const dpc_interface* robot, dpc_arena* arena, dpc_controller** out,
                                 dpc_error* error) {
  DPC_TRY(dpc_controller_def_check(def, error));
  DPC_TRY(dpc_controller_check_fit(def, policy, error));
  DPC_TRY(dpc_interface_match(&policy->interface, robot, error));
  const size_t mark = dpc_arena_mark(arena);
  dpc_controller* c = DPC_TAKE(arena, dpc_controller, 1);
  if (c == NULL) return dpc_arena_full(arena, "the controller", error);
  c->def = *def;
  c->n_obs = policy->policy.n_obs;
  c->horizon = policy->unet.horizon;
  c->rows_per_plan = dpc_controller_rows(def, policy);
  c->obs_dim = dpc_layout_dim(&policy->interface.obs);
  c->action_dim = dpc_layout_dim(&policy->interface.action);
  c->history_length = (c->n_obs - 1) * def->ticks_per_step + 1;
  dpc_status status = take_buffers(c, arena, error);
  if (status == DPC_OK) status = start_watch(c, policy->interface.period_ns, error);
  if (status == DPC_OK) status = make_gate(c, robot, arena, error);
  if (status != DPC_OK) {
    dpc_arena_release(arena, mark);
    return status;
  }
  dpc_layout_gather(&policy->interface.obs, &robot->obs, c->gather);
  find_hold_sources(&robot->action, &robot->obs, c->hold_source);
  *out = c;
  return DPC_OK;
}

// --- where to begin -----------------------------------------------------------------------------

// Where the robot is; a value that nothing tracks stays as last commanded.
static void find_pose(const dpc_controller* c, float* pose) {
  for (int i = 0; i < c->action_dim; ++i) {
    pose[i] = c->hold_source[i] == NO_SOURCE ? c->action[i] : c->pose[i];
  }
}

void dpc_controller_begin_hold(dpc_controller* c) {
  const bool rested =
      dpc_controller_stands(&c->def) || c->def.interpolation == DPC_INTERPOLATION_CUBIC;
  find_pose(c, c->hold);
  for (int i = 0; i < c->action_dim; ++i) {
    if (rested || dpc_gate_motion(c->gate, i) != NULL) c->hold[i] = c->action[i];
    c->velocity[i] = 0;
  }
  c->holding = true;
}

void dpc_controller_begin_at_pose(dpc_controller* c) {
  find_pose(c, c->action);
  dpc_controller_begin_hold(c);
}
