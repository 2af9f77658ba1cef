// dpc-export: the model holds the checkpoint's weights and a sound graph, and ONNX Runtime computes
// with it what the plain network computes (skipped where that is not installed).

#include "tests/test.h"

#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <onnx.pb-c.h>

#include "policy/gemm.h"
#include "tests/small_policy.h"
#include "tools/export_onnx.h"
#include "tools/file.h"
#include "tools/json.h"

enum { PATH_SIZE = 256, COMMAND_SIZE = 2048, BATCH_MAX = 5, MODEL_MAX = 64 << 20 };

static char base[] = "/tmp/dpc-test-export-XXXXXX";
static dpc_arena arena;
static dpc_error error;

static const char* in_base(const char* name) {
  static char path[4][PATH_SIZE];
  static int turn = 0;
  turn = (turn + 1) % 4;
  (void)snprintf(path[turn], PATH_SIZE, "%s/%s", base, name);
  return path[turn];
}

static int run(const char* command) {
  const int status = system(command);  // NOLINT(cert-env33-c): a command of our own
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

// --- the file ------------------------------------------------------------------------------------

static Onnx__ModelProto* read_model(const char* path) {
  char* data = NULL;
  size_t size = 0;
  assert_ok(dpc_file_read(path, MODEL_MAX, &data, &size, &error), &error);
  Onnx__ModelProto* model = onnx__model_proto__unpack(NULL, size, (const uint8_t*)data);
  free(data);
  assert_non_null(model);
  return model;
}

static const Onnx__TensorProto* find_tensor(const Onnx__GraphProto* graph, const char* name) {
  for (size_t i = 0; i < graph->n_initializer; ++i) {
    if (strcmp(graph->initializer[i]->name, name) == 0) return graph->initializer[i];
  }
  return NULL;
}

/// The reference's shape without axes of size 1, and its values to the bit.
static void check_tensor(const Onnx__TensorProto* tensor, const dpc_unet_tensor* expected,
                         const float* values) {
  assert_int_equal(tensor->data_type, ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT);
  int at = 0;
  for (size_t i = 0; i < tensor->n_dims; ++i) {
    while (at < expected->rank && expected->shape[at] == 1) ++at;
    if (tensor->dims[i] == 1) continue;
    assert_true(at < expected->rank);
    assert_int_equal(tensor->dims[i], expected->shape[at++]);
  }
  assert_int_equal(tensor->raw_data.len, expected->count * sizeof(float));
  assert_memory_equal(tensor->raw_data.data, values, tensor->raw_data.len);
}

static void check_weights(const Onnx__GraphProto* graph, const dpc_unet* unet,
                          const float* params) {
  for (int i = 0; i < dpc_unet_tensor_count(unet); ++i) {
    const dpc_unet_tensor* expected = dpc_unet_tensor_at(unet, i);
    const Onnx__TensorProto* tensor = find_tensor(graph, expected->name);
    if (tensor == NULL) fail_msg("no initialiser '%s'", expected->name);
    float* values = malloc(sizeof(float) * expected->count);
    dpc_unet_tensor_export(unet, i, params, values);
    check_tensor(tensor, expected, values);
    free(values);
  }
}

static void check_value(const Onnx__ValueInfoProto* value, const char* name, int rank,
                        const int64_t* shape) {
  assert_string_equal(value->name, name);
  assert_int_equal(value->type->tensor_type->elem_type, ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT);
  const Onnx__TensorShapeProto* dims = value->type->tensor_type->shape;
  assert_int_equal(dims->n_dim, rank);
  assert_string_equal(dims->dim[0]->dim_param, "batch");
  for (int i = 1; i < rank; ++i) assert_int_equal(dims->dim[i]->dim_value, shape[i]);
}

/// Is this value there before node `end`?
static bool is_known(const Onnx__GraphProto* graph, const char* name, size_t end) {
  for (size_t i = 0; i < graph->n_input; ++i) {
    if (strcmp(graph->input[i]->name, name) == 0) return true;
  }
  for (size_t i = 0; i < end; ++i) {
    for (size_t j = 0; j < graph->node[i]->n_output; ++j) {
      if (strcmp(graph->node[i]->output[j], name) == 0) return true;
    }
  }
  return find_tensor(graph, name) != NULL;
}

/// Every node reads what is there, and names something new; every initialiser is read.
static void check_order(const Onnx__GraphProto* graph) {
  for (size_t i = 0; i < graph->n_node; ++i) {
    const Onnx__NodeProto* node = graph->node[i];
    for (size_t j = 0; j < node->n_input; ++j) {
      if (!is_known(graph, node->input[j], i)) {
        fail_msg("%s reads '%s', which is not there", node->name, node->input[j]);
      }
    }
    for (size_t j = 0; j < node->n_output; ++j) {
      assert_false(is_known(graph, node->output[j], i));
    }
  }
  for (size_t i = 0; i < graph->n_initializer; ++i) {
    bool used = false;
    for (size_t n = 0; !used && n < graph->n_node; ++n) {
      for (size_t j = 0; j < graph->node[n]->n_input; ++j) {
        used |= strcmp(graph->node[n]->input[j], graph->initializer[i]->name) == 0;
      }
    }
    if (!used) fail_msg("'%s' is not read", graph->initializer[i]->name);
  }
}

static const char* find_metadata(const Onnx__ModelProto* model, const char* key) {
  for (size_t i = 0; i < model->n_metadata_props; ++i) {
    if (strcmp(model->metadata_props[i]->key, key) == 0) return model->metadata_props[i]->value;
  }
  return NULL;
}

static void check_metadata(const Onnx__ModelProto* model) {
  static const char* const keys[] = {"normalizer.obs.scale", "normalizer.action.offset",
                                     "interface.obs",        "interface.action",
                                     "interface.period_ns",  "schedule.steps",
                                     "sampler.kind",         "policy.n_obs",
                                     "unet.horizon",         "dpc_version"};
  dpc_safetensors* file = NULL;
  assert_ok(dpc_safetensors_open(in_base("small.safetensors"), &file, &error), &error);
  for (int i = 0; i < DPC_COUNT(keys); ++i) {
    const char* value = find_metadata(model, keys[i]);
    if (value == NULL) fail_msg("no metadata '%s'", keys[i]);
    assert_string_equal(value, dpc_safetensors_metadata(file, keys[i]));
  }
  dpc_safetensors_close(file);
}

static void check_ends(const Onnx__GraphProto* graph) {
  const int64_t chunk[] = {0, SMALL_HORIZON, SMALL_ACTION};
  const int64_t cond[] = {0, (int64_t)SMALL_N_OBS * SMALL_OBS};
  assert_int_equal(graph->n_input, 3);
  check_value(graph->input[0], "sample", 3, chunk);
  check_value(graph->input[1], "timestep", 1, NULL);
  check_value(graph->input[2], "cond", 2, cond);
  assert_int_equal(graph->n_output, 1);
  check_value(graph->output[0], "prediction", 3, chunk);
}

static void check_report(void) {
  dpc_json* report = NULL;
  int64_t bytes = 0;
  struct stat written;
  assert_ok(dpc_json_read(in_base("report.json"), &report, &error), &error);
  assert_true(dpc_json_as_int(dpc_json_get(report, "bytes"), &bytes));
  assert_int_equal(stat(in_base("small.onnx"), &written), 0);
  assert_int_equal(bytes, written.st_size);
  dpc_json_free(report);
}

static void holds_what_the_checkpoint_holds(void** state) {
  (void)state;
  const size_t mark = dpc_arena_mark(&arena);
  assert_ok(small_policy_save(in_base("small.safetensors"), &arena, &error), &error);
  dpc_checkpoint_info info;
  dpc_unet* unet = NULL;
  float* params = NULL;
  assert_ok(
      dpc_checkpoint_load(in_base("small.safetensors"), &arena, &info, &unet, &params, &error),
      &error);
  for (int form = 0; dpc_onnx_form_names[form] != NULL; ++form) {
    char command[COMMAND_SIZE];
    (void)snprintf(command, sizeof command,
                   "cd %s && %s/dpc-export small.safetensors --form %s --onnx small.onnx "
                   "--json report.json >/dev/null",
                   base, DPC_BINARY_DIR, dpc_onnx_form_names[form]);
    assert_int_equal(run(command), 0);
    Onnx__ModelProto* model = read_model(in_base("small.onnx"));
    assert_int_equal(model->opset_import[0]->version, DPC_ONNX_OPSET);
    check_weights(model->graph, unet, params);
    check_order(model->graph);
    check_ends(model->graph);
    check_metadata(model);
    check_report();
    onnx__model_proto__free_unpacked(model, NULL);
  }
  dpc_arena_release(&arena, mark);
}

// --- what it computes ----------------------------------------------------------------------------

static void push_floats(dpc_json* object, const char* key, int count, const float* values) {
  dpc_json* list = dpc_json_set(object, key, dpc_json_array());
  for (int i = 0; i < count; ++i) dpc_json_push_real(list, (double)values[i]);
}

/// Inputs of `batch` samples, and what the plain network makes of them.
static void add_case(dpc_json* cases, const dpc_unet* unet, const float* params, int batch,
                     uint32_t number, float* expected) {
  const dpc_unet_def* def = dpc_unet_settings(unet);
  const int chunk = batch * def->horizon * dpc_unet_row(def), given = batch * def->global_cond_dim;
  const dpc_rng_key key = {number, 0};
  float *sample = DPC_TAKE(&arena, float, chunk), *cond = DPC_TAKE(&arena, float, given);
  float timestep[BATCH_MAX], step_size[BATCH_MAX];
  dpc_rng_normal(key, DPC_STREAM_TEST, 0, 0, chunk, sample);
  dpc_rng_normal(key, DPC_STREAM_TEST, 1, 0, given, cond);
  for (int i = 0; i < batch; ++i) timestep[i] = (float)((number * 31 + (uint32_t)i * 17) % 100);
  for (int i = 0; i < batch; ++i) step_size[i] = 100.0f / (float)(1 << (((int)number + i) % 5));
  dpc_unet_work* work = NULL;
  assert_ok(dpc_unet_work_create(unet, batch, false, &arena, &work, &error), &error);
  dpc_unet_forward(unet, params, work, batch, sample, timestep, step_size, cond, expected);

  dpc_json* json = dpc_json_push(cases, dpc_json_object());
  dpc_json_set_int(json, "batch", batch);
  push_floats(json, "sample", chunk, sample);
  push_floats(json, "timestep", batch, timestep);
  push_floats(json, "step_size", batch, step_size);
  push_floats(json, "cond", given, cond);
}

static void check_outputs(const dpc_json* outputs, int count, const float* expected) {
  assert_int_equal(dpc_json_count(outputs), count);
  for (int i = 0; i < count; ++i) {
    double value = NAN;
    assert_true(dpc_json_as_real(dpc_json_at(outputs, i), &value));
    assert_near(value, (double)expected[i], 1e-5);
  }
}

/// The model's outputs are the plain network's, for several batches.
static void compare(const dpc_unet* unet, const float* params, dpc_onnx_form form) {
  static const int batches[] = {1, 1, 2, BATCH_MAX};
  const dpc_unet_def* def = dpc_unet_settings(unet);
  const int chunk = def->horizon * def->input_dim;
  dpc_onnx_summary summary;
  assert_ok(dpc_onnx_save(in_base("model.onnx"), unet, params, form, NULL, 0, &summary, &error),
            &error);
  dpc_json* cases = dpc_json_array();
  float* expected[DPC_COUNT(batches)];
  for (int i = 0; i < DPC_COUNT(batches); ++i) {
    expected[i] = DPC_TAKE(&arena, float, batches[i] * chunk);
    add_case(cases, unet, params, batches[i], (uint32_t)i, expected[i]);
  }
  assert_ok(dpc_json_save(cases, in_base("cases.json"), &error), &error);
  dpc_json_free(cases);

  char command[COMMAND_SIZE];
  (void)snprintf(command, sizeof command,
                 "cd %s && node %s/tests/onnx_run.mjs model.onnx cases.json outputs.json", base,
                 DPC_SOURCE_DIR);
  const int code = run(command);
  if (code == 77 || code == 127) skip();
  assert_int_equal(code, 0);
  dpc_json* outputs = NULL;
  assert_ok(dpc_json_read(in_base("outputs.json"), &outputs, &error), &error);
  for (int i = 0; i < DPC_COUNT(batches); ++i) {
    check_outputs(dpc_json_at(outputs, i), batches[i] * chunk, expected[i]);
  }
  dpc_json_free(outputs);
}

static void computes_what_random_networks_compute(void** state) {
  (void)state;
  static const dpc_unet_def defs[] = {
      {1, 3, 4, {1, {8}}, 1, 2, 4, 0, 0},
      {2, 40, 16, {2, {16, 32}}, 3, 4, 16, 0, 0},
      {7, 9, 24, {4, {8, 24, 16, 32}}, 5, 8, 32, 0, 0},
      {2, 5, 8, {2, {8, 16}}, 3, 4, 8, 1, 0},
      {2, 5, 8, {2, {8, 16}}, 3, 4, 8, 0, 1},
  };
  for (int i = 0; i < DPC_COUNT(defs); ++i) {
    const size_t mark = dpc_arena_mark(&arena);
    dpc_unet* unet = NULL;
    assert_ok(dpc_unet_create(&defs[i], &arena, &unet, &error), &error);
    float* params = DPC_TAKE(&arena, float, dpc_unet_param_count(unet));
    dpc_unet_init(unet, (dpc_rng_key){(uint32_t)i, 0}, params);
    compare(unet, params, DPC_ONNX_CONV);
    compare(unet, params, DPC_ONNX_MATMUL);
    dpc_arena_release(&arena, mark);
  }
}

static void computes_what_the_bundled_policy_computes(void** state) {
  (void)state;
  const size_t mark = dpc_arena_mark(&arena);
  dpc_checkpoint_info info;
  dpc_unet* unet = NULL;
  float* params = NULL;
  assert_ok(dpc_checkpoint_load(DPC_SOURCE_DIR "/policy/pretrained/pusht.safetensors", &arena,
                                &info, &unet, &params, &error),
            &error);
  compare(unet, params, DPC_ONNX_CONV);
  compare(unet, params, DPC_ONNX_MATMUL);
  dpc_arena_release(&arena, mark);
}

static int start(void** state) {
  (void)state;
  if (dpc_gemm_start(&error) != DPC_OK || mkdtemp(base) == NULL) return 1;
  return dpc_arena_map(&arena, (size_t)1 << 30, &error) != DPC_OK;
}

static int finish(void** state) {
  (void)state;
  dpc_arena_unmap(&arena);
  char command[PATH_SIZE];
  (void)snprintf(command, sizeof command, "rm -r %s", base);
  return run(command);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(holds_what_the_checkpoint_holds),
      cmocka_unit_test(computes_what_random_networks_compute),
      cmocka_unit_test(computes_what_the_bundled_policy_computes),
  };
  return cmocka_run_group_tests_name("export", tests, start, finish);
}
