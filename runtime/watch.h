/// Watches over a controller: how long ago the robot was seen, whether plans come to anything, what
/// people want; and from these, tick by tick, which state of the lifecycle it is in. Everything that
/// time decides comes in as an argument.
#pragma once

#include "runtime/lifecycle.h"

/// Ages of what was last seen of the robot: hold_age < fault_age.
typedef struct dpc_watch_def {
  dpc_duration tick;       // the period
  dpc_duration plan_age;   // no plan from what is older
  dpc_duration hold_age;   // hold
  dpc_duration fault_age;  // fault
  dpc_duration plan_wait;  // the longest that a robot is held for want of a plan without a fault
} dpc_watch_def;

/// Read it as you like; the functions write it.
typedef struct dpc_watch {
  dpc_watch_def def;
  dpc_state state;
  dpc_fault fault;
  dpc_duration age;        // of the newest observation that was sound
  bool blind;              // what came after it was not
  uint64_t stale_ticks;    // in a row, made while it was too old to go on
  uint64_t starved_ticks;  // in a row, held though the robot was seen: no plan was there to follow
  int failed_plans;        // in a row
  uint64_t faults;         // entered so far
} dpc_watch;

/// What a tick saw of the robot.
typedef struct dpc_sight {
  uint64_t passed;   // ticks since the last
  bool fresh;        // there is an observation that was not there before,
  bool sound;        // and it may be used
  dpc_duration age;  // of the newest observation
} dpc_sight;

/// Begin, with a policy that fits its robot: INACTIVE.
/// Allocates: no. Blocks: no. Thread: any.
dpc_watch dpc_watch_start(const dpc_watch_def* def);

/// What was seen before no longer counts: another episode, another session. A fault stays.
/// Allocates: no. Blocks: no. Thread: the watch's owner.
void dpc_watch_begin(dpc_watch* watch);

/// What people want: to acknowledge a fault, to stop.
/// Allocates: no. Blocks: no. Thread: the watch's owner.
void dpc_watch_heed(dpc_watch* watch, bool acknowledged, bool stop);

/// What this tick sees. A fault needs as many ticks as there are between the two ages: what was not
/// looked for cannot be missed. So does one for want of plans.
/// Allocates: no. Blocks: no. Thread: the watch's owner.
void dpc_watch_see(dpc_watch* watch, const dpc_sight* sight);

/// A plan was answered.
/// Allocates: no. Blocks: no. Thread: the watch's owner.
void dpc_watch_answer(dpc_watch* watch, bool failed);

/// What the newest observation shows is recent enough to plan from, and plans are wanted.
/// Allocates: no. Blocks: no. Thread: any.
bool dpc_watch_may_plan(const dpc_watch* watch);

/// A plan may be followed.
/// Allocates: no. Blocks: no. Thread: any.
bool dpc_watch_may_follow(const dpc_watch* watch);

/// The tick ends: it followed a plan or did not, and what it commands is `at_rest` or moves.
/// Allocates: no. Blocks: no. Thread: the watch's owner.
void dpc_watch_end(dpc_watch* watch, bool followed, bool at_rest);
