/// One-dimensional convolutions and linear layers as matrix products.
///
/// Activations are [time][batch][channel]: a tap of a convolution then reads one contiguous block of
/// rows, all samples and times at once, and is one product with its weights. Nothing is copied into
/// windows, and what a tap would read from the padding is not computed. Weights are kept
/// [out][kernel][in], transposed ones [kernel][out][in].
#pragma once

#include "policy/base.h"

typedef struct dpc_conv1d {
  int in, out;      // channels
  int kernel;       // taps
  int stride;       // 1 or 2
  int pad;          // zeros at both ends
  bool transposed;  // time grows by the stride instead of shrinking
} dpc_conv1d;

/// Number of output positions for `time` input positions.
/// Allocates: no. Blocks: no. Thread: any.
int dpc_conv1d_time(const dpc_conv1d* conv, int time);

/// out [time'][batch][out] = conv(in [time][batch][in]) + bias [out].
/// Allocates: no. Blocks: no. Thread: any.
void dpc_conv1d_forward(const dpc_conv1d* conv, int batch, int time, const float* in,
                        const float* weight, const float* bias, float* out);

/// From grad_out, shaped like `out`: adds into grad_weight and grad_bias; writes grad_in, shaped
/// like `in`, when it is not NULL.
/// Allocates: no. Blocks: no. Thread: any.
void dpc_conv1d_backward(const dpc_conv1d* conv, int batch, int time, const float* in,
                         const float* weight, const float* grad_out, float* grad_weight,
                         float* grad_bias, float* grad_in);

/// out [rows x n] = in [rows x m] weight' [n x m] + bias [n].
/// Allocates: no. Blocks: no. Thread: any.
void dpc_linear_forward(int rows, int m, int n, const float* in, const float* weight,
                        const float* bias, float* out);

/// Adds into grad_weight and grad_bias; writes, or with `accumulate` adds into, grad_in unless it
/// is NULL.
/// Allocates: no. Blocks: no. Thread: any.
void dpc_linear_backward(int rows, int m, int n, const float* in, const float* weight,
                         const float* grad_out, float* grad_weight, float* grad_bias,
                         float* grad_in, bool accumulate);
