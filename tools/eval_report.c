#include "tools/eval_report.h"

#include <inttypes.h>

static uint64_t count_failed_plans(const dpc_eval_case* c) {
  uint64_t count = 0;
  for (int i = 0; i < c->score.episodes; ++i) count += c->results[i].failed_plans;
  return count;
}

static const char* mode_of(const dpc_eval_case* c) {
  return dpc_switching_names[c->def.controller.switching];
}

// In policy steps.
static int delay_of(const dpc_eval_case* c) {
  return c->def.controller.delay / c->def.controller.ticks_per_step;
}

static int rate_of(const dpc_eval_case* c) {
  return DPC_PUSH_CONTROL_HZ * c->def.controller.ticks_per_step;
}

static int rows_of(const dpc_eval_outcome* o, const dpc_eval_case* c) {
  return dpc_controller_rows(&c->def.controller, dpc_policy_info(o->policy));
}

// --- for people ------------------------------------------------------------------------------------

static void print_head(const dpc_cli* cli, const dpc_eval_outcome* o) {
  const dpc_eval_case* c = &o->cases[0];
  const dpc_sampler_def* sampler = &c->def.sampler;
  double seconds = 0;
  for (int i = 0; i < o->case_count; ++i) seconds += o->cases[i].seconds;
  dpc_cli_print(cli, "%s: %d episodes, seeds %" PRIu64 " to %" PRIu64 ", %s with %d steps",
                o->policy_path, c->score.episodes, o->seeds.first, o->seeds.end - 1,
                dpc_sampler_kind_names[sampler->kind], sampler->steps);
  if (c->def.controller.ticks_per_step > 1) {
    dpc_cli_print(cli, ", %d commands a second", rate_of(c));
  }
  if (o->case_count == 1 && c->def.controller.delay > 0) {
    dpc_cli_print(cli, ", delay %d, %s, %d rows a plan", delay_of(c), mode_of(c), rows_of(o, c));
  }
  dpc_cli_print(cli, ", %.1f s\n\n", seconds);
}

static void print_one(const dpc_cli* cli, const dpc_eval_case* c) {
  const dpc_score* s = &c->score;
  dpc_cli_print(cli, "             mean   95 %% confidence\n");
  dpc_cli_print(cli, "  score     %.3f   %.3f to %.3f\n", s->mean, s->mean_ci95[0],
                s->mean_ci95[1]);
  dpc_cli_print(cli, "  success   %.3f   %.3f to %.3f\n", s->success, s->success_ci95[0],
                s->success_ci95[1]);
  dpc_cli_print(cli,
                "\n  largest at an episode's switches\n"
                "             mean    largest\n"
                "  velocity step  %8.0f   %8.0f px/s\n"
                "  jerk           %8.3g   %8.3g px/s^3\n",
                s->velocity_step_mean, s->velocity_step_max, s->jerk_mean, s->jerk_max);
}

static void print_comparison(const dpc_cli* cli, const dpc_eval_outcome* o) {
  dpc_cli_print(
      cli,
      "                                              score lost            largest at an "
      "episode's switches\n"
      "                                              against the first     velocity step, "
      "px/s     jerk, px/s^3\n"
      "  delay  mode     rows   score   success      (95 %% confidence)      mean   "
      "largest       mean   largest\n");
  for (int i = 0; i < o->case_count; ++i) {
    const dpc_eval_case* c = &o->cases[i];
    const dpc_score* s = &c->score;
    dpc_cli_print(cli, "  %5d  %-7s  %4d   %.3f   %.3f   %6.3f (%6.3f to %6.3f)  %8.0f  %8.0f",
                  delay_of(c), mode_of(c), rows_of(o, c), s->mean, s->success, c->loss,
                  c->loss_ci95[0], c->loss_ci95[1], s->velocity_step_mean, s->velocity_step_max);
    dpc_cli_print(cli, "   %8.3g  %8.3g\n", s->jerk_mean, s->jerk_max);
  }
}

void dpc_eval_print(const dpc_cli* cli, const dpc_eval_outcome* outcome) {
  print_head(cli, outcome);
  if (outcome->case_count == 1) {
    print_one(cli, &outcome->cases[0]);
  } else {
    print_comparison(cli, outcome);
  }
  uint64_t failed = 0;
  for (int i = 0; i < outcome->case_count; ++i) failed += count_failed_plans(&outcome->cases[i]);
  if (failed > 0) dpc_cli_print(cli, "\n  %" PRIu64 " plans were not finite\n", failed);
}

