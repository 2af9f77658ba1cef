#include "tools/train_compare.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

// Settings that change no result of a finished run: when something is written, where, and by how
// many threads.
static const char* const beside_the_point[] = {
    "train.output",    "train.threads",          "train.log_every",
    "train.val_every", "train.checkpoint_every", "train.keep_best",
};

const dpc_train_figure dpc_train_figures[DPC_TRAIN_FIGURES] = {
    {"loss", "loss", offsetof(dpc_train_summary, loss), 5},
    {"val loss", "val_loss", offsetof(dpc_train_summary, val_loss), 5},
    {"max score", "score_max", offsetof(dpc_train_summary, score_max), 3},
    {"last 10", "score_last_10", offsetof(dpc_train_summary, score_last), 3},
    {"max success", "success_max", offsetof(dpc_train_summary, success_max), 3},
    {"last 10", "success_last_10", offsetof(dpc_train_summary, success_last), 3},
};

// --- settings -----------------------------------------------------------------------------------

static bool is_beside_the_point(const char* name) {
  for (int i = 0; i < DPC_COUNT(beside_the_point); ++i) {
    if (strcmp(name, beside_the_point[i]) == 0) return true;
  }
  return false;
}

static bool is_different(const dpc_train_comparison* c, const dpc_train_difference* d) {
  for (int i = 1; i < c->count; ++i) {
    if (dpc_train_setting_differs(&c->runs[0].settings, &c->runs[i].settings, d->section,
                                  d->field)) {
      return true;
    }
  }
  return false;
}

static void find_differences(dpc_train_comparison* c) {
  for (int i = 0; i < DPC_TRAIN_SECTIONS; ++i) {
    const dpc_field_table* table = dpc_train_sections[i].table;
    for (int k = 0; k < table->count; ++k) {
      dpc_train_difference d = {.section = i, .field = k};
      (void)snprintf(d.name, sizeof d.name, "%s.%s", table->section, table->fields[k].key);
      d.is_seed = strcmp(d.name, "train.seed") == 0;
      if (is_beside_the_point(d.name) || !is_different(c, &d)) continue;
      DPC_ASSERT(c->difference_count < DPC_TRAIN_DIFFERENCE_MAX);
      c->differences[c->difference_count++] = d;
    }
  }
}

static bool differ_in_seed_alone(const dpc_train_comparison* c, int a, int b) {
  for (int i = 0; i < c->difference_count; ++i) {
    const dpc_train_difference* d = &c->differences[i];
    if (!d->is_seed && dpc_train_setting_differs(&c->runs[a].settings, &c->runs[b].settings,
                                                 d->section, d->field)) {
      return false;
    }
  }
  return true;
}

static void find_groups(dpc_train_comparison* c) {
  for (int i = 0; i < c->count; ++i) {
    c->groups[i] = 0;
    while (!differ_in_seed_alone(c, c->groups[i], i)) ++c->groups[i];
  }
}

int dpc_train_group_size(const dpc_train_comparison* c, int group) {
  int size = 0;
  for (int i = 0; i < c->count; ++i) size += c->groups[i] == group;
  return size;
}

// --- mean and spread over seeds -------------------------------------------------------------------

double dpc_train_figure_of(const dpc_train_run* run, int figure) {
  double value;
  memcpy(&value, (const char*)&run->summary + dpc_train_figures[figure].offset, sizeof value);
  return value;
}

dpc_train_spread dpc_train_spread_of(const dpc_train_comparison* c, int group, int figure) {
  const int size = dpc_train_group_size(c, group);
  dpc_train_spread s = {.min = INFINITY, .max = -INFINITY};
  for (int i = 0; i < c->count; ++i) {
    if (c->groups[i] != group) continue;
    const double value = dpc_train_figure_of(&c->runs[i], figure);
    s.mean += value / size;
    s.min = fmin(s.min, value);
    s.max = fmax(s.max, value);
  }
  for (int i = 0; i < c->count; ++i) {
    if (c->groups[i] != group) continue;
    s.deviation += pow(dpc_train_figure_of(&c->runs[i], figure) - s.mean, 2) / (size - 1);
  }
  s.deviation = sqrt(s.deviation);
  if (isnan(s.mean)) s.min = s.max = NAN;
  return s;
}

// --- both ---------------------------------------------------------------------------------------

static dpc_status read_runs(const char* const* paths, dpc_train_comparison* c, dpc_error* error) {
  c->runs = calloc((size_t)c->count, sizeof *c->runs);
  c->groups = calloc((size_t)c->count, sizeof *c->groups);
  if (c->runs == NULL || c->groups == NULL) {
    return dpc_fail(error, DPC_ERR_NO_MEMORY, "no memory for %d runs", c->count);
  }
  for (int i = 0; i < c->count; ++i) {
    if (!dpc_train_run_is(paths[i])) {
      return dpc_fail(error, DPC_ERR_INVALID, "%s: not the folder of a training run", paths[i]);
    }
    DPC_TRY(dpc_train_run_read(paths[i], &c->runs[i], error));
  }
  return DPC_OK;
}

dpc_status dpc_train_compare(const char* const* paths, int count, dpc_train_comparison* out,
                             dpc_error* error) {
  *out = (dpc_train_comparison){.count = count};
  DPC_TRY(read_runs(paths, out, error));
  find_differences(out);
  find_groups(out);
  return DPC_OK;
}

void dpc_train_comparison_free(dpc_train_comparison* comparison) {
  for (int i = 0; comparison->runs != NULL && i < comparison->count; ++i) {
    dpc_train_run_free(&comparison->runs[i]);
  }
  free(comparison->runs);
  free(comparison->groups);
  *comparison = (dpc_train_comparison){.count = 0};
}
