#include "policy/train/dataset.h"

#include <math.h>
#include <string.h>

#include "policy/train/dataset_fit.h"
#include "policy/train/split.h"

// --- settings -----------------------------------------------------------------------------------

static const dpc_field fields[] = {
    DPC_TEXT(dpc_dataset_def, path, "", "folder of recorded episodes"),
    DPC_TEXT_LIST(dpc_dataset_def, obs, "[keypoint, agent_pos]",
                  "observation signals: NAME[a:b] as NEW in UNIT scale HOW hold, all but NAME "
                  "optional; HOW is limits, gaussian, none or LOW:HIGH"),
    DPC_TEXT_LIST(dpc_dataset_def, action, "[action]",
                  "action signals: NAME[a:b] as NEW in UNIT tracks OBSERVATION relative scale HOW"),
    DPC_REAL(dpc_dataset_def, rate, "0", 0, 100000, "Hz",
             "rate that is learned and acted at; 0 = as recorded"),
    DPC_REAL(dpc_dataset_def, val_ratio, "0.02", 0, 0.9, "",
             "share of episodes for validation, images with their originals"),
    DPC_INT(dpc_dataset_def, max_train_episodes, "0", 0, 1000000, "episodes",
            "train on no more than this many; 0 = all"),
    DPC_UINT64(dpc_dataset_def, seed, "42", "which episodes are for validation"),
};
DPC_FIELD_TABLE(dpc_dataset_fields, dpc_dataset_def, "dataset", "What is learned from.", fields);

dpc_dataset_def dpc_dataset_def_default(void) {
  dpc_dataset_def def;
  dpc_fields_default(&dpc_dataset_fields, &def);
  return def;
}

dpc_status dpc_dataset_def_check(const dpc_dataset_def* def, dpc_error* error) {
  return dpc_fields_check(&dpc_dataset_fields, def, error);
}

// --- windows ------------------------------------------------------------------------------------

// First rows run from pad_before rows early to where the last row is pad_after rows late.
static int windows_in(const dpc_window_def* def, int length) {
  const int count = length - def->horizon + (def->n_actions - 1) + (def->n_obs - 1) + 1;
  return count > 0 ? count : 0;
}

// `first_rows` has the first row of each of the source's episodes.
static dpc_status list_windows(const dpc_dataset* dataset, const dpc_episode_source* source,
                               const int64_t* first_rows, const int* episodes, int count,
                               dpc_arena* arena, dpc_window_list* out, dpc_error* error) {
  int64_t windows = 0;
  dpc_window_list list = {.episode_count = count,
                          .episodes = DPC_TAKE(arena, dpc_dataset_episode, count)};
  if (list.episodes == NULL) return dpc_arena_full(arena, "the windows of the dataset", error);
  for (int i = 0; i < count; ++i) {
    const int number = episodes[i];
    const int rows = dpc_resampling_rows(&dataset->resampling, source->lengths[number]);
    list.episodes[i] = (dpc_dataset_episode){number, first_rows[number], rows, (int)windows};
    windows += windows_in(&dataset->window, rows);
    if (windows > INT32_MAX / 2) {
      return dpc_fail(error, DPC_ERR_UNSUPPORTED, "more than 2^30 windows");
    }
  }
  list.count = (int)windows;
  *out = list;
  return DPC_OK;
}

static dpc_status list_all_windows(const dpc_dataset_def* def, const dpc_episode_source* source,
                                   dpc_arena* arena, dpc_dataset* dataset, dpc_error* error) {
  dpc_split split;
  DPC_TRY(dpc_split_make(def, source->episode_count, source->groups, arena, &split, error));
  int64_t* first_rows = DPC_TAKE(arena, int64_t, source->episode_count);
  if (first_rows == NULL) return dpc_arena_full(arena, "the list of episodes", error);
  for (int i = 1; i < source->episode_count; ++i) {
    first_rows[i] = first_rows[i - 1] + source->lengths[i - 1];
  }
  DPC_TRY(list_windows(dataset, source, first_rows, split.episodes, split.train_count, arena,
                       &dataset->train, error));
  DPC_TRY(list_windows(dataset, source, first_rows, split.episodes + split.train_count,
                       split.val_count, arena, &dataset->validation, error));
  if (dataset->train.count > 0) return DPC_OK;
  return dpc_fail(error, DPC_ERR_INVALID,
                  "no training episode is long enough for a window of %d steps",
                  dataset->window.horizon);
}

// --- create -------------------------------------------------------------------------------------

