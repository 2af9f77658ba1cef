#include "policy/checkpoint.h"

#include <stdio.h>
#include <unistd.h>

#include "tests/test.h"

static char folder[] = "/tmp/dpc_checkpoint_XXXXXX";
static char path[64];
static dpc_arena arena;  // what the tests load into
static dpc_arena kept;   // the policy below
static dpc_checkpoint_info info;
static dpc_unet* unet;
static float* params;

static const float obs_scale[5] = {0.5f, 2.0f, 1.0f / 3.0f, 1e-3f, 77.7f};
static const float obs_offset[5] = {0.0f, -1.0f, 0.1f, 1e6f, -0.25f};
static const float action_scale[2] = {1.0f / 256.0f, 1.0f / 256.0f};
static const float action_offset[2] = {-1.0f, -1.0f};

static void make_policy(void) {
  dpc_error error = {""};
  info =
      (dpc_checkpoint_info){.policy = dpc_policy_def_default(),
                            .unet = dpc_unet_def_default(),
                            .schedule = dpc_schedule_def_default(),
                            .sampler = dpc_sampler_def_default(),
                            .interface.period_ns = 100000000,
                            .obs_normalizer = {5, (float*)obs_scale, (float*)obs_offset},
                            .action_normalizer = {2, (float*)action_scale, (float*)action_offset}};
  dpc_layout_add(&info.interface.obs, "keypoint", 3, "", NULL);
  dpc_layout_add(&info.interface.obs, "agent_pos", 2, "px", NULL);
  dpc_layout_add(&info.interface.action, "action", 2, "px", "agent_pos");
  info.unet.input_dim = 2;
  info.unet.global_cond_dim = 10;
  info.unet.horizon = 8;
  info.unet.down_dims = (dpc_int_list){2, {16, 32}};
  info.unet.kernel_size = 3;
  info.unet.group_count = 4;
  info.unet.step_embed_dim = 16;
  info.policy.n_actions = 4;
  memset(info.dataset_sha256, 'a', 64);
  assert_ok(dpc_unet_create(&info.unet, &kept, &unet, &error), &error);
  params = DPC_TAKE(&kept, float, dpc_unet_param_count(unet));
  dpc_unet_init(unet, (dpc_rng_key){1, 2}, params);
}

static const dpc_metadata_entry notes[] = {{"train.steps", "12000"}, {"train.loss", "0.01"}};

static void save(bool bf16) {
  dpc_error error = {""};
  assert_ok(dpc_checkpoint_save(path, &info, unet, params, bf16, notes, DPC_COUNT(notes), &error),
            &error);
}

// --- saved and loaded -----------------------------------------------------------------------------

static void assert_same_normalizer(const dpc_normalizer* a, const dpc_normalizer* b) {
  assert_int_equal(a->dim, b->dim);
  assert_memory_equal(a->scale, b->scale, sizeof(float) * (size_t)a->dim);
  assert_memory_equal(a->offset, b->offset, sizeof(float) * (size_t)a->dim);
}

static void test_what_is_saved_is_loaded_bit_for_bit(void** state) {
  (void)state;
  dpc_error error = {""};
  dpc_checkpoint_info read;
  dpc_unet* read_unet;
  float* read_params;
  info.sampler.eta = 0.1;
  info.schedule.beta_start = 1.0 / 3e4;
  save(false);
  const size_t mark = dpc_arena_mark(&arena);
  assert_ok(dpc_checkpoint_load(path, &arena, &read, &read_unet, &read_params, &error), &error);
  assert_memory_equal(&read.policy, &info.policy, sizeof info.policy);
  assert_memory_equal(&read.unet, &info.unet, sizeof info.unet);
  assert_true(read.sampler.eta == 0.1 && read.sampler.steps == 10);
  assert_true(read.schedule.beta_start == info.schedule.beta_start);
  assert_memory_equal(&read.interface, &info.interface, sizeof info.interface);
  assert_string_equal(read.dataset_sha256, info.dataset_sha256);
  assert_same_normalizer(&read.obs_normalizer, &info.obs_normalizer);
  assert_same_normalizer(&read.action_normalizer, &info.action_normalizer);
  assert_int_equal(dpc_unet_param_count(read_unet), dpc_unet_param_count(unet));
  assert_memory_equal(read_params, params, sizeof(float) * dpc_unet_param_count(unet));
  dpc_arena_release(&arena, mark);
}

