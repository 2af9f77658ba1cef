#include "tools/config.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/test.h"
#include "tools/file.h"

typedef struct top_def {
  uint64_t seed;
  char policy[64];
} top_def;

static const dpc_field top_fields[] = {
    DPC_UINT64(top_def, seed, "42", "run seed"),
    DPC_TEXT(top_def, policy, "", "path of a checkpoint"),
};
static DPC_FIELD_TABLE(top_table, top_def, "", "The run.", top_fields);

typedef struct sampler_def {
  int kind;
  int steps;
  double eta;
  bool recompute;
  dpc_int_list dims;
  dpc_text_list obs;
} sampler_def;

static const char* const kinds[] = {"ddim", "ddpm", NULL};
static const dpc_field sampler_fields[] = {
    DPC_CHOICE(sampler_def, kind, "ddim", kinds, "the update rule"),
    DPC_INT(sampler_def, steps, "10", 1, 1000, "", "denoising steps"),
    DPC_REAL(sampler_def, eta, "0", 0, 1, "", "0 is deterministic"),
    DPC_BOOL(sampler_def, recompute, "false", "as the paper says"),
    DPC_INT_LIST(sampler_def, dims, "[64, 128]", 1, 1024, "", "widths"),
    DPC_TEXT_LIST(sampler_def, obs, "[keypoint, agent_pos]", "fields"),
};
static DPC_FIELD_TABLE(sampler_table, sampler_def, "sampler", "Denoising.", sampler_fields);

static top_def top;
static sampler_def sampler;
static const dpc_config_section sections[] = {{.table = &top_table, .def = &top},
                                              {.table = &sampler_table, .def = &sampler}};
static char path[] = "/tmp/dpc_test_config_XXXXXX";

static int make_file(void** state) {
  (void)state;
  const int fd = mkstemp(path);
  return fd < 0 ? -1 : close(fd);
}

static int remove_file(void** state) {
  (void)state;
  return unlink(path);
}

// Equal field by field; what stands behind the end of a text does not count.
static void assert_same_settings(const dpc_field_table* table, const void* a, const void* b) {
  for (int i = 0; i < table->count; ++i) {
    char text_a[2048], text_b[2048];
    assert_int_equal(dpc_field_print(&table->fields[i], a, text_a, sizeof text_a), DPC_OK);
    assert_int_equal(dpc_field_print(&table->fields[i], b, text_b, sizeof text_b), DPC_OK);
    assert_string_equal(text_a, text_b);
  }
}

static dpc_status read_text(const char* text, dpc_error* error) {
  const dpc_status status = dpc_file_save(path, text, strlen(text), error);
  if (status != DPC_OK) return status;
  return dpc_config_read(path, NULL, 0, sections, DPC_COUNT(sections), error);
}

static dpc_status read_override(const char* override, dpc_error* error) {
  return dpc_config_read(NULL, &override, 1, sections, DPC_COUNT(sections), error);
}

static void test_defaults_file_overrides_in_that_order(void** state) {
  (void)state;
  dpc_error error = {""};
  assert_ok(read_text("", &error), &error);
  assert_int_equal(top.seed, 42);
  assert_int_equal(sampler.steps, 10);
  assert_int_equal(sampler.dims.count, 2);

  const char* text =
      "# a comment\n"
      "seed: 18446744073709551615\n"
      "policy: \"a b: c.safetensors\"\n"
      "sampler:\n"
      "  kind: ddpm\n"
      "  steps: 100\n"
      "  eta: 1e-4\n"
      "  recompute: true\n"
      "  dims: [8, 16, 32]\n"
      "  obs:\n"
      "    - keypoint\n"
      "    - state[0:2] as agent_pos\n";
  assert_ok(read_text(text, &error), &error);
  assert_true(top.seed == UINT64_MAX);
  assert_string_equal(top.policy, "a b: c.safetensors");
  assert_int_equal(sampler.kind, 1);
  assert_int_equal(sampler.steps, 100);
  assert_true(sampler.eta == 1e-4);
  assert_true(sampler.recompute);
  assert_int_equal(sampler.dims.count, 3);
  assert_int_equal(sampler.dims.values[2], 32);
  assert_int_equal(sampler.obs.count, 2);
  assert_string_equal(sampler.obs.values[1], "state[0:2] as agent_pos");

  static const char* const overrides[] = {"sampler.steps=7", "seed=1", "sampler.dims=[4]",
                                          "policy=x=y.z", "sampler.steps=8"};
  assert_ok(dpc_config_read(path, overrides, DPC_COUNT(overrides), sections, 2, &error), &error);
  assert_int_equal(sampler.steps, 8);
  assert_int_equal(top.seed, 1);
  assert_int_equal(sampler.dims.count, 1);
  assert_string_equal(top.policy, "x=y.z");
  assert_int_equal(sampler.kind, 1);
}

