// Plain C: runs everywhere, and is what the other kernels are tested against.
#include "policy/kernels/kernel_tables.h"
#include "policy/kernels/norm_blocks.h"

int dpc_group_generic(int positions) {
  (void)positions;
  return 1;
}

static void add_tap(const float* in, int channels, const float* weights, float* sum) {
  for (int c = 0; c < channels; ++c, weights += DPC_LANES) {
    for (int j = 0; j < DPC_LANES; ++j) sum[j] += in[c] * weights[j];
  }
}

static void conv(const dpc_conv_call* call) {
  const ptrdiff_t tap_size = (ptrdiff_t)call->channels * DPC_LANES;
  for (int b = 0; b < call->blocks; ++b) {
    const float* weights = call->weights + b * call->taps * tap_size;
    for (int p = 0; p < call->positions; ++p) {
      float sum[DPC_LANES];
      memcpy(sum, call->bias + b * DPC_LANES, sizeof sum);
      for (int k = 0; k < call->taps; ++k) {
        const int row = call->first + p * call->step + k;
        if (row < 0 || row >= call->rows) continue;
        add_tap(call->in + (ptrdiff_t)row * call->in_row, call->channels, weights + k * tap_size,
                sum);
      }
      memcpy(call->out + (ptrdiff_t)p * call->out_row + b * DPC_LANES, sum, sizeof sum);
    }
  }
}

static void add_tap_bf16(const uint16_t* in, int channels, const uint16_t* weights, float* sum) {
  for (int c = 0; c < channels; c += 2, weights += 2 * DPC_LANES) {
    const float even = dpc_from_bf16(in[c]), odd = dpc_from_bf16(in[c + 1]);
    for (int j = 0; j < DPC_LANES; ++j) {
      const float first = odd * dpc_from_bf16(weights[2 * j + 1]);
      sum[j] += first + even * dpc_from_bf16(weights[2 * j]);
    }
  }
}

void dpc_conv_bf16_generic(const dpc_conv_call* call) {
  const ptrdiff_t tap_size = (ptrdiff_t)call->channels * DPC_LANES;
  for (int b = 0; b < call->blocks; ++b) {
    const uint16_t* weights = call->weights_bf16 + b * call->taps * tap_size;
    for (int p = 0; p < call->positions; ++p) {
      float sum[DPC_LANES];
      memcpy(sum, call->bias + b * DPC_LANES, sizeof sum);
      for (int k = 0; k < call->taps; ++k) {
        const int row = call->first + p * call->step + k;
        if (row < 0 || row >= call->rows) continue;
        add_tap_bf16(call->in_bf16 + (ptrdiff_t)row * call->in_row, call->channels,
                     weights + k * tap_size, sum);
      }
      memcpy(call->out + (ptrdiff_t)p * call->out_row + b * DPC_LANES, sum, sizeof sum);
    }
  }
}

void dpc_to_bf16_generic(int n, const float* from, uint16_t* to) {
  for (int i = 0; i < n; ++i) to[i] = dpc_bf16(from[i]);
}

static void norm(const dpc_norm_call* call) {
  norm_rows(call, dpc_to_bf16_generic);
}

const dpc_kernels dpc_kernels_generic = {
    .name = "generic",
    .group = dpc_group_generic,
    .group_bf16 = dpc_group_generic,
    .conv = conv,
    .conv_bf16 = dpc_conv_bf16_generic,
    .norm = norm,
    .to_bf16 = dpc_to_bf16_generic,
};