// Older programs know version 1 and would command the differences, so they must refuse.
static void test_relative_actions_are_recorded(void** state) {
  (void)state;
  for (int relative = 0; relative < 2; ++relative) {
    dpc_error error = {""};
    dpc_checkpoint_info read;
    dpc_unet* read_unet;
    float* read_params;
    dpc_safetensors* file = NULL;
    const size_t mark = dpc_arena_mark(&arena);
    info.relative = (dpc_relative){0};
    if (relative) assert_ok(dpc_relative_add(&info.relative, &info.interface, 0, &error), &error);
    save(false);
    assert_ok(dpc_checkpoint_load(path, &arena, &read, &read_unet, &read_params, &error), &error);
    assert_memory_equal(&read.relative, &info.relative, sizeof info.relative);
    assert_ok(dpc_safetensors_open(path, &file, &error), &error);
    assert_string_equal(dpc_safetensors_metadata(file, "dpc_format"), relative ? "2" : "1");
    dpc_safetensors_close(file);
    dpc_arena_release(&arena, mark);
  }
  assert_int_equal(info.relative.parts[0].obs, 3);  // agent_pos, behind the key points
  info.relative = (dpc_relative){0};
}

static void test_bfloat16_is_half_the_size_and_close(void** state) {
  (void)state;
  dpc_error error = {""};
  dpc_checkpoint_info read;
  dpc_unet* read_unet;
  float* read_params;
  const size_t mark = dpc_arena_mark(&arena);
  save(true);
  assert_ok(dpc_checkpoint_load(path, &arena, &read, &read_unet, &read_params, &error), &error);
  for (size_t i = 0; i < dpc_unet_param_count(unet); ++i) {
    assert_near(read_params[i], params[i], fabs((double)params[i]) / 256.0);
  }
  dpc_safetensors* file = NULL;
  assert_ok(dpc_safetensors_open(path, &file, &error), &error);
  for (int i = 0; i < dpc_safetensors_count(file); ++i) {
    assert_int_equal(dpc_safetensors_at(file, i)->dtype, DPC_DTYPE_BF16);
  }
  assert_string_equal(dpc_safetensors_metadata(file, "train.steps"), "12000");
  assert_string_equal(dpc_safetensors_metadata(file, "format"), "pt");
  dpc_safetensors_close(file);
  dpc_arena_release(&arena, mark);
}

// --- refused --------------------------------------------------------------------------------------

// Loading must fail with these words, and leave outputs and arena as they were.
static void assert_refused(const char* words) {
  dpc_error error = {""};
  dpc_checkpoint_info read = {.policy.n_obs = -7};
  dpc_unet* read_unet = NULL;
  float* read_params = NULL;
  const size_t mark = dpc_arena_mark(&arena);
  const dpc_status status =
      dpc_checkpoint_load(path, &arena, &read, &read_unet, &read_params, &error);
  assert_true(status == DPC_ERR_FORMAT || status == DPC_ERR_NOT_FOUND || status == DPC_ERR_INVALID);
  if (strstr(error.text, words) == NULL || strstr(error.text, path) == NULL) {
    fail_msg("'%s' does not name the file and say '%s'", error.text, words);
  }
  assert_int_equal(read.policy.n_obs, -7);
  assert_null(read_unet);
  assert_null(read_params);
  assert_int_equal(dpc_arena_mark(&arena), mark);
}

enum { MOST = 512 };

typedef struct contents {
  dpc_safetensors* file;
  int metadata_count, tensor_count;
  dpc_metadata_entry metadata[MOST];
  dpc_tensor_source tensors[MOST];
} contents;

// The good checkpoint's entries, to be changed and saved again.
static contents* open_contents(void) {
  static contents c;
  dpc_error error = {""};
  save(false);
  c = (contents){0};
  assert_ok(dpc_safetensors_open(path, &c.file, &error), &error);
  for (int i = 0; i < dpc_safetensors_metadata_count(c.file); ++i) {
    const dpc_metadata_entry entry = dpc_safetensors_metadata_at(c.file, i);
    if (strcmp(entry.key, DPC_SAFETENSORS_SHA256) != 0) c.metadata[c.metadata_count++] = entry;
  }
  for (int i = 0; i < dpc_safetensors_count(c.file); ++i) {
    const dpc_tensor_view* view = dpc_safetensors_at(c.file, i);
    dpc_tensor_source* source = &c.tensors[c.tensor_count++];
    *source = (dpc_tensor_source){view->name, view->dtype, view->rank, {0}, view->data};
    memcpy(source->shape, view->shape, sizeof source->shape);
  }
  return &c;
}

