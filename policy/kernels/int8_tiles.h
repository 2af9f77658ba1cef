/// Inside the kernels: convolutions of whole numbers, for the file that defines INT8_TOGETHER, the
/// channels that a lane takes in its 4 bytes of input: 4 whole numbers of 8 bits for dot products, or 2
/// of 16 bits for multiply-adds, which read the weights' bytes as 16 bits too.
///
/// Inputs have no sign, as x86's dot products want it, but a zero of their own. What it adds, times the
/// weights of the taps that a position meets, is taken off at the end. NEON's products want a sign: there
/// half of the range is taken off before, and from the zero.
#pragma once

#include "policy/kernels/kernels.h"
#include "policy/kernels/lanes.h"

enum { TILE_PAIR = INT8_TOGETHER, TILE_FORGETS = LANES == 4 };

typedef int8_t tile_weight;
typedef lanes_bits tile_sum;
typedef lanes_bits tile_operand;

#if INT8_TOGETHER == 4
typedef uint8_t tile_input;

LANES_INLINE lanes_bits tile_load(const int8_t* weights) {
  lanes_bits w;
  memcpy(&w, weights, sizeof w);
  return w;
}

LANES_INLINE lanes_bits tile_multiply_add(lanes_bits sum, lanes_bits x, lanes_bits w) {
#if defined(__AVX512F__)
  return (lanes_bits)_mm512_dpbusd_epi32((__m512i)sum, (__m512i)x, (__m512i)w);
#elif defined(__AVX2__)
  return (lanes_bits)_mm256_dpbusd_avx_epi32((__m256i)sum, (__m256i)x, (__m256i)w);
#elif defined(__ARM_FEATURE_DOTPROD)
  return (lanes_bits)vdotq_s32((int32x4_t)sum, (int8x16_t)x, (int8x16_t)w);
#else
  // two products are at most 2 * 128 * 127, and fit into 16 bits
  const int16x8_t low = vmull_s8(vget_low_s8((int8x16_t)x), vget_low_s8((int8x16_t)w));
  const int16x8_t high = vmull_high_s8((int8x16_t)x, (int8x16_t)w);
  return (lanes_bits)vpadalq_s16((int32x4_t)sum, vpaddq_s16(low, high));
#endif
}
#else
typedef int16_t tile_input;

LANES_INLINE lanes_bits tile_load(const int8_t* weights) {
#if defined(__AVX512F__)
  return (lanes_bits)_mm512_cvtepi8_epi16(_mm256_loadu_si256((const __m256i*)(const void*)weights));
#else
  return (lanes_bits)_mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i*)(const void*)weights));
#endif
}

LANES_INLINE lanes_bits tile_multiply_add(lanes_bits sum, lanes_bits x, lanes_bits w) {
#if defined(__AVX512F__)
  return sum + (lanes_bits)_mm512_madd_epi16((__m512i)w, (__m512i)x);
#else
  return sum + (lanes_bits)_mm256_madd_epi16((__m256i)w, (__m256i)x);
#endif
}
#endif

LANES_INLINE const tile_input* tile_input_of(const dpc_conv_call* call) {
  return call->in_whole;
}

LANES_INLINE lanes_bits tile_begin(const dpc_conv_call* call, int channel) {
  (void)call, (void)channel;
  return (lanes_bits){0};
}

#if defined(__aarch64__)
enum { TAKEN_OFF = 0x80 };
#else
enum { TAKEN_OFF = 0 };
#endif

LANES_INLINE lanes_bits tile_broadcast(const tile_input* input) {
  int32_t bits;
  memcpy(&bits, input, sizeof bits);
  return (bits ^ (int32_t)(TAKEN_OFF * 0x01010101U)) - (lanes_bits){0};
}

// What the sums of some channels are scaled with, all taps met.
typedef struct tile_scale {
  lanes units, bias, zero;
} tile_scale;

// What the inputs' zero adds in the taps from `first` to before `end` is taken off.
LANES_INLINE lanes met_bias(const dpc_conv_call* call, int channel, int first, int end,
                            lanes zero) {
  const float* before = call->tap_sums + channel;
  lanes weights = lanes_load(before + (ptrdiff_t)end * call->tap_sums_row);
  if (first > 0) weights -= lanes_load(before + (ptrdiff_t)first * call->tap_sums_row);
  return lanes_load(call->bias + channel) - weights * zero;
}

LANES_INLINE tile_scale tile_make_scale(const dpc_conv_call* call, int sample, int channel) {
  const dpc_whole_scale in = call->in_scale[sample * call->in_scale_sample];
  const lanes units = lanes_load(call->unit + channel) * in.unit,
              zero = units * (in.zero - TAKEN_OFF);
  const lanes bias = met_bias(call, channel, 0, call->taps, zero);
  return (tile_scale){.units = units, .bias = bias, .zero = zero};
}

LANES_INLINE void tile_end(const dpc_conv_call* call, const tile_scale* scale, int channel,
                           int first, int end, lanes_bits sum, float* out) {
  lanes bias = scale->bias;
  if (first > 0 || end < call->taps) bias = met_bias(call, channel, first, end, scale->zero);
  lanes_store(out, __builtin_convertvector(sum, lanes) * scale->units + bias);
}

#include "policy/kernels/conv_tiles.h"
