/// Windows of recorded episodes: what one training sample is made of.
///
/// A window is `horizon` consecutive rows of one episode. Its actions are the chunk, its first
/// `n_obs` observations the condition, so row 0 belongs to the oldest observation. Windows begin up
/// to n_obs - 1 rows before an episode and end up to n_actions - 1 rows after it; rows outside
/// repeat the episode's first or last one.
///
/// Nothing of the recording is copied: a window is resampled, made relative and normalised when it is
/// read, so the recording may be a mapped file that is larger than memory.
#pragma once

#include "policy/arena.h"
#include "policy/field.h"
#include "policy/layout.h"
#include "policy/normalizer.h"
#include "policy/relative.h"
#include "policy/train/resample.h"
#include "policy/train/selection.h"

/// Recorded episodes as plain arrays, one row per step, one episode after the other. The arrays are
/// the caller's, and `obs` and `action` are used as long as the dataset is.
typedef struct dpc_episode_source {
  int episode_count;
  const int* lengths;  // rows of each episode
  const int*
      groups;  // [episode_count], equal for episodes that are one another's image and so must
               // not be on both sides of the split; NULL when there are none
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
  double rate;           // Hz; 0 = as recorded
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

/// An episode's place in the recording, and how many rows and windows it has at the policy's rate.
typedef struct dpc_dataset_episode {
  int number;         // in the recording
  int64_t first_row;  // in the recording
  int rows;           // >= 1
  int first_window;   // in its list
} dpc_dataset_episode;

/// The windows of some episodes, one episode after the other.
typedef struct dpc_window_list {
  int count;
  int episode_count;
  dpc_dataset_episode* episodes;  // [episode_count]
} dpc_window_list;

/// One window: rows first .. first + horizon - 1 of an episode.
typedef struct dpc_window {
  const dpc_dataset_episode* episode;
  int first;  // may lie before row 0, as others may lie behind the last
} dpc_window;

/// Selected episodes with their windows; const after create.
typedef struct dpc_dataset {
  dpc_interface interface;  // what was selected, at the policy's period
  dpc_relative relative;    // which actions are
  dpc_window_def window;
  int obs_dim, action_dim;
  dpc_selection obs, action;
  dpc_resampling resampling;
  const float *recorded_obs, *recorded_action;  // the source's
  int recorded_obs_dim, recorded_action_dim;
  dpc_normalizer obs_normalizer, action_normalizer;  // fitted to the training episodes
  double action_reach;                               // largest normalised action among them
  dpc_window_list train, validation;
  char sha256[65];
} dpc_dataset;

/// Select, split by episode as `dpc_split_make`, count the windows, fit the normalisers to the training
/// episodes: those of relative actions to the chunks of their windows, the others to the rows. Returns DPC_ERR_CONFIG, DPC_ERR_NOT_FOUND or DPC_ERR_MISMATCH as
/// `dpc_selection_make`; DPC_ERR_INVALID for a recording without windows or with a value that is not
/// finite (episode, step and column are named); DPC_ERR_NO_MEMORY.
/// Allocates: from the arena. Blocks: no. Thread: start-up only.
DPC_NODISCARD dpc_status dpc_dataset_create(const dpc_dataset_def* def,
                                            const dpc_window_def* window,
                                            const dpc_episode_source* source, dpc_arena* arena,
                                            dpc_dataset** out, dpc_error* error);

/// Normalise with given normalisers, a teacher's, instead of those that were fitted. The dims must be
/// the dataset's; what they point to must outlive it.
/// Allocates: no. Blocks: no. Thread: start-up only.
void dpc_dataset_renormalize(dpc_dataset* dataset, const dpc_normalizer* obs,
                             const dpc_normalizer* action);

/// Window `index` of a list.
/// Allocates: no. Blocks: no. Thread: any.
dpc_window dpc_dataset_window(const dpc_dataset* dataset, const dpc_window_list* list, int index);

/// Read row `row` of an episode, selected and at the policy's rate, in physical units: `obs` [obs_dim]
/// and `action` [action_dim], absolute.
/// Allocates: no. Blocks: as dpc_dataset_read. Thread: any.
void dpc_dataset_read_row(const dpc_dataset* dataset, const dpc_dataset_episode* episode, int row,
                          float* obs, float* action);

/// Read one window in physical units; relative actions are relative.
/// Allocates: no. Blocks: as dpc_dataset_read. Thread: any.
void dpc_dataset_read_physical(const dpc_dataset* dataset, const dpc_window* window, float* cond,
                               float* chunk);

/// Read one window: `cond` [n_obs x obs_dim] and `chunk` [horizon x action_dim], normalised.
/// Allocates: no. Blocks: disk, where a mapped recording is not in memory. Thread: any.
void dpc_dataset_read(const dpc_dataset* dataset, const dpc_window* window, float* cond,
                      float* chunk);
