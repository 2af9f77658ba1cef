/// The networks that a benchmark measures: a policy's own, or one of a given size with random
/// weights.
#pragma once

#include "policy/policy.h"

typedef enum dpc_bench_size {
  DPC_BENCH_SMALL,   // channels of the levels: 64, 128, 256; the bundled policy's
  DPC_BENCH_MEDIUM,  // 128, 256, 512
  DPC_BENCH_LARGE,   // 256, 512, 1024
} dpc_bench_size;

/// Names of the sizes, in order; ends with NULL.
extern const char* const dpc_bench_size_names[];

typedef struct dpc_bench_network {
  const char* size;
  dpc_checkpoint_info info;
  dpc_unet* unet;
  float* params;
} dpc_bench_network;

/// Load a policy's network, which is then called small. Errors are those of dpc_checkpoint_load.
/// Allocates: from the arena; heap and mmap, given back. Blocks: disk. Thread: start-up only.
DPC_NODISCARD dpc_status dpc_bench_network_load(const char* path, dpc_arena* arena,
                                                dpc_bench_network* out, dpc_error* error);

/// Make one with random weights: a chunk of 16 rows of 2 values, from 40 values of observations.
/// Allocates: from the arena. Blocks: no. Thread: start-up only.
DPC_NODISCARD dpc_status dpc_bench_network_draw(dpc_bench_size size, dpc_arena* arena,
                                                dpc_bench_network* out, dpc_error* error);
