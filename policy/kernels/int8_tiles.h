/// Inside the kernels: convolutions of whole numbers, for the file that defines TILE_PAIR, the tile's
/// numbers of positions and blocks (see conv_tiles.h), and includes norm_blocks.h.
///
/// A lane takes 4 bytes of input: 4 whole numbers of 8 bits for the dot products of VNNI, or 2 of 16
/// bits for the multiply-adds that every processor has, which read the weights' bytes as 16 bits too.
///
/// Dot products multiply numbers without a sign with such that have one, so weights are kept with 128
/// added. That adds 128 times the rows that a position meets, which is where its sum begins.
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
typedef int8_t whole_input;

LANES_INLINE wholes wholes_load(const uint8_t* from) {
  wholes w;
  memcpy(&w, from, sizeof w);
  return w;
}

LANES_INLINE wholes wholes_multiply_add(wholes sum, wholes x, wholes w) {
#if defined(__AVX512F__)
  return (wholes)_mm512_dpbusd_epi32((__m512i)sum, (__m512i)w, (__m512i)x);
#else
  return (wholes)_mm256_dpbusd_avx_epi32((__m256i)sum, (__m256i)w, (__m256i)x);
#endif
}
#else
typedef int16_t whole_input;

LANES_INLINE wholes wholes_load(const uint8_t* from) {
#if defined(__AVX512F__)
  return (wholes)_mm512_cvtepu8_epi16(_mm256_loadu_si256((const __m256i*)(const void*)from));
#else
  return (wholes)_mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i*)(const void*)from));
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

LANES_INLINE wholes wholes_begin(const dpc_conv_call* call, int sample, int row) {
  const int32_t* sums = call->in_sums + sample * call->in_sums_sample + row;
  return -DPC_INT8_ZERO * (sums[call->taps] - sums[0]) - (wholes){0};
}

LANES_INLINE void wholes_end(const dpc_conv_call* call, int sample, int channel, wholes sum,
                             float* out) {
  const float in_unit = call->in_unit[sample * call->in_unit_sample];
  const lanes units = lanes_load(call->unit + channel) * in_unit;
  lanes_store(out, __builtin_convertvector(sum, lanes) * units + lanes_load(call->bias + channel));
}

#define TILE_LANES         LANES
#define TILE_ELEMENT       uint8_t
#define TILE_INPUT_ELEMENT whole_input
#define TILE_VECTOR        wholes
#define TILE_VECTOR_IN     wholes
#define TILE_INPUT(call)   ((const whole_input*)(call)->in_whole)
#define TILE_BEGIN(call, place, p, channel) \
  wholes_begin(call, (place)->sample, (place)->row + (p) * (call)->step)
#define TILE_END(call, place, channel, sum, out) \
  wholes_end(call, (place)->sample, channel, sum, out)
#define TILE_BROADCAST(p)          wholes_broadcast(p)
#define TILE_MULTIPLY_ADD(s, x, w) wholes_multiply_add(s, x, w)
#define TILE_WEIGHTS(nb)           ((nb)*DPC_LANES * TILE_PAIR)
#define TILE_LOAD_WEIGHTS(nb, p, w)                    \
  for (int v = 0; v < (nb)*DPC_LANES / LANES; ++v) {   \
    (w)[v] = wholes_load((p) + v * LANES * TILE_PAIR); \
  }
#include "policy/kernels/conv_tiles.h"
