/// Inside the kernels: normalisation, Mish, FiLM and the sum around, on vectors of channels.
#pragma once

#include <math.h>
#include <string.h>

#include "policy/kernels/kernels.h"
#include "policy/kernels/lanes.h"
#include "policy/norm_mish.h"

// --- mish ----------------------------------------------------------------------------------------

// dpc_exp of policy/activation.h, but that the power of two is added to the exponent's bits: those
// of `shifted` hold it at their lower end.
LANES_INLINE lanes lanes_exp(lanes x) {
  x = lanes_clamp(x, -87.0F, 20.0F);
  const float magic = 12582912.0F;
  const lanes shifted = x * 1.44269504F + magic;
  const lanes n = shifted - magic;
  const lanes r = (x - n * 0.693359375F) + n * 2.12194440e-4F;
  lanes p = r * (1.0F / 5040) + 1.0F / 720;
  p = p * r + 1.0F / 120;
  p = p * r + 1.0F / 24;
  p = p * r + 1.0F / 6;
  p = p * r + 0.5F;
  p = p * r + 1.0F;
  p = p * r + 1.0F;
  return (lanes)((lanes_bits)p + ((lanes_bits)shifted << 23));
}

LANES_INLINE lanes lanes_mish(lanes x) {
  const lanes e = lanes_exp(x), n = e * (e + 2.0F);
  return x * (n / (n + 2.0F));
}

// --- moments -------------------------------------------------------------------------------------

// The mean of each channel over the rows, and the sum of squares about it.
static inline void channel_moments(const dpc_norm_call* call, float* mean, float* squares) {
  const int rows = call->rows;
  const float per_row = 1.0F / (float)rows;
  for (int c = 0; c < call->channels; c += LANES) {
    const float* x = call->x + c;
    lanes even = {0}, odd = {0};  // two chains, so that one addition does not wait for the last
    int t = 0;
    for (; t + 2 <= rows; t += 2) {
      even += lanes_load(x + t * call->x_row);
      odd += lanes_load(x + (t + 1) * call->x_row);
    }
    if (t < rows) even += lanes_load(x + t * call->x_row);
    const lanes middle = (even + odd) * per_row;
    lanes sum = {0};
    for (t = 0; t < rows; ++t) {
      const lanes off = lanes_load(x + t * call->x_row) - middle;
      sum += off * off;
    }
    lanes_store(mean + c, middle);
    lanes_store(squares + c, sum);
  }
}

// In all lanes the sum over those of the same group, for groups of `width` lanes: 8, or all.
LANES_INLINE lanes lanes_totals(lanes b, const int width) {
#if defined(__AVX512F__)
  b += __builtin_shufflevector(b, b, 4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11);
  b += __builtin_shufflevector(b, b, 2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13);
  b += __builtin_shufflevector(b, b, 1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14);
  if (width == 8) return b;
  return b + __builtin_shufflevector(b, b, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7);
#elif defined(__AVX__)
  DPC_ASSERT(width == LANES);
  b += __builtin_shufflevector(b, b, 4, 5, 6, 7, 0, 1, 2, 3);
  b += __builtin_shufflevector(b, b, 2, 3, 0, 1, 6, 7, 4, 5);
  return b + __builtin_shufflevector(b, b, 1, 0, 3, 2, 5, 4, 7, 6);
#else
  DPC_ASSERT(width == LANES);
  b += __builtin_shufflevector(b, b, 2, 3, 0, 1);
  return b + __builtin_shufflevector(b, b, 1, 0, 3, 2);
#endif
}

// From a group's moments to what its channels are normalised with. The squares about the channels'
// means and those of the means about their own add up (Chan et al. 1979).
LANES_INLINE lanes inverse_deviation(lanes squares_within, lanes squares_between, float rows,
                                     float count) {
  lanes variance = (squares_within + squares_between * rows) * (1.0F / count) + 1e-5F;
  for (int j = 0; j < LANES; ++j) variance[j] = sqrtf(variance[j]);
  return 1.0F / variance;
}

