// A step is fixed work: as many instructions on every run, whatever is observed and whatever the
// noise, none of them a system call, without an allocation or a page fault. Instructions are counted
// by single-stepping, which is slow, so the networks here are tiny; `test_fixed_work full` takes a
// published size, and an hour.
//
// What this does not say: the noise itself is drawn with the C library's log, sin and cos, which
// take one of several ways by their argument; and threads that share a step wait for each other.

#include <stdio.h>

#include "tests/test.h"

enum { SKIPPED = 77 };

#if defined(__x86_64__) && defined(__linux__) && !defined(__SANITIZE_ADDRESS__) && \
    !defined(__SANITIZE_THREAD__)

#include <sys/resource.h>

#include "policy/gemm.h"
#include "policy/kernels/kernels.h"
#include "runtime/rt.h"
#include "tests/single_step.h"
#include "tests/small_policy.h"
#include "tools/allocations.h"

static int64_t page_faults(void) {
  struct rusage usage;
  (void)getrusage(RUSAGE_THREAD, &usage);
  return usage.ru_minflt + usage.ru_majflt;
}

// The system may take a page away at any time; from the work itself come faults on every run.
static void assert_undisturbed(counted_work* work, void* context) {
  int64_t least = INT64_MAX;
  for (int i = 0; i < 5 && least > 0; ++i) {
    const int64_t allocations = dpc_allocations(), faults = page_faults();
    work(context);
    const int64_t now = page_faults() - faults;
    if (now < least) least = now;
    assert_int_equal(dpc_allocations() - allocations, 0);
  }
  assert_int_equal(least, 0);
}

// Instructions of work(context), which must be as many as `expected`, where that is not 0.
static int64_t check(const char* what, int input, counted_work* work, void* context,
                     int64_t expected) {
  const span s = count(work, context);
  assert_int_equal(s.system_calls, 0);
  if (expected != 0 && s.instructions != expected) {
    fail_msg("%s, input %d: %lld instructions, %lld before", what, input, (long long)s.instructions,
             (long long)expected);
  }
  assert_undisturbed(work, context);
  return s.instructions;
}

// --- what is counted -----------------------------------------------------------------------------

// No numbers, what is usual, saturated exponentials on either side, nothing, denormals, overflow.
// A policy makes chunks of the FINITE ones behind the first; the slowest kernels have the first FEW.
static const float factors[] = {NAN, 1, -300, 3000, 0, 1e-40F, 1e30F};
enum { INPUTS = sizeof factors / sizeof factors[0], FEW = 4, FINITE = 5, VALUES_MAX = 1024 };

static void fill(int input, int n, float* values) {
  dpc_rng_normal((dpc_rng_key){5, 0}, DPC_STREAM_TEST, (uint32_t)input, 0, n, values);
  for (int i = 0; i < n; ++i) {
    values[i] = (factors[input] == 1 ? values[i] : fabsf(values[i])) * factors[input];
  }
}

static bool full;
static dpc_arena arena;
static dpc_error error;

typedef struct network {
  dpc_unet_def def;
  dpc_engine* engine;
  dpc_engine_work* work;
  float sample[VALUES_MAX], cond[VALUES_MAX], out[VALUES_MAX];
} network;

static void observe_and_step(void* context) {
  network* n = context;
  dpc_engine_observe(n->engine, n->work, 1, n->cond);
  dpc_engine_step(n->engine, n->work, 0, 1, n->sample, n->out);
}

static void make_network(const dpc_unet_def* def, int precision, network* n) {
  static const float timesteps[] = {37};
  dpc_unet* unet = NULL;
  const dpc_engine_def settings = {.precision = precision, .threads = 1};
  n->def = *def;
  assert_ok(dpc_unet_create(def, &arena, &unet, &error), &error);
  float* params = DPC_TAKE(&arena, float, dpc_unet_param_count(unet));
  assert_non_null(params);
  dpc_unet_init(unet, (dpc_rng_key){1, 2}, params);
  assert_ok(dpc_engine_create(&settings, unet, params, &arena, &n->engine, &error), &error);
  assert_ok(dpc_engine_work_create(n->engine, timesteps, NULL, 1, 1, &arena, &n->work, &error),
            &error);
}

