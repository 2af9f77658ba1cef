// Whole numbers of 8 bits, on AVX-512 with VNNI, which every processor has that has BF16: a quarter of
// fp32's way through memory, and twice the products of bfloat16 in an instruction.
//
// The instruction multiplies numbers without a sign with such that have one, so weights are kept with
// 128 added. That adds 128 times the rows that a position meets, which is where its sum begins.
#include <immintrin.h>
#include <math.h>
#include <string.h>

#include "policy/kernels/kernel_tables.h"

// What the instruction takes. Arrays of __m512i, which is another kind of vector, compilers keep in
// memory.
typedef int32_t wholes __attribute__((vector_size(64)));

static inline wholes broadcast_four(const int8_t* from) {
  int32_t four;
  memcpy(&four, from, sizeof four);
  return (wholes)_mm512_set1_epi32(four);
}

static inline wholes load_fours(const uint8_t* from) {
  return (wholes)_mm512_loadu_si512(from);
}

static inline wholes begin(const dpc_conv_call* call, int sample, int row) {
  const int32_t* sums = call->in_sums + sample * call->in_sums_sample + row;
  return (wholes)_mm512_set1_epi32(-DPC_INT8_ZERO * (sums[call->taps] - sums[0]));
}

static inline void end(const dpc_conv_call* call, int sample, int channel, wholes sum, float* out) {
  const __m512 unit = _mm512_set1_ps(call->in_unit[sample * call->in_unit_sample]);
  const __m512 units = _mm512_mul_ps(_mm512_loadu_ps(call->unit + channel), unit);
  const __m512 bias = _mm512_loadu_ps(call->bias + channel);
  _mm512_storeu_ps(out, _mm512_fmadd_ps(_mm512_cvtepi32_ps((__m512i)sum), units, bias));
}

#define TILE_LANES         16
#define TILE_PAIR          4
#define TILE_ELEMENT       uint8_t
#define TILE_INPUT_ELEMENT int8_t
#define TILE_VECTOR        wholes
#define TILE_VECTOR_IN     wholes
#define TILE_INPUT(call)   ((call)->in_int8)
#define TILE_BEGIN(call, place, p, channel) \
  begin(call, (place)->sample, (place)->row + (p) * (call)->step)
#define TILE_END(call, place, channel, sum, out) end(call, (place)->sample, channel, sum, out)
#define TILE_BROADCAST(p)                        broadcast_four(p)
#define TILE_MULTIPLY_ADD(s, x, w) \
  (wholes) _mm512_dpbusd_epi32((__m512i)(s), (__m512i)(w), (__m512i)(x))
#define TILE_MANY_POSITIONS 8
#define TILE_MANY           2
#define TILE_FEW            4
#define TILE_WEIGHTS(nb)    ((nb)*DPC_LANES * 4)
#define TILE_LOAD_WEIGHTS(nb, p, w) \
  for (int v = 0; v < (nb); ++v) (w)[v] = load_fours((p) + v * DPC_LANES * 4)
#include "policy/kernels/conv_tiles.h"

void dpc_conv_int8_avx512(const dpc_conv_call* call) {
  tile_conv(call, call->weights_int8);
}

// --- rows as whole numbers -----------------------------------------------------------------------

// Without their signs floats are in the order of their bits, and those that are not finite above all.
static inline __m512i magnitude(const float* from) {
  return _mm512_and_si512(_mm512_loadu_si512(from), _mm512_set1_epi32(0x7fffffff));
}

static float largest(const dpc_int8_call* call) {
  __m512i most = _mm512_setzero_si512();
  for (int t = 0; t < call->rows; ++t) {
    for (int c = 0; c < call->channels; c += DPC_LANES) {
      most = _mm512_max_epu32(most, magnitude(call->x + (ptrdiff_t)t * call->x_row + c));
    }
  }
  const uint32_t bits = _mm512_reduce_max_epu32(most);
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

void dpc_to_int8_avx512(const dpc_int8_call* call) {
  const float most = largest(call);
  const __m512 per_unit = _mm512_set1_ps(dpc_int8_per_unit(most));
  *call->unit = most * (1.0F / DPC_INT8_MAX);
  int32_t before = 0;
  for (int t = -call->border; t <= 0; ++t) call->sums[t] = 0;
  for (int t = 0; t < call->rows; ++t) {
    __m512i sum = _mm512_setzero_si512();
    for (int c = 0; c < call->channels; c += DPC_LANES) {
      const ptrdiff_t at = (ptrdiff_t)t * call->x_row + c;
      const __m512i whole =
          _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_loadu_ps(call->x + at), per_unit));
      sum = _mm512_add_epi32(sum, whole);
      const __m128i bytes = _mm512_cvtsepi32_epi8(whole);
      memcpy(call->out + at, &bytes, sizeof bytes);
    }
    before += _mm512_reduce_add_epi32(sum);
    call->sums[t + 1] = before;
  }
  for (int t = call->rows; t < call->rows + call->border; ++t) call->sums[t + 1] = before;
}
