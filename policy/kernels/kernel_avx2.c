// AVX2 and FMA: 8 sums in registers, 4 positions x 1 block of two vectors.
#include "policy/kernels/fp32_tiles.h"
#include "policy/kernels/kernel_tables.h"
#include "policy/kernels/norm_blocks.h"

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
    .conv = dpc_conv_avx2,
    .conv_widened = dpc_conv_widened_avx2,
    .conv_int8 = dpc_conv_int8_avx2,
    .norm = dpc_norm_avx2,
    .to_int8 = dpc_to_int8_avx2,
};
