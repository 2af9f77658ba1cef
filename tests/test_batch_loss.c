// The loss of a batch whose windows begin with settled rows: what it is made of, and its slope.

#include "policy/train/batch_loss.h"

#include "policy/gemm.h"
#include "tests/test.h"

enum { LENGTH = 40, DIM = 2, N_OBS = 2, HORIZON = 8, BATCH = 9, PREFIX_MAX = 5 };

static dpc_arena arena;
static dpc_error error;
static const dpc_rng_key key = {3, 4};

typedef struct bench {
  dpc_train_def train;
  dpc_dataset* dataset;
  dpc_unet* unet;
  dpc_schedule* schedule;
  dpc_workers* workers;
  dpc_batch_loss* loss;
  dpc_batch batch;
  float *params, *kept;
  size_t count;
} bench;

static dpc_dataset* make_dataset(void) {
  static float obs[LENGTH * DIM], action[LENGTH * DIM];
  static const int length = LENGTH;
  dpc_episode_source source = {.episode_count = 1,
                               .lengths = &length,
                               .obs_dim = DIM,
                               .action_dim = DIM,
                               .obs = obs,
                               .action = action,
                               .interface.period_ns = 100000000};
  for (int i = 0; i < LENGTH * DIM; ++i) {
    obs[i] = (float)sin(0.3 * i);
    action[i] = (float)cos(0.2 * i);
  }
  dpc_layout_add(&source.interface.obs, "position", DIM, "m", NULL);
  dpc_layout_add(&source.interface.action, "action", DIM, "m", "position");
  dpc_dataset_def def = dpc_dataset_def_default();
  def.obs = (dpc_text_list){1, {"position"}};
  def.action = (dpc_text_list){1, {"action"}};
  const dpc_window_def window = {HORIZON, N_OBS, 4};
  dpc_dataset* dataset = NULL;
  assert_ok(dpc_dataset_create(&def, &window, &source, &arena, &dataset, &error), &error);
  return dataset;
}

static bench make(int prefix_max, int schedule, int prediction) {
  static int picks[BATCH];
  bench b = {.train = {.batch = BATCH, .shard = 4, .threads = 1, .prefix_max = prefix_max}};
  b.dataset = make_dataset();
  dpc_unet_def def = dpc_unet_def_default();
  def.input_dim = DIM;
  def.global_cond_dim = N_OBS * DIM;
  def.horizon = HORIZON;
  def.down_dims = (dpc_int_list){2, {8, 16}};
  def.kernel_size = 3;
  def.group_count = 4;
  def.step_embed_dim = 8;
  def.mask_dim = prefix_max > 0;
  assert_ok(dpc_unet_create(&def, &arena, &b.unet, &error), &error);
  dpc_schedule_def noise = dpc_schedule_def_default();
  noise.kind = schedule;
  noise.prediction = prediction;
  assert_ok(dpc_schedule_create(&noise, &arena, &b.schedule, &error), &error);
  b.count = dpc_unet_param_count(b.unet);
  b.params = DPC_TAKE(&arena, float, b.count);
  b.kept = DPC_TAKE(&arena, float, b.count);
  dpc_unet_init(b.unet, key, b.params);
  for (int i = 0; i < BATCH; ++i) picks[i] = 3 * i;
  b.batch = (dpc_batch){
      .windows = &b.dataset->train, .picks = picks, .count = BATCH, .plan = 7, .sample = 100};
  return b;
}

static void start(bench* b) {
  assert_ok(dpc_workers_create(1, &arena, &b->workers, &error), &error);
  const dpc_batch_loss_parts parts = {.dataset = b->dataset,
                                      .unet = b->unet,
                                      .schedule = b->schedule,
                                      .train = &b->train,
                                      .workers = b->workers,
                                      .key = key};
  assert_ok(dpc_batch_loss_create(&parts, &arena, &b->loss, &error), &error);
}

// --- by hand -------------------------------------------------------------------------------------

