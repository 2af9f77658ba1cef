/// Inside the kernels: rows as whole numbers.
#pragma once

#include "policy/kernels/kernels.h"
#include "policy/kernels/lanes.h"

typedef uint8_t lanes_bytes __attribute__((vector_size(LANES)));
typedef int16_t lanes_words __attribute__((vector_size(sizeof(int16_t) * LANES)));

// Written out, for what lanes_clamp says.
LANES_INLINE lanes_bits lanes_larger(lanes_bits a, lanes_bits b) {
#if defined(__AVX512F__)
  return (lanes_bits)_mm512_max_epi32((__m512i)a, (__m512i)b);
#elif defined(__AVX2__)
  return (lanes_bits)_mm256_max_epi32((__m256i)a, (__m256i)b);
#elif defined(__aarch64__)
  return (lanes_bits)vmaxq_s32((int32x4_t)a, (int32x4_t)b);
#else
  const lanes_bits a_is = a > b;
  return (a & a_is) | (b & ~a_is);
#endif
}

LANES_INLINE float largest_of(lanes_bits bits) {
  int32_t most = 0;
#if defined(__AVX512F__)
  most = _mm512_reduce_max_epi32((__m512i)bits);
#else
  for (int j = 0; j < LANES; ++j) most = bits[j] > most ? bits[j] : most;
#endif
  float value;
  memcpy(&value, &most, sizeof value);
  return value;
}

// The range of all values and 0.
typedef struct whole_range {
  float low, high;
} whole_range;

// Those that are above 0 are in the order of their bits, and what is not a number above all.
static inline whole_range range_of(const dpc_int8_call* call) {
  lanes_bits below = {0}, above = {0};
  for (int t = 0; t < call->rows; ++t) {
    for (int c = 0; c < call->channels; c += LANES) {
      const lanes x = lanes_load(call->x + (ptrdiff_t)t * call->x_row + c);
      below = lanes_larger(below, (lanes_bits)-x);
      above = lanes_larger(above, (lanes_bits)x);
    }
  }
  return (whole_range){.low = -largest_of(below), .high = largest_of(above)};
}

// Of AVX2's gcc makes eight moves.
LANES_INLINE lanes_bytes lanes_to_bytes(lanes_bits whole) {
#if defined(__AVX2__) && !defined(__AVX512F__)
  const __m256i words = _mm256_packs_epi32((__m256i)whole, (__m256i)whole);
  const __m256i bytes = _mm256_packus_epi16(words, words);  // four, in each half
  const __m128i joined =
      _mm_unpacklo_epi32(_mm256_castsi256_si128(bytes), _mm256_extracti128_si256(bytes, 1));
  lanes_bytes narrow;
  memcpy(&narrow, &joined, sizeof narrow);
  return narrow;
#else
  return __builtin_convertvector(whole, lanes_bytes);
#endif
}

LANES_INLINE void store_wholes(lanes_bits whole, const bool bytes, void* out, ptrdiff_t at) {
  if (bytes) {
    const lanes_bytes narrow = lanes_to_bytes(whole);
    memcpy((uint8_t*)out + at, &narrow, sizeof narrow);
  } else {
    const lanes_words narrow = __builtin_convertvector(whole, lanes_words);
    memcpy((int16_t*)out + at, &narrow, sizeof narrow);
  }
}

// What is added rounds to the nearest, ties to even: the lower bits of the sum are then the whole
// number. Adding the zero at once is exact.
LANES_INLINE void whole_rows_in(const dpc_int8_call* call, const bool bytes) {
  enum { BITS = 0xff };
  static const float MAGIC = 12582912.0F;
  const whole_range range = range_of(call);
  const float span = range.high - range.low;
  const float per_unit = DPC_INT8_STEPS / (span + 1e-30F);  // where all are 0, any number will do
  const lanes_bits magic = (lanes_bits)((lanes){0} + MAGIC);
  const lanes shift = (lanes){0} + (MAGIC - range.low * per_unit);
  const lanes_bits zero = ((lanes_bits)shift - magic) & BITS;
  call->scale->unit = span * (1.0F / DPC_INT8_STEPS);
  call->scale->zero = (float)zero[0];
  for (int c = 0; c < call->channels; c += LANES) {
    for (int t = -call->border; t < 0; ++t) {
      store_wholes(zero, bytes, call->out, (ptrdiff_t)t * call->x_row + c);
      store_wholes(zero, bytes, call->out, (ptrdiff_t)(call->rows - 1 - t) * call->x_row + c);
    }
  }
  for (int t = 0; t < call->rows; ++t) {
    for (int c = 0; c < call->channels; c += LANES) {
      const ptrdiff_t at = (ptrdiff_t)t * call->x_row + c;
      const lanes shifted = lanes_load(call->x + at) * per_unit + shift;
      store_wholes(((lanes_bits)shifted - magic) & BITS, bytes, call->out, at);
    }
  }
}

static void whole_rows(const dpc_int8_call* call) {
  if (call->together == 4) {
    whole_rows_in(call, true);
  } else {
    whole_rows_in(call, false);
  }
}
