#include "tools/train_metrics.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/file.h"
#include "tools/json.h"

enum { METRICS_MAX = 1 << 30 };  // bytes; a longer file is not ours

// True for a whole line that belongs to a step no later than `step`.
static bool line_stays(const char* line, size_t length, int64_t step) {
  dpc_json* json = NULL;
  int64_t at = 0;
  if (dpc_json_parse(line, length, "metrics", &json, NULL) != DPC_OK) return false;
  const bool stays = dpc_json_as_int(dpc_json_get(json, "step"), &at) && at <= step;
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

dpc_status dpc_train_metrics_open(const char* path, int64_t step, dpc_train_metrics* metrics,
                                  dpc_error* error) {
  DPC_TRY(drop_later(path, step, error));
  FILE* stream = fopen(path, "ae");
  if (stream == NULL) return dpc_fail(error, DPC_ERR_IO, "%s: %s", path, strerror(errno));
  *metrics = (dpc_train_metrics){.stream = stream};
  return DPC_OK;
}

void dpc_train_metrics_close(dpc_train_metrics* metrics) {
  if (metrics->stream != NULL) (void)fclose(metrics->stream);
  metrics->stream = NULL;
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

void dpc_train_metrics_step(dpc_train_metrics* metrics, const dpc_train_report* report, double loss,
                            double samples_per_second) {
  dpc_json* line = dpc_json_object();
  dpc_json_set_int(line, "step", report->step);
  dpc_json_set_real(line, "epoch", report->epoch);
  dpc_json_set_real(line, "loss", loss);
  dpc_json_set_real(line, "lr", report->learning_rate);
  dpc_json_set_real(line, "gradient_norm", report->gradient_norm);
  dpc_json_set_real(line, "samples_per_second", samples_per_second);
  write_line(metrics, line);
}

void dpc_train_metrics_value(dpc_train_metrics* metrics, int64_t step, const char* name,
                             double value) {
  dpc_json* line = dpc_json_object();
  dpc_json_set_int(line, "step", step);
  dpc_json_set_real(line, name, value);
  write_line(metrics, line);
}
