#include "policy/train/resample.h"

#include <math.h>

static const double TOLERANCE_MIN = 1e-8;
static const double RATIO_MAX = 1000;

// The fraction with the smallest denominator that is near enough; with ratio >= 1 there is one whose
// numerator is at most 1 / tolerance, by Dirichlet's theorem.
static dpc_resampling simplest(double ratio, double tolerance) {
  int64_t denominator = 1;
  while (fabs((double)llround(ratio * (double)denominator) / (double)denominator - ratio) >
         tolerance * ratio) {
    ++denominator;
  }
  return (dpc_resampling){llround(ratio * (double)denominator), denominator};
}

dpc_status dpc_resampling_make(int64_t recorded_ns, int64_t wanted_ns, dpc_resampling* out,
                               dpc_error* error) {
  DPC_ASSERT(recorded_ns >= 1 && wanted_ns >= 1);
  const double ratio = (double)wanted_ns / (double)recorded_ns;
  if (ratio > RATIO_MAX || ratio < 1 / RATIO_MAX) {
    return dpc_fail(error, DPC_ERR_CONFIG,
                    "recorded at %.6g Hz, %.6g Hz wanted: more than a factor of %g",
                    1e9 / (double)recorded_ns, 1e9 / (double)wanted_ns, RATIO_MAX);
  }
  // either period may have been rounded by half a nanosecond
  const double rounding = 0.5 / (double)recorded_ns + 0.5 / (double)wanted_ns;
  const double tolerance = fmax(rounding, TOLERANCE_MIN);
  if (ratio >= 1) {
    *out = simplest(ratio, tolerance);
  } else {
    const dpc_resampling inverse = simplest(1 / ratio, tolerance);
    *out = (dpc_resampling){inverse.denominator, inverse.numerator};
  }
  return DPC_OK;
}

int dpc_resampling_rows(const dpc_resampling* resampling, int recorded) {
  DPC_ASSERT(recorded >= 1);
  const int64_t rows = (recorded - 1) * resampling->denominator / resampling->numerator + 1;
  return rows < INT32_MAX ? (int)rows : INT32_MAX;
}

dpc_resampling_place dpc_resampling_at(const dpc_resampling* resampling, int row) {
  const int64_t at = row * resampling->numerator;
  return (dpc_resampling_place){
      .row = (int)(at / resampling->denominator),
      .fraction = (double)(at % resampling->denominator) / (double)resampling->denominator};
}

float dpc_resampling_between(float a, float b, double fraction, double turn) {
  double way = (double)b - (double)a;
  if (turn > 0) way = remainder(way, turn);
  if (turn > 0 && fraction > 0.5) return (float)((double)b - (1 - fraction) * way);
  return (float)((double)a + fraction * way);
}
