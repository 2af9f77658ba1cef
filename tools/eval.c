/// dpc-eval: how well a policy does in the push world.

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "runtime/clock.h"
#include "tools/cli.h"
#include "tools/eval_keep.h"
#include "tools/sampler_options.h"
#include "tools/score.h"

enum {
  KEY_PRECISION = 0x1000,
  KEY_DELAY,
  KEY_ACTIONS,
  KEY_SEED,
  KEY_THREADS,
  KEY_RECORD,
  KEY_SUCCESSES,
  KEY_PICTURE
};

static const size_t POLICY_SIZE = (size_t)4 << 30;  // address space; only what is touched is used

static const struct argp_option options[] = {
    {"policy", 'p', "FILE", 0, "The checkpoint to evaluate", 0},
    {"seeds", 's', "A:B", 0, "One episode for each seed from A up to but without B", 0},
    {"precision", KEY_PRECISION, "NAME", 0, "auto, fp32 or bf16 (auto)", 0},
    {"delay", KEY_DELAY, "D", 0, "Steps from asking for a plan to its first action (0)", 0},
    {"n-actions", KEY_ACTIONS, "N", 0, "Rows executed per plan (as the policy was trained for)", 0},
    {"seed", KEY_SEED, "SEED", 0, "Seed of the run, for the policy's noise (0)", 0},
    {"threads", KEY_THREADS, "N", 0, "Threads; results do not depend on it (all processors)", 0},
    {"record", KEY_RECORD, "DIR", 0, "Write the episodes to the log DIR", 0},
    {"record-successes", KEY_SUCCESSES, NULL, 0, "With --record, write only those that succeed", 0},
    {"picture", KEY_PICTURE, "FILE", 0, "Draw the first episode into a PNG", 0},
    {0}};

typedef struct eval {
  dpc_cli cli;
  const char* policy_path;
  dpc_seed_range seeds;           // empty: not given
  int delay, n_actions, threads;  // -1: not given
  dpc_sampler_options sampler;
  dpc_engine_def engine;
  uint64_t seed;
  const char* record_dir;
  bool successes_only;
  const char* picture;

  dpc_arena arena;
  dpc_policy* policy;
  dpc_rollouts_def def;
  dpc_rollout_result* results;
  dpc_score score;
  double seconds;

  int finished, recorded;  // while it runs
  double score_sum;
} eval;

static error_t parse(int key, char* text, struct argp_state* state) {
  eval* e = state->input;
  switch (key) {
    case ARGP_KEY_INIT:
      state->child_inputs[0] = &e->sampler;
      return 0;
    case 'p':
      e->policy_path = text;
      return 0;
    case 's':
      e->seeds = dpc_cli_seeds(state, "--seeds", text);
      return 0;
    case KEY_PRECISION:
      e->engine.precision = dpc_cli_choice(state, "--precision", text, dpc_precision_names);
      return 0;
    case KEY_DELAY:
      e->delay = dpc_cli_int(state, "--delay", text, 0, 1000);
      return 0;
    case KEY_ACTIONS:
      e->n_actions = dpc_cli_int(state, "--n-actions", text, 1, 1024);
      return 0;
    case KEY_SEED:
      e->seed = (uint64_t)dpc_cli_int(state, "--seed", text, 0, INT32_MAX);
      return 0;
    case KEY_THREADS:
      e->threads = dpc_cli_int(state, "--threads", text, 1, 1024);
      return 0;
    case KEY_RECORD:
      e->record_dir = text;
      return 0;
    case KEY_SUCCESSES:
      e->successes_only = true;
      return 0;
    case KEY_PICTURE:
      e->picture = text;
      return 0;
    case ARGP_KEY_ARG:
      argp_error(state, "unexpected argument: %s", text);
      return 0;
    case ARGP_KEY_END:
      if (e->policy_path == NULL) argp_error(state, "--policy FILE is missing");
      if (e->seeds.end == 0) argp_error(state, "--seeds A:B is missing");
      if (e->seeds.end - e->seeds.first > 1000000)
        argp_error(state, "--seeds: more than a million");
      if (e->successes_only && e->record_dir == NULL) {
        argp_error(state, "--record-successes needs --record DIR");
      }
      return 0;
    default:
      return ARGP_ERR_UNKNOWN;
  }
}

