/// Inside the kernels: convolutions in fp32.
#pragma once

#include "policy/kernels/float_sums.h"

enum { TILE_PAIR = 1, TILE_FORGETS = LANES == 4 };

typedef float tile_weight;
typedef float tile_input;
typedef lanes tile_operand;

LANES_INLINE const float* tile_input_of(const dpc_conv_call* call) {
  return call->in;
}

LANES_INLINE lanes tile_load(const float* weights) {
  return lanes_load(weights);
}

LANES_INLINE lanes tile_broadcast(const float* input) {
  return *input - (lanes){0};
}

LANES_INLINE lanes tile_multiply_add(lanes sum, lanes x, lanes w) {
  return x * w + sum;
}

#include "policy/kernels/conv_tiles.h"
