// dpc's side of tools/peers/run: stays alive, and takes denoising steps when it is told to.
//
// First it prints {"variant", "threads", "output"}, the output being that of INPUTS. Then each line
// of standard input is a number of steps, answered by {"us": [...]}, what each of them took.
#include <stdlib.h>
#include <string.h>

#include "policy/checkpoint.h"
#include "policy/engine.h"
#include "policy/gemm.h"
#include "runtime/clock.h"
#include "runtime/rt.h"
#include "tools/cli.h"
#include "tools/random_network.h"

static const size_t ADDRESS_SPACE = (size_t)8 << 30;  // reserved; only what is touched is used

enum { KEY_RANDOM = 0x1000, KEY_PRECISION, KEY_THREADS, KEY_LIST, STEPS_MAX = 1000000 };

static const struct argp_option options[] = {
    {"policy", 'p', "FILE", 0, "The network of this policy", 0},
    {"random", KEY_RANDOM, "SIZE", 0, "Or one with random weights: small, medium or large", 0},
    {"precision", KEY_PRECISION, "NAME", 0, "As engine.precision", 0},
    {"threads", KEY_THREADS, "N", 0, "Threads of a step", 0},
    {"list", KEY_LIST, NULL, 0, "Print the names of the precisions", 0},
    {0}};

typedef struct peer {
  dpc_cli cli;
  const char *policy, *inputs;
  int random;
  bool list;
  dpc_engine_def def;

  dpc_arena arena;
  dpc_unet* unet;
  float* params;
  dpc_engine* engine;
  dpc_engine_work* work;
  float *sample, *timestep, *cond, *out;
} peer;

static error_t parse(int key, char* text, struct argp_state* state) {
  peer* p = state->input;
  switch (key) {
    case 'p':
      p->policy = text;
      return 0;
    case KEY_RANDOM:
      p->random = dpc_cli_choice(state, "--random", text, dpc_random_network_names);
      return 0;
    case KEY_PRECISION:
      p->def.precision = dpc_cli_choice(state, "--precision", text, dpc_precision_names);
      return 0;
    case KEY_THREADS:
      p->def.threads = dpc_cli_int(state, "--threads", text, 1, DPC_TEAM_MAX);
      return 0;
    case KEY_LIST:
      p->list = true;
      return 0;
    case ARGP_KEY_ARG:
      if (state->arg_num > 0) argp_error(state, "too many arguments");
      p->inputs = text;
      return 0;
    case ARGP_KEY_END:
      if (p->list) return 0;
      if (p->inputs == NULL) argp_error(state, "INPUTS is needed");
      if ((p->policy == NULL) == (p->random < 0)) argp_error(state, "--policy or --random");
      return 0;
    default:
      return ARGP_ERR_UNKNOWN;
  }
}

// --- start-up ------------------------------------------------------------------------------------

static dpc_status read_floats(peer* p, const dpc_json* inputs, const char* key, int count,
                              float** out, dpc_error* error) {
  const dpc_json* list = dpc_json_get(inputs, key);
  float* values = DPC_TAKE(&p->arena, float, count);
  if (values == NULL) return dpc_arena_full(&p->arena, key, error);
  bool good = dpc_json_count(list) == count;
  for (int i = 0; good && i < count; ++i) {
    double value = 0;
    good = dpc_json_as_real(dpc_json_at(list, i), &value);
    values[i] = (float)value;
  }
  if (!good) {
    return dpc_fail(error, DPC_ERR_FORMAT, "%s: '%s' is not %d numbers", p->inputs, key, count);
  }
  *out = values;
  return DPC_OK;
}

static dpc_status take_inputs(peer* p, const dpc_json* inputs, dpc_error* error) {
  const dpc_unet_def* def = dpc_unet_settings(p->unet);
  const int chunk = def->horizon * def->input_dim;
  DPC_TRY(read_floats(p, inputs, "sample", chunk, &p->sample, error));
  DPC_TRY(read_floats(p, inputs, "cond", def->global_cond_dim, &p->cond, error));
  DPC_TRY(read_floats(p, inputs, "timestep", 1, &p->timestep, error));
  p->out = DPC_TAKE(&p->arena, float, chunk);
  return p->out == NULL ? dpc_arena_full(&p->arena, "the output", error) : DPC_OK;
}

