// AVX2 with AVX-VNNI: as AVX2, and dot products of whole numbers in the same tiles.
#include "policy/kernels/kernel_tables.h"

#define INT8_TOGETHER 4
#include "policy/kernels/int8_tiles.h"

static void conv_int8(const dpc_conv_call* call) {
  tile_conv(call, call->weights_int8);
}

const dpc_kernels dpc_kernels_avx2_vnni = {
    .name = "avx2_vnni",
    .widens = true,
    .int8_together = INT8_TOGETHER,
    .group = dpc_group_avx2,
    .conv = dpc_conv_avx2,
    .conv_widened = dpc_conv_widened_avx2,
    .conv_int8 = conv_int8,
    .norm = dpc_norm_avx2,
    .to_int8 = dpc_to_int8_avx2,
};
