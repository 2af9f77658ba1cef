#include "sim/push_reset.h"

#include <math.h>

// --- MT19937 (Matsumoto & Nishimura 1998) --------------------------------------------------------

enum { LENGTH = 624, SHIFT = 397 };

typedef struct twister {
  uint32_t words[LENGTH];
  int next;
} twister;

static void twister_seed(twister* t, uint32_t seed) {
  t->words[0] = seed;
  for (int i = 1; i < LENGTH; ++i) {
    const uint32_t before = t->words[i - 1];
    t->words[i] = 1812433253U * (before ^ (before >> 30)) + (uint32_t)i;
  }
  t->next = LENGTH;
}

static void twister_refill(twister* t) {
  for (int i = 0; i < LENGTH; ++i) {
    const uint32_t joined =
        (t->words[i] & 0x80000000U) | (t->words[(i + 1) % LENGTH] & 0x7fffffffU);
    t->words[i] = t->words[(i + SHIFT) % LENGTH] ^ (joined >> 1) ^ (joined & 1 ? 0x9908b0dfU : 0);
  }
  t->next = 0;
}

static uint32_t twister_bits(twister* t) {
  if (t->next == LENGTH) twister_refill(t);
  uint32_t bits = t->words[t->next++];
  bits ^= bits >> 11;
  bits ^= (bits << 7) & 0x9d2c5680U;
  bits ^= (bits << 15) & 0xefc60000U;
  return bits ^ (bits >> 18);
}

// --- numpy's legacy distributions over it --------------------------------------------------------

// An integer in [low, high): bits under a mask, drawn again until they are in range.
static double legacy_randint(twister* t, uint32_t low, uint32_t high) {
  const uint32_t range = high - 1 - low;
  uint32_t mask = range;
  for (int shift = 1; shift < 32; shift *= 2) mask |= mask >> shift;
  uint32_t drawn = 0;
  do {
    drawn = twister_bits(t) & mask;
  } while (drawn > range);
  return low + drawn;
}

// A double in [0, 1) with 53 random bits.
static double legacy_double(twister* t) {
  const uint32_t high = twister_bits(t) >> 5, low = twister_bits(t) >> 6;
  return ((double)high * 67108864.0 + (double)low) / 9007199254740992.0;
}

// A standard normal by Marsaglia's polar method. The generator keeps the pair's first number for
// its next call and returns the second.
static double legacy_gauss(twister* t) {
  double x = 0, y = 0, square = 0;
  do {
    x = 2.0 * legacy_double(t) - 1.0;
    y = 2.0 * legacy_double(t) - 1.0;
    square = x * x + y * y;
  } while (square >= 1.0 || square == 0.0);
  return y * sqrt(-2.0 * log(square) / square);
}

dpc_push_state dpc_push_reset_state(uint32_t seed) {
  twister t;
  dpc_push_state state;
  twister_seed(&t, seed);
  state.agent_x = legacy_randint(&t, 50, 450);
  state.agent_y = legacy_randint(&t, 50, 450);
  state.block_x = legacy_randint(&t, 100, 400);
  state.block_y = legacy_randint(&t, 100, 400);
  state.block_angle = legacy_gauss(&t) * 2 * M_PI - M_PI;
  return state;
}
