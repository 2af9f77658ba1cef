/// The engine's dense kernels: convolution, and normalisation with what follows it. One table of
/// functions per instruction set, picked once at start; the generic one is plain C and the oracle
/// of the others.
///
/// Channels come in blocks of 16: rows of activations, biases and normalisations are padded with
/// zeros to whole blocks. A convolution's weights are packed [group][channel][tap][16 * width],
/// where a group is as many neighbouring blocks of outputs as the kernel holds in registers beside
/// its positions, so that one call reads them once, from first to last.
///
/// bfloat16 has the same layout with pairs of channels, [group][channel / 2][tap][16 * width][2].
///
/// 8 bits have it with `int8_together` channels, [group][channel / 4][tap][16 * width][4] or pairs: whole
/// numbers from -127 to 127, of units that each output channel has for itself. What they multiply are
/// whole numbers from 0 to 255, of a unit and with a zero that are the same for all rows of a sample.
/// A sum is exact, in whatever order it is made.
#pragma once

#include "policy/base.h"

enum { DPC_LANES = 16 };  // channels in a block

#define DPC_CACHE_LINE 64  // bytes

enum {
  DPC_INT8_MAX = 127,    // of a weight's magnitude
  DPC_INT8_STEPS = 254,  // units in an input's range: its two ends may both be rounded up
};

/// `channels`, rounded up to whole blocks.
static inline int dpc_lanes_up(int channels) {
  return (channels + DPC_LANES - 1) / DPC_LANES * DPC_LANES;
}

/// What an input's whole number stands for: unit * (whole - zero).
typedef struct dpc_whole_scale {
  float unit;
  float zero;  // from 0 to 254
} dpc_whole_scale;

/// out[p] = bias + sum over taps k and channels c of in[first + p * step + k][c] * weights[k][c],
/// for each sample.
///
/// Rows of `in` outside [0, rows) are zeros (of in_whole, its zero), and all of them that a tap meets
/// must be there.
typedef struct dpc_conv_call {
  const float* in;                  // sample 0, row 0, of the input
  const uint16_t* in_bf16;          // likewise, for conv_bf16
  const void* in_whole;             // likewise, for conv_int8: see dpc_int8_call
  const dpc_whole_scale* in_scale;  // of in_whole, [samples]
  int in_row;                       // elements from one row to the next
  int channels;                     // summed per tap; a multiple of those that lie together
  int rows;                         // of the input
  int first;                        // row that tap 0 of position 0 reads, may be negative
  int step;                         // rows from one position to the next, 1 or 2
  int taps, positions;              // at least 1
  const float* weights;             // packed
  const uint16_t* weights_bf16;
  const int8_t* weights_int8;
  const float* unit;      // of weights_int8, [16 * blocks]
  const float* tap_sums;  // [taps + 1] rows of what the weights_int8 of all taps before add up to
  int tap_sums_row;       // from one row to the next
  const float* bias;      // [16 * blocks]
  int blocks;             // of 16 output channels
  float* out;             // [positions] rows of 16 * blocks, out_row apart
  int out_row;
  int samples;                      // at least 1
  ptrdiff_t in_sample, out_sample;  // elements from one sample to the next
  ptrdiff_t in_scale_sample;
  ptrdiff_t prefetch;  // bytes ahead of the weights that are being read
} dpc_conv_call;

/// Per group of `width` channels over all rows: y = (x - mean) / sqrt(var + 1e-5) * gamma + beta,
/// z = mish(y), then scale * z + shift when there is FiLM, then + around when that is not NULL.
typedef struct dpc_norm_call {
  const float* x;  // rows of `channels`, x_row apart
  int x_row;
  int rows, channels;
  int groups, width;          // groups * width <= channels; what is beyond stays 0
  const float *gamma, *beta;  // [channels]
  const float* scale[2];      // two terms, each [channels]; NULL for no FiLM
  const float* shift[2];      // likewise
  const float* around;        // what is added at the end, around_row apart; NULL for none
  int around_row;
  float* out;  // out_row apart; NULL when only out_bf16 is wanted
  int out_row;
  uint16_t* out_bf16;  // likewise rounded to bfloat16; NULL when not wanted
} dpc_norm_call;

