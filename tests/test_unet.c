// Properties of the whole network; that it is the reference's network is `dpc verify`'s to show.

#include "policy/unet.h"

#include "policy/gemm.h"
#include "tests/test.h"

enum { BATCH = 3 };

static dpc_arena arena;
static dpc_error error;

static int start(void** state) {
  (void)state;
  assert_ok(dpc_gemm_start(&error), &error);
  return 0;
}

static int set_up(void** state) {
  (void)state;
  assert_ok(dpc_arena_map(&arena, (size_t)64 << 20, &error), &error);
  return 0;
}

static int tear_down(void** state) {
  (void)state;
  dpc_arena_unmap(&arena);
  return 0;
}

static dpc_unet_def make_def(void) {
  dpc_unet_def def = dpc_unet_def_default();
  def.input_dim = 2;
  def.global_cond_dim = 5;
  def.horizon = 8;
  def.down_dims = (dpc_int_list){2, {8, 16}};
  def.kernel_size = 3;
  def.group_count = 4;
  def.step_embed_dim = 8;
  return def;
}

typedef struct network {
  dpc_unet* unet;
  dpc_unet_work* work;
  float *params, *grads, *sample, *cond, *out;
  float timestep[BATCH], step_size[BATCH];
  size_t count, given, rows, conds;
} network;

static network make_network_of(const dpc_unet_def* def) {
  network n = {.timestep = {0, 17, 99}, .step_size = {0, 12.5, 50}};
  assert_ok(dpc_unet_create(def, &arena, &n.unet, &error), &error);
  assert_ok(dpc_unet_work_create(n.unet, BATCH, true, &arena, &n.work, &error), &error);
  n.count = dpc_unet_param_count(n.unet);
  n.rows = (size_t)BATCH * (size_t)def->horizon * (size_t)def->input_dim;
  n.given = (size_t)BATCH * (size_t)def->horizon * (size_t)dpc_unet_row(def);
  n.conds = (size_t)BATCH * (size_t)def->global_cond_dim;
  n.params = DPC_TAKE(&arena, float, n.count);
  n.grads = DPC_TAKE(&arena, float, n.count);
  n.sample = DPC_TAKE(&arena, float, n.given);
  n.out = DPC_TAKE(&arena, float, n.rows);
  n.cond = DPC_TAKE(&arena, float, n.conds);
  const dpc_rng_key key = {5, 0};
  dpc_unet_init(n.unet, key, n.params);
  dpc_rng_normal(key, DPC_STREAM_TEST, 0, 0, (int)n.given, n.sample);
  dpc_rng_normal(key, DPC_STREAM_TEST, 1, 0, (int)n.conds, n.cond);
  return n;
}

static network make_network(void) {
  const dpc_unet_def def = make_def();
  return make_network_of(&def);
}

static void run(network* n, int batch) {
  dpc_unet_forward(n->unet, n->params, n->work, batch, n->sample, n->timestep, n->step_size,
                   n->cond, n->out);
}

static void test_tensors_survive_export_and_import(void** state) {
  (void)state;
  network n = make_network();
  float* block = DPC_TAKE(&arena, float, n.count);
  float* reference = DPC_TAKE(&arena, float, n.count);
  size_t covered = 0;
  for (int i = 0; i < dpc_unet_tensor_count(n.unet); ++i) {
    const dpc_unet_tensor* tensor = dpc_unet_tensor_at(n.unet, i);
    assert_true(tensor->offset >= covered);  // no two overlap
    covered = tensor->offset + tensor->count;
    dpc_unet_tensor_export(n.unet, i, n.params, reference);
    dpc_unet_tensor_import(n.unet, i, reference, block);
  }
  assert_true(covered <= n.count);
  assert_memory_equal(block, n.params, sizeof(float) * n.count);
}

// The numbers of the published sizes, which others report for the same network.
static void test_parameter_counts(void** state) {
  (void)state;
  static const struct {
    dpc_int_list dims;
    size_t parameters;
  } sizes[] = {{{3, {64, 128, 256}}, 5412162},
               {{3, {128, 256, 512}}, 17917314},
               {{3, {256, 512, 1024}}, 65783298}};
  for (int i = 0; i < DPC_COUNT(sizes); ++i) {
    dpc_unet_def def = dpc_unet_def_default();
    dpc_unet* unet = NULL;
    size_t parameters = 0;
    def.input_dim = 2;
    def.global_cond_dim = 40;
    def.down_dims = sizes[i].dims;
    assert_ok(dpc_unet_create(&def, &arena, &unet, &error), &error);
    for (int t = 0; t < dpc_unet_tensor_count(unet); ++t) {
      parameters += dpc_unet_tensor_at(unet, t)->count;
    }
    assert_int_equal(parameters, sizes[i].parameters);
  }
}