// --- running ---------------------------------------------------------------------------------------

static dpc_status visit(void* user, const dpc_rollout_result* result, const dpc_episode* episode,
                        dpc_error* error) {
  eval* e = user;
  if (e->record_dir != NULL && (result->success || !e->successes_only)) {
    // numbered by seed, so that what is recorded does not depend on which others succeed
    const int index = (int)(result->seed - e->def.first_seed);
    DPC_TRY(dpc_eval_record(e->record_dir, index, e->policy_path, result, episode, error));
    e->recorded += 1;
  }
  if (e->picture != NULL && result->seed == e->def.first_seed) {
    DPC_TRY(dpc_eval_draw(e->picture, result, episode, error));
  }
  e->finished += 1;
  e->score_sum += result->score;
  dpc_cli_progress(&e->cli, "episode %d/%d  score %.3f", e->finished, e->def.count,
                   e->score_sum / e->finished);
  return DPC_OK;
}

static dpc_rollout_def make_rollout_def(const eval* e) {
  dpc_rollout_def def = dpc_rollout_def_default(dpc_policy_info(e->policy));
  dpc_sampler_options_apply(&e->sampler, &def.sampler);
  if (e->delay >= 0) def.controller.delay = e->delay;
  if (e->n_actions >= 0) def.controller.n_actions = e->n_actions;
  def.controller.seed = e->seed;
  return def;
}

static dpc_status run_episodes(eval* e, dpc_error* error) {
  DPC_TRY(dpc_arena_map(&e->arena, POLICY_SIZE, error));
  DPC_TRY(dpc_policy_load_for(e->policy_path, &e->engine, &e->arena, &e->policy, error));
  const int count = (int)(e->seeds.end - e->seeds.first);
  e->def = (dpc_rollouts_def){.rollout = make_rollout_def(e),
                              .first_seed = (uint32_t)e->seeds.first,
                              .count = count,
                              .threads = e->threads > 0 ? e->threads : 0,
                              .record = e->record_dir != NULL || e->picture != NULL,
                              .visit = visit,
                              .user = e,
                              .interrupted = dpc_cli_interrupted};
  e->results = calloc((size_t)count, sizeof *e->results);
  if (e->results == NULL)
    return dpc_fail(error, DPC_ERR_NO_MEMORY, "no memory for %d results", count);
  const dpc_time start = dpc_clock_now();
  const dpc_status status = dpc_rollouts_run(&e->def, e->policy, e->results, error);
  e->seconds = dpc_to_seconds(dpc_time_since(dpc_clock_now(), start));
  dpc_cli_progress_end(&e->cli);
  DPC_TRY(status);
  return dpc_score_of(e->results, count, (uint32_t)e->seed, &e->score, error);
}

// --- results ---------------------------------------------------------------------------------------

static uint64_t count_failed_plans(const eval* e) {
  uint64_t count = 0;
  for (int i = 0; i < e->def.count; ++i) count += e->results[i].failed_plans;
  return count;
}

static void print_table(const eval* e) {
  const dpc_score* s = &e->score;
  const dpc_sampler_def* sampler = &e->def.rollout.sampler;
  dpc_cli_print(&e->cli, "%s: %d episodes, seeds %" PRIu64 " to %" PRIu64 ", %s with %d steps",
                e->policy_path, s->episodes, e->seeds.first, e->seeds.end - 1,
                dpc_sampler_kind_names[sampler->kind], sampler->steps);
  if (e->delay > 0) dpc_cli_print(&e->cli, ", delay %d", e->delay);
  dpc_cli_print(&e->cli, ", %.1f s\n\n", e->seconds);
  dpc_cli_print(&e->cli, "             mean   95 %% confidence\n");
  dpc_cli_print(&e->cli, "  score     %.3f   %.3f to %.3f\n", s->mean, s->mean_ci95[0],
                s->mean_ci95[1]);
  dpc_cli_print(&e->cli, "  success   %.3f   %.3f to %.3f\n", s->success, s->success_ci95[0],
                s->success_ci95[1]);
  if (count_failed_plans(e) > 0) {
    dpc_cli_print(&e->cli, "\n  %" PRIu64 " plans were not finite\n", count_failed_plans(e));
  }
  if (e->record_dir != NULL) {
    dpc_cli_print(&e->cli, "\n%d episodes recorded in %s\n", e->recorded, e->record_dir);
  }
  if (e->picture != NULL) dpc_cli_print(&e->cli, "\npicture: %s\n", e->picture);
}