static void check_steps(const dpc_unet_def* def, int precision, int inputs) {
  static network n;
  const size_t before = dpc_arena_mark(&arena);
  make_network(def, precision, &n);
  const dpc_engine_info info = dpc_engine_describe(n.engine);
  int64_t found = 0;
  observe_and_step(&n);
  for (int i = 0; i < inputs; ++i) {
    fill(i, def->horizon * def->input_dim, n.sample);
    fill(i, def->global_cond_dim, n.cond);
    found = check(info.isa, i, observe_and_step, &n, found);
  }
  print_message("%s, %s: %lld instructions\n", info.isa, info.precision, (long long)found);
  dpc_arena_release(&arena, before);
}

static void make_tiny(dpc_unet_def* def) {
  def->horizon = 2;
  def->down_dims = (dpc_int_list){1, {8}};
  def->kernel_size = 3;
  def->group_count = 1;
  def->step_embed_dim = 8;
}

static void test_a_step_is_fixed_work(void** state) {
  (void)state;
  dpc_unet_def def = dpc_unet_def_default();
  def.input_dim = SMALL_ACTION;
  def.global_cond_dim = full ? SMALL_N_OBS * SMALL_OBS : 4;
  def.horizon = SMALL_HORIZON;
  if (!full) make_tiny(&def);
  for (int isa = DPC_ISA_COUNT - 1; isa >= 0; --isa) {
    const dpc_kernels* kernels = dpc_kernels_of((dpc_isa)isa);
    if (kernels == NULL) continue;
    const int inputs = full || isa == DPC_ISA_GENERIC ? FEW : INPUTS;
    setenv("DPC_ISA", kernels->name, 1);
    check_steps(&def, DPC_PRECISION_FP32, inputs);
    check_steps(&def, DPC_PRECISION_BF16, inputs);
    check_steps(&def, DPC_PRECISION_INT8, inputs);
    unsetenv("DPC_ISA");
  }
}

// --- a chunk -------------------------------------------------------------------------------------

typedef struct acting {
  dpc_policy* policy;
  dpc_policy_work* work;
  float obs[SMALL_N_OBS * SMALL_OBS], chunk[SMALL_HORIZON * SMALL_ACTION];
  dpc_policy_query query;
} acting;

static void make_policy(bool trained, acting* a) {
  static dpc_checkpoint_info info;
  static float scale[SMALL_OBS], offset[SMALL_OBS];
  dpc_unet* unet = NULL;
  const dpc_engine_def settings = {.threads = 1};
  small_policy_info(&info, scale, offset);
  make_tiny(&info.unet);
  info.policy.n_actions = 1;
  info.sampler.steps = 2;
  info.prefix_max = info.unet.mask_dim = trained;
  assert_ok(dpc_unet_create(&info.unet, &arena, &unet, &error), &error);
  float* params = DPC_TAKE(&arena, float, dpc_unet_param_count(unet));
  assert_non_null(params);
  dpc_unet_init(unet, (dpc_rng_key){1, 2}, params);
  assert_ok(dpc_policy_create(&info, unet, params, &settings, &arena, &a->policy, &error), &error);
  assert_ok(dpc_policy_work_create(a->policy, NULL, 1, &arena, &a->work, &error), &error);
  a->query = (dpc_policy_query){.obs = a->obs, .chunk = a->chunk};
}

static void act(void* context) {
  acting* a = context;
  a->query.status = dpc_policy_act_together(a->policy, a->work, 1, &a->query, NULL);
}

