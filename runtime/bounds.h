/// Settings of the gate, for each value of a command: its range, how it may move, how far it may jump.
#pragma once

#include "policy/field.h"
#include "policy/layout.h"
#include "runtime/limiter.h"

typedef struct dpc_bounds {
  dpc_limits limits;  // speed 0: any motion within the range
  double jump;        // the largest step from one wanted value to the next, 0: any
} dpc_bounds;

/// Read bounds of every value of `action` into `out` [dim], as `list` says:
///
///     ["* low=-2.9 high=2.9", "arm speed=1.5 acceleration=10 jerk=100 jump=0.3"]
///
/// An element names a signal, "*" means all; later ones add to earlier ones. What nothing is said
/// about is within `low` and `high` and moves as it likes. DPC_ERR_CONFIG names the element that
/// cannot be.
/// Allocates: no. Blocks: no. Thread: any.
DPC_NODISCARD dpc_status dpc_bounds_read(const dpc_text_list* list, const dpc_layout* action,
                                         double low, double high, dpc_bounds* out,
                                         dpc_error* error);
