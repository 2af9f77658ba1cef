/// dpc-bench: how long a policy takes, per denoising step and per chunk, in one thread.

#include <inttypes.h>
#include <string.h>
#include <sys/resource.h>

#include "policy/policy.h"
#include "runtime/clock.h"
#include "runtime/latency.h"
#include "runtime/rt.h"
#include "tools/allocations.h"
#include "tools/cli.h"

static const size_t ADDRESS_SPACE = (size_t)8 << 30;  // reserved; only what is touched is used

enum { KEY_WARMUP = 0x1000, KEY_SAMPLER, KEY_GRID, KEY_ETA, KEY_PRECISION };

static const struct argp_option options[] = {
    {"policy", 'p', "FILE", 0, "The policy", 0},
    {"runs", 'n', "N", 0, "Chunks to time (default: 200)", 0},
    {"warmup", KEY_WARMUP, "N", 0, "Chunks before that (default: 20)", 0},
    {"precision", KEY_PRECISION, "NAME", 0, "auto, fp32 or bf16 (default: auto)", 0},
    {"sampler", KEY_SAMPLER, "KIND", 0,
     "ddim or ddpm; this and the next three: default is what the policy's file says", 0},
    {"steps", 's', "N", 0, "Denoising steps per chunk", 0},
    {"grid", KEY_GRID, "GRID", 0, "Which timesteps: leading, linspace or trailing", 0},
    {"eta", KEY_ETA, "X", 0, "Randomness of DDIM, from 0 to 1", 0},
    {0}};

// What the kernel did to this thread.
typedef struct disturbances {
  int64_t allocations, page_faults, context_switches;
} disturbances;

typedef struct bench {
  dpc_cli cli;
  const char* path;
  int runs, warmup;
  int sampler, steps, grid;  // -1: the policy's own
  double eta;                // < 0: the policy's own
  dpc_engine_def engine;

  dpc_arena arena;
  dpc_policy* policy;
  dpc_policy_work* work;
  float *obs, *chunk;
  dpc_latency step, whole;
  disturbances during;
} bench;

static error_t parse(int key, char* text, struct argp_state* state) {
  bench* b = state->input;
  switch (key) {
    case 'p':
      b->path = text;
      return 0;
    case 'n':
      b->runs = dpc_cli_int(state, "--runs", text, 1, 100000000);
      return 0;
    case KEY_WARMUP:
      b->warmup = dpc_cli_int(state, "--warmup", text, 0, 1000000);
      return 0;
    case 's':
      b->steps = dpc_cli_int(state, "--steps", text, 1, 1000);
      return 0;
    case KEY_SAMPLER:
      b->sampler = dpc_cli_choice(state, "--sampler", text, dpc_sampler_kind_names);
      return 0;
    case KEY_GRID:
      b->grid = dpc_cli_choice(state, "--grid", text, dpc_grid_names);
      return 0;
    case KEY_ETA:
      b->eta = dpc_cli_real(state, "--eta", text, 0, 1);
      return 0;
    case KEY_PRECISION:
      b->engine.precision = dpc_cli_choice(state, "--precision", text, dpc_precision_names);
      return 0;
    case ARGP_KEY_END:
      if (b->path == NULL) argp_error(state, "--policy is missing");
      return 0;
    default:
      return ARGP_ERR_UNKNOWN;
  }
}

static dpc_sampler_def choose_sampler(const bench* b) {
  dpc_sampler_def sampler = dpc_policy_info(b->policy)->sampler;
  if (b->sampler >= 0) sampler.kind = b->sampler;
  if (b->steps >= 0) sampler.steps = b->steps;
  if (b->grid >= 0) sampler.grid = b->grid;
  if (b->eta >= 0) sampler.eta = b->eta;
  return sampler;
}

static dpc_status load(bench* b, dpc_error* error) {
  DPC_TRY(dpc_arena_map(&b->arena, ADDRESS_SPACE, error));
  DPC_TRY(dpc_policy_load_for(b->path, &b->engine, &b->arena, &b->policy, error));
  const dpc_checkpoint_info* info = dpc_policy_info(b->policy);
  const dpc_sampler_def sampler = choose_sampler(b);
  DPC_TRY(dpc_policy_work_create(b->policy, &sampler, &b->arena, &b->work, error));
  b->obs = DPC_TAKE(&b->arena, float, info->unet.global_cond_dim);
  b->chunk = DPC_TAKE(&b->arena, float, (size_t)info->unet.horizon*(size_t)info->unet.input_dim);
  if (b->obs == NULL || b->chunk == NULL) return dpc_arena_full(&b->arena, "the benchmark", error);
  return DPC_OK;
}

// Another one for each run, spread over what the policy was trained on.
static void draw_observation(bench* b, int run) {
  const dpc_checkpoint_info* info = dpc_policy_info(b->policy);
  const dpc_normalizer* normalizer = &info->obs_normalizer;
  const int count = info->unet.global_cond_dim;
  DPC_ASSERT(b->obs != NULL);
  dpc_rng_uniform((dpc_rng_key){0, 0}, DPC_STREAM_TEST, (uint32_t)run, 0, count, b->obs);
  for (int i = 0; i < count; ++i) {
    const int at = i % normalizer->dim;
    b->obs[i] = (2 * b->obs[i] - 1 - normalizer->offset[at]) / normalizer->scale[at];
  }
}

