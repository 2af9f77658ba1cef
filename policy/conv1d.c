#include "policy/conv1d.h"

#include <string.h>

#include "policy/gemm.h"

int dpc_conv1d_time(const dpc_conv1d* conv, int time) {
  if (conv->transposed) return (time - 1) * conv->stride - 2 * conv->pad + conv->kernel;
  return (time + 2 * conv->pad - conv->kernel) / conv->stride + 1;
}

// A pointwise convolution is a product of the activations as they lie.
static bool is_pointwise(const dpc_conv1d* conv) {
  return conv->kernel == 1 && conv->stride == 1 && conv->pad == 0;
}

size_t dpc_conv1d_columns(const dpc_conv1d* conv, int batch, int time) {
  if (is_pointwise(conv)) return 0;
  const int positions = conv->transposed ? time : dpc_conv1d_time(conv, time);
  const int channels = conv->transposed ? conv->out : conv->in;
  return (size_t)batch * (size_t)positions * (size_t)conv->kernel * (size_t)channels;
}

// --- windows -------------------------------------------------------------------------------------

// Walks the windows of one side of a convolution: `wide` [batch][wide_time][channels] is the side
// the taps slide over, a window at position t covers wide positions t * stride - pad + tap.
typedef struct windows {
  int batch, positions, wide_time, channels, kernel, stride, pad;
} windows;

static void gather(const windows* w, const float* wide, float* columns) {
  const size_t row = (size_t)w->channels;
  for (int b = 0; b < w->batch; ++b) {
    const float* sample = wide + (size_t)b * (size_t)w->wide_time * row;
    for (int t = 0; t < w->positions; ++t) {
      for (int tap = 0; tap < w->kernel; ++tap, columns += row) {
        const int at = t * w->stride - w->pad + tap;
        if (at >= 0 && at < w->wide_time) {
          memcpy(columns, sample + (size_t)at * row, row * sizeof(float));
        } else {
          memset(columns, 0, row * sizeof(float));
        }
      }
    }
  }
}

static void scatter_add(const windows* w, const float* columns, float* wide) {
  const size_t row = (size_t)w->channels;
  for (int b = 0; b < w->batch; ++b) {
    float* sample = wide + (size_t)b * (size_t)w->wide_time * row;
    for (int t = 0; t < w->positions; ++t) {
      for (int tap = 0; tap < w->kernel; ++tap, columns += row) {
        const int at = t * w->stride - w->pad + tap;
        if (at < 0 || at >= w->wide_time) continue;
        float* restrict to = sample + (size_t)at * row;
        for (size_t c = 0; c < row; ++c) to[c] += columns[c];
      }
    }
  }
}

static void fill_rows(int rows, int n, const float* value, float* out) {
  for (int i = 0; i < rows; ++i)
    memcpy(out + (size_t)i * (size_t)n, value, sizeof(float) * (size_t)n);
}

static void add_column_sums(int rows, int n, const float* values, float* restrict sums) {
  for (int i = 0; i < rows; ++i, values += n) {
    for (int j = 0; j < n; ++j) sums[j] += values[j];
  }
}

// --- linear --------------------------------------------------------------------------------------

void dpc_linear_forward(int rows, int m, int n, const float* in, const float* weight,
                        const float* bias, float* out) {
  fill_rows(rows, n, bias, out);
  dpc_gemm_nt(rows, n, m, in, m, weight, m, 1, out, n);
}

void dpc_linear_backward(int rows, int m, int n, const float* in, const float* weight,
                         const float* grad_out, float* grad_weight, float* grad_bias,
                         float* grad_in, bool accumulate) {
  dpc_gemm_tn(n, m, rows, grad_out, n, in, m, 1, grad_weight, m);
  add_column_sums(rows, n, grad_out, grad_bias);
  if (grad_in != NULL) dpc_gemm_nn(rows, m, n, grad_out, n, weight, m, accumulate, grad_in, m);
}

// --- convolution ---------------------------------------------------------------------------------

static windows windows_of(const dpc_conv1d* conv, int batch, int time) {
  const int other = dpc_conv1d_time(conv, time);
  return (windows){
      .batch = batch,
      .positions = conv->transposed ? time : other,
      .wide_time = conv->transposed ? other : time,
      .channels = conv->transposed ? conv->out : conv->in,
      .kernel = conv->kernel,
      .stride = conv->stride,
      .pad = conv->pad,
  };
}

void dpc_conv1d_forward(const dpc_conv1d* conv, int batch, int time, const float* in,
                        const float* weight, const float* bias, float* columns, float* out) {
  if (is_pointwise(conv)) {
    dpc_linear_forward(batch * time, conv->in, conv->out, in, weight, bias, out);
    return;
  }
  const windows w = windows_of(conv, batch, time);
  const int rows = batch * w.positions, width = w.kernel * w.channels;
  if (conv->transposed) {
    dpc_gemm_nt(rows, width, conv->in, in, conv->in, weight, conv->in, 0, columns, width);
    fill_rows(batch * w.wide_time, conv->out, bias, out);
    scatter_add(&w, columns, out);
  } else {
    gather(&w, in, columns);
    dpc_linear_forward(rows, width, conv->out, columns, weight, bias, out);
  }
}

void dpc_conv1d_backward(const dpc_conv1d* conv, int batch, int time, const float* in,
                         const float* weight, const float* grad_out, float* columns,
                         float* grad_weight, float* grad_bias, float* grad_in) {
  if (is_pointwise(conv)) {
    dpc_linear_backward(batch * time, conv->in, conv->out, in, weight, grad_out, grad_weight,
                        grad_bias, grad_in, false);
    return;
  }
  const windows w = windows_of(conv, batch, time);
  const int rows = batch * w.positions, width = w.kernel * w.channels;
  if (conv->transposed) {
    add_column_sums(batch * w.wide_time, conv->out, grad_out, grad_bias);
    gather(&w, grad_out, columns);
    dpc_gemm_tn(width, conv->in, rows, columns, width, in, conv->in, 1, grad_weight, conv->in);
    if (grad_in == NULL) return;
    dpc_gemm_nn(rows, conv->in, width, columns, width, weight, conv->in, 0, grad_in, conv->in);
  } else {
    gather(&w, in, columns);
    dpc_linear_backward(rows, width, conv->out, columns, weight, grad_out, grad_weight, grad_bias,
                        NULL, false);
    if (grad_in == NULL) return;
    dpc_gemm_nn(rows, width, conv->out, grad_out, conv->out, weight, width, 0, columns, width);
    memset(grad_in, 0, sizeof(float) * (size_t)batch * (size_t)time * (size_t)conv->in);
    scatter_add(&w, columns, grad_in);
  }
}
