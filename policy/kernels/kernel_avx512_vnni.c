// AVX-512 with VNNI: as AVX-512, and dot products of whole numbers in the same tiles.
#include "policy/kernels/kernel_tables.h"

#define INT8_TOGETHER 4
#include "policy/kernels/int8_tiles.h"

void dpc_conv_int8_avx512_vnni(const dpc_conv_call* call) {
  tile_conv(call, call->weights_int8);
}

const dpc_kernels dpc_kernels_avx512_vnni = {
    .name = "avx512_vnni",
    .widens = true,
    .int8_together = INT8_TOGETHER,
    .group = dpc_group_avx512,
    .conv = dpc_conv_avx512,
    .conv_widened = dpc_conv_widened_avx512,
    .conv_int8 = dpc_conv_int8_avx512_vnni,
    .norm = dpc_norm_avx512,
    .to_int8 = dpc_to_int8_avx512,
};
