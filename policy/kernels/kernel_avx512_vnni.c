// AVX-512 with VNNI: whole numbers, as dot products.
#include "policy/kernels/kernel_tables.h"

#define INT8_TOGETHER 4
#include "policy/kernels/int8_tiles.h"

void dpc_conv_int8_avx512_vnni(const dpc_conv_call* call) {
  tile_conv(call, call->weights_int8);
}
