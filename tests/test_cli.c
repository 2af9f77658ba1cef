// The command line as a user meets it: programs are run, and what they print and return is read.
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/test.h"

typedef struct outcome {
  int code;         // exit code, or 128 + signal
  char text[8192];  // what was asked for: standard output, standard error or both
} outcome;

#define PROBE DPC_BINARY_DIR "/tests/cli_probe "
#define DPC   DPC_BINARY_DIR "/dpc "
#define OUT   " 2>/dev/null"
#define ERR   " 2>&1 >/dev/null"

static outcome run(const char* command) {
  outcome result = {0};
  FILE* pipe = popen(command, "r");
  assert_non_null(pipe);
  const size_t length = fread(result.text, 1, sizeof result.text - 1, pipe);
  result.text[length] = '\0';
  const int status = pclose(pipe);
  result.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return result;
}

// Run, and check the exit code and that the text says `words`.
static void expect(const char* command, int code, const char* words) {
  const outcome result = run(command);
  if (result.code != code) {
    fail_msg("`%s` gave %d instead of %d: %s", command, result.code, code, result.text);
  }
  if (strstr(result.text, words) == NULL) {
    fail_msg("`%s` says '%s', not '%s'", command, result.text, words);
  }
}

static void expect_only(const char* command, int code, const char* text) {
  const outcome result = run(command);
  assert_int_equal(result.code, code);
  assert_string_equal(result.text, text);
}

static void test_launcher(void** state) {
  (void)state;
  expect(DPC "--help" OUT, 0, "  run       drive a robot");
  expect(DPC "help" OUT, 0, "Usage: dpc COMMAND");
  expect_only(DPC "--help" ERR, 0, "");
  expect(DPC "--version" OUT, 0, "dpc " DPC_VERSION "\n");
  expect(DPC ERR, 2, "Usage: dpc COMMAND");
  expect(DPC "evla" ERR, 2, "dpc: 'evla' is not a command, did you mean 'eval'?");
  expect(DPC "zzzzzz" ERR, 2, "dpc: 'zzzzzz' is not a command\n");
  expect(DPC "../dpc" ERR, 2, "not a command");
  expect(DPC "'' " ERR, 2, "not a command");
  expect(DPC "--nonsense" ERR, 2, "not a command");
  expect(DPC "help zzzzzz" ERR, 2, "not a command");
  expect(DPC "--help >/dev/full" OUT, 1, "");
}

static void test_help_and_version(void** state) {
  (void)state;
  expect(PROBE "--help" OUT, 0, "Usage: dpc probe [OPTION...] [CONFIG] [KEY=VALUE...]");
  expect(PROBE "--help" OUT, 0, "--json=FILE");
  expect(PROBE "--help" OUT, 0, "--seeds=A:B");
  expect(PROBE "--usage" OUT, 0, "Usage: dpc probe");
  expect(PROBE "--version" OUT, 0, "dpc " DPC_VERSION);
  expect(PROBE "--help-config" OUT, 0,
         "# The world.\nworld:\n  # steps of an episode; an integer in [1, 1000]\n  steps: 300\n");
  expect("PROBE_NEEDS_CONFIG=1 " PROBE "--help-config" OUT, 0, "steps: 300");
}

static void test_settings_and_options(void** state) {
  (void)state;
  expect_only(PROBE OUT, 0, "steps 300, seeds 0 to 0, count 0, rate 0, pace 0\n");
  expect_only(PROBE "world.steps=5 --seeds 3:7 -n 4 --rate=0.5 --pace lockstep" OUT, 0,
              "steps 5, seeds 3 to 7, count 4, rate 0.5, pace 1\n");
  expect_only(PROBE "--seeds 4294967295" OUT, 0,
              "steps 300, seeds 4294967295 to 4294967296, count 0, rate 0, pace 0\n");
  expect_only("echo 'world: {steps: 9}' | " PROBE "/dev/stdin --json -" OUT, 0,
              "{\n  \"steps\": 9\n}\n");
}

