/// Recorded rows at another rate.
///
/// Row k of the policy lies at k policy periods after the episode's first row. Where that is between
/// two recorded rows, what is held is the earlier one, and what flows is interpolated on a straight
/// line; an angle goes the shorter way round, however its turns are counted.
#pragma once

#include "policy/base.h"

/// Recorded rows per row of the policy, as a fraction. Periods are kept in whole nanoseconds, so 60 Hz
/// and 10 Hz would drift apart; the fraction is the simplest that they can stand for.
typedef struct dpc_resampling {
  int64_t numerator, denominator;  // both >= 1
} dpc_resampling;

/// A place in an episode: a recorded row, and how far it is to the next one, in [0, 1).
typedef struct dpc_resampling_place {
  int row;
  double fraction;
} dpc_resampling_place;

/// From rows `recorded_ns` apart to rows `wanted_ns` apart. DPC_ERR_CONFIG when one is more than a
/// thousand times the other.
/// Allocates: no. Blocks: no. Thread: any.
DPC_NODISCARD dpc_status dpc_resampling_make(int64_t recorded_ns, int64_t wanted_ns,
                                             dpc_resampling* out, dpc_error* error);

/// Rows that an episode of `recorded` rows has: as many as lie within it. recorded >= 1.
/// Allocates: no. Blocks: no. Thread: any.
int dpc_resampling_rows(const dpc_resampling* resampling, int recorded);

/// Where row `row` lies.
/// Allocates: no. Blocks: no. Thread: any.
dpc_resampling_place dpc_resampling_at(const dpc_resampling* resampling, int row);

/// The value at `fraction` of the way from a to b, on a straight line; where `turn` > 0 it is the
/// value of a full turn (2 pi, 360), and the way is the shorter one. What comes out is then counted
/// as the nearer end is.
/// Allocates: no. Blocks: no. Thread: any.
float dpc_resampling_between(float a, float b, double fraction, double turn);
