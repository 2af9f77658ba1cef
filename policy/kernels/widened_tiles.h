/// Inside the kernels: convolutions in fp32 of weights that are bfloat16, widened on the way into
/// registers: half the way through memory.
#pragma once

#include "policy/kernels/float_sums.h"

// Where registers are few the compiler would keep inputs for the next tap, and sums in memory.
enum { TILE_PAIR = 2, TILE_FORGETS = LANES <= 8 };

// The two of a pair: a bfloat16 is the upper half of a float.
typedef struct tile_operand {
  lanes even, odd;
} tile_operand;

typedef uint16_t tile_weight;
typedef float tile_input;

LANES_INLINE const float* tile_input_of(const dpc_conv_call* call) {
  return call->in;
}

LANES_INLINE tile_operand tile_load(const uint16_t* weights) {
  lanes_bits pairs;
  memcpy(&pairs, weights, sizeof pairs);
  return (tile_operand){.even = (lanes)(pairs << 16), .odd = (lanes)(pairs & (int32_t)0xffff0000)};
}

LANES_INLINE tile_operand tile_broadcast(const float* input) {
  return (tile_operand){.even = input[0] - (lanes){0}, .odd = input[1] - (lanes){0}};
}

LANES_INLINE lanes tile_multiply_add(lanes sum, tile_operand x, tile_operand w) {
  return x.odd * w.odd + (x.even * w.even + sum);
}

#include "policy/kernels/conv_tiles.h"
