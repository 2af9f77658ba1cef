/// Inside the U-Net: its parts, as the plan lists them. Shared by the files unet_*.c and nobody
/// else.
#pragma once

#include "policy/conv1d.h"
#include "policy/norm_mish.h"
#include "policy/unet.h"

enum { DPC_UNET_LEVELS_MAX = 8 };

/// A convolution and where its parameters lie.
typedef struct dpc_unet_conv {
  dpc_conv1d conv;
  int time;  // input positions
  size_t weight, bias;
} dpc_unet_conv;

/// Convolution, group normalisation, Mish.
typedef struct dpc_unet_conv_block {
  dpc_unet_conv conv;
  dpc_norm_mish norm;
  size_t gamma, beta;
} dpc_unet_conv_block;

/// Two such blocks with FiLM after the first, and a residual around both.
typedef struct dpc_unet_residual {
  dpc_unet_conv_block first, second;
  size_t film_weight, film_bias;  // [2 * out x condition]
  bool projects;                  // the residual needs a convolution to change channels
  dpc_unet_conv projection;
  int in, out, time;
} dpc_unet_residual;

/// One level on the way down or up: two residuals and a change of time.
typedef struct dpc_unet_level {
  dpc_unet_residual residual[2];
  bool resamples;  // the deepest level does not
  dpc_unet_conv resample;
} dpc_unet_level;

struct dpc_unet {
  dpc_unet_def def;
  int levels;    // down; one less up
  int cond_dim;  // step_embed_dim + global_cond_dim
  dpc_unet_level down[DPC_UNET_LEVELS_MAX];
  dpc_unet_residual mid[2];
  dpc_unet_level up[DPC_UNET_LEVELS_MAX];
  dpc_unet_conv_block last_block;
  dpc_unet_conv last;
  size_t step_weight1, step_bias1, step_weight2, step_bias2;  // of the timestep's encoder
  size_t param_count;
  dpc_unet_tensor* tensors;
  int tensor_count;
};

/// Values that the step encoder is given: the embedded timestep, and the step size beside it.
/// Allocates: no. Blocks: no. Thread: any.
static inline int dpc_unet_embed_dim(const dpc_unet_def* def) {
  return def->step_embed_dim * (1 + def->step_size_dim);
}
