// NEON with dot products: as NEON, and dot products of whole numbers in the same tiles.
#include "policy/kernels/kernel_tables.h"

#define INT8_TOGETHER 4
#include "policy/kernels/int8_tiles.h"

static void conv_int8(const dpc_conv_call* call) {
  tile_conv(call, call->weights_int8);
}

const dpc_kernels dpc_kernels_neon_dot = {
    .name = "neon_dot",
    .widens = true,
    .int8_together = INT8_TOGETHER,
    .group = dpc_group_neon,
    .conv = dpc_conv_neon,
    .conv_widened = dpc_conv_widened_neon,
    .conv_int8 = conv_int8,
    .norm = dpc_norm_neon,
    .to_int8 = dpc_to_int8_neon,
};
