// Weights of 12 bits, on AVX-512 with BF16: what streams from memory is a quarter less, and turning it
// into bfloat16 fits beside the dot products.
//
// A bfloat16 has 8 bits of exponent, of which weights need 4: kept are the sign, the exponent above
// DPC_BF12_EXPONENT and the 7 bits of the fraction. The fields of four vectors lie in three, in the
// upper 12 bits of each 16; the fourth's are in the lower 4 bits, its first nibble in the first.
#include "policy/kernels/bf16_tiles.h"
#include "policy/kernels/kernel_tables.h"

// Fields at the upper end, whatever is below them.
static inline __m512bh widen(__m512i fields) {
  const __m512i kept = _mm512_set1_epi16((int16_t)0x87ff);
  const __m512i exponent = _mm512_set1_epi16(DPC_BF12_EXPONENT << 7);
  enum { AND_OR = 0xea };  // (a & b) | c
  return (__m512bh)_mm512_ternarylogic_epi32(_mm512_srai_epi16(fields, 4), kept, exponent, AND_OR);
}

static inline void load_widened(const uint16_t* from, __m512bh* w) {
  enum { OR_AND = 0xf8 };  // a | (b & c)
  const __m512i first = _mm512_loadu_si512(from), second = _mm512_loadu_si512(from + 32);
  const __m512i third = _mm512_loadu_si512(from + 64);
  __m512i fourth = _mm512_slli_epi16(first, 12);
  fourth = _mm512_ternarylogic_epi32(fourth, _mm512_slli_epi16(second, 8),
                                     _mm512_set1_epi16(0x0f00), OR_AND);
  fourth = _mm512_ternarylogic_epi32(fourth, _mm512_slli_epi16(third, 4), _mm512_set1_epi16(0x00f0),
                                     OR_AND);
  w[0] = widen(first);
  w[1] = widen(second);
  w[2] = widen(third);
  w[3] = widen(fourth);
}

#define TILE_MANY_POSITIONS         4
#define TILE_MANY                   4
#define TILE_FEW                    4
#define TILE_WEIGHTS(nb)            ((nb)*24)
#define TILE_LOAD_WEIGHTS(nb, p, w) load_widened(p, w)
#include "policy/kernels/conv_tiles.h"

void dpc_conv_bf12_avx512(const dpc_conv_call* call) {
  DPC_ASSERT(call->blocks % DPC_BF12_BLOCKS == 0);
  tile_conv(call, call->weights_bf16);
}
