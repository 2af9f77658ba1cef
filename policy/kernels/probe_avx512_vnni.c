// AVX-512 with VNNI: as AVX-512, and dot products of whole numbers.
#include <immintrin.h>

#define PROBE_TABLE dpc_probe_avx512_vnni
#define PROBE_BYTES 64
#define PROBE_SUMS  24
#define PROBE_INT8(sum, ones) \
  (wholes) _mm512_dpbusd_epi32((__m512i)(sum), (__m512i)(ones), (__m512i)(ones))
#define PROBE_PER_LANE 4
#include "policy/kernels/probe_loops.h"
