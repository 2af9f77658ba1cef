#include "tools/train_main.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "policy/schedule_end.h"
#include "tools/distill_source.h"
#include "tools/episodes.h"
#include "tools/train_best.h"
#include "tools/train_output.h"
#include "tools/train_report.h"
#include "tools/train_rollout.h"

enum { KEY_RESUME = 'r', KEY_OVERWRITE = 0x1000, KEY_UNTIL };

static const size_t ADDRESS_SPACE = (size_t)64 << 30;  // reserved; only what is touched is used

static const struct argp_option options[] = {
    {"resume", KEY_RESUME, "DIR", 0,
     "Go on with the run in the folder DIR, bit for bit; CONFIG may then be left out", 0},
    {"overwrite", KEY_OVERWRITE, NULL, 0, "Begin anew in an output folder that holds a run", 0},
    {"until", KEY_UNTIL, "STEP", 0, "Save and stop after this step; train.steps stays the plan", 0},
    {0}};

typedef struct run {
  dpc_cli cli;
  bool distills;
  const char* resume;  // NULL when not given
  bool overwrite;
  int until;  // 0 = train.steps

  dpc_train_settings settings;
  dpc_arena arena;
  dpc_teacher* teacher;  // NULL unless it distills
  dpc_episode_source source;
  dpc_dataset* dataset;
  dpc_trainer* trainer;
  dpc_train_metrics metrics;
  int failed_saves;
} run;

static error_t parse(int key, char* text, struct argp_state* state) {
  run* r = state->input;
  switch (key) {
    case KEY_RESUME:
      r->resume = text;
      return 0;
    case KEY_OVERWRITE:
      r->overwrite = true;
      return 0;
    case KEY_UNTIL:
      r->until = dpc_cli_int(state, "--until", text, 1, 1000000000);
      return 0;
    default:
      return ARGP_ERR_UNKNOWN;
  }
}

static dpc_train_path output_file(const run* r, const char* name) {
  return dpc_train_file(r->settings.train.output, name);
}

// --- start --------------------------------------------------------------------------------------

static void list_sections(run* r, dpc_config_section sections[DPC_TRAIN_SECTIONS]) {
  for (int i = 0; i < DPC_TRAIN_SECTIONS; ++i) {
    char* def = (char*)&r->settings + dpc_train_sections[i].offset;
    sections[i] = (dpc_config_section){.table = dpc_train_sections[i].table, .def = def};
  }
}

// The teacher's settings are the student's, unless CONFIG says otherwise where it may.
static dpc_status load_teacher(run* r, dpc_config_section* sections, dpc_error* error) {
  dpc_train_settings* settings = &r->settings;
  if (r->cli.subject == NULL) r->cli.subject = settings->distill.teacher;
  if (r->cli.subject[0] == '\0') return dpc_fail(error, DPC_ERR_CONFIG, "TEACHER is missing");
  DPC_TRY(dpc_teacher_load(r->cli.subject, &r->arena, &r->teacher, error));
  if (r->resume != NULL) return DPC_OK;
  dpc_distill_settings(r->teacher, settings);
  for (int i = 0; i < r->cli.program->section_count; ++i) sections[i].keep = true;
  return DPC_OK;
}

// From the state that is resumed, if any, then CONFIG, then the arguments.
static dpc_status read_settings(run* r, dpc_config_section* sections, dpc_error* error) {
  if (r->resume == NULL && r->cli.config_path == NULL && !r->distills) {
    return dpc_fail(error, DPC_ERR_CONFIG, "CONFIG is missing (or --resume DIR)");
  }
  if (r->resume != NULL) {
    if (strlen(r->resume) >= sizeof r->settings.train.output) {
      return dpc_fail(error, DPC_ERR_CONFIG, "--resume: the folder's name is too long");
    }
    char path[320];
    (void)snprintf(path, sizeof path, "%s/state.safetensors", r->resume);
    DPC_TRY(dpc_trainer_state_settings(path, &r->settings, error));
    for (int i = 0; i < r->cli.program->section_count; ++i) sections[i].keep = true;
  }
  if (r->distills) DPC_TRY(load_teacher(r, sections, error));
  DPC_TRY(dpc_cli_read_config(&r->cli, error));
  if (r->distills)
    DPC_TRY(dpc_distill_note_teacher(r->teacher, r->cli.subject, &r->settings, error));
  if (r->resume != NULL) {
    (void)snprintf(r->settings.train.output, sizeof r->settings.train.output, "%s", r->resume);
  }
  return dpc_train_settings_check(&r->settings, error);
}

