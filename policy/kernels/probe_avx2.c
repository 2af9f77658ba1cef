// AVX2: 16 registers of 8 floats.
#define PROBE_BYTES 32
#define PROBE_SUMS  12
#include "policy/kernels/probe_loops.h"

const dpc_probe dpc_probe_avx2 = {.multiply_adds = multiply_adds,
                                  .multiply_adds_bf16 = multiply_adds,
                                  .multiply_adds_int8 = multiply_adds,
                                  .read = read_all};
