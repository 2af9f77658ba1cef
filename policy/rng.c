#include "policy/rng.h"

#include <Random123/philox.h>
#include <math.h>
#include <string.h>

void dpc_rng_bits(dpc_rng_key key, uint32_t a, uint32_t b, uint32_t c, uint32_t d,
                  uint32_t out[4]) {
  const philox4x32_ctr_t counter = {{a, b, c, d}};
  const philox4x32_key_t seeds = {{key.run, key.episode}};
  const philox4x32_ctr_t bits = philox4x32(counter, seeds);
  memcpy(out, bits.v, sizeof bits.v);
}

// Two normals from two words. The half keeps the logarithm's argument off 0 and the largest |z| at
// sqrt(-2 ln 2^-33) = 6.76.
static void box_muller(uint32_t first, uint32_t second, float out[2]) {
  const double full_turn = 6.283185307179586476925;
  const double radius = sqrt(-2.0 * log(((double)first + 0.5) * 0x1p-32));
  const double angle = ((double)second + 0.5) * 0x1p-32 * full_turn;
  out[0] = (float)(radius * cos(angle));
  out[1] = (float)(radius * sin(angle));
}

// A block gives four elements; the last one may be cut, which changes no element.
void dpc_rng_normal(dpc_rng_key key, uint32_t stream, uint32_t plan, uint32_t step, int n,
                    float* out) {
  for (int i = 0; i < n; i += 4) {
    uint32_t bits[4];
    float normals[4];
    dpc_rng_bits(key, (uint32_t)i / 4, step, plan, stream, bits);
    box_muller(bits[0], bits[1], normals);
    box_muller(bits[2], bits[3], normals + 2);
    memcpy(out + i, normals, sizeof(float) * (size_t)(n - i < 4 ? n - i : 4));
  }
}

void dpc_rng_uniform(dpc_rng_key key, uint32_t stream, uint32_t plan, uint32_t step, int n,
                     float* out) {
  for (int i = 0; i < n; i += 4) {
    uint32_t bits[4];
    dpc_rng_bits(key, (uint32_t)i / 4, step, plan, stream, bits);
    for (int j = 0; j < 4 && i + j < n; ++j) {
      // 23 bits and a half fit a float exactly, so neither 0 nor 1 can come out
      out[i + j] = ((float)(bits[j] >> 9) + 0.5f) * 0x1p-23f;
    }
  }
}

// Lemire 2019, "Fast random integer generation in an interval": the high word of word * bound, the
// word refused when the low one falls into the uneven rest. A refused word is rare; further ones
// come from streams that nobody else has.
uint32_t dpc_rng_below(dpc_rng_key key, uint32_t stream, uint32_t plan, uint32_t step,
                       uint32_t index, uint32_t bound) {
  DPC_ASSERT(bound >= 1);
  const uint32_t rest = (0u - bound) % bound;  // 2^32 mod bound
  for (uint32_t attempt = 0;; ++attempt) {
    uint32_t bits[4];
    dpc_rng_bits(key, index, step, plan, stream + (attempt << 8), bits);
    for (int i = 0; i < 4; ++i) {
      const uint64_t product = (uint64_t)bits[i] * bound;
      if ((uint32_t)product >= rest) return (uint32_t)(product >> 32);
    }
  }
}

void dpc_rng_permutation(dpc_rng_key key, uint32_t stream, uint32_t plan, int n, int* out) {
  for (int i = 0; i < n; ++i) out[i] = i;
  for (int i = n - 1; i > 0; --i) {
    const uint32_t j = dpc_rng_below(key, stream, plan, 0, (uint32_t)i, (uint32_t)i + 1);
    const int kept = out[i];
    out[i] = out[j];
    out[j] = kept;
  }
}
