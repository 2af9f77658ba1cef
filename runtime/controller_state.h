/// The controller from inside: what its settings (runtime/controller_def.c), observing
/// (runtime/controller_observe.c) and commanding (runtime/controller.c) share. For these alone.
#pragma once

#include "runtime/controller.h"

enum { NO_SOURCE = -1 };

// Grouped by what it is about.
// NOLINTNEXTLINE(clang-analyzer-optin.performance.Padding)
struct dpc_controller {
  dpc_controller_def def;
  int n_obs, horizon, rows_per_plan;
  int obs_dim, action_dim;  // the policy's
  int* gather;              // [obs_dim], where the robot's observation holds what the policy wants
  int* hold_source;  // [action_dim], where it holds what the action tracks; NO_SOURCE: nowhere

  // observation
  float* history;  // ring of [history_length x obs_dim], one row per tick
  int history_length;
  uint64_t history_count;  // rows written in this epoch
  float* row;              // [obs_dim], the newest that was finite
  float* pose;             // [action_dim], and where it shows what the action tracks
  float* stacked;          // [n_obs x obs_dim], what a request shows
  uint64_t epoch, tick;
  bool seen;  // anything, in this epoch

  // plans
  bool in_flight;
  uint64_t asked_tick;
  uint32_t next_plan;
  uint64_t next_request;  // tick
  bool pending;           // answered, and waiting for its tick
  dpc_chunk waiting;
  float* waiting_values;  // [horizon x action_dim], behind it
  dpc_course course;
  uint32_t active_plan, waiting_plan;
  float* fixed;  // [horizon x action_dim], what a request shows

  // commands
  dpc_watch watch;
  const dpc_bounds* bounds;  // [action_dim]
  dpc_gate* gate;
  bool anchored;   // the gate knows where the robot is
  uint64_t acted;  // tick of the last command
  bool holding;
  float* hold;      // [action_dim], where to stay
  float* action;    // [action_dim], the last command
  float* velocity;  // [action_dim], and how fast it moves, per tick; of splines and within limits
  float* acceleration;  // [action_dim], wanted by a spline, per tick^2
  dpc_controller_counters counts;
};

static inline int smaller(int a, int b) {
  return a < b ? a : b;
}

/// The robot stands while a plan is made. Where that takes no time it need not.
/// Allocates: no. Blocks: no. Thread: any.
bool dpc_controller_stands(const dpc_controller_def* def);

/// Requests say which rows are settled.
/// Allocates: no. Blocks: no. Thread: any.
bool dpc_controller_settles(const dpc_controller_def* def);

/// Rows that begin while a plan is made.
/// Allocates: no. Blocks: no. Thread: any.
int dpc_controller_rows_meanwhile(const dpc_controller_def* def);

/// The settings leave time for the delay, as dpc_controller_create says.
/// Allocates: no. Blocks: no. Thread: any.
DPC_NODISCARD dpc_status dpc_controller_check_fit(const dpc_controller_def* def,
                                                  const dpc_checkpoint_info* policy,
                                                  dpc_error* error);

/// From now on the robot stays where it is, or where its commands are: these have come to rest, or
/// what moves within limits soon does.
/// Allocates: no. Blocks: no. Thread: the controller's owner.
void dpc_controller_begin_hold(dpc_controller* c);

/// Commands begin where the robot is.
/// Allocates: no. Blocks: no. Thread: the controller's owner.
void dpc_controller_begin_at_pose(dpc_controller* c);
