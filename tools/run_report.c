#include "tools/run_report.h"

#include <inttypes.h>

typedef struct stage {
  const char *key, *name;
  const dpc_latency* latency;
} stage;

static double us(dpc_duration length) {
  return (double)length.ns * 1e-3;
}

static void print_stage(const dpc_cli* cli, const stage* shown) {
  const dpc_latency_summary s = dpc_latency_summarize(shown->latency);
  if (s.count == 0) return;
  dpc_cli_print(cli, "%-16s %8" PRIu64 " %10.1f %10.1f %10.1f %10.1f\n", shown->name, s.count,
                us(s.p50), us(s.p99), us(s.p999), us(s.max));
}

static dpc_json* stage_json(const dpc_latency* latency) {
  const dpc_latency_summary s = dpc_latency_summarize(latency);
  dpc_json* json = dpc_json_object();
  dpc_json_set_int(json, "count", (int64_t)s.count);
  dpc_json_set_real(json, "p50", us(s.p50));
  dpc_json_set_real(json, "p99", us(s.p99));
  dpc_json_set_real(json, "p999", us(s.p999));
  dpc_json_set_real(json, "max", us(s.max));
  return json;
}

// --- threads -------------------------------------------------------------------------------------

static void print_thread(const dpc_cli* cli, const char* name, const dpc_thread* thread) {
  if (thread->run == NULL) return;
  const dpc_thread_usage* usage = &thread->usage;
  char heap[32] = "not counted";
  if (usage->heap_calls >= 0) (void)snprintf(heap, sizeof heap, "%" PRId64, usage->heap_calls);
  dpc_cli_print(cli,
                "%s thread, %s: page faults %" PRId64 " minor, %" PRId64
                " major, calls to the heap %s, involuntary switches %" PRId64 "\n",
                name, thread->realtime ? "real-time" : "ordinary", usage->minor_faults,
                usage->major_faults, heap, usage->involuntary_switches);
}

static dpc_json* thread_json(const dpc_thread* thread) {
  const dpc_thread_usage* usage = &thread->usage;
  dpc_json* json = dpc_json_object();
  dpc_json_set_bool(json, "realtime", thread->realtime);
  dpc_json_set_int(json, "minor_faults", usage->minor_faults);
  dpc_json_set_int(json, "major_faults", usage->major_faults);
  if (usage->heap_calls >= 0) dpc_json_set_int(json, "heap_calls", usage->heap_calls);
  dpc_json_set_int(json, "involuntary_switches", usage->involuntary_switches);
  return json;
}

static void add_threads(dpc_json* json, const dpc_run_result* r) {
  dpc_json_set_text(json, "rt", r->rt);
  dpc_json_set_bool(json, "memory_locked", r->memory_locked);
  dpc_json* threads = dpc_json_set(json, "threads", dpc_json_object());
  dpc_json_set(threads, "control", thread_json(r->control));
  if (r->planner->run != NULL) dpc_json_set(threads, "planner", thread_json(r->planner));
}

// --- episodes and counts -------------------------------------------------------------------------

static double mean_score(const dpc_run_result* r) {
  double sum = 0;
  for (int i = 0; i < r->episode_count; ++i) sum += r->episodes[i].score;
  return r->episode_count > 0 ? sum / r->episode_count : 0;
}

static double success_rate(const dpc_run_result* r) {
  double sum = 0;
  for (int i = 0; i < r->episode_count; ++i) sum += r->episodes[i].success;
  return r->episode_count > 0 ? sum / r->episode_count : 0;
}

static void print_record(const dpc_cli* cli, const dpc_recorder_result* record) {
  if (record->path[0] == '\0') return;
  dpc_cli_print(cli, "recorded in %s: %" PRIu64 " ticks, dropped %" PRIu64, record->path,
                record->ticks - record->dropped - record->unwritten, record->dropped);
  if (!record->complete) dpc_cli_print(cli, ", not written %" PRIu64, record->unwritten);
  dpc_cli_print(cli, "\n");
}

static void print_people(const dpc_cli* cli, const dpc_run_result* r) {
  for (int i = 0; i < r->episode_count; ++i) {
    const dpc_run_episode* episode = &r->episodes[i];
    dpc_cli_print(cli, "seed %" PRIu64 ": score %.3f%s, %" PRIu64 " steps\n", episode->seed,
                  episode->score, episode->success ? ", success" : "", episode->steps);
  }
  if (r->episode_count > 0) {
    dpc_cli_print(cli, "%d episodes: score %.3f, success %.3f\n", r->episode_count, mean_score(r),
                  success_rate(r));
  }
  dpc_cli_print(cli,
                "missed ticks %" PRIu64 ", late plans %" PRIu64 ", failed plans %" PRIu64
                ", overdue observations %" PRIu64 ", times the robot was lost %" PRIu64
                ", faults %" PRIu64 "\n",
                r->loop->missed, r->controller->late, r->controller->failed, r->loop->overdue,
                r->lost, r->controller->faults);
  print_record(cli, &r->record);
}

