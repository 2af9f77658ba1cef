// NEON: whole numbers, as products of 8 bits that are added in two steps.
#include "policy/kernels/kernel_tables.h"
#include "policy/kernels/whole_rows.h"

#define INT8_TOGETHER 4
#include "policy/kernels/int8_tiles.h"

void dpc_conv_int8_neon(const dpc_conv_call* call) {
  tile_conv(call, call->weights_int8);
}

void dpc_to_int8_neon(const dpc_int8_call* call) {
  whole_rows(call);
}
