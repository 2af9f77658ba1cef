#include "tools/train_metrics.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/clock.h"
#include "tools/file.h"

enum { METRICS_MAX = 1 << 30 };  // bytes; a longer file is not ours

// True for a whole line, not the summary, that belongs to a step no later than `step`.
static bool line_stays(const char* line, size_t length, int64_t step) {
  dpc_json* json = NULL;
  int64_t at = 0;
  if (dpc_json_parse(line, length, "metrics", &json, NULL) != DPC_OK) return false;
  const bool stays = dpc_json_as_int(dpc_json_get(json, "step"), &at) && at <= step &&
                     dpc_json_get(json, "summary") == NULL;
  dpc_json_free(json);
  return stays;
}

// Keep the lines that stay, moved together in place; returns how many bytes they are.
static size_t keep_lines(char* text, size_t size, int64_t step) {
  size_t kept = 0;
  for (size_t at = 0; at < size;) {
    const char* end = memchr(text + at, '\n', size - at);
    if (end == NULL) break;  // torn
    const size_t length = (size_t)(end - (text + at)) + 1;
    if (line_stays(text + at, length, step)) {
      memmove(text + kept, text + at, length);
      kept += length;
    }
    at += length;
  }
  return kept;
}

static dpc_status drop_later(const char* path, int64_t step, dpc_error* error) {
  char* text = NULL;
  size_t size = 0;
  if (access(path, F_OK) != 0) return DPC_OK;
  DPC_TRY(dpc_file_read(path, METRICS_MAX, &text, &size, error));
  const size_t kept = keep_lines(text, size, step);
  const dpc_status status = kept == size ? DPC_OK : dpc_file_save(path, text, kept, error);
  free(text);
  return status;
}

dpc_status dpc_train_metrics_open(const char* path, int64_t step, const dpc_train_def* def,
                                  dpc_train_metrics* metrics, dpc_error* error) {
  dpc_train_history history;
  DPC_TRY(drop_later(path, step, error));
  DPC_TRY(dpc_train_history_read(path, &history, error));
  FILE* stream = fopen(path, "ae");
  if (stream == NULL) {
    dpc_train_history_free(&history);
    return dpc_fail(error, DPC_ERR_IO, "%s: %s", path, strerror(errno));
  }
  const double earlier = dpc_train_summarize(&history, def->batch).seconds;
  const dpc_time now = dpc_clock_now();
  *metrics = (dpc_train_metrics){.stream = stream,
                                 .log_every = def->log_every,
                                 .batch = def->batch,
                                 .history = history,
                                 .first_step = step,
                                 .start = now,
                                 .earlier = isnan(earlier) ? 0 : earlier,
                                 .line_start = now};
  return DPC_OK;
}

void dpc_train_metrics_close(dpc_train_metrics* metrics) {
  if (metrics->stream != NULL) (void)fclose(metrics->stream);
  metrics->stream = NULL;
  dpc_train_history_free(&metrics->history);
}

static double seconds_since(dpc_time earlier) {
  return dpc_to_seconds(dpc_time_since(dpc_clock_now(), earlier));
}

double dpc_train_metrics_seconds(const dpc_train_metrics* metrics) {
  return metrics->earlier + seconds_since(metrics->start);
}

// Write and free a line.
static void write_line(dpc_train_metrics* metrics, dpc_json* line) {
  dpc_error error = {""};
  if (dpc_json_write_line(line, metrics->stream, &error) != DPC_OK) {
    if (!metrics->failed) dpc_log(DPC_LOG_WARNING, "metrics are incomplete: %s", error.text);
    metrics->failed = true;
    clearerr(metrics->stream);
  }
  dpc_json_free(line);
}

static void add_point(dpc_train_metrics* metrics, dpc_train_point* point) {
  point->seconds = dpc_train_metrics_seconds(metrics);
  dpc_train_history_add(&metrics->history, point);
  write_line(metrics, dpc_train_point_json(point));
}

void dpc_train_metrics_step(dpc_train_metrics* metrics, const dpc_train_report* report) {
  metrics->line_loss += report->loss;
  metrics->line_steps += 1;
  if (report->step % metrics->log_every != 0) return;
  dpc_train_point point = dpc_train_point_at(report->step);
  point.epoch = report->epoch;
  point.loss = metrics->line_loss / metrics->line_steps;
  point.learning_rate = report->learning_rate;
  point.gradient_norm = report->gradient_norm;
  point.samples_per_second =
      metrics->line_steps * metrics->batch / seconds_since(metrics->line_start);
  add_point(metrics, &point);
  metrics->line_loss = 0;
  metrics->line_steps = 0;
  metrics->line_start = dpc_clock_now();
}

void dpc_train_metrics_validation(dpc_train_metrics* metrics, int64_t step, double val_loss) {
  if (isnan(val_loss)) return;
  dpc_train_point point = dpc_train_point_at(step);
  point.val_loss = val_loss;
  add_point(metrics, &point);
}

void dpc_train_metrics_rollouts(dpc_train_metrics* metrics, int64_t step, double score,
                                double success) {
  dpc_train_point point = dpc_train_point_at(step);
  point.score = score;
  point.success = success;
  add_point(metrics, &point);
}

dpc_train_summary dpc_train_metrics_end(dpc_train_metrics* metrics, int64_t step) {
  dpc_train_point point = dpc_train_point_at(step);
  point.seconds = dpc_train_metrics_seconds(metrics);
  dpc_train_history_add(&metrics->history, &point);
  const dpc_train_summary summary = dpc_train_summarize(&metrics->history, metrics->batch);
  dpc_json* line = dpc_train_point_json(&point);
  dpc_json_set(line, "summary", dpc_train_summary_json(&summary));
  write_line(metrics, line);
  return summary;
}
