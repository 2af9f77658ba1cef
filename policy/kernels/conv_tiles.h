/// Inside the kernels: the walk of a convolution over register tiles. Before a file includes this, it
/// says what a tile is made of (fp32_tiles.h and others do):
///
///   TILE_PAIR                      inputs, and weights, that one lane takes
///   TILE_FORGETS                   whether inputs are read anew for each tap, where registers are few
///   tile_weight, tile_input        an element of the weights and of the input
///   tile_sum, tile_operand         a vector of sums, and of what is multiplied
///   tile_scale                     what the sums of some channels are scaled with at the end
///   tile_input_of(call)            the call's input
///   tile_begin(call, channel)      what sums begin with, of the channels from that on
///   tile_load(weights), tile_broadcast(input), tile_multiply_add(sum, x, w)
///   tile_make_scale(call, sample, channel)
///   tile_end(call, scale, channel, first, end, sum, out)
///                                  where a sum goes; in it are the taps from `first` to before `end`
///
/// A tile is NP positions x NB blocks of outputs, summed in registers. Channel after channel it
/// reads the weights of all taps once, from first to last, and multiplies them with the few rows
/// that the positions share. Everything is inlined with constant sizes, so that the sums stay in
/// registers; the usual numbers of taps are constants too, and then what would be multiplied with
/// padding is left out.
#pragma once

#include "policy/kernels/kernels.h"
#include "policy/kernels/lanes.h"

#define TILE_INLINE static inline __attribute__((always_inline))

enum {
  TILE_PARTS = DPC_LANES / LANES,  // vectors in a block
  // Blocks of a group, where there are so many positions, and where there are fewer: 16 sums in the
  // registers of AVX-512, 8 in those of AVX2, 16 of half the size in NEON's.
  TILE_MANY_POSITIONS = LANES == 16 ? 8 : 4,
  TILE_MANY = LANES == 16 ? 2 : 1,
  TILE_FEW = LANES == 16 ? 4 : 1,
};

// Where a tile is.
typedef struct tile_place {
  int sample, at;  // its first position
  int row;         // of the input, which tap 0 of that reads
  int channel;     // its first output
} tile_place;

// The taps of a position that meet something, where what is before `lo` or from `last` on is left out.
TILE_INLINE int first_met(const int lo) {
  return lo > 0 ? lo : 0;
}

TILE_INLINE int end_met(const int last, const int taps) {
  return last < taps ? last : taps;
}

// Of the rows that the tile meets, `lo` at the start and `hi` at the end are known to be zeros.
TILE_INLINE void tile(const int np, const int nb, const int taps, const int step, const int lo,
                      const int hi, const dpc_conv_call* call, const tile_place* place,
                      const tile_weight* weights) {
  tile_sum sums[16];
  const int parts = nb * TILE_PARTS, size = nb * DPC_LANES * TILE_PAIR;
  const int lines = size * (int)sizeof *weights / DPC_CACHE_LINE;
  const int last = (np - 1) * step + taps - hi;
  const ptrdiff_t row = call->in_row, ahead = call->prefetch;
  const tile_input* in = tile_input_of(call) + place->sample * call->in_sample + place->row * row;
#pragma GCC unroll 16
  for (int p = 0; p < np; ++p) {
#pragma GCC unroll 16
    for (int v = 0; v < parts; ++v) {
      sums[p * parts + v] = tile_begin(call, place->channel + v * LANES);
    }
  }
  for (int c = 0; c < call->channels; c += TILE_PAIR) {
#pragma GCC unroll 5
    for (int k = 0; k < taps; ++k) {
      tile_operand w[16];
#pragma GCC unroll 16
      for (int v = 0; v < parts; ++v) w[v] = tile_load(weights + v * LANES * TILE_PAIR);
#pragma GCC unroll 16
      for (int v = 0; v < lines; ++v) {
        __builtin_prefetch((const char*)weights + v * DPC_CACHE_LINE + ahead, 0, 3);
      }
#pragma GCC unroll 16
      for (int p = 0; p < np; ++p) {
        const int met = p * step + k;
        if (met < lo || met >= last) continue;
        const tile_operand x = tile_broadcast(in + met * row + c);
#pragma GCC unroll 16
        for (int v = 0; v < parts; ++v) {
          sums[p * parts + v] = tile_multiply_add(sums[p * parts + v], x, w[v]);
        }
      }
      weights += size;
      if (TILE_FORGETS) __asm__ volatile("" ::: "memory");
    }
  }
  float* out = call->out + place->sample * call->out_sample + place->at * (ptrdiff_t)call->out_row;
#pragma GCC unroll 16
  for (int v = 0; v < parts; ++v) {
    const int channel = place->channel + v * LANES;
    const tile_scale scale = tile_make_scale(call, place->sample, channel);
#pragma GCC unroll 16
    for (int p = 0; p < np; ++p) {
      tile_end(call, &scale, channel, first_met(lo - p * step), end_met(last - p * step, taps),
               sums[p * parts + v], out + (ptrdiff_t)p * call->out_row + channel);
    }
  }
}

