/// Inside the kernels: the walk over groups for 32 registers of 16 floats, shared by fp32 and
/// bfloat16.
#pragma once

#include "policy/kernels/conv_tiles.h"

static void one(const dpc_conv_call* c, int nb, const TILE_ELEMENT* w, const float* b, float* o) {
  if (nb == 4) tile_positions(1, 4, c, w, b, o);
  if (nb == 2) tile_positions(1, 2, c, w, b, o);
  if (nb == 1) tile_positions(1, 1, c, w, b, o);
}

static void few(const dpc_conv_call* c, int nb, const TILE_ELEMENT* w, const float* b, float* o) {
  if (nb == 4) tile_positions(4, 4, c, w, b, o);
  if (nb == 2) tile_positions(4, 2, c, w, b, o);
  if (nb == 1) tile_positions(4, 1, c, w, b, o);
}

static void some(const dpc_conv_call* c, int nb, const TILE_ELEMENT* w, const float* b, float* o) {
  if (nb == 2) tile_positions(8, 2, c, w, b, o);
  if (nb == 1) tile_positions(8, 1, c, w, b, o);
}

static void many(const dpc_conv_call* c, int nb, const TILE_ELEMENT* w, const float* b, float* o) {
  (void)nb;
  tile_positions(16, 1, c, w, b, o);
}

static void conv_groups(const dpc_conv_call* call, const TILE_ELEMENT* weights) {
  const int most = dpc_group_avx512(call->positions);
  const ptrdiff_t block = (ptrdiff_t)call->taps * call->channels * DPC_LANES;
  for (int b = 0; b < call->blocks;) {
    const int width = dpc_group_width(most, call->blocks - b);
    const float* bias = call->bias + b * DPC_LANES;
    float* out = call->out + b * DPC_LANES;
    if (call->positions == 1) {
      one(call, width, weights, bias, out);
    } else if (most == 4) {
      few(call, width, weights, bias, out);
    } else if (most == 2) {
      some(call, width, weights, bias, out);
    } else {
      many(call, width, weights, bias, out);
    }
    weights += width * block;
    b += width;
  }
}
