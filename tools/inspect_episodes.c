#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "proto/episode_log.h"
#include "tools/episodes.h"
#include "tools/inspect.h"
#include "tools/inspect_table.h"

/// What the episodes hold besides the arrays that training takes.
typedef struct extras {
  int unfinished;
  uint64_t* seeds;       // [episode_count]
  double* best_rewards;  // [episode_count]
  int note_count;        // of the first episode
  dpc_note notes[DPC_NOTE_MAX];
  int image_count;
  char images[DPC_EPISODE_IMAGE_MAX][DPC_NAME_MAX];
} extras;

// --- reading ------------------------------------------------------------------------------------

static void take_first(const dpc_episode* e, extras* out) {
  out->note_count = e->note_count;
  for (int i = 0; i < e->note_count; i++) out->notes[i] = e->notes[i];
  out->image_count = e->image_count;
  for (int i = 0; i < e->image_count; i++) {
    memcpy(out->images[i], e->images[i].name, sizeof(out->images[i]));
  }
}

static dpc_status read_all(const dpc_episode_log* log, extras* out, dpc_error* error) {
  const int count = dpc_episode_log_count(log);
  out->unfinished = dpc_episode_log_part_count(log);
  out->seeds = calloc((size_t)count, sizeof(*out->seeds));
  out->best_rewards = calloc((size_t)count, sizeof(*out->best_rewards));
  if (out->seeds == NULL || out->best_rewards == NULL) {
    return dpc_fail(error, DPC_ERR_NO_MEMORY, "no memory for %d episodes", count);
  }
  for (int i = 0; i < count; i++) {
    dpc_episode e;
    DPC_TRY(dpc_episode_read(log, i, &e, error));
    out->seeds[i] = e.seed;
    for (int t = 0; t < e.length; t++) {
      if (t == 0 || e.reward[t] > out->best_rewards[i]) out->best_rewards[i] = e.reward[t];
    }
    if (i == 0) take_first(&e, out);
    dpc_episode_free(&e);
  }
  return DPC_OK;
}

static dpc_status read_extras(const char* path, extras* out, dpc_error* error) {
  dpc_episode_log* log = NULL;
  DPC_TRY(dpc_episode_log_open(path, &log, error));
  const dpc_status status = read_all(log, out, error);
  dpc_episode_log_close(log);
  return status;
}

// --- figures ------------------------------------------------------------------------------------

static int64_t count_steps(const dpc_episode_source* source) {
  int64_t steps = 0;
  for (int i = 0; i < source->episode_count; i++) steps += source->lengths[i];
  return steps;
}

// The smallest, largest and average of some values.
typedef struct value_range {
  double min, max, mean;
} value_range;

/// Columns [first, first + count) of `values` [rows x width], as one.
static value_range range_of(const float* values, int64_t rows, int width, int first, int count) {
  value_range range = {(double)values[first], (double)values[first], 0};
  for (int64_t r = 0; r < rows; r++) {
    for (int c = first; c < first + count; c++) {
      const double value = (double)values[r * width + c];
      if (value < range.min) range.min = value;
      if (value > range.max) range.max = value;
      range.mean += value;
    }
  }
  range.mean /= (double)rows * count;
  return range;
}

static int compare_doubles(const void* a, const void* b) {
  const double x = *(const double*)a, y = *(const double*)b;
  return (x > y) - (x < y);
}

/// Smallest, median and largest; `values` are sorted. The median is in `mean`.
static value_range spread_of(double* values, int count) {
  qsort(values, (size_t)count, sizeof(*values), compare_doubles);
  const double median = (values[(count - 1) / 2] + values[count / 2]) / 2;
  return (value_range){values[0], values[count - 1], median};
}

static value_range spread_of_lengths(const dpc_episode_source* source, double* scratch) {
  for (int i = 0; i < source->episode_count; i++) scratch[i] = source->lengths[i];
  return spread_of(scratch, source->episode_count);
}

// --- for people ---------------------------------------------------------------------------------