static dpc_status time_chunk(bench* b, int run, dpc_error* error) {
  draw_observation(b, run);
  const dpc_time start = dpc_clock_now();
  DPC_TRY(dpc_policy_begin(b->policy, b->work, b->obs, (dpc_rng_key){0, 0}, (uint32_t)run, error));
  dpc_time before = dpc_clock_now();
  for (int i = 0; i < dpc_policy_steps(b->work); ++i) {
    dpc_policy_denoise(b->policy, b->work, i);
    const dpc_time after = dpc_clock_now();
    dpc_latency_record(&b->step, dpc_time_since(after, before));
    before = after;
  }
  DPC_TRY(dpc_policy_finish(b->policy, b->work, b->chunk, error));
  dpc_latency_record(&b->whole, dpc_time_since(dpc_clock_now(), start));
  return DPC_OK;
}

static disturbances count_disturbances(void) {
  struct rusage usage;
  (void)getrusage(RUSAGE_THREAD, &usage);
  return (disturbances){.allocations = dpc_allocations(),
                        .page_faults = usage.ru_minflt + usage.ru_majflt,
                        .context_switches = usage.ru_nvcsw + usage.ru_nivcsw};
}

static dpc_status measure(bench* b, dpc_error* error) {
  (void)dpc_denormals_flush();  // as planners do
  for (int i = 0; i < b->warmup; ++i) DPC_TRY(time_chunk(b, i, error));
  dpc_latency_clear(&b->step);
  dpc_latency_clear(&b->whole);
  const disturbances before = count_disturbances();
  for (int i = 0; i < b->runs; ++i) DPC_TRY(time_chunk(b, b->warmup + i, error));
  const disturbances after = count_disturbances();
  b->during = (disturbances){
      .allocations = after.allocations < 0 ? -1 : after.allocations - before.allocations,
      .page_faults = after.page_faults - before.page_faults,
      .context_switches = after.context_switches - before.context_switches};
  return DPC_OK;
}

static dpc_json* quantiles(const bench* b, const char* name, const dpc_latency* latency) {
  const dpc_latency_summary s = dpc_latency_summarize(latency);
  const struct {
    const char* key;
    dpc_duration value;
  } rows[] = {{"p50", s.p50}, {"p99", s.p99}, {"p999", s.p999}, {"max", s.max}, {"mean", s.mean}};
  dpc_json* json = dpc_json_object();
  for (int i = 0; i < DPC_COUNT(rows); ++i) {
    dpc_json_set_real(json, rows[i].key, (double)rows[i].value.ns * 1e-3);
  }
  dpc_cli_print(&b->cli, "%-10s %8" PRIu64 " %10.1f %10.1f %10.1f %10.1f\n", name, s.count,
                (double)s.p50.ns * 1e-3, (double)s.p99.ns * 1e-3, (double)s.p999.ns * 1e-3,
                (double)s.max.ns * 1e-3);
  return json;
}

static dpc_status report(bench* b, dpc_error* error) {
  dpc_cli_print(&b->cli, "%-10s %8s %10s %10s %10s %10s\n", "us", "count", "p50", "p99", "p99.9",
                "max");
  const dpc_engine_info engine = dpc_engine_describe(dpc_policy_engine(b->policy));
  const dpc_duration median = dpc_latency_summarize(&b->step).p50;
  const double gflops = median.ns > 0 ? 2 * engine.macs / (double)median.ns : 0;
  dpc_json* json = dpc_json_object();
  dpc_json_set_text(json, "isa", engine.isa);
  dpc_json_set_text(json, "precision", engine.precision);
  dpc_json_set_int(json, "weight_bytes_per_step", (int64_t)engine.weight_bytes);
  dpc_json_set_real(json, "gflops", gflops);
  dpc_json_set(json, "step_us", quantiles(b, "step", &b->step));
  dpc_json_set(json, "chunk_us", quantiles(b, "chunk", &b->whole));
  dpc_json_set_int(json, "allocations", b->during.allocations);
  dpc_json_set_int(json, "page_faults", b->during.page_faults);
  dpc_json_set_int(json, "context_switches", b->during.context_switches);
  dpc_json_set_int(json, "threads", 1);
  dpc_json_set_int(json, "steps", dpc_policy_steps(b->work));
  dpc_json_set_int(json, "runs", b->runs);
  dpc_json_set_int(json, "warmup", b->warmup);
  dpc_json_set_text(json, "policy", b->path);
  dpc_cli_print(&b->cli,
                "%d steps per chunk; allocations %" PRId64 ", page faults %" PRId64
                ", context switches %" PRId64 "\n",
                dpc_policy_steps(b->work), b->during.allocations, b->during.page_faults,
                b->during.context_switches);
  dpc_cli_print(&b->cli, "%s on %s; %.2f MB of weights per step, %.1f GFLOP/s\n", engine.precision,
                engine.isa, (double)engine.weight_bytes * 1e-6, gflops);
  return dpc_cli_report(&b->cli, json, error);
}

static dpc_status run(bench* b, dpc_error* error) {
  DPC_TRY(load(b, error));
  DPC_TRY(measure(b, error));
  return report(b, error);
}

int main(int argc, char** argv) {
  static bench b = {.runs = 200, .warmup = 20, .sampler = -1, .steps = -1, .grid = -1, .eta = -1};
  b.engine = dpc_engine_def_default();
  const dpc_cli_program program = {
      .name = "bench",
      .doc = "Time a policy: each denoising step, and each whole chunk, in one thread.",
      .options = options,
      .parse = parse,
  };
  dpc_error error = {""};
  dpc_cli_start(&program, argc, argv, &b.cli, &b);
  const dpc_status status = run(&b, &error);
  dpc_arena_unmap(&b.arena);
  return dpc_cli_finish(&b.cli, status, &error);
}
