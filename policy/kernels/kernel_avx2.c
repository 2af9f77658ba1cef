// AVX2 and FMA: 8 sums in registers, 4 positions x 1 block of two vectors.
#include "policy/kernels/fp32_tiles.h"
#include "policy/kernels/kernel_tables.h"
#include "policy/kernels/norm_blocks.h"

static void conv(const dpc_conv_call* call) {
  tile_conv(call, call->weights);
}

static void norm(const dpc_norm_call* call) {
  norm_rows(call, lanes_to_bf16);
}

const dpc_kernels dpc_kernels_avx2 = {
    .name = "avx2",
    .widens = true,
    .int8_together = 2,
    .group = tile_group,
    .conv = conv,
    .conv_widened = dpc_conv_widened_avx2,
    .conv_int8 = dpc_conv_int8_avx2,
    .norm = norm,
    .to_int8 = dpc_to_int8_avx2,
};

const dpc_kernels dpc_kernels_avx2_vnni = {
    .name = "avx2_vnni",
    .widens = true,
    .int8_together = 4,
    .group = tile_group,
    .conv = conv,
    .conv_widened = dpc_conv_widened_avx2,
    .conv_int8 = dpc_conv_int8_avx2_vnni,
    .norm = norm,
    .to_int8 = dpc_to_int8_avx2,
};