static void denoise_and_finish(void* context) {
  acting* a = context;
  for (int i = 0; i < dpc_policy_steps(a->work); ++i) dpc_policy_denoise(a->policy, a->work, i);
  a->query.status = dpc_policy_finish(a->policy, a->work, &a->query, NULL);
}

// From the observation to the actions, whatever is observed; from the noise to the actions, whatever
// the noise.
static void test_a_chunk_is_fixed_work(void** state) {
  (void)state;
  static acting a;
  int64_t found = 0;
  make_policy(false, &a);
  act(&a);
  for (int i = 1; i <= FINITE; ++i) {
    fill(i, SMALL_N_OBS * SMALL_OBS, a.obs);
    found = check("chunk", i, act, &a, found);
    assert_int_equal(a.query.status, DPC_OK);
  }
  print_message("chunk: %lld instructions\n", (long long)found);
  found = 0;
  for (uint32_t i = 0; i < 4; ++i) {
    a.query.key = (dpc_rng_key){i, 3 * i};
    assert_ok(dpc_policy_begin(a.policy, a.work, 1, &a.query, &error), &error);
    found = check("from noise to chunk", (int)i, denoise_and_finish, &a, found);
    assert_int_equal(a.query.status, DPC_OK);
  }
  print_message("from noise to chunk: %lld instructions\n", (long long)found);
}

// Settled rows cost as much whatever they are, in a policy that knows of them and in one that does
// not.
static void test_settled_rows_are_fixed_work(void** state) {
  (void)state;
  static acting a;
  static float fixed[SMALL_ACTION];
  for (int trained = 0; trained <= 1; ++trained) {
    int64_t found = 0;
    memset(&a, 0, sizeof a);
    make_policy(trained == 1, &a);
    fill(1, SMALL_N_OBS * SMALL_OBS, a.obs);
    a.query.fixed_count = 1;
    a.query.fixed = fixed;
    act(&a);
    for (int i = 1; i <= FINITE; ++i) {
      fill(i, SMALL_ACTION, fixed);
      found = check("settled rows", i, act, &a, found);
      assert_int_equal(a.query.status, DPC_OK);
    }
    print_message("chunk with a settled row%s: %lld instructions\n", trained ? ", trained" : "",
                  (long long)found);
  }
}

// --- the counting itself -------------------------------------------------------------------------

static void ten_nops(void* context) {
  (void)context;
  __asm__ volatile("nop; nop; nop; nop; nop; nop; nop; nop; nop; nop");
}

static void nothing(void* context) {
  (void)context;
}

static void ask_the_system(void* context) {
  *(pid_t*)context = getppid();
}

static void test_counting_sees(void** state) {
  (void)state;
  pid_t parent = 0;
  assert_int_equal(count(ten_nops, NULL).instructions, count(nothing, NULL).instructions + 10);
  assert_int_equal(count(nothing, NULL).system_calls, 0);
  assert_int_equal(count(ask_the_system, &parent).system_calls, 1);
  assert_int_equal(parent, getppid());
}

// Not where somebody else handles the traps, such as a debugger.
static bool can_count(void) {
  return catch_traps() && count(ten_nops, NULL).instructions >= 10;
}

int main(int argc, char** argv) {
  full = argc > 1 && strcmp(argv[1], "full") == 0;
  if (!can_count()) {
    puts("skipped: no single-stepping here");
    return SKIPPED;
  }
  const dpc_status started = dpc_gemm_start(&error);
  const dpc_status mapped = dpc_arena_map(&arena, (size_t)1 << 30, &error);
  if (started != DPC_OK || mapped != DPC_OK) return 1;
  (void)dpc_denormals_flush();
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_counting_sees),
      cmocka_unit_test(test_a_step_is_fixed_work),
      cmocka_unit_test(test_a_chunk_is_fixed_work),
      cmocka_unit_test(test_settled_rows_are_fixed_work),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

int main(void) {
  puts("skipped: no single-stepping here");
  return SKIPPED;
}

#endif
