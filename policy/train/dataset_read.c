#include <math.h>
#include <string.h>

#include "policy/train/dataset.h"

// --- one row ------------------------------------------------------------------------------------

// The value of a full turn in this unit; 0 for what is not an angle.
static double turn_of(const char* unit) {
  if (strcmp(unit, "rad") == 0) return 2 * M_PI;
  return strcmp(unit, "deg") == 0 ? 360 : 0;
}

// Move a row of observations `fraction` of the way to the recorded one that comes next.
static void move_on(const dpc_selection* obs, const float* next, double fraction, float* row) {
  for (int s = 0; s < obs->layout.count; ++s) {
    const dpc_signal* signal = &obs->layout.signals[s];
    const double turn = turn_of(signal->unit);
    for (int i = 0; i < signal->dim && !obs->hold[s]; ++i) {
      row[i] = dpc_resampling_between(row[i], next[obs->columns[s] + i], fraction, turn);
    }
    row += signal->dim;
  }
}

// Row `row` of an episode at the policy's rate, selected, in physical units.
static void read_obs(const dpc_dataset* dataset, const dpc_dataset_episode* episode, int row,
                     float* out) {
  const dpc_resampling_place place = dpc_resampling_at(&dataset->resampling, row);
  const size_t at = (size_t)episode->first_row + (size_t)place.row;
  const float* recorded = dataset->recorded_obs + at * (size_t)dataset->recorded_obs_dim;
  dpc_selection_apply(&dataset->obs, recorded, out);
  if (place.fraction > 0) {
    move_on(&dataset->obs, recorded + dataset->recorded_obs_dim, place.fraction, out);
  }
}

// The action that was in force at that row: a command holds until the next one.
static void read_action(const dpc_dataset* dataset, const dpc_dataset_episode* episode, int row,
                        float* out) {
  const dpc_resampling_place place = dpc_resampling_at(&dataset->resampling, row);
  const size_t at = (size_t)episode->first_row + (size_t)place.row;
  dpc_selection_apply(&dataset->action,
                      dataset->recorded_action + at * (size_t)dataset->recorded_action_dim, out);
}

void dpc_dataset_read_row(const dpc_dataset* dataset, const dpc_dataset_episode* episode, int row,
                          float* obs, float* action) {
  read_obs(dataset, episode, row, obs);
  read_action(dataset, episode, row, action);
}

// --- one window ---------------------------------------------------------------------------------

dpc_window dpc_dataset_window(const dpc_dataset* dataset, const dpc_window_list* list, int index) {
  DPC_ASSERT(index >= 0 && index < list->count);
  // the last episode whose first window is not behind it
  int low = 0, high = list->episode_count - 1;
  while (low < high) {
    const int middle = high - (high - low) / 2;
    if (list->episodes[middle].first_window <= index) {
      low = middle;
    } else {
      high = middle - 1;
    }
  }
  const dpc_dataset_episode* episode = &list->episodes[low];
  return (dpc_window){episode, index - episode->first_window - (dataset->window.n_obs - 1)};
}

static int clamp(int row, const dpc_dataset_episode* episode) {
  if (row < 0) return 0;
  return row < episode->rows ? row : episode->rows - 1;
}

void dpc_dataset_read_physical(const dpc_dataset* dataset, const dpc_window* window, float* cond,
                               float* chunk) {
  const int n_obs = dataset->window.n_obs, horizon = dataset->window.horizon;
  for (int k = 0; k < n_obs; ++k) {
    read_obs(dataset, window->episode, clamp(window->first + k, window->episode),
             cond + (ptrdiff_t)k * dataset->obs_dim);
  }
  for (int k = 0; k < horizon; ++k) {
    read_action(dataset, window->episode, clamp(window->first + k, window->episode),
                chunk + (ptrdiff_t)k * dataset->action_dim);
  }
  const float* newest = cond + (ptrdiff_t)(n_obs - 1) * dataset->obs_dim;
  dpc_relative_from_absolute(&dataset->relative, newest, horizon, dataset->action_dim, chunk);
}

void dpc_dataset_read(const dpc_dataset* dataset, const dpc_window* window, float* cond,
                      float* chunk) {
  dpc_dataset_read_physical(dataset, window, cond, chunk);
  dpc_normalizer_apply(&dataset->obs_normalizer, cond, dataset->window.n_obs, cond);
  dpc_normalizer_apply(&dataset->action_normalizer, chunk, dataset->window.horizon, chunk);
}
