/// Inside the probes: the loops, in vectors of PROBE_BYTES, as many sums as PROBE_SUMS. A file
/// defines both, includes this, and is compiled for its instruction set. Where the kernels have
/// instructions for whole numbers, it defines PROBE_INT8(sum, ones), which multiplies and adds
/// PROBE_PER_LANE of them in each lane. PROBE_TABLE is the name of what comes of it.
#pragma once

#include <string.h>

#include "policy/kernels/probe_tables.h"

enum { STREAMS = 4, FLOATS = PROBE_BYTES / sizeof(float) };
enum { READ_VECTORS = 256 / PROBE_BYTES };  // read from a stream at each turn

typedef float floats __attribute__((vector_size(PROBE_BYTES)));
typedef int32_t wholes __attribute__((vector_size(PROBE_BYTES)));
typedef uint64_t words __attribute__((vector_size(PROBE_BYTES)));

// Many sums, because a multiply-add takes several cycles and two begin in each.
static double multiply_adds(int64_t rounds, float* sum) {
  floats sums[PROBE_SUMS] = {0};
  const floats factor = (floats){0} + 0.5f, term = (floats){0} + 0.75f;
  // all different, and none at the point that stays, 1.5: or the compiler would see through it
  for (int i = 0; i < PROBE_SUMS; ++i) sums[i] += (float)i;
  for (int64_t round = 0; round < rounds; ++round) {
#pragma GCC unroll 32
    for (int i = 0; i < PROBE_SUMS; ++i) sums[i] = sums[i] * factor + term;
  }
  *sum = 0;
  for (int i = 0; i < PROBE_SUMS; ++i) *sum += sums[i][0];
  return (double)rounds * PROBE_SUMS * FLOATS;
}

#if defined(PROBE_INT8)
static double multiply_adds_int8(int64_t rounds, float* sum) {
  wholes sums[PROBE_SUMS] = {0};
  for (int i = 0; i < PROBE_SUMS; ++i) sums[i] += i;
  const wholes ones = (wholes){0} + 0x01010101;
  for (int64_t round = 0; round < rounds; ++round) {
#pragma GCC unroll 32
    for (int i = 0; i < PROBE_SUMS; ++i) sums[i] = PROBE_INT8(sums[i], ones);
  }
  *sum = 0;
  for (int i = 0; i < PROBE_SUMS; ++i) *sum += (float)sums[i][0];
  return (double)rounds * PROBE_SUMS * FLOATS * PROBE_PER_LANE;
}
#endif

static inline __attribute__((always_inline)) words read_streams(const char* from, size_t size,
                                                                int streams) {
  const size_t apart = size / (size_t)streams;
  words seen[READ_VECTORS] = {0};
  for (size_t at = 0; at < apart; at += sizeof seen) {
#pragma GCC unroll 4
    for (int s = 0; s < streams; ++s) {
      const words* vectors = (const words*)(from + at + apart * (size_t)s);
#pragma GCC unroll 16
      for (int i = 0; i < READ_VECTORS; ++i) seen[i] ^= vectors[i];
    }
  }
  words all = {0};
  for (int i = 0; i < READ_VECTORS; ++i) all ^= seen[i];
  return all;
}

static uint64_t read_all(const void* from, size_t size, int streams) {
  const words seen = streams == 1 ? read_streams(from, size, 1) : read_streams(from, size, STREAMS);
  uint64_t folded = 0;
  for (size_t i = 0; i < sizeof seen / sizeof folded; ++i) folded ^= seen[i];
  return folded;
}

#if defined(PROBE_TABLE)
const dpc_probe PROBE_TABLE = {.multiply_adds = multiply_adds,
                               .multiply_adds_bf16 = multiply_adds,
                               .multiply_adds_int8 = multiply_adds_int8,
                               .read = read_all};
#endif