static void save_contents(contents* c) {
  dpc_error error = {""};
  assert_ok(dpc_safetensors_save(path, c->metadata, c->metadata_count, c->tensors, c->tensor_count,
                                 &error),
            &error);
  dpc_safetensors_close(c->file);
}

static void set_entry(contents* c, const char* key, const char* value) {
  for (int i = 0; i < c->metadata_count; ++i) {
    if (strcmp(c->metadata[i].key, key) != 0) continue;
    c->metadata[i].value = value;
    if (value == NULL) c->metadata[i] = c->metadata[--c->metadata_count];
    return;
  }
  c->metadata[c->metadata_count++] = (dpc_metadata_entry){key, value};
}

static const struct {
  const char* key;
  const char* value;  // NULL: taken away
  const char* words;
} wrong_entries[] = {
    {"dpc_format", NULL, "not a dpc checkpoint"},
    {"dpc_format", "3", "dpc_format 3 is not known"},
    {"dpc_format", "one", "dpc_format"},
    {"dataset_sha256", NULL, "dataset_sha256: missing"},
    {"dataset_sha256", "abc", "64 hexadecimal digits"},
    {"policy.n_obs", NULL, "policy.n_obs: missing"},
    {"policy.n_obs", "0", "policy.n_obs: '0' is not allowed"},
    {"policy.n_obs", "nan", "policy.n_obs"},
    {"policy.n_actions", "8", "policy.n_actions: 8 is more than"},
    {"policy.colour", "red", "policy.colour: unknown setting"},
    {"unet.horizon", "10000000", "unet.horizon"},
    {"unet.horizon", "7", "horizon"},
    {"unet.down_dims", "[16, 32, 64]", "has shape"},
    {"unet.down_dims", "[]", "down_dims"},
    {"unet.down_dims", "[16, 64]", "has shape"},
    {"unet.kernel_size", "5", "has shape"},
    {"schedule.steps", "5", "sampler.steps: 10 is more than schedule.steps, 5"},
    {"schedule.kind", "cubic", "schedule.kind: 'cubic' is not allowed"},
    {"sampler.eta", "1e99", "sampler.eta"},
    {"sampler.steps", NULL, "sampler.steps: missing"},
    {"interface.period_ns", "0", "interface.period_ns"},
    {"interface.period_ns", "99999999999999999999", "interface.period_ns"},
    {"interface.obs", NULL, "interface.obs: missing"},
    {"interface.obs", "[", "interface.obs"},
    {"interface.obs", "{}", "must be a JSON array"},
    {"interface.obs", "[]", "0 signals"},
    {"interface.obs", "[{\"name\":\"a\"}]", "signal 0 must have"},
    {"interface.obs", "[{\"name\":\"a\",\"dim\":0,\"unit\":\"\",\"tracks\":\"\"}]", "dim 0"},
    {"interface.action", "[{\"name\":\"a\",\"dim\":2,\"unit\":\"\",\"tracks\":\"b\"}]",
     "which is not observed"},
    {"interface.action", "[{\"name\":\"a\",\"dim\":3,\"unit\":\"\",\"tracks\":\"\"}]",
     "normalizer.action.scale: 2 numbers, expected 3"},
    {"interface.action.relative", "[1, 0]", "interface.action.relative: 2 numbers, expected 1"},
    {"interface.action.relative", "[true]", "interface.action.relative: element 0"},
    {"normalizer.obs.scale", NULL, "normalizer.obs.scale: missing"},
    {"normalizer.obs.scale", "[1, 2, 3, 4]", "4 numbers, expected 5"},
    {"normalizer.obs.scale", "[1, 2, 0, 4, 5]", "normalizer.obs: dimension 2"},
    {"normalizer.obs.scale", "[1, 2, \"3\", 4, 5]", "element 2 is not a finite number"},
    {"normalizer.obs.scale", "[1, 2, NaN, 4, 5]", "normalizer.obs.scale"},
    {"normalizer.action.offset", "[1, 1e39]", "element 1 is not a finite number"},
    {"train.prefix_max", "8", "train.prefix_max: 8 is not in [0, 7]"},
    {"train.prefix_max", "-1", "train.prefix_max"},
    {"train.prefix_max", "2", "has shape"},  // these weights know no mask
};

