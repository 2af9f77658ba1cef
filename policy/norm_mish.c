#include "policy/norm_mish.h"

#include <math.h>
#include <string.h>

#include "policy/activation.h"

static const float EPSILON = 1e-5F;

enum { MISH_BLOCK = 16 };

static void mish_block(const float* x, float* restrict out) {
  for (int i = 0; i < MISH_BLOCK; ++i) out[i] = dpc_mish(x[i]);
}

// In whole blocks, the rest in one that is filled up: the compiler has vectors for these, where for
// single values it branches on what they are, and acting must take as long for one value as another.
void dpc_mish_forward(int n, const float* x, float* restrict out) {
  const int rest = n % MISH_BLOCK, whole = n - rest;
  for (int i = 0; i < whole; i += MISH_BLOCK) mish_block(x + i, out + i);
  float in[MISH_BLOCK] = {0}, last[MISH_BLOCK];
  memcpy(in, x + whole, sizeof(float) * (size_t)rest);
  mish_block(in, last);
  memcpy(out + whole, last, sizeof(float) * (size_t)rest);
}

void dpc_mish_backward(int n, const float* x, const float* grad_out, float* grad_x) {
  for (int i = 0; i < n; ++i) grad_x[i] = grad_out[i] * dpc_mish_slope(x[i]);
}

// Sum over each group's channels of per-channel sums.
static void sum_groups(const dpc_norm_mish* norm, const float* channels, float factor,
                       float* groups) {
  const int width = norm->channels / norm->groups;
  for (int g = 0; g < norm->groups; ++g) {
    float sum = 0;
    for (int c = 0; c < width; ++c) sum += channels[g * width + c];
    groups[g] = sum * factor;
  }
}

// One value per group to one per channel, so that inner loops run over channels alone.
static void spread_groups(const dpc_norm_mish* norm, const float* groups, float* channels) {
  const int width = norm->channels / norm->groups;
  for (int g = 0; g < norm->groups; ++g, channels += width) {
    const float value = groups[g];
    for (int c = 0; c < width; ++c) channels[c] = value;
  }
}

// Mean and 1 / deviation of each group of one sample, in two passes for accuracy.
static void group_stats(const dpc_norm_mish* norm, int batch, int time, const float* x,
                        float* stats) {
  float sums[DPC_CHANNELS_MAX], mean[DPC_CHANNELS_MAX];
  const int channels = norm->channels, width = channels / norm->groups;
  const size_t stride = (size_t)batch * (size_t)channels;
  const float per_group = 1.0F / (float)(time * width);
  memset(sums, 0, sizeof(float) * (size_t)channels);
  for (int t = 0; t < time; ++t) {
    for (int c = 0; c < channels; ++c) sums[c] += x[(size_t)t * stride + (size_t)c];
  }
  sum_groups(norm, sums, per_group, stats);
  spread_groups(norm, stats, mean);
  memset(sums, 0, sizeof(float) * (size_t)channels);
  for (int t = 0; t < time; ++t) {
    for (int c = 0; c < channels; ++c) {
      const float off = x[(size_t)t * stride + (size_t)c] - mean[c];
      sums[c] += off * off;
    }
  }
  float* inverse = stats + norm->groups;
  sum_groups(norm, sums, per_group, inverse);
  for (int g = 0; g < norm->groups; ++g) inverse[g] = 1 / sqrtf(inverse[g] + EPSILON);
}

void dpc_norm_mish_forward(const dpc_norm_mish* norm, int batch, int time, const float* x,
                           const float* gamma, const float* beta, const float* film, float* stats,
                           float* restrict out) {
  const int channels = norm->channels;
  const size_t stride = (size_t)batch * (size_t)channels, stats_size = 2 * (size_t)norm->groups;
  float mean[DPC_CHANNELS_MAX], factor[DPC_CHANNELS_MAX];
  for (int b = 0; b < batch; ++b, x += channels, out += channels, stats += stats_size) {
    group_stats(norm, batch, time, x, stats);
    spread_groups(norm, stats, mean);
    spread_groups(norm, stats + norm->groups, factor);
    for (int c = 0; c < channels; ++c) factor[c] *= gamma[c];
    for (int t = 0; t < time; ++t) {
      for (int c = 0; c < channels; ++c) {
        out[(size_t)t * stride + (size_t)c] =
            dpc_mish((x[(size_t)t * stride + (size_t)c] - mean[c]) * factor[c] + beta[c]);
      }
    }
    if (film == NULL) continue;
    const float *scale = film + (size_t)b * 2 * (size_t)channels, *shift = scale + channels;
    for (int t = 0; t < time; ++t) {
      for (int c = 0; c < channels; ++c) {
        out[(size_t)t * stride + (size_t)c] =
            scale[c] * out[(size_t)t * stride + (size_t)c] + shift[c];
      }
    }
  }
}

