// AVX-512 with BF16: as AVX-512 with VNNI, and dot products of pairs of bfloat16.
#include <immintrin.h>

#define PROBE_BYTES 64
#define PROBE_SUMS  24
#define PROBE_INT8(sum, ones) \
  (wholes) _mm512_dpbusd_epi32((__m512i)(sum), (__m512i)(ones), (__m512i)(ones))
#define PROBE_PER_LANE 4
#include "policy/kernels/probe_loops.h"

static double multiply_adds_bf16(int64_t rounds, float* sum) {
  enum { BF16_ONE = 0x3f80, MULTIPLY_ADDS = 32 };  // of one instruction
  floats sums[PROBE_SUMS] = {0};
  for (int i = 0; i < PROBE_SUMS; ++i) sums[i] += (float)i;
  const __m512bh ones = (__m512bh)_mm512_set1_epi16(BF16_ONE);
  for (int64_t round = 0; round < rounds; ++round) {
#pragma GCC unroll 32
    for (int i = 0; i < PROBE_SUMS; ++i) sums[i] = _mm512_dpbf16_ps(sums[i], ones, ones);
  }
  *sum = 0;
  for (int i = 0; i < PROBE_SUMS; ++i) *sum += sums[i][0];
  return (double)rounds * PROBE_SUMS * MULTIPLY_ADDS;
}

const dpc_probe dpc_probe_avx512_bf16 = {.multiply_adds = multiply_adds,
                                         .multiply_adds_bf16 = multiply_adds_bf16,
                                         .multiply_adds_int8 = multiply_adds_int8,
                                         .read = read_all};
