// Guidance: what it adds to a prediction, and what becomes of chunks.

#include "policy/guide.h"

#include "policy/gemm.h"
#include "tests/small_policy.h"
#include "tests/test.h"

enum { OBS = SMALL_N_OBS * SMALL_OBS, CHUNK = SMALL_HORIZON * SMALL_ACTION };

static dpc_arena arena;
static dpc_error error;
static const dpc_rng_key key = {1, 2};

typedef struct subject {
  dpc_checkpoint_info info;
  float scale[SMALL_OBS], offset[SMALL_OBS];
  dpc_unet* unet;
  dpc_schedule* schedule;
  float* params;
} subject;

static subject* make(int schedule, int prediction) {
  subject* s = DPC_TAKE(&arena, subject, 1);
  small_policy_info(&s->info, s->scale, s->offset);
  s->info.schedule.kind = schedule;
  s->info.schedule.prediction = prediction;
  s->info.sampler.grid = DPC_GRID_TRAILING;
  assert_ok(dpc_unet_create(&s->info.unet, &arena, &s->unet, &error), &error);
  assert_ok(dpc_schedule_create(&s->info.schedule, &arena, &s->schedule, &error), &error);
  s->params = DPC_TAKE(&arena, float, dpc_unet_param_count(s->unet));
  dpc_unet_init(s->unet, key, s->params);
  return s;
}

static dpc_guide* guide_for(const subject* s) {
  dpc_guide* guide = NULL;
  assert_ok(dpc_guide_create(s->schedule, s->unet, s->params, 1, &arena, &guide, &error), &error);
  return guide;
}

// --- weights -------------------------------------------------------------------------------------

static void test_weights_fall_from_one_to_nothing(void** state) {
  (void)state;
  for (int settled = 0; settled < 5; ++settled) {
    for (int near = 0; near < 6; ++near) {
      double before = 1.0;
      for (int row = 0; row < 12; ++row) {
        const double weight = dpc_guide_weight(settled, near, row);
        if (row < settled) assert_true(weight == 1.0);
        if (row >= settled && row < settled + near) assert_true(weight > 0.0 && weight < before);
        if (row >= settled + near) assert_true(weight == 0.0);
        before = weight;
      }
    }
  }
  // c (e^c - 1) / (e - 1) at c = 1/2
  assert_near(dpc_guide_weight(3, 1, 3), 0.5 * (exp(0.5) - 1) / (exp(1.0) - 1), 1e-12);
}

// --- one prediction ------------------------------------------------------------------------------

enum { SETTLED = 3, NEAR = 4 };

static float x[CHUNK], rows[CHUNK], cond[OBS];

static void draw(void) {
  dpc_rng_normal(key, DPC_STREAM_TEST, 0, 0, CHUNK, x);
  dpc_rng_normal(key, DPC_STREAM_TEST, 1, 0, CHUNK, rows);
  dpc_rng_normal(key, DPC_STREAM_TEST, 2, 0, OBS, cond);
}

// Half the weighted squared distance of the clean chunk from the rows.
static double distance(const subject* s, dpc_guide* guide, float t, const float* at) {
  float prediction[CHUNK];
  const dpc_reading reading =
      dpc_schedule_reading(s->schedule, dpc_schedule_level(s->schedule, (double)t));
  dpc_guide_set(guide, 0, 0, 0, NULL);
  dpc_guide_predict(guide, 0, t, cond, at, prediction);
  double sum = 0.0;
  for (int i = 0; i < CHUNK; ++i) {
    const double clean = reading.clean_x * (double)at[i] + reading.clean_p * (double)prediction[i];
    const double off = clean - (double)rows[i];
    sum += 0.5 * dpc_guide_weight(SETTLED, NEAR, i / SMALL_ACTION) * off * off;
  }
  return sum;
}

// What is added to the clean chunk is noise times strength times the distance's slope by x, downhill.
static void check_gradient(int schedule, int prediction_kind, float t) {
  const subject* s = make(schedule, prediction_kind);
  dpc_guide* guide = guide_for(s);
  float plain[CHUNK], drawn[CHUNK], moved[CHUNK];
  const dpc_noise_level level = dpc_schedule_level(s->schedule, (double)t);
  const dpc_reading reading = dpc_schedule_reading(s->schedule, level);
  dpc_guide_set(guide, 0, 0, 0, NULL);
  dpc_guide_predict(guide, 0, t, cond, x, plain);
  dpc_guide_set(guide, 0, SETTLED, NEAR, rows);
  dpc_guide_predict(guide, 0, t, cond, x, drawn);
  const double power = level.signal * level.signal + level.noise * level.noise;
  const double strength = fmin(5.0, power / (level.signal * level.noise));
  double gradient[CHUNK], square = 0.0, side[2];
  for (int i = 0; i < CHUNK; ++i) {
    const double added = reading.clean_p * ((double)drawn[i] - (double)plain[i]);
    gradient[i] = added / (level.noise * strength);
    square += gradient[i] * gradient[i];
  }
  assert_true(square > 1e-3);
  const double step = 5e-3 / sqrt(square);
  for (int k = 0; k < 2; ++k) {
    for (int i = 0; i < CHUNK; ++i) {
      moved[i] = (float)((double)x[i] + (k == 0 ? step : -step) * gradient[i]);
    }
    side[k] = distance(s, guide, t, moved);
  }
  assert_near((side[0] - side[1]) / (2 * step * square), -1.0, 1e-2);
}