static void print_layout(const dpc_cli* cli, const char* what, const dpc_layout* layout,
                         const float* values, int64_t rows) {
  static const char* const titles[3] = {"min", "mean", "max"};
  dpc_inspect_print_title(cli, what, titles);
  const int width = dpc_layout_dim(layout);
  for (int s = 0, first = 0; s < layout->count; s++) {
    const dpc_signal* signal = &layout->signals[s];
    value_range r = range_of(values, rows, width, first, signal->dim);
    dpc_inspect_print_signal(cli, signal, -1, false, (double[]){r.min, r.mean, r.max});
    for (int i = 0; cli->verbosity > 0 && signal->dim > 1 && i < signal->dim; i++) {
      r = range_of(values, rows, width, first + i, 1);
      dpc_inspect_print_signal(cli, signal, i, false, (double[]){r.min, r.mean, r.max});
    }
    first += signal->dim;
  }
}

static void print_seeds(const dpc_cli* cli, const uint64_t* seeds, int count) {
  uint64_t min = seeds[0], max = seeds[0];
  for (int i = 1; i < count; i++) {
    if (seeds[i] < min) min = seeds[i];
    if (seeds[i] > max) max = seeds[i];
  }
  if (max == 0) return;  // the source knew none
  dpc_cli_print(cli, "  %-10s %" PRIu64, "seeds", min);
  if (max > min) dpc_cli_print(cli, " to %" PRIu64, max);
  dpc_cli_print(cli, "\n");
}

static void print_duration(const dpc_cli* cli, double seconds) {
  const int64_t whole = (int64_t)(seconds + 0.5);
  if (whole >= 3600) dpc_cli_print(cli, "%" PRId64 " h ", whole / 3600);
  if (whole >= 60) dpc_cli_print(cli, "%" PRId64 " min ", whole / 60 % 60);
  dpc_cli_print(cli, "%" PRId64 " s", whole % 60);
}

static void print(const dpc_cli* cli, const char* path, const dpc_episode_source* source,
                  const extras* x, value_range lengths, value_range rewards) {
  const int64_t steps = count_steps(source);
  const double period = (double)source->interface.period_ns * 1e-9;
  dpc_cli_print(cli, "%s: %d episode%s, %" PRId64 " steps at %g Hz, ", path, source->episode_count,
                source->episode_count == 1 ? "" : "s", steps, 1 / period);
  print_duration(cli, (double)steps * period);
  dpc_cli_print(cli, "\n  %-10s min %g, median %g, max %g steps\n", "lengths", lengths.min,
                lengths.mean, lengths.max);
  print_seeds(cli, x->seeds, source->episode_count);
  if (rewards.min != 0 || rewards.max != 0) {
    dpc_cli_print(cli, "  %-10s min %.4g, median %.4g, max %.4g (largest reward of an episode)\n",
                  "scores", rewards.min, rewards.mean, rewards.max);
  }
  for (int i = 0; i < x->image_count; i++) {
    dpc_cli_print(cli, "  %-10s %s\n", "pictures", x->images[i]);
  }
  for (int i = 0; i < x->note_count; i++) {
    dpc_cli_print(cli, "  %-10s %s\n", x->notes[i].key, x->notes[i].value);
  }
  dpc_cli_print(cli, "  %-10s %s\n", "sha256", source->sha256);
  if (x->unfinished > 0) {
    dpc_cli_print(cli, "  %-10s %d file%s (.part), not counted\n", "unfinished", x->unfinished,
                  x->unfinished == 1 ? "" : "s");
  }
  print_layout(cli, "observation", &source->interface.obs, source->obs, steps);
  print_layout(cli, "action", &source->interface.action, source->action, steps);
  dpc_cli_print(cli, "\n  Every value is finite.\n");
}

// --- for programs -------------------------------------------------------------------------------

static void set_range(dpc_json* json, value_range r) {
  dpc_json_set_real(json, "min", r.min);
  dpc_json_set_real(json, "max", r.max);
  dpc_json_set_real(json, "mean", r.mean);
}

