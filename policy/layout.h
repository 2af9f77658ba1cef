/// What a robot observes and is commanded with: named vectors with dims and units, in a fixed
/// order. A policy says what it needs, a robot what it has, and the two are compared before
/// anything moves.
#pragma once

#include "policy/base.h"

enum {
  DPC_NAME_MAX = 48,           // bytes of a signal's name, terminator included
  DPC_UNIT_MAX = 16,           // bytes of a unit, terminator included
  DPC_SIGNAL_MAX = 32,         // signals in a layout; two arms with every reading have about 22
  DPC_SIGNAL_DIM_MAX = 4096,   // values in a signal
  DPC_LAYOUT_DIM_MAX = 65536,  // values in a layout
  DPC_LIMITED_MAX = 256,       // values in an action layout of which a robot says limits
};

/// One named vector that is observed or commanded.
typedef struct dpc_signal {
  char name[DPC_NAME_MAX];    // "agent_pos"
  int dim;                    // values, in [1, DPC_SIGNAL_DIM_MAX]
  char unit[DPC_UNIT_MAX];    // "px", "rad", "m"; "" = unknown
  char tracks[DPC_NAME_MAX];  // action signals: the observation signal it follows; "" = none
} dpc_signal;

/// Signals in order; their values are concatenated in that order.
typedef struct dpc_layout {
  int count;
  dpc_signal signals[DPC_SIGNAL_MAX];
} dpc_layout;

/// What a robot may say of how far, how fast and how abruptly it can be moved.
typedef enum dpc_limit {
  DPC_LIMIT_LOW,   // smallest position
  DPC_LIMIT_HIGH,  // largest position
  DPC_LIMIT_SPEED,
  DPC_LIMIT_ACCELERATION,
  DPC_LIMIT_JERK,
  DPC_LIMIT_COUNT,
} dpc_limit;

/// A robot's own limits, in its signals' units, per s, s^2 and s^3. Of a signal each of them is given
/// for all elements, or not at all. Zeroed: none.
typedef struct dpc_action_limits {
  bool given[DPC_SIGNAL_MAX][DPC_LIMIT_COUNT];     // of each action signal
  float values[DPC_LIMIT_COUNT][DPC_LIMITED_MAX];  // of each action value; 0 where not given
} dpc_action_limits;

/// Both directions, and the time between two rows.
typedef struct dpc_interface {
  dpc_layout obs;
  dpc_layout action;
  int64_t period_ns;         // of one policy step, which is one row of a chunk
  dpc_action_limits limits;  // of a robot; a policy has none
} dpc_interface;

/// Add a signal at the end; NULL unit or tracks mean "". Asserts when the layout or a text is full.
/// Allocates: no. Blocks: no. Thread: any, one layout each.
void dpc_layout_add(dpc_layout* layout, const char* name, int dim, const char* unit,
                    const char* tracks);

/// Number of values in a row: the sum of the signals' dims.
/// Allocates: no. Blocks: no. Thread: any.
int dpc_layout_dim(const dpc_layout* layout);

/// The signal with this name and the index of its first value (`offset` may be NULL), or NULL.
/// Allocates: no. Blocks: no. Thread: any.
const dpc_signal* dpc_layout_find(const dpc_layout* layout, const char* name, int* offset);

/// At least one signal; names terminated, non-empty, printable and unique; dims in
/// [1, DPC_SIGNAL_DIM_MAX], at most DPC_LAYOUT_DIM_MAX in all. DPC_ERR_INVALID names the signal that is
/// wrong.
/// Allocates: no. Blocks: no. Thread: any.
DPC_NODISCARD dpc_status dpc_layout_check(const dpc_layout* layout, dpc_error* error);

/// "acceleration", for messages and settings.
/// Allocates: no. Blocks: no. Thread: any.
const char* dpc_limit_name(dpc_limit limit);

/// Say one of the robot's own limits of an action signal: `values` [its dim]. Asserts when there is no
/// such signal, or its values are not among the first DPC_LIMITED_MAX.
/// Allocates: no. Blocks: no. Thread: any, one interface each.
void dpc_interface_limit(dpc_interface* interface, const char* signal, dpc_limit limit,
                         const float* values);

/// Both layouts are sound, the period is in (0, 1 h], and what an action signal tracks is an
/// observation signal of the same dim. Of limits, each is within 1e30, low below high and the others
/// above 0. DPC_ERR_INVALID says what is wrong.
/// Allocates: no. Blocks: no. Thread: any.
DPC_NODISCARD dpc_status dpc_interface_check(const dpc_interface* interface, dpc_error* error);

/// Everything `need` names must be in `have`: observation signals by name with the same dim and
/// unit (others are fine), exactly the same action signals in the same order, the same period.
/// Units that are unknown on either side are not compared, and limits never. DPC_ERR_MISMATCH names the first
/// difference: "observation 'agent_pos': policy has dim 2, robot has 3". Allocates: no. Blocks: no.
/// Thread: any.
DPC_NODISCARD dpc_status dpc_interface_match(const dpc_interface* need, const dpc_interface* have,
                                             dpc_error* error);

/// gather[i] = index in `have` of value i of `need`; [dpc_layout_dim(need)]. Every signal of `need`
/// must be in `have` with the same dim (asserts), which `dpc_interface_match` has made sure of.
/// Allocates: no. Blocks: no. Thread: any.
void dpc_layout_gather(const dpc_layout* need, const dpc_layout* have, int* gather);

/// All values of `rows` rows, [rows][dpc_layout_dim], are finite; else DPC_ERR_INVALID names the first
/// that is not: "`kind` 'agent_pos': row 0, element 1 is not finite".
/// Allocates: no. Blocks: no. Thread: any.
DPC_NODISCARD dpc_status dpc_layout_check_finite(const dpc_layout* layout, const char* kind,
                                                 const float* values, int rows, dpc_error* error);
