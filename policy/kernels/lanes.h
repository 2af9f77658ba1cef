/// Inside the kernels: vectors of as many floats as the file that includes this has lanes. Static: each
/// file's own flags make it another function.
#pragma once

#include <stdint.h>
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#define LANES_INLINE static inline __attribute__((always_inline))

#if defined(__AVX512F__)
enum { LANES = 16 };
#elif defined(__AVX__)
enum { LANES = 8 };
#else
enum { LANES = 4 };
#endif

typedef float lanes __attribute__((vector_size(sizeof(float) * LANES)));
typedef int32_t lanes_bits __attribute__((vector_size(sizeof(float) * LANES)));

// In memory, where they need not be aligned. memcpy would do, but gcc on ARM then keeps them there.
typedef float lanes_there
    __attribute__((vector_size(sizeof(float) * LANES), aligned(sizeof(float)), may_alias));

LANES_INLINE lanes lanes_load(const float* from) {
  return *(const lanes_there*)from;
}

LANES_INLINE void lanes_store(float* to, lanes b) {
  *(lanes_there*)to = b;
}

// NaN stays NaN. Written out, because compilers make branches of comparisons of vectors, and the time
// must not depend on the values.
LANES_INLINE lanes lanes_clamp(lanes x, float low, float high) {
#if defined(__AVX512F__)
  const __m512 above = _mm512_max_ps(_mm512_set1_ps(low), (__m512)x);
  return (lanes)_mm512_min_ps(_mm512_set1_ps(high), above);
#elif defined(__AVX__)
  const __m256 above = _mm256_max_ps(_mm256_set1_ps(low), (__m256)x);
  return (lanes)_mm256_min_ps(_mm256_set1_ps(high), above);
#elif defined(__SSE2__)
  const __m128 above = _mm_max_ps(_mm_set1_ps(low), (__m128)x);
  return (lanes)_mm_min_ps(_mm_set1_ps(high), above);
#elif defined(__aarch64__)
  const float32x4_t above = vmaxq_f32(vdupq_n_f32(low), (float32x4_t)x);
  return (lanes)vminq_f32(vdupq_n_f32(high), above);
#else
  for (int j = 0; j < LANES; ++j) {
    x[j] = x[j] < low ? low : x[j];
    x[j] = x[j] > high ? high : x[j];
  }
  return x;
#endif
}