static void test_wrong_usage_is_2_and_says_what(void** state) {
  (void)state;
  static const struct {
    const char* command;
    const char* words;
  } wrong[] = {
      {PROBE "--nonsense" ERR, "dpc probe: unrecognized option '--nonsense'"},
      {PROBE "-n" ERR, "requires an argument"},
      {PROBE "-n 10" ERR, "dpc probe: --count: '10' is not allowed: an integer in [0, 9]"},
      {PROBE "-n 1x" ERR, "'1x'"},
      {PROBE "-n ''" ERR, "''"},
      {PROBE "-r nan" ERR, "a number in [0, 1]"},
      {PROBE "-r inf" ERR, "a number in [0, 1]"},
      {PROBE "-p slow" ERR, "one of realtime, lockstep"},
      {PROBE "-s 7:7" ERR, "--seeds: '7:7' is not allowed"},
      {PROBE "-s 7:3" ERR, "A < B"},
      {PROBE "-s 0:4294967297" ERR, "2^32"},
      {PROBE "-s 4294967296" ERR, "2^32"},
      {PROBE "-s -1:3" ERR, "'-1:3'"},
      {PROBE "-s 1:2:3" ERR, "'1:2:3'"},
      {PROBE "-s ''" ERR, "''"},
      {PROBE "a.yaml b.yaml" ERR, "'b.yaml': CONFIG is 'a.yaml' already"},
      {PROBE "world.stesp=1" ERR, "argument 'world.stesp=1': unknown key of 'world'"},
      {PROBE "world.steps=0" ERR, "an integer in [1, 1000]"},
      {"PROBE_NEEDS_CONFIG=1 " PROBE ERR, "CONFIG is missing"},
      {"PROBE_NEEDS_CONFIG=1 " PROBE "world.steps=4" ERR, "CONFIG is missing"},
      {"echo 'world: {steps: x}' | " PROBE "/dev/stdin" ERR, "/dev/stdin:1:16: world.steps"},
      {PROBE "/nonexistent/a.yaml" ERR, "/nonexistent/a.yaml: No such file"},
      {PROBE "-t config" ERR, "dpc probe: a does not go with b\n"},
  };
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; ++i) {
    expect(wrong[i].command, 2, wrong[i].words);
  }
}

static void test_failure_is_1_and_says_what(void** state) {
  (void)state;
  expect(PROBE "-t data" ERR, 1, "dpc probe: a.bin: bad data\n");
  expect(PROBE "-t peer" ERR, 1, "dpc probe: timed out\n");
  expect(PROBE "--json /nonexistent/a.json" ERR, 1, "/nonexistent/a.json: No such file");
  expect(PROBE "2>&1 >/dev/full", 1, "standard output: write failed");
  expect(PROBE "--json - 2>&1 >/dev/full", 1, "standard output: No space left");
}

static void test_standard_output_is_for_results(void** state) {
  (void)state;
  expect_only(PROBE "--json - -v" OUT, 0, "{\n  \"steps\": 300\n}\n");
  expect(PROBE "-v" ERR, 0,
         "dpc probe: a debug line\ndpc probe: an info line\ndpc probe: warning: a warning line\n");
  expect_only(PROBE ERR, 0, "dpc probe: an info line\ndpc probe: warning: a warning line\n");
  expect_only(PROBE "-q" ERR, 0, "");
  expect_only(PROBE "-q --task progress" ERR, 0, "");
  expect_only(PROBE "--task signal --json -" OUT, 0, "{\n  \"steps\": 300\n}\n");
}

static void test_progress_is_rare_where_nobody_watches(void** state) {
  (void)state;
  const outcome result = run(PROBE "-t progress" ERR);
  assert_int_equal(result.code, 0);
  assert_non_null(strstr(result.text, "step 0 of 3\n"));
  assert_null(strstr(result.text, "step 1 of 3"));
  assert_null(strchr(result.text, '\r'));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_launcher),
      cmocka_unit_test(test_help_and_version),
      cmocka_unit_test(test_settings_and_options),
      cmocka_unit_test(test_wrong_usage_is_2_and_says_what),
      cmocka_unit_test(test_failure_is_1_and_says_what),
      cmocka_unit_test(test_standard_output_is_for_results),
      cmocka_unit_test(test_progress_is_rare_where_nobody_watches),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