static void test_ways_to_write_the_same(void** state) {
  (void)state;
  static const char* const same[] = {
      "sampler: {kind: ddpm, steps: 5}",
      "---\nsampler:\n  steps: 5\n  kind: \"ddpm\"\n...\n",
      "\"sampler\":\n    'steps': 5\n    kind: ddpm # said so\nseed: 42\n",
      "\xef\xbb\xbfsampler:\r\n  steps: 5\r\n  kind: ddpm\r\n",
      "seed: 42\nsampler:\n\n  steps:\n    5\n  kind: ddpm",
  };
  for (int i = 0; i < DPC_COUNT(same); ++i) {
    dpc_error error = {""};
    assert_ok(read_text(same[i], &error), &error);
    assert_int_equal(sampler.steps, 5);
    assert_int_equal(sampler.kind, 1);
  }
}

static void test_nothing_said_is_all_defaults(void** state) {
  (void)state;
  static const char* const nothing[] = {"",           "\n\n", "# only words\n", "---\n",
                                        "sampler:\n", "{}",   "sampler: {}\n",  "null\n"};
  for (int i = 0; i < DPC_COUNT(nothing); ++i) {
    dpc_error error = {""};
    sampler.steps = 3;
    assert_ok(read_text(nothing[i], &error), &error);
    assert_int_equal(sampler.steps, 10);
  }
}

static void test_brackets_in_a_list_element_need_no_quotes(void** state) {
  (void)state;
  static const char* const same[] = {
      "sampler:\n  obs: [keypoint, state[0:2] as agent_pos]\n",
      "sampler:\n  obs:  [ keypoint ,state[0:2] as agent_pos ] # [a, b[0]]\n",
      "sampler:\n  obs: [keypoint, \"state[0:2] as agent_pos\"]\n",
      "sampler:\n  obs: ['keypoint', 'state[0:2] as agent_pos']\n",
  };
  for (int i = 0; i < DPC_COUNT(same); ++i) {
    dpc_error error = {""};
    assert_ok(read_text(same[i], &error), &error);
    assert_int_equal(sampler.obs.count, 2);
    assert_string_equal(sampler.obs.values[0], "keypoint");
    assert_string_equal(sampler.obs.values[1], "state[0:2] as agent_pos");
  }
}

