/// Inside the kernels: what tiles of dot products of bfloat16 are made of, for the two files that
/// differ in how their weights are kept.
#pragma once

#include <immintrin.h>
#include <string.h>

#include "policy/base.h"

static inline __m512bh broadcast_pair(const uint16_t* from) {
  int32_t pair;
  memcpy(&pair, from, sizeof pair);
  return (__m512bh)_mm512_set1_epi32(pair);
}

#define TILE_LANES                               16
#define TILE_PAIR                                2
#define TILE_ELEMENT                             uint16_t
#define TILE_INPUT_ELEMENT                       uint16_t
#define TILE_VECTOR                              __m512
#define TILE_VECTOR_IN                           __m512bh
#define TILE_INPUT(call)                         ((call)->in_bf16)
#define TILE_BEGIN(call, place, p, channel)      _mm512_loadu_ps((call)->bias + (channel))
#define TILE_END(call, place, channel, sum, out) _mm512_storeu_ps(out, sum)
#define TILE_BROADCAST(p)                        broadcast_pair(p)
#define TILE_MULTIPLY_ADD(s, x, w)               _mm512_dpbf16_ps(s, x, w)
