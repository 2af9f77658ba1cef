#include "tools/bench_case.h"

#include <stdlib.h>
#include <sys/resource.h>

#include "runtime/clock.h"
#include "tools/allocations.h"

// --- create --------------------------------------------------------------------------------------

static dpc_status create_policy(dpc_bench_case* c, const dpc_bench_def* def, dpc_arena* arena,
                                dpc_error* error) {
  dpc_engine_def engine = dpc_engine_def_default();
  engine.precision = def->precision;
  engine.threads = def->threads;
  (void)setenv("DPC_ISA", def->isa, 1);
  DPC_TRY(dpc_policy_create(&c->network->info, c->network->unet, c->network->params, &engine, arena,
                            &c->policy, error));
  DPC_TRY(dpc_policy_work_create(c->policy, def->sampler, 1, arena, &c->work, error));
  c->engine = dpc_engine_describe(dpc_policy_engine(c->policy));
  return DPC_OK;
}

static dpc_status create_samples(dpc_bench_case* c, int rounds, dpc_arena* arena,
                                 dpc_error* error) {
  const size_t steps = (size_t)dpc_policy_steps(c->work), runs = (size_t)c->runs;
  DPC_TRY(dpc_samples_create(runs * steps, arena, &c->step, error));
  DPC_TRY(dpc_samples_create(runs, arena, &c->whole, error));
  DPC_TRY(dpc_samples_create(runs, arena, &c->control, error));
  return dpc_samples_create((size_t)rounds * steps, arena, &c->elementwise, error);
}

dpc_status dpc_bench_case_create(const dpc_bench_def* def, const dpc_bench_network* network,
                                 const dpc_cpus* cpus, dpc_arena* arena, dpc_bench_case* c,
                                 dpc_error* error) {
  DPC_ASSERT(def->threads >= 1 && def->threads <= DPC_BENCH_THREADS_MAX && def->runs >= 1);
  const dpc_unet_def* unet = &network->info.unet;
  const int rounds = (def->runs + DPC_BENCH_ROUND - 1) / DPC_BENCH_ROUND;
  *c = (dpc_bench_case){.network = network, .threads = def->threads, .runs = def->runs};
  DPC_TRY(dpc_cpus_use(cpus, def->threads, error));
  DPC_TRY(create_policy(c, def, arena, error));
  DPC_TRY(create_samples(c, rounds, arena, error));
  c->obs = DPC_TAKE(arena, float, unet->global_cond_dim);
  c->chunk = DPC_TAKE(arena, float, (size_t)unet->horizon*(size_t)unet->input_dim);
  if (c->obs == NULL || c->chunk == NULL) return dpc_arena_full(arena, "the benchmark", error);
  return dpc_bench_probe_create(&c->engine, c->threads, rounds, arena, &c->probe, error);
}

void dpc_bench_case_end(dpc_bench_case* c) {
  dpc_bench_probe_end(&c->probe);
  dpc_policy_work_destroy(c->work);
}

// --- run -----------------------------------------------------------------------------------------

// Another one for each run, spread over what the policy was trained on.
static void draw_observation(dpc_bench_case* c) {
  const dpc_normalizer* normalizer = &c->network->info.obs_normalizer;
  const int count = c->network->info.unet.global_cond_dim;
  dpc_rng_uniform((dpc_rng_key){0, 0}, DPC_STREAM_TEST, (uint32_t)c->next, 0, count, c->obs);
  for (int i = 0; i < count; ++i) {
    const int at = i % normalizer->dim;
    c->obs[i] = (2 * c->obs[i] - 1 - normalizer->offset[at]) / normalizer->scale[at];
  }
}

// The next chunk; `step` is NULL where its steps are not counted.
static dpc_status run_chunk(dpc_bench_case* c, dpc_samples* step, dpc_duration* length,
                            dpc_error* error) {
  draw_observation(c);
  dpc_policy_query query = {.obs = c->obs, .plan = (uint32_t)c->next++, .chunk = c->chunk};
  const dpc_time start = dpc_clock_now();
  DPC_TRY(dpc_policy_begin(c->policy, c->work, 1, &query, error));
  dpc_time before = dpc_clock_now();
  for (int i = 0; i < dpc_policy_steps(c->work); ++i) {
    dpc_policy_denoise(c->policy, c->work, i);
    const dpc_time after = dpc_clock_now();
    if (step != NULL) dpc_samples_add(step, dpc_time_since(after, before));
    before = after;
  }
  DPC_TRY(dpc_policy_finish(c->policy, c->work, &query, error));
  *length = dpc_time_since(dpc_clock_now(), start);
  return DPC_OK;
}

