#include "policy/kernels/kernels.h"

#include <stdlib.h>
#include <string.h>

#include "policy/kernels/kernel_tables.h"

static const char* const names[DPC_ISA_COUNT] = {"generic", "avx2", "avx512", "avx512_bf16"};

#if defined(__x86_64__)
static bool runs(dpc_isa isa) {
  __builtin_cpu_init();
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") &&
                      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512vl");
  switch (isa) {
    case DPC_ISA_AVX2:
      return avx2;
    case DPC_ISA_AVX512:
      return avx512;
    case DPC_ISA_AVX512_BF16:
      return avx512 && __builtin_cpu_supports("avx512bf16") && __builtin_cpu_supports("avx512vnni");
    default:
      return true;
  }
}

const dpc_kernels* dpc_kernels_of(dpc_isa isa) {
  static const dpc_kernels* const tables[DPC_ISA_COUNT] = {
      &dpc_kernels_generic, &dpc_kernels_avx2, &dpc_kernels_avx512, &dpc_kernels_avx512_bf16};
  return runs(isa) ? tables[isa] : NULL;
}
#else
const dpc_kernels* dpc_kernels_of(dpc_isa isa) {
  return isa == DPC_ISA_GENERIC ? &dpc_kernels_generic : NULL;
}
#endif

static dpc_status pick_named(const char* name, const dpc_kernels** out, dpc_error* error) {
  for (int isa = 0; isa < DPC_ISA_COUNT; ++isa) {
    if (strcmp(name, names[isa]) != 0) continue;
    const dpc_kernels* kernels = dpc_kernels_of((dpc_isa)isa);
    if (kernels == NULL) {
      return dpc_fail(error, DPC_ERR_CONFIG, "DPC_ISA: this machine does not support '%s'", name);
    }
    *out = kernels;
    return DPC_OK;
  }
  return dpc_fail(error, DPC_ERR_CONFIG,
                  "DPC_ISA: '%s' is not one of generic, avx2, avx512, avx512_bf16", name);
}

dpc_status dpc_kernels_pick(const dpc_kernels** out, dpc_error* error) {
  const char* name = getenv("DPC_ISA");
  if (name != NULL && name[0] != '\0') return pick_named(name, out, error);
  for (int isa = DPC_ISA_COUNT - 1; isa >= 0; --isa) {
    const dpc_kernels* kernels = dpc_kernels_of((dpc_isa)isa);
    if (kernels == NULL) continue;
    *out = kernels;
    break;
  }
  return DPC_OK;
}
