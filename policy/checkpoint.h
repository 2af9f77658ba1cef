/// A trained policy in one .safetensors file: weights under the reference implementation's names,
/// and everything needed to run them as metadata. `dpc inspect` shows it; any safetensors reader
/// opens it.
#pragma once

#include "policy/layout.h"
#include "policy/metadata.h"
#include "policy/normalizer.h"
#include "policy/relative.h"
#include "policy/safetensors.h"
#include "policy/sampler.h"
#include "policy/schedule.h"
#include "policy/sha256.h"
#include "policy/unet.h"

/// Newest version of the metadata that this code knows. A policy is written as the oldest that has all
/// it needs, so that older programs refuse only what they would get wrong: 2 has relative actions.
#define DPC_CHECKPOINT_FORMAT 2

/// The entry for `prefix_max`, named like the setting of training; missing where it is 0.
#define DPC_CHECKPOINT_PREFIX_MAX "train.prefix_max"

/// The same for `shortcut_steps`.
#define DPC_CHECKPOINT_SHORTCUT_STEPS "train.shortcut_steps"

typedef struct dpc_policy_def {
  int n_obs;      // observation rows that condition the policy
  int n_actions;  // rows of a chunk that are executed before the next plan
} dpc_policy_def;

/// Section "policy".
extern const dpc_field_table dpc_policy_fields;

/// Defaults of the field table: 2 observations, 8 actions.
/// Allocates: no. Blocks: no. Thread: any.
dpc_policy_def dpc_policy_def_default(void);

/// Ranges of all fields. DPC_ERR_CONFIG names the field.
/// Allocates: no. Blocks: no. Thread: any.
DPC_NODISCARD dpc_status dpc_policy_def_check(const dpc_policy_def* def, dpc_error* error);

/// What a checkpoint says besides its weights.
typedef struct dpc_checkpoint_info {
  dpc_policy_def policy;
  // input_dim = action dim, global_cond_dim = n_obs * observation dim, mask_dim = prefix_max > 0,
  // step_size_dim = shortcut_steps > 0
  dpc_unet_def unet;
  dpc_schedule_def schedule;
  dpc_sampler_def sampler;  // the default for acting; a run may choose another
  dpc_interface interface;
  dpc_relative relative;                 // which actions the network makes relative
  dpc_normalizer obs_normalizer;         // [observation dim]
  dpc_normalizer action_normalizer;      // [action dim]
  char dataset_sha256[DPC_SHA256_TEXT];  // what it learned from; "" = unknown
  int prefix_max;  // settled rows that it was trained to go on from, at most; 0: not trained for it
  int shortcut_steps;  // finest steps that its shortcuts are made of; 0: it has none
  char weights_sha256[DPC_SHA256_TEXT];  // of the file it was read from; "" = it does not say
} dpc_checkpoint_info;

/// Every section by itself, then together: interface sound, dims of interface, network and
/// normalisers agree, horizon divisible by 2^(levels - 1), n_actions <= horizon - n_obs + 1,
/// sampler steps <= schedule steps. DPC_ERR_CONFIG or DPC_ERR_INVALID says what does not fit.
/// Allocates: no. Blocks: no. Thread: any.
DPC_NODISCARD dpc_status dpc_checkpoint_info_check(const dpc_checkpoint_info* info,
                                                   dpc_error* error);

/// That a policy with these `shortcut_steps` can be sampled so: a power of two, or 0; and shortcut only
/// with one that has at least twice as many steps. DPC_ERR_CONFIG names the setting.
/// Allocates: no. Blocks: no. Thread: any.
DPC_NODISCARD dpc_status dpc_checkpoint_shortcut_check(int shortcut_steps,
                                                       const dpc_sampler_def* sampler,
                                                       dpc_error* error);

/// Add all of `info` to a list of metadata, with "format", "dpc_format" and "dpc_version"; at most
/// DPC_CHECKPOINT_ENTRIES entries. A trainer's own file carries the same; `prefix_max` and
/// `shortcut_steps` are among its settings already, and left to dpc_checkpoint_save.
/// Allocates: from the list's arena. Blocks: no. Thread: the arena's owner.
void dpc_checkpoint_info_add(const dpc_checkpoint_info* info, dpc_metadata* metadata);

enum { DPC_CHECKPOINT_ENTRIES = 64 };

/// Read and check `info` from the metadata of an opened file; normalisers are taken from the arena.
/// DPC_ERR_FORMAT names file, entry and reason.
/// Allocates: from the arena; jansson's heap. Blocks: no. Thread: start-up only.
DPC_NODISCARD dpc_status dpc_checkpoint_info_read(const dpc_safetensors* file, dpc_arena* arena,
                                                  dpc_checkpoint_info* info, dpc_error* error);

/// Save a checkpoint; see `dpc_safetensors_save` for what happens on failure. `params` is the
/// network's flat block; `bf16` halves the file by rounding weights to bfloat16. `notes` are
/// further metadata
/// ("train.steps", ...) whose keys must not be those of settings; NULL when there are none.
/// Allocates: yes (mmap, jansson). Blocks: disk. Thread: any.
DPC_NODISCARD dpc_status dpc_checkpoint_save(const char* path, const dpc_checkpoint_info* info,
                                             const dpc_unet* unet, const float* params, bool bf16,
                                             const dpc_metadata_entry* notes, int note_count,
                                             dpc_error* error);

/// Load a checkpoint: settings, network plan and weights ([dpc_unet_param_count]), all in the
/// arena. The file is closed again. Refused: an unknown format version, a setting that is missing,
/// unknown or out of range, a tensor that is missing, unknown, of another shape or not finite, data
/// that do not match the file's SHA-256. The message names file and entry. Outputs are untouched on
/// failure and the arena is as it was. Allocates: from the arena; mmap and jansson's heap, both
/// given back. Blocks: disk. Thread: start-up only.
DPC_NODISCARD dpc_status dpc_checkpoint_load(const char* path, dpc_arena* arena,
                                             dpc_checkpoint_info* info, dpc_unet** unet,
                                             float** params, dpc_error* error);

/// Read the weights of `unet` from tensors named `prefix` + the reference name ("" for a
/// checkpoint) into `params`. DPC_ERR_FORMAT, DPC_ERR_NOT_FOUND or DPC_ERR_INVALID names file and
/// tensor. Allocates: from the scratch arena, given back. Blocks: disk. Thread: any.
DPC_NODISCARD dpc_status dpc_checkpoint_read_weights(const dpc_safetensors* file,
                                                     const char* prefix, const dpc_unet* unet,
                                                     dpc_arena* scratch, float* params,
                                                     dpc_error* error);
