// dpc-inspect: the figures are those of the file, and what cannot be used is refused.

#include "tests/test.h"

#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "policy/checkpoint.h"
#include "proto/episode_log.h"
#include "tools/json.h"

enum { TEXT_SIZE = 65536, PATH_SIZE = 256, COMMAND_SIZE = 1024 };

static char base[] = "/tmp/dpc-test-inspect-XXXXXX";
static char output[TEXT_SIZE];  // of the last command, both streams
static dpc_error error;

/// Run dpc-inspect on something in the test's folder; returns its exit code.
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

static const char* in_base(const char* name) {
  static char path[PATH_SIZE];
  (void)snprintf(path, sizeof(path), "%s/%s", base, name);
  return path;
}

static dpc_json* read_report(void) {
  dpc_json* report = NULL;
  assert_ok(dpc_json_read(in_base("report.json"), &report, &error), &error);
  return report;
}

static double real(const dpc_json* object, const char* key) {
  double value = NAN;
  if (!dpc_json_as_real(dpc_json_get(object, key), &value)) fail_msg("no number '%s'", key);
  return value;
}

static dpc_interface make_interface(void) {
  dpc_interface interface = {.period_ns = 100000000};
  dpc_layout_add(&interface.obs, "agent_pos", 2, "px", "");
  dpc_layout_add(&interface.obs, "angle", 1, "rad", "");
  dpc_layout_add(&interface.action, "action", 2, "px", "agent_pos");
  return interface;
}

/// Episodes of 3, 4 and 8 steps. In step t: agent_pos = (t, -t), angle = 0.5, action = (10 t, 1).
static void write_log(void) {
  static const int lengths[] = {3, 4, 8};
  const dpc_interface interface = make_interface();
  for (int i = 0; i < DPC_COUNT(lengths); i++) {
    const dpc_episode_writer_def def = {
        .dir = in_base("log"), .index = i, .interface = &interface, .seed = 70 + (uint64_t)i};
    dpc_episode_writer* writer = NULL;
    assert_ok(dpc_episode_writer_open(&def, &writer, &error), &error);
    for (int t = 0; t < lengths[i]; t++) {
      const float obs[] = {(float)t, -(float)t, 0.5f}, action[] = {10.0f * (float)t, 1};
      assert_ok(dpc_episode_writer_append(writer, obs, action, 0.1 * t, false, &error), &error);
    }
    assert_ok(dpc_episode_writer_close(writer, NULL, &error), &error);
  }
}

static void check_observation(const dpc_json* obs) {
  assert_int_equal(dpc_json_count(obs), 2);
  assert_near(real(dpc_json_at(obs, 0), "min"), -7, 0);
  assert_near(real(dpc_json_at(obs, 0), "max"), 7, 0);
  assert_near(real(dpc_json_at(obs, 0), "mean"), 0, 0);
  const dpc_json* second = dpc_json_at(dpc_json_get(dpc_json_at(obs, 0), "values"), 1);
  assert_near(real(second, "mean"), -(3.0 + 6 + 28) / 15, 1e-12);
  assert_near(real(dpc_json_at(obs, 1), "mean"), 0.5, 0);
}

static void describes_a_log(void** state) {
  (void)state;
  write_log();
  if (inspect("log --json report.json") != 0) fail_msg("%s", output);
  assert_non_null(strstr(output, "log: 3 episodes, 15 steps at 10 Hz, 2 s"));
  assert_non_null(strstr(output, "70 to 72"));
  assert_non_null(strstr(output, "follows agent_pos"));
  assert_non_null(strstr(output, "Every value is finite."));

  dpc_json* report = read_report();
  static const struct {
    const char* of;
    const char* key;
    double value;
  } expected[] = {{NULL, "episodes", 3},
                  {NULL, "steps", 15},
                  {"lengths", "min", 3},
                  {"lengths", "median", 4},
                  {"lengths", "max", 8},
                  {"best_reward", "min", 0.1 * 2},
                  {"best_reward", "median", 0.1 * 3}};
  for (int i = 0; i < DPC_COUNT(expected); i++) {
    const char* of = expected[i].of;
    const dpc_json* object = of == NULL ? report : dpc_json_get(report, of);
    assert_near(real(object, expected[i].key), expected[i].value, 0);
  }
  check_observation(dpc_json_get(report, "observation"));
  assert_int_equal(strlen(dpc_json_as_text(dpc_json_get(report, "sha256"))), 64);
  dpc_json_free(report);

  if (inspect("log --json -") != 0) fail_msg("%s", output);
  assert_int_equal(output[0], '{');  // and nothing else on standard output
}

