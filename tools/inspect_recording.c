#include <inttypes.h>

#include "proto/run_log.h"
#include "runtime/latency.h"
#include "runtime/tick_message.h"
#include "tools/inspect.h"

// What happened in a run.
typedef struct summary {
  uint64_t ticks, epochs, modes[DPC_MODE_ACTIVE + 1], plans, late, failed, rejected, clamped,
      unseen;
  uint64_t missed;         // ticks that should have been, by their numbers
  uint64_t gaps, missing;  // of the recording
  uint64_t epoch, tick;    // of the tick before
  int64_t first_ns, last_ns;
  dpc_latency taken;  // from a tick's start to its command
  bool cut;
} summary;

static void add(summary* s, const dpc_tick_record* tick) {
  const dpc_tick_input* input = &tick->input;
  const dpc_tick_output* output = &tick->output;
  if (s->ticks++ == 0) s->first_ns = tick->times.start.ns;
  s->last_ns = tick->times.done.ns;
  if (s->epochs == 0 || input->epoch != s->epoch) {
    ++s->epochs;
  } else if (input->tick > s->tick + 1) {
    s->missed += input->tick - s->tick - 1;
  }
  s->epoch = input->epoch;
  s->tick = input->tick;
  if ((unsigned)output->mode < DPC_COUNT(s->modes)) ++s->modes[output->mode];
  s->plans += output->adopted;
  s->late += output->late;
  s->failed += tick->answered && tick->plan.failed;
  s->rejected += output->gate.rejected;
  s->clamped += (uint64_t)output->gate.clamped;
  s->unseen += !input->fresh;
  dpc_latency_record(&s->taken, dpc_time_since(tick->times.done, tick->times.start));
}

static dpc_status read_all(dpc_run_log* log, summary* s, dpc_error* error) {
  for (;;) {
    dpc_tick_record tick = {0};
    dpc_run_log_event event;
    DPC_TRY(dpc_run_log_read(log, &tick, &event, error));
    switch (event.kind) {
      case DPC_RUN_LOG_TICK:
        add(s, &tick);
        break;
      case DPC_RUN_LOG_GAP:
        ++s->gaps;
        s->missing += event.gap.count;
        break;
      case DPC_RUN_LOG_DONE:
        s->cut = event.cut;
        return DPC_OK;
    }
  }
}

static dpc_status report(const dpc_cli* cli, const dpc_run_info* info, const summary* s,
                         dpc_error* error) {
  const dpc_latency_summary taken = dpc_latency_summarize(&s->taken);
  const struct {
    const char *key, *words;
    uint64_t value;
  } counts[] = {
      {"ticks", "ticks", s->ticks},
      {"epochs", "epochs", s->epochs},
      {"idle", "ticks before anything was observed", s->modes[DPC_MODE_IDLE]},
      {"hold", "ticks without a plan", s->modes[DPC_MODE_HOLD]},
      {"active", "ticks that followed a plan", s->modes[DPC_MODE_ACTIVE]},
      {"unseen", "ticks without a new observation", s->unseen},
      {"missed_ticks", "ticks missed", s->missed},
      {"plans", "plans adopted", s->plans},
      {"late_plans", "of these late", s->late},
      {"failed_plans", "plans failed", s->failed},
      {"rejected_commands", "commands rejected", s->rejected},
      {"clamped_values", "values clamped", s->clamped},
      {"gaps", "gaps in the recording", s->gaps},
      {"missing_ticks", "ticks in them", s->missing},
  };
  dpc_cli_print(cli, "recording of %s, %s\npolicy %s\nweights_sha256 %s, %s, %s\n", info->software,
                info->build, info->policy, info->weights_sha256, info->precision, info->isa);
  dpc_json* json = dpc_json_object();
  dpc_json_set_text(json, "policy", info->policy);
  dpc_json_set_text(json, "weights_sha256", info->weights_sha256);
  dpc_json* settings = dpc_json_set(json, "settings", dpc_json_object());
  for (int i = 0; i < info->setting_count; ++i) {
    dpc_json_set_text(settings, info->settings[i].key, info->settings[i].value);
  }
  dpc_json_set_real(json, "seconds", (double)(s->last_ns - s->first_ns) * 1e-9);
  dpc_cli_print(cli, "%10.1f s\n", (double)(s->last_ns - s->first_ns) * 1e-9);
  for (int i = 0; i < DPC_COUNT(counts); ++i) {
    dpc_json_set_int(json, counts[i].key, (int64_t)counts[i].value);
    dpc_cli_print(cli, "%10" PRIu64 " %s\n", counts[i].value, counts[i].words);
  }
  dpc_json_set_real(json, "tick_us_p50", (double)taken.p50.ns * 1e-3);
  dpc_json_set_real(json, "tick_us_p999", (double)taken.p999.ns * 1e-3);
  dpc_json_set_bool(json, "cut", s->cut);
  dpc_cli_print(cli, "a tick took %.1f us (p50), %.1f us (p99.9)\n", (double)taken.p50.ns * 1e-3,
                (double)taken.p999.ns * 1e-3);
  if (s->cut) dpc_cli_print(cli, "the recording was cut off\n");
  return dpc_cli_report(cli, json, error);
}

dpc_status dpc_inspect_recording(const dpc_cli* cli, const char* path, dpc_error* error) {
  static summary s;
  dpc_run_log* log = NULL;
  DPC_TRY(dpc_run_log_open(path, &dpc_tick_table, &log, error));
  dpc_status status = read_all(log, &s, error);
  if (status == DPC_OK) status = report(cli, dpc_run_log_info(log), &s, error);
  dpc_run_log_free(log);
  return status;
}
