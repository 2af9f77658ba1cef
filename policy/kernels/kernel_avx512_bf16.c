// AVX-512 with BF16: as AVX-512 with VNNI, and dot products of pairs of bfloat16 in the same tiles.
#include <immintrin.h>
#include <string.h>

#include "policy/kernels/kernel_tables.h"
#include "policy/kernels/norm_blocks.h"

static inline __m512bh broadcast_pair(const uint16_t* from) {
  int32_t pair;
  memcpy(&pair, from, sizeof pair);
  return (__m512bh)_mm512_set1_epi32(pair);
}

static inline __m512bh load_pairs(const uint16_t* from) {
  return (__m512bh)_mm512_loadu_si512(from);
}

#define TILE_LANES                                           16
#define TILE_PAIR                                            2
#define TILE_ELEMENT                                         uint16_t
#define TILE_INPUT_ELEMENT                                   uint16_t
#define TILE_VECTOR                                          __m512
#define TILE_VECTOR_IN                                       __m512bh
#define TILE_INPUT(call)                                     ((call)->in_bf16)
#define TILE_BEGIN(call, channel)                            _mm512_loadu_ps((call)->bias + (channel))
#define TILE_SCALE                                           bool
#define TILE_MAKE_SCALE(call, sample, channel)               true
#define TILE_END(call, scale, channel, first, end, sum, out) _mm512_storeu_ps(out, sum)
#define TILE_BROADCAST(p)                                    broadcast_pair(p)
#define TILE_MULTIPLY_ADD(s, x, w)                           _mm512_dpbf16_ps(s, x, w)
#define TILE_MANY_POSITIONS                                  8
#define TILE_MANY                                            2
#define TILE_FEW                                             4
#define TILE_WEIGHTS(nb)                                     ((nb)*DPC_LANES * 2)
#define TILE_LOAD_WEIGHTS(nb, p, w) \
  for (int v = 0; v < (nb); ++v) (w)[v] = load_pairs((p) + v * DPC_LANES * 2)
#include "policy/kernels/conv_tiles.h"

static void conv_bf16(const dpc_conv_call* call) {
  tile_conv(call, call->weights_bf16);
}

static void to_bf16(int n, const float* from, uint16_t* to) {
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

static void norm(const dpc_norm_call* call) {
  norm_rows(call, round_lanes);
}

const dpc_kernels dpc_kernels_avx512_bf16 = {
    .name = "avx512_bf16",
    .widens = true,
    .bf16_dot = true,
    .int8_together = 4,
    .group = dpc_group_avx512,
    .group_bf16 = tile_group,
    .group_int8 = dpc_group_avx512,
    .conv = dpc_conv_avx512,
    .conv_widened = dpc_conv_widened_avx512,
    .conv_bf16 = conv_bf16,
    .conv_int8 = dpc_conv_int8_avx512_vnni,
    .norm = norm,
    .to_int8 = dpc_to_int8_avx512,
    .to_bf16 = to_bf16,
};
