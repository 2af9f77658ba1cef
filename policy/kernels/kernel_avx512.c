// AVX-512: 16 sums in registers, as 8 positions x 2 blocks or 4 x 4.
#include <immintrin.h>

#include "policy/kernels/kernel_tables.h"
#include "policy/kernels/norm_blocks.h"

#define TILE_LANES                                           16
#define TILE_PAIR                                            1
#define TILE_ELEMENT                                         float
#define TILE_INPUT_ELEMENT                                   float
#define TILE_VECTOR                                          __m512
#define TILE_VECTOR_IN                                       __m512
#define TILE_INPUT(call)                                     ((call)->in)
#define TILE_BEGIN(call, channel)                            _mm512_loadu_ps((call)->bias + (channel))
#define TILE_SCALE                                           bool
#define TILE_MAKE_SCALE(call, sample, channel)               true
#define TILE_END(call, scale, channel, first, end, sum, out) _mm512_storeu_ps(out, sum)
#define TILE_BROADCAST(p)                                    _mm512_set1_ps(*(p))
#define TILE_MULTIPLY_ADD(s, x, w)                           _mm512_fmadd_ps(x, w, s)
#define TILE_MANY_POSITIONS                                  8
#define TILE_MANY                                            2
#define TILE_FEW                                             4
#define TILE_WEIGHTS(nb)                                     ((nb)*DPC_LANES)
#define TILE_LOAD_WEIGHTS(nb, p, w) \
  for (int v = 0; v < (nb); ++v) (w)[v] = _mm512_loadu_ps((p) + v * DPC_LANES)
#include "policy/kernels/conv_tiles.h"

int dpc_group_avx512(int positions) {
  return tile_group(positions);
}

void dpc_conv_avx512(const dpc_conv_call* call) {
  tile_conv(call, call->weights);
}

void dpc_norm_avx512(const dpc_norm_call* call) {
  norm_rows(call, lanes_to_bf16);
}

const dpc_kernels dpc_kernels_avx512 = {
    .name = "avx512",
    .widens = true,
    .int8_together = 2,
    .group = dpc_group_avx512,
    .group_bf16 = dpc_group_generic,
    .group_int8 = dpc_group_avx512,
    .conv = dpc_conv_avx512,
    .conv_widened = dpc_conv_widened_avx512,
    .conv_bf16 = dpc_conv_bf16_generic,
    .conv_int8 = dpc_conv_int8_avx512,
    .norm = dpc_norm_avx512,
    .to_int8 = dpc_to_int8_avx512,
    .to_bf16 = dpc_to_bf16_generic,
};