// --- for programs ----------------------------------------------------------------------------------

static void set_interval(dpc_json* json, const char* key, const double interval[2]) {
  dpc_json* pair = dpc_json_set(json, key, dpc_json_array());
  dpc_json_push_real(pair, interval[0]);
  dpc_json_push_real(pair, interval[1]);
}

static void set_scores(dpc_json* json, const dpc_eval_case* c) {
  const dpc_score* s = &c->score;
  dpc_json_set_real(json, "score_mean", s->mean);
  set_interval(json, "score_ci95", s->mean_ci95);
  dpc_json_set_real(json, "success_rate", s->success);
  set_interval(json, "success_ci95", s->success_ci95);
  dpc_json_set_real(json, "velocity_step_mean", s->velocity_step_mean);
  dpc_json_set_real(json, "velocity_step_max", s->velocity_step_max);
  dpc_json_set_real(json, "jerk_mean", s->jerk_mean);
  dpc_json_set_real(json, "jerk_max", s->jerk_max);
  dpc_json_set_int(json, "failed_plans", (int64_t)count_failed_plans(c));
}

static void set_driving(dpc_json* json, const dpc_eval_outcome* o, const dpc_eval_case* c) {
  dpc_json_set_int(json, "delay", delay_of(c));
  dpc_json_set_text(json, "mode", mode_of(c));
  dpc_json_set_int(json, "rate_hz", rate_of(c));
  dpc_json_set_text(json, "interpolation",
                    dpc_interpolation_names[c->def.controller.interpolation]);
  dpc_json_set_int(json, "n_actions", rows_of(o, c));
}

static void set_settings(dpc_json* json, const dpc_eval_outcome* o, const dpc_eval_case* c) {
  const dpc_sampler_def* sampler = &c->def.sampler;
  dpc_json_set_text(json, "policy", o->policy_path);
  dpc_json_set_text(json, "sampler", dpc_sampler_kind_names[sampler->kind]);
  dpc_json_set_int(json, "steps", sampler->steps);
  dpc_json_set_text(json, "grid", dpc_grid_names[sampler->grid]);
  dpc_json_set_real(json, "eta", sampler->eta);
  dpc_json_set_real(json, "temperature", sampler->temperature);
  const dpc_engine_info engine = dpc_engine_describe(dpc_policy_engine(o->policy));
  dpc_json_set_text(json, "precision", engine.precision);
  dpc_json_set_text(json, "isa", engine.isa);
  set_driving(json, o, c);
  dpc_json_set_int(json, "seed", (int64_t)c->def.controller.seed);
}

static void set_comparison(dpc_json* rows, const dpc_eval_outcome* o) {
  for (int i = 0; i < o->case_count; ++i) {
    const dpc_eval_case* c = &o->cases[i];
    dpc_json* row = dpc_json_push(rows, dpc_json_object());
    set_driving(row, o, c);
    set_scores(row, c);
    dpc_json_set_real(row, "score_loss", c->loss);
    set_interval(row, "score_loss_ci95", c->loss_ci95);
  }
}

dpc_json* dpc_eval_json(const dpc_eval_outcome* outcome) {
  const dpc_eval_case* first = &outcome->cases[0];
  dpc_json* json = dpc_json_object();
  set_scores(json, first);
  dpc_json_set_int(json, "episodes", first->score.episodes);
  dpc_json* rows = dpc_json_set(json, "per_seed", dpc_json_array());
  for (int i = 0; i < first->score.episodes; ++i) {
    dpc_json* row = dpc_json_push(rows, dpc_json_array());
    dpc_json_push_int(row, first->results[i].seed);
    dpc_json_push_real(row, first->results[i].score);
    dpc_json_push_int(row, first->results[i].success ? 1 : 0);
  }
  dpc_json_set_real(json, "seconds", first->seconds);
  set_settings(dpc_json_set(json, "settings", dpc_json_object()), outcome, first);
  if (outcome->case_count > 1) {
    set_comparison(dpc_json_set(json, "comparison", dpc_json_array()), outcome);
  }
  return json;
}