static void write_checkpoint(void) {
  static float scale[] = {0.5f, 0.25f, 1}, offset[] = {-1, 0, 0};
  dpc_arena arena = {0};
  assert_ok(dpc_arena_map(&arena, (size_t)64 << 20, &error), &error);
  dpc_checkpoint_info info = {.policy = dpc_policy_def_default(),
                              .unet = dpc_unet_def_default(),
                              .schedule = dpc_schedule_def_default(),
                              .sampler = dpc_sampler_def_default(),
                              .interface = make_interface(),
                              .obs_normalizer = {3, scale, offset},
                              .action_normalizer = {2, scale, offset}};
  info.unet.input_dim = 2;
  info.unet.global_cond_dim = 6;
  info.unet.down_dims = (dpc_int_list){2, {8, 16}};
  dpc_unet* unet = NULL;
  assert_ok(dpc_unet_create(&info.unet, &arena, &unet, &error), &error);
  float* params = DPC_TAKE(&arena, float, dpc_unet_param_count(unet));
  dpc_unet_init(unet, (dpc_rng_key){1, 2}, params);
  const dpc_metadata_entry note = {"train.steps", "6000"};
  assert_ok(
      dpc_checkpoint_save(in_base("tiny.safetensors"), &info, unet, params, true, &note, 1, &error),
      &error);
  dpc_arena_unmap(&arena);
}

static void describes_a_checkpoint(void** state) {
  (void)state;
  write_checkpoint();
  if (inspect("tiny.safetensors -v --json report.json") != 0) fail_msg("%s", output);
  assert_non_null(strstr(output, "tiny.safetensors: checkpoint"));
  assert_non_null(strstr(output, "agent_pos                  2  px             -4 "));
  dpc_json* report = read_report();
  assert_string_equal(dpc_json_as_text(dpc_json_get(report, "kind")), "checkpoint");
  assert_string_equal(dpc_json_as_text(dpc_json_get(report, "dtype")), "BF16");
  const dpc_json* metadata = dpc_json_get(report, "metadata");
  assert_string_equal(dpc_json_as_text(dpc_json_get(metadata, "train.steps")), "6000");
  assert_string_equal(dpc_json_as_text(dpc_json_get(metadata, "unet.down_dims")), "[8, 16]");
  assert_true(real(report, "parameters") > 1000);
  dpc_json_free(report);
}

static void flip_byte(const char* name, long at) {
  FILE* file = fopen(in_base(name), "r+b");
  assert_non_null(file);
  assert_int_equal(fseek(file, at, SEEK_END), 0);
  const int byte = fgetc(file);
  assert_int_equal(fseek(file, at, SEEK_END), 0);
  assert_int_equal(fputc(byte ^ 0x10, file), byte ^ 0x10);
  assert_int_equal(fclose(file), 0);
}

static void refuses_what_cannot_be_used(void** state) {
  (void)state;
  assert_int_equal(inspect("nothing"), 1);
  assert_non_null(strstr(output, "nothing: No such file"));
  assert_int_equal(inspect("."), 1);
  assert_non_null(strstr(output, "no episodes"));
  assert_int_equal(inspect(DPC_SOURCE_DIR "/LICENSE"), 1);
  assert_non_null(strstr(output, "LICENSE"));
  assert_int_equal(inspect(""), 2);
  flip_byte("tiny.safetensors", -5);
  assert_int_equal(inspect("tiny.safetensors"), 1);
  assert_non_null(strstr(output, "tiny.safetensors"));
  flip_byte("log/episode_000001.mcap", -3000);
  assert_int_equal(inspect("log"), 1);
  assert_non_null(strstr(output, "log/episode_000001.mcap"));
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
      cmocka_unit_test(describes_a_log),
      cmocka_unit_test(describes_a_checkpoint),
      cmocka_unit_test(refuses_what_cannot_be_used),
  };
  return cmocka_run_group_tests_name("inspect", tests, make_base, remove_base);
}
