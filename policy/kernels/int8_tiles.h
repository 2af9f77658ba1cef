/// Inside the kernels: convolutions of whole numbers, for the file that defines TILE_PAIR, the tile's
/// numbers of positions and blocks (see conv_tiles.h), and includes norm_blocks.h.
///
/// A lane takes 4 bytes of input: 4 whole numbers of 8 bits for the dot products of VNNI, or 2 of 16
/// bits for the multiply-adds that every processor has, which read the weights' bytes as 16 bits too.
///
/// Inputs have no sign, as the dot products want it, but a zero of their own. What it adds, times the
/// weights of the taps that a position meets, is taken off at the end.
#pragma once

#include <immintrin.h>

// What the instructions take. Arrays of __m512i, which is another kind of vector, compilers keep in
// memory.
typedef lanes_bits wholes;

LANES_INLINE wholes wholes_broadcast(const void* from) {
  int32_t bits;
  memcpy(&bits, from, sizeof bits);
  return bits - (wholes){0};
}

#if TILE_PAIR == 4
typedef uint8_t whole_input;

LANES_INLINE wholes wholes_load(const int8_t* from) {
  wholes w;
  memcpy(&w, from, sizeof w);
  return w;
}

LANES_INLINE wholes wholes_multiply_add(wholes sum, wholes x, wholes w) {
#if defined(__AVX512F__)
  return (wholes)_mm512_dpbusd_epi32((__m512i)sum, (__m512i)x, (__m512i)w);
#else
  return (wholes)_mm256_dpbusd_avx_epi32((__m256i)sum, (__m256i)x, (__m256i)w);
#endif
}
#else
typedef int16_t whole_input;

LANES_INLINE wholes wholes_load(const int8_t* from) {
#if defined(__AVX512F__)
  return (wholes)_mm512_cvtepi8_epi16(_mm256_loadu_si256((const __m256i*)(const void*)from));
#else
  return (wholes)_mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i*)(const void*)from));
#endif
}

LANES_INLINE wholes wholes_multiply_add(wholes sum, wholes x, wholes w) {
#if defined(__AVX512F__)
  return sum + (wholes)_mm512_madd_epi16((__m512i)w, (__m512i)x);
#else
  return sum + (wholes)_mm256_madd_epi16((__m256i)w, (__m256i)x);
#endif
}
#endif

// What the sums of some channels are scaled with, all taps met.
typedef struct wholes_scale {
  lanes units, bias, zero;
} wholes_scale;

// What the inputs' zero adds in the taps from `first` to before `end` is taken off.
LANES_INLINE lanes wholes_bias(const dpc_conv_call* call, int channel, int first, int end,
                               lanes zero) {
  const float* before = call->tap_sums + channel;
  lanes weights = lanes_load(before + (ptrdiff_t)end * call->tap_sums_row);
  if (first > 0) weights -= lanes_load(before + (ptrdiff_t)first * call->tap_sums_row);
  return lanes_load(call->bias + channel) - weights * zero;
}

LANES_INLINE wholes_scale wholes_make_scale(const dpc_conv_call* call, int sample, int channel) {
  const dpc_whole_scale in = call->in_scale[sample * call->in_scale_sample];
  const lanes units = lanes_load(call->unit + channel) * in.unit, zero = units * in.zero;
  const lanes bias = wholes_bias(call, channel, 0, call->taps, zero);
  return (wholes_scale){.units = units, .bias = bias, .zero = zero};
}

LANES_INLINE void wholes_end(const dpc_conv_call* call, const wholes_scale* scale, int channel,
                             int first, int end, wholes sum, float* out) {
  lanes bias = scale->bias;
  if (first > 0 || end < call->taps) bias = wholes_bias(call, channel, first, end, scale->zero);
  lanes_store(out, __builtin_convertvector(sum, lanes) * scale->units + bias);
}

#define TILE_LANES                             LANES
#define TILE_ELEMENT                           int8_t
#define TILE_INPUT_ELEMENT                     whole_input
#define TILE_VECTOR                            wholes
#define TILE_VECTOR_IN                         wholes
#define TILE_INPUT(call)                       ((const whole_input*)(call)->in_whole)
#define TILE_BEGIN(call, channel)              ((wholes){0})
#define TILE_SCALE                             wholes_scale
#define TILE_MAKE_SCALE(call, sample, channel) wholes_make_scale(call, sample, channel)
#define TILE_END(call, scale, channel, first, end, sum, out) \
  wholes_end(call, scale, channel, first, end, sum, out)
#define TILE_BROADCAST(p)          wholes_broadcast(p)
#define TILE_MULTIPLY_ADD(s, x, w) wholes_multiply_add(s, x, w)
#define TILE_WEIGHTS(nb)           ((nb)*DPC_LANES * TILE_PAIR)
#define TILE_LOAD_WEIGHTS(nb, p, w)                    \
  for (int v = 0; v < (nb)*DPC_LANES / LANES; ++v) {   \
    (w)[v] = wholes_load((p) + v * LANES * TILE_PAIR); \
  }
#include "policy/kernels/conv_tiles.h"