static dpc_status load_network(peer* p, dpc_error* error) {
  if (p->random >= 0) {
    return dpc_random_network_create(p->random, &p->arena, &p->unet, &p->params, error);
  }
  dpc_checkpoint_info info;
  return dpc_checkpoint_load(p->policy, &p->arena, &info, &p->unet, &p->params, error);
}

static dpc_status start(peer* p, dpc_error* error) {
  DPC_TRY(dpc_arena_map(&p->arena, ADDRESS_SPACE, error));
  DPC_TRY(dpc_gemm_start(error));
  DPC_TRY(load_network(p, error));
  dpc_json* inputs = NULL;
  DPC_TRY(dpc_json_read(p->inputs, &inputs, error));
  const dpc_status status = take_inputs(p, inputs, error);
  dpc_json_free(inputs);
  DPC_TRY(status);
  DPC_TRY(dpc_engine_create(&p->def, p->unet, p->params, &p->arena, &p->engine, error));
  DPC_TRY(dpc_engine_work_create(p->engine, p->timestep, NULL, 1, 1, &p->arena, &p->work, error));
  (void)dpc_denormals_flush();  // as planners do
  return DPC_OK;
}

// --- steps ---------------------------------------------------------------------------------------

static void step(peer* p) {
  dpc_engine_step(p->engine, p->work, 0, 1, p->sample, p->out);
}

static dpc_status say_hello(peer* p, dpc_error* error) {
  const dpc_engine_info info = dpc_engine_describe(p->engine);
  const dpc_unet_def* def = dpc_unet_settings(p->unet);
  char variant[64];
  (void)snprintf(variant, sizeof variant, "%s %s", info.precision, info.isa);
  dpc_engine_observe(p->engine, p->work, 1, p->cond);
  step(p);
  dpc_engine_rest(p->work);
  dpc_json* hello = dpc_json_object();
  dpc_json_set_text(hello, "variant", variant);
  dpc_json_set_text(hello, "version", DPC_VERSION);
  dpc_json_set_int(hello, "threads", info.threads);
  dpc_json* output = dpc_json_set(hello, "output", dpc_json_array());
  for (int i = 0; i < def->horizon * def->input_dim; ++i) dpc_json_push_real(output, p->out[i]);
  const dpc_status status = dpc_json_write_line(hello, stdout, error);
  dpc_json_free(hello);
  return status;
}

static dpc_status run_burst(peer* p, int steps, dpc_error* error) {
  dpc_json* answer = dpc_json_object();
  dpc_json* times = dpc_json_set(answer, "us", dpc_json_array());
  double* us = calloc((size_t)steps, sizeof *us);
  DPC_ASSERT(us != NULL);
  dpc_engine_observe(p->engine, p->work, 1, p->cond);
  for (int i = 0; i < steps; ++i) {
    const dpc_time before = dpc_clock_now();
    step(p);
    us[i] = 1e6 * dpc_to_seconds(dpc_time_since(dpc_clock_now(), before));
  }
  dpc_engine_rest(p->work);  // others run now
  for (int i = 0; i < steps; ++i) dpc_json_push_real(times, us[i]);
  free(us);
  const dpc_status status = dpc_json_write_line(answer, stdout, error);
  dpc_json_free(answer);
  return status;
}

static dpc_status run(peer* p, dpc_error* error) {
  if (p->list) {
    for (int i = 1; dpc_precision_names[i] != NULL; ++i) puts(dpc_precision_names[i]);  // 0: auto
    return DPC_OK;
  }
  DPC_TRY(start(p, error));
  DPC_TRY(say_hello(p, error));
  char line[64];
  while (fgets(line, sizeof line, stdin) != NULL) {
    const long steps = strtol(line, NULL, 10);
    if (steps < 1 || steps > STEPS_MAX) {
      return dpc_fail(error, DPC_ERR_INVALID, "'%.20s' is not a number of steps", line);
    }
    DPC_TRY(run_burst(p, (int)steps, error));
  }
  return DPC_OK;
}

int main(int argc, char** argv) {
  peer p = {.random = -1, .def = dpc_engine_def_default()};
  const dpc_cli_program program = {.name = "peer",
                                   .doc = "The engine, as tools/peers/run measures it.",
                                   .arguments = "INPUTS",
                                   .options = options,
                                   .parse = parse};
  dpc_error error = {""};
  dpc_cli_start(&program, argc, argv, &p.cli, &p);
  const dpc_status status = run(&p, &error);
  dpc_engine_work_destroy(p.work);
  dpc_arena_unmap(&p.arena);
  return dpc_cli_finish(&p.cli, status, &error);
}
