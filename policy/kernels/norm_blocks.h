/// Inside the kernels: normalisation, Mish, FiLM and the sum around, in loops over blocks of 16
/// that the compiler turns into the vectors of the file that includes this. Static: each file's own
/// flags make it another function.
#pragma once

#include <math.h>
#include <string.h>

#include "policy/activation.h"
#include "policy/kernels/kernels.h"
#include "policy/norm_mish.h"

// One value per group, spread to the group's channels. All channels have their sums: the analyzer
// does not see that groups times width are no more than channels.
// NOLINTBEGIN(clang-analyzer-core.uninitialized.Assign)
static inline void spread_sums(const dpc_norm_call* call, const float* sums, float* spread) {
  for (int g = 0; g < call->groups; ++g) {
    const float* from = sums + (ptrdiff_t)g * call->width;
    float lanes[4] = {0};  // four chains, so that one addition does not wait for the last
    int c = 0;
    for (; c + 4 <= call->width; c += 4) {
      for (int j = 0; j < 4; ++j) lanes[j] += from[c + j];
    }
    for (; c < call->width; ++c) lanes[0] += from[c];
    const float sum = (lanes[0] + lanes[1]) + (lanes[2] + lanes[3]);
    float* to = spread + (ptrdiff_t)g * call->width;
    for (c = 0; c < call->width; ++c) to[c] = sum;
  }
}
// NOLINTEND(clang-analyzer-core.uninitialized.Assign)

// Mean and gamma / deviation of each channel, in two passes for accuracy.
static inline void norm_stats(const dpc_norm_call* call, float* mean, float* factor) {
  float sums[DPC_CHANNELS_MAX];
  const int channels = call->channels;
  const float per_group = 1.0F / (float)(call->rows * call->width);
  const int used = call->groups * call->width;
  memset(mean + used, 0, sizeof(float) * (size_t)(channels - used));
  memset(factor + used, 0, sizeof(float) * (size_t)(channels - used));
  for (int c = 0; c < channels; c += DPC_LANES) {
    float sum[DPC_LANES] = {0};
    for (int t = 0; t < call->rows; ++t) {
      for (int j = 0; j < DPC_LANES; ++j) sum[j] += call->x[t * channels + c + j];
    }
    for (int j = 0; j < DPC_LANES; ++j) sums[c + j] = sum[j] * per_group;
  }
  spread_sums(call, sums, mean);
  for (int c = 0; c < channels; c += DPC_LANES) {
    float sum[DPC_LANES] = {0};
    for (int t = 0; t < call->rows; ++t) {
      for (int j = 0; j < DPC_LANES; ++j) {
        const float off = call->x[t * channels + c + j] - mean[c + j];
        sum[j] += off * off;
      }
    }
    for (int j = 0; j < DPC_LANES; ++j) sums[c + j] = sum[j] * per_group;
  }
  spread_sums(call, sums, factor);
  for (int c = 0; c < channels; ++c) factor[c] = call->gamma[c] / sqrtf(factor[c] + 1e-5F);
}

// What one block of channels is multiplied by and added to.
typedef struct norm_block {
  float mean[DPC_LANES], factor[DPC_LANES], beta[DPC_LANES], scale[DPC_LANES], shift[DPC_LANES];
} norm_block;

static inline norm_block norm_block_at(const dpc_norm_call* call, const float* mean,
                                       const float* factor, int c) {
  norm_block b;
  for (int j = 0; j < DPC_LANES; ++j) {
    b.mean[j] = mean[c + j];
    b.factor[j] = factor[c + j];
    b.beta[j] = call->beta[c + j];
    b.scale[j] = 1;
    b.shift[j] = 0;
  }
  if (call->film[0] == NULL) return b;
  const float *first = call->film[0] + c, *second = call->film[1] + c;
  for (int j = 0; j < DPC_LANES; ++j) {
    b.scale[j] = first[j] + second[j];
    b.shift[j] = first[call->channels + j] + second[call->channels + j];
  }
  return b;
}

static inline void norm_rows(const dpc_norm_call* call,
                             void (*to_bf16)(int, const float*, uint16_t*)) {
  float mean[DPC_CHANNELS_MAX], factor[DPC_CHANNELS_MAX];
  const int channels = call->channels;
  norm_stats(call, mean, factor);
  for (int c = 0; c < channels; c += DPC_LANES) {
    const norm_block b = norm_block_at(call, mean, factor, c);
    for (int t = 0; t < call->rows; ++t) {
      const float* x = call->x + t * channels + c;
      float z[DPC_LANES];
      for (int j = 0; j < DPC_LANES; ++j) {
        z[j] = b.scale[j] * dpc_mish((x[j] - b.mean[j]) * b.factor[j] + b.beta[j]) + b.shift[j];
      }
      if (call->around != NULL) {
        const float* around = call->around + t * call->around_row + c;
        for (int j = 0; j < DPC_LANES; ++j) z[j] += around[j];
      }
      if (call->out != NULL) memcpy(call->out + t * call->out_row + c, z, sizeof z);
      if (call->out_bf16 != NULL) to_bf16(DPC_LANES, z, call->out_bf16 + t * call->out_row + c);
    }
  }
}
