// Weights of 12 bits, on AVX-512 with BF16: what streams from memory is a quarter less, and turning it
// into bfloat16 fits beside the dot products.
//
// A bfloat16 has 8 bits of exponent, of which weights need 4: kept are the sign, the exponent above
// DPC_BF12_EXPONENT and the 7 bits of the fraction. They lie where a bfloat16 has them, so that three
// of four vectors need but one operation. The bits between are the fourth's, a third of it in each.
#include "policy/kernels/bf16_tiles.h"
#include "policy/kernels/kernel_tables.h"

// What ternary logic can do with a, b and c; the table's index is their bits.
enum {
  A_AND_B_OR_C = 0xea,
  A_WHERE_B_ELSE_C = 0xe2,
};

static inline __m512i select_bits(__m512i where, int bits, __m512i elsewhere) {
  return _mm512_ternarylogic_epi32(where, _mm512_set1_epi16((int16_t)bits), elsewhere,
                                   A_WHERE_B_ELSE_C);
}

// The exponent's upper half, in place of what is in the free bits.
static inline __m512bh widen(__m512i fields) {
  const __m512i kept = _mm512_set1_epi16((int16_t)0x87ff);
  const __m512i exponent = _mm512_set1_epi16(DPC_BF12_EXPONENT << 7);
  return (__m512bh)_mm512_ternarylogic_epi32(fields, kept, exponent, A_AND_B_OR_C);
}

static inline void load_widened(const uint16_t* from, __m512bh* w) {
  const __m512i first = _mm512_loadu_si512(from), second = _mm512_loadu_si512(from + 32);
  const __m512i third = _mm512_loadu_si512(from + 64);
  // as dpc_bf12_third has shared it out
  __m512i fourth = select_bits(_mm512_srli_epi16(second, 4), 0x0780, _mm512_srli_epi16(third, 8));
  fourth = select_bits(_mm512_srli_epi16(first, 11), 0x0007, fourth);
  fourth = select_bits(_mm512_slli_epi16(first, 1), 0x8000, fourth);
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
