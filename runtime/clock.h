/// The monotonic clock, and sleeping until a point on it.
#pragma once

#include "policy/base.h"

/// Now.
/// Allocates: no. Blocks: no. Thread: any.
dpc_time dpc_clock_now(void);

/// Sleep until `time`, also when signals come; at once when it has passed. An absolute time, so that
/// being late once does not shift what follows.
/// Allocates: no. Blocks: until `time`. Thread: any.
void dpc_clock_sleep_until(dpc_time time);

/// A fixed period: due times are start, start + period, start + 2 period, …, whatever happens.
typedef struct dpc_cadence {
  dpc_time due;         // the next tick's
  dpc_duration period;  // > 0
} dpc_cadence;

/// The tick that was due has been dealt with, and it is `now`: move on to the first due time that
/// is later than `now`. Returns how many were skipped: their time has passed. The phase is kept.
/// Allocates: no. Blocks: no. Thread: any.
uint64_t dpc_cadence_next(dpc_cadence* cadence, dpc_time now);
