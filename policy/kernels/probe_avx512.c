// AVX-512: 32 registers of 16 floats.
#define PROBE_BYTES 64
#define PROBE_SUMS  24
#include "policy/kernels/probe_loops.h"

const dpc_probe dpc_probe_avx512 = {.multiply_adds = multiply_adds,
                                    .multiply_adds_bf16 = multiply_adds,
                                    .multiply_adds_int8 = multiply_adds,
                                    .read = read_all};