// Each turn needs the result of the one before, so that its length does not depend on the compiler.
static dpc_duration run_control(uint64_t count) {
  const dpc_time start = dpc_clock_now();
  uint64_t value = count;
  for (uint64_t i = 0; i < count; ++i) {
    value = value * 6364136223846793005U + 1442695040888963407U;
    __asm__ volatile("" : "+r"(value));
  }
  return dpc_time_since(dpc_clock_now(), start);
}

// The least of several, for what a turn takes when nothing disturbs.
static uint64_t calibrate_control(dpc_duration length) {
  enum { TURNS = 100000, TRIES = 20 };
  int64_t least = INT64_MAX;
  for (int i = 0; i < TRIES; ++i) {
    const int64_t ns = run_control(TURNS).ns;
    if (ns < least) least = ns;
  }
  return (uint64_t)((double)length.ns * TURNS / (double)(least > 0 ? least : 1));
}

dpc_status dpc_bench_case_warm_up(dpc_bench_case* c, int chunks, dpc_error* error) {
  for (int i = 0; i < chunks; ++i) {
    dpc_duration length;
    DPC_TRY(run_chunk(c, NULL, &length, error));
    if (c->whole.count < c->whole.capacity) dpc_samples_add(&c->whole, length);
  }
  c->control_count = calibrate_control(dpc_samples_summarize(&c->whole).p50);
  c->whole.count = 0;
  return DPC_OK;
}

static dpc_disturbances count_disturbances(void) {
  struct rusage usage;
  (void)getrusage(RUSAGE_THREAD, &usage);
  return (dpc_disturbances){.allocations = dpc_allocations(),
                            .page_faults = usage.ru_minflt + usage.ru_majflt,
                            .context_switches = usage.ru_nvcsw + usage.ru_nivcsw};
}

static void add_disturbances(dpc_disturbances* to, dpc_disturbances from) {
  const dpc_disturbances now = count_disturbances();
  to->allocations =
      from.allocations < 0 ? -1 : to->allocations + now.allocations - from.allocations;
  to->page_faults += now.page_faults - from.page_faults;
  to->context_switches += now.context_switches - from.context_switches;
}

static dpc_status time_chunk(dpc_bench_case* c, dpc_error* error) {
  dpc_duration length;
  const dpc_disturbances before = count_disturbances();
  DPC_TRY(run_chunk(c, &c->step, &length, error));
  add_disturbances(&c->during, before);
  dpc_samples_add(&c->whole, length);
  dpc_samples_add(&c->control, run_control(c->control_count));
  return DPC_OK;
}

static void sample_elementwise(dpc_bench_case* c) {
  for (int i = 0; i < dpc_policy_steps(c->work); ++i) {
    const dpc_time start = dpc_clock_now();
    dpc_policy_elementwise(c->policy, c->work, i);
    dpc_samples_add(&c->elementwise, dpc_time_since(dpc_clock_now(), start));
  }
}

dpc_status dpc_bench_case_round(dpc_bench_case* c, const dpc_cpus* cpus, dpc_error* error) {
  DPC_TRY(dpc_cpus_use(cpus, c->threads, error));
  DPC_TRY(run_chunk(c, NULL, &(dpc_duration){0}, error));  // brings the weights back
  for (int i = 0; i < DPC_BENCH_ROUND && c->whole.count < c->whole.capacity; ++i) {
    DPC_TRY(time_chunk(c, error));
  }
  sample_elementwise(c);
  return dpc_bench_probe_round(&c->probe, error);
}

// --- result --------------------------------------------------------------------------------------

dpc_bench_result dpc_bench_case_result(dpc_bench_case* c) {
  dpc_bench_result r = {.size = c->network->size,
                        .engine = c->engine,
                        .threads = c->threads,
                        .steps = dpc_policy_steps(c->work),
                        .step = dpc_samples_summarize(&c->step),
                        .chunk = dpc_samples_summarize(&c->whole),
                        .control = dpc_samples_summarize(&c->control),
                        .during = c->during,
                        .peaks = dpc_bench_probe_peaks(&c->probe)};
  const double flops = 2 * c->engine.macs, bytes = (double)c->engine.weight_bytes;
  const double ns = (double)r.step.p50.ns;
  if (ns > 0) {
    r.gflops = flops / ns;
    r.gbs = bytes / ns;
  }
  r.elementwise_us = (double)dpc_samples_summarize(&c->elementwise).p50.ns * 1e-3;
  r.compute_us = flops / (r.peaks.gflops * r.threads) * 1e-3;
  r.read_us = bytes / r.peaks.gbs * 1e-3;
  r.limit_us = (r.compute_us > r.read_us ? r.compute_us : r.read_us) + r.elementwise_us;
  return r;
}