static void test_mistakes_are_named_with_their_place(void** state) {
  (void)state;
  static const struct {
    const char* text;
    const char* place;
    const char* words;
  } mistakes[] = {
      {"sampler:\n  stesp: 5\n",
       ":2:3: ", "unknown key of 'sampler': 'stesp', did you mean 'steps'"},
      {"smapler:\n  steps: 5\n", ":1:1: ", "unknown section 'smapler', did you mean 'sampler'"},
      {"seed: 1\nsede: 5\n", ":2:1: ", "did you mean 'seed'"},
      {"zzz: 5\n", ":1:1: ", "--help-config"},
      {"sampler:\n  steps: 0\n",
       ":2:10: ", "sampler.steps: '0' is not allowed: an integer in [1, 1000]"},
      {"sampler:\n  steps: 1001\n", ":2:10: ", "[1, 1000]"},
      {"sampler:\n  steps: 99999999999999999999\n", ":2:10: ", "[1, 1000]"},
      {"sampler:\n  steps: ten\n", ":2:10: ", "'ten' is not allowed"},
      {"sampler:\n  steps: 10x\n", ":2:10: ", "'10x'"},
      {"sampler:\n  steps: 1.5\n", ":2:10: ", "'1.5'"},
      {"sampler:\n  steps: 0x10\n", ":2:10: ", "'0x10'"},
      {"sampler:\n  steps: \"10\"\n", ":2:", "in quotes"},
      {"sampler:\n  steps:\n  eta: 0\n", ":2:", "sampler.steps has no value"},
      {"sampler:\n  steps: ~\n", ":2:10: ", "has no value"},
      {"sampler:\n  steps: [1]\n", ":2:10: ", "not a list"},
      {"sampler:\n  steps:\n    a: 1\n", ":3:5: ", "nested too deep"},
      {"sampler:\n  eta: .nan\n", ":2:8: ", "a number in [0, 1]"},
      {"sampler:\n  eta: nan\n", ":2:8: ", "a number in [0, 1]"},
      {"sampler:\n  eta: .inf\n", ":2:8: ", "a number in [0, 1]"},
      {"sampler:\n  eta: 1e999\n", ":2:8: ", "a number in [0, 1]"},
      {"sampler:\n  eta: 1e-4x\n", ":2:8: ", "'1e-4x'"},
      {"sampler:\n  recompute: yes\n", ":2:14: ", "true or false"},
      {"sampler:\n  kind: euler\n", ":2:9: ", "one of ddim, ddpm"},
      {"sampler:\n  dims: 64\n", ":2:9: ", "is a list"},
      {"sampler:\n  dims: [64, 0]\n", ":2:9: ", "[1, 1024]"},
      {"sampler:\n  dims: [64, x]\n", ":2:9: ", "[64, x]"},
      {"sampler:\n  dims: [[64, 128], 1]\n", ":2:10: ", "only single values"},
      {"sampler:\n  dims: [\"64\"]\n", ":2:9: ", "quotes"},
      {"sampler:\n  dims: [1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]\n",
       ":2:9: ", "up to 32"},
      {"sampler:\n  obs: [\"a, b\"]\n", ":2:", "cannot be an element"},
      {"sampler:\n  steps: 1\n  steps: 2\n", ":3:3: ", "'steps' is given twice, first in line 2"},
      {"sampler:\n  steps: 1\nsampler:\n  eta: 0\n", ":3:1: ", "given twice"},
      {"sampler: &a\n  steps: 1\n", ":", "anchors"},
      {"sampler:\n  steps: &a 1\n  eta: *a\n", ":2:", "anchors"},
      {"sampler:\n  <<: *base\n", ":2:", "anchors"},
      {"sampler:\n  steps: !!int 1\n", ":2:", "anchors, aliases and tags"},
      {"sampler: 5\n", ":1:1: ", "'sampler' is a section"},
      {"seed:\n  a: 1\n", ":", "not a section"},
      {"other:\n  a:\n    b: 1\n", ":3:5: ", "nested too deep"},
      {"- a\n- b\n", ":1:1: ", "key: value"},
      {"just words\n", ":1:1: ", "key: value"},
      {"seed: 1\n---\nseed: 2\n", ":", "more than one document"},
      {"? [a, b]\n: 1\n", ":1:", "a key is a single word"},
      {"seed: [1, 2\n", ":", "not YAML"},
      {"sampler:\n\tsteps: 5\n", ":2:", "not YAML"},
      {"policy: \"a\\0b\"\n", ":1:", "zero byte"},
      {"policy: 0123456789012345678901234567890123456789012345678901234567890123456789\n",
       ":1:9: ", "policy: '0123456789"},
  };
  dpc_error error = {""};
  assert_ok(read_text("sampler:\n  steps: 77\n", &error), &error);
  for (int i = 0; i < DPC_COUNT(mistakes); ++i) {
    assert_fails(read_text(mistakes[i].text, &error), DPC_ERR_CONFIG, &error, mistakes[i].words);
    assert_memory_equal(error.text, path, strlen(path));
    if (strncmp(error.text + strlen(path), mistakes[i].place, strlen(mistakes[i].place)) != 0) {
      fail_msg("case %d: '%s' is not at '%s'", i, error.text, mistakes[i].place);
    }
    assert_int_equal(sampler.steps, 77);  // a failure changes nothing
  }
}

