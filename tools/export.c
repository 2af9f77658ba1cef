/// dpc-export: a policy's network as a file that other runtimes load.

#include <string.h>

#include "policy/checkpoint.h"
#include "tools/cli.h"
#include "tools/export_onnx.h"
#include "tools/random_network.h"

static const char doc[] =
    "Write the network of POLICY as an ONNX model: one denoising step, for any batch. The model's "
    "metadata say what its inputs mean."
    "\vThe model takes `sample` [batch, horizon, action values], `timestep` [batch] and `cond` "
    "[batch, observation values], all normalised, and gives `prediction`, shaped like `sample`. "
    "With "
    "train.prefix_max above 0 each row of `sample` ends with one value more: 1 for a settled row, "
    "which is given clean, else 0. With train.shortcut_steps above 0 there is one input more, "
    "`step_size` [batch]: for how many timesteps the answer will be followed, or 0. "
    "normalizer.* and interface.* in the metadata say how to get there and back, schedule.* and "
    "sampler.* how to denoise.";

static const size_t ADDRESS_SPACE = (size_t)8 << 30;  // reserved; only what is touched is used

enum { KEY_ONNX = 0x1000, KEY_FORM, KEY_RANDOM, EXTRA_ENTRIES = 64 };

static const struct argp_option options[] = {
    {"onnx", KEY_ONNX, "FILE", 0, "Where to write the model", 0},
    {"form", KEY_FORM, "FORM", 0,
     "How convolutions are written: conv, or matmul, which is faster in ONNX Runtime on a CPU "
     "(default: conv)",
     0},
    {"random", KEY_RANDOM, "SIZE", 0,
     "A network with random weights instead of POLICY: small, medium or large", 0},
    {0}};

typedef struct export {
  dpc_cli cli;
  const char* policy;
  const char* onnx;
  int form;    // dpc_onnx_form
  int random;  // size of a random network, -1 for none

  dpc_arena arena;
  dpc_unet* unet;
  float* params;
  dpc_metadata metadata;
  dpc_onnx_summary summary;
}
export;

static error_t parse(int key, char* text, struct argp_state* state) {
  export* e = state->input;
  switch (key) {
    case KEY_ONNX:
      e->onnx = text;
      return 0;
    case KEY_FORM:
      e->form = dpc_cli_choice(state, "--form", text, dpc_onnx_form_names);
      return 0;
    case KEY_RANDOM:
      e->random = dpc_cli_choice(state, "--random", text, dpc_random_network_names);
      return 0;
    case ARGP_KEY_ARG:
      if (state->arg_num > 0) argp_error(state, "too many arguments");
      e->policy = text;
      return 0;
    case ARGP_KEY_END:
      if (e->policy == NULL && e->random < 0) argp_error(state, "POLICY is needed");
      if (e->policy != NULL && e->random >= 0) argp_error(state, "POLICY or --random, not both");
      if (e->onnx == NULL) argp_error(state, "--onnx is needed");
      return 0;
    default:
      return ARGP_ERR_UNKNOWN;
  }
}

// All that the policy's file says, but for what is about that file and not about the policy.
static dpc_status copy_metadata(export* e, const dpc_safetensors* file, dpc_error* error) {
  const int count = dpc_safetensors_metadata_count(file);
  dpc_metadata_init(&e->metadata, count, &e->arena);
  for (int i = 0; i < count; ++i) {
    const dpc_metadata_entry entry = dpc_safetensors_metadata_at(file, i);
    if (strcmp(entry.key, "format") == 0) continue;
    dpc_metadata_add(&e->metadata, entry.key, "%s", entry.value);
  }
  return dpc_metadata_check(&e->metadata, error);
}

static dpc_status load_policy(export* e, dpc_error* error) {
  dpc_checkpoint_info info;
  DPC_TRY(dpc_checkpoint_load(e->policy, &e->arena, &info, &e->unet, &e->params, error));
  dpc_safetensors* file = NULL;
  DPC_TRY(dpc_safetensors_open(e->policy, &file, error));
  const dpc_status status = copy_metadata(e, file, error);
  dpc_safetensors_close(file);
  return status;
}

