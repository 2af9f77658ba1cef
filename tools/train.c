/// dpc-train: learn a policy from recorded episodes.

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "policy/train/trainer.h"
#include "runtime/clock.h"
#include "sim/push_task.h"
#include "tools/cli.h"
#include "tools/episodes.h"
#include "tools/score.h"
#include "tools/train_metrics.h"

enum { KEY_RESUME = 'r', KEY_OVERWRITE = 0x1000, KEY_UNTIL };

// First seed of rollouts while training; results are reported for others.
enum { DPC_TRAIN_ROLLOUT_SEED = 200000 };

static const size_t ADDRESS_SPACE = (size_t)64 << 30;  // reserved; only what is touched is used

static const struct argp_option options[] = {
    {"resume", KEY_RESUME, "DIR", 0,
     "Go on with the run in the folder DIR, bit for bit; CONFIG may then be left out", 0},
    {"overwrite", KEY_OVERWRITE, NULL, 0, "Begin anew in an output folder that holds a run", 0},
    {"until", KEY_UNTIL, "STEP", 0, "Save and stop after this step; train.steps stays the plan", 0},
    {0}};

typedef struct run {
  dpc_cli cli;
  const char* resume;  // NULL when not given
  bool overwrite;
  int until;  // 0 = train.steps

  dpc_train_settings settings;
  dpc_arena arena;
  dpc_dataset* dataset;
  dpc_trainer* trainer;
  dpc_train_metrics metrics;

  dpc_time start;       // of this process' first step
  int64_t first_step;   // steps made before it
  dpc_time line_start;  // since the last line of metrics
  double line_loss;     // sum
  int line_steps;
  double loss, val_loss;  // latest; NaN before there is one
  double samples_per_second;
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

static double seconds_since(dpc_time earlier) {
  return dpc_to_seconds(dpc_time_since(dpc_clock_now(), earlier));
}

// --- the output folder --------------------------------------------------------------------------

typedef struct file_path {
  char text[320];
} file_path;

static file_path output_file(const run* r, const char* name) {
  file_path path;
  (void)snprintf(path.text, sizeof path.text, "%s/%s", r->settings.train.output, name);
  return path;
}

static dpc_status make_folders(const char* path, dpc_error* error) {
  char part[256];
  (void)snprintf(part, sizeof part, "%s", path);
  for (char* at = part + 1;; ++at) {
    if (*at != '/' && *at != '\0') continue;
    const char end = *at;
    *at = '\0';
    if (mkdir(part, 0777) != 0 && errno != EEXIST) {
      return dpc_fail(error, DPC_ERR_IO, "%s: %s", part, strerror(errno));
    }
    if (end == '\0') return DPC_OK;
    *at = end;
  }
}

// A run that took hours is not replaced by a typing slip.
static dpc_status prepare_output(const run* r, dpc_error* error) {
  const char* output = r->settings.train.output;
  if (output[0] == '\0') {
    return dpc_fail(error, DPC_ERR_CONFIG, "train.output is missing: the folder to write to");
  }
  DPC_TRY(make_folders(output, error));
  const bool exists = access(output_file(r, "state.safetensors").text, F_OK) == 0 ||
                      access(output_file(r, "policy.safetensors").text, F_OK) == 0;
  if (r->resume == NULL && exists && !r->overwrite) {
    return dpc_fail(error, DPC_ERR_CONFIG,
                    "%s holds a run; go on with it (--resume %s), begin anew there (--overwrite), "
                    "or choose another train.output",
                    output, output);
  }
  if (exists && r->resume == NULL) {
    (void)unlink(output_file(r, "state.safetensors").text);
    (void)unlink(output_file(r, "policy.safetensors").text);
  }
  return DPC_OK;
}

// --- start --------------------------------------------------------------------------------------

static void list_sections(run* r, dpc_config_section sections[DPC_TRAIN_SECTIONS]) {
  for (int i = 0; i < DPC_TRAIN_SECTIONS; ++i) {
    char* def = (char*)&r->settings + dpc_train_sections[i].offset;
    sections[i] = (dpc_config_section){.table = dpc_train_sections[i].table, .def = def};
  }
}

// From the state that is resumed, if any, then CONFIG, then the arguments.
static dpc_status read_settings(run* r, dpc_config_section* sections, dpc_error* error) {
  if (r->resume == NULL && r->cli.config_path == NULL) {
    return dpc_fail(error, DPC_ERR_CONFIG, "CONFIG is missing (or --resume DIR)");
  }
  if (r->resume != NULL) {
    if (strlen(r->resume) >= sizeof r->settings.train.output) {
      return dpc_fail(error, DPC_ERR_CONFIG, "--resume: the folder's name is too long");
    }
    char path[320];
    (void)snprintf(path, sizeof path, "%s/state.safetensors", r->resume);
    DPC_TRY(dpc_trainer_state_settings(path, &r->settings, error));
    for (int i = 0; i < DPC_TRAIN_SECTIONS; ++i) sections[i].keep = true;
  }
  DPC_TRY(dpc_cli_read_config(&r->cli, error));
  if (r->resume != NULL) {
    (void)snprintf(r->settings.train.output, sizeof r->settings.train.output, "%s", r->resume);
  }
  return dpc_train_settings_check(&r->settings, error);
}

// Rollouts are episodes of the push world, which only a policy for it can drive.
static dpc_status check_rollouts(const run* r, dpc_error* error) {
  if (r->settings.train.rollout_every == 0) return DPC_OK;
  const dpc_status status =
      dpc_interface_match(&r->dataset->interface, dpc_push_task_interface(), error);
  if (status == DPC_OK) return DPC_OK;
  return dpc_fail_prefix(error, DPC_ERR_CONFIG, "train.rollout_every: not in the push world: ");
}

static dpc_status load_dataset(run* r, dpc_error* error) {
  if (r->settings.dataset.path[0] == '\0') {
    return dpc_fail(error, DPC_ERR_CONFIG, "dataset.path is missing: the folder of episodes");
  }
  const dpc_window_def window = {.horizon = r->settings.unet.horizon,
                                 .n_obs = r->settings.policy.n_obs,
                                 .n_actions = r->settings.policy.n_actions};
  dpc_episode_source source = {0};
  DPC_TRY(dpc_episodes_load(r->settings.dataset.path, &source, error));
  const dpc_status status =
      dpc_dataset_create(&r->settings.dataset, &window, &source, &r->arena, &r->dataset, error);
  dpc_episodes_free(&source);
  return status;
}

// Without the padding that the flat block of parameters may have.
static size_t parameter_count(const dpc_unet* unet) {
  size_t count = 0;
  for (int i = 0; i < dpc_unet_tensor_count(unet); ++i) count += dpc_unet_tensor_at(unet, i)->count;
  return count;
}

static void announce(const dpc_dataset* dataset, const dpc_trainer* trainer) {
  dpc_log(DPC_LOG_INFO,
          "%d episodes, %d windows (%d episodes, %d windows for validation), %zu parameters, "
          "%d threads",
          dataset->train_episodes, dataset->train.count, dataset->val_episodes,
          dataset->validation.count, parameter_count(dpc_trainer_unet(trainer)),
          dpc_trainer_threads(trainer));
}

static dpc_status start(run* r, dpc_config_section* sections, dpc_error* error) {
  DPC_TRY(read_settings(r, sections, error));
  DPC_TRY(dpc_arena_map(&r->arena, ADDRESS_SPACE, error));
  DPC_TRY(load_dataset(r, error));
  DPC_TRY(check_rollouts(r, error));
  DPC_TRY(dpc_trainer_create(&r->settings, r->dataset, &r->arena, &r->trainer, error));
  DPC_TRY(prepare_output(r, error));
  if (r->resume != NULL) {
    DPC_TRY(dpc_trainer_resume(r->trainer, output_file(r, "state.safetensors").text, error));
  }
  DPC_TRY(dpc_config_save(output_file(r, "config.yaml").text, "written by dpc train", sections,
                          DPC_TRAIN_SECTIONS, error));
  DPC_TRY(dpc_train_metrics_open(output_file(r, "metrics.jsonl").text,
                                 dpc_trainer_steps_done(r->trainer), &r->metrics, error));
  DPC_ASSERT(r->dataset != NULL);
  announce(r->dataset, r->trainer);
  return DPC_OK;
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

static void print_duration(double seconds, char* text, size_t capacity) {
  const int64_t whole = (int64_t)(seconds + 0.5);
  const long long hours = whole / 3600, minutes = whole / 60 % 60;
  if (hours > 0) {
    (void)snprintf(text, capacity, "%lld h %02lld min", hours, minutes);
  } else if (minutes > 0) {
    (void)snprintf(text, capacity, "%lld min %02lld s", minutes, (long long)(whole % 60));
  } else {
    (void)snprintf(text, capacity, "%lld s", (long long)whole);
  }
}

static void show_progress(run* r, const dpc_train_report* report) {
  const int64_t steps = r->settings.train.steps, done = report->step - r->first_step;
  const double seconds = seconds_since(r->start);
  char left[32];
  print_duration(seconds / (double)done * (double)(steps - report->step), left, sizeof left);
  dpc_cli_progress(&r->cli,
                   "step %" PRId64 "/%" PRId64 "  loss %.4f  %.0f samples/s  lr %.2e  %s left",
                   report->step, steps, isnan(r->loss) ? report->loss : r->loss,
                   (double)done * r->settings.train.batch / seconds, report->learning_rate, left);
}

static void log_step(run* r, const dpc_train_report* report) {
  r->line_loss += report->loss;
  r->line_steps += 1;
  if (!is_due(r->settings.train.log_every, report->step)) return;
  r->loss = r->line_loss / r->line_steps;
  r->samples_per_second = r->line_steps * r->settings.train.batch / seconds_since(r->line_start);
  dpc_train_metrics_step(&r->metrics, report, r->loss, r->samples_per_second);
  r->line_loss = 0;
  r->line_steps = 0;
  r->line_start = dpc_clock_now();
}

static void validate(run* r, int64_t step) {
  r->val_loss = dpc_trainer_validate(r->trainer);
  if (!isnan(r->val_loss)) dpc_train_metrics_value(&r->metrics, step, "val_loss", r->val_loss);
}

// Let the policy as it is now drive the push world, on seeds that no result is reported for. What
// fails is said, and does not stop training.
static void roll_out(run* r, int64_t step) {
  dpc_error error = {""};
  dpc_score score;
  const file_path policy = output_file(r, "policy.safetensors");
  dpc_status status = dpc_trainer_export(r->trainer, policy.text, &error);
  if (status == DPC_OK) {
    status = dpc_score_checkpoint(policy.text, DPC_TRAIN_ROLLOUT_SEED,
                                  r->settings.train.rollout_episodes, r->settings.train.threads,
                                  &score, &error);
  }
  if (status != DPC_OK) {
    dpc_log(DPC_LOG_WARNING, "no rollouts at step %" PRId64 ": %s", step, error.text);
    return;
  }
  dpc_log(DPC_LOG_INFO, "step %" PRId64 ": score %.3f, success %.3f in %d rollouts", step,
          score.mean, score.success, score.episodes);
  dpc_train_metrics_value(&r->metrics, step, "rollout_score", score.mean);
  dpc_train_metrics_value(&r->metrics, step, "rollout_success", score.success);
}

static dpc_status loop(run* r, int64_t last, dpc_error* error) {
  const dpc_train_def* def = &r->settings.train;
  r->first_step = dpc_trainer_steps_done(r->trainer);
  r->start = r->line_start = dpc_clock_now();
  while (dpc_trainer_steps_done(r->trainer) < last && !dpc_cli_interrupted()) {
    dpc_train_report report;
    DPC_TRY(dpc_trainer_step(r->trainer, &report, error));
    log_step(r, &report);
    show_progress(r, &report);
    if (is_due(def->val_every, report.step) || report.step == def->steps) validate(r, report.step);
    if (is_due(def->rollout_every, report.step)) roll_out(r, report.step);
    if (is_due(def->checkpoint_every, report.step) && report.step < last) save_state(r);
  }
  return DPC_OK;
}

// --- the end ------------------------------------------------------------------------------------

static dpc_status report(run* r, dpc_error* error) {
  const int64_t done = dpc_trainer_steps_done(r->trainer);
  const bool finished = done >= r->settings.train.steps;
  const file_path policy = output_file(r, "policy.safetensors");
  char spent[32];
  print_duration(seconds_since(r->start), spent, sizeof spent);
  dpc_cli_print(&r->cli, "%s: step %" PRId64 " of %d, loss %.5f", policy.text, done,
                r->settings.train.steps, r->loss);
  if (!isnan(r->val_loss)) dpc_cli_print(&r->cli, ", validation loss %.5f", r->val_loss);
  dpc_cli_print(&r->cli, ", %s\n", spent);

  dpc_json* json = dpc_json_object();
  dpc_json_set_text(json, "policy", policy.text);
  dpc_json_set_bool(json, "finished", finished);
  dpc_json_set_int(json, "steps", done);
  dpc_json_set_real(json, "loss", r->loss);
  dpc_json_set_real(json, "val_loss", r->val_loss);
  dpc_json_set_real(json, "seconds", seconds_since(r->start));
  dpc_json_set_real(json, "samples_per_second", r->samples_per_second);
  dpc_json_set_int(json, "parameters", (int64_t)parameter_count(dpc_trainer_unet(r->trainer)));
  dpc_json_set_int(json, "train_windows", r->dataset->train.count);
  dpc_json_set_int(json, "threads", dpc_trainer_threads(r->trainer));
  dpc_json_set_int(json, "failed_saves", r->failed_saves);
  return dpc_cli_report(&r->cli, json, error);
}

// Save what there is, also after an interruption: state to go on from, policy to try.
static dpc_status finish(run* r, dpc_error* error) {
  dpc_cli_progress_end(&r->cli);
  DPC_TRY(dpc_trainer_save(r->trainer, output_file(r, "state.safetensors").text, error));
  DPC_TRY(dpc_trainer_export(r->trainer, output_file(r, "policy.safetensors").text, error));
  DPC_TRY(report(r, error));
  if (!dpc_cli_interrupted()) return DPC_OK;
  return dpc_fail(error, DPC_ERR_INTERRUPTED,
                  "interrupted after step %" PRId64 "; go on with dpc train --resume %s",
                  dpc_trainer_steps_done(r->trainer), r->settings.train.output);
}

static dpc_status train(run* r, dpc_config_section* sections, dpc_error* error) {
  DPC_TRY(start(r, sections, error));
  const int64_t steps = r->settings.train.steps;
  DPC_TRY(loop(r, r->until > 0 && r->until < steps ? r->until : steps, error));
  return finish(r, error);
}

int main(int argc, char** argv) {
  static run r = {.loss = NAN, .val_loss = NAN};
  r.settings = dpc_train_settings_default();
  dpc_config_section sections[DPC_TRAIN_SECTIONS];
  list_sections(&r, sections);
  const dpc_cli_program program = {
      .name = "train",
      .doc =
          "Learn a policy from recorded episodes.\v"
          "The folder train.output gets policy.safetensors (the averaged weights and all it "
          "takes to run them), state.safetensors (to resume from), metrics.jsonl and "
          "config.yaml. Interrupted with Ctrl-C, it saves and ends with code 1. A disk that is "
          "full while training is reported, and training goes on with the last good state in "
          "place; at the end it is a failure.",
      .arguments = "[CONFIG] [KEY=VALUE...]",
      .options = options,
      .parse = parse,
      .sections = sections,
      .section_count = DPC_TRAIN_SECTIONS,
  };
  dpc_error error = {""};
  dpc_cli_start(&program, argc, argv, &r.cli, &r);
  dpc_cli_catch_signals();
  const dpc_status status = train(&r, sections, &error);
  dpc_cli_progress_end(&r.cli);
  dpc_train_metrics_close(&r.metrics);
  dpc_trainer_destroy(r.trainer);
  dpc_arena_unmap(&r.arena);
  return dpc_cli_finish(&r.cli, status, &error);
}
