// The engine against the plain network, for every instruction set of this machine.

#include "policy/engine.h"

#include <stdio.h>
#include <unistd.h>

#include "policy/checkpoint.h"
#include "policy/gemm.h"
#include "policy/kernels/kernels.h"
#include "tests/test.h"
#include "tools/verify_pair.h"

static dpc_arena arena;
static dpc_error error;

static int start(void** state) {
  (void)state;
  assert_ok(dpc_gemm_start(&error), &error);
  return 0;
}

static int set_up(void** state) {
  (void)state;
  assert_ok(dpc_arena_map(&arena, (size_t)2 << 30, &error), &error);
  return 0;
}

static int tear_down(void** state) {
  (void)state;
  unsetenv("DPC_ISA");
  dpc_arena_unmap(&arena);
  return 0;
}

static dpc_unet_def make_def(dpc_int_list dims, int horizon, int kernel, int groups, int dim) {
  dpc_unet_def def = dpc_unet_def_default();
  def.input_dim = dim;
  def.global_cond_dim = 10;
  def.horizon = horizon;
  def.down_dims = dims;
  def.kernel_size = kernel;
  def.group_count = groups;
  def.step_embed_dim = 32;
  return def;
}

static dpc_unet_def with_mask(dpc_unet_def def) {
  def.mask_dim = 1;
  return def;
}

static dpc_unet_def with_step_size(dpc_unet_def def) {
  def.step_size_dim = 1;
  return def;
}

// What the plain network reads of rows of which the first `settled` are: each with its mark.
static void mark_rows(const dpc_unet_def* def, const float* sample, int settled, float* given) {
  for (int t = 0; t < def->horizon; ++t) {
    for (int i = 0; i < def->input_dim; ++i) *given++ = *sample++;
    if (def->mask_dim > 0) *given++ = t < settled ? 1 : 0;
  }
}

// Largest difference of the engine from the plain network at three timesteps, one chunk.
static double difference(const dpc_unet* unet, const float* params, int precision) {
  static const float timesteps[] = {0, 37.5F, 99}, sizes[] = {0, 6.25F, 50};
  const dpc_unet_def* def = dpc_unet_settings(unet);
  const int count = def->horizon * def->input_dim;
  const size_t mark = dpc_arena_mark(&arena);
  float* sample = DPC_TAKE(&arena, float, count);
  float* given = DPC_TAKE(&arena, float, def->horizon* dpc_unet_row(def));
  float* cond = DPC_TAKE(&arena, float, def->global_cond_dim + 1);
  float *expected = DPC_TAKE(&arena, float, count), *out = DPC_TAKE(&arena, float, count);
  dpc_unet_work* plain = NULL;
  dpc_engine* engine = NULL;
  dpc_engine_work* work = NULL;
  const dpc_engine_def settings = {.precision = precision, .threads = 1};
  assert_ok(dpc_unet_work_create(unet, 1, false, &arena, &plain, &error), &error);
  assert_ok(dpc_engine_create(&settings, unet, params, &arena, &engine, &error), &error);
  assert_ok(dpc_engine_work_create(engine, timesteps, sizes, 3, 1, &arena, &work, &error), &error);
  double worst = 0;
  for (int chunk = 0; chunk < 2; ++chunk) {
    dpc_rng_normal((dpc_rng_key){3, 0}, DPC_STREAM_TEST, chunk, 0, count, sample);
    dpc_rng_normal((dpc_rng_key){3, 0}, DPC_STREAM_TEST, chunk, 1, def->global_cond_dim, cond);
    dpc_engine_observe(engine, work, 1, cond);
    const int settled = chunk == 0 ? def->horizon : def->horizon / 3;
    if (def->mask_dim > 0) dpc_engine_settle(engine, work, 0, settled);
    mark_rows(def, sample, settled, given);
    for (int i = 0; i < 3; ++i) {
      dpc_unet_forward(unet, params, plain, 1, given, timesteps + i, sizes + i, cond, expected);
      dpc_engine_step(engine, work, i, 1, sample, out);
      for (int j = 0; j < count; ++j) {
        assert_true(isfinite(out[j]));
        worst = fmax(worst, fabs((double)out[j] - (double)expected[j]));
      }
    }
  }
  dpc_arena_release(&arena, mark);
  return worst;
}

