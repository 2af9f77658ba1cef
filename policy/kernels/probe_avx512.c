// AVX-512: 32 registers of 16 floats.
#include <immintrin.h>

#define PROBE_TABLE dpc_probe_avx512
#define PROBE_BYTES 64
#define PROBE_SUMS  24
// Of the sum itself: what does not change would be multiplied once.
#define PROBE_INT8(sum, ones) ((ones) + (wholes)_mm512_madd_epi16((__m512i)(sum), (__m512i)(ones)))
#define PROBE_PER_LANE        2
#include "policy/kernels/probe_loops.h"