static dpc_status load_episodes(run* r, dpc_episode_source* source, dpc_error* error) {
  const char* path = r->settings.dataset.path;
  if (r->settings.distill.rollouts > 0) {
    return dpc_distill_observe(&r->settings, r->teacher, &r->arena, source, error);
  }
  if (path[0] == '\0') {
    return dpc_fail(error, DPC_ERR_CONFIG, "dataset.path is missing: the folder of episodes");
  }
  return dpc_episodes_load(path, source, error);
}

static dpc_status create_trainer(run* r, dpc_error* error) {
  if (r->teacher == NULL) {
    return dpc_trainer_create(&r->settings, r->dataset, &r->arena, &r->trainer, error);
  }
  return dpc_trainer_create_student(&r->settings, r->teacher, r->dataset, &r->arena, &r->trainer,
                                    error);
}

static dpc_status load_dataset(run* r, dpc_error* error) {
  const dpc_window_def window = {.horizon = r->settings.unet.horizon,
                                 .n_obs = r->settings.policy.n_obs,
                                 .n_actions = r->settings.policy.n_actions};
  DPC_TRY(load_episodes(r, &r->source, error));
  DPC_TRY(
      dpc_dataset_create(&r->settings.dataset, &window, &r->source, &r->arena, &r->dataset, error));
  if (r->teacher == NULL) return DPC_OK;
  return dpc_distill_renormalize(r->teacher, r->dataset, error);
}

static double rate_of(const dpc_interface* interface) {
  return 1e9 / (double)interface->period_ns;
}

static void announce(const run* r) {
  const dpc_dataset* dataset = r->dataset;
  const dpc_trainer* trainer = r->trainer;
  char recorded[40] = "";
  if (dataset->interface.period_ns != r->source.interface.period_ns) {
    (void)snprintf(recorded, sizeof recorded, " (recorded at %.4g)", rate_of(&r->source.interface));
  }
  dpc_log(DPC_LOG_INFO,
          "%.4g Hz%s, %d episodes, %d windows (%d episodes, %d windows for validation), "
          "%zu parameters, %d threads",
          rate_of(&dataset->interface), recorded, dataset->train.episode_count,
          dataset->train.count, dataset->validation.episode_count, dataset->validation.count,
          dpc_train_parameters(trainer), dpc_trainer_threads(trainer));
}

// `dpc diffuse --check` says it in the same words.
static dpc_status warn_of_schedule(run* r, dpc_error* error) {
  dpc_schedule* schedule = NULL;
  char words[256];
  DPC_TRY(dpc_schedule_create(&r->settings.schedule, &r->arena, &schedule, error));
  if (!dpc_schedule_end_check(schedule, words, sizeof words)) {
    dpc_log(DPC_LOG_WARNING, "%s", words);
  }
  return DPC_OK;
}

// What a killed process made after the step that is gone on from is made again.
static dpc_status resume(run* r, dpc_error* error) {
  DPC_TRY(dpc_trainer_resume(r->trainer, output_file(r, "state.safetensors").text, error));
  return dpc_train_best_drop_later(r->settings.train.output, dpc_trainer_steps_done(r->trainer),
                                   error);
}

static dpc_status open_output(run* r, dpc_config_section* sections, dpc_error* error) {
  const dpc_train_there there = r->resume != NULL ? DPC_TRAIN_RESUME
                                : r->overwrite    ? DPC_TRAIN_OVERWRITE
                                                  : DPC_TRAIN_REFUSE;
  DPC_TRY(dpc_train_output_prepare(r->settings.train.output, there, error));
  if (there == DPC_TRAIN_RESUME) DPC_TRY(resume(r, error));
  const char* written = r->distills ? "written by dpc distill" : "written by dpc train";
  DPC_TRY(dpc_config_save(output_file(r, "config.yaml").text, written, sections,
                          r->cli.program->section_count, error));
  return dpc_train_metrics_open(output_file(r, "metrics.jsonl").text,
                                dpc_trainer_steps_done(r->trainer), &r->settings.train, &r->metrics,
                                error);
}

static dpc_status start(run* r, dpc_config_section* sections, dpc_error* error) {
  DPC_TRY(dpc_arena_map(&r->arena, ADDRESS_SPACE, error));
  DPC_TRY(read_settings(r, sections, error));
  DPC_TRY(load_dataset(r, error));
  DPC_TRY(dpc_train_rollouts_check(&r->settings.train, &r->dataset->interface, error));
  DPC_TRY(create_trainer(r, error));
  DPC_TRY(open_output(r, sections, error));
  announce(r);
  return warn_of_schedule(r, error);
}

// --- the loop -----------------------------------------------------------------------------------

static bool is_due(int every, int64_t step) {
  return every > 0 && step % every == 0;
}

