/// Group normalisation, Mish and FiLM in one pass over the data: every convolution of the U-Net but
/// the last is followed by them.
///
/// Per sample and group g of channels: y = (x - mean_g) / sqrt(var_g + 1e-5) * gamma + beta
/// (Wu & He 2018, arXiv 1803.08494), z = mish(y), out = scale * z + shift (Perez et al. 2018,
/// arXiv 1709.07871). Variance is the biased one, over the group's channels and all times.
#pragma once

#include "policy/base.h"

/// Largest number of channels.
enum { DPC_CHANNELS_MAX = 4096 };

typedef struct dpc_norm_mish {
  int channels, groups;  // channels divisible by groups
} dpc_norm_mish;

/// out [time][batch][channels] from x of the same shape.
/// film   [batch][2 * channels], scale then shift of each sample; NULL for none
/// stats  out, [batch][2 * groups], mean then 1 / deviation of each group, for the way back
/// Allocates: no. Blocks: no. Thread: any.
void dpc_norm_mish_forward(const dpc_norm_mish* norm, int batch, int time, const float* x,
                           const float* gamma, const float* beta, const float* film, float* stats,
                           float* out);

/// From grad_out, shaped like `out`: writes grad_x (which may be grad_out) and grad_film (NULL
/// without film), adds into grad_gamma and grad_beta.
/// Allocates: no. Blocks: no. Thread: any.
void dpc_norm_mish_backward(const dpc_norm_mish* norm, int batch, int time, const float* x,
                            const float* gamma, const float* beta, const float* film,
                            const float* stats, const float* grad_out, float* grad_gamma,
                            float* grad_beta, float* grad_film, float* grad_x);

/// out [n] = mish(x [n]).
/// Allocates: no. Blocks: no. Thread: any.
void dpc_mish_forward(int n, const float* x, float* out);

/// grad_x [n] = grad_out [n] * mish'(x [n]); grad_x may be grad_out.
/// Allocates: no. Blocks: no. Thread: any.
void dpc_mish_backward(int n, const float* x, const float* grad_out, float* grad_x);
