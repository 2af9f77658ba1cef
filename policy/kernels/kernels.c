#include "policy/kernels/kernels.h"

#include <stdlib.h>
#include <string.h>
#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(__aarch64__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

#include "policy/kernels/kernel_tables.h"

static const char* const names[DPC_ISA_COUNT] = {
    "generic", "avx2", "avx2_vnni", "avx512", "avx512_vnni", "avx512_bf16", "neon", "neon_dot"};

static const dpc_kernels* const tables[DPC_ISA_COUNT] = {
    [DPC_ISA_GENERIC] = &dpc_kernels_generic,
#if defined(__x86_64__)
    [DPC_ISA_AVX2] = &dpc_kernels_avx2,
    [DPC_ISA_AVX2_VNNI] = &dpc_kernels_avx2_vnni,
    [DPC_ISA_AVX512] = &dpc_kernels_avx512,
    [DPC_ISA_AVX512_VNNI] = &dpc_kernels_avx512_vnni,
    [DPC_ISA_AVX512_BF16] = &dpc_kernels_avx512_bf16,
#elif defined(__aarch64__)
    [DPC_ISA_NEON] = &dpc_kernels_neon,
    [DPC_ISA_NEON_DOT] = &dpc_kernels_neon_dot,
#endif
};

#if defined(__x86_64__)
// Not every compiler knows it by name.
static bool has_avx_vnni(void) {
  enum { LEAF = 7, SUBLEAF = 1, AVX_VNNI = 1 << 4 };
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  return __get_cpuid_count(LEAF, SUBLEAF, &eax, &ebx, &ecx, &edx) == 1 && (eax & AVX_VNNI) != 0;
}

static bool runs(dpc_isa isa) {
  __builtin_cpu_init();
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") &&
                      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512vl");
  switch (isa) {
    case DPC_ISA_AVX2:
      return avx2;
    case DPC_ISA_AVX2_VNNI:
      return avx2 && has_avx_vnni();
    case DPC_ISA_AVX512:
      return avx512;
    case DPC_ISA_AVX512_VNNI:
      return avx512 && __builtin_cpu_supports("avx512vnni");
    case DPC_ISA_AVX512_BF16:
      return avx512 && __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512bf16");
    default:
      return true;
  }
}

// Dot products of bfloat16 multiply twice as much as fp32 does on AMD's processors, but half as much on
// Intel's (measured on its fifth Xeon generation).
static bool is_fast(dpc_isa isa) {
  return isa != DPC_ISA_AVX512_BF16 || __builtin_cpu_is("amd");
}
#else
// NEON is there wherever it is compiled for.
static bool runs(dpc_isa isa) {
#if defined(__aarch64__)
  if (isa == DPC_ISA_NEON_DOT) return (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0;
#endif
  return isa < DPC_ISA_COUNT;
}

static bool is_fast(dpc_isa isa) {
  return isa < DPC_ISA_COUNT;
}
#endif

const dpc_kernels* dpc_kernels_of(dpc_isa isa) {
  return tables[isa] != NULL && runs(isa) ? tables[isa] : NULL;
}

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
                  "DPC_ISA: '%s' is not one of generic, avx2, avx2_vnni, avx512, avx512_vnni, "
                  "avx512_bf16, neon, neon_dot",
                  name);
}

dpc_status dpc_kernels_pick(const dpc_kernels** out, dpc_error* error) {
  const char* name = getenv("DPC_ISA");
  if (name != NULL && name[0] != '\0') return pick_named(name, out, error);
  for (int isa = DPC_ISA_COUNT - 1; isa >= 0; --isa) {
    const dpc_kernels* kernels = dpc_kernels_of((dpc_isa)isa);
    if (kernels == NULL || !is_fast((dpc_isa)isa)) continue;
    *out = kernels;
    break;
  }
  return DPC_OK;
}