// Groups that fill vectors, or halves of 16 lanes; of padding it makes groups too, which gamma and beta
// leave at zero. `mean` and `squares` go in as channel_moments leaves them, and come out as the
// group's mean and 1 / deviation.
LANES_INLINE void join_vectors(const dpc_norm_call* call, const int width, float* mean,
                               float* squares) {
  const int joined = width < LANES ? LANES : call->width;  // channels at once
  const float per_channel = 1.0F / (float)call->width, rows = (float)call->rows;
  for (int from = 0; from < call->channels; from += joined) {
    const int end = from + joined;
    lanes sum = {0}, within = {0}, between = {0};
    for (int c = from; c < end; c += LANES) {
      sum += lanes_load(mean + c);
      within += lanes_load(squares + c);
    }
    const lanes middle = lanes_totals(sum, width) * per_channel;
    for (int c = from; c < end; c += LANES) {
      const lanes off = lanes_load(mean + c) - middle;
      between += off * off;
    }
    const lanes factor = inverse_deviation(
        lanes_totals(within, width), lanes_totals(between, width), rows, rows * (float)call->width);
    for (int c = from; c < end; c += LANES) {
      lanes_store(mean + c, middle);
      lanes_store(squares + c, factor);
    }
  }
}

// The same for groups of any width. All channels have their moments: the analyzer does not see that
// groups times width are no more than channels.
// NOLINTBEGIN(clang-analyzer-core.uninitialized.Assign)
static inline void join_channels(const dpc_norm_call* call, float* mean, float* squares) {
  const int width = call->width, used = call->groups * width;
  const float rows = (float)call->rows;
  for (int g = 0; g < used; g += width) {
    float middle = 0, within = 0, between = 0;
    for (int c = g; c < g + width; ++c) middle += mean[c];
    middle /= (float)width;
    for (int c = g; c < g + width; ++c) {
      between += (mean[c] - middle) * (mean[c] - middle);
      within += squares[c];
    }
    const float variance = (within + between * rows) / (rows * (float)width);
    const float factor = 1.0F / sqrtf(variance + 1e-5F);
    for (int c = g; c < g + width; ++c) mean[c] = middle, squares[c] = factor;
  }
  for (int c = used; c < call->channels; ++c) mean[c] = squares[c] = 0;
}
// NOLINTEND(clang-analyzer-core.uninitialized.Assign)

// --- the whole -----------------------------------------------------------------------------------

typedef uint16_t lanes_half __attribute__((vector_size(sizeof(uint16_t) * LANES)));
typedef void lanes_round(lanes z, uint16_t* to);

// As dpc_bf16.
LANES_INLINE void lanes_to_bf16(lanes z, uint16_t* to) {
  const lanes_bits bits = (lanes_bits)z, is_nan = z != z;
  const lanes_bits rounded = bits + 0x7fff + (bits >> 16 & 1), quiet = bits | 0x400000;
  const lanes_bits upper = ((rounded & ~is_nan) | (quiet & is_nan)) >> 16;
  const lanes_half half = __builtin_convertvector(upper, lanes_half);
  memcpy(to, &half, sizeof half);
}

LANES_INLINE void norm_apply(const dpc_norm_call* call, const bool film, const bool around,
                             const float* mean, const float* factor, lanes_round* to_bf16) {
  for (int c = 0; c < call->channels; c += LANES) {
    const lanes middle = lanes_load(mean + c), beta = lanes_load(call->beta + c);
    const lanes slope = lanes_load(factor + c) * lanes_load(call->gamma + c);
    lanes scale = {0}, shift = {0};
    if (film) {
      scale = lanes_load(call->scale[0] + c) + lanes_load(call->scale[1] + c);
      shift = lanes_load(call->shift[0] + c) + lanes_load(call->shift[1] + c);
    }
    for (int t = 0; t < call->rows; ++t) {
      lanes z = lanes_mish((lanes_load(call->x + t * call->x_row + c) - middle) * slope + beta);
      if (film) z = scale * z + shift;
      if (around) z += lanes_load(call->around + t * call->around_row + c);
      if (call->out != NULL) lanes_store(call->out + t * call->out_row + c, z);
      if (call->out_bf16 != NULL) to_bf16(z, call->out_bf16 + t * call->out_row + c);
    }
  }
}

LANES_INLINE void norm_rows(const dpc_norm_call* call, lanes_round* to_bf16) {
  float mean[DPC_CHANNELS_MAX], squares[DPC_CHANNELS_MAX];
  channel_moments(call, mean, squares);
  // by the width alone: a part of the channels is to come out as the whole does
  if (call->width % LANES == 0) {
    join_vectors(call, LANES, mean, squares);
  } else if (LANES == 16 && call->width == 8) {
    join_vectors(call, 8, mean, squares);
  } else {
    join_channels(call, mean, squares);
  }
  if (call->scale[0] != NULL && call->around != NULL) {
    norm_apply(call, true, true, mean, squares, to_bf16);
  } else if (call->scale[0] != NULL) {
    norm_apply(call, true, false, mean, squares, to_bf16);
  } else if (call->around != NULL) {
    norm_apply(call, false, true, mean, squares, to_bf16);
  } else {
    norm_apply(call, false, false, mean, squares, to_bf16);
  }
}