static void check_random(const dpc_unet_def* def) {
  const size_t mark = dpc_arena_mark(&arena);
  dpc_unet* unet = NULL;
  assert_ok(dpc_unet_create(def, &arena, &unet, &error), &error);
  float* params = DPC_TAKE(&arena, float, dpc_unet_param_count(unet));
  dpc_unet_init(unet, (dpc_rng_key){11, 0}, params);
  for (int isa = 0; isa < DPC_ISA_COUNT; ++isa) {
    const dpc_kernels* kernels = dpc_kernels_of((dpc_isa)isa);
    if (kernels == NULL) continue;
    setenv("DPC_ISA", kernels->name, 1);
    assert_near(difference(unet, params, DPC_PRECISION_FP32), 0, 1e-5);
    assert_near(difference(unet, params, DPC_PRECISION_BF16), 0, 5e-2);
    assert_near(difference(unet, params, DPC_PRECISION_INT8), 0, 1e-1);
  }
  dpc_arena_release(&arena, mark);
}

// Three chunks in one work area of `threads` threads, two steps: what each comes to.
static void step_together(const dpc_unet* unet, const float* params, int precision, int threads,
                          int samples, const float* noise, const float* cond, float* out) {
  static const float timesteps[] = {80, 20};
  const dpc_unet_def* def = dpc_unet_settings(unet);
  const int count = def->horizon * def->input_dim, given = def->global_cond_dim;
  const size_t mark = dpc_arena_mark(&arena);
  dpc_engine* engine = NULL;
  dpc_engine_work* work = NULL;
  const dpc_engine_def settings = {.precision = precision, .threads = threads};
  assert_ok(dpc_engine_create(&settings, unet, params, &arena, &engine, &error), &error);
  assert_ok(dpc_engine_work_create(engine, timesteps, NULL, 2, samples, &arena, &work, &error),
            &error);
  for (int first = 0; first < 3; first += samples) {
    const int at = first + samples <= 3 ? first : 3 - samples;
    dpc_engine_observe(engine, work, samples, cond + (ptrdiff_t)at * given);
    for (int i = 0; def->mask_dim > 0 && i < samples; ++i) {
      dpc_engine_settle(engine, work, i, at + i);
    }
    dpc_engine_step(engine, work, 0, samples, noise + (ptrdiff_t)at * count,
                    out + (ptrdiff_t)at * count);
    dpc_engine_step(engine, work, 1, samples, out + (ptrdiff_t)at * count,
                    out + (ptrdiff_t)at * count);
    dpc_engine_rest(work);
  }
  dpc_engine_work_destroy(work);
  dpc_arena_release(&arena, mark);
}

// One sample or several, one thread or several: the same bits.
static void check_same_bits(const dpc_unet_def* def, int threads_max) {
  static float noise[3 * 1024], cond[64], expected[3 * 1024], out[3 * 1024];
  const size_t mark = dpc_arena_mark(&arena);
  const int count = def->horizon * def->input_dim;
  assert_true(count <= 1024);
  dpc_unet* unet = NULL;
  assert_ok(dpc_unet_create(def, &arena, &unet, &error), &error);
  float* params = DPC_TAKE(&arena, float, dpc_unet_param_count(unet));
  dpc_unet_init(unet, (dpc_rng_key){12, 0}, params);
  dpc_rng_normal((dpc_rng_key){4, 0}, DPC_STREAM_TEST, 0, 0, 3 * count, noise);
  dpc_rng_normal((dpc_rng_key){4, 0}, DPC_STREAM_TEST, 0, 1, DPC_COUNT(cond), cond);
  for (int precision = DPC_PRECISION_FP32; precision <= DPC_PRECISION_INT8; ++precision) {
    step_together(unet, params, precision, 1, 1, noise, cond, expected);
    for (int threads = 1; threads <= threads_max; ++threads) {
      for (int samples = 1; samples <= 3; ++samples) {
        memset(out, 0, sizeof out);
        step_together(unet, params, precision, threads, samples, noise, cond, out);
        assert_memory_equal(out, expected, sizeof(float) * (size_t)(3 * count));
      }
    }
  }
  dpc_arena_release(&arena, mark);
}

