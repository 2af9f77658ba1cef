#include "runtime/watch.h"

enum { FAILED_PLANS_MAX = 2 };  // in a row, then something is wrong with the policy

static void post(dpc_watch* w, dpc_event event) {
  w->state = dpc_lifecycle_next(w->state, event);
}

static void post_fault(dpc_watch* w, dpc_fault fault) {
  const dpc_state before = w->state;
  post(w, DPC_EVENT_FAULT);
  if (w->state != DPC_STATE_FAULT || before == DPC_STATE_FAULT) return;
  w->fault = fault;
  ++w->faults;
}

dpc_watch dpc_watch_start(const dpc_watch_def* def) {
  dpc_watch w = {.def = *def};
  post(&w, DPC_EVENT_CONFIGURED);
  return w;
}

void dpc_watch_begin(dpc_watch* w) {
  post(w, DPC_EVENT_ENDED);
  w->age.ns = 0;
  w->blind = false;
  w->stale_ticks = 0;
}

void dpc_watch_heed(dpc_watch* w, bool acknowledged, bool stop) {
  if (acknowledged && w->state == DPC_STATE_FAULT) {
    post(w, DPC_EVENT_ACKNOWLEDGED);
    w->fault = DPC_FAULT_NONE;
    w->failed_plans = 0;
  }
  if (stop) post(w, DPC_EVENT_STOP);
}

// The tick before held a robot that can be seen. Following anything ends it, as does all else that is
// not HOLD; while the robot is not seen, that is why it is held.
static void count_starving(dpc_watch* w) {
  if (w->state != DPC_STATE_HOLD) w->starved_ticks = 0;
  if (w->state != DPC_STATE_HOLD || w->stale_ticks > 0) return;
  ++w->starved_ticks;
  const int64_t starved = (int64_t)w->starved_ticks * w->def.tick.ns;
  if (starved > w->def.plan_wait.ns) post_fault(w, DPC_FAULT_STARVED);
}

void dpc_watch_see(dpc_watch* w, const dpc_sight* sight) {
  if (sight->fresh) w->blind = !sight->sound;
  // where the newest cannot be used, the one before it only grows older
  w->age.ns = w->blind ? w->age.ns + (int64_t)sight->passed * w->def.tick.ns : sight->age.ns;
  w->stale_ticks = w->age.ns > w->def.hold_age.ns ? w->stale_ticks + 1 : 0;
  count_starving(w);
  post(w, DPC_EVENT_OBSERVED);
  const int64_t watched = (int64_t)w->stale_ticks * w->def.tick.ns;
  if (w->age.ns > w->def.fault_age.ns && watched >= w->def.fault_age.ns - w->def.hold_age.ns) {
    post_fault(w, DPC_FAULT_STALE);
  }
}

void dpc_watch_answer(dpc_watch* w, bool failed) {
  w->failed_plans = failed ? w->failed_plans + 1 : 0;
  if (w->failed_plans >= FAILED_PLANS_MAX) post_fault(w, DPC_FAULT_PLANS);
}

static bool is_willing(const dpc_watch* w) {
  return w->state == DPC_STATE_HOLD || w->state == DPC_STATE_ACTIVE;
}

bool dpc_watch_may_plan(const dpc_watch* w) {
  return is_willing(w) && !w->blind && w->age.ns <= w->def.plan_age.ns;
}

bool dpc_watch_may_follow(const dpc_watch* w) {
  return is_willing(w) && w->stale_ticks == 0;
}

void dpc_watch_end(dpc_watch* w, bool followed, bool at_rest) {
  post(w, followed ? DPC_EVENT_FOLLOW : DPC_EVENT_STARVED);
  if (at_rest) post(w, DPC_EVENT_AT_REST);
}
