/// The U-Net packed for inference: the same function as dpc_unet_forward, several times faster
/// (policy/unet.h is its oracle).
///
/// Weights are packed once, in the order and layout in which the kernels read them. What does not
/// change is not computed again: FiLM's linear layer acts on mish([embedded timestep, observations]),
/// so its part of each timestep is a table made at start, and its part of the observations is
/// computed once per chunk; the timestep's network never runs in the loop. A step size
/// (dpc_unet_def) is known at start as well, and costs nothing.
///
/// A step reads all weights and does little with each, so it is a stream through memory: samples
/// that are denoised together share one, and threads that share a step have each a part of it. Neither
/// changes a bit of the results.
///
/// The engine is const and shared by threads; whoever evaluates it has a work area of his own.
#pragma once

#include "policy/team.h"
#include "policy/unet.h"

typedef enum dpc_precision {
  DPC_PRECISION_AUTO,  // bf16 where the processor has fast dot products of it, else fp32
  DPC_PRECISION_FP32,  // all of it; weights that are bfloat16 anyway stream as such
  DPC_PRECISION_BF16,  // weights rounded to bfloat16; what they multiply too, where the processor has
                       // dot products of it; sums in fp32
  DPC_PRECISION_INT8,  // weights and what they multiply rounded to 255 whole numbers, of a unit for
                       // each output channel and for each input; sums are exact
} dpc_precision;

/// Names of the precisions, in order; ends with NULL. For DPC_CHOICE.
extern const char* const dpc_precision_names[];

typedef struct dpc_engine_def {
  int precision;  // dpc_precision
  int threads;    // that share a step
} dpc_engine_def;

/// Section "engine".
extern const dpc_field_table dpc_engine_fields;

/// Defaults of the field table.
/// Allocates: no. Blocks: no. Thread: any.
dpc_engine_def dpc_engine_def_default(void);

/// Ranges of all fields. DPC_ERR_CONFIG names the field.
/// Allocates: no. Blocks: no. Thread: any.
DPC_NODISCARD dpc_status dpc_engine_def_check(const dpc_engine_def* def, dpc_error* error);

typedef struct dpc_engine dpc_engine;
typedef struct dpc_engine_work dpc_engine_work;

/// What an engine is made of.
typedef struct dpc_engine_info {
  const char* isa;        // of the kernels
  const char* precision;  // "fp32", "bf16" or "int8"
  int threads;
  size_t weight_bytes;  // read per step
  double macs;          // multiply-adds per step, without those that meet padding
} dpc_engine_info;

/// Pack the network's parameters, [dpc_unet_param_count], for this machine or for what DPC_ISA
/// names. `unet` and `params` are kept and must outlive the engine. DPC_ERR_CONFIG,
/// DPC_ERR_NO_MEMORY.
/// Allocates: from the arena. Blocks: no. Thread: start-up only.
DPC_NODISCARD dpc_status dpc_engine_create(const dpc_engine_def* def, const dpc_unet* unet,
                                           const float* params, dpc_arena* arena, dpc_engine** out,
                                           dpc_error* error);

/// What it is made of.
/// Allocates: no. Blocks: no. Thread: any.
dpc_engine_info dpc_engine_describe(const dpc_engine* engine);

/// Make a work area for the `count` timesteps of a sampler's grid, with their step sizes, and for up
/// to `samples_max` samples at once. `step_sizes` may be NULL, as in dpc_unet_forward. It has the
/// threads that help its owner (policy/team.h). dpc_gemm_start comes before.
/// Allocates: from the arena; thread stacks when there is more than one. Blocks: no. Thread: start-up
/// only.
DPC_NODISCARD dpc_status dpc_engine_work_create(const dpc_engine* engine, const float* timesteps,
                                                const float* step_sizes, int count, int samples_max,
                                                dpc_arena* arena, dpc_engine_work** out,
                                                dpc_error* error);

/// Stop the work area's threads; the memory is the arena's. NULL is left alone.
/// Allocates: no. Blocks: until they have ended. Thread: the work area's owner.
void dpc_engine_work_destroy(dpc_engine_work* work);

/// Take in the observations of `samples` chunks: cond [samples][global_cond_dim], normalised. From
/// now until dpc_engine_rest the work area's threads wait actively.
/// Allocates: no. Blocks: no. Thread: the work area's owner.
void dpc_engine_observe(const dpc_engine* engine, dpc_engine_work* work, int samples,
                        const float* cond);

/// Mark the first `rows` rows of sample `at` as settled and the others as free, until the next call;
/// a new work area has none settled. Only for a network with a mask (dpc_unet_def).
/// Allocates: no. Blocks: no. Thread: the work area's owner.
void dpc_engine_settle(const dpc_engine* engine, dpc_engine_work* work, int at, int rows);

/// Predict at timestep `i` of the grid: sample and out are [samples][horizon][input_dim], those of
/// dpc_engine_observe; a mask is dpc_engine_settle's. Same inputs, same build, same instruction set: same bits, however many samples
/// and threads. Fixed work: with one thread on x86-64, the same number of instructions whatever the
/// values, and no system call (tests/test_fixed_work.c).
/// Allocates: no. Blocks: no. Thread: the work area's owner.
void dpc_engine_step(const dpc_engine* engine, dpc_engine_work* work, int i, int samples,
                     const float* sample, float* out);

/// Let the work area's threads sleep until the next dpc_engine_observe.
/// Allocates: no. Blocks: no. Thread: the work area's owner.
void dpc_engine_rest(dpc_engine_work* work);

/// Only the element-wise part of step `i`, for one sample, on whatever the work area holds:
/// normalisation and what follows it, roundings. For measuring; what the step before it computed is
/// lost.
/// Allocates: no. Blocks: no. Thread: the work area's owner.
void dpc_engine_elementwise(const dpc_engine* engine, dpc_engine_work* work, int i);