// A file from before a setting was means the setting's default; a bad one is refused all the same.
static void test_a_later_setting_may_be_missing(void** state) {
  (void)state;
  dpc_error error = {""};
  contents* c = open_contents();
  set_entry(c, "sampler.temperature", NULL);
  save_contents(c);
  const size_t mark = dpc_arena_mark(&arena);
  dpc_checkpoint_info read;
  dpc_unet* read_unet = NULL;
  float* read_params = NULL;
  assert_ok(dpc_checkpoint_load(path, &arena, &read, &read_unet, &read_params, &error), &error);
  assert_true(read.sampler.temperature == 1.0);
  dpc_arena_release(&arena, mark);
  c = open_contents();
  set_entry(c, "sampler.temperature", "-1");
  save_contents(c);
  assert_refused("sampler.temperature: '-1' is not allowed");
}

static void test_wrong_entries_are_refused_by_name(void** state) {
  (void)state;
  for (int i = 0; i < DPC_COUNT(wrong_entries); ++i) {
    contents* c = open_contents();
    set_entry(c, wrong_entries[i].key, wrong_entries[i].value);
    save_contents(c);
    assert_refused(wrong_entries[i].words);
  }
}

static void test_each_tensor_is_needed(void** state) {
  (void)state;
  for (int i = 0; i < dpc_unet_tensor_count(unet); ++i) {
    contents* c = open_contents();
    char words[160];
    snprintf(words, sizeof words, "tensor '%s' is missing", c->tensors[i].name);
    c->tensors[i] = c->tensors[--c->tensor_count];
    save_contents(c);
    assert_refused(words);
  }
}

static void test_wrong_tensors_are_refused_by_name(void** state) {
  (void)state;
  static const double bad[64 * 64 * 5] = {[3] = NAN};
  const float none = 0.0f;
  char words[160];
  contents* c = open_contents();
  c->tensors[c->tensor_count++] = (dpc_tensor_source){"extra", DPC_DTYPE_F32, 0, {0}, &none};
  save_contents(c);
  assert_refused("tensor 'extra' is not part of this network");

  c = open_contents();
  c->tensors[4].dtype = DPC_DTYPE_F64;
  c->tensors[4].data = bad;
  snprintf(words, sizeof words, "tensor '%s': element 3 is not finite", c->tensors[4].name);
  save_contents(c);
  assert_refused(words);

  c = open_contents();
  c->tensors[5].dtype = DPC_DTYPE_I32;
  snprintf(words, sizeof words, "tensor '%s' has dtype I32", c->tensors[5].name);
  save_contents(c);
  assert_refused(words);
}

static void rewrite(const unsigned char* bytes, size_t size) {
  FILE* file = fopen(path, "wb");
  assert_non_null(file);
  assert_int_equal(fwrite(bytes, 1, size, file), size);
  fclose(file);
}

static void test_truncated_and_flipped_files_are_refused(void** state) {
  (void)state;
  enum { LARGEST = 1 << 20, PLACES = 100 };
  static unsigned char bytes[LARGEST];
  save(true);
  FILE* file = fopen(path, "rb");
  assert_non_null(file);
  const size_t size = fread(bytes, 1, LARGEST, file);
  fclose(file);
  assert_in_range(size, 10000, LARGEST - 1);
  const size_t data = 8 + bytes[0] + 256u * bytes[1];
  for (uint32_t i = 0; i < PLACES; ++i) {
    rewrite(bytes, size * i / PLACES);
    assert_refused("");
    const uint32_t place =
        dpc_rng_below((dpc_rng_key){3, 3}, DPC_STREAM_TEST, 0, 0, i, (uint32_t)(size - data));
    bytes[data + place] ^= (unsigned char)(1u << i % 8);
    rewrite(bytes, size);
    assert_refused("damaged");
    bytes[data + place] ^= (unsigned char)(1u << i % 8);
  }
}

static void test_an_arena_that_is_too_small_says_so(void** state) {
  (void)state;
  dpc_error error = {""};
  dpc_checkpoint_info read;
  dpc_unet* read_unet = NULL;
  float* read_params = NULL;
  dpc_arena small;
  save(false);
  for (size_t size = 64; size < 100000; size *= 4) {
    assert_ok(dpc_arena_map(&small, size, &error), &error);
    assert_fails(dpc_checkpoint_load(path, &small, &read, &read_unet, &read_params, &error),
                 DPC_ERR_NO_MEMORY, &error, "does not fit");
    assert_int_equal(dpc_arena_mark(&small), 0);
    dpc_arena_unmap(&small);
  }
}

