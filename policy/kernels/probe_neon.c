// NEON: 32 registers of 4 floats.
#include <arm_neon.h>

#define PROBE_TABLE           dpc_probe_neon
#define PROBE_BYTES           16
#define PROBE_SUMS            24
#define PROBE_INT8(sum, ones) (wholes) add_products((int32x4_t)(sum), (int8x16_t)(ones))
#define PROBE_PER_LANE        4

// Of the sum itself: what does not change would be multiplied once.
static inline int32x4_t add_products(int32x4_t sum, int8x16_t ones) {
  const int8x16_t factors = vreinterpretq_s8_s32(sum);
  const int16x8_t low = vmull_s8(vget_low_s8(factors), vget_low_s8(ones));
  return vpadalq_s16(sum, vpaddq_s16(low, vmull_high_s8(factors, ones)));
}

#include "policy/kernels/probe_loops.h"