// All positions of one sample and group; the last tile goes back to end where the positions end.
// With `trims`, tiles at the ends leave the padding out; without, they multiply its zeros.
TILE_INLINE void tile_positions(const int np, const int nb, const int taps, const int step,
                                const bool trims, const dpc_conv_call* call, tile_place place,
                                const tile_weight* weights) {
  const int edge = taps / 2;  // rows of padding that an end usually meets
  for (int p = 0; p < call->positions; p += np) {
    place.at = p + np <= call->positions ? p : call->positions - np;
    place.row = call->first + place.at * step;
    const int over = place.row + (np - 1) * step + taps - call->rows;
    const bool starts = trims && place.row == -edge, ends = trims && over == edge;
    if (starts && ends) {
      tile(np, nb, taps, step, edge, edge, call, &place, weights);
    } else if (starts) {
      tile(np, nb, taps, step, edge, 0, call, &place, weights);
    } else if (ends) {
      tile(np, nb, taps, step, 0, edge, call, &place, weights);
    } else {
      tile(np, nb, taps, step, 0, 0, call, &place, weights);
    }
  }
}

// One group, all samples: the weights come from memory for the first one only.
TILE_INLINE void tile_samples(const int np, const int nb, const int taps, const int step,
                              const bool trims, const dpc_conv_call* call, int channel,
                              const tile_weight* weights) {
  for (int s = 0; s < call->samples; ++s) {
    const tile_place place = {.sample = s, .channel = channel};
    tile_positions(np, nb, taps, step, trims, call, place, weights);
  }
}

// With sanitizers the constants' many copies would take minutes to compile.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { TILE_HAS_CONSTANTS = false };
#else
enum { TILE_HAS_CONSTANTS = true };
#endif

// The convolutions that a network is made of by constants, any other by variables.
TILE_INLINE void tile_taps(const int np, const int nb, const dpc_conv_call* call, int channel,
                           const tile_weight* weights) {
  const int taps = call->taps, step = call->step;
  const bool trims = np >= 4;
  if (!TILE_HAS_CONSTANTS) {
    tile_samples(np, nb, taps, step, false, call, channel, weights);
  } else if (taps == 5 && step == 1) {
    tile_samples(np, nb, 5, 1, trims, call, channel, weights);
  } else if (taps == 3 && step == 1) {
    tile_samples(np, nb, 3, 1, trims, call, channel, weights);
  } else if (taps == 3 && step == 2) {
    tile_samples(np, nb, 3, 2, trims, call, channel, weights);
  } else if (taps == 2 && step == 1) {
    tile_samples(np, nb, 2, 1, trims, call, channel, weights);
  } else if (taps == 1) {
    tile_samples(np, nb, 1, step, false, call, channel, weights);
  } else {
    tile_samples(np, nb, taps, step, false, call, channel, weights);
  }
}

// A group narrower than the others, at the end of odd numbers of channels: without constants, but for
// the network's last layer, which has few outputs.
TILE_INLINE void tile_rest(const int np, const int nb, const dpc_conv_call* call, int channel,
                           const tile_weight* weights) {
  if (TILE_HAS_CONSTANTS && call->taps == 1) {
    tile_samples(np, nb, 1, call->step, false, call, channel, weights);
  } else {
    tile_samples(np, nb, call->taps, call->step, false, call, channel, weights);
  }
}

#define TILE_GROUPS(name, NP, NB)                                                          \
  static void name(const dpc_conv_call* call, int nb, int channel, const tile_weight* w) { \
    if (nb == NB) {                                                                        \
      tile_taps(NP, NB, call, channel, w);                                                 \
    } else if (NB > 2 && nb == 2) {                                                        \
      tile_rest(NP, 2, call, channel, w);                                                  \
    } else {                                                                               \
      tile_rest(NP, 1, call, channel, w);                                                  \
    }                                                                                      \
  }
TILE_GROUPS(tile_one, 1, TILE_FEW)
TILE_GROUPS(tile_two, 2, TILE_FEW)
TILE_GROUPS(tile_four, 4, TILE_FEW)
TILE_GROUPS(tile_many, TILE_MANY_POSITIONS, TILE_MANY)
#undef TILE_GROUPS

// Blocks of a group, as kernels.h's group().
static int tile_group(int positions) {
  return positions >= TILE_MANY_POSITIONS ? TILE_MANY : TILE_FEW;
}

static void tile_conv(const dpc_conv_call* call, const tile_weight* weights) {
  const int most = tile_group(call->positions);
  const ptrdiff_t taps = (ptrdiff_t)call->taps * call->channels / TILE_PAIR;
  for (int b = 0; b < call->blocks;) {
    const int width = dpc_group_width(most, call->blocks - b), channel = b * DPC_LANES;
    if (call->positions >= TILE_MANY_POSITIONS) {
      tile_many(call, width, channel, weights);
    } else if (call->positions >= 4) {
      tile_four(call, width, channel, weights);
    } else if (call->positions >= 2) {
      tile_two(call, width, channel, weights);
    } else {
      tile_one(call, width, channel, weights);
    }
    weights += taps * width * DPC_LANES * TILE_PAIR;
    b += width;
  }
}
