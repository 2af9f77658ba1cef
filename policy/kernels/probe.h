/// What a processor could do at best, per instruction set: multiply-adds in registers, and reading
/// memory from first to last. The limits that the kernels' times are compared with.
#pragma once

#include "policy/base.h"

typedef struct dpc_probe {
  // Multiply-adds on sums that stay in registers, `rounds` times what fits into them. Returns how
  // many there were; `sum` is what they made.
  double (*multiply_adds)(int64_t rounds, float* sum);
  double (*multiply_adds_bf16)(int64_t rounds, float* sum);  // as the kernels do them in bfloat16
  double (*multiply_adds_int8)(int64_t rounds, float* sum);  // and in whole numbers
  // Read `size` bytes, a multiple of 4096 that begins on a multiple of 64, as one stream or as four
  // that take turns. Returns the exclusive or of all, folded into 64 bits.
  uint64_t (*read)(const void* from, size_t size, int streams);
} dpc_probe;

/// The probe for the kernels of that name (dpc_engine_info.isa); they must run on this machine.
/// Allocates: no. Blocks: no. Thread: any.
const dpc_probe* dpc_probe_of(const char* isa);
