#include "policy/conv1d.h"

#include <string.h>

#include "policy/gemm.h"

int dpc_conv1d_time(const dpc_conv1d* conv, int time) {
  if (conv->transposed) return (time - 1) * conv->stride - 2 * conv->pad + conv->kernel;
  return (time + 2 * conv->pad - conv->kernel) / conv->stride + 1;
}

// --- rows ----------------------------------------------------------------------------------------

static void fill_rows(int rows, int n, const float* value, float* out) {
  for (int i = 0; i < rows; ++i) {
    memcpy(out + (size_t)i * (size_t)n, value, sizeof(float) * (size_t)n);
  }
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

// What one tap connects: row i of `in` with row i of `out`, through one matrix of the weights.
typedef struct product {
  int tap, next;           // where the walk is: the tap, and its next position
  int rows;                // consecutive in both
  size_t in, out, weight;  // offsets of the first values
} product;

// Position t of the shorter side meets position t * stride - pad + tap of the longer one, where that
// exists. With stride 1 all positions of a tap make one product, otherwise each makes its own.
static bool next_product(const dpc_conv1d* conv, int batch, int time, product* p) {
  const int after = dpc_conv1d_time(conv, time);
  const int shorter = conv->transposed ? time : after, longer = conv->transposed ? after : time;
  for (; p->tap < conv->kernel; ++p->tap, p->next = 0) {
    const int shift = p->tap - conv->pad;
    int first = p->next;
    while (first < shorter && first * conv->stride + shift < 0) ++first;
    int end = first;
    while (end < shorter && end * conv->stride + shift < longer) {
      ++end;
      if (conv->stride > 1) break;
    }
    if (end == first) continue;
    const size_t t = (size_t)first * (size_t)batch;
    const size_t met = (size_t)(first * conv->stride + shift) * (size_t)batch;
    p->next = end;
    p->rows = (end - first) * batch;
    p->in = (conv->transposed ? t : met) * (size_t)conv->in;
    p->out = (conv->transposed ? met : t) * (size_t)conv->out;
    p->weight = (size_t)p->tap * (size_t)conv->in * (conv->transposed ? (size_t)conv->out : 1);
    return true;
  }
  return false;
}

// Floats from one output channel's weights of a tap to the next's.
static int weight_stride(const dpc_conv1d* conv) {
  return conv->transposed ? conv->in : conv->kernel * conv->in;
}

void dpc_conv1d_forward(const dpc_conv1d* conv, int batch, int time, const float* in,
                        const float* weight, const float* bias, float* out) {
  const int m = conv->in, n = conv->out;
  fill_rows(batch * dpc_conv1d_time(conv, time), n, bias, out);
  for (product p = {0}; next_product(conv, batch, time, &p);) {
    dpc_gemm_nt(p.rows, n, m, in + p.in, m, weight + p.weight, weight_stride(conv), 1, out + p.out,
                n);
  }
}

void dpc_conv1d_backward(const dpc_conv1d* conv, int batch, int time, const float* in,
                         const float* weight, const float* grad_out, float* grad_weight,
                         float* grad_bias, float* grad_in) {
  const int m = conv->in, n = conv->out, stride = weight_stride(conv);
  add_column_sums(batch * dpc_conv1d_time(conv, time), n, grad_out, grad_bias);
  for (product p = {0}; next_product(conv, batch, time, &p);) {
    dpc_gemm_tn(n, m, p.rows, grad_out + p.out, n, in + p.in, m, 1, grad_weight + p.weight, stride);
  }
  if (grad_in == NULL) return;
  memset(grad_in, 0, sizeof(float) * (size_t)batch * (size_t)time * (size_t)m);
  for (product p = {0}; next_product(conv, batch, time, &p);) {
    dpc_gemm_nn(p.rows, m, n, grad_out + p.out, n, weight + p.weight, stride, 1, grad_in + p.in, m);
  }
}