static void test_deep_nesting_is_refused_quickly(void** state) {
  (void)state;
  enum { DEPTH = 100000 };
  static char text[3 * DEPTH + 16];
  dpc_error error = {""};
  memset(text, '[', DEPTH);
  assert_int_equal(read_text(text, &error), DPC_ERR_CONFIG);
  for (int k = 0; k < DEPTH; ++k) text[k] = k < 9 ? "sampler: "[k] : '{';
  assert_int_equal(read_text(text, &error), DPC_ERR_CONFIG);
  for (int k = 0; k < 3 * DEPTH; ++k) text[k] = "a: "[k % 3];
  assert_int_equal(read_text(text, &error), DPC_ERR_CONFIG);
}

static void test_wrong_overrides_are_named(void** state) {
  (void)state;
  static const struct {
    const char* text;
    const char* words;
  } mistakes[] = {
      {"sampler.stesp=5", "argument 'sampler.stesp=5': unknown key of 'sampler': 'stesp', did you"},
      {"smapler.steps=5", "did you mean 'sampler'"},
      {"steps=5", "unknown key 'steps'"},
      {"sampler.steps=0", "an integer in [1, 1000]"},
      {"sampler.steps=", "an integer in [1, 1000]"},
      {"sampler.steps", "not of the form"},
      {"=5", "not of the form"},
      {"sampler.=5", "not of the form"},
      {".seed=x", "argument '.seed=x': seed: 'x' is not allowed"},
      {"sampler.eta=nan", "a number in [0, 1]"},
      {"sampler.a.b=1", "unknown key of 'sampler': 'a.b'"},
      {"sampler.dims=[1, 2", "integers in"},
  };
  for (int i = 0; i < DPC_COUNT(mistakes); ++i) {
    dpc_error error = {""};
    assert_fails(read_override(mistakes[i].text, &error), DPC_ERR_CONFIG, &error,
                 mistakes[i].words);
    assert_memory_equal(error.text, "argument '", 10);
  }
}

static void test_kept_defaults_stay_unless_overridden(void** state) {
  (void)state;
  dpc_error error = {""};
  sampler_def kept;
  dpc_fields_default(&sampler_table, &kept);
  kept.steps = 4;
  kept.eta = 0.5;
  const dpc_config_section keep = {.table = &sampler_table, .def = &kept, .keep = true};
  const char* override = "sampler.eta=0.25";
  assert_ok(dpc_config_read(NULL, &override, 1, &keep, 1, &error), &error);
  assert_int_equal(kept.steps, 4);
  assert_true(kept.eta == 0.25);
}

static void test_saved_settings_read_back_to_the_same_bits(void** state) {
  (void)state;
  dpc_error error = {""};
  static const char* const overrides[] = {"sampler.eta=0.1234567890123456789",
                                          "sampler.obs=[a[0:2] as b, c\"d, e'f]",
                                          "policy=say \"x\\y\"\t# no", "seed=18446744073709551615"};
  assert_ok(dpc_config_read(NULL, overrides, DPC_COUNT(overrides), sections, 2, &error), &error);
  const top_def top_before = top;
  const sampler_def sampler_before = sampler;
  assert_ok(dpc_config_save(path, "written by a test", sections, 2, &error), &error);
  memset(&top, 0xff, sizeof top);
  memset(&sampler, 0xff, sizeof sampler);
  assert_ok(dpc_config_read(path, NULL, 0, sections, 2, &error), &error);
  assert_same_settings(&top_table, &top, &top_before);
  assert_same_settings(&sampler_table, &sampler, &sampler_before);
}