static void test_same_inputs_same_bits(void** state) {
  (void)state;
  network n = make_network();
  float* before = DPC_TAKE(&arena, float, n.rows);
  run(&n, BATCH);
  memcpy(before, n.out, sizeof(float) * n.rows);
  memset(n.out, 0, sizeof(float) * n.rows);
  run(&n, BATCH);
  assert_memory_equal(before, n.out, sizeof(float) * n.rows);
}

// A sample's prediction does not depend on what else is in its batch, but for rounding.
static void test_samples_are_independent(void** state) {
  (void)state;
  network n = make_network();
  const size_t size = n.rows / BATCH;
  float* together = DPC_TAKE(&arena, float, n.rows);
  run(&n, BATCH);
  memcpy(together, n.out, sizeof(float) * n.rows);
  for (int b = 0; b < BATCH; ++b) {
    dpc_unet_forward(n.unet, n.params, n.work, 1, n.sample + (size_t)b * size, n.timestep + b, NULL,
                     n.cond + (size_t)b * n.conds / BATCH, n.out);
    for (size_t i = 0; i < size; ++i) assert_near(n.out[i], together[(size_t)b * size + i], 1e-5);
  }
}

// Gradients add up: two calls give twice one call's.
static void test_gradients_accumulate(void** state) {
  (void)state;
  network n = make_network();
  float* once = DPC_TAKE(&arena, float, n.count);
  run(&n, BATCH);
  dpc_unet_backward(n.unet, n.params, n.work, BATCH, n.sample, n.cond, n.out, once, NULL, NULL);
  for (int i = 0; i < 2; ++i) {
    dpc_unet_backward(n.unet, n.params, n.work, BATCH, n.sample, n.cond, n.out, n.grads, NULL,
                      NULL);
  }
  double largest = 0;
  for (size_t i = 0; i < n.count; ++i) {
    largest = fmax(largest, fabs((double)once[i]));
    assert_near(n.grads[i], 2 * (double)once[i], 1e-5 * fmax(1, fabs((double)once[i])));
  }
  assert_true(largest > 0.01);
}

// The derivative along the gradient is the gradient's square, of what is in `values` alone.
static void assert_slope(network* n, size_t count, float* values, const float* grads) {
  float* kept = DPC_TAKE(&arena, float, count);
  memcpy(kept, values, sizeof(float) * count);
  double square = 0, halves[2] = {0, 0};
  for (size_t i = 0; i < count; ++i) square += (double)grads[i] * (double)grads[i];
  const double step = 2e-3 / sqrt(square);  // along a unit vector, 0.002 long
  for (int side = 0; side < 2; ++side) {
    for (size_t i = 0; i < count; ++i) {
      values[i] = kept[i] + (float)((side ? -step : step) * (double)grads[i]);
    }
    run(n, BATCH);
    for (size_t i = 0; i < n->rows; ++i) {
      halves[side] += 0.5 * (double)n->out[i] * (double)n->out[i];
    }
  }
  memcpy(values, kept, sizeof(float) * count);
  const double slope = (halves[0] - halves[1]) / (2 * step);
  assert_near(slope / square, 1, 5e-3);  // third derivatives, and rounding
}

// By the parameters and by the sample, without and with a mask, and told step sizes or not.
static void test_directional_derivative(void** state) {
  (void)state;
  for (int told = 0; told < 4; ++told) {
    dpc_unet_def def = make_def();
    def.mask_dim = told % 2;
    def.step_size_dim = told / 2;
    network n = make_network_of(&def);
    float* by_sample = DPC_TAKE(&arena, float, n.given);
    run(&n, BATCH);
    dpc_unet_backward(n.unet, n.params, n.work, BATCH, n.sample, n.cond, n.out, n.grads, by_sample,
                      NULL);
    assert_slope(&n, n.count, n.params, n.grads);
    assert_slope(&n, n.given, n.sample, by_sample);
  }
}

// A mask is one channel more for the two convolutions that read the sample.
static void test_a_mask_widens_the_first_convolutions(void** state) {
  (void)state;
  dpc_unet_def def = make_def();
  dpc_unet *plain = NULL, *masked = NULL;
  assert_ok(dpc_unet_create(&def, &arena, &plain, &error), &error);
  def.mask_dim = 1;
  assert_ok(dpc_unet_create(&def, &arena, &masked, &error), &error);
  assert_int_equal(dpc_unet_tensor_count(plain), dpc_unet_tensor_count(masked));
  int widened = 0;
  for (int i = 0; i < dpc_unet_tensor_count(plain); ++i) {
    const dpc_unet_tensor *a = dpc_unet_tensor_at(plain, i), *b = dpc_unet_tensor_at(masked, i);
    assert_string_equal(a->name, b->name);
    if (a->count == b->count) continue;
    ++widened;
    assert_non_null(strstr(a->name, "down_modules.0.0."));
    assert_int_equal(b->shape[1], a->shape[1] + 1);
  }
  assert_int_equal(widened, 2);
}

// --- step sizes ----------------------------------------------------------------------------------

static dpc_unet_def make_told(void) {
  dpc_unet_def def = make_def();
  def.step_size_dim = 1;
  return def;
}

