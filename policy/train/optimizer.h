/// AdamW, the learning-rate curve and gradient clipping, over flat blocks of parameters.
///
/// Every function works on a range, so that ranges may be spread over threads: element i of the
/// result depends on element i of the inputs alone.
#pragma once

#include "policy/field.h"

/// Adam with decoupled weight decay (Loshchilov & Hutter 2019, arXiv 1711.05101).
typedef struct dpc_adamw_def {
  double beta1;         // decay of the mean of the gradients
  double beta2;         // decay of the mean of their squares
  double epsilon;       // keeps the division finite
  double weight_decay;  // decoupled: p -= lr * weight_decay * p
} dpc_adamw_def;

extern const dpc_field_table dpc_adamw_fields;  // section "adamw"

/// The settings' defaults: betas (0.95, 0.999), epsilon 1e-8, weight decay 1e-6.
/// Allocates: no. Blocks: no. Thread: any.
dpc_adamw_def dpc_adamw_def_default(void);

/// Returns DPC_ERR_CONFIG naming the first setting out of range.
/// Allocates: no. Blocks: no. Thread: any.
DPC_NODISCARD dpc_status dpc_adamw_def_check(const dpc_adamw_def* def, dpc_error* error);

/// One update of `count` parameters, in PyTorch's order of operations (torch.optim.AdamW).
///
/// step    number of this update, from 1; it sets the bias correction
/// lr      learning rate of this update
/// grads   [count], read only
/// params  [count], updated in place; likewise m, v: the two moments, zero before the first update
/// Allocates: no. Blocks: no. Thread: any, one range each.
void dpc_adamw_step(const dpc_adamw_def* def, int64_t step, double lr, const float* grads,
                    float* params, float* m, float* v, size_t count);

/// Factor on the learning rate for update number `step` (from 1) of `steps`: linear from zero over
/// the warm-up, then half a cosine down to zero, as diffusers' cosine schedule gives it. With a
/// warm-up the first update has factor zero.
/// Allocates: no. Blocks: no. Thread: any.
double dpc_cosine_schedule(int64_t step, int64_t warmup_steps, int64_t steps);

/// Sum of squares of `count` values, in double and in a fixed order.
/// Allocates: no. Blocks: no. Thread: any.
double dpc_sum_of_squares(const float* values, size_t count);

/// What gradients of this norm are multiplied with so that it is at most `clip_norm`; 1 when
/// `clip_norm` is 0 (off). As torch.nn.utils.clip_grad_norm_: clip / (norm + 1e-6), at most 1.
/// Allocates: no. Blocks: no. Thread: any.
float dpc_clip_scale(double norm, double clip_norm);
