// NEON: 16 sums in registers, 4 positions x 1 block of four vectors.
#include "policy/kernels/fp32_tiles.h"
#include "policy/kernels/kernel_tables.h"
#include "policy/kernels/norm_blocks.h"

static void conv(const dpc_conv_call* call) {
  tile_conv(call, call->weights);
}

static void norm(const dpc_norm_call* call) {
  norm_rows(call, lanes_to_bf16);
}

const dpc_kernels dpc_kernels_neon = {
    .name = "neon",
    .widens = true,
    .int8_together = 4,
    .group = tile_group,
    .conv = conv,
    .conv_widened = dpc_conv_widened_neon,
    .conv_int8 = dpc_conv_int8_neon,
    .norm = norm,
    .to_int8 = dpc_to_int8_neon,
};

const dpc_kernels dpc_kernels_neon_dot = {
    .name = "neon_dot",
    .widens = true,
    .int8_together = 4,
    .group = tile_group,
    .conv = conv,
    .conv_widened = dpc_conv_widened_neon,
    .conv_int8 = dpc_conv_int8_neon_dot,
    .norm = norm,
    .to_int8 = dpc_to_int8_neon,
};
