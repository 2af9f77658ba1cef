// dpc-eval, as people run it: an evaluation is repeatable, bad use is refused, and what it records
// replays exactly.

#include <stdio.h>
#include <unistd.h>

#include "tests/policy_base.h"
#include "tests/test.h"
#include "tools/json.h"

static dpc_error error;

// The last command's standard output, which must be JSON and nothing else.
static dpc_json* parse_output(void) {
  dpc_json* json = NULL;
  assert_ok(dpc_json_parse(output, strlen(output), "output", &json, &error), &error);
  return json;
}

static double real_of(const dpc_json* object, const char* key) {
  double value = NAN;
  if (!dpc_json_as_real(dpc_json_get(object, key), &value)) fail_msg("no number '%s'", key);
  return value;
}

static dpc_json* eval_json(const char* options) {
  const int code = shell("dpc-eval -q --policy p.safetensors %s --json -", options);
  if (code != 0) fail_msg("eval %s: exit code %d", options, code);
  return parse_output();
}

// --- eval ------------------------------------------------------------------------------------------

static void test_report_is_complete(void** state) {
  (void)state;
  dpc_json* json = eval_json("--seeds 5:9");
  const dpc_json* rows = dpc_json_get(json, "per_seed");
  double sum = 0;
  assert_true(real_of(json, "episodes") == 4);
  assert_int_equal(dpc_json_count(rows), 4);
  for (int i = 0; i < 4; ++i) {
    int64_t seed = 0, success = -1;
    double score = NAN;
    const dpc_json* row = dpc_json_at(rows, i);
    assert_true(dpc_json_as_int(dpc_json_at(row, 0), &seed) && seed == 5 + i);
    assert_true(dpc_json_as_real(dpc_json_at(row, 1), &score) && score >= 0 && score <= 1);
    assert_true(dpc_json_as_int(dpc_json_at(row, 2), &success) && (success == 0 || success == 1));
    sum += score;
  }
  assert_near(real_of(json, "score_mean"), sum / 4, 1e-12);
  static const char* const intervals[] = {"score_ci95", "success_ci95"};
  static const char* const middles[] = {"score_mean", "success_rate"};
  for (int i = 0; i < 2; ++i) {
    const dpc_json* interval = dpc_json_get(json, intervals[i]);
    double low = NAN, high = NAN;
    assert_true(dpc_json_as_real(dpc_json_at(interval, 0), &low));
    assert_true(dpc_json_as_real(dpc_json_at(interval, 1), &high));
    assert_true(low <= real_of(json, middles[i]) && real_of(json, middles[i]) <= high);
  }
  dpc_json_free(json);
}

// The scores as text, for comparing.
static char* scores(const char* options) {
  char arguments[128];
  (void)snprintf(arguments, sizeof arguments, "--seeds 5:7 %s", options);
  dpc_json* json = eval_json(arguments);
  char* text = dpc_json_print(dpc_json_get(json, "per_seed"), true);
  dpc_json_free(json);
  return text;
}

static void test_what_changes_the_scores(void** state) {
  (void)state;
  static const struct {
    const char* options;
    bool same;
  } cases[] = {{"--threads 1", true},     {"--threads 3", true},
               {"--sampler ddim", true},  {"--steps 10", true},
               {"--grid leading", true},  {"--eta 0", true},
               {"--delay 0", true},       {"--n-actions 8", true},
               {"--mode wait", true},     {"--mode prefix", false},
               {"--rate 10", true},       {"--rate 50", false},
               {"--mode blend", false},   {"--delay 2 --mode wait", false},
               {"--seed 0", true},        {"--steps 3 --grid trailing", false},
               {"--sampler ddpm", false}, {"--eta 1", false},
               {"--delay 4", false},      {"--n-actions 4", false},
               {"--seed 1", false},       {"--mode guided", false}};
  char* reference = scores("");
  for (int i = 0; i < DPC_COUNT(cases); ++i) {
    char* got = scores(cases[i].options);
    if ((strcmp(got, reference) == 0) != cases[i].same) {
      fail_msg("%s: %s, by default %s", cases[i].options, got, reference);
    }
    free(got);
  }
  free(reference);
}

static const char* text_of(const dpc_json* object, const char* key) {
  const char* text = dpc_json_as_text(dpc_json_get(object, key));
  if (text == NULL) fail_msg("no text '%s'", key);
  return text;
}

// Each delay with each mode, in that order; a case has the scores that it has alone.
static void test_cases_are_compared(void** state) {
  (void)state;
  static const char* const modes[] = {"drop", "wait", "blend"};
  static const int delays[] = {0, 4};
  dpc_json* all = eval_json("--seeds 5:9 --rate 100 --delay 0,4 --mode drop,wait,blend");
  const dpc_json* rows = dpc_json_get(all, "comparison");
  assert_int_equal(dpc_json_count(rows), 6);
  for (int i = 0; i < 6; ++i) {
    char options[128];
    const dpc_json* row = dpc_json_at(rows, i);
    const int delay = delays[i / 3];
    (void)snprintf(options, sizeof options, "--seeds 5:9 --rate 100 --delay %d --mode %s", delay,
                   modes[i % 3]);
    dpc_json* alone = eval_json(options);
    assert_true(real_of(row, "delay") == delay && real_of(row, "rate_hz") == 100);
    assert_string_equal(text_of(row, "mode"), modes[i % 3]);
    assert_string_equal(text_of(row, "interpolation"), "cubic");
    assert_true(real_of(row, "n_actions") == 8);
    assert_true(real_of(row, "score_mean") == real_of(alone, "score_mean"));
    assert_true(real_of(row, "jerk_max") == real_of(alone, "jerk_max"));
    assert_true(real_of(row, "velocity_step_mean") > 0);
    const double loss = real_of(all, "score_mean") - real_of(row, "score_mean");
    assert_near(real_of(row, "score_loss"), loss, 1e-12);
    dpc_json_free(alone);
  }
  dpc_json_free(all);
}