static dpc_json* episodes_json(const dpc_run_result* r) {
  dpc_json* rows = dpc_json_array();
  for (int i = 0; i < r->episode_count; ++i) {
    dpc_json* row = dpc_json_push(rows, dpc_json_array());
    dpc_json_push_int(row, (int64_t)r->episodes[i].seed);
    dpc_json_push_real(row, r->episodes[i].score);
    dpc_json_push_int(row, r->episodes[i].success ? 1 : 0);
    dpc_json_push_int(row, (int64_t)r->episodes[i].steps);
  }
  return rows;
}

static dpc_json* record_json(const dpc_recorder_result* record) {
  dpc_json* json = dpc_json_object();
  dpc_json_set_text(json, "path", record->path);
  dpc_json_set_int(json, "ticks", (int64_t)record->ticks);
  dpc_json_set_int(json, "dropped", (int64_t)record->dropped);
  dpc_json_set_int(json, "unwritten", (int64_t)record->unwritten);
  dpc_json_set_bool(json, "complete", record->complete);
  return json;
}

static void add_counts(dpc_json* json, const dpc_run_result* r) {
  const struct {
    const char* key;
    uint64_t value;
  } counts[] = {
      {"ticks", r->controller->ticks},
      {"missed_ticks", r->loop->missed},
      {"overslept_ticks", r->loop->overslept},
      {"overdue_observations", r->loop->overdue},
      {"plans", r->controller->plans},
      {"late_plans", r->controller->late},
      {"failed_plans", r->controller->failed},
      {"holds", r->controller->holds},
      {"clamped_values", r->controller->clamped},
      {"limited_values", r->controller->limited},
      {"rejected_commands", r->controller->rejected},
      {"refused_jumps", r->controller->jumped},
      {"bad_observations", r->controller->blind},
      {"old_observations", r->controller->too_old},
      {"stale_ticks", r->controller->stale},
      {"gaps", r->controller->gaps},
      {"faults", r->controller->faults},
      {"commands_sent", r->link->commands_sent},
      {"commands_failed", r->link->commands_failed},
      {"observations_replaced", r->link_counts->replaced},
      {"robot_lost", r->lost},
  };
  for (int i = 0; i < DPC_COUNT(counts); ++i) {
    dpc_json_set_int(json, counts[i].key, (int64_t)counts[i].value);
  }
}

dpc_status dpc_run_report(const dpc_cli* cli, const dpc_run_result* r, dpc_error* error) {
  const stage stages[] = {
      {"observation_age", "observation age", &r->loop->observation_age},
      {"inference", "inference", r->inference},
      {"tick", "tick", &r->loop->tick},
      {"end_to_end", "end to end", &r->link->end_to_end},
      {"wake_up", "wake-up", &r->loop->wake_up},
  };
  dpc_cli_print(cli, "%-16s %8s %10s %10s %10s %10s\n", "latency, us", "count", "p50", "p99",
                "p99.9", "max");
  for (int i = 0; i < DPC_COUNT(stages); ++i) print_stage(cli, &stages[i]);
  print_thread(cli, "control", r->control);
  print_thread(cli, "planner", r->planner);
  print_people(cli, r);

  dpc_json* json = dpc_json_object();
  dpc_json_set_int(json, "episodes", r->episode_count);
  dpc_json_set_real(json, "score_mean", mean_score(r));
  dpc_json_set_real(json, "success_rate", success_rate(r));
  dpc_json_set(json, "per_seed", episodes_json(r));
  dpc_json* latency = dpc_json_set(json, "latency_us", dpc_json_object());
  for (int i = 0; i < DPC_COUNT(stages); ++i) {
    dpc_json_set(latency, stages[i].key, stage_json(stages[i].latency));
  }
  dpc_json_set_text(json, "pace", r->pace);
  dpc_json_set_int(json, "delay", r->delay);
  dpc_json_set_int(json, "steps", r->steps);
  add_threads(json, r);
  dpc_json_set_bool(json, "stopped", r->stopped);
  add_counts(json, r);
  if (r->record.path[0] != '\0') dpc_json_set(json, "record", record_json(&r->record));
  return dpc_cli_report(cli, json, error);
}