// A state that cannot be saved now may be later: the last good one stays, and training goes on.
static void save_state(run* r) {
  dpc_error error = {""};
  if (dpc_trainer_save(r->trainer, output_file(r, "state.safetensors").text, &error) == DPC_OK) {
    return;
  }
  ++r->failed_saves;
  dpc_log(DPC_LOG_WARNING, "step %" PRId64 " is not saved, training goes on: %s",
          dpc_trainer_steps_done(r->trainer), error.text);
}

static dpc_status loop(run* r, int64_t last, dpc_error* error) {
  const dpc_train_def* def = &r->settings.train;
  while (dpc_trainer_steps_done(r->trainer) < last && !dpc_cli_interrupted()) {
    dpc_train_report report;
    DPC_TRY(dpc_trainer_step(r->trainer, &report, error));
    dpc_train_metrics_step(&r->metrics, &report);
    dpc_train_show_progress(&r->cli, &r->settings, &r->metrics, &report);
    if (is_due(def->val_every, report.step) || report.step == def->steps) {
      dpc_train_metrics_validation(&r->metrics, report.step, dpc_trainer_validate(r->trainer));
    }
    if (is_due(def->rollout_every, report.step)) {
      r->failed_saves += dpc_train_roll_out(def, r->trainer, &r->metrics);
    }
    if (is_due(def->checkpoint_every, report.step) && report.step < last) save_state(r);
  }
  return DPC_OK;
}

// --- the end ------------------------------------------------------------------------------------

// The state is written before the policy, and each only replaces its file when it is whole.
static dpc_status save_all(run* r, dpc_error* error) {
  DPC_TRY(dpc_trainer_save(r->trainer, output_file(r, "state.safetensors").text, error));
  return dpc_trainer_export(r->trainer, output_file(r, "policy.safetensors").text, error);
}

// What is lost is the time since the last good state, which is still in its place.
static dpc_status fail_save(const run* r, dpc_status status, dpc_error* error) {
  const dpc_error reason = *error;
  if (access(output_file(r, "state.safetensors").text, F_OK) != 0) return status;
  return dpc_fail(error, status, "%s; what was saved before is still there, go on with --resume %s",
                  reason.text, r->settings.train.output);
}

// Save what there is, also after an interruption: state to go on from, policy to try.
static dpc_status finish(run* r, dpc_error* error) {
  const int64_t done = dpc_trainer_steps_done(r->trainer);
  dpc_cli_progress_end(&r->cli);
  const dpc_train_summary summary = dpc_train_metrics_end(&r->metrics, done);
  const dpc_status saved = save_all(r, error);
  if (saved != DPC_OK) return fail_save(r, saved, error);
  const dpc_train_result result = {.settings = &r->settings,
                                   .trainer = r->trainer,
                                   .dataset = r->dataset,
                                   .summary = &summary,
                                   .failed_saves = r->failed_saves};
  DPC_TRY(dpc_train_report_result(&r->cli, &result, error));
  if (!dpc_cli_interrupted()) return DPC_OK;
  return dpc_fail(error, DPC_ERR_INTERRUPTED,
                  "interrupted after step %" PRId64 "; go on with dpc %s --resume %s", done,
                  r->cli.program->name, r->settings.train.output);
}

static dpc_status train(run* r, dpc_config_section* sections, dpc_error* error) {
  DPC_TRY(start(r, sections, error));
  const int64_t steps = r->settings.train.steps;
  DPC_TRY(loop(r, r->until > 0 && r->until < steps ? r->until : steps, error));
  return finish(r, error);
}

int dpc_train_main(const dpc_train_program* what, int argc, char** argv) {
  static run r;
  r.settings = dpc_train_settings_default();
  r.distills = what->distills;
  dpc_config_section sections[DPC_TRAIN_SECTIONS];
  list_sections(&r, sections);
  const dpc_cli_program program = {
      .name = what->name,
      .doc = what->doc,
      .arguments = what->arguments,
      .options = options,
      .parse = parse,
      .subject = what->distills,
      .sections = sections,
      .section_count = what->distills ? DPC_TRAIN_SECTIONS : DPC_TRAIN_SECTIONS - 1,
  };
  dpc_error error = {""};
  dpc_cli_start(&program, argc, argv, &r.cli, &r);
  dpc_cli_catch_signals();
  const dpc_status status = train(&r, sections, &error);
  dpc_cli_progress_end(&r.cli);
  dpc_train_metrics_close(&r.metrics);
  dpc_trainer_destroy(r.trainer);
  dpc_episodes_free(&r.source);
  dpc_arena_unmap(&r.arena);
  return dpc_cli_finish(&r.cli, status, &error);
}