// What the way back through one sample's activation needs, per channel.
typedef struct activation {
  const float *mean, *inverse, *factor, *beta;
  float *sum, *product;  // of the gradient by y, alone and with the normalised x
} activation;

// One row, from the gradient by mish(y) to the one by y = (x - mean) factor + beta.
static void activation_backward(int channels, const activation* a, const float* x,
                                float* restrict grad) {
  const float *mean = a->mean, *inverse = a->inverse, *factor = a->factor, *beta = a->beta;
  float* restrict sum = a->sum, * restrict product = a->product;
  for (int c = 0; c < channels; ++c) {
    const float off = x[c] - mean[c];
    const float g = grad[c] * dpc_mish_slope(off * factor[c] + beta[c]);
    grad[c] = g;
    sum[c] += g;
    product[c] += g * (off * inverse[c]);
  }
}

// The same from the gradient by scale mish(y) + shift.
static void film_backward(int channels, const activation* a, const float* x, const float* scale,
                          float* restrict grad_scale, float* restrict grad_shift,
                          float* restrict grad) {
  const float *mean = a->mean, *inverse = a->inverse, *factor = a->factor, *beta = a->beta;
  float* restrict sum = a->sum, * restrict product = a->product;
  for (int c = 0; c < channels; ++c) {
    const float off = x[c] - mean[c];
    float slope;
    const float z = dpc_mish_and_slope(off * factor[c] + beta[c], &slope);
    grad_scale[c] += grad[c] * z;
    grad_shift[c] += grad[c];
    const float g = grad[c] * scale[c] * slope;
    grad[c] = g;
    sum[c] += g;
    product[c] += g * (off * inverse[c]);
  }
}

void dpc_norm_mish_backward(const dpc_norm_mish* norm, int batch, int time, const float* x,
                            const float* gamma, const float* beta, const float* film,
                            const float* stats, const float* grad_out, float* grad_gamma,
                            float* grad_beta, float* grad_film, float* grad_x) {
  const int channels = norm->channels, groups = norm->groups, width = channels / groups;
  const size_t stride = (size_t)batch * (size_t)channels, stats_size = 2 * (size_t)groups;
  const float per_group = 1.0F / (float)(time * width);
  float mean[DPC_CHANNELS_MAX], inverse[DPC_CHANNELS_MAX], factor[DPC_CHANNELS_MAX];
  float sum[DPC_CHANNELS_MAX], product[DPC_CHANNELS_MAX], by_group[DPC_CHANNELS_MAX];
  const activation a = {mean, inverse, factor, beta, sum, product};
  if (grad_x != grad_out) memcpy(grad_x, grad_out, sizeof(float) * (size_t)time * stride);
  for (int b = 0; b < batch; ++b, x += channels, grad_x += channels, stats += stats_size) {
    spread_groups(norm, stats, mean);
    spread_groups(norm, stats + groups, inverse);
    for (int c = 0; c < channels; ++c) factor[c] = inverse[c] * gamma[c];
    // through FiLM and mish
    memset(sum, 0, sizeof(float) * (size_t)channels);
    memset(product, 0, sizeof(float) * (size_t)channels);
    const size_t at = (size_t)b * 2 * (size_t)channels;
    if (film != NULL) memset(grad_film + at, 0, sizeof(float) * 2 * (size_t)channels);
    for (int t = 0; t < time; ++t) {
      const float* row = x + (size_t)t * stride;
      float* g = grad_x + (size_t)t * stride;
      if (film == NULL) {
        activation_backward(channels, &a, row, g);
      } else {
        film_backward(channels, &a, row, film + at, grad_film + at, grad_film + at + channels, g);
      }
    }
    for (int c = 0; c < channels; ++c) {
      grad_beta[c] += sum[c];
      grad_gamma[c] += product[c];
      sum[c] *= gamma[c];
      product[c] *= gamma[c];
    }

    // through the normalisation: subtract what moving the group's mean and deviation takes back
    sum_groups(norm, sum, per_group, by_group);
    spread_groups(norm, by_group, sum);
    sum_groups(norm, product, per_group, by_group);
    spread_groups(norm, by_group, product);
    for (int t = 0; t < time; ++t) {
      const float* row = x + (size_t)t * stride;
      float* restrict g = grad_x + (size_t)t * stride;
      for (int c = 0; c < channels; ++c) {
        const float normal = (row[c] - mean[c]) * inverse[c];
        g[c] = inverse[c] * (g[c] * gamma[c] - sum[c] - normal * product[c]);
      }
    }
  }
}
