/// Inside the kernels: rows as whole numbers, on the lanes of norm_blocks.h.
#pragma once

#include "policy/kernels/norm_blocks.h"

typedef int8_t lanes_bytes __attribute__((vector_size(sizeof(int8_t) * LANES)));
typedef int16_t lanes_words __attribute__((vector_size(sizeof(int16_t) * LANES)));

// Of bits without a sign. Written out, for what lanes_clamp says.
LANES_INLINE lanes_bits lanes_larger(lanes_bits a, lanes_bits b) {
#if defined(__AVX512F__)
  return (lanes_bits)_mm512_max_epi32((__m512i)a, (__m512i)b);
#elif defined(__AVX2__)
  return (lanes_bits)_mm256_max_epi32((__m256i)a, (__m256i)b);
#else
  const lanes_bits b_is = (a - b) >> 31;
  return (a & ~b_is) | (b & b_is);
#endif
}

// Of all lanes.
LANES_INLINE int32_t lanes_sum(lanes_bits b) {
#if defined(__AVX512F__)
  return _mm512_reduce_add_epi32((__m512i)b);
#else
  int32_t sum = 0;
  for (int j = 0; j < LANES; ++j) sum += b[j];
  return sum;
#endif
}

// Without their signs floats are in the order of their bits, and those that are not finite above all.
static inline float largest_magnitude(const dpc_int8_call* call) {
  lanes_bits most = {0};
  for (int t = 0; t < call->rows; ++t) {
    for (int c = 0; c < call->channels; c += LANES) {
      const lanes x = lanes_load(call->x + (ptrdiff_t)t * call->x_row + c);
      most = lanes_larger(most, (lanes_bits)x & 0x7fffffff);
    }
  }
  int32_t bits = 0;
  for (int j = 0; j < LANES; ++j) bits = most[j] > bits ? most[j] : bits;
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

// To the nearest, ties to even: the lower bits of what is added to are then the number.
LANES_INLINE lanes_bits lanes_whole(lanes x) {
  const lanes magic = (lanes){0} + 12582912.0F;
  return (lanes_bits)(x + magic) - (lanes_bits)magic;
}

// Of AVX2's gcc makes eight moves.
LANES_INLINE lanes_bytes lanes_to_bytes(lanes_bits whole) {
#if defined(__AVX2__) && !defined(__AVX512F__)
  const __m256i words = _mm256_packs_epi32((__m256i)whole, (__m256i)whole);
  const __m256i bytes = _mm256_packs_epi16(words, words);  // four, in each half
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
    memcpy((int8_t*)out + at, &narrow, sizeof narrow);
  } else {
    const lanes_words narrow = __builtin_convertvector(whole, lanes_words);
    memcpy((int16_t*)out + at, &narrow, sizeof narrow);
  }
}

LANES_INLINE void whole_rows_in(const dpc_int8_call* call, const bool bytes) {
  const float most = largest_magnitude(call), per_unit = dpc_int8_per_unit(most);
  *call->unit = most * (1.0F / DPC_INT8_MAX);
  int32_t before = 0;
  for (int t = -call->border; t <= 0; ++t) call->sums[t] = 0;
  for (int t = 0; t < call->rows; ++t) {
    lanes_bits sum = {0};
    for (int c = 0; c < call->channels; c += LANES) {
      const ptrdiff_t at = (ptrdiff_t)t * call->x_row + c;
      const lanes_bits whole = lanes_whole(lanes_load(call->x + at) * per_unit);
      sum += whole;
      store_wholes(whole, bytes, call->out, at);
    }
    before += lanes_sum(sum);
    call->sums[t + 1] = before;
  }
  for (int t = call->rows; t < call->rows + call->border; ++t) call->sums[t + 1] = before;
}

static void whole_rows(const dpc_int8_call* call) {
  if (call->together == 4) {
    whole_rows_in(call, true);
  } else {
    whole_rows_in(call, false);
  }
}