static void test_reference_is_a_file_of_all_defaults(void** state) {
  (void)state;
  dpc_error error = {""};
  char* text = NULL;
  size_t size = 0;
  FILE* out = open_memstream(&text, &size);
  dpc_config_print_reference(out, sections, DPC_COUNT(sections));
  assert_int_equal(fclose(out), 0);
  assert_non_null(strstr(text, "# denoising steps; an integer in [1, 1000]\n  steps: 10\n"));
  assert_ok(read_text(text, &error), &error);
  free(text);
  sampler_def defaults;
  dpc_fields_default(&sampler_table, &defaults);
  assert_same_settings(&sampler_table, &sampler, &defaults);
  assert_int_equal(top.seed, 42);
}

static void test_files_that_cannot_be_read(void** state) {
  (void)state;
  dpc_error error = {""};
  assert_fails(dpc_config_read("/nonexistent/a.yaml", NULL, 0, sections, 2, &error),
               DPC_ERR_NOT_FOUND, &error, "/nonexistent/a.yaml");
  assert_fails(dpc_config_read("/tmp", NULL, 0, sections, 2, &error), DPC_ERR_IO, &error, "/tmp");
  assert_ok(dpc_file_save(path, "seed\0: 1", 8, &error), &error);
  assert_fails(dpc_config_read(path, NULL, 0, sections, 2, &error), DPC_ERR_CONFIG, &error,
               "not a text file");
}

// Whatever bytes a file holds, reading it returns and changes nothing unless it succeeds.
static void test_any_bytes_are_read_or_refused(void** state) {
  (void)state;
  static const char seed_text[] =
      "seed: 1\npolicy: \"a\"\nsampler:\n  dims: [1, 2]\n  obs: [a[0:2] as b]\n  eta: 1e-4\n";
  static const char bytes[] = ":-[]{}\"'#&*!|>%@`\n \t,?~a1\x80\xff";
  uint32_t random = 1;
  for (int i = 0; i < 3000; ++i) {
    char text[sizeof seed_text];
    memcpy(text, seed_text, sizeof text);
    for (int k = 0; k < 1 + i % 4; ++k) {
      random = random * 1664525u + 1013904223u;
      text[(random >> 8) % (sizeof text - 1)] = bytes[(random >> 24) % (sizeof bytes - 1)];
    }
    dpc_error error = {""};
    FILE* file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fputs(text, file) >= 0 && fclose(file) == 0, 1);
    const dpc_status status = dpc_config_read(path, NULL, 0, sections, 2, &error);
    if (status != DPC_OK) assert_true(status == DPC_ERR_CONFIG && error.text[0] == '/');
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_defaults_file_overrides_in_that_order),
      cmocka_unit_test(test_ways_to_write_the_same),
      cmocka_unit_test(test_nothing_said_is_all_defaults),
      cmocka_unit_test(test_brackets_in_a_list_element_need_no_quotes),
      cmocka_unit_test(test_mistakes_are_named_with_their_place),
      cmocka_unit_test(test_deep_nesting_is_refused_quickly),
      cmocka_unit_test(test_wrong_overrides_are_named),
      cmocka_unit_test(test_kept_defaults_stay_unless_overridden),
      cmocka_unit_test(test_saved_settings_read_back_to_the_same_bits),
      cmocka_unit_test(test_reference_is_a_file_of_all_defaults),
      cmocka_unit_test(test_files_that_cannot_be_read),
      cmocka_unit_test(test_any_bytes_are_read_or_refused),
  };
  return cmocka_run_group_tests(tests, make_file, remove_file);
}
