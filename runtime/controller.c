#include <string.h>

#include "runtime/controller_state.h"

// --- plans --------------------------------------------------------------------------------------

static void receive_plan(dpc_controller* c, const dpc_plan* plan) {
  if (!c->in_flight || plan->epoch != c->epoch || plan->tick != c->asked_tick) {
    ++c->counts.discarded;
    return;
  }
  c->in_flight = false;
  dpc_watch_answer(&c->watch, plan->failed);
  if (plan->failed) {
    ++c->counts.failed;
    return;
  }
  memcpy(c->waiting_values, plan->chunk,
         sizeof(float) * (size_t)c->horizon * (size_t)c->action_dim);
  c->pending = true;
  c->waiting_plan = plan->plan;
  c->waiting = (dpc_chunk){
      .tick = plan->tick,
      .ticks_per_step = c->def.ticks_per_step,
      .first_row = c->n_obs - 1,
      .horizon = c->horizon,
      .dim = c->action_dim,
      .values = c->waiting_values,
  };
}

// A robot that has stood since the plan was asked for begins with its first row. Otherwise the rows
// have their ticks.
static void join_chunks(dpc_controller* c, uint64_t tick) {
  if (dpc_controller_stands(&c->def)) {
    c->waiting.tick = tick;
    c->waiting.horizon = smaller(c->waiting.first_row + c->rows_per_plan, c->horizon);
  } else {
    const bool fade = c->def.switching == DPC_SWITCHING_BLEND;
    dpc_chunk_take_over(&c->course.chunk, tick, fade, c->hold, &c->waiting);
  }
  dpc_course_follow(&c->course, &c->waiting, tick, c->action, c->velocity);
}

static void adopt_plan(dpc_controller* c, uint64_t tick, dpc_tick_output* output) {
  const uint64_t due = c->waiting.tick + (uint64_t)c->def.delay;
  if (!c->pending || tick < due) return;
  join_chunks(c, tick);
  c->active_plan = c->waiting_plan;
  c->pending = false;
  c->next_request = c->waiting.tick + (uint64_t)c->rows_per_plan * (uint64_t)c->def.ticks_per_step;
  output->adopted = true;
  output->late = tick > due;
  ++c->counts.plans;
  c->counts.late += output->late;
}

// --- commands -----------------------------------------------------------------------------------

// Commands go on from the one before. At first, and where so many were missed that the robot has
// stopped by itself meanwhile, they go on from where the robot is seen now, if it is. False when no
// one knows.
static bool is_anchored(dpc_controller* c, const dpc_tick_input* input) {
  const dpc_watch_def* ages = &c->watch.def;
  const int64_t away = (int64_t)(input->tick - c->acted) * ages->tick.ns;
  if (c->anchored && away > ages->hold_age.ns) {
    c->anchored = false;
    ++c->counts.gaps;
  }
  if (!c->anchored && input->fresh && !c->watch.blind && c->watch.stale_ticks == 0) {
    dpc_controller_begin_at_pose(c);
    dpc_gate_anchor(c->gate, c->action);
    c->anchored = true;
    c->acted = input->tick > 0 ? input->tick - 1 : 0;
  }
  return c->anchored;
}

// How fast commands move after the gate: what has limits as they let it. What else the gate has changed
// is at a bound, or stays where it was.
static void find_velocity(dpc_controller* c, const float* wanted) {
  const double tick = dpc_to_seconds(c->watch.def.tick);
  for (int i = 0; i < c->action_dim; ++i) {
    const dpc_motion* motion = dpc_gate_motion(c->gate, i);
    if (motion != NULL) {
      c->velocity[i] = (float)(motion->velocity * tick);
    } else if (c->action[i] != wanted[i]) {
      c->velocity[i] = 0;
    }
  }
}

static void follow(dpc_controller* c, const dpc_wanted* wanted, uint64_t ticks,
                   dpc_gate_report* report) {
  c->holding = false;
  *report = dpc_gate_pass(c->gate, wanted, ticks, c->action);
  find_velocity(c, wanted->position);
  c->counts.rejected += report->rejected;
  c->counts.jumped += report->jumped;
  c->counts.clamped += (uint64_t)report->clamped;
  c->counts.limited += (uint64_t)report->limited;
}

// What has limits is braked first; where it is then is where it stays.
static void hold(dpc_controller* c, uint64_t ticks) {
  if (!c->holding) dpc_controller_begin_hold(c);
  dpc_gate_hold(c->gate, c->hold, ticks, c->action);
  memcpy(c->hold, c->action, sizeof(float) * (size_t)c->action_dim);
  find_velocity(c, c->hold);
  ++c->counts.holds;
  c->counts.stale += c->watch.stale_ticks > 0;
}

// Only a spline says how it moves; rows that are held are targets at rest.
static dpc_wanted find_wanted(dpc_controller* c, uint64_t tick) {
  if (!dpc_watch_may_follow(&c->watch)) return (dpc_wanted){.position = NULL};
  const float* position = dpc_course_at(&c->course, tick, c->velocity, c->acceleration);
  if (c->def.interpolation == DPC_INTERPOLATION_HOLD) return (dpc_wanted){.position = position};
  return (dpc_wanted){position, c->velocity, c->acceleration};
}

static void command(dpc_controller* c, const dpc_tick_input* input, dpc_tick_output* output) {
  const uint64_t ticks = input->tick - c->acted;
  const dpc_wanted wanted = find_wanted(c, input->tick);
  const bool follows = wanted.position != NULL;
  if (follows) {
    output->mode = DPC_MODE_ACTIVE;
    output->plan = c->active_plan;
    output->row = dpc_chunk_row(&c->course.chunk, input->tick);
    follow(c, &wanted, ticks, &output->gate);
  } else {
    output->mode = DPC_MODE_HOLD;
    hold(c, ticks);
  }
  c->acted = input->tick;
  dpc_watch_end(&c->watch, follows, !follows && dpc_gate_at_rest(c->gate));
  output->action = c->action;
}

void dpc_controller_tick(dpc_controller* controller, const dpc_tick_input* input,
                         const dpc_plan* ready, dpc_tick_output* output) {
  dpc_controller* c = controller;
  *output = (dpc_tick_output){.mode = DPC_MODE_IDLE, .row = -1};
  if (ready != NULL) receive_plan(c, ready);
  const bool sees = input->obs != NULL && c->seen && input->epoch == c->epoch;
  if (sees && is_anchored(c, input)) {
    adopt_plan(c, input->tick, output);
    command(c, input, output);
  } else {
    // nothing is commanded, so nothing has to be brought to rest
    dpc_watch_end(&c->watch, false, true);
  }
  output->state = c->watch.state;
  output->fault = c->watch.fault;
  c->counts.faults = c->watch.faults;
}

const dpc_controller_counters* dpc_controller_counts(const dpc_controller* controller) {
  return &controller->counts;
}

const dpc_bounds* dpc_controller_bounds(const dpc_controller* controller) {
  return controller->bounds;
}
