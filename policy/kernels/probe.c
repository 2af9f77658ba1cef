#include "policy/kernels/probe.h"

// The generic probe is of what every compiler makes of plain C: vectors of 16 bytes.
#define PROBE_BYTES 16
#define PROBE_SUMS  12
#include "policy/kernels/probe_loops.h"

static const dpc_probe generic = {.multiply_adds = multiply_adds,
                                  .multiply_adds_bf16 = multiply_adds,
                                  .multiply_adds_int8 = multiply_adds,
                                  .read = read_all};

static const struct {
  const char* isa;
  const dpc_probe* probe;
} probes[] = {
    {"generic", &generic},
#if defined(__x86_64__)
    {"avx2", &dpc_probe_avx2},
    {"avx2_vnni", &dpc_probe_avx2_vnni},
    {"avx512", &dpc_probe_avx512},
    {"avx512_vnni", &dpc_probe_avx512_vnni},
    {"avx512_bf16", &dpc_probe_avx512_bf16},
#elif defined(__aarch64__)
    {"neon", &dpc_probe_neon},
    {"neon_dot", &dpc_probe_neon_dot},
#endif
};

const dpc_probe* dpc_probe_of(const char* isa) {
  for (int i = 0; i < DPC_COUNT(probes); ++i) {
    if (strcmp(isa, probes[i].isa) == 0) return probes[i].probe;
  }
  return &generic;
}
