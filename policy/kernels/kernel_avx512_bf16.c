// AVX-512 with BF16: dot products of pairs of bfloat16, and rounding to it.
#include "policy/kernels/float_sums.h"
#include "policy/kernels/kernel_tables.h"
#include "policy/kernels/norm_blocks.h"

enum { TILE_PAIR = 2, TILE_FORGETS = false };

typedef uint16_t tile_weight;
typedef uint16_t tile_input;
typedef __m512bh tile_operand;

static inline const uint16_t* tile_input_of(const dpc_conv_call* call) {
  return call->in_bf16;
}

static inline __m512bh tile_load(const uint16_t* weights) {
  return (__m512bh)_mm512_loadu_si512(weights);
}

static inline __m512bh tile_broadcast(const uint16_t* input) {
  int32_t pair;
  memcpy(&pair, input, sizeof pair);
  return (__m512bh)_mm512_set1_epi32(pair);
}

static inline lanes tile_multiply_add(lanes sum, __m512bh x, __m512bh w) {
  return (lanes)_mm512_dpbf16_ps((__m512)sum, x, w);
}

#include "policy/kernels/conv_tiles.h"

void dpc_conv_bf16_avx512_bf16(const dpc_conv_call* call) {
  tile_conv(call, call->weights_bf16);
}

void dpc_to_bf16_avx512_bf16(int n, const float* from, uint16_t* to) {
  int i = 0;
  for (; i + DPC_LANES <= n; i += DPC_LANES) {
    const __m256bh rounded = _mm512_cvtneps_pbh(_mm512_loadu_ps(from + i));
    memcpy(to + i, &rounded, sizeof rounded);
  }
  for (; i < n; ++i) to[i] = dpc_bf16(from[i]);
}

static inline void round_lanes(lanes z, uint16_t* to) {
  const __m256bh rounded = _mm512_cvtneps_pbh((__m512)z);
  memcpy(to, &rounded, sizeof rounded);
}

void dpc_norm_avx512_bf16(const dpc_norm_call* call) {
  norm_rows(call, round_lanes);
}
