/// How smooth commands are where one plan takes over from another, judged from what the push world is
/// told in each of its physics steps: 100 times a second, whether or not that is something new.
///
/// With commands c[n], dt = 0.01 s apart, velocities are v[n] = (c[n] - c[n-1]) / dt. At n there is
///
///     a velocity step of |v[n] - v[n-1]|                                 px/s
///     a jerk of |c[n] - 3 c[n-1] + 3 c[n-2] - c[n-3]| / dt^3             px/s^3
///
/// and a switch is the policy step in which a new plan begins: its ten commands, with those before
/// that they are compared with. The first plan of an episode is none.
#pragma once

#include "sim/push_task.h"

enum { DPC_MOTION_BACK = 4 };  // commands that a jerk is made of

/// The largest at the switches of an episode; all 0 where there were none.
typedef struct dpc_motion_steps {
  int switches;
  double velocity_step, jerk;
} dpc_motion_steps;

/// What is remembered of commands. All zero is a beginning.
typedef struct dpc_motion_meter {
  double commands[DPC_MOTION_BACK][DPC_PUSH_ACTION_DIM];  // newest first
  int count;                                              // so far, up to DPC_MOTION_BACK
  int left;    // commands of the switch that is under way, still to come
  bool begun;  // there has been a plan
  dpc_motion_steps motion;
} dpc_motion_meter;

/// Take in the `command` [DPC_PUSH_ACTION_DIM], px, of the next physics step; `first` of a plan.
/// Allocates: no. Blocks: no. Thread: the meter's owner.
void dpc_motion_add(dpc_motion_meter* meter, const float* command, bool first);