static double apart(size_t count, const float* a, const float* b) {
  double most = 0;
  for (size_t i = 0; i < count; ++i) most = fmax(most, fabs((double)a[i] - (double)b[i]));
  return most;
}

static void test_a_step_size_is_heard(void** state) {
  (void)state;
  const dpc_unet_def def = make_told();
  network n = make_network_of(&def);
  float* before = DPC_TAKE(&arena, float, n.rows);
  const size_t size = n.rows / BATCH;
  run(&n, BATCH);
  memcpy(before, n.out, sizeof(float) * n.rows);
  n.step_size[1] = 25;
  run(&n, BATCH);
  assert_memory_equal(n.out, before, sizeof(float) * size);
  assert_true(apart(size, n.out + size, before + size) > 1e-3);
  // none is 0
  memset(n.step_size, 0, sizeof n.step_size);
  run(&n, BATCH);
  memcpy(before, n.out, sizeof(float) * n.rows);
  dpc_unet_forward(n.unet, n.params, n.work, BATCH, n.sample, n.timestep, NULL, n.cond, n.out);
  assert_memory_equal(n.out, before, sizeof(float) * n.rows);
}

static void test_who_is_not_told_does_not_hear(void** state) {
  (void)state;
  network n = make_network();
  float* before = DPC_TAKE(&arena, float, n.rows);
  run(&n, BATCH);
  memcpy(before, n.out, sizeof(float) * n.rows);
  n.step_size[1] = 25;
  run(&n, BATCH);
  assert_memory_equal(n.out, before, sizeof(float) * n.rows);
}

// The same names and shapes, but for columns of one tensor, which begin as zeros.
static void test_a_twin_that_is_told_begins_as_the_other(void** state) {
  (void)state;
  const dpc_unet_def def = make_told();
  network plain = make_network(), told = make_network_of(&def);
  assert_int_equal(dpc_unet_tensor_count(plain.unet), dpc_unet_tensor_count(told.unet));
  for (int i = 0; i < dpc_unet_tensor_count(plain.unet); ++i) {
    const dpc_unet_tensor* a = dpc_unet_tensor_at(plain.unet, i);
    const dpc_unet_tensor* b = dpc_unet_tensor_at(told.unet, i);
    const bool wider = strcmp(a->name, "diffusion_step_encoder.1.weight") == 0;
    assert_string_equal(a->name, b->name);
    assert_int_equal(b->count, a->count * (wider ? 2 : 1));
  }
  dpc_unet_adopt(told.unet, plain.unet, plain.params, told.params);
  run(&plain, BATCH);
  run(&told, BATCH);
  assert_true(apart(plain.rows, plain.out, told.out) < 1e-6);
  // and one that is not told is a copy
  float* copy = DPC_TAKE(&arena, float, plain.count);
  dpc_unet_adopt(plain.unet, plain.unet, plain.params, copy);
  assert_memory_equal(copy, plain.params, sizeof(float) * plain.count);
}

static void test_settings_that_do_not_fit(void** state) {
  (void)state;
  dpc_unet_def def = make_def();
  def.horizon = 7;
  assert_fails(dpc_unet_def_check(&def, &error), DPC_ERR_CONFIG, &error, "unet.horizon");
  def = make_def();
  def.kernel_size = 4;
  assert_fails(dpc_unet_def_check(&def, &error), DPC_ERR_CONFIG, &error, "unet.kernel_size");
  def = make_def();
  def.group_count = 3;
  assert_fails(dpc_unet_def_check(&def, &error), DPC_ERR_CONFIG, &error, "group_count");
  def = make_def();
  def.down_dims.count = 0;
  assert_fails(dpc_unet_def_check(&def, &error), DPC_ERR_CONFIG, &error, "down_dims");
  def = make_def();
  def.step_embed_dim = 7;
  assert_fails(dpc_unet_def_check(&def, &error), DPC_ERR_CONFIG, &error, "step_embed_dim");
}

static void test_full_arena(void** state) {
  (void)state;
  network n = make_network();
  static char block[1 << 16];
  dpc_arena small;
  dpc_unet_work* work = NULL;
  dpc_arena_init(&small, block, sizeof block);
  assert_fails(dpc_unet_work_create(n.unet, 64, true, &small, &work, &error), DPC_ERR_NO_MEMORY,
               &error, "work area");
  assert_null(work);
  assert_int_equal(small.used, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(test_tensors_survive_export_and_import),
      TEST(test_parameter_counts),
      TEST(test_same_inputs_same_bits),
      TEST(test_samples_are_independent),
      TEST(test_gradients_accumulate),
      TEST(test_directional_derivative),
      TEST(test_a_mask_widens_the_first_convolutions),
      TEST(test_a_step_size_is_heard),
      TEST(test_who_is_not_told_does_not_hear),
      TEST(test_a_twin_that_is_told_begins_as_the_other),
      TEST(test_settings_that_do_not_fit),
      TEST(test_full_arena),
  };
  return cmocka_run_group_tests(tests, start, NULL);
}
