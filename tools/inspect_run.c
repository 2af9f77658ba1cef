#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "tools/duration.h"
#include "tools/inspect.h"
#include "tools/inspect_table.h"
#include "tools/train_run.h"

enum { ROWS = 10 };  // of the table, unless all are asked for

// --- what was measured --------------------------------------------------------------------------

static bool has_results(const dpc_train_point* point) {
  return !isnan(point->val_loss) || !isnan(point->score);
}

// Points with a validation or rollouts; those with a loss where there are none.
static bool is_row(const dpc_train_point* point, bool any_results) {
  return any_results ? has_results(point) : !isnan(point->loss);
}

static bool any_has_results(const dpc_train_history* history) {
  for (int i = 0; i < history->count; ++i) {
    if (has_results(&history->points[i])) return true;
  }
  return false;
}

static int count_rows(const dpc_train_history* history, bool any_results) {
  int count = 0;
  for (int i = 0; i < history->count; ++i) count += is_row(&history->points[i], any_results);
  return count;
}

static void print_value(const dpc_cli* cli, int decimals, double value) {
  if (isnan(value)) {
    dpc_cli_print(cli, " %10s", "");
  } else {
    dpc_cli_print(cli, " %10.*f", decimals, value);
  }
}

static void print_point(const dpc_cli* cli, const dpc_train_point* point, double loss) {
  dpc_cli_print(cli, "  %10" PRId64, point->step);
  print_value(cli, 5, loss);
  print_value(cli, 5, point->val_loss);
  print_value(cli, 3, point->score);
  print_value(cli, 3, point->success);
  dpc_cli_print(cli, "\n");
}

// Evenly picked, the first and the last among them.
static void print_points(const dpc_cli* cli, const dpc_train_history* history) {
  const bool any_results = any_has_results(history);
  const int count = count_rows(history, any_results);
  const int rows = cli->verbosity > 0 || count < ROWS ? count : ROWS;
  if (rows == 0) return;
  dpc_cli_print(cli, "\n  %10s %10s %10s %10s %10s\n", "step", "loss", "val loss", "score",
                "success");
  double loss = NAN;  // the latest one
  for (int i = 0, row = 0, seen = 0; i < history->count; ++i) {
    const dpc_train_point* point = &history->points[i];
    if (!isnan(point->loss)) loss = point->loss;
    if (!is_row(point, any_results)) continue;
    const int64_t wanted = rows == 1 ? 0 : (int64_t)row * (count - 1) / (rows - 1);
    if (seen++ != wanted) continue;
    print_point(cli, point, loss);
    ++row;
  }
  dpc_cli_print(cli, "\n");
}

// --- for people ---------------------------------------------------------------------------------

// The name of a setting, "section.key"; NULL when it is the default, or the folder itself.
static const char* changed_name(const dpc_train_settings* settings, int section, int field,
                                char name[64]) {
  const dpc_train_settings defaults = dpc_train_settings_default();
  const dpc_field_table* table = dpc_train_sections[section].table;
  (void)snprintf(name, 64, "%s.%s", table->section, table->fields[field].key);
  if (strcmp(name, "train.output") == 0) return NULL;
  return dpc_train_setting_differs(settings, &defaults, section, field) ? name : NULL;
}

static void print_settings(const dpc_cli* cli, const dpc_train_settings* settings) {
  char name[64];
  dpc_cli_print(cli, "\n  settings that are not the defaults\n");
  for (int i = 0; i < DPC_TRAIN_SECTIONS; ++i) {
    for (int k = 0; k < dpc_train_sections[i].table->count; ++k) {
      if (changed_name(settings, i, k, name) == NULL) continue;
      dpc_inspect_print_entry(cli, name, dpc_train_setting(settings, i, k).text);
    }
  }
}

static void print_state(const dpc_cli* cli, const dpc_train_run* run) {
  if (run->saved >= 0) {
    dpc_cli_print(cli, "  state of step %" PRId64 ", %s\n", run->saved,
                  dpc_train_run_finished(run) ? "finished" : "to go on from with --resume");
  } else {
    dpc_cli_print(cli, "  no state to go on from\n");
  }
}

static void print(const dpc_cli* cli, const dpc_train_run* run) {
  dpc_cli_print(cli, "%s: training, step %" PRId64 " of %d, %s", run->path, run->steps,
                run->settings.train.steps, dpc_duration_print(run->summary.seconds).text);
  if (!isnan(run->summary.samples_per_second)) {
    dpc_cli_print(cli, ", %.0f samples/s", run->summary.samples_per_second);
  }
  dpc_cli_print(cli, "\n");
  print_state(cli, run);
  print_settings(cli, &run->settings);
  print_points(cli, &run->history);
  dpc_train_summary_print(cli, &run->summary);
  for (int i = 0; i < run->best.count; ++i) {
    dpc_cli_print(cli, "%s %s/%s\n", i == 0 ? "best:" : "     ", run->path,
                  run->best.items[i].name);
  }
}

// --- for programs -------------------------------------------------------------------------------

static dpc_json* settings_json(const dpc_train_settings* settings) {
  char name[64];
  dpc_json* json = dpc_json_object();
  for (int i = 0; i < DPC_TRAIN_SECTIONS; ++i) {
    for (int k = 0; k < dpc_train_sections[i].table->count; ++k) {
      if (changed_name(settings, i, k, name) == NULL) continue;
      dpc_json_set_text(json, name, dpc_train_setting(settings, i, k).text);
    }
  }
  return json;
}

static dpc_json* make_report(const dpc_train_run* run) {
  const bool any_results = any_has_results(&run->history);
  dpc_json* report = dpc_json_object();
  dpc_json_set_text(report, "kind", "training");
  dpc_json_set_text(report, "path", run->path);
  dpc_json_set_int(report, "steps", run->steps);
  dpc_json_set_int(report, "steps_planned", run->settings.train.steps);
  dpc_json_set_int(report, "steps_saved", run->saved);
  dpc_json_set_bool(report, "finished", dpc_train_run_finished(run));
  dpc_json_set(report, "settings", settings_json(&run->settings));
  dpc_json_set(report, "summary", dpc_train_summary_json(&run->summary));
  dpc_json_set(report, "best", dpc_train_best_json(run->path, &run->best));
  dpc_json* points = dpc_json_set(report, "points", dpc_json_array());
  for (int i = 0; i < run->history.count; ++i) {
    const dpc_train_point* point = &run->history.points[i];
    if (is_row(point, any_results)) dpc_json_push(points, dpc_train_point_json(point));
  }
  return report;
}

dpc_status dpc_inspect_run(const dpc_cli* cli, const char* path, dpc_error* error) {
  dpc_train_run run = {.path = path};
  DPC_TRY(dpc_train_run_read(path, &run, error));
  print(cli, &run);
  dpc_json* report = make_report(&run);
  dpc_train_run_free(&run);
  return dpc_cli_report(cli, report, error);
}
