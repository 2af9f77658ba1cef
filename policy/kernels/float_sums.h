/// Inside the kernels: tiles whose sums are floats. They begin with the bias and are stored as they are.
#pragma once

#include "policy/kernels/kernels.h"
#include "policy/kernels/lanes.h"

typedef lanes tile_sum;
typedef bool tile_scale;  // they have none

LANES_INLINE lanes tile_begin(const dpc_conv_call* call, int channel) {
  return lanes_load(call->bias + channel);
}

LANES_INLINE bool tile_make_scale(const dpc_conv_call* call, int sample, int channel) {
  (void)call, (void)sample, (void)channel;
  return true;
}

LANES_INLINE void tile_end(const dpc_conv_call* call, const bool* scale, int channel, int first,
                           int end, lanes sum, float* out) {
  (void)call, (void)scale, (void)channel, (void)first, (void)end;
  lanes_store(out, sum);
}
