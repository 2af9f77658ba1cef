// AVX2 with AVX-VNNI: as AVX2, and dot products of whole numbers.
#include <immintrin.h>

#define PROBE_TABLE dpc_probe_avx2_vnni
#define PROBE_BYTES 32
#define PROBE_SUMS  12
#define PROBE_INT8(sum, ones) \
  (wholes) _mm256_dpbusd_avx_epi32((__m256i)(sum), (__m256i)(ones), (__m256i)(ones))
#define PROBE_PER_LANE 4
#include "policy/kernels/probe_loops.h"
