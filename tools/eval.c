/// dpc-eval: how well a policy does in the push world.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/clock.h"
#include "tools/cli.h"
#include "tools/eval_keep.h"
#include "tools/eval_report.h"
#include "tools/sampler_options.h"

enum {
  KEY_PRECISION = 0x1000,
  KEY_DELAY,
  KEY_MODE,
  KEY_RATE,
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
    {"precision", KEY_PRECISION, "NAME", 0, "auto, fp32, bf16 or int8 (auto)", 0},
    {"delay", KEY_DELAY, "N,...", 0, "Steps from asking for a plan to its first action (0)", 0},
    {"mode", KEY_MODE, "NAME,...", 0,
     "What becomes of these steps: wait, drop, blend, prefix, trained or guided (drop)", 0},
    {"rate", KEY_RATE, "HZ", 0,
     "Commands a second: 10 holds the plan's rows, 20, 50 or 100 follow a spline through them (10)",
     0},
    {"n-actions", KEY_ACTIONS, "N", 0,
     "Rows executed per plan (as the policy was trained for, or what the delay leaves)", 0},
    {"seed", KEY_SEED, "SEED", 0, "Seed of the run, for the policy's noise (0)", 0},
    {"threads", KEY_THREADS, "N", 0, "Threads; results do not depend on it (all processors)", 0},
    {"record", KEY_RECORD, "DIR", 0, "Write the episodes to the log DIR", 0},
    {"record-successes", KEY_SUCCESSES, NULL, 0, "With --record, write only those that succeed", 0},
    {"picture", KEY_PICTURE, "FILE", 0, "Draw the first episode into a PNG", 0},
    {0}};

enum { LIST_MAX = 8 };

typedef struct list {
  int count, values[LIST_MAX];
} list;

typedef struct eval {
  dpc_cli cli;
  list delays, modes;      // each delay with each mode
  int rate;                // Hz
  int n_actions, threads;  // -1: not given
  dpc_sampler_options sampler;
  dpc_engine_def engine;
  uint64_t seed;
  const char* record_dir;
  bool successes_only;
  const char* picture;

  dpc_arena arena;
  dpc_policy* policy;
  dpc_rollouts_def def;  // of the case that is run
  dpc_eval_outcome outcome;

  int finished, recorded;  // while it runs
  double score_sum;
} eval;

// The next of the parts of `text`, which commas divide, into `part`; false when there are no more.
static bool next_part(const char** text, char part[16]) {
  if (*text == NULL) return false;
  const char* comma = strchr(*text, ',');
  const int length = comma == NULL ? (int)strlen(*text) : (int)(comma - *text);
  (void)snprintf(part, 16, "%.*s", length, *text);
  *text = comma == NULL ? NULL : comma + 1;
  return true;
}

static list parse_list(const struct argp_state* state, const char* option, const char* text,
                       const char* const* names) {
  list all = {0};
  char part[16];
  while (next_part(&text, part)) {
    if (all.count == LIST_MAX) argp_error(state, "%s: more than %d", option, LIST_MAX);
    all.values[all.count++] = names == NULL ? dpc_cli_int(state, option, part, 0, 1000)
                                            : dpc_cli_choice(state, option, part, names);
  }
  return all;
}

static int parse_rate(const struct argp_state* state, const char* text) {
  static const char* const names[] = {"10", "20", "50", "100", NULL};
  static const int rates[] = {10, 20, 50, 100};
  return rates[dpc_cli_choice(state, "--rate", text, names)];
}

static bool keeps(const eval* e) {
  return e->record_dir != NULL || e->picture != NULL;
}

static void check_options(const eval* e, const struct argp_state* state) {
  const dpc_seed_range seeds = e->outcome.seeds;
  if (e->outcome.policy_path == NULL) argp_error(state, "--policy FILE is missing");
  if (seeds.end == 0) argp_error(state, "--seeds A:B is missing");
  if (seeds.end - seeds.first > 1000000) argp_error(state, "--seeds: more than a million");
  if (e->successes_only && e->record_dir == NULL) {
    argp_error(state, "--record-successes needs --record DIR");
  }
  if (keeps(e) && e->rate != DPC_PUSH_CONTROL_HZ) {
    argp_error(state, "--record and --picture keep one command per step: not with --rate %d",
               e->rate);
  }
  if (keeps(e) && e->delays.count * e->modes.count > 1) {
    argp_error(state, "--record and --picture: one delay and one mode only");
  }
}

