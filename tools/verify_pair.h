/// A pair of files that `dpc verify` compares with: weights under the reference's names, and what the
/// reference implementation made of one batch with them.
#pragma once

#include "policy/safetensors.h"
#include "policy/train/optimizer.h"
#include "policy/unet.h"

typedef struct dpc_verify_pair {
  dpc_safetensors *weights, *io;  // open until dpc_verify_pair_close
  dpc_unet* unet;                 // from the metadata of the weights
  float* params;                  // [parameters]

  int batch;
  size_t size;                      // values of a batch of chunks
  float *sample, *target, *output;  // [batch][horizon][input_dim]
  float* timestep;                  // [batch]
  float* step_size;                 // [batch]; NULL: the network is not told
  float* cond;                      // [batch][global_cond_dim]
  double loss;                      // mean squared error of output against target

  dpc_adamw_def adamw;
  double lr;
  int steps;      // AdamW steps on this batch
  float* losses;  // [steps + 1], before each step and after the last
} dpc_verify_pair;

/// Open both files, make the network and read the batch. The message names file and tensor. Close
/// with dpc_verify_pair_close, also after a failure; `out` is zeroed by the caller.
/// Allocates: from the arena, and as dpc_safetensors_open. Blocks: on the disk. Thread: start-up only.
DPC_NODISCARD dpc_status dpc_verify_pair_open(const char* weights, const char* io, dpc_arena* arena,
                                              dpc_verify_pair* out, dpc_error* error);

/// Close the files; what is in the arena stays.
/// Allocates: no. Blocks: no. Thread: the pair's owner.
void dpc_verify_pair_close(dpc_verify_pair* pair);
