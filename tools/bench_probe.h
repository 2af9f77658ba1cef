/// What the machine could do at best with the work of one configuration: multiply-adds per second
/// in registers, and bytes per second out of a buffer as large as the weights. Sampled round by
/// round, beside the runs that it is compared with.
#pragma once

#include "policy/engine.h"
#include "policy/kernels/probe.h"
#include "tools/bench_samples.h"

enum { DPC_BENCH_PATTERNS = 2 };  // one stream, and four that take turns

typedef struct dpc_bench_probe {
  const dpc_probe* loops;
  double (*arithmetic)(int64_t rounds, float* sum);  // of the engine's precision
  int threads;
  dpc_arena memory;  // the buffer's own, for large pages
  char* buffer;
  size_t size;           // of the buffer, cut to what the loops read
  double multiply_adds;  // of a sample
  dpc_samples compute, read[DPC_BENCH_PATTERNS];
  volatile double seen;  // what the loops made, so that no compiler leaves them out
} dpc_bench_probe;

/// What it found; medians.
typedef struct dpc_bench_peaks {
  double gflops;  // two for each multiply-add; of one thread
  double gbs;     // 1e9 bytes per second, all threads together
  int streams;    // of the faster pattern: 1 or 4
} dpc_bench_peaks;

/// Make one for an engine that runs in `threads` threads, with room for `rounds` samples of each
/// kind; dpc_bench_probe_end gives its buffer back.
/// Allocates: from the arena, and mmap. Blocks: no. Thread: start-up only.
DPC_NODISCARD dpc_status dpc_bench_probe_create(const dpc_engine_info* engine, int threads,
                                                int rounds, dpc_arena* arena, dpc_bench_probe* out,
                                                dpc_error* error);

/// Take a sample of each.
/// Allocates: stacks of threads, given back. Blocks: until they end. Thread: the owner.
DPC_NODISCARD dpc_status dpc_bench_probe_round(dpc_bench_probe* probe, dpc_error* error);

/// What it found so far.
/// Allocates: no. Blocks: no. Thread: the owner.
dpc_bench_peaks dpc_bench_probe_peaks(dpc_bench_probe* probe);

/// Give the buffer back. An all-zero probe is left alone.
/// Allocates: no. Blocks: no. Thread: the owner.
void dpc_bench_probe_end(dpc_bench_probe* probe);