static void set_spread(dpc_json* report, const char* key, value_range r) {
  dpc_json* json = dpc_json_set(report, key, dpc_json_object());
  dpc_json_set_real(json, "min", r.min);
  dpc_json_set_real(json, "median", r.mean);
  dpc_json_set_real(json, "max", r.max);
}

static void set_layout(dpc_json* report, const char* key, const dpc_layout* layout,
                       const float* values, int64_t rows) {
  dpc_json* list = dpc_json_set(report, key, dpc_json_array());
  const int width = dpc_layout_dim(layout);
  for (int s = 0, first = 0; s < layout->count; s++) {
    const dpc_signal* signal = &layout->signals[s];
    dpc_json* json = dpc_json_push(list, dpc_json_object());
    dpc_json_set_text(json, "name", signal->name);
    dpc_json_set_int(json, "dim", signal->dim);
    dpc_json_set_text(json, "unit", signal->unit);
    if (signal->tracks[0] != '\0') dpc_json_set_text(json, "tracks", signal->tracks);
    set_range(json, range_of(values, rows, width, first, signal->dim));
    dpc_json* each = dpc_json_set(json, "values", dpc_json_array());
    for (int i = 0; i < signal->dim; i++) {
      set_range(dpc_json_push(each, dpc_json_object()),
                range_of(values, rows, width, first + i, 1));
    }
    first += signal->dim;
  }
}

static dpc_json* make_report(const char* path, const dpc_episode_source* source, const extras* x,
                             value_range lengths, value_range rewards) {
  const int64_t steps = count_steps(source);
  dpc_json* report = dpc_json_object();
  dpc_json_set_text(report, "kind", "episodes");
  dpc_json_set_text(report, "path", path);
  dpc_json_set_int(report, "episodes", source->episode_count);
  dpc_json_set_int(report, "unfinished", x->unfinished);
  dpc_json_set_int(report, "steps", steps);
  dpc_json_set_real(report, "period_s", (double)source->interface.period_ns * 1e-9);
  set_spread(report, "lengths", lengths);
  set_spread(report, "best_reward", rewards);
  dpc_json_set_int(report, "not_finite", 0);  // such a log is refused instead
  set_layout(report, "observation", &source->interface.obs, source->obs, steps);
  set_layout(report, "action", &source->interface.action, source->action, steps);
  dpc_json* images = dpc_json_set(report, "images", dpc_json_array());
  for (int i = 0; i < x->image_count; i++) dpc_json_push_text(images, x->images[i]);
  dpc_json* seeds = dpc_json_set(report, "seeds", dpc_json_array());
  for (int i = 0; i < source->episode_count; i++) dpc_json_push_int(seeds, (int64_t)x->seeds[i]);
  dpc_json* notes = dpc_json_set(report, "notes", dpc_json_object());
  for (int i = 0; i < x->note_count; i++) {
    dpc_json_set_text(notes, x->notes[i].key, x->notes[i].value);
  }
  dpc_json_set_text(report, "sha256", source->sha256);
  return report;
}

// --- both ---------------------------------------------------------------------------------------

static dpc_status show(const dpc_cli* cli, const char* path, const dpc_episode_source* source,
                       const extras* x, dpc_error* error) {
  double* scratch = calloc((size_t)source->episode_count, sizeof(*scratch));
  if (scratch == NULL) return dpc_fail(error, DPC_ERR_NO_MEMORY, "%s: out of memory", path);
  const value_range lengths = spread_of_lengths(source, scratch);
  free(scratch);
  const value_range rewards = spread_of(x->best_rewards, source->episode_count);
  print(cli, path, source, x, lengths, rewards);
  return dpc_cli_report(cli, make_report(path, source, x, lengths, rewards), error);
}

dpc_status dpc_inspect_episodes(const dpc_cli* cli, const char* path, dpc_error* error) {
  static extras x;  // large
  dpc_episode_source source = {0};
  DPC_TRY(dpc_episodes_load(path, &source, error));
  dpc_status status = read_extras(path, &x, error);
  if (status == DPC_OK) status = show(cli, path, &source, &x, error);
  free(x.seeds);
  free(x.best_rewards);
  dpc_episodes_free(&source);
  return status;
}
