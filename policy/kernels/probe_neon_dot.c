// NEON with dot products: as NEON, and those of whole numbers.
#include <arm_neon.h>

#define PROBE_TABLE dpc_probe_neon_dot
#define PROBE_BYTES 16
#define PROBE_SUMS  24
#define PROBE_INT8(sum, ones) \
  (wholes) vdotq_s32((int32x4_t)(sum), (int8x16_t)(ones), (int8x16_t)(ones))
#define PROBE_PER_LANE 4
#include "policy/kernels/probe_loops.h"
