/// A follower that never moves faster, never accelerates harder and never jerks more than it may,
/// and that can always stop before the end of its range, whatever it is asked for.
///
/// What it commands is a motion with bounded jerk, looked at once per tick: position, velocity and
/// acceleration are those of one continuous curve. It only ever enters states from which braking at
/// once ends within the range, and braking is always one of its choices; so it does not matter how
/// long the next tick takes. Pure functions, the same work whatever the numbers are, one value each.
#pragma once

#include "policy/base.h"

/// Of one value of a command, in its own unit.
typedef struct dpc_limits {
  double low, high;     // the range of positions, low < high
  double speed;         // largest, per s; > 0
  double acceleration;  // largest, per s^2; > 0
  double jerk;          // largest, per s^3; > 0
} dpc_limits;

/// Where a value is and how it moves.
typedef struct dpc_motion {
  double position, velocity, acceleration;
} dpc_motion;

/// One step of `dt` s (> 0) towards a target that may itself be moving, as it is at the step's end; one
/// that stands has velocity and acceleration 0. A target that can be reached within the limits is
/// reached to the bit; another is approached as fast as they allow, and not overshot while it stands.
/// A motion that was outside the range to begin with comes back into it. The target is finite.
/// Allocates: no. Blocks: no. Thread: any.
dpc_motion dpc_limiter_step(const dpc_limits* limits, const dpc_motion* now,
                            const dpc_motion* target, double dt);

/// One step of braking: to rest as fast as the limits allow, then it stays.
/// Allocates: no. Blocks: no. Thread: any.
dpc_motion dpc_limiter_brake(const dpc_limits* limits, const dpc_motion* now, double dt);

/// The motion is within the limits and can be brought to rest within them.
/// Allocates: no. Blocks: no. Thread: any.
bool dpc_limiter_can_stop(const dpc_limits* limits, const dpc_motion* motion);
