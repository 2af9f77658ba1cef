// AVX2 and FMA: 8 sums in registers, 4 positions x 1 block of two vectors.
#include <immintrin.h>

#include "policy/kernels/kernel_tables.h"
#include "policy/kernels/norm_blocks.h"

#define TILE_LANES                                           8
#define TILE_PAIR                                            1
#define TILE_ELEMENT                                         float
#define TILE_INPUT_ELEMENT                                   float
#define TILE_VECTOR                                          __m256
#define TILE_VECTOR_IN                                       __m256
#define TILE_INPUT(call)                                     ((call)->in)
#define TILE_BEGIN(call, channel)                            _mm256_loadu_ps((call)->bias + (channel))
#define TILE_SCALE                                           bool
#define TILE_MAKE_SCALE(call, sample, channel)               true
#define TILE_END(call, scale, channel, first, end, sum, out) _mm256_storeu_ps(out, sum)
#define TILE_BROADCAST(p)                                    _mm256_set1_ps(*(p))
#define TILE_MULTIPLY_ADD(s, x, w)                           _mm256_fmadd_ps(x, w, s)
#define TILE_MANY_POSITIONS                                  4
#define TILE_MANY                                            1
#define TILE_FEW                                             1
#define TILE_WEIGHTS(nb)                                     ((nb)*DPC_LANES)
#define TILE_LOAD_WEIGHTS(nb, p, w) \
  for (int v = 0; v < 2 * (nb); ++v) (w)[v] = _mm256_loadu_ps((p) + v * 8)
#include "policy/kernels/conv_tiles.h"

int dpc_group_avx2(int positions) {
  return tile_group(positions);
}

void dpc_conv_avx2(const dpc_conv_call* call) {
  tile_conv(call, call->weights);
}

void dpc_norm_avx2(const dpc_norm_call* call) {
  norm_rows(call, lanes_to_bf16);
}

const dpc_kernels dpc_kernels_avx2 = {
    .name = "avx2",
    .widens = true,
    .int8_together = 2,
    .group = dpc_group_avx2,
    .group_bf16 = dpc_group_generic,
    .group_int8 = dpc_group_avx2,
    .conv = dpc_conv_avx2,
    .conv_widened = dpc_conv_widened_avx2,
    .conv_bf16 = dpc_conv_bf16_generic,
    .conv_int8 = dpc_conv_int8_avx2,
    .norm = dpc_norm_avx2,
    .to_int8 = dpc_to_int8_avx2,
    .to_bf16 = dpc_to_bf16_generic,
};
