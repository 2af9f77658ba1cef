/// Inside the U-Net: the work area, and the parts of a pass through the network. Shared by the files
/// unet*.c, and engine_film.c for the timestep's part. Activations are [time][batch][channel] (conv1d.h says why).
#pragma once

#include "policy/unet_plan.h"

/// What the way back needs of one residual block.
typedef struct dpc_unet_residual_work {
  float* pre1;    // [time][batch][out], first convolution
  float* act1;    // normalised, activated, modulated
  float* pre2;    // second convolution
  float* out;     // the block's output
  float* film;    // [batch][2 * out], scale and shift
  float* stats1;  // [batch][2 * groups]
  float* stats2;
} dpc_unet_residual_work;

/// Of one level.
typedef struct dpc_unet_level_work {
  dpc_unet_residual_work residual[2];
  float* in;         // up: [time][batch][2 * channels], what came up beside the skip
  float* resampled;  // [time'][batch][channels]
  float* grad_skip;  // down: gradient that comes through the skip
} dpc_unet_level_work;

struct dpc_unet_work {
  int batch_max;
  bool with_backward;
  float* embed;        // [batch][dpc_unet_embed_dim], sines of timestep and step size
  float* hidden;       // [batch][4 * step_embed_dim]
  float* hidden_mish;  // likewise
  float* cond;         // [batch][cond_dim]
  float* cond_mish;    // likewise; what every FiLM layer reads
  float* grad_cond;    // likewise
  float* grad_hidden;  // like hidden
  float* grad_film;    // [batch][2 * widest]
  float* sample;       // [horizon][batch][dpc_unet_row]
  float* out;          // [horizon][batch][input_dim]; on the way back its gradient
  dpc_unet_level_work down[DPC_UNET_LEVELS_MAX];
  dpc_unet_residual_work mid[2];
  dpc_unet_level_work up[DPC_UNET_LEVELS_MAX];
  float* last_pre;    // [horizon][batch][start]
  float* last_act;    // likewise
  float* last_stats;  // [batch][2 * groups]
  float* grad[4];     // each as large as the largest activation
};

/// What every part of a pass needs.
typedef struct dpc_unet_pass {
  const dpc_unet* unet;
  const float* params;
  float* grads;  // NULL on the way forward
  dpc_unet_work* work;
  int batch;
} dpc_unet_pass;

/// out = convolution of `in`.
/// Allocates: no. Blocks: no. Thread: any, one work area each.
void dpc_unet_conv_forward(const dpc_unet_pass* p, const dpc_unet_conv* conv, const float* in,
                           float* out);

/// Adds the parameters' gradients; writes grad_in unless it is NULL.
/// Allocates: no. Blocks: no. Thread: any, one work area each.
void dpc_unet_conv_backward(const dpc_unet_pass* p, const dpc_unet_conv* conv, const float* in,
                            const float* grad_out, float* grad_in);

/// out = film(mish(norm(pre))), after the block's convolution; `film` is NULL for none.
/// Allocates: no. Blocks: no. Thread: any, one work area each.
void dpc_unet_norm_forward(const dpc_unet_pass* p, const dpc_unet_conv_block* block,
                           const float* pre, const float* film, float* stats, float* out);

/// Adds the parameters' gradients; writes grad_film (NULL without film) and grad_pre, which may be
/// grad_out.
/// Allocates: no. Blocks: no. Thread: any, one work area each.
void dpc_unet_norm_backward(const dpc_unet_pass* p, const dpc_unet_conv_block* block,
                            const float* pre, const float* film, const float* stats,
                            const float* grad_out, float* grad_film, float* grad_pre);

/// A residual block from `in` to w->out. Uses work->grad[0].
/// Allocates: no. Blocks: no. Thread: any, one work area each.
void dpc_unet_residual_forward(const dpc_unet_pass* p, const dpc_unet_residual* residual,
                               dpc_unet_residual_work* w, const float* in);

/// grad_out is kept; grad_in is another buffer, or NULL where nobody needs it. Adds to
/// work->grad_cond; uses work->grad[2] and [3].
/// Allocates: no. Blocks: no. Thread: any, one work area each.
void dpc_unet_residual_backward(const dpc_unet_pass* p, const dpc_unet_residual* residual,
                                const dpc_unet_residual_work* w, const float* in,
                                const float* grad_out, float* grad_in);

/// The columns of work->cond and work->cond_mish alone that timestep and step size decide.
/// Allocates: no. Blocks: no. Thread: any, one work area each.
void dpc_unet_embed_forward(const dpc_unet_pass* p, const float* timestep, const float* step_size);

/// From timestep and step_size [batch], and cond [batch][global_cond_dim], to work->cond_mish.
/// Allocates: no. Blocks: no. Thread: any, one work area each.
void dpc_unet_condition_forward(const dpc_unet_pass* p, const float* timestep,
                                const float* step_size, const float* cond);

/// From work->grad_cond, by cond_mish on entry; writes grad_cond [batch][global_cond_dim] unless it
/// is NULL.
/// Allocates: no. Blocks: no. Thread: any, one work area each.
void dpc_unet_condition_backward(const dpc_unet_pass* p, float* grad_cond);
