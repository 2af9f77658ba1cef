// AVX-512: 16 sums in registers, as 8 positions x 2 blocks or 4 x 4.
#include "policy/kernels/fp32_tiles.h"
#include "policy/kernels/kernel_tables.h"
#include "policy/kernels/norm_blocks.h"

static void conv(const dpc_conv_call* call) {
  tile_conv(call, call->weights);
}

static void norm(const dpc_norm_call* call) {
  norm_rows(call, lanes_to_bf16);
}

const dpc_kernels dpc_kernels_avx512 = {
    .name = "avx512",
    .widens = true,
    .int8_together = 2,
    .group = tile_group,
    .conv = conv,
    .conv_widened = dpc_conv_widened_avx512,
    .conv_int8 = dpc_conv_int8_avx512,
    .norm = norm,
    .to_int8 = dpc_to_int8_avx512,
};

const dpc_kernels dpc_kernels_avx512_vnni = {
    .name = "avx512_vnni",
    .widens = true,
    .int8_together = 4,
    .group = tile_group,
    .conv = conv,
    .conv_widened = dpc_conv_widened_avx512,
    .conv_int8 = dpc_conv_int8_avx512_vnni,
    .norm = norm,
    .to_int8 = dpc_to_int8_avx512,
};

const dpc_kernels dpc_kernels_avx512_bf16 = {
    .name = "avx512_bf16",
    .widens = true,
    .bf16_dot = true,
    .int8_together = 4,
    .group = tile_group,
    .conv = conv,
    .conv_widened = dpc_conv_widened_avx512,
    .conv_int8 = dpc_conv_int8_avx512_vnni,
    .conv_bf16 = dpc_conv_bf16_avx512_bf16,
    .norm = dpc_norm_avx512_bf16,
    .to_int8 = dpc_to_int8_avx512,
    .to_bf16 = dpc_to_bf16_avx512_bf16,
};
