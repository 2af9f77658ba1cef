// Plain C: runs everywhere, and is what the other kernels are tested against.
#include "policy/kernels/kernel_tables.h"
#include "policy/kernels/norm_blocks.h"
#include "policy/kernels/whole_rows.h"

static int group(int positions) {
  (void)positions;
  return 1;
}

// One position of one sample and block; `in` is the row that tap 0 reads, `row` its number.
static void sum_position(const dpc_conv_call* call, const float* in, int row, const float* weights,
                         float* sum) {
  for (int c = 0; c < call->channels; ++c) {
    for (int k = 0; k < call->taps; ++k, weights += DPC_LANES) {
      if (row + k < 0 || row + k >= call->rows) continue;
      const float x = in[k * call->in_row + c];
      for (int j = 0; j < DPC_LANES; ++j) sum[j] += x * weights[j];
    }
  }
}

static void sum_position_widened(const dpc_conv_call* call, const float* in, int row,
                                 const uint16_t* weights, float* sum) {
  for (int c = 0; c < call->channels; c += 2) {
    for (int k = 0; k < call->taps; ++k, weights += 2 * DPC_LANES) {
      if (row + k < 0 || row + k >= call->rows) continue;
      const float even = in[k * call->in_row + c], odd = in[k * call->in_row + c + 1];
      for (int j = 0; j < DPC_LANES; ++j) {
        sum[j] += even * dpc_from_bf16(weights[2 * j]);
        sum[j] += odd * dpc_from_bf16(weights[2 * j + 1]);
      }
    }
  }
}

static void sum_position_bf16(const dpc_conv_call* call, const uint16_t* in, int row,
                              const uint16_t* weights, float* sum) {
  for (int c = 0; c < call->channels; c += 2) {
    for (int k = 0; k < call->taps; ++k, weights += 2 * DPC_LANES) {
      if (row + k < 0 || row + k >= call->rows) continue;
      const float even = dpc_from_bf16(in[k * call->in_row + c]);
      const float odd = dpc_from_bf16(in[k * call->in_row + c + 1]);
      for (int j = 0; j < DPC_LANES; ++j) {
        const float first = odd * dpc_from_bf16(weights[2 * j + 1]);
        sum[j] += first + even * dpc_from_bf16(weights[2 * j]);
      }
    }
  }
}

// By the definition, zero and all.
static void sum_position_int8(const dpc_conv_call* call, const int16_t* in, int row,
                              const int8_t* weights, const float* unit, dpc_whole_scale scale,
                              float* sum) {
  int32_t whole[DPC_LANES] = {0};
  const int zero = (int)scale.zero;
  for (int c = 0; c < call->channels; c += 2) {
    for (int k = 0; k < call->taps; ++k, weights += 2 * DPC_LANES) {
      if (row + k < 0 || row + k >= call->rows) continue;
      const int even = in[k * call->in_row + c] - zero;
      const int odd = in[k * call->in_row + c + 1] - zero;
      for (int j = 0; j < DPC_LANES; ++j) {
        whole[j] += even * weights[2 * j] + odd * weights[2 * j + 1];
      }
    }
  }
  for (int j = 0; j < DPC_LANES; ++j) sum[j] += (float)whole[j] * (unit[j] * scale.unit);
}

// `row` is what tap 0 reads.
static void sum_any(const dpc_conv_call* call, dpc_storage storage, int block, int sample, int row,
                    float* sum) {
  const ptrdiff_t from = sample * call->in_sample + (ptrdiff_t)row * call->in_row;
  const ptrdiff_t size = (ptrdiff_t)call->taps * call->channels * DPC_LANES;  // of a block
  switch (storage) {
    case DPC_STORAGE_FP32:
      sum_position(call, call->in + from, row, call->weights + block * size, sum);
      return;
    case DPC_STORAGE_WIDENED:
      sum_position_widened(call, call->in + from, row, call->weights_bf16 + block * size, sum);
      return;
    case DPC_STORAGE_BF16:
      sum_position_bf16(call, call->in_bf16 + from, row, call->weights_bf16 + block * size, sum);
      return;
    case DPC_STORAGE_INT8:
      sum_position_int8(call, (const int16_t*)call->in_whole + from, row,
                        call->weights_int8 + block * size, call->unit + block * DPC_LANES,
                        call->in_scale[sample * call->in_scale_sample], sum);
      return;
  }
}

static void conv_any(const dpc_conv_call* call, dpc_storage storage) {
  for (int b = 0; b < call->blocks; ++b) {
    for (int s = 0; s < call->samples; ++s) {
      for (int p = 0; p < call->positions; ++p) {
        const int row = call->first + p * call->step;
        float sum[DPC_LANES];
        memcpy(sum, call->bias + b * DPC_LANES, sizeof sum);
        sum_any(call, storage, b, s, row, sum);
        float* out = call->out + s * call->out_sample + (ptrdiff_t)p * call->out_row;
        memcpy(out + b * DPC_LANES, sum, sizeof sum);
      }
    }
  }
}

static void conv(const dpc_conv_call* call) {
  conv_any(call, DPC_STORAGE_FP32);
}

static void conv_widened(const dpc_conv_call* call) {
  conv_any(call, DPC_STORAGE_WIDENED);
}

static void conv_bf16(const dpc_conv_call* call) {
  conv_any(call, DPC_STORAGE_BF16);
}

static void conv_int8(const dpc_conv_call* call) {
  conv_any(call, DPC_STORAGE_INT8);
}

static void to_int8(const dpc_int8_call* call) {
  whole_rows(call);
}

static void to_bf16(int n, const float* from, uint16_t* to) {
  for (int i = 0; i < n; ++i) to[i] = dpc_bf16(from[i]);
}

static void norm(const dpc_norm_call* call) {
  norm_rows(call, lanes_to_bf16);
}

const dpc_kernels dpc_kernels_generic = {
    .name = "generic",
    .int8_together = 2,
    .group = group,
    .conv = conv,
    .conv_widened = conv_widened,
    .conv_bf16 = conv_bf16,
    .conv_int8 = conv_int8,
    .norm = norm,
    .to_int8 = to_int8,
    .to_bf16 = to_bf16,
};
