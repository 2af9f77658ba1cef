// dpc-verify as people run it: it finds what differs, and refuses what it cannot compare.

#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "policy/safetensors.h"
#include "tests/test.h"

enum { TENSORS_MAX = 256, TEXT_SIZE = 4096 };

#define GOLDEN DPC_SOURCE_DIR "/tests/golden/unet_one_level"

static char path[] = "/tmp/dpc-test-verify-XXXXXX";
static char output[TEXT_SIZE];  // of the last run, both streams
static dpc_error error;

static int verify(const char* arguments) {
  char command[1024];
  (void)snprintf(command, sizeof command, "%s/dpc-verify %s 2>&1", DPC_BINARY_DIR, arguments);
  FILE* pipe = popen(command, "r");  // NOLINT(cert-env33-c): a command of our own
  assert_non_null(pipe);
  const size_t size = fread(output, 1, sizeof output - 1, pipe);
  output[size] = '\0';
  const int status = pclose(pipe);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

// What is changed in a copy of a file.
typedef struct edit {
  const char* tensor;  // floats, multiplied with `factor`; 0 leaves the tensor out
  float factor;
  const char *key, *value;  // of the metadata; NULL leaves the entry out
} edit;

static void save_changed(const char* source, const edit* change) {
  static float values[1 << 14];
  dpc_tensor_source tensors[TENSORS_MAX];
  dpc_metadata_entry metadata[16];
  dpc_safetensors* file = NULL;
  int tensor_count = 0, metadata_count = 0;
  assert_ok(dpc_safetensors_open(source, &file, &error), &error);
  for (int i = 0; i < dpc_safetensors_count(file); ++i) {
    const dpc_tensor_view* view = dpc_safetensors_at(file, i);
    dpc_tensor_source* tensor = &tensors[tensor_count];
    *tensor = (dpc_tensor_source){view->name, view->dtype, view->rank, {0}, view->data};
    memcpy(tensor->shape, view->shape, sizeof tensor->shape);
    if (change->tensor != NULL && strcmp(view->name, change->tensor) == 0) {
      if (change->factor == 0) continue;
      assert_true(view->bytes <= sizeof values);
      memcpy(values, view->data, view->bytes);
      for (size_t k = 0; k < view->count; ++k) values[k] *= change->factor;
      tensor->data = values;
    }
    ++tensor_count;
  }
  for (int i = 0; i < dpc_safetensors_metadata_count(file); ++i) {
    dpc_metadata_entry entry = dpc_safetensors_metadata_at(file, i);
    if (change->key != NULL && strcmp(entry.key, change->key) == 0) entry.value = change->value;
    if (entry.value != NULL) metadata[metadata_count++] = entry;
  }
  assert_ok(dpc_safetensors_save(path, metadata, metadata_count, tensors, tensor_count, &error),
            &error);
  dpc_safetensors_close(file);
}

static void assert_says(int expected, int code, const char* words) {
  if (code != expected) fail_msg("exit code %d, not %d: %s", code, expected, output);
  if (strstr(output, words) == NULL) fail_msg("'%s' does not say '%s'", output, words);
}

static int with_changed_io(const edit* change) {
  save_changed(GOLDEN ".io.safetensors", change);
  char arguments[512];
  (void)snprintf(arguments, sizeof arguments, "%s %s", GOLDEN ".weights.safetensors", path);
  return verify(arguments);
}

static int with_changed_weights(const edit* change) {
  save_changed(GOLDEN ".weights.safetensors", change);
  char arguments[512];
  (void)snprintf(arguments, sizeof arguments, "%s %s", path, GOLDEN ".io.safetensors");
  return verify(arguments);
}

static void test_what_is_equal_passes(void** state) {
  (void)state;
  assert_says(0, with_changed_io(&(edit){0}), "gradients");
  assert_says(0, with_changed_weights(&(edit){0}), "gradients");
}

// Three parts in ten thousand of one tensor's gradient are found.
static void test_what_differs_is_found_and_named(void** state) {
  (void)state;
  static const char tensor[] = "down_modules.0.0.cond_encoder.1.bias";
  assert_says(1,
              with_changed_io(&(edit){.tensor = "grad.down_modules.0.0.cond_encoder.1.bias",
                                      .factor = 1.0003F}),
              tensor);
  assert_non_null(strstr(output, "FAILED"));
  const char* const others[] = {"output", "loss", "adamw_losses", "grad_input.sample",
                                "grad_input.global_cond"};
  for (int i = 0; i < DPC_COUNT(others); ++i) {
    assert_says(1, with_changed_io(&(edit){.tensor = others[i], .factor = 1.001F}), "FAILED");
  }
  assert_says(1, with_changed_weights(&(edit){.tensor = "final_conv.1.bias", .factor = 1.01F}),
              "FAILED");
}

static void test_what_is_missing_is_named(void** state) {
  (void)state;
  static const char* const needed[] = {"sample", "timestep",     "global_cond",           "output",
                                       "target", "adamw_losses", "grad.final_conv.1.bias"};
  for (int i = 0; i < DPC_COUNT(needed); ++i) {
    assert_says(1, with_changed_io(&(edit){.tensor = needed[i]}), needed[i]);
  }
  assert_says(1, with_changed_weights(&(edit){.tensor = "final_conv.1.bias"}), "final_conv.1.bias");
}

static void test_settings_that_make_no_network_are_named(void** state) {
  (void)state;
  static const char* const settings[][2] = {
      {"input_dim", NULL},   {"input_dim", "0"},    {"global_cond_dim", "5x"},
      {"horizon", "-1"},     {"down_dims", "[]"},   {"down_dims", "[8, x]"},
      {"kernel_size", "4"},  {"n_groups", "1e9"},   {"diffusion_step_embed_dim", "7"},
      {"input_dim", "1000"}, {"down_dims", "[16]"},
  };
  for (int i = 0; i < DPC_COUNT(settings); ++i) {
    const edit change = {.key = settings[i][0], .value = settings[i][1]};
    assert_says(1, with_changed_weights(&change), path);
  }
  assert_says(1, with_changed_io(&(edit){.key = "adamw", .value = "lr fast"}), "adamw");
  assert_says(
      1, with_changed_io(&(edit){.key = "adamw", .value = "lr nan betas 0 0 eps 1 weight_decay 0"}),
      "adamw");
}

static void test_usage(void** state) {
  (void)state;
  assert_says(2, verify(""), "WEIGHTS");
  assert_says(2, verify("a b c"), "c");
  assert_says(1, verify("/nowhere /nowhere"), "/nowhere");
  assert_says(0, verify("--json - " GOLDEN ".weights.safetensors " GOLDEN ".io.safetensors"),
              "\"grad_nmse_max\"");
  assert_int_equal(output[0], '{');
}

static int make_path(void** state) {
  (void)state;
  const int descriptor = mkstemp(path);
  return descriptor < 0 ? -1 : close(descriptor);
}

static int remove_path(void** state) {
  (void)state;
  return unlink(path);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_what_is_equal_passes),
      cmocka_unit_test(test_what_differs_is_found_and_named),
      cmocka_unit_test(test_what_is_missing_is_named),
      cmocka_unit_test(test_settings_that_make_no_network_are_named),
      cmocka_unit_test(test_usage),
  };
  return cmocka_run_group_tests(tests, make_path, remove_path);
}
