#include "tools/train_history.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/file.h"

enum { METRICS_MAX = 1 << 30 };  // bytes; a longer file is not ours

// The values of a point, and what they are called in a line of metrics.
static const struct {
  const char* key;
  size_t offset;
} columns[] = {
    {"epoch", offsetof(dpc_train_point, epoch)},
    {"loss", offsetof(dpc_train_point, loss)},
    {"lr", offsetof(dpc_train_point, learning_rate)},
    {"gradient_norm", offsetof(dpc_train_point, gradient_norm)},
    {"samples_per_second", offsetof(dpc_train_point, samples_per_second)},
    {"val_loss", offsetof(dpc_train_point, val_loss)},
    {"rollout_score", offsetof(dpc_train_point, score)},
    {"rollout_success", offsetof(dpc_train_point, success)},
    {"seconds", offsetof(dpc_train_point, seconds)},
};

static double* value_in(dpc_train_point* point, int column) {
  return (double*)(void*)((char*)point + columns[column].offset);
}

static double value_of(const dpc_train_point* point, int column) {
  return *(const double*)(const void*)((const char*)point + columns[column].offset);
}

// --- points -------------------------------------------------------------------------------------

dpc_train_point dpc_train_point_at(int64_t step) {
  dpc_train_point point = {.step = step};
  for (int i = 0; i < DPC_COUNT(columns); ++i) *value_in(&point, i) = NAN;
  return point;
}

static void take_known(const dpc_train_point* from, dpc_train_point* into) {
  into->step = from->step;
  for (int i = 0; i < DPC_COUNT(columns); ++i) {
    if (!isnan(value_of(from, i))) *value_in(into, i) = value_of(from, i);
  }
}

void dpc_train_history_add(dpc_train_history* history, const dpc_train_point* point) {
  if (history->count == 0) history->latest = dpc_train_point_at(0);
  take_known(point, &history->latest);
  if (history->count > 0 && history->points[history->count - 1].step == point->step) {
    take_known(point, &history->points[history->count - 1]);
    return;
  }
  if (history->count == history->capacity) {
    history->capacity = history->capacity == 0 ? 256 : history->capacity * 2;
    history->points = realloc(history->points, (size_t)history->capacity * sizeof *history->points);
    DPC_ASSERT(history->points != NULL);
  }
  history->points[history->count++] = *point;
}

void dpc_train_history_free(dpc_train_history* history) {
  free(history->points);
  *history = (dpc_train_history){.points = NULL};
}

dpc_json* dpc_train_point_json(const dpc_train_point* point) {
  dpc_json* line = dpc_json_object();
  dpc_json_set_int(line, "step", point->step);
  for (int i = 0; i < DPC_COUNT(columns); ++i) {
    const double value = value_of(point, i);
    if (!isnan(value)) dpc_json_set_real(line, columns[i].key, value);
  }
  return line;
}

// --- reading ------------------------------------------------------------------------------------

static void read_line(const char* line, size_t length, dpc_train_history* history) {
  dpc_json* json = NULL;
  dpc_train_point point = dpc_train_point_at(0);
  if (dpc_json_parse(line, length, "metrics", &json, NULL) != DPC_OK) return;
  if (dpc_json_as_int(dpc_json_get(json, "step"), &point.step)) {
    for (int i = 0; i < DPC_COUNT(columns); ++i) {
      (void)dpc_json_as_real(dpc_json_get(json, columns[i].key), value_in(&point, i));
    }
    dpc_train_history_add(history, &point);
  }
  dpc_json_free(json);
}

dpc_status dpc_train_history_read(const char* path, dpc_train_history* out, dpc_error* error) {
  char* text = NULL;
  size_t size = 0;
  dpc_train_history history = {.latest = dpc_train_point_at(0)};
  if (access(path, F_OK) == 0) DPC_TRY(dpc_file_read(path, METRICS_MAX, &text, &size, error));
  for (size_t at = 0; at < size;) {
    const char* end = memchr(text + at, '\n', size - at);
    if (end == NULL) break;  // torn
    const size_t length = (size_t)(end - (text + at)) + 1;
    read_line(text + at, length, &history);
    at += length;
  }
  free(text);
  *out = history;
  return DPC_OK;
}

// --- in a few numbers ---------------------------------------------------------------------------

// Largest, and mean of the last ones, of one column's values.
static void sum_up(const dpc_train_history* history, size_t offset, int last, double* max,
                   double* mean) {
  double sum = 0;
  int found = 0;
  *max = *mean = NAN;
  for (int i = history->count - 1; i >= 0; --i) {
    double value;
    memcpy(&value, (const char*)&history->points[i] + offset, sizeof value);
    if (isnan(value)) continue;
    *max = fmax(*max, value);
    if (found++ < last) sum += value;
  }
  if (found > 0) *mean = sum / (found < last ? found : last);
}

// Metrics without a time are taken to have gone on all the time.
static double seconds_of(const dpc_train_history* history, int batch) {
  if (!isnan(history->latest.seconds)) return history->latest.seconds;
  double seconds = 0;
  int64_t before = 0;
  for (int i = 0; i < history->count; ++i) {
    const dpc_train_point* point = &history->points[i];
    if (!(point->samples_per_second > 0)) continue;
    seconds += (double)(point->step - before) * batch / point->samples_per_second;
    before = point->step;
  }
  return seconds > 0 ? seconds : NAN;
}

dpc_train_summary dpc_train_summarize(const dpc_train_history* history, int batch) {
  const int last = DPC_TRAIN_LAST_ROLLOUTS;
  dpc_train_summary out = {.loss = history->latest.loss, .val_loss = history->latest.val_loss};
  for (int i = 0; i < history->count; ++i) out.rollouts += !isnan(history->points[i].score);
  out.last = out.rollouts < last ? out.rollouts : last;
  sum_up(history, offsetof(dpc_train_point, score), last, &out.score_max, &out.score_last);
  sum_up(history, offsetof(dpc_train_point, success), last, &out.success_max, &out.success_last);
  out.seconds = seconds_of(history, batch);
  out.samples_per_second = (double)history->latest.step * batch / out.seconds;
  return out;
}

dpc_json* dpc_train_summary_json(const dpc_train_summary* summary) {
  dpc_json* json = dpc_json_object();
  dpc_json_set_text(json, "seeds", "selection");
  dpc_json_set_int(json, "rollouts", summary->rollouts);
  dpc_json_set_real(json, "score_max", summary->score_max);
  dpc_json_set_real(json, "score_last_10", summary->score_last);
  dpc_json_set_real(json, "success_max", summary->success_max);
  dpc_json_set_real(json, "success_last_10", summary->success_last);
  dpc_json_set_real(json, "loss", summary->loss);
  dpc_json_set_real(json, "val_loss", summary->val_loss);
  dpc_json_set_real(json, "seconds", summary->seconds);
  dpc_json_set_real(json, "samples_per_second", summary->samples_per_second);
  return json;
}

static void print_values(const dpc_cli* cli, const char* name, double max, int last, double mean) {
  dpc_cli_print(cli, "  %-8s max %.3f, mean of the last %d: %.3f\n", name, max, last, mean);
}

void dpc_train_summary_print(const dpc_cli* cli, const dpc_train_summary* summary) {
  if (summary->rollouts == 0) return;
  dpc_cli_print(cli, "on the selection seeds, %d time%s:\n", summary->rollouts,
                summary->rollouts == 1 ? "" : "s");
  print_values(cli, "score", summary->score_max, summary->last, summary->score_last);
  print_values(cli, "success", summary->success_max, summary->last, summary->success_last);
}
