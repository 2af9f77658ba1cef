/// The last gate before a command leaves. In this order: what is not finite is refused, what is
/// outside its range is moved to its edge, what jumps is refused, and what remains goes through the
/// limiter. It fails closed: of a command that is refused nothing is passed on; what may only move
/// within limits is braked instead, and the rest stays where it was told to be.
///
/// What jumps is taken up again once enough commands in a row have not: then that is where the policy
/// wants to be, and the limiter makes the way there.
#pragma once

#include "policy/arena.h"
#include "runtime/bounds.h"

/// What is wanted of every value at this tick; those that are NULL are 0.
typedef struct dpc_wanted {
  const float* position;      // [dim]
  const float* velocity;      // [dim], per tick
  const float* acceleration;  // [dim], per tick^2
} dpc_wanted;

/// What the gate did.
typedef struct dpc_gate_report {
  bool rejected;  // something was not finite
  bool jumped;    // further from the one before than it may, or too soon after one that was
  int clamped;    // values moved to the end of their range
  int limited;    // values that the limiter changed
} dpc_gate_report;

typedef struct dpc_gate dpc_gate;

/// Make a gate for commands with these bounds [dim], which are copied. Ticks come every `period`;
/// after a jump, `recovery` commands in a row must be without one.
/// Allocates: from the arena. Blocks: no. Thread: start-up only.
DPC_NODISCARD dpc_status dpc_gate_create(const dpc_bounds* bounds, int dim, dpc_duration period,
                                         int recovery, dpc_arena* arena, dpc_gate** out,
                                         dpc_error* error);

/// The robot stands here: `pose` [dim], finite. Before anything is passed.
/// Allocates: no. Blocks: no. Thread: the gate's owner.
void dpc_gate_anchor(dpc_gate* gate, const float* pose);

/// Pass what is wanted on to `out` [dim], as far as it may be. `ticks` have passed since the last
/// command; 0 when that was for this tick, too: then nothing that has limits moves.
/// Allocates: no. Blocks: no. Thread: the gate's owner.
dpc_gate_report dpc_gate_pass(dpc_gate* gate, const dpc_wanted* wanted, uint64_t ticks, float* out);

/// Bring to rest and keep there: what has limits brakes, the rest goes to `pose` [dim] (finite; moved
/// into its range).
/// Allocates: no. Blocks: no. Thread: the gate's owner.
void dpc_gate_hold(dpc_gate* gate, const float* pose, uint64_t ticks, float* out);

/// How value `i` of the commands moves, per s; NULL where it has no limits. Good until the next call.
/// Allocates: no. Blocks: no. Thread: the gate's owner.
const dpc_motion* dpc_gate_motion(const dpc_gate* gate, int i);

/// Nothing that has limits moves.
/// Allocates: no. Blocks: no. Thread: the gate's owner.
bool dpc_gate_at_rest(const dpc_gate* gate);
