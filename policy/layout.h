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

/// Both directions, and the time between two rows.
typedef struct dpc_interface {
  dpc_layout obs;
  dpc_layout action;
  int64_t period_ns;  // of one policy step, which is one row of a chunk
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

/// Both layouts are sound, the period is in (0, 1 h], and what an action signal tracks is an
/// observation signal of the same dim. DPC_ERR_INVALID says what is wrong.
/// Allocates: no. Blocks: no. Thread: any.
DPC_NODISCARD dpc_status dpc_interface_check(const dpc_interface* interface, dpc_error* error);

/// Everything `need` names must be in `have`: observation signals by name with the same dim and
/// unit (others are fine), exactly the same action signals in the same order, the same period.
/// Units that are unknown on either side are not compared. DPC_ERR_MISMATCH names the first
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