static dpc_status check_source(const dpc_window_def* window, const dpc_episode_source* source,
                               dpc_error* error) {
  DPC_ASSERT(window->n_obs >= 1 && window->n_actions >= 1 && window->horizon >= window->n_obs);
  DPC_ASSERT(source->obs_dim == dpc_layout_dim(&source->interface.obs));
  DPC_ASSERT(source->action_dim == dpc_layout_dim(&source->interface.action));
  if (source->episode_count == 0) {
    return dpc_fail(error, DPC_ERR_INVALID, "the dataset has no episodes");
  }
  for (int i = 0; i < source->episode_count; ++i) {
    if (source->lengths[i] < 1) return dpc_fail(error, DPC_ERR_INVALID, "episode %d is empty", i);
    if (source->lengths[i] > INT32_MAX / 2) {
      return dpc_fail(error, DPC_ERR_UNSUPPORTED, "episode %d has more than 2^30 steps", i);
    }
  }
  return DPC_OK;
}

static dpc_status select_relative(dpc_dataset* dataset, dpc_error* error) {
  for (int i = 0; i < dataset->obs.layout.count; ++i) {
    if (!dataset->obs.relative[i]) continue;
    return dpc_fail(error, DPC_ERR_CONFIG, "dataset.obs: '%s': only actions can be relative",
                    dataset->obs.layout.signals[i].name);
  }
  for (int i = 0; i < dataset->action.layout.count; ++i) {
    if (!dataset->action.relative[i]) continue;
    const dpc_status status = dpc_relative_add(&dataset->relative, &dataset->interface, i, error);
    if (status != DPC_OK) return dpc_fail_prefix(error, DPC_ERR_CONFIG, "dataset.action: ");
  }
  return DPC_OK;
}

// What is selected, at which rate.
static dpc_status select_signals(const dpc_dataset_def* def, const dpc_episode_source* source,
                                 dpc_dataset* dataset, dpc_error* error) {
  dpc_selection *obs = &dataset->obs, *action = &dataset->action;
  const int64_t recorded = source->interface.period_ns;
  const int64_t period = def->rate > 0 ? llround(1e9 / def->rate) : recorded;
  DPC_TRY(dpc_selection_make("dataset.obs", &def->obs, &source->interface.obs, obs, error));
  DPC_TRY(
      dpc_selection_make("dataset.action", &def->action, &source->interface.action, action, error));
  dpc_selection_drop_tracks(&def->action, obs, action);
  dataset->interface =
      (dpc_interface){.obs = obs->layout, .action = action->layout, .period_ns = period};
  dpc_status status = dpc_interface_check(&dataset->interface, error);
  if (status != DPC_OK) return dpc_fail_prefix(error, DPC_ERR_CONFIG, "dataset: ");
  status = dpc_resampling_make(recorded, period, &dataset->resampling, error);
  if (status != DPC_OK) return dpc_fail_prefix(error, status, "dataset.rate: ");
  return select_relative(dataset, error);
}

dpc_status dpc_dataset_create(const dpc_dataset_def* def, const dpc_window_def* window,
                              const dpc_episode_source* source, dpc_arena* arena, dpc_dataset** out,
                              dpc_error* error) {
  DPC_TRY(dpc_dataset_def_check(def, error));
  DPC_TRY(check_source(window, source, error));
  dpc_dataset* dataset = DPC_TAKE(arena, dpc_dataset, 1);
  if (dataset == NULL) return dpc_arena_full(arena, "the dataset", error);
  *dataset = (dpc_dataset){.window = *window,
                           .recorded_obs = source->obs,
                           .recorded_action = source->action,
                           .recorded_obs_dim = source->obs_dim,
                           .recorded_action_dim = source->action_dim};
  DPC_TRY(select_signals(def, source, dataset, error));
  memcpy(dataset->sha256, source->sha256, sizeof dataset->sha256);
  dataset->obs_dim = dpc_layout_dim(&dataset->interface.obs);
  dataset->action_dim = dpc_layout_dim(&dataset->interface.action);
  DPC_TRY(list_all_windows(def, source, arena, dataset, error));
  DPC_TRY(dpc_dataset_fit(dataset, arena, error));
  *out = dataset;
  return DPC_OK;
}

void dpc_dataset_renormalize(dpc_dataset* dataset, const dpc_normalizer* obs,
                             const dpc_normalizer* action) {
  DPC_ASSERT(obs->dim == dataset->obs_dim && action->dim == dataset->action_dim);
  dataset->obs_normalizer = *obs;
  dataset->action_normalizer = *action;
}
