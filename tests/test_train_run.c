// The folder of a training run: metrics that go on after a crash, the best policies, and what is read
// back from them, also by dpc-inspect.

#include "tests/test.h"

#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tools/train_best.h"
#include "tools/train_compare.h"
#include "tools/train_metrics.h"
#include "tools/train_output.h"

enum { TEXT_SIZE = 65536, PATH_SIZE = 256, COMMAND_SIZE = 1024 };

static char base[] = "/tmp/dpc-test-train-run-XXXXXX";
static char output[TEXT_SIZE];  // of the last command, both streams
static dpc_error error;

static const char* in_base(const char* name) {
  static char paths[4][PATH_SIZE];
  static int next;
  char* path = paths[next++ % 4];
  (void)snprintf(path, PATH_SIZE, "%s/%s", base, name);
  return path;
}

static void write_file(const char* name, const char* text) {
  FILE* file = fopen(in_base(name), "w");
  assert_non_null(file);
  assert_true(fputs(text, file) >= 0);
  assert_int_equal(fclose(file), 0);
}

static bool exists(const char* name) {
  return access(in_base(name), F_OK) == 0;
}

static int inspect(const char* arguments) {
  char command[COMMAND_SIZE];
  (void)snprintf(command, sizeof(command), "cd %s && %s/dpc-inspect %s 2>&1", base, DPC_BINARY_DIR,
                 arguments);
  FILE* pipe = popen(command, "r");  // NOLINT(cert-env33-c): a command of our own
  assert_non_null(pipe);
  const size_t size = fread(output, 1, sizeof(output) - 1, pipe);
  output[size] = '\0';
  const int status = pclose(pipe);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void assert_said(const char* words) {
  if (strstr(output, words) == NULL) fail_msg("'%s' is not in:\n%s", words, output);
}

// --- metrics ------------------------------------------------------------------------------------

static void the_summary_is_max_and_mean_of_the_last_ten(void** state) {
  (void)state;
  dpc_train_history history = {.count = 0};
  for (int i = 1; i <= 13; ++i) {
    dpc_train_point point = dpc_train_point_at((int64_t)i * 10);
    point.score = i == 2 ? 0.99 : 0.01 * i;
    dpc_train_history_add(&history, &point);
    point.score = NAN;
    point.loss = 1.0 / i;  // of the same step: taken into it
    point.seconds = i;
    dpc_train_history_add(&history, &point);
  }
  assert_int_equal(history.count, 13);
  const dpc_train_summary summary = dpc_train_summarize(&history, 4);
  assert_int_equal(summary.rollouts, 13);
  assert_int_equal(summary.last, 10);
  assert_near(summary.score_max, 0.99, 0);
  assert_near(summary.score_last, 0.01 * (4 + 13) / 2, 1e-12);
  assert_true(isnan(summary.success_max) && isnan(summary.val_loss));
  assert_near(summary.loss, 1.0 / 13, 0);
  assert_near(summary.samples_per_second, 130 * 4 / 13.0, 1e-9);
  dpc_train_history_free(&history);
}

static void a_history_of_nothing_has_no_summary(void** state) {
  (void)state;
  dpc_train_history history;
  assert_ok(dpc_train_history_read(in_base("nowhere.jsonl"), &history, &error), &error);
  const dpc_train_summary summary = dpc_train_summarize(&history, 4);
  assert_int_equal(summary.rollouts, 0);
  assert_true(isnan(summary.loss) && isnan(summary.score_max) && isnan(summary.score_last));
  assert_true(isnan(summary.seconds) && isnan(summary.samples_per_second));
  dpc_train_history_free(&history);
}

// What comes after the step that is gone on from, a summary, and torn lines are gone from the file.
static void metrics_go_on_from_a_step(void** state) {
  (void)state;
  write_file("metrics.jsonl",
             "{\"step\": 10, \"loss\": 0.5, \"samples_per_second\": 50}\n"
             "{\"step\": 20, \"loss\"\n"
             "{\"step\": 20, \"rollout_score\": 0.25, \"rollout_success\": 0}\n"
             "{\"step\": 20, \"seconds\": 4, \"summary\": {}}\n"
             "{\"step\": 30, \"rollout_score\": 0.75, \"rollout_success\": 0}\n"
             "{\"step\": 20, \"val_l");
  dpc_train_def def;
  dpc_fields_default(&dpc_train_fields, &def);
  def.batch = 5;
  dpc_train_metrics metrics;
  assert_ok(dpc_train_metrics_open(in_base("metrics.jsonl"), 20, &def, &metrics, &error), &error);
  assert_int_equal(metrics.history.count, 2);
  assert_near(metrics.history.latest.score, 0.25, 0);
  assert_true(dpc_train_metrics_seconds(&metrics) >= 1);  // ten steps of five at fifty a second
  dpc_train_metrics_rollouts(&metrics, 30, 0.5, 0.125);
  dpc_train_metrics_validation(&metrics, 30, NAN);
  (void)dpc_train_metrics_end(&metrics, 30);
  dpc_train_metrics_close(&metrics);

  dpc_train_history history;
  assert_ok(dpc_train_history_read(in_base("metrics.jsonl"), &history, &error), &error);
  assert_int_equal(history.count, 3);
  assert_near(history.points[2].score, 0.5, 0);
  assert_true(isnan(history.points[2].val_loss));
  assert_true(history.latest.seconds >= 1);
  dpc_train_history_free(&history);
}

// --- the best -----------------------------------------------------------------------------------

static void a_name_says_step_and_score(void** state) {
  (void)state;
  const dpc_train_best best = dpc_train_best_of(7500, 0.95987);
  assert_string_equal(best.name, "best_step_007500_0.960.safetensors");
  assert_near(best.score, 0.96, 1e-15);
  assert_string_equal(dpc_train_best_of(12345678, 1).name, "best_step_12345678_1.000.safetensors");
}

static void the_best_are_kept(void** state) {
  (void)state;
  static const char* const others[] = {"best/best_step_7_0.999.safetensors",
                                       "best/mine.safetensors",
                                       "best/best_step_000007_0.999.safetensors.tmp.1"};
  assert_int_equal(mkdir(in_base("best"), 0700), 0);
  for (int i = 0; i < DPC_COUNT(others); ++i) write_file(others[i], "");
  write_file("best/best_step_000010_0.500.safetensors", "");
  write_file("best/best_step_000020_0.900.safetensors", "");
  write_file("best/best_step_000030_0.500.safetensors", "");
  write_file("best/best_step_000040_0.700.safetensors", "");

  dpc_train_best_list list;
  assert_ok(dpc_train_best_read(in_base("best"), &list, &error), &error);
  assert_int_equal(list.count, 4);
  static const int64_t order[] = {20, 40, 10, 30};
  for (int i = 0; i < list.count; ++i) assert_int_equal(list.items[i].step, order[i]);

  const dpc_train_best same = dpc_train_best_of(50, 0.5), better = dpc_train_best_of(50, 0.501);
  assert_false(dpc_train_best_belongs(&list, &same, 3));  // the earlier one stays
  assert_true(dpc_train_best_belongs(&list, &better, 3));
  assert_true(dpc_train_best_belongs(&list, &same, 5));
  assert_false(dpc_train_best_belongs(&list, &better, 0));

  assert_ok(dpc_train_best_prune(in_base("best"), 3, &error), &error);
  assert_false(exists("best/best_step_000030_0.500.safetensors"));
  assert_true(exists("best/best_step_000010_0.500.safetensors"));
  assert_ok(dpc_train_best_drop_later(in_base("best"), 20, &error), &error);
  assert_false(exists("best/best_step_000040_0.700.safetensors"));
  assert_true(exists("best/best_step_000020_0.900.safetensors"));
  for (int i = 0; i < DPC_COUNT(others); ++i) assert_true(exists(others[i]));
}

// --- the folder ---------------------------------------------------------------------------------

// A process that has come and gone.
static long dead_process(void) {
  const pid_t child = fork();
  if (child == 0) _exit(0);
  assert_int_equal(waitpid(child, NULL, 0), child);
  return child;
}

static void a_run_is_not_replaced_by_accident(void** state) {
  (void)state;
  char dead[64], alive[64], folder[PATH_SIZE];
  (void)snprintf(folder, sizeof folder, "%s", in_base("a/b"));
  assert_ok(dpc_train_output_prepare(folder, DPC_TRAIN_REFUSE, &error), &error);
  write_file("a/b/state.safetensors", "");
  write_file("a/b/best_step_000010_0.500.safetensors", "");
  assert_fails(dpc_train_output_prepare(folder, DPC_TRAIN_REFUSE, &error), DPC_ERR_CONFIG, &error,
               "holds a run; go on with it (--resume");

  (void)snprintf(dead, sizeof dead, "a/b/state.safetensors.tmp.%ld", dead_process());
  (void)snprintf(alive, sizeof alive, "a/b/config.yaml.%ld.tmp", (long)getpid());
  write_file(dead, "");
  write_file(alive, "");
  write_file("a/b/notes.tmp.1", "");
  assert_ok(dpc_train_output_prepare(folder, DPC_TRAIN_RESUME, &error), &error);
  assert_false(exists(dead));
  assert_true(exists(alive) && exists("a/b/notes.tmp.1"));
  assert_true(exists("a/b/best_step_000010_0.500.safetensors"));

  assert_int_equal(unlink(in_base("a/b/state.safetensors")), 0);
  assert_fails(dpc_train_output_prepare(folder, DPC_TRAIN_REFUSE, &error), DPC_ERR_CONFIG, &error,
               "holds a run");  // what was kept is one
  assert_ok(dpc_train_output_prepare(folder, DPC_TRAIN_OVERWRITE, &error), &error);
  assert_false(exists("a/b/best_step_000010_0.500.safetensors"));
}

// --- read back ----------------------------------------------------------------------------------

static void write_run(const char* name, const char* settings, double loss) {
  char path[PATH_SIZE], text[512];
  assert_int_equal(mkdir(in_base(name), 0700), 0);
  (void)snprintf(path, sizeof path, "%s/config.yaml", name);
  (void)snprintf(text, sizeof text, "train:\n  output: %s\n  batch: 64\n%s", name, settings);
  write_file(path, text);
  (void)snprintf(path, sizeof path, "%s/metrics.jsonl", name);
  (void)snprintf(text, sizeof text,
                 "{\"step\": 10, \"loss\": %g, \"seconds\": 5}\n"
                 "{\"step\": 10, \"rollout_score\": %g, \"rollout_success\": 0.5}\n"
                 "{\"step\": 20, \"val_loss\": 0.125, \"seconds\": 64}\n",
                 loss, loss / 2);
  write_file(path, text);
}

static void a_run_is_described(void** state) {
  (void)state;
  write_run("one", "  threads: 2\n", 0.5);
  write_file("one/best_step_000010_0.250.safetensors", "");
  if (inspect("one --json report.json") != 0) fail_msg("%s", output);
  assert_said("one: training, step 20 of 6000, 1 min 04 s, 20 samples/s");
  assert_said("train.batch              64");
  assert_null(strstr(output, "train.output"));
  assert_said("10    0.50000                 0.250      0.500");
  assert_said("20    0.50000    0.12500");
  assert_said("score    max 0.250, mean of the last 1: 0.250");
  assert_said("on the selection seeds");
  assert_said("best: one/best_step_000010_0.250.safetensors");
  dpc_json* report = NULL;
  double score = 0;
  assert_ok(dpc_json_read(in_base("report.json"), &report, &error), &error);
  assert_true(dpc_json_as_real(dpc_json_get(dpc_json_get(report, "summary"), "score_max"), &score));
  assert_near(score, 0.25, 0);
  assert_int_equal(dpc_json_count(dpc_json_get(report, "best")), 1);
  assert_int_equal(dpc_json_count(dpc_json_get(report, "points")), 2);
  dpc_json_free(report);
}

static void runs_become_a_table(void** state) {
  (void)state;
  write_run("seed1", "  seed: 1\n", 0.25);
  write_run("seed2", "  seed: 2\n  threads: 3\n", 0.5);
  write_run("seed3", "  seed: 3\n", 0.75);
  write_run("faster", "  seed: 2\n  learning_rate: 1e-2\n", 0.625);
  assert_int_equal(inspect("seed1 seed2 seed3"), 0);
  assert_said("The runs differ in train.seed alone.");
  assert_said("3 of 3 runs are not finished.");
  assert_said("mean                   3 seeds");
  assert_said("  0.50000   0.12500      0.250    0.250        0.500    0.500\n");
  assert_said("  0.25000   0.00000      0.125    0.125        0.000    0.000\n");
  assert_int_equal(inspect("seed1 seed2 faster"), 0);
  assert_said("The runs differ in train.learning_rate, train.seed.");
  assert_said("2 seeds");
  assert_int_equal(inspect("seed2 faster"), 0);
  assert_said("The runs differ in train.learning_rate.");
  assert_null(strstr(output, "mean"));

  const char* paths[] = {in_base("seed1"), in_base("seed3"), in_base("faster")};
  dpc_train_comparison c;
  assert_ok(dpc_train_compare(paths, 3, &c, &error), &error);
  assert_int_equal(dpc_train_group_size(&c, 0), 2);
  assert_int_equal(dpc_train_group_size(&c, 1), 0);
  assert_int_equal(dpc_train_group_size(&c, 2), 1);
  const dpc_train_spread loss = dpc_train_spread_of(&c, 0, 0);
  assert_near(loss.mean, 0.5, 0);
  assert_near(loss.deviation, sqrt(0.125), 1e-15);
  assert_near(loss.min, 0.25, 0);
  assert_near(loss.max, 0.75, 0);
  dpc_train_comparison_free(&c);
}

static void what_is_no_run_is_refused(void** state) {
  (void)state;
  write_run("good", "", 0.5);
  assert_int_equal(mkdir(in_base("empty"), 0700), 0);
  assert_int_equal(inspect("good empty"), 1);
  assert_said("empty: not the folder of a training run");
  write_file("empty/config.yaml", "train:\n  bacth: 3\n");
  write_file("empty/metrics.jsonl", "");
  assert_int_equal(inspect("empty"), 2);
  assert_said("config.yaml:2");
  write_file("empty/config.yaml", "");
  write_file("empty/state.safetensors", "torn");
  assert_int_equal(inspect("good empty"), 1);
  assert_said("empty/state.safetensors");
}

static int make_base(void** state) {
  (void)state;
  return mkdtemp(base) == NULL;
}

static int remove_base(void** state) {
  (void)state;
  char command[PATH_SIZE];
  (void)snprintf(command, sizeof(command), "rm -r %s", base);
  return system(command);  // NOLINT(cert-env33-c): our own folder
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_summary_is_max_and_mean_of_the_last_ten),
      cmocka_unit_test(a_history_of_nothing_has_no_summary),
      cmocka_unit_test(metrics_go_on_from_a_step),
      cmocka_unit_test(a_name_says_step_and_score),
      cmocka_unit_test(the_best_are_kept),
      cmocka_unit_test(a_run_is_not_replaced_by_accident),
      cmocka_unit_test(a_run_is_described),
      cmocka_unit_test(runs_become_a_table),
      cmocka_unit_test(what_is_no_run_is_refused),
  };
  return cmocka_run_group_tests_name("train_run", tests, make_base, remove_base);
}
