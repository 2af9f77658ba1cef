#include "policy/train/dataset_fit.h"

#include <math.h>

// What the normalisers are fitted to, and room for what is looked at.
typedef struct fitting {
  const dpc_dataset* dataset;
  dpc_spread *obs, *action;  // [dim]
  float *cond, *chunk;       // a window's; their first rows also hold a row
} fitting;

static dpc_status check_finite(const char* what, const float* row, int dim, int episode, int step,
                               dpc_error* error) {
  for (int i = 0; i < dim; ++i) {
    if (isfinite(row[i])) continue;
    return dpc_fail(error, DPC_ERR_INVALID, "episode %d, step %d: %s value %d is not finite",
                    episode, step, what, i);
  }
  return DPC_OK;
}

static void add_row(dpc_spread* spreads, const float* row, int dim) {
  for (int i = 0; i < dim; ++i) dpc_spread_add(&spreads[i], (double)row[i]);
}

// Every row of some episodes: checked, and taken in when they are learned from.
static dpc_status take_rows(const fitting* f, const dpc_window_list* list, bool learned,
                            dpc_error* error) {
  const dpc_dataset* d = f->dataset;
  for (int e = 0; e < list->episode_count; ++e) {
    const dpc_dataset_episode* episode = &list->episodes[e];
    for (int row = 0; row < episode->rows; ++row) {
      const int step = dpc_resampling_at(&d->resampling, row).row;
      dpc_dataset_read_row(d, episode, row, f->cond, f->chunk);
      DPC_TRY(check_finite("observation", f->cond, d->obs_dim, episode->number, step, error));
      DPC_TRY(check_finite("action", f->chunk, d->action_dim, episode->number, step, error));
      if (!learned) continue;
      add_row(f->obs, f->cond, d->obs_dim);
      add_row(f->action, f->chunk, d->action_dim);
    }
  }
  return DPC_OK;
}

// What is relative differs from window to window.
static void take_windows(const fitting* f) {
  const dpc_dataset* d = f->dataset;
  for (int i = 0; i < d->relative.count; ++i) {
    const dpc_relative_part* part = &d->relative.parts[i];
    for (int k = 0; k < part->dim; ++k) f->action[part->action + k] = (dpc_spread){0};
  }
  for (int w = 0; w < d->train.count && d->relative.count > 0; ++w) {
    const dpc_window window = dpc_dataset_window(d, &d->train, w);
    dpc_dataset_read_physical(d, &window, f->cond, f->chunk);
    for (int i = 0; i < d->relative.count * d->window.horizon; ++i) {
      const dpc_relative_part* part = &d->relative.parts[i % d->relative.count];
      const int at = i / d->relative.count * d->action_dim + part->action;
      add_row(f->action + part->action, f->chunk + at, part->dim);
    }
  }
}

// Fit each signal's columns as its entry says.
static dpc_status fit(const char* setting, const dpc_selection* selection,
                      const dpc_spread* spreads, dpc_arena* arena, dpc_normalizer* out,
                      dpc_error* error) {
  DPC_TRY(dpc_normalizer_create(dpc_layout_dim(&selection->layout), arena, out, error));
  int column = 0;
  for (int s = 0; s < selection->layout.count; ++s) {
    const dpc_scaling* scaling = &selection->scaling[s];
    for (int i = 0; i < selection->layout.signals[s].dim; ++i, ++column) {
      dpc_spread spread = spreads[column];
      if (scaling->is_given) {
        spread.min = scaling->low;
        spread.max = scaling->high;
      }
      dpc_normalizer_fit_column(out, column, scaling->mode, &spread);
    }
  }
  const dpc_status status = dpc_normalizer_check(out, error);
  return status == DPC_OK ? DPC_OK : dpc_fail_prefix(error, status, "%s: ", setting);
}

static double reach_of(const dpc_normalizer* normalizer, const dpc_spread* spreads) {
  double reach = 0;
  for (int i = 0; i < normalizer->dim; ++i) {
    const double scale = (double)normalizer->scale[i], offset = (double)normalizer->offset[i];
    reach = fmax(reach, fabs(spreads[i].min * scale + offset));
    reach = fmax(reach, fabs(spreads[i].max * scale + offset));
  }
  return reach;
}

static dpc_status fit_all(const fitting* f, dpc_dataset* dataset, dpc_arena* arena,
                          dpc_error* error) {
  DPC_TRY(take_rows(f, &dataset->train, true, error));
  DPC_TRY(take_rows(f, &dataset->validation, false, error));
  take_windows(f);
  DPC_TRY(fit("dataset.obs", &dataset->obs, f->obs, arena, &dataset->obs_normalizer, error));
  DPC_TRY(fit("dataset.action", &dataset->action, f->action, arena, &dataset->action_normalizer,
              error));
  dataset->action_reach = reach_of(&dataset->action_normalizer, f->action);
  return DPC_OK;
}

dpc_status dpc_dataset_fit(dpc_dataset* dataset, dpc_arena* arena, dpc_error* error) {
  const size_t obs_dim = (size_t)dataset->obs_dim, action_dim = (size_t)dataset->action_dim;
  const fitting f = {
      .dataset = dataset,
      .obs = DPC_TAKE(arena, dpc_spread, obs_dim),
      .action = DPC_TAKE(arena, dpc_spread, action_dim),
      .cond = DPC_TAKE(arena, float, (size_t)dataset->window.n_obs* obs_dim),
      .chunk = DPC_TAKE(arena, float, (size_t)dataset->window.horizon* action_dim),
  };
  if (f.obs == NULL || f.action == NULL || f.cond == NULL || f.chunk == NULL) {
    return dpc_arena_full(arena, "the normalisers", error);
  }
  return fit_all(&f, dataset, arena, error);
}