static void test_samples_and_threads(void** state) {
  (void)state;
  const dpc_unet_def defs[] = {
      make_def((dpc_int_list){3, {64, 128, 256}}, 16, 5, 8, 2),
      make_def((dpc_int_list){1, {24}}, 3, 5, 3, 7),
      make_def((dpc_int_list){2, {12, 20}}, 12, 5, 4, 3),
      make_def((dpc_int_list){3, {40, 24, 56}}, 4, 3, 8, 2),
      make_def((dpc_int_list){2, {80, 112}}, 40, 9, 16, 16),
      with_mask(make_def((dpc_int_list){2, {12, 20}}, 12, 5, 4, 3)),
  };
  for (int i = 0; i < DPC_COUNT(defs); ++i) {
    for (int isa = 0; isa < DPC_ISA_COUNT; ++isa) {
      const dpc_kernels* kernels = dpc_kernels_of((dpc_isa)isa);
      if (kernels == NULL) continue;
      setenv("DPC_ISA", kernels->name, 1);
      check_same_bits(&defs[i], i == 2 ? 3 : 2);  // more than there are CPUs is slow
    }
  }
}

// Channels, horizons and kernels that do not fit the tiles, one level to five.
static void test_odd_shapes(void** state) {
  (void)state;
  const dpc_unet_def defs[] = {
      make_def((dpc_int_list){1, {5}}, 1, 1, 5, 1),
      make_def((dpc_int_list){1, {24}}, 3, 5, 3, 7),
      make_def((dpc_int_list){2, {8, 16}}, 2, 3, 4, 2),
      make_def((dpc_int_list){2, {12, 20}}, 12, 5, 4, 3),
      make_def((dpc_int_list){3, {6, 18, 33}}, 20, 7, 3, 17),
      make_def((dpc_int_list){3, {40, 24, 56}}, 4, 31, 8, 2),
      make_def((dpc_int_list){2, {80, 112}}, 40, 9, 16, 16),
      make_def((dpc_int_list){5, {16, 32, 48, 16, 64}}, 16, 5, 8, 2),
      // with a mask: beside few values, in a vector of its own, and as many as the first level has
      with_mask(make_def((dpc_int_list){2, {8, 16}}, 2, 3, 4, 2)),
      with_mask(make_def((dpc_int_list){3, {6, 18, 33}}, 20, 7, 3, 16)),
      with_mask(make_def((dpc_int_list){2, {8, 16}}, 6, 5, 4, 7)),
      with_step_size(make_def((dpc_int_list){2, {12, 20}}, 12, 5, 4, 3)),
  };
  for (int i = 0; i < DPC_COUNT(defs); ++i) check_random(&defs[i]);
}

static void test_published_sizes(void** state) {
  (void)state;
  const dpc_int_list sizes[] = {{3, {64, 128, 256}}, {3, {128, 256, 512}}, {3, {256, 512, 1024}}};
  for (int i = 0; i < DPC_COUNT(sizes); ++i) {
    // the largest is packed once per kernel and precision, which takes a while: fewer of them
    const dpc_unet_def def = make_def(sizes[i], 16, 5, 8, 2);
    dpc_unet* unet = NULL;
    const size_t mark = dpc_arena_mark(&arena);
    assert_ok(dpc_unet_create(&def, &arena, &unet, &error), &error);
    float* params = DPC_TAKE(&arena, float, dpc_unet_param_count(unet));
    dpc_unet_init(unet, (dpc_rng_key){11, 0}, params);
    assert_near(difference(unet, params, DPC_PRECISION_FP32), 0, 1e-5);
    assert_near(difference(unet, params, DPC_PRECISION_BF16), 0, 1.5e-2);
    assert_near(difference(unet, params, DPC_PRECISION_INT8), 0, 6e-2);
    dpc_arena_release(&arena, mark);
  }
}

