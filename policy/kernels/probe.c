#include "policy/kernels/probe.h"

// The generic probe is of what every compiler makes of plain C: vectors of 16 bytes.
#define PROBE_BYTES 16
#define PROBE_SUMS  12
#include "policy/kernels/probe_loops.h"

static const dpc_probe generic = {.multiply_adds = multiply_adds,
                                  .multiply_adds_bf16 = multiply_adds,
                                  .multiply_adds_int8 = multiply_adds,
                                  .read = read_all};

const dpc_probe* dpc_probe_of(const char* isa) {
#if defined(__x86_64__)
  static const struct {
    const char* isa;
    const dpc_probe* probe;
  } tables[] = {{"avx2", &dpc_probe_avx2},
                {"avx2_vnni", &dpc_probe_avx2_vnni},
                {"avx512", &dpc_probe_avx512},
                {"avx512_vnni", &dpc_probe_avx512_vnni},
                {"avx512_bf16", &dpc_probe_avx512_bf16}};
  for (int i = 0; i < DPC_COUNT(tables); ++i) {
    if (strcmp(isa, tables[i].isa) == 0) return tables[i].probe;
  }
#else
  (void)isa;
#endif
  return &generic;
}
