/// Inside the kernels: the walk of a convolution over register tiles, for the file that defines
///
///   TILE_VECTOR, TILE_LOAD(p), TILE_STORE(p, v)   a vector and how it moves
///   TILE_LANES                                    floats in it
///   tile_taps(positions, blocks, in, step, n, weights, prefetch...) through TILE_SPAN
///
/// A tile is NP positions x NB blocks of outputs, summed in registers over all taps and channels.
/// What a tap would read of the padding is skipped for whole positions at the tile's ends; the odd
/// cases read the border's zeros instead. Everything is inlined with constant sizes, so that the
/// sums stay in registers.
#pragma once

#include "policy/kernels/kernels.h"

#define TILE_INLINE static inline __attribute__((always_inline))

enum { TILE_PARTS = DPC_LANES / TILE_LANES };  // vectors in a block

// One tap: positions [LO, HI) of the tile, `in` is the row that position 0 reads.
TILE_INLINE void tile_tap(const int np, const int nb, const int lo, const int hi,
                          const dpc_conv_call* call, const TILE_ELEMENT* in,
                          const TILE_ELEMENT* weights, TILE_VECTOR* sums) {
  const ptrdiff_t step = (ptrdiff_t)call->step * call->in_row;
  const int parts = nb * TILE_PARTS;
  (void)np;
  for (int c = 0; c < call->channels; c += TILE_PAIR) {
    TILE_VECTOR_IN w[TILE_PARTS * 4];
#pragma GCC unroll 16
    for (int v = 0; v < parts; ++v) {
      w[v] = TILE_LOAD_WEIGHTS(weights + v * TILE_LANES * TILE_PAIR);
    }
#pragma GCC unroll 16
    for (int v = 0; v < nb; ++v) {
      __builtin_prefetch((const char*)weights + v * 64 + TILE_PREFETCH, 0, 3);
    }
#pragma GCC unroll 16
    for (int p = lo; p < hi; ++p) {
      const TILE_VECTOR_IN x = TILE_BROADCAST(in + p * step + c);
#pragma GCC unroll 16
      for (int v = 0; v < parts; ++v) {
        sums[p * parts + v] = TILE_MULTIPLY_ADD(sums[p * parts + v], x, w[v]);
      }
    }
    weights += nb * DPC_LANES * TILE_PAIR;
  }
}

TILE_INLINE void tile_sum(const int np, const int nb, const dpc_conv_call* call, int p0,
                          const TILE_ELEMENT* weights, const float* bias, float* out) {
  TILE_VECTOR sums[16];
  const int parts = nb * TILE_PARTS;
#pragma GCC unroll 16
  for (int p = 0; p < np; ++p) {
#pragma GCC unroll 16
    for (int v = 0; v < parts; ++v) sums[p * parts + v] = TILE_LOAD(bias + v * TILE_LANES);
  }
  const int count = call->positions - p0 < np ? call->positions - p0 : np;
  const int step = call->step, shift = step >> 1;  // dividing by 1 or 2
  const int base = call->first + p0 * step;
  for (int k = 0; k < call->taps; ++k) {
    const int row = base + k;
    const int lo = row >= 0 ? 0 : (step - 1 - row) >> shift;
    int hi = (call->rows - row + step - 1) >> shift;
    if (hi >= count) hi = np;
    if (lo < hi && call->rows > row) {
      const TILE_ELEMENT* in = TILE_INPUT(call) + (ptrdiff_t)row * call->in_row;
      if (np > 2 && lo == 1 && hi == np) {
        tile_tap(np, nb, 1, np, call, in, weights, sums);
      } else if (np > 2 && lo == 2 && hi == np) {
        tile_tap(np, nb, 2, np, call, in, weights, sums);
      } else if (np > 2 && lo == 0 && hi == np - 1) {
        tile_tap(np, nb, 0, np - 1, call, in, weights, sums);
      } else if (np > 2 && lo == 0 && hi == np - 2) {
        tile_tap(np, nb, 0, np - 2, call, in, weights, sums);
      } else {
        tile_tap(np, nb, 0, np, call, in, weights, sums);
      }
    }
    weights += (ptrdiff_t)call->channels * nb * DPC_LANES;
  }
  for (int p = 0; p < np; ++p) {
    if (p >= count) break;
#pragma GCC unroll 16
    for (int v = 0; v < parts; ++v) {
      TILE_STORE(out + (ptrdiff_t)(p0 + p) * call->out_row + v * TILE_LANES, sums[p * parts + v]);
    }
  }
}

// All positions of one group; the last tile goes back to end where the positions end.
TILE_INLINE void tile_positions(const int np, const int nb, const dpc_conv_call* call,
                                const TILE_ELEMENT* weights, const float* bias, float* out) {
  for (int p = 0; p < call->positions; p += np) {
    const int last = call->positions - np;
    tile_sum(np, nb, call, p > last && last > 0 ? last : p, weights, bias, out);
  }
}