// The networks that PyTorch has run.
static void check_golden(const char* folder, const char* name) {
  char weights[512], io[512];
  snprintf(weights, sizeof weights, "%s/%s.weights.safetensors", folder, name);
  snprintf(io, sizeof io, "%s/%s.io.safetensors", folder, name);
  const size_t mark = dpc_arena_mark(&arena);
  dpc_verify_pair pair = {0};
  assert_ok(dpc_verify_pair_open(weights, io, &arena, &pair, &error), &error);
  const dpc_unet_def* def = dpc_unet_settings(pair.unet);
  const size_t count = (size_t)def->horizon * (size_t)def->input_dim;
  float* out = DPC_TAKE(&arena, float, count);
  for (int isa = 0; isa < DPC_ISA_COUNT; ++isa) {
    const dpc_kernels* kernels = dpc_kernels_of((dpc_isa)isa);
    if (kernels == NULL) continue;
    setenv("DPC_ISA", kernels->name, 1);
    const dpc_engine_def settings = {.precision = DPC_PRECISION_FP32, .threads = 1};
    dpc_engine* engine = NULL;
    dpc_engine_work* work = NULL;
    assert_ok(dpc_engine_create(&settings, pair.unet, pair.params, &arena, &engine, &error),
              &error);
    assert_ok(dpc_engine_work_create(engine, pair.timestep, pair.step_size, pair.batch, 1, &arena,
                                     &work, &error),
              &error);
    for (int b = 0; b < pair.batch; ++b) {
      dpc_engine_observe(engine, work, 1, pair.cond + (size_t)b * (size_t)def->global_cond_dim);
      dpc_engine_step(engine, work, b, 1, pair.sample + (size_t)b * count, out);
      for (size_t i = 0; i < count; ++i) {
        assert_near(out[i], pair.output[(size_t)b * count + i], 1e-5);
      }
    }
  }
  dpc_verify_pair_close(&pair);
  dpc_arena_release(&arena, mark);
}

static void test_golden(void** state) {
  (void)state;
  static const char golden[] = DPC_SOURCE_DIR "/tests/golden";
  check_golden(golden, "unet_one_level");
  check_golden(golden, "unet_small");
  check_golden(golden, "unet_three_levels");
  check_golden(golden, "unet_step_size");
}

// Others of the same kind, where they are.
static void test_fixtures(void** state) {
  (void)state;
  static const char fixtures[] = DPC_SHARED_DIR "/fixtures";
  static const char* const names[] = {"unet_tiny", "unet_k3_two_levels",
                                      "unet_horizon32_four_levels"};
  for (int i = 0; i < DPC_COUNT(names); ++i) {
    char path[512];
    snprintf(path, sizeof path, "%s/%s.io.safetensors", fixtures, names[i]);
    if (access(path, R_OK) != 0) skip();
    check_golden(fixtures, names[i]);
  }
}

// The bundled policy's weights are bfloat16: fp32 widens them, and is as exact as ever.
static void test_bundled_policy(void** state) {
  (void)state;
  dpc_checkpoint_info info;
  dpc_unet* unet = NULL;
  float* params = NULL;
  const char* path = DPC_SOURCE_DIR "/policy/pretrained/pusht.safetensors";
  assert_ok(dpc_checkpoint_load(path, &arena, &info, &unet, &params, &error), &error);
  for (int isa = 0; isa < DPC_ISA_COUNT; ++isa) {
    const dpc_kernels* kernels = dpc_kernels_of((dpc_isa)isa);
    if (kernels == NULL) continue;
    setenv("DPC_ISA", kernels->name, 1);
    assert_near(difference(unet, params, DPC_PRECISION_FP32), 0, 1e-5);
  }
}

// A wrong name is refused, and a full arena is an error that leaves it as it was.
static void test_refusals(void** state) {
  (void)state;
  const dpc_unet_def def = make_def((dpc_int_list){2, {8, 16}}, 8, 3, 4, 2);
  const dpc_engine_def settings = dpc_engine_def_default();
  dpc_unet* unet = NULL;
  dpc_engine* engine = NULL;
  assert_ok(dpc_unet_create(&def, &arena, &unet, &error), &error);
  float* params = DPC_TAKE(&arena, float, dpc_unet_param_count(unet));
  setenv("DPC_ISA", "sse9", 1);
  assert_fails(dpc_engine_create(&settings, unet, params, &arena, &engine, &error), DPC_ERR_CONFIG,
               &error, "'sse9' is not one of generic");
  unsetenv("DPC_ISA");
  const size_t enough = arena.size;
  arena.size = arena.used + 50000;
  const size_t used = arena.used;
  assert_fails(dpc_engine_create(&settings, unet, params, &arena, &engine, &error),
               DPC_ERR_NO_MEMORY, &error, "does not fit");
  assert_int_equal(arena.used, used);
  assert_null(engine);
  arena.size = enough;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_odd_shapes, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_published_sizes, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_samples_and_threads, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_golden, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_fixtures, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_bundled_policy, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_refusals, set_up, tear_down),
  };
  return cmocka_run_group_tests(tests, start, NULL);
}
