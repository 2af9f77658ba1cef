#include "policy/train/dataset.h"

#include <math.h>
#include <string.h>

#include "policy/rng.h"
#include "policy/train/selection.h"

// --- settings -----------------------------------------------------------------------------------

static const dpc_field fields[] = {
    DPC_TEXT(dpc_dataset_def, path, "", "folder of recorded episodes"),
    DPC_TEXT_LIST(dpc_dataset_def, obs, "[keypoint, agent_pos]",
                  "observation signals: NAME[a:b] as NEW in UNIT, all but NAME optional"),
    DPC_TEXT_LIST(dpc_dataset_def, action, "[action]",
                  "action signals: NAME[a:b] as NEW in UNIT tracks OBSERVATION"),
    DPC_REAL(dpc_dataset_def, val_ratio, "0.02", 0, 0.9, "", "share of episodes for validation"),
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

// --- split --------------------------------------------------------------------------------------

// The recording's episodes in the order they are kept in: training first, then validation.
typedef struct split {
  int* episodes;   // [train_count + val_count], indices into the source
  int* first_row;  // [episode_count], of each of the source's episodes
  int train_count, val_count;
  int rows;  // of the episodes that are kept
} split;

static int validation_count(const dpc_dataset_def* def, int episodes) {
  if (def->val_ratio <= 0 || episodes < 2) return 0;
  const int count = (int)lround(def->val_ratio * episodes);
  if (count < 1) return 1;
  return count < episodes ? count : episodes - 1;
}

static dpc_status split_episodes(const dpc_dataset_def* def, const dpc_episode_source* source,
                                 dpc_arena* arena, split* out, dpc_error* error) {
  const int count = source->episode_count;
  out->episodes = DPC_TAKE(arena, int, count * 2);
  out->first_row = DPC_TAKE(arena, int, count);
  if (out->episodes == NULL || out->first_row == NULL) {
    return dpc_arena_full(arena, "the list of episodes", error);
  }

  // the drawn order: validation from its front, training from what follows
  int* drawn = out->episodes + count;
  const dpc_rng_key key = {(uint32_t)def->seed, (uint32_t)(def->seed >> 32)};
  dpc_rng_permutation(key, DPC_STREAM_SPLIT, 0, count, drawn);
  out->val_count = validation_count(def, count);
  out->train_count = count - out->val_count;
  const int limit = def->max_train_episodes;
  if (limit > 0 && limit < out->train_count) out->train_count = limit;
  for (int i = 0; i < out->train_count; ++i) out->episodes[i] = drawn[out->val_count + i];
  for (int i = 0; i < out->val_count; ++i) out->episodes[out->train_count + i] = drawn[i];

  int row = 0;
  for (int i = 0; i < count; ++i) {
    out->first_row[i] = row;
    row += source->lengths[i];
  }
  out->rows = 0;
  for (int i = 0; i < out->train_count + out->val_count; ++i) {
    out->rows += source->lengths[out->episodes[i]];
  }
  return DPC_OK;
}

// --- rows ---------------------------------------------------------------------------------------

static dpc_status check_finite(const char* what, const float* row, int dim, int episode, int step,
                               dpc_error* error) {
  for (int i = 0; i < dim; ++i) {
    if (isfinite(row[i])) continue;
    return dpc_fail(error, DPC_ERR_INVALID, "episode %d, step %d: %s value %d is not finite",
                    episode, step, what, i);
  }
  return DPC_OK;
}

// Copy the selected columns of every kept episode, one after the other.
static dpc_status select_rows(const split* parts, const dpc_episode_source* source,
                              const dpc_selection* obs, const dpc_selection* action,
                              dpc_dataset* dataset, dpc_error* error) {
  float* to_obs = dataset->obs;
  float* to_action = dataset->action;
  for (int i = 0; i < parts->train_count + parts->val_count; ++i) {
    const int episode = parts->episodes[i];
    for (int step = 0; step < source->lengths[episode]; ++step) {
      const size_t row = (size_t)parts->first_row[episode] + (size_t)step;
      dpc_selection_apply(obs, source->obs + row * (size_t)source->obs_dim, to_obs);
      dpc_selection_apply(action, source->action + row * (size_t)source->action_dim, to_action);
      DPC_TRY(check_finite("observation", to_obs, dataset->obs_dim, episode, step, error));
      DPC_TRY(check_finite("action", to_action, dataset->action_dim, episode, step, error));
      to_obs += dataset->obs_dim;
      to_action += dataset->action_dim;
    }
  }
  return DPC_OK;
}

static dpc_status normalize(dpc_dataset* dataset, int rows, dpc_arena* arena, dpc_error* error) {
  DPC_TRY(dpc_normalizer_fit(DPC_NORMALIZER_LIMITS, dataset->obs, dataset->train_rows,
                             dataset->obs_dim, arena, &dataset->obs_normalizer, error));
  DPC_TRY(dpc_normalizer_fit(DPC_NORMALIZER_LIMITS, dataset->action, dataset->train_rows,
                             dataset->action_dim, arena, &dataset->action_normalizer, error));
  dpc_normalizer_apply(&dataset->obs_normalizer, dataset->obs, rows, dataset->obs);
  dpc_normalizer_apply(&dataset->action_normalizer, dataset->action, rows, dataset->action);
  return DPC_OK;
}

// --- windows ------------------------------------------------------------------------------------

// First rows run from pad_before rows early to where the last row is pad_after rows late.
static int windows_in(const dpc_window_def* def, int length) {
  const int count = length - def->horizon + (def->n_actions - 1) + (def->n_obs - 1) + 1;
  return count > 0 ? count : 0;
}

static dpc_status list_windows(const dpc_window_def* def, const int* episodes, int episode_count,
                               const int* lengths, int begin, dpc_arena* arena,
                               dpc_window_list* list, dpc_error* error) {
  int count = 0;
  for (int i = 0; i < episode_count; ++i) count += windows_in(def, lengths[episodes[i]]);
  list->windows = DPC_TAKE(arena, dpc_window, count);
  if (list->windows == NULL) return dpc_arena_full(arena, "the windows of the dataset", error);
  for (int i = 0; i < episode_count; ++i) {
    const int end = begin + lengths[episodes[i]];
    for (int k = 0; k < windows_in(def, lengths[episodes[i]]); ++k) {
      list->windows[list->count++] = (dpc_window){begin - (def->n_obs - 1) + k, begin, end};
    }
    begin = end;
  }
  return DPC_OK;
}

// --- create and read ----------------------------------------------------------------------------

static dpc_status check_source(const dpc_window_def* window, const dpc_episode_source* source,
                               dpc_error* error) {
  DPC_ASSERT(window->n_obs >= 1 && window->n_actions >= 1 && window->horizon >= window->n_obs);
  DPC_ASSERT(source->obs_dim == dpc_layout_dim(&source->interface.obs));
  DPC_ASSERT(source->action_dim == dpc_layout_dim(&source->interface.action));
  int64_t rows = 0;
  for (int i = 0; i < source->episode_count; ++i) {
    if (source->lengths[i] < 1) return dpc_fail(error, DPC_ERR_INVALID, "episode %d is empty", i);
    rows += source->lengths[i];
  }
  if (rows > INT32_MAX / 2) return dpc_fail(error, DPC_ERR_UNSUPPORTED, "more than 2^30 steps");
  if (rows == 0) return dpc_fail(error, DPC_ERR_INVALID, "the dataset has no episodes");
  return DPC_OK;
}

static dpc_status select_signals(const dpc_dataset_def* def, const dpc_episode_source* source,
                                 dpc_selection* obs, dpc_selection* action,
                                 dpc_interface* interface, dpc_error* error) {
  DPC_TRY(dpc_selection_make("dataset.obs", &def->obs, &source->interface.obs, obs, error));
  DPC_TRY(
      dpc_selection_make("dataset.action", &def->action, &source->interface.action, action, error));
  dpc_selection_drop_tracks(&def->action, obs, action);
  *interface = (dpc_interface){obs->layout, action->layout, source->interface.period_ns};
  const dpc_status status = dpc_interface_check(interface, error);
  return status == DPC_OK ? DPC_OK : dpc_fail_prefix(error, DPC_ERR_CONFIG, "dataset: ");
}

dpc_status dpc_dataset_create(const dpc_dataset_def* def, const dpc_window_def* window,
                              const dpc_episode_source* source, dpc_arena* arena, dpc_dataset** out,
                              dpc_error* error) {
  DPC_TRY(dpc_dataset_def_check(def, error));
  DPC_TRY(check_source(window, source, error));
  dpc_selection obs, action;
  dpc_dataset made = {.window = *window};
  DPC_TRY(select_signals(def, source, &obs, &action, &made.interface, error));
  memcpy(made.sha256, source->sha256, sizeof made.sha256);
  made.obs_dim = dpc_layout_dim(&obs.layout);
  made.action_dim = dpc_layout_dim(&action.layout);

  split parts = {0};
  DPC_TRY(split_episodes(def, source, arena, &parts, error));
  made.train_episodes = parts.train_count;
  made.val_episodes = parts.val_count;
  for (int i = 0; i < parts.train_count; ++i) made.train_rows += source->lengths[parts.episodes[i]];

  made.obs = DPC_TAKE(arena, float, (size_t)parts.rows*(size_t)made.obs_dim);
  made.action = DPC_TAKE(arena, float, (size_t)parts.rows*(size_t)made.action_dim);
  dpc_dataset* dataset = DPC_TAKE(arena, dpc_dataset, 1);
  if (made.obs == NULL || made.action == NULL || dataset == NULL) {
    return dpc_arena_full(arena, "the dataset's rows", error);
  }
  DPC_TRY(select_rows(&parts, source, &obs, &action, &made, error));
  DPC_TRY(normalize(&made, parts.rows, arena, error));

  const int* val_episodes = parts.episodes + parts.train_count;
  DPC_TRY(list_windows(window, parts.episodes, parts.train_count, source->lengths, 0, arena,
                       &made.train, error));
  DPC_TRY(list_windows(window, val_episodes, parts.val_count, source->lengths, made.train_rows,
                       arena, &made.validation, error));
  if (made.train.count == 0) {
    return dpc_fail(error, DPC_ERR_INVALID,
                    "no training episode is long enough for a window of %d steps", window->horizon);
  }
  *dataset = made;
  *out = dataset;
  return DPC_OK;
}

static int clamp(int row, const dpc_window* window) {
  if (row < window->begin) return window->begin;
  return row < window->end ? row : window->end - 1;
}

void dpc_dataset_read(const dpc_dataset* dataset, const dpc_window* window, float* cond,
                      float* chunk) {
  const size_t obs_dim = (size_t)dataset->obs_dim, action_dim = (size_t)dataset->action_dim;
  for (int k = 0; k < dataset->window.n_obs; ++k) {
    const size_t row = (size_t)clamp(window->first + k, window);
    memcpy(cond + (size_t)k * obs_dim, dataset->obs + row * obs_dim, sizeof(float) * obs_dim);
  }
  for (int k = 0; k < dataset->window.horizon; ++k) {
    const size_t row = (size_t)clamp(window->first + k, window);
    memcpy(chunk + (size_t)k * action_dim, dataset->action + row * action_dim,
           sizeof(float) * action_dim);
  }
}
