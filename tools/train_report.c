#include "tools/train_report.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "runtime/clock.h"
#include "tools/duration.h"
#include "tools/train_best.h"
#include "tools/train_output.h"

size_t dpc_train_parameters(const dpc_trainer* trainer) {
  const dpc_unet* unet = dpc_trainer_unet(trainer);
  size_t count = 0;
  for (int i = 0; i < dpc_unet_tensor_count(unet); ++i) count += dpc_unet_tensor_at(unet, i)->count;
  return count;
}

// --- while it runs ------------------------------------------------------------------------------

// Append "  name value", or nothing while there is none.
static void add_value(char* text, size_t capacity, const char* name, int decimals, double value) {
  const size_t at = strlen(text);
  if (!isnan(value)) (void)snprintf(text + at, capacity - at, "  %s %.*f", name, decimals, value);
}

// What matters most comes first: a narrow terminal cuts the end off.
void dpc_train_show_progress(const dpc_cli* cli, const dpc_train_settings* settings,
                             const dpc_train_metrics* metrics, const dpc_train_report* report) {
  const double done = (double)(report->step - metrics->first_step);
  const double left = (double)(settings->train.steps - report->step);
  const double seconds = dpc_to_seconds(dpc_time_since(dpc_clock_now(), metrics->start));
  const dpc_train_point* latest = &metrics->history.latest;
  char values[256] = "";
  add_value(values, sizeof values, "loss", 4, isnan(latest->loss) ? report->loss : latest->loss);
  add_value(values, sizeof values, "val", 4, latest->val_loss);
  add_value(values, sizeof values, "score", 3, latest->score);
  add_value(values, sizeof values, "success", 2, latest->success);
  dpc_cli_progress(cli, "step %" PRId64 "/%d  %s left%s  lr %.1e  %.0f samples/s", report->step,
                   settings->train.steps, dpc_duration_print(seconds / done * left).text, values,
                   report->learning_rate, done * settings->train.batch / seconds);
}

// --- at the end ---------------------------------------------------------------------------------

static void print_best(const dpc_cli* cli, const char* folder, const dpc_train_best_list* best) {
  for (int i = 0; i < best->count; ++i) {
    dpc_cli_print(cli, "%s %s/%s\n", i == 0 ? "best:" : "     ", folder, best->items[i].name);
  }
}

static void print_result(const dpc_cli* cli, const dpc_train_result* result,
                         const dpc_train_best_list* best) {
  const dpc_train_def* def = &result->settings->train;
  const dpc_train_summary* summary = result->summary;
  dpc_cli_print(cli, "%s/policy.safetensors: step %" PRId64 " of %d", def->output,
                dpc_trainer_steps_done(result->trainer), def->steps);
  if (!isnan(summary->loss)) dpc_cli_print(cli, ", loss %.5f", summary->loss);
  if (!isnan(summary->val_loss)) dpc_cli_print(cli, ", validation loss %.5f", summary->val_loss);
  dpc_cli_print(cli, ", %s\n", dpc_duration_print(summary->seconds).text);
  dpc_train_summary_print(cli, summary);
  print_best(cli, def->output, best);
}

static dpc_json* make_report(const dpc_train_result* result, const dpc_train_best_list* best) {
  const dpc_train_def* def = &result->settings->train;
  const int64_t done = dpc_trainer_steps_done(result->trainer);
  dpc_json* json = dpc_json_object();
  dpc_json_set_text(json, "policy", dpc_train_file(def->output, "policy.safetensors").text);
  dpc_json_set_bool(json, "finished", done >= def->steps);
  dpc_json_set_int(json, "steps", done);
  dpc_json_set_real(json, "loss", result->summary->loss);
  dpc_json_set_real(json, "val_loss", result->summary->val_loss);
  dpc_json_set_real(json, "seconds", result->summary->seconds);
  dpc_json_set_real(json, "samples_per_second", result->summary->samples_per_second);
  dpc_json_set_int(json, "parameters", (int64_t)dpc_train_parameters(result->trainer));
  dpc_json_set_int(json, "train_windows", result->dataset->train.count);
  dpc_json_set_int(json, "threads", dpc_trainer_threads(result->trainer));
  dpc_json_set_int(json, "failed_saves", result->failed_saves);
  dpc_json_set(json, "summary", dpc_train_summary_json(result->summary));
  dpc_json_set(json, "best", dpc_train_best_json(def->output, best));
  return json;
}

dpc_status dpc_train_report_result(const dpc_cli* cli, const dpc_train_result* result,
                                   dpc_error* error) {
  dpc_train_best_list best = {.count = 0};
  DPC_TRY(dpc_train_best_read(result->settings->train.output, &best, error));
  print_result(cli, result, &best);
  return dpc_cli_report(cli, make_report(result, &best), error);
}
