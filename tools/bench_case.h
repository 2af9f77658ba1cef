/// One configuration of a benchmark: a network at a precision, on an instruction set, in a number of
/// threads. It is measured in rounds, so that several configurations can take turns and noise hits
/// all of them alike.
///
/// After each chunk comes the control: arithmetic in registers alone that takes as long as a chunk.
/// What disturbs the control is the machine's doing, not the policy's.
#pragma once

#include "tools/bench_cpus.h"
#include "tools/bench_network.h"
#include "tools/bench_probe.h"

enum {
  DPC_BENCH_ROUND = 10,  // chunks timed in a round; the first one before that fills the caches
  DPC_BENCH_THREADS_MAX = DPC_TEAM_MAX,  // that the engine can use
};

typedef struct dpc_bench_def {
  const char* isa;  // one of dpc_kernels_of's
  int precision;    // dpc_precision
  int threads;      // at most DPC_BENCH_THREADS_MAX
  int runs;         // chunks, at least 1
  const dpc_sampler_def* sampler;
} dpc_bench_def;

/// What the kernel and the heap did during the chunks that were timed.
typedef struct dpc_disturbances {
  int64_t allocations, page_faults, context_switches;  // allocations: -1 where not counted
} dpc_disturbances;

typedef struct dpc_bench_case {
  const dpc_bench_network* network;
  dpc_engine_info engine;
  int threads, runs;
  int next;  // number of the next chunk
  dpc_policy* policy;
  dpc_policy_work* work;
  float *obs, *chunk;
  uint64_t control_count;  // turns of the control's loop
  dpc_samples step, whole, control, elementwise;
  dpc_disturbances during;
  dpc_bench_probe probe;
} dpc_bench_case;

/// What was found. Of `macs` multiply-adds and `weight_bytes` bytes per step, at the machine's best,
/// the slower one decides; the element-wise part comes on top.
typedef struct dpc_bench_result {
  const char* size;
  dpc_engine_info engine;
  int threads, steps;  // per chunk
  dpc_latency_summary step, chunk, control;
  dpc_disturbances during;
  double gflops, gbs;  // reached, by the median step
  dpc_bench_peaks peaks;
  double compute_us, read_us, elementwise_us;  // of a step
  double limit_us;
} dpc_bench_result;

/// Make one; `network` must outlive it. Sets the environment's DPC_ISA. DPC_ERR_CONFIG when the
/// sampler or the instruction set does not fit, DPC_ERR_NO_MEMORY. dpc_bench_case_end also after a
/// failure.
/// Allocates: from the arena, and mmap. Blocks: no. Thread: start-up only.
DPC_NODISCARD dpc_status dpc_bench_case_create(const dpc_bench_def* def,
                                               const dpc_bench_network* network,
                                               const dpc_cpus* cpus, dpc_arena* arena,
                                               dpc_bench_case* out, dpc_error* error);

/// Compute chunks that are not counted, and make the control as long as they were.
/// Allocates: no. Blocks: while it computes. Thread: the owner.
DPC_NODISCARD dpc_status dpc_bench_case_warm_up(dpc_bench_case* c, int chunks, dpc_error* error);

/// Time the next chunks, up to DPC_BENCH_ROUND of those that are left, and sample the limits.
/// Allocates: stacks of threads, given back. Blocks: while it computes. Thread: the owner.
DPC_NODISCARD dpc_status dpc_bench_case_round(dpc_bench_case* c, const dpc_cpus* cpus,
                                              dpc_error* error);

/// What was found.
/// Allocates: no. Blocks: no. Thread: the owner.
dpc_bench_result dpc_bench_case_result(dpc_bench_case* c);

/// Give back what is not the arena's.
/// Allocates: no. Blocks: no. Thread: the owner.
void dpc_bench_case_end(dpc_bench_case* c);