static void test_bad_use_is_refused(void** state) {
  (void)state;
  static const struct {
    const char* arguments;
    int code;
    const char* words;
  } cases[] = {
      {"", 2, "--policy"},
      {"--policy p.safetensors", 2, "--seeds"},
      {"--policy p.safetensors --seeds 5:5", 2, "--seeds"},
      {"--policy p.safetensors --seeds 5:6 more", 2, "more"},
      {"--policy p.safetensors --seeds 5:6 --steps 0", 2, "--steps"},
      {"--policy p.safetensors --seeds 5:6 --steps 101", 2, "steps"},
      {"--policy p.safetensors --seeds 5:6 --sampler euler", 2, "euler"},
      {"--policy p.safetensors --seeds 5:6 --eta nan", 2, "--eta"},
      {"--policy p.safetensors --seeds 5:6 --delay 9", 2, "controller.delay"},
      {"--policy p.safetensors --seeds 5:6 --delay 0,9", 2, "controller.delay"},
      {"--policy p.safetensors --seeds 5:6 --delay 1,x", 2, "--delay"},
      {"--policy p.safetensors --seeds 5:6 --delay 1,,2", 2, "--delay"},
      {"--policy p.safetensors --seeds 5:6 --mode drop,hope", 2, "hope"},
      {"--policy p.safetensors --seeds 5:6 --mode drop,trained", 2, "train.prefix_max"},
      {"--policy p.safetensors --seeds 5:6 --rate 30", 2, "--rate"},
      {"--policy p.safetensors --seeds 5:6 --rate 100 --record x", 2, "--record"},
      {"--policy p.safetensors --seeds 5:6 --delay 0,1 --picture x.png", 2, "--picture"},
      {"--policy p.safetensors --seeds 5:6 --n-actions 16", 2, "controller.n_actions"},
      {"--policy p.safetensors --seeds 5:6 --record-successes", 2, "--record"},
      {"--policy absent.safetensors --seeds 5:6", 1, "absent.safetensors"},
      {"--policy p.safetensors --seeds 5:6 --picture absent/x.png", 1, "absent/x.png"},
      {"--policy p.safetensors --seeds 5:6 --record absent/log", 1, "absent/log"},
  };
  for (int i = 0; i < DPC_COUNT(cases); ++i) {
    const int code = shell("dpc-eval -q %s 2>&1", cases[i].arguments);
    if (code != cases[i].code || strstr(output, cases[i].words) == NULL) {
      fail_msg("eval %s: exit code %d: %s", cases[i].arguments, code, output);
    }
  }
}

// A failure that comes after the first episodes leaves no report and no half file.
static void test_full_disk_is_a_failure(void** state) {
  (void)state;
  assert_int_equal(shell("dpc-eval -q --policy p.safetensors --seeds 5:6 >/dev/full 2>&1"), 1);
  assert_int_equal(shell("ls | grep -c part"), 1);
}

// --- what is kept ----------------------------------------------------------------------------------

static void test_recordings_replay_to_the_last_bit(void** state) {
  (void)state;
  assert_int_equal(shell("dpc-eval -q --policy p.safetensors --seeds 5:9 --record own "
                         "--picture own.png"),
                   0);
  assert_int_equal(shell("head -c 8 own.png | grep -q PNG"), 0);
  assert_int_equal(shell("dpc-replay -q --world own --json - 2>/dev/null"), 0);
  dpc_json* json = parse_output();
  assert_true(real_of(json, "episodes") == 4);
  assert_true(real_of(json, "within_0_1px") == 4 && real_of(json, "within_1px") == 4);
  for (int i = 0; i < 4; ++i) {
    double worst = NAN;
    assert_true(dpc_json_as_real(dpc_json_at(dpc_json_get(json, "max_block_error_px"), i), &worst));
    assert_true(worst <= 3.1e-5);  // the recording's float, up to 512 px and in two directions
  }
  dpc_json_free(json);
  // again into the same folder: nothing is written over
  assert_int_equal(shell("dpc-eval -q --policy p.safetensors --seeds 5:9 --record own 2>&1"), 1);
  assert_non_null(strstr(output, "own"));
}

// A random policy does not succeed.
static void test_only_successes(void** state) {
  (void)state;
  assert_int_equal(shell("dpc-eval -q --policy p.safetensors --seeds 5:9 --record none "
                         "--record-successes"),
                   0);
  assert_non_null(strstr(output, "0 episodes recorded"));
  assert_int_equal(shell("ls none/*.mcap 2>/dev/null"), 2);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_report_is_complete),
      cmocka_unit_test(test_what_changes_the_scores),
      cmocka_unit_test(test_cases_are_compared),
      cmocka_unit_test(test_bad_use_is_refused),
      cmocka_unit_test(test_full_disk_is_a_failure),
      cmocka_unit_test(test_recordings_replay_to_the_last_bit),
      cmocka_unit_test(test_only_successes),
  };
  return cmocka_run_group_tests_name("eval", tests, make_base_with_policy, remove_base);
}
