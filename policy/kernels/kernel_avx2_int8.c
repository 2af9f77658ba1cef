// Whole numbers on AVX2: pairs of 16 bits in the same tiles.
#include "policy/kernels/kernel_tables.h"
#include "policy/kernels/whole_rows.h"

#define TILE_PAIR           2
#define TILE_MANY_POSITIONS 4
#define TILE_MANY           1
#define TILE_FEW            1
#include "policy/kernels/int8_tiles.h"

void dpc_conv_int8_avx2(const dpc_conv_call* call) {
  tile_conv(call, call->weights_int8);
}

void dpc_to_int8_avx2(const dpc_int8_call* call) {
  whole_rows(call);
}
