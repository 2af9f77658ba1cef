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

// Field `at` of the 32 of block `b`, of the three vectors that hold four.
static float field_of(const uint16_t* vectors, int b, int at) {
  enum { VECTOR = 2 * DPC_LANES };
  if (b < 3) return dpc_from_bf12(vectors[b * VECTOR + at]);
  const int first = vectors[at] >> 11, second = vectors[VECTOR + at] >> 11 & 0xf;
  const int third = vectors[2 * VECTOR + at] >> 11 & 0xf;
  return dpc_from_bf12((uint16_t)((first << 12 & 0x8000) | second << 7 | third << 3 | (first & 7)));
}

static void sum_position_bf12(const dpc_conv_call* call, const uint16_t* in, int row, int block,
                              const uint16_t* weights, float* sum) {
  for (int c = 0; c < call->channels; c += 2) {
    for (int k = 0; k < call->taps; ++k, weights += 3 * 2 * DPC_LANES) {
      if (row + k < 0 || row + k >= call->rows) continue;
      const float even = dpc_from_bf16(in[k * call->in_row + c]);
      const float odd = dpc_from_bf16(in[k * call->in_row + c + 1]);
      for (int j = 0; j < DPC_LANES; ++j) {
        const float first = odd * field_of(weights, block, 2 * j + 1);
        sum[j] += first + even * field_of(weights, block, 2 * j);
      }
    }
  }
}

static void sum_any(const dpc_conv_call* call, dpc_storage storage, int block, ptrdiff_t from,
                    int row, float* sum) {
  const ptrdiff_t size = (ptrdiff_t)call->taps * call->channels * DPC_LANES;  // of a block
  const int within = block % DPC_BF12_BLOCKS;
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
    case DPC_STORAGE_BF12:
      sum_position_bf12(call, call->in_bf16 + from, row, within,
                        call->weights_bf16 + (block - within) * size * 3 / 4, sum);
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
        sum_any(call, storage, b, s * call->in_sample + (ptrdiff_t)row * call->in_row, row, sum);
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

void dpc_conv_bf12_generic(const dpc_conv_call* call) {
  conv_any(call, DPC_STORAGE_BF12);
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
    .conv_bf12 = dpc_conv_bf12_generic,
    .norm = norm,
    .to_bf16 = dpc_to_bf16_generic,
};