static void set_interval(dpc_json* json, const char* key, const double interval[2]) {
  dpc_json* pair = dpc_json_set(json, key, dpc_json_array());
  dpc_json_push_real(pair, interval[0]);
  dpc_json_push_real(pair, interval[1]);
}

static void set_settings(dpc_json* json, const eval* e) {
  const dpc_sampler_def* sampler = &e->def.rollout.sampler;
  const dpc_controller_def* controller = &e->def.rollout.controller;
  const int trained_rows = dpc_policy_info(e->policy)->policy.n_actions;
  dpc_json_set_text(json, "policy", e->policy_path);
  dpc_json_set_text(json, "sampler", dpc_sampler_kind_names[sampler->kind]);
  dpc_json_set_int(json, "steps", sampler->steps);
  dpc_json_set_text(json, "grid", dpc_grid_names[sampler->grid]);
  dpc_json_set_real(json, "eta", sampler->eta);
  dpc_json_set_real(json, "temperature", sampler->temperature);
  const dpc_engine_info engine = dpc_engine_describe(dpc_policy_engine(e->policy));
  dpc_json_set_text(json, "precision", engine.precision);
  dpc_json_set_text(json, "isa", engine.isa);
  dpc_json_set_int(json, "delay", controller->delay);
  dpc_json_set_int(json, "n_actions",
                   controller->n_actions > 0 ? controller->n_actions : trained_rows);
  dpc_json_set_int(json, "seed", (int64_t)controller->seed);
}

static dpc_status report(const eval* e, dpc_error* error) {
  const dpc_score* s = &e->score;
  dpc_json* json = dpc_json_object();
  dpc_json_set_real(json, "score_mean", s->mean);
  set_interval(json, "score_ci95", s->mean_ci95);
  dpc_json_set_real(json, "success_rate", s->success);
  set_interval(json, "success_ci95", s->success_ci95);
  dpc_json_set_int(json, "episodes", s->episodes);
  dpc_json* rows = dpc_json_set(json, "per_seed", dpc_json_array());
  for (int i = 0; i < e->def.count; ++i) {
    dpc_json* row = dpc_json_push(rows, dpc_json_array());
    dpc_json_push_int(row, e->results[i].seed);
    dpc_json_push_real(row, e->results[i].score);
    dpc_json_push_int(row, e->results[i].success ? 1 : 0);
  }
  dpc_json_set_int(json, "failed_plans", (int64_t)count_failed_plans(e));
  dpc_json_set_real(json, "seconds", e->seconds);
  set_settings(dpc_json_set(json, "settings", dpc_json_object()), e);
  DPC_TRY(dpc_cli_report(&e->cli, json, error));
  print_table(e);
  return DPC_OK;
}

int main(int argc, char** argv) {
  const dpc_cli_program program = {
      .name = "eval",
      .doc =
          "Let a policy drive the push world, one episode for each seed, and say how well it does."
          "\vEpisodes begin as those of the public Push-T benchmark do, last at most 300 steps, "
          "and are scored by their largest reward; success is 95 % of the goal covered. The same "
          "settings and seeds give the same actions as dpc run over a lock-step link, bit for "
          "bit.",
      .options = options,
      .parse = parse,
      .children = (const struct argp_child[]){{.argp = &dpc_sampler_argp}, {0}},
  };
  static eval e = {.delay = -1, .n_actions = -1, .threads = -1};
  e.engine = dpc_engine_def_default();
  e.engine.threads = 1;  // the processors have episodes to work on
  dpc_error error = {""};
  dpc_cli_start(&program, argc, argv, &e.cli, &e);
  dpc_cli_catch_signals();
  dpc_status status = run_episodes(&e, &error);
  dpc_cli_progress_end(&e.cli);
  if (status == DPC_OK) status = report(&e, &error);
  free(e.results);
  dpc_arena_unmap(&e.arena);
  return dpc_cli_finish(&e.cli, status, &error);
}
