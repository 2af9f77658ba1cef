/// The last gate before a command leaves: finite, and within bounds. It fails closed: what is not a
/// number is never passed on, in part or at all.
#pragma once

#include "policy/base.h"

typedef struct dpc_gate {
  float low, high;  // bounds of every value of a command
} dpc_gate;

/// What the gate did.
typedef struct dpc_gate_report {
  bool rejected;  // a value was not finite; `fallback` was passed on instead
  int clamped;    // values moved to a bound
} dpc_gate_report;

/// Pass `wanted` [dim] on to `out` [dim], each value moved into the bounds; all of `fallback` [dim],
/// which must be finite, when any value of `wanted` is not. `out` may be `wanted` or `fallback`.
/// Allocates: no. Blocks: no. Thread: any.
dpc_gate_report dpc_gate_pass(const dpc_gate* gate, const float* wanted, const float* fallback,
                              int dim, float* out);