static void test_a_prediction_is_drawn_downhill(void** state) {
  (void)state;
  draw();
  check_gradient(DPC_SCHEDULE_FLOW, DPC_PREDICT_VELOCITY, 100);
  check_gradient(DPC_SCHEDULE_FLOW, DPC_PREDICT_VELOCITY, 40);
  check_gradient(DPC_SCHEDULE_FLOW, DPC_PREDICT_SAMPLE, 60);
  check_gradient(DPC_SCHEDULE_SQUAREDCOS_CAP_V2, DPC_PREDICT_EPSILON, 50);
  check_gradient(DPC_SCHEDULE_LINEAR, DPC_PREDICT_V, 20);
}

// --- chunks --------------------------------------------------------------------------------------

static dpc_policy* policy_of(const subject* s) {
  const dpc_engine_def engine = {.precision = DPC_PRECISION_FP32, .threads = 1};
  dpc_policy* policy = NULL;
  assert_ok(dpc_policy_create(&s->info, s->unet, s->params, &engine, &arena, &policy, &error),
            &error);
  return policy;
}

static dpc_policy_work* work_for(const dpc_policy* policy, int chunks, bool guided) {
  dpc_policy_work* work = NULL;
  assert_ok(dpc_policy_work_create(policy, NULL, chunks, &arena, &work, &error), &error);
  if (guided) assert_ok(dpc_policy_guide(policy, work, &arena, &error), &error);
  return work;
}

static double row_distance(const float* chunk, const float* to, int first, int count) {
  double sum = 0.0;
  for (int i = first * SMALL_ACTION; i < (first + count) * SMALL_ACTION; ++i) {
    sum += fabs((double)chunk[i] - (double)to[i]);
  }
  return sum / (count * SMALL_ACTION);
}

// Without rows to stay near it is the engine's chunk; with them it begins with the settled ones and
// comes closer to the others; and several at once are as each alone.
static void check_chunks(int schedule, int prediction) {
  enum { COUNT = 3 };
  const subject* s = make(schedule, prediction);
  const dpc_policy* policy = policy_of(s);
  float obs[OBS], wanted[CHUNK], free_chunk[CHUNK], chunks[COUNT][CHUNK], alone[CHUNK];
  dpc_policy_query queries[COUNT];
  for (int i = 0; i < OBS; ++i) obs[i] = 100 + 5 * (float)i;
  for (int i = 0; i < CHUNK; ++i) wanted[i] = 150 + 7 * (float)i;
  assert_ok(dpc_policy_act(policy, work_for(policy, 1, false), obs, key, 3, free_chunk, &error),
            &error);
  for (int i = 0; i < COUNT; ++i) {
    queries[i] = (dpc_policy_query){.obs = obs,
                                    .key = key,
                                    .plan = 3,
                                    .fixed_count = i,
                                    .near_count = 4 * i,
                                    .fixed = wanted,
                                    .chunk = chunks[i]};
  }
  assert_ok(dpc_policy_act_together(policy, work_for(policy, COUNT, true), COUNT, queries, &error),
            &error);
  for (int i = 0; i < CHUNK; ++i) assert_near(chunks[0][i], free_chunk[i], 0.02);
  for (int i = 1; i < COUNT; ++i) {
    assert_memory_equal(chunks[i], wanted, sizeof(float) * (size_t)(i * SMALL_ACTION));
    const double before = row_distance(free_chunk, wanted, i, 2);
    assert_true(row_distance(chunks[i], wanted, i, 2) < 0.5 * before);
    dpc_policy_query query = queries[i];
    query.chunk = alone;
    assert_ok(dpc_policy_act_together(policy, work_for(policy, 1, true), 1, &query, &error),
              &error);
    assert_memory_equal(alone, chunks[i], sizeof alone);
  }
}

static void test_chunks_stay_near_their_rows(void** state) {
  (void)state;
  // not epsilon: what a random network says of almost pure noise stands for absurd chunks
  check_chunks(DPC_SCHEDULE_FLOW, DPC_PREDICT_VELOCITY);
  check_chunks(DPC_SCHEDULE_SQUAREDCOS_CAP_V2, DPC_PREDICT_V);
}

static void test_a_trained_policy_needs_no_guide(void** state) {
  (void)state;
  subject* s = make(DPC_SCHEDULE_FLOW, DPC_PREDICT_VELOCITY);
  s->info.prefix_max = s->info.unet.mask_dim = 1;
  assert_ok(dpc_unet_create(&s->info.unet, &arena, &s->unet, &error), &error);
  const size_t mark = dpc_arena_mark(&arena);
  dpc_guide* guide = NULL;
  assert_fails(dpc_guide_create(s->schedule, s->unet, s->params, 1, &arena, &guide, &error),
               DPC_ERR_CONFIG, &error, "trained to go on from settled rows");
  assert_null(guide);
  assert_int_equal(dpc_arena_mark(&arena), mark);
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
      TEST(test_weights_fall_from_one_to_nothing),
      TEST(test_a_prediction_is_drawn_downhill),
      TEST(test_chunks_stay_near_their_rows),
      TEST(test_a_trained_policy_needs_no_guide),
  };
  return cmocka_run_group_tests_name("guide", tests, NULL, NULL);
}
