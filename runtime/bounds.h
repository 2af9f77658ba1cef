/// What the gate goes by, for each value of a command: its range, how it may move, how far it may jump.
/// It comes from the settings and from the robot.
#pragma once

#include "policy/field.h"
#include "policy/layout.h"
#include "runtime/limiter.h"

typedef struct dpc_bounds {
  dpc_limits limits;  // speed 0: any motion within the range
  double jump;        // the largest step from one wanted value to the next, 0: any
} dpc_bounds;

/// Find the bounds of every value of the robot's action, `out` [dim]: of each the tighter of what the
/// robot says in its interface, and what the settings do. These are `low` and `high` for all, and
/// `list`:
///
///     ["* low=-2.9 high=2.9", "arm speed=1.5 acceleration=10 jerk=100 jump=0.3"]
///
/// An element names a signal, "*" means all; later ones add to earlier ones. What nothing is said
/// about moves as it likes. DPC_ERR_CONFIG names what cannot be: an element of the list; a value for
/// which the two leave nothing, with both ranges; and one of which they say speed, acceleration or
/// jerk, but not all three.
/// Allocates: no. Blocks: no. Thread: any.
DPC_NODISCARD dpc_status dpc_bounds_read(const dpc_text_list* list, const dpc_interface* robot,
                                         double low, double high, dpc_bounds* out,
                                         dpc_error* error);

/// Log what is in force, and who said so: "limits of arm[0:7]: low -2.9 (settings), speed 1.5 (robot)".
/// Allocates: no. Blocks: in the log's hook. Thread: any.
void dpc_bounds_log(const dpc_bounds* bounds, const dpc_interface* robot);
