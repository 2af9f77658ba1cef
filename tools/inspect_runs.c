#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tools/duration.h"
#include "tools/inspect.h"
#include "tools/train_compare.h"

enum { CELL = 64 };

// --- for people ---------------------------------------------------------------------------------

typedef char cell[CELL];

// Rows of cells: the title, the runs, mean and deviation of each group.
typedef struct table {
  int rows, columns;
  cell* cells;
} table;

static char* cell_at(const table* t, int row, int column) {
  return t->cells[row * t->columns + column];
}

static void set_text(const table* t, int row, int column, const char* text) {
  (void)snprintf(cell_at(t, row, column), CELL, "%.*s", CELL - 1, text);
}

static void set_value(const table* t, int row, int column, int figure, double value) {
  if (isnan(value)) return;
  (void)snprintf(cell_at(t, row, column), CELL, "%.*f", dpc_train_figures[figure].decimals, value);
}

static int first_figure(const dpc_train_comparison* c) {
  return 1 + c->difference_count + 2;  // run, settings, step, time
}

static void fill_settings(const table* t, int row, const dpc_train_comparison* c, int run,
                          bool of_group) {
  for (int i = 0; i < c->difference_count; ++i) {
    const dpc_train_difference* d = &c->differences[i];
    if (of_group && d->is_seed) {
      (void)snprintf(cell_at(t, row, 1 + i), CELL, "%d seeds", dpc_train_group_size(c, run));
    } else {
      set_text(t, row, 1 + i, dpc_train_setting(&c->runs[run].settings, d->section, d->field).text);
    }
  }
}

static void fill_title(const table* t, const dpc_train_comparison* c) {
  set_text(t, 0, 0, "run");
  for (int i = 0; i < c->difference_count; ++i) set_text(t, 0, 1 + i, c->differences[i].name);
  set_text(t, 0, 1 + c->difference_count, "step");
  set_text(t, 0, 2 + c->difference_count, "time");
  for (int i = 0; i < DPC_TRAIN_FIGURES; ++i)
    set_text(t, 0, first_figure(c) + i, dpc_train_figures[i].title);
}

// The end of a path says more than its beginning.
static void set_path(const table* t, int row, const char* path) {
  const size_t length = strlen(path), most = 40;
  set_text(t, row, 0, length > most ? path + length - most : path);
}

static void fill_run(const table* t, int row, const dpc_train_comparison* c, int i) {
  const dpc_train_run* run = &c->runs[i];
  set_path(t, row, run->path);
  fill_settings(t, row, c, i, false);
  char* steps = cell_at(t, row, 1 + c->difference_count);
  (void)snprintf(steps, CELL, dpc_train_run_finished(run) ? "%" PRId64 : "%" PRId64 " of %d",
                 run->steps, run->settings.train.steps);
  set_text(t, row, 2 + c->difference_count, dpc_duration_print(run->summary.seconds).text);
  for (int k = 0; k < DPC_TRAIN_FIGURES; ++k) {
    set_value(t, row, first_figure(c) + k, k, dpc_train_figure_of(run, k));
  }
}

static void fill_group(const table* t, int row, const dpc_train_comparison* c, int group) {
  set_text(t, row, 0, "mean");
  set_text(t, row + 1, 0, "standard deviation");
  fill_settings(t, row, c, group, true);
  fill_settings(t, row + 1, c, group, true);
  for (int k = 0; k < DPC_TRAIN_FIGURES; ++k) {
    const dpc_train_spread s = dpc_train_spread_of(c, group, k);
    set_value(t, row, first_figure(c) + k, k, s.mean);
    set_value(t, row + 1, first_figure(c) + k, k, s.deviation);
  }
}

static void print_table(const dpc_cli* cli, const table* t) {
  for (int row = 0; row < t->rows && cell_at(t, row, 0)[0] != '\0'; ++row) {
    for (int column = 0; column < t->columns; ++column) {
      int width = 0;
      for (int i = 0; i < t->rows; ++i) {
        const int length = (int)strlen(cell_at(t, i, column));
        if (length > width) width = length;
      }
      if (width == 0) continue;
      dpc_cli_print(cli, column == 0 ? "%-*s" : "  %*s", width, cell_at(t, row, column));
    }
    dpc_cli_print(cli, "\n");
  }
}

