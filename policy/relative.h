/// Actions that a network makes relative to where the robot is: the difference, value by value, to
/// what the action tracks, as the newest observation has it. Outside the policy actions are absolute.
#pragma once

#include "policy/layout.h"

/// One relative signal: where its values begin in a row of actions, and those that it tracks in a row
/// of observations.
typedef struct dpc_relative_part {
  int action, obs, dim;
} dpc_relative_part;

/// All of them; zeroed, every action is absolute.
typedef struct dpc_relative {
  int count;
  dpc_relative_part parts[DPC_SIGNAL_MAX];
} dpc_relative;

/// Make action signal `signal` of a sound interface relative. DPC_ERR_INVALID when it tracks nothing.
/// Allocates: no. Blocks: no. Thread: any.
DPC_NODISCARD dpc_status dpc_relative_add(dpc_relative* relative, const dpc_interface* interface,
                                          int signal, dpc_error* error);

/// True when the action signal whose values begin at `column` of a row is relative.
/// Allocates: no. Blocks: no. Thread: any.
bool dpc_relative_has(const dpc_relative* relative, int column);

/// Make `rows` of absolute actions relative to `obs`, a row of observations, all in physical units.
/// Allocates: no. Blocks: no. Thread: any.
void dpc_relative_from_absolute(const dpc_relative* relative, const float* obs, int rows,
                                int action_dim, float* actions);

/// The way back.
/// Allocates: no. Blocks: no. Thread: any.
void dpc_relative_to_absolute(const dpc_relative* relative, const float* obs, int rows,
                              int action_dim, float* actions);
