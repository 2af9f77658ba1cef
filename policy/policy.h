/// FRONT DOOR: load a trained policy, and act with it.
///
/// The policy is const and shared by threads; each thread has its own work area. Acting denoises
/// one chunk of future actions from Gaussian noise, conditioned on the newest observations.
#pragma once

#include "policy/checkpoint.h"
#include "policy/engine.h"
#include "policy/rng.h"

/// Weights, schedule, normalisers and layouts; const after load.
typedef struct dpc_policy dpc_policy;

/// What one thread needs to act: sampler, activations, buffers.
typedef struct dpc_policy_work dpc_policy_work;

/// Load a checkpoint; errors are those of `dpc_checkpoint_load`.
/// Allocates: from the arena; mmap and jansson's heap, both given back. Blocks: disk. Thread:
/// start-up only.
DPC_NODISCARD dpc_status dpc_policy_load(const char* path, dpc_arena* arena, dpc_policy** out,
                                         dpc_error* error);

/// The same with settings of the engine; dpc_policy_load takes the defaults.
/// Allocates: from the arena; mmap and jansson's heap, both given back. Blocks: disk. Thread:
/// start-up only.
DPC_NODISCARD dpc_status dpc_policy_load_for(const char* path, const dpc_engine_def* engine,
                                             dpc_arena* arena, dpc_policy** out, dpc_error* error);

/// A policy of what is in memory already: `info`, and parameters of `unet`, which has info's settings.
/// What `info` points to, `unet` and `params` are kept and must outlive the policy. DPC_ERR_CONFIG,
/// DPC_ERR_NO_MEMORY.
/// Allocates: from the arena. Blocks: no. Thread: start-up only.
DPC_NODISCARD dpc_status dpc_policy_create(const dpc_checkpoint_info* info, const dpc_unet* unet,
                                           const float* params, const dpc_engine_def* engine,
                                           dpc_arena* arena, dpc_policy** out, dpc_error* error);

/// The packed network.
/// Allocates: no. Blocks: no. Thread: any.
const dpc_engine* dpc_policy_engine(const dpc_policy* policy);

/// What the checkpoint says.
/// Allocates: no. Blocks: no. Thread: any.
const dpc_checkpoint_info* dpc_policy_info(const dpc_policy* policy);

/// Make a work area with the checkpoint's sampler, or with `sampler` when it is not NULL, for up to
/// `chunks_max` chunks at once. DPC_ERR_CONFIG when the sampler does not fit the schedule,
/// DPC_ERR_NO_MEMORY. Its threads, where the engine's settings ask for some, are started here.
/// Allocates: from the arena; thread stacks. Blocks: no. Thread: start-up only.
DPC_NODISCARD dpc_status dpc_policy_work_create(const dpc_policy* policy,
                                                const dpc_sampler_def* sampler, int chunks_max,
                                                dpc_arena* arena, dpc_policy_work** out,
                                                dpc_error* error);

/// Stop the work area's threads; the memory is the arena's. NULL is left alone.
/// Allocates: no. Blocks: until they have ended. Thread: the work area's owner.
void dpc_policy_work_destroy(dpc_policy_work* work);

/// From now on draw chunks towards their settled rows and those behind (policy/guide.h) instead of
/// holding them, with the plain network: for comparison, as it takes many times as long. DPC_ERR_CONFIG
/// for a policy that was trained to go on from settled rows, and for shortcuts; DPC_ERR_NO_MEMORY.
/// Allocates: from the arena. Blocks: no. Thread: start-up only.
DPC_NODISCARD dpc_status dpc_policy_guide(const dpc_policy* policy, dpc_policy_work* work,
                                          dpc_arena* arena, dpc_error* error);

/// Evaluations of the network per chunk: the sampler's steps, with heun 2 K - 1.
/// Allocates: no. Blocks: no. Thread: any.
int dpc_policy_steps(const dpc_policy_work* work);

/// Make one chunk.
///
/// obs    [n_obs x observation dim], physical units, oldest row first
/// key    run and episode seed; with `plan`, the plan's number, it fixes the noise
/// chunk  out, [horizon x action dim], physical units, absolute also where the network's actions are
///        relative; row 0 belongs to the oldest observation
///
/// Returns DPC_ERR_INVALID for an observation, or a result, that is not finite and names the value;
/// `chunk` is then untouched. Same inputs, same build, same CPU type: same bits.
/// Allocates: no. Blocks: no. Thread: the work area's owner.
DPC_NODISCARD dpc_status dpc_policy_act(const dpc_policy* policy, dpc_policy_work* work,
                                        const float* obs, dpc_rng_key key, uint32_t plan,
                                        float* chunk, dpc_error* error);

/// One of several chunks that are made together; all as in dpc_policy_act, and with rows that are
/// settled: the chunk begins with them, to the bit, and the others go on from them
/// (policy/settled.h). A policy that was trained for it (dpc_checkpoint_info's prefix_max) is told
/// so, and has not learned what to do with more of them than that.
typedef struct dpc_policy_query {
  const float* obs;
  float* chunk;
  dpc_rng_key key;
  uint32_t plan;
  int fixed_count;  // leading rows of the chunk that are settled, at most the horizon; 0: none
  int near_count;   // rows behind those that the chunk is to stay near; 0 without dpc_policy_guide
  const float* fixed;  // [(fixed_count + near_count) x action dim], physical units; kept until
                       // dpc_policy_finish
  dpc_status status;   // out, of this one
} dpc_policy_query;

/// Make `count` chunks in one pass over the weights per step: for several robots, or simulated ones.
/// Each has the bits that dpc_policy_act gives it, and one that fails does not touch the others.
/// Returns the first failure's status, with its words.
/// Allocates: no. Blocks: no. Thread: the work area's owner.
DPC_NODISCARD dpc_status dpc_policy_act_together(const dpc_policy* policy, dpc_policy_work* work,
                                                 int count, dpc_policy_query* queries,
                                                 dpc_error* error);

// --- the parts of acting, for measuring and for other loops over the same steps ------------------

/// Take the observations in and draw each chunk's starting noise; sets each query's status. From now
/// until dpc_policy_finish the work area's threads wait actively.
/// Allocates: no. Blocks: no. Thread: the work area's owner.
DPC_NODISCARD dpc_status dpc_policy_begin(const dpc_policy* policy, dpc_policy_work* work,
                                          int count, dpc_policy_query* queries, dpc_error* error);

/// Step i of dpc_policy_steps: one evaluation of the network and one update of each chunk.
/// Allocates: no. Blocks: no. Thread: the work area's owner.
void dpc_policy_denoise(const dpc_policy* policy, dpc_policy_work* work, int i);

/// Turn the denoised chunks into physical units; a query's chunk is untouched when it is not finite,
/// or when the query had failed. It may be called after any step, to look at chunks on their way, and
/// denoising goes on as if it had not been.
/// Allocates: no. Blocks: no. Thread: the work area's owner.
DPC_NODISCARD dpc_status dpc_policy_finish(const dpc_policy* policy, dpc_policy_work* work,
                                           dpc_policy_query* queries, dpc_error* error);

/// Only what step i does element by element (see dpc_engine_elementwise); the chunk in hand stays.
/// Allocates: no. Blocks: no. Thread: the work area's owner.
void dpc_policy_elementwise(const dpc_policy* policy, dpc_policy_work* work, int i);