static void print_remarks(const dpc_cli* cli, const dpc_train_comparison* c) {
  int unfinished = 0, others = 0;
  for (int i = 0; i < c->count; ++i) unfinished += !dpc_train_run_finished(&c->runs[i]);
  for (int i = 0; i < c->difference_count; ++i) others += !c->differences[i].is_seed;
  dpc_cli_print(cli, "\nScore and success are of rollouts on the selection seeds. ");
  if (others == 0) {
    dpc_cli_print(cli, "The runs differ in %s.\n",
                  c->difference_count == 0 ? "nothing that counts" : "train.seed alone");
  } else {
    dpc_cli_print(cli, "The runs differ in");
    for (int i = 0; i < c->difference_count; ++i) {
      dpc_cli_print(cli, "%s %s", i == 0 ? "" : ",", c->differences[i].name);
    }
    dpc_cli_print(cli, ".\n");
  }
  if (unfinished > 0) {
    dpc_cli_print(cli, "%d of %d runs are not finished.\n", unfinished, c->count);
  }
}

static dpc_status print(const dpc_cli* cli, const dpc_train_comparison* c, dpc_error* error) {
  table t = {.rows = 1 + c->count * 2, .columns = first_figure(c) + DPC_TRAIN_FIGURES};
  t.cells = calloc((size_t)t.rows * (size_t)t.columns, sizeof *t.cells);
  if (t.cells == NULL) return dpc_fail(error, DPC_ERR_NO_MEMORY, "no memory for a table");
  fill_title(&t, c);
  for (int i = 0; i < c->count; ++i) fill_run(&t, 1 + i, c, i);
  for (int i = 0, row = 1 + c->count; i < c->count; ++i) {
    if (c->groups[i] != i || dpc_train_group_size(c, i) < 2) continue;
    fill_group(&t, row, c, i);
    row += 2;
  }
  print_table(cli, &t);
  print_remarks(cli, c);
  free(t.cells);
  return DPC_OK;
}

// --- for programs -------------------------------------------------------------------------------

static void report_group(dpc_json* json, const dpc_train_comparison* c, int group) {
  dpc_json* runs = dpc_json_set(json, "runs", dpc_json_array());
  for (int i = 0; i < c->count; ++i) {
    if (c->groups[i] == group) dpc_json_push_text(runs, c->runs[i].path);
  }
  for (int k = 0; k < DPC_TRAIN_FIGURES; ++k) {
    const dpc_train_spread s = dpc_train_spread_of(c, group, k);
    dpc_json* figure = dpc_json_set(json, dpc_train_figures[k].key, dpc_json_object());
    dpc_json_set_real(figure, "mean", s.mean);
    dpc_json_set_real(figure, "deviation", s.deviation);
    dpc_json_set_real(figure, "min", s.min);
    dpc_json_set_real(figure, "max", s.max);
  }
}

static void report_run(dpc_json* json, const dpc_train_comparison* c, const dpc_train_run* run) {
  dpc_json_set_text(json, "path", run->path);
  dpc_json_set_int(json, "steps", run->steps);
  dpc_json_set_bool(json, "finished", dpc_train_run_finished(run));
  dpc_json* settings = dpc_json_set(json, "settings", dpc_json_object());
  for (int i = 0; i < c->difference_count; ++i) {
    const dpc_train_difference* d = &c->differences[i];
    dpc_json_set_text(settings, d->name,
                      dpc_train_setting(&run->settings, d->section, d->field).text);
  }
  dpc_json_set(json, "summary", dpc_train_summary_json(&run->summary));
}

static dpc_json* make_report(const dpc_train_comparison* c) {
  dpc_json* report = dpc_json_object();
  dpc_json_set_text(report, "kind", "trainings");
  dpc_json* differ = dpc_json_set(report, "differ_in", dpc_json_array());
  for (int i = 0; i < c->difference_count; ++i) dpc_json_push_text(differ, c->differences[i].name);
  dpc_json* runs = dpc_json_set(report, "runs", dpc_json_array());
  dpc_json* groups = dpc_json_set(report, "seeds", dpc_json_array());
  for (int i = 0; i < c->count; ++i) {
    report_run(dpc_json_push(runs, dpc_json_object()), c, &c->runs[i]);
    if (c->groups[i] != i || dpc_train_group_size(c, i) < 2) continue;
    report_group(dpc_json_push(groups, dpc_json_object()), c, i);
  }
  return report;
}

// --- both ---------------------------------------------------------------------------------------

static dpc_status show(const dpc_cli* cli, const dpc_train_comparison* c, dpc_error* error) {
  DPC_TRY(print(cli, c, error));
  return dpc_cli_report(cli, make_report(c), error);
}

dpc_status dpc_inspect_runs(const dpc_cli* cli, const char* const* paths, int count,
                            dpc_error* error) {
  dpc_train_comparison c;
  dpc_status status = dpc_train_compare(paths, count, &c, error);
  if (status == DPC_OK) status = show(cli, &c, error);
  dpc_train_comparison_free(&c);
  return status;
}
