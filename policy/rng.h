/// Counter-based random numbers: Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as
/// easy as 1, 2, 3"). A number is a function of its key and its place, so the same key gives the
/// same noise on any thread, in any order, and nothing has a state to save.
#pragma once

#include "policy/base.h"

/// The two seeds that everything random in a run depends on.
typedef struct dpc_rng_key {
  uint32_t run;
  uint32_t episode;
} dpc_rng_key;

/// Who draws. Two streams never share a number. Values are part of what "same bits" means.
typedef enum dpc_stream {
  DPC_STREAM_POLICY_NOISE = 0,
  DPC_STREAM_TRAIN_NOISE = 1,
  DPC_STREAM_TRAIN_TIMESTEP = 2,
  DPC_STREAM_SHUFFLE = 3,
  DPC_STREAM_INIT = 4,
  DPC_STREAM_SPLIT = 5,
  DPC_STREAM_BOOTSTRAP = 6,
  DPC_STREAM_TEST = 7,
  DPC_STREAM_TRAIN_OBS_NOISE = 8,
  DPC_STREAM_TRAIN_PREFIX = 9,
  DPC_STREAM_TRAIN_SHORTCUT = 10,
} dpc_stream;

/// One Philox block: 128 random bits for counter (a, b, c, d), a being the lowest word.
/// Allocates: no. Blocks: no. Thread: any.
void dpc_rng_bits(dpc_rng_key key, uint32_t a, uint32_t b, uint32_t c, uint32_t d, uint32_t out[4]);

/// n standard normals (Box-Muller on 32-bit uniforms, in double, then rounded; |z| < 6.8). Element
/// i depends only on key, stream, plan, step and i, not on n. Allocates: no. Blocks: no. Thread:
/// any.
void dpc_rng_normal(dpc_rng_key key, uint32_t stream, uint32_t plan, uint32_t step, int n,
                    float* out);

/// n uniforms in (0, 1): the middles of 2^23 equal intervals. Element i depends only on key,
/// stream, plan, step and i, not on n.
/// Allocates: no. Blocks: no. Thread: any.
void dpc_rng_uniform(dpc_rng_key key, uint32_t stream, uint32_t plan, uint32_t step, int n,
                     float* out);

/// An integer in [0, bound), each equally likely (no modulo bias); bound >= 1. A function of key,
/// stream, plan, step and index.
/// Allocates: no. Blocks: no. Thread: any.
uint32_t dpc_rng_below(dpc_rng_key key, uint32_t stream, uint32_t plan, uint32_t step,
                       uint32_t index, uint32_t bound);

/// A random permutation of 0 .. n-1 (Fisher-Yates); `plan` numbers it, for example by epoch.
/// Allocates: no. Blocks: no. Thread: any.
void dpc_rng_permutation(dpc_rng_key key, uint32_t stream, uint32_t plan, int n, int* out);
