// Weights of bfloat16, widened on the way into registers: half the way through memory, and products
// and sums of fp32.
#include <immintrin.h>

#include "policy/kernels/kernel_tables.h"

// The two of a pair: a bfloat16 is the upper half of a float.
typedef struct widened {
  __m512 even, odd;
} widened;

static inline widened load_widened(const uint16_t* from) {
  const __m512i pairs = _mm512_loadu_si512(from);
  const __m512i upper = _mm512_set1_epi32((int32_t)0xffff0000);
  return (widened){.even = _mm512_castsi512_ps(_mm512_slli_epi32(pairs, 16)),
                   .odd = _mm512_castsi512_ps(_mm512_and_si512(pairs, upper))};
}

static inline widened broadcast_two(const float* from) {
  return (widened){.even = _mm512_set1_ps(from[0]), .odd = _mm512_set1_ps(from[1])};
}

static inline __m512 multiply_add(__m512 sum, widened x, widened w) {
  return _mm512_fmadd_ps(x.odd, w.odd, _mm512_fmadd_ps(x.even, w.even, sum));
}

#define TILE_LANES                                           16
#define TILE_PAIR                                            2
#define TILE_ELEMENT                                         uint16_t
#define TILE_INPUT_ELEMENT                                   float
#define TILE_VECTOR                                          __m512
#define TILE_VECTOR_IN                                       widened
#define TILE_INPUT(call)                                     ((call)->in)
#define TILE_BEGIN(call, channel)                            _mm512_loadu_ps((call)->bias + (channel))
#define TILE_SCALE                                           bool
#define TILE_MAKE_SCALE(call, sample, channel)               true
#define TILE_END(call, scale, channel, first, end, sum, out) _mm512_storeu_ps(out, sum)
#define TILE_BROADCAST(p)                                    broadcast_two(p)
#define TILE_MULTIPLY_ADD(s, x, w)                           multiply_add(s, x, w)
#define TILE_MANY_POSITIONS                                  8
#define TILE_MANY                                            2
#define TILE_FEW                                             4
#define TILE_WEIGHTS(nb)                                     ((nb)*DPC_LANES * 2)
#define TILE_LOAD_WEIGHTS(nb, p, w) \
  for (int v = 0; v < (nb); ++v) (w)[v] = load_widened((p) + v * 32)
#include "policy/kernels/conv_tiles.h"

void dpc_conv_widened_avx512(const dpc_conv_call* call) {
  tile_conv(call, call->weights_bf16);
}
