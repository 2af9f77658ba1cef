#include "policy/train/objective.h"

#include "tests/test.h"

enum { DRAWS = 20000, STEPS = 100 };

static const dpc_rng_key key = {5, 6};

static float draw(int kind, int distribution, uint32_t sample) {
  dpc_schedule_def schedule = dpc_schedule_def_default();
  dpc_train_def def = {.time_distribution = distribution};
  schedule.kind = kind;
  schedule.steps = STEPS;
  return dpc_objective_timestep(&def, &schedule, key, 1, sample);
}

// Distribution functions of the noise factor, from their definitions.
static double uniform(double x) {
  return x;
}

static double beta(double x) {
  return x * sqrt(x);
}

static double logit_normal(double x) {
  return 0.5 * erfc(-log(x / (1.0 - x)) / sqrt(2.0));
}

// The share of draws below a limit is as it should be: four standard deviations of a share of one
// half are 0.014.
static void test_times_have_their_distribution(void** state) {
  (void)state;
  double (*const functions[])(double) = {uniform, beta, logit_normal};
  for (int distribution = 0; distribution < DPC_COUNT(functions); ++distribution) {
    int below[10] = {0}, whole = 0;
    for (uint32_t sample = 0; sample < DRAWS; ++sample) {
      const float t = draw(DPC_SCHEDULE_FLOW, distribution, sample);
      assert_true(t > 0.0f && t <= (float)STEPS);
      whole += t == floorf(t);
      for (int i = 1; i < 10; ++i) below[i] += (double)t < STEPS * i / 10.0;
    }
    for (int i = 1; i < 10; ++i) {
      assert_near((double)below[i] / DRAWS, functions[distribution](i / 10.0), 0.014);
    }
    assert_true(whole < 10);  // a real number, not one of 100
  }
}

static void test_other_kinds_draw_every_whole_timestep(void** state) {
  (void)state;
  int seen[STEPS] = {0};
  for (uint32_t sample = 0; sample < DRAWS; ++sample) {
    const float t = draw(DPC_SCHEDULE_LINEAR, DPC_TIME_UNIFORM, sample);
    assert_true(t == floorf(t) && t >= 0.0f && t < (float)STEPS);
    ++seen[(int)t];
  }
  for (int t = 0; t < STEPS; ++t) assert_in_range(seen[t], 140, 260);  // 200, sd 14
}

static void test_the_blur_has_its_deviation(void** state) {
  (void)state;
  enum { N = 40 };
  const dpc_train_def clear = {.obs_noise = 0.0}, blurred = {.obs_noise = 0.25};
  double sum = 0.0, squares = 0.0;
  for (uint32_t sample = 0; sample < DRAWS / N; ++sample) {
    float cond[N], again[N], noise[N];
    for (int i = 0; i < N; ++i) cond[i] = again[i] = 0.5f;
    dpc_objective_blur(&clear, key, 1, sample, N, noise, cond);
    for (int i = 0; i < N; ++i) assert_true(cond[i] == 0.5f);
    dpc_objective_blur(&blurred, key, 1, sample, N, noise, cond);
    dpc_objective_blur(&blurred, key, 1, sample, N, noise, again);
    assert_memory_equal(cond, again, sizeof cond);
    for (int i = 0; i < N; ++i) {
      sum += (double)cond[i] - 0.5;
      squares += ((double)cond[i] - 0.5) * ((double)cond[i] - 0.5);
    }
  }
  assert_near(sum / DRAWS, 0.0, 0.0075);
  assert_near(sqrt(squares / DRAWS), 0.25, 0.005);
}

// The chunk's noise must not tell the network what was added to the observation.
static void test_the_blur_is_not_the_chunks_noise(void** state) {
  (void)state;
  enum { N = 8 };
  const dpc_train_def def = {.obs_noise = 1.0};
  double product = 0.0;
  for (uint32_t sample = 0; sample < DRAWS / N; ++sample) {
    float cond[N] = {0}, noise[N], chunk[N];
    dpc_objective_blur(&def, key, 1, sample, N, noise, cond);
    dpc_rng_normal(key, DPC_STREAM_TRAIN_NOISE, 1, sample, N, chunk);
    for (int i = 0; i < N; ++i) product += (double)cond[i] * (double)chunk[i];
  }
  assert_near(product / DRAWS, 0.0, 0.03);
}

// Every length from none to the most as often as any other, and always the same for a window.
static void test_settled_rows_have_every_length(void** state) {
  (void)state;
  enum { MOST = 7 };
  const dpc_train_def off = {0}, on = {.prefix_max = MOST};
  int seen[MOST + 1] = {0};
  for (uint32_t sample = 0; sample < DRAWS; ++sample) {
    assert_int_equal(dpc_objective_prefix(&off, key, 1, sample), 0);
    const int rows = dpc_objective_prefix(&on, key, 1, sample);
    assert_in_range(rows, 0, MOST);
    assert_int_equal(dpc_objective_prefix(&on, key, 1, sample), rows);
    ++seen[rows];
  }
  for (int i = 0; i <= MOST; ++i) assert_in_range(seen[i], 2300, 2700);  // 2500, sd 47
}

static void test_settled_rows_are_clean_and_marked(void** state) {
  (void)state;
  enum { ROWS = 5, DIM = 2 };
  float clean[ROWS * DIM], noisy[ROWS * DIM], given[ROWS * (DIM + 1)];
  for (int i = 0; i < ROWS * DIM; ++i) {
    clean[i] = (float)i;
    noisy[i] = (float)i + 0.5f;
  }
  for (int settled = 0; settled <= ROWS; ++settled) {
    dpc_objective_mark(settled, ROWS, DIM, clean, noisy, given);
    for (int row = 0; row < ROWS; ++row) {
      const float* expected = row < settled ? clean : noisy;
      assert_memory_equal(given + (ptrdiff_t)row * (DIM + 1), expected + (ptrdiff_t)row * DIM,
                          sizeof(float) * DIM);
      assert_true(given[row * (DIM + 1) + DIM] == (row < settled ? 1.0f : 0.0f));
    }
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_times_have_their_distribution),
      cmocka_unit_test(test_other_kinds_draw_every_whole_timestep),
      cmocka_unit_test(test_the_blur_has_its_deviation),
      cmocka_unit_test(test_the_blur_is_not_the_chunks_noise),
      cmocka_unit_test(test_settled_rows_have_every_length),
      cmocka_unit_test(test_settled_rows_are_clean_and_marked),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