// The squared error of window `i` over its free rows, which are counted.
static double window_error(const bench* b, int i, int* free_count) {
  const dpc_unet_def* def = dpc_unet_settings(b->unet);
  const uint32_t sample = b->batch.sample + (uint32_t)i;
  float cond[N_OBS * DIM], clean[HORIZON * DIM], noise[HORIZON * DIM], out[HORIZON * DIM];
  float given[HORIZON * (DIM + 1)], *to = given;
  const dpc_window window = dpc_dataset_window(b->dataset, b->batch.windows, b->batch.picks[i]);
  dpc_dataset_read(b->dataset, &window, cond, clean);
  dpc_rng_normal(key, DPC_STREAM_TRAIN_NOISE, b->batch.plan, sample, HORIZON * DIM, noise);
  const float t = dpc_objective_timestep(&b->train, &b->schedule->def, key, b->batch.plan, sample);
  const dpc_noise_level level = dpc_schedule_level(b->schedule, (double)t);
  const int settled = dpc_objective_prefix(&b->train, key, b->batch.plan, sample);
  for (int row = 0; row < HORIZON; ++row) {
    for (int k = row * DIM; k < (row + 1) * DIM; ++k) {
      *to++ = row < settled
                  ? clean[k]
                  : (float)(level.signal * (double)clean[k] + level.noise * (double)noise[k]);
    }
    if (def->mask_dim > 0) *to++ = row < settled;
  }
  dpc_unet_work* work = NULL;
  assert_ok(dpc_unet_work_create(b->unet, 1, false, &arena, &work, &error), &error);
  dpc_unet_forward(b->unet, b->params, work, 1, given, &t, NULL, cond, out);
  dpc_schedule_target(b->schedule, level, clean, noise, HORIZON * DIM, clean);
  double sum = 0;
  for (int k = settled * DIM; k < HORIZON * DIM; ++k) {
    sum += ((double)out[k] - (double)clean[k]) * ((double)out[k] - (double)clean[k]);
  }
  *free_count += (HORIZON - settled) * DIM;
  return sum;
}

static void check_by_hand(int prefix_max, int schedule, int prediction) {
  bench b = make(prefix_max, schedule, prediction);
  start(&b);
  double sum = 0;
  int free_count = 0;
  for (int i = 0; i < BATCH; ++i) sum += window_error(&b, i, &free_count);
  assert_true(free_count < BATCH * HORIZON * DIM || prefix_max == 0);
  assert_near(dpc_batch_loss_forward(b.loss, &b.batch, b.params), sum / free_count, 1e-5);
  dpc_workers_destroy(b.workers);
}

// So that what the network says of settled rows counts for nothing.
static void test_the_loss_is_the_mean_over_the_free_rows(void** state) {
  (void)state;
  for (int prefix_max = 0; prefix_max <= PREFIX_MAX; prefix_max += PREFIX_MAX) {
    check_by_hand(prefix_max, DPC_SCHEDULE_FLOW, DPC_PREDICT_VELOCITY);
    check_by_hand(prefix_max, DPC_SCHEDULE_LINEAR, DPC_PREDICT_V);
    check_by_hand(prefix_max, DPC_SCHEDULE_SQUAREDCOS_CAP_V2, DPC_PREDICT_EPSILON);
  }
}

// --- slope ---------------------------------------------------------------------------------------

// The derivative along the gradient is the gradient's square, and its norm what is said.
static void check_slope(int prefix_max) {
  bench b = make(prefix_max, DPC_SCHEDULE_FLOW, DPC_PREDICT_VELOCITY);
  start(&b);
  memcpy(b.kept, b.params, sizeof(float) * b.count);
  double norm = 0, halves[2];
  (void)dpc_batch_loss_gradient(b.loss, &b.batch, b.params, &norm);
  const float* grads = dpc_batch_loss_grads(b.loss);
  double square = 0;
  for (size_t i = 0; i < b.count; ++i) square += (double)grads[i] * (double)grads[i];
  assert_near(norm * norm, square, 1e-5 * square);
  const double step = 5e-3 / norm;
  for (int side = 0; side < 2; ++side) {
    for (size_t i = 0; i < b.count; ++i) {
      b.params[i] = b.kept[i] + (float)((side ? -step : step) * (double)grads[i]);
    }
    halves[side] = dpc_batch_loss_forward(b.loss, &b.batch, b.params);
  }
  assert_near((halves[0] - halves[1]) / (2 * step * square), 1, 1e-2);
  dpc_workers_destroy(b.workers);
}

static void test_the_gradient_is_the_slope(void** state) {
  (void)state;
  check_slope(0);
  check_slope(PREFIX_MAX);
}

// The most that may be settled leaves one row, and that is learned.
static void test_every_window_has_free_rows(void** state) {
  (void)state;
  bench b = make(HORIZON - 1, DPC_SCHEDULE_FLOW, DPC_PREDICT_VELOCITY);
  start(&b);
  for (uint32_t plan = 1; plan < 20; ++plan) {
    double norm = 0;
    b.batch.plan = plan;
    assert_true(dpc_batch_loss_gradient(b.loss, &b.batch, b.params, &norm) > 0);
    assert_true(isfinite(norm) && norm > 0);
  }
  dpc_workers_destroy(b.workers);
}

static int set_up(void** state) {
  (void)state;
  if (dpc_gemm_start(&error) != DPC_OK) return -1;
  return dpc_arena_map(&arena, (size_t)256 << 20, &error) == DPC_OK ? 0 : -1;
}

static int tear_down(void** state) {
  (void)state;
  dpc_arena_unmap(&arena);
  return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(test_the_loss_is_the_mean_over_the_free_rows),
      TEST(test_the_gradient_is_the_slope),
      TEST(test_every_window_has_free_rows),
  };
  return cmocka_run_group_tests_name("batch_loss", tests, NULL, NULL);
}