/// Rows as whole numbers: out = x / unit + zero, rounded to nearest, ties to even, where the unit is a
/// part in 254 of the range of all rows and 0. `border` rows before and after become the zero. Where a
/// value is not finite, the unit is not either.
typedef struct dpc_int8_call {
  const float* x;  // rows of `channels`, a multiple of 16, x_row apart
  int x_row;
  int rows, border, channels;
  int together;  // 4 or 2: of the weights that they will meet
  void* out;     // uint8_t for 4, int16_t for 2, x_row apart
  dpc_whole_scale* scale;
} dpc_int8_call;

/// How the weights of a convolution are kept, and which function of the table takes them.
typedef enum dpc_storage {
  DPC_STORAGE_FP32,     // conv
  DPC_STORAGE_WIDENED,  // conv_widened: bfloat16, but input and products in fp32
  DPC_STORAGE_BF16,     // conv_bf16
  DPC_STORAGE_INT8      // conv_int8
} dpc_storage;

typedef enum dpc_isa {
  DPC_ISA_GENERIC,
  DPC_ISA_AVX2,
  DPC_ISA_AVX2_VNNI,
  DPC_ISA_AVX512,
  DPC_ISA_AVX512_VNNI,
  DPC_ISA_AVX512_BF16,
  DPC_ISA_NEON,
  DPC_ISA_NEON_DOT,
  DPC_ISA_COUNT
} dpc_isa;

typedef struct dpc_kernels {
  const char* name;
  bool widens;                  // conv_widened is faster than conv
  bool bf16_dot;                // conv_bf16 is faster than both; without, it may be NULL
  int int8_together;            // channels that lie together for conv_int8: 2 or 4
  int (*group)(int positions);  // most blocks that one group has
  void (*conv)(const dpc_conv_call* call);
  void (*conv_widened)(
      const dpc_conv_call* call);  // weights_bf16 in conv's groups, of even channels
  void (*conv_int8)(const dpc_conv_call* call);
  void (*conv_bf16)(const dpc_conv_call* call);
  void (*norm)(const dpc_norm_call* call);
  void (*to_int8)(const dpc_int8_call* call);
  // Rounds to nearest, ties to even. NULL where conv_bf16 is.
  void (*to_bf16)(int n, const float* from, uint16_t* to);
} dpc_kernels;

/// Blocks in the group that begins where `left` blocks remain: a power of two, at most `most`.
static inline int dpc_group_width(int most, int left) {
  int width = most;
  while (width > left) width /= 2;
  return width;
}

/// The kernels of one instruction set, or NULL when this machine or this build lacks it.
/// Allocates: no. Blocks: no. Thread: any.
const dpc_kernels* dpc_kernels_of(dpc_isa isa);

/// The fastest kernels for this machine, or those that the environment's DPC_ISA names.
/// DPC_ERR_CONFIG for a name that is unknown, or that this machine does not support.
/// Allocates: no. Blocks: no. Thread: start-up only.
DPC_NODISCARD dpc_status dpc_kernels_pick(const dpc_kernels** out, dpc_error* error);

/// Round to bfloat16: to nearest, ties to even; NaN stays NaN. Without a branch, so that it takes as
/// long for one value as for another.
static inline uint16_t dpc_bf16(float value) {
  union {
    float value;
    uint32_t bits;
  } u = {value};
  const uint32_t rounded = (u.bits + 0x7fffU + ((u.bits >> 16) & 1U)) >> 16;
  const uint32_t quiet = (u.bits >> 16) | 0x40U;
  const uint32_t nan = (0x7f800000U - (u.bits & 0x7fffffffU)) >> 31;  // 1 or 0
  return (uint16_t)(rounded ^ ((rounded ^ quiet) & (0U - nan)));
}

/// And back, exactly.
static inline float dpc_from_bf16(uint16_t value) {
  union {
    uint32_t bits;
    float value;
  } u = {(uint32_t)value << 16};
  return u.value;
}