static error_t parse(int key, char* text, struct argp_state* state) {
  eval* e = state->input;
  switch (key) {
    case ARGP_KEY_INIT:
      state->child_inputs[0] = &e->sampler;
      return 0;
    case 'p':
      e->outcome.policy_path = text;
      return 0;
    case 's':
      e->outcome.seeds = dpc_cli_seeds(state, "--seeds", text);
      return 0;
    case KEY_PRECISION:
      e->engine.precision = dpc_cli_choice(state, "--precision", text, dpc_precision_names);
      return 0;
    case KEY_DELAY:
      e->delays = parse_list(state, "--delay", text, NULL);
      return 0;
    case KEY_MODE:
      e->modes = parse_list(state, "--mode", text, dpc_switching_names);
      return 0;
    case KEY_RATE:
      e->rate = parse_rate(state, text);
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
      check_options(e, state);
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
    DPC_TRY(dpc_eval_record(e->record_dir, index, e->outcome.policy_path, result, episode, error));
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

static dpc_rollout_def make_rollout_def(const eval* e, int delay, int mode) {
  dpc_rollout_def def = dpc_rollout_def_default(dpc_policy_info(e->policy));
  dpc_controller_def* controller = &def.controller;
  dpc_sampler_options_apply(&e->sampler, &def.sampler);
  controller->ticks_per_step = e->rate / DPC_PUSH_CONTROL_HZ;
  controller->delay = delay * controller->ticks_per_step;
  controller->switching = mode;
  if (controller->ticks_per_step > 1) controller->interpolation = DPC_INTERPOLATION_CUBIC;
  if (e->n_actions >= 0) controller->n_actions = e->n_actions;
  controller->seed = e->seed;
  return def;
}

static dpc_status run_case(eval* e, dpc_eval_case* c, dpc_error* error) {
  const dpc_seed_range seeds = e->outcome.seeds;
  const int count = (int)(seeds.end - seeds.first);
  e->def = (dpc_rollouts_def){.rollout = c->def,
                              .first_seed = (uint32_t)seeds.first,
                              .count = count,
                              .threads = e->threads > 0 ? e->threads : 0,
                              .record = keeps(e),
                              .visit = visit,
                              .user = e,
                              .interrupted = dpc_cli_interrupted};
  c->results = calloc((size_t)count, sizeof *c->results);
  if (c->results == NULL)
    return dpc_fail(error, DPC_ERR_NO_MEMORY, "no memory for %d results", count);
  e->finished = 0;
  e->score_sum = 0;
  const dpc_time start = dpc_clock_now();
  const dpc_status status = dpc_rollouts_run(&e->def, e->policy, c->results, error);
  c->seconds = dpc_to_seconds(dpc_time_since(dpc_clock_now(), start));
  dpc_cli_progress_end(&e->cli);
  DPC_TRY(status);
  DPC_TRY(dpc_score_of(c->results, count, (uint32_t)e->seed, &c->score, error));
  return dpc_score_loss(e->outcome.cases[0].results, c->results, count, (uint32_t)e->seed, &c->loss,
                        c->loss_ci95, error);
}

static dpc_status list_cases(eval* e, dpc_error* error) {
  dpc_eval_outcome* o = &e->outcome;
  DPC_TRY(dpc_arena_map(&e->arena, POLICY_SIZE, error));
  DPC_TRY(dpc_policy_load_for(o->policy_path, &e->engine, &e->arena, &e->policy, error));
  o->policy = e->policy;
  for (int d = 0; d < e->delays.count; ++d) {
    for (int m = 0; m < e->modes.count; ++m) {
      dpc_eval_case* c = &o->cases[o->case_count++];
      c->def = make_rollout_def(e, e->delays.values[d], e->modes.values[m]);
      DPC_TRY(dpc_rollouts_check(&c->def, e->policy, error));
    }
  }
  return DPC_OK;
}

static dpc_status run_cases(eval* e, dpc_error* error) {
  // all are looked at before the first of them takes its time
  DPC_TRY(list_cases(e, error));
  for (int i = 0; i < e->outcome.case_count; ++i) DPC_TRY(run_case(e, &e->outcome.cases[i], error));
  return DPC_OK;
}

static dpc_status report(const eval* e, dpc_error* error) {
  DPC_TRY(dpc_cli_report(&e->cli, dpc_eval_json(&e->outcome), error));
  dpc_eval_print(&e->cli, &e->outcome);
  if (e->record_dir != NULL) {
    dpc_cli_print(&e->cli, "\n%d episodes recorded in %s\n", e->recorded, e->record_dir);
  }
  if (e->picture != NULL) dpc_cli_print(&e->cli, "\npicture: %s\n", e->picture);
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
          "bit. With several delays or modes each pair of them is a case, and the cases are "
          "compared, seed by seed, with the first.",
      .options = options,
      .parse = parse,
      .children = (const struct argp_child[]){{.argp = &dpc_sampler_argp}, {0}},
  };
  static eval e = {.delays = {.count = 1},
                   .modes = {.count = 1, .values = {DPC_SWITCHING_DROP}},
                   .rate = DPC_PUSH_CONTROL_HZ,
                   .n_actions = -1,
                   .threads = -1};
  e.engine = dpc_engine_def_default();
  e.engine.threads = 1;  // the processors have episodes to work on
  dpc_error error = {""};
  dpc_cli_start(&program, argc, argv, &e.cli, &e);
  dpc_cli_catch_signals();
  dpc_status status = run_cases(&e, &error);
  dpc_cli_progress_end(&e.cli);
  if (status == DPC_OK) status = report(&e, &error);
  for (int i = 0; i < e.outcome.case_count; ++i) free(e.outcome.cases[i].results);
  dpc_arena_unmap(&e.arena);
  return dpc_cli_finish(&e.cli, status, &error);
}
