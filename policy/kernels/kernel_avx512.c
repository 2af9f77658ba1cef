// AVX-512: 16 sums in registers, as 8 positions x 2 blocks or 4 x 4.
#include "policy/kernels/fp32_tiles.h"
#include "policy/kernels/kernel_tables.h"
#include "policy/kernels/norm_blocks.h"

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
    .conv = dpc_conv_avx512,
    .conv_widened = dpc_conv_widened_avx512,
    .conv_int8 = dpc_conv_int8_avx512,
    .norm = dpc_norm_avx512,
    .to_int8 = dpc_to_int8_avx512,
};
