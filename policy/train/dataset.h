/// Windows of recorded episodes: what one training sample is made of.
///
/// A window is `horizon` consecutive rows of one episode. Its actions are the chunk, its first
/// `n_obs` observations the condition, so row 0 belongs to the oldest observation. Windows begin up
/// to n_obs - 1 rows before an episode and end up to n_actions - 1 rows after it; rows outside
/// repeat the episode's first or last one.
#pragma once

#include "policy/arena.h"
#include "policy/field.h"
#include "policy/layout.h"
#include "policy/normalizer.h"

/// Recorded episodes as plain arrays, one row per step, one episode after the other. The arrays are
/// the caller's and are not used after `dpc_dataset_create`.
typedef struct dpc_episode_source {
  int episode_count;
  const int* lengths;  // rows of each episode
  int obs_dim, action_dim;
  const float* obs;         // [sum of lengths x obs_dim], physical units
  const float* action;      // [sum of lengths x action_dim], physical units
  dpc_interface interface;  // names, dims and units of those columns; period of a row
  char sha256[65];          // of the recording
} dpc_episode_source;

typedef struct dpc_dataset_def {
  char path[256];
  dpc_text_list obs;     // selection, see policy/train/selection.h
  dpc_text_list action;  // likewise
  double val_ratio;
  int max_train_episodes;
  uint64_t seed;
} dpc_dataset_def;

extern const dpc_field_table dpc_dataset_fields;  // section "dataset"

/// The defaults of the table.
/// Allocates: no. Blocks: no. Thread: any.
dpc_dataset_def dpc_dataset_def_default(void);

/// Returns DPC_ERR_CONFIG naming the first setting out of range.
/// Allocates: no. Blocks: no. Thread: any.
DPC_NODISCARD dpc_status dpc_dataset_def_check(const dpc_dataset_def* def, dpc_error* error);

/// The shape of a window.
typedef struct dpc_window_def {
  int horizon, n_obs, n_actions;
} dpc_window_def;

/// One window: rows first .. first + horizon - 1, clamped to [begin, end).
typedef struct dpc_window {
  int first;       // may lie before begin
  int begin, end;  // rows of the episode
} dpc_window;

typedef struct dpc_window_list {
  int count;
  dpc_window* windows;
} dpc_window_list;

/// Selected and normalised episodes with their windows; const after create.
typedef struct dpc_dataset {
  dpc_interface interface;  // what was selected
  dpc_window_def window;
  int obs_dim, action_dim;
  int train_episodes, val_episodes;
  int train_rows;                                    // rows of training episodes; they come first
  dpc_normalizer obs_normalizer, action_normalizer;  // fitted on the training episodes
  float* obs;                                        // [rows x obs_dim], normalised
  float* action;                                     // [rows x action_dim], normalised
  dpc_window_list train, validation;
  char sha256[65];
} dpc_dataset;

/// Select, split by episode, fit the normalisers to the training episodes, list the windows.
/// Validation takes round(val_ratio * episodes) episodes, at least one when val_ratio > 0 and there
/// are two, drawn by `def->seed`. Returns DPC_ERR_CONFIG, DPC_ERR_NOT_FOUND or DPC_ERR_MISMATCH as
/// `dpc_selection_make`; DPC_ERR_INVALID for a recording without windows or with a value that is not
/// finite (episode, row and column are named); DPC_ERR_NO_MEMORY.
/// Allocates: from the arena. Blocks: no. Thread: start-up only.
DPC_NODISCARD dpc_status dpc_dataset_create(const dpc_dataset_def* def,
                                            const dpc_window_def* window,
                                            const dpc_episode_source* source, dpc_arena* arena,
                                            dpc_dataset** out, dpc_error* error);

/// Copy one window: `cond` [n_obs x obs_dim] and `chunk` [horizon x action_dim], normalised.
/// Allocates: no. Blocks: no. Thread: any.
void dpc_dataset_read(const dpc_dataset* dataset, const dpc_window* window, float* cond,
                      float* chunk);