static void test_what_does_not_fit_together_is_not_saved(void** state) {
  (void)state;
  dpc_error error = {""};
  const dpc_metadata_entry note = {"sampler.mood", "good"};
  const dpc_checkpoint_info good = info;
  unlink(path);
  info.unet.global_cond_dim = 11;
  assert_fails(dpc_checkpoint_save(path, &info, unet, params, false, NULL, 0, &error),
               DPC_ERR_INVALID, &error, "conditioned on 11 values");
  info = good;
  info.action_normalizer.dim = 1;
  assert_fails(dpc_checkpoint_save(path, &info, unet, params, false, NULL, 0, &error),
               DPC_ERR_INVALID, &error, "normalizers have dims 5 and 1");
  info = good;
  assert_fails(dpc_checkpoint_save(path, &info, unet, params, false, &note, 1, &error),
               DPC_ERR_INVALID, &error, "'sampler.mood' is named like a setting");
  assert_int_equal(access(path, F_OK), -1);
}

static void test_a_network_of_others_is_no_checkpoint(void** state) {
  (void)state;
  static const char fixture[] = DPC_SHARED_DIR "/fixtures/unet_tiny.weights.safetensors";
  if (access(fixture, R_OK) != 0) {
    print_message("skipped: no %s\n", fixture);
    skip();
  }
  dpc_error error = {""};
  dpc_checkpoint_info read;
  dpc_unet* read_unet;
  float* read_params;
  assert_fails(dpc_checkpoint_load(fixture, &arena, &read, &read_unet, &read_params, &error),
               DPC_ERR_FORMAT, &error, "not a dpc checkpoint");
}

static void test_python_reads_a_checkpoint(void** state) {
  (void)state;
  if (system("/usr/bin/python3 -c 'import numpy' 2>/dev/null") != 0) {
    print_message("skipped: no python3-numpy\n");
    skip();
  }
  char command[256], line[512];
  int tensors = 0, found = 0;
  save(true);
  snprintf(command, sizeof command,
           "/usr/bin/python3 " DPC_SOURCE_DIR "/tools/reference/read_checkpoint.py %s", path);
  FILE* pipe = popen(command, "r");
  assert_non_null(pipe);
  while (fgets(line, sizeof line, pipe) != NULL) {
    tensors += strstr(line, ": BF16 ") != NULL;
    found += strcmp(line, "unet.down_dims: [16, 32]\n") == 0;
    found += strcmp(line, "normalizer.action.scale: [0.00390625, 0.00390625]\n") == 0;
    found += strncmp(line, "interface.obs: [{\"name\": \"keypoint\", \"dim\": 3", 42) == 0;
  }
  assert_int_equal(pclose(pipe), 0);
  assert_int_equal(tensors, dpc_unet_tensor_count(unet));
  assert_int_equal(found, 3);
}

static int setup(void** state) {
  (void)state;
  if (mkdtemp(folder) == NULL) return -1;
  snprintf(path, sizeof path, "%s/policy.safetensors", folder);
  if (dpc_arena_map(&arena, 64 << 20, NULL) != DPC_OK) return -1;
  if (dpc_arena_map(&kept, 64 << 20, NULL) != DPC_OK) return -1;
  make_policy();
  return 0;
}

static int teardown(void** state) {
  (void)state;
  dpc_arena_unmap(&arena);
  dpc_arena_unmap(&kept);
  unlink(path);
  return rmdir(folder);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_what_is_saved_is_loaded_bit_for_bit),
      cmocka_unit_test(test_relative_actions_are_recorded),
      cmocka_unit_test(test_bfloat16_is_half_the_size_and_close),
      cmocka_unit_test(test_a_later_setting_may_be_missing),
      cmocka_unit_test(test_wrong_entries_are_refused_by_name),
      cmocka_unit_test(test_each_tensor_is_needed),
      cmocka_unit_test(test_wrong_tensors_are_refused_by_name),
      cmocka_unit_test(test_truncated_and_flipped_files_are_refused),
      cmocka_unit_test(test_an_arena_that_is_too_small_says_so),
      cmocka_unit_test(test_what_does_not_fit_together_is_not_saved),
      cmocka_unit_test(test_a_network_of_others_is_no_checkpoint),
      cmocka_unit_test(test_python_reads_a_checkpoint),
  };
  return cmocka_run_group_tests(tests, setup, teardown);
}
