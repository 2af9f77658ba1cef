// Weights of bfloat16, widened on the way into registers: half the way through memory, and products
// and sums of fp32.
#include <immintrin.h>

#include "policy/kernels/kernel_tables.h"

// The two of a pair: a bfloat16 is the upper half of a float.
typedef struct widened {
  __m256 even, odd;
} widened;

static inline widened load_widened(const uint16_t* from) {
  const __m256i pairs = _mm256_loadu_si256((const __m256i*)(const void*)from);
  const __m256i upper = _mm256_set1_epi32((int32_t)0xffff0000);
  return (widened){.even = _mm256_castsi256_ps(_mm256_slli_epi32(pairs, 16)),
                   .odd = _mm256_castsi256_ps(_mm256_and_si256(pairs, upper))};
}

static inline widened broadcast_two(const float* from) {
  return (widened){.even = _mm256_set1_ps(from[0]), .odd = _mm256_set1_ps(from[1])};
}

static inline __m256 multiply_add(__m256 sum, widened x, widened w) {
  return _mm256_fmadd_ps(x.odd, w.odd, _mm256_fmadd_ps(x.even, w.even, sum));
}

#define TILE_LANES                                           8
#define TILE_PAIR                                            2
#define TILE_ELEMENT                                         uint16_t
#define TILE_INPUT_ELEMENT                                   float
#define TILE_VECTOR                                          __m256
#define TILE_VECTOR_IN                                       widened
#define TILE_INPUT(call)                                     ((call)->in)
#define TILE_BEGIN(call, channel)                            _mm256_loadu_ps((call)->bias + (channel))
#define TILE_SCALE                                           bool
#define TILE_MAKE_SCALE(call, sample, channel)               true
#define TILE_END(call, scale, channel, first, end, sum, out) _mm256_storeu_ps(out, sum)
#define TILE_BROADCAST(p)                                    broadcast_two(p)
#define TILE_MULTIPLY_ADD(s, x, w)                           multiply_add(s, x, w)
#define TILE_MANY_POSITIONS                                  4
#define TILE_MANY                                            1
#define TILE_FEW                                             1
#define TILE_WEIGHTS(nb)                                     ((nb)*DPC_LANES * 2)
#define TILE_LOAD_WEIGHTS(nb, p, w) \
  for (int v = 0; v < 2 * (nb); ++v) (w)[v] = load_widened((p) + v * 16)
// Registers are few: without this the compiler keeps inputs for the next tap, and sums in memory.
#define TILE_TAP_END __asm__ volatile("" ::: "memory")
#include "policy/kernels/conv_tiles.h"

void dpc_conv_widened_avx2(const dpc_conv_call* call) {
  tile_conv(call, call->weights_bf16);
}
