/// Mish and its slope, written so that the compiler vectorises the loops around them.
///
/// mish(x) = x tanh(log(1 + e^x)) (Misra 2019, arXiv 1908.08681). With e = e^x and n = e (e + 2) the
/// tanh is n / (n + 2): one exponential, no logarithm, nothing cancels.
#pragma once

#include <stdint.h>
#include <string.h>

#include "policy/base.h"

/// e^x for x in [-87, 20], relative error below 2e-7 (the test sweeps it); x outside is clamped.
/// Range reduction to |r| <= ln 2 / 2, then the Taylor polynomial of degree 7.
static inline float dpc_exp(float x) {
  x = x < -87.0F ? -87.0F : x;
  x = x > 20.0F ? 20.0F : x;
  // adding 1.5 * 2^23 rounds to the nearest integer, which then sits in the low mantissa bits
  const float magic = 12582912.0F;
  const float shifted = x * 1.44269504F + magic;
  const float n = shifted - magic;
  const float r = (x - n * 0.693359375F) + n * 2.12194440e-4F;
  float p = 1.0F / 5040;
  p = p * r + 1.0F / 720;
  p = p * r + 1.0F / 120;
  p = p * r + 1.0F / 24;
  p = p * r + 1.0F / 6;
  p = p * r + 0.5F;
  p = p * r + 1.0F;
  p = p * r + 1.0F;
  const uint32_t bits = (uint32_t)((int32_t)n + 127) << 23;
  float power;
  memcpy(&power, &bits, sizeof power);
  return p * power;
}

/// mish(x).
static inline float dpc_mish(float x) {
  const float e = dpc_exp(x);
  const float n = e * (e + 2);
  return x * (n / (n + 2));
}

/// mish(x) and its derivative there, from one exponential and one division: with t = n / (n + 2) the
/// derivative is t + x (1 - t^2) e / (1 + e), and 1 - t^2 = 4 (n + 1) / (n + 2)^2.
static inline float dpc_mish_and_slope(float x, float* slope) {
  const float e = dpc_exp(x);
  const float n = e * (e + 2);
  const float both = 1.0F / ((n + 2) * (1 + e));
  const float q = both * (1 + e);  // 1 / (n + 2)
  const float t = n * q;
  *slope = t + x * (4 * (n + 1) * q * q) * (e * (both * (n + 2)));
  return x * t;
}

/// The derivative of mish at x.
static inline float dpc_mish_slope(float x) {
  float slope;
  (void)dpc_mish_and_slope(x, &slope);
  return slope;
}
