/// How far training has come: the step, the weights, their average and the optimiser's moments.
/// Shuffling, noise and timesteps are functions of seed and step, so that is all there is.
///
/// The file is a .safetensors like a policy's, with the reference tensor names behind "raw/",
/// "ema/", "m/" and "v/", and every setting in its metadata. It is complete by itself.
#pragma once

#include "policy/train/settings.h"

typedef struct dpc_trainer_state {
  int64_t step;   // updates made
  size_t count;   // parameters
  float* params;  // [count] in the network's own order, like all four
  float* ema;     // their moving average, what a policy runs with
  float* m;       // AdamW's mean of the gradients
  float* v;       // and of their squares
} dpc_trainer_state;

/// Take the four blocks, zeroed.
/// Allocates: from the arena. Blocks: no. Thread: start-up only.
DPC_NODISCARD dpc_status dpc_trainer_state_create(size_t count, dpc_arena* arena,
                                                  dpc_trainer_state* out, dpc_error* error);

/// Write the state under a temporary name and rename it, so `path` is the old file or the new one.
/// Returns DPC_ERR_IO with path and reason (a full disk, say); the old file is then still there.
/// Allocates: from the scratch arena, given back; and as `dpc_safetensors_save`. Blocks: disk.
/// Thread: the trainer's.
DPC_NODISCARD dpc_status dpc_trainer_state_save(const char* path, const dpc_trainer_state* state,
                                                const dpc_train_settings* settings,
                                                const dpc_checkpoint_info* info,
                                                const dpc_unet* unet, dpc_arena* scratch,
                                                dpc_error* error);

/// Read a state back. Returns DPC_ERR_MISMATCH when it was trained with other settings (named) or on
/// another dataset, and fails as `dpc_safetensors_open` for a damaged file.
/// Allocates: from the scratch arena, given back; mmap. Blocks: disk. Thread: the trainer's.
DPC_NODISCARD dpc_status dpc_trainer_state_load(const char* path,
                                                const dpc_train_settings* settings,
                                                const dpc_checkpoint_info* info,
                                                const dpc_unet* unet, dpc_arena* scratch,
                                                dpc_trainer_state* state, dpc_error* error);

/// Read only the settings of a state, to continue without a configuration file.
/// Allocates: mmap, given back. Blocks: disk. Thread: start-up only.
DPC_NODISCARD dpc_status dpc_trainer_state_settings(const char* path, dpc_train_settings* settings,
                                                    dpc_error* error);
