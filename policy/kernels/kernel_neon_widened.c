// NEON: weights of bfloat16, products in fp32.
#include "policy/kernels/kernel_tables.h"
#include "policy/kernels/widened_tiles.h"

void dpc_conv_widened_neon(const dpc_conv_call* call) {
  tile_conv(call, call->weights_bf16);
}