static dpc_status make_random(export* e, dpc_error* error) {
  DPC_TRY(dpc_random_network_create(e->random, &e->arena, &e->unet, &e->params, error));
  dpc_metadata_init(&e->metadata, EXTRA_ENTRIES, &e->arena);
  dpc_metadata_add_fields(&e->metadata, &dpc_unet_fields, dpc_unet_settings(e->unet));
  return dpc_metadata_check(&e->metadata, error);
}

// One input or output, for people and programs.
static void describe(const export* e, dpc_json* list, const char* what, const char* name, int rank,
                     const int* shape) {
  char text[64] = "batch";
  dpc_json* json = dpc_json_push(list, dpc_json_object());
  dpc_json_set_text(json, "name", name);
  dpc_json* dims = dpc_json_set(json, "shape", dpc_json_array());
  dpc_json_push_text(dims, "batch");
  for (int i = 0; i < rank; ++i) {
    dpc_json_push_int(dims, shape[i]);
    const size_t used = strlen(text);
    (void)snprintf(text + used, sizeof text - used, ", %d", shape[i]);
  }
  dpc_cli_print(&e->cli, "  %-7s %-11s float [%s]\n", what, name, text);
}

static dpc_status report(const export* e, dpc_error* error) {
  const dpc_unet_def* def = dpc_unet_settings(e->unet);
  const int sample[] = {def->horizon, dpc_unet_row(def)};
  const int prediction[] = {def->horizon, def->input_dim};
  dpc_cli_print(&e->cli, "%s: ONNX, opset %d, %.2f MB, %d nodes\n", e->onnx, DPC_ONNX_OPSET,
                (double)e->summary.bytes * 1e-6, e->summary.nodes);
  dpc_json* json = dpc_json_object();
  dpc_json_set_text(json, "path", e->onnx);
  dpc_json_set_int(json, "bytes", (int64_t)e->summary.bytes);
  dpc_json_set_int(json, "opset", DPC_ONNX_OPSET);
  dpc_json_set_text(json, "form", dpc_onnx_form_names[e->form]);
  dpc_json_set_int(json, "nodes", e->summary.nodes);
  dpc_json_set_int(json, "initializers", e->summary.initializers);
  dpc_json_set_int(json, "metadata", e->metadata.count);
  dpc_json* inputs = dpc_json_set(json, "inputs", dpc_json_array());
  describe(e, inputs, "input", "sample", 2, sample);
  describe(e, inputs, "input", "timestep", 0, NULL);
  if (def->step_size_dim > 0) describe(e, inputs, "input", "step_size", 0, NULL);
  describe(e, inputs, "input", "cond", 1, &def->global_cond_dim);
  dpc_json* outputs = dpc_json_set(json, "outputs", dpc_json_array());
  describe(e, outputs, "output", "prediction", 2, prediction);
  return dpc_cli_report(&e->cli, json, error);
}

static dpc_status run(export* e, dpc_error* error) {
  DPC_TRY(dpc_arena_map(&e->arena, ADDRESS_SPACE, error));
  DPC_TRY(e->random >= 0 ? make_random(e, error) : load_policy(e, error));
  DPC_TRY(dpc_onnx_save(e->onnx, e->unet, e->params, (dpc_onnx_form)e->form, e->metadata.entries,
                        e->metadata.count, &e->summary, error));
  return report(e, error);
}

int main(int argc, char** argv) {
  export e = {.random = -1};
  dpc_error error = {""};
  const dpc_cli_program program = {
      .name = "export", .doc = doc, .arguments = "[POLICY]", .options = options, .parse = parse};
  dpc_cli_start(&program, argc, argv, &e.cli, &e);
  const dpc_status status = run(&e, &error);
  dpc_arena_unmap(&e.arena);
  return dpc_cli_finish(&e.cli, status, &error);
}
