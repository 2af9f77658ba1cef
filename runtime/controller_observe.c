#include <math.h>
#include <string.h>

#include "runtime/controller_state.h"

static void forget_plans(dpc_controller* c, uint64_t tick) {
  c->in_flight = c->pending = false;
  c->waiting.values = NULL;
  dpc_course_clear(&c->course);
  c->next_request = tick;
}

static void begin_epoch(dpc_controller* c, const dpc_tick_input* input) {
  c->epoch = input->epoch;
  c->seen = true;
  c->history_count = 0;
  c->anchored = false;
  c->next_plan = 0;
  forget_plans(c, input->tick);
  dpc_controller_begin_at_pose(c);
  dpc_watch_begin(&c->watch);
}

// What policy and hold need of an observation. False, and nothing is taken, when some of it is not
// finite.
static bool take_in(dpc_controller* c, const float* obs) {
  bool finite = true;
  for (int i = 0; i < c->obs_dim; ++i) finite &= isfinite(obs[c->gather[i]]) != 0;
  for (int i = 0; i < c->action_dim; ++i) {
    finite &= c->hold_source[i] == NO_SOURCE || isfinite(obs[c->hold_source[i]]);
  }
  if (!finite) {
    ++c->counts.blind;
    return false;
  }
  for (int i = 0; i < c->obs_dim; ++i) c->row[i] = obs[c->gather[i]];
  for (int i = 0; i < c->action_dim; ++i) {
    if (c->hold_source[i] != NO_SOURCE) c->pose[i] = obs[c->hold_source[i]];
  }
  return true;
}

static void push_history(dpc_controller* c) {
  const uint64_t row = c->history_count++ % (uint64_t)c->history_length;
  memcpy(c->history + row * (uint64_t)c->obs_dim, c->row, sizeof(float) * (size_t)c->obs_dim);
}

// Rows one policy step apart, the newest last; before the epoch's first, the first.
static void stack_history(dpc_controller* c) {
  for (int i = 0; i < c->n_obs; ++i) {
    const uint64_t back = (uint64_t)(c->n_obs - 1 - i) * (uint64_t)c->def.ticks_per_step;
    const uint64_t newest = c->history_count - 1;
    const uint64_t row = (back <= newest ? newest - back : 0) % (uint64_t)c->history_length;
    memcpy(c->stacked + (size_t)i * (size_t)c->obs_dim, c->history + row * (uint64_t)c->obs_dim,
           sizeof(float) * (size_t)c->obs_dim);
  }
}

// What the chunk in force has for a row of a plan asked for now; NULL: nothing.
static const float* row_in_force(const dpc_controller* c, uint64_t tick, int row) {
  const int64_t ticks = (int64_t)(row - (c->n_obs - 1)) * c->def.ticks_per_step;
  return dpc_chunk_at(&c->course.chunk, tick + (uint64_t)ticks);
}

// The rows of a plan asked for now that will have been commanded when it takes effect, from that of
// the oldest observation on. Behind the chunk in force nothing is settled; where there is none the
// robot is held, and will be.
static int settle_rows(dpc_controller* c, uint64_t tick) {
  const size_t dim = (size_t)c->action_dim;
  const bool following = dpc_chunk_row(&c->course.chunk, tick) >= 0;
  const int count = smaller(c->n_obs - 1 + dpc_controller_rows_meanwhile(&c->def), c->horizon);
  if (!following && !c->holding) dpc_controller_begin_hold(c);
  for (int row = 0; row < count; ++row) {
    const float* action = row_in_force(c, tick, row);
    if (action == NULL && following) return row;
    memcpy(c->fixed + (size_t)row * dim, action != NULL ? action : c->hold, sizeof(float) * dim);
  }
  return count;
}

// Behind them, what the chunk in force still has.
static int add_near_rows(dpc_controller* c, uint64_t tick, int settled) {
  const size_t dim = (size_t)c->action_dim;
  int row = settled;
  for (; row < c->horizon; ++row) {
    const float* action = row_in_force(c, tick, row);
    if (action == NULL) break;
    memcpy(c->fixed + (size_t)row * dim, action, sizeof(float) * dim);
  }
  return row - settled;
}

// Each tick since the last adds a row, so that rows stay a policy step apart over missed ticks.
static void extend_history(dpc_controller* c, uint64_t passed) {
  // the tick was made without its observation, which came late: it takes that row
  if (passed == 0) --c->history_count;
  const uint64_t most = (uint64_t)c->history_length;
  const uint64_t rows = passed == 0 ? 1 : passed < most ? passed : most;
  for (uint64_t i = 0; i < rows; ++i) push_history(c);
}

// Takes the observation in; true when it is new and sound.
static bool look(dpc_controller* c, const dpc_tick_input* input) {
  const bool begins = !c->seen || input->epoch != c->epoch;
  const bool sound = (input->fresh || begins) && take_in(c, input->obs);
  if (begins && !sound) return false;
  if (begins) begin_epoch(c, input);
  const uint64_t passed = begins ? 1 : input->tick > c->tick ? input->tick - c->tick : 0;
  extend_history(c, passed);
  c->tick = input->tick;
  dpc_watch_see(&c->watch, &(dpc_sight){passed, input->fresh, sound, input->age});
  return sound && input->fresh;
}

static bool wants_plan(dpc_controller* c, const dpc_tick_input* input) {
  if (c->in_flight || c->pending || input->tick < c->next_request) return false;
  if (dpc_watch_may_plan(&c->watch)) return true;
  c->counts.too_old += c->watch.age.ns > c->watch.def.plan_age.ns;
  return false;
}

bool dpc_controller_observe(dpc_controller* controller, const dpc_tick_input* input,
                            dpc_plan_request* request) {
  dpc_controller* c = controller;
  ++c->counts.ticks;
  c->counts.unseen += !input->fresh;
  dpc_watch_heed(&c->watch, input->acknowledged, input->stop);
  if (input->obs == NULL) return false;
  const bool fresh = look(c, input);
  if (!dpc_watch_may_follow(&c->watch)) forget_plans(c, input->tick);
  if (!fresh || !wants_plan(c, input)) return false;
  stack_history(c);
  c->in_flight = true;
  c->asked_tick = input->tick;
  const int settled = dpc_controller_settles(&c->def) ? settle_rows(c, input->tick) : 0;
  const bool guided = c->def.switching == DPC_SWITCHING_GUIDED;
  *request = (dpc_plan_request){
      .tick = input->tick,
      .epoch = input->epoch,
      .plan = c->next_plan++,
      .key = {(uint32_t)c->def.seed, (uint32_t)input->seed},
      .obs = c->stacked,
      .fixed_count = settled,
      .near_count = guided ? add_near_rows(c, input->tick, settled) : 0,
      .fixed = c->fixed,
  };
  return true;
}
