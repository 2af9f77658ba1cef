// Plain C: runs everywhere, and is what the other kernels are tested against.
#include "policy/kernels/kernel_tables.h"
#include "policy/kernels/norm_blocks.h"

int dpc_group_generic(int positions) {
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

// Without the 128 of each weight.
static void sum_position_int8(const dpc_conv_call* call, const int8_t* in, int row,
                              const uint8_t* weights, const float* unit, float in_unit,
                              float* sum) {
  int32_t whole[DPC_LANES] = {0};
  for (int c = 0; c < call->channels; c += 4) {
    for (int k = 0; k < call->taps; ++k, weights += 4 * DPC_LANES) {
      if (row + k < 0 || row + k >= call->rows) continue;
      const int8_t* x = in + k * call->in_row + c;
      for (int j = 0; j < 4 * DPC_LANES; ++j) {
        whole[j / 4] += x[j % 4] * (weights[j] - DPC_INT8_ZERO);
      }
    }
  }
  for (int j = 0; j < DPC_LANES; ++j) sum[j] += (float)whole[j] * (unit[j] * in_unit);
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
      sum_position_int8(call, call->in_int8 + from, row, call->weights_int8 + block * size,
                        call->unit + block * DPC_LANES,
                        call->in_unit[sample * call->in_unit_sample], sum);
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

void dpc_conv_bf16_generic(const dpc_conv_call* call) {
  conv_any(call, DPC_STORAGE_BF16);
}

void dpc_conv_int8_generic(const dpc_conv_call* call) {
  conv_any(call, DPC_STORAGE_INT8);
}

// Without their signs floats are in the order of their bits, and those that are not finite above all.
static float largest(const dpc_int8_call* call) {
  uint32_t most = 0;
  for (int t = 0; t < call->rows; ++t) {
    for (int c = 0; c < call->channels; ++c) {
      uint32_t bits;
      memcpy(&bits, call->x + (ptrdiff_t)t * call->x_row + c, sizeof bits);
      bits &= 0x7fffffffU;
      most = bits > most ? bits : most;
    }
  }
  float value;
  memcpy(&value, &most, sizeof value);
  return value;
}

void dpc_to_int8_generic(const dpc_int8_call* call) {
  const float most = largest(call), per_unit = dpc_int8_per_unit(most);
  *call->unit = most * (1.0F / DPC_INT8_MAX);
  int32_t before = 0;
  for (int t = -call->border; t <= 0; ++t) call->sums[t] = 0;
  for (int t = 0; t < call->rows + call->border; ++t) {
    for (int c = 0; t < call->rows && c < call->channels; ++c) {
      const ptrdiff_t at = (ptrdiff_t)t * call->x_row + c;
      call->out[at] = (int8_t)lrintf(call->x[at] * per_unit);
      before += call->out[at];
    }
    call->sums[t + 1] = before;
  }
}

void dpc_to_bf16_generic(int n, const float* from, uint16_t* to) {
  for (int i = 0; i < n; ++i) to[i] = dpc_bf16(from[i]);
}

static void norm(const dpc_norm_call* call) {
  norm_rows(call, lanes_to_bf16);
}

const dpc_kernels dpc_kernels_generic = {
    .name = "generic",
    .group = dpc_group_generic,
    .group_bf16 = dpc_group_generic,
    .conv = conv,
    .conv_widened = conv_widened,
    .conv_bf16 = dpc_conv_bf16_generic,
    .conv_int8 = dpc_conv_int8_generic,
    .norm = norm,
    .to_int8 = dpc_to_int8_generic,
    .to_bf16 = dpc_to_bf16_generic,
};
