// AVX2: 16 registers of 8 floats.
#include <immintrin.h>

#define PROBE_TABLE dpc_probe_avx2
#define PROBE_BYTES 32
#define PROBE_SUMS  12
// Of the sum itself: what does not change would be multiplied once.
#define PROBE_INT8(sum, ones) ((ones) + (wholes)_mm256_madd_epi16((__m256i)(sum), (__m256i)(ones)))
#define PROBE_PER_LANE        2
#include "policy/kernels/probe_loops.h"
