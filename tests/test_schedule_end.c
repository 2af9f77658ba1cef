// The forward process as a closed form, as steps one by one, and as many random walks; and which
// schedules reach the unit Gaussian.

#include "policy/schedule_end.h"

#include "policy/rng.h"
#include "tests/test.h"

static dpc_arena arena;

static dpc_schedule* make(int kind, int steps, double beta_start, double beta_end) {
  dpc_schedule_def def = dpc_schedule_def_default();
  dpc_error error = {""};
  dpc_schedule* schedule = NULL;
  def.kind = kind;
  def.steps = steps;
  def.beta_start = beta_start;
  def.beta_end = beta_end;
  if (kind == DPC_SCHEDULE_FLOW) def.prediction = DPC_PREDICT_VELOCITY;
  assert_ok(dpc_schedule_create(&def, &arena, &schedule, &error), &error);
  return schedule;
}

// x_t = sqrt(1 - b) x_{t-1} + sqrt(b) e, its mean and its variance carried on step by step.
static void closed_form_equals_the_recursion(void** state) {
  (void)state;
  static const int steps[] = {1, 10, 100, 1000, 4000};
  for (int kind = 0; kind < DPC_SCHEDULE_FLOW; ++kind) {
    for (int s = 0; s < DPC_COUNT(steps); ++s) {
      const dpc_schedule* schedule = make(kind, steps[s], 1e-4, 0.02);
      double mean = 4, variance = 0;
      for (int t = 0; t < steps[s]; ++t) {
        const double beta = schedule->beta[t];
        mean *= sqrt(1 - beta);
        variance = (1 - beta) * variance + beta;
        const dpc_noise_level level = dpc_schedule_level(schedule, t);
        assert_near(4 * level.signal, mean, 1e-6);
        assert_near(level.noise * level.noise, variance, 1e-6);
      }
    }
  }
}

enum { WALKS = 20000 };

// The step in two; a sample mean's standard error is sigma / sqrt(n), a sample variance's is
// sigma^2 sqrt(2 / n).
static void random_walks_have_the_closed_forms_moments(void** state) {
  (void)state;
  static float walk[WALKS], noise[WALKS];
  const dpc_schedule* schedule = make(DPC_SCHEDULE_LINEAR, 200, 1e-4, 0.1);
  for (int i = 0; i < WALKS; ++i) walk[i] = 4.0f;
  for (int t = 0; t < 200; ++t) {
    const dpc_noise_level step = {sqrt(1 - schedule->beta[t]), sqrt(schedule->beta[t])};
    dpc_rng_normal((dpc_rng_key){7, 8}, DPC_STREAM_TEST, 0, (uint32_t)t, WALKS, noise);
    dpc_schedule_add_noise(step, walk, noise, WALKS, walk);
    if (t % 20 != 19) continue;
    double mean = 0, variance = 0;
    for (int i = 0; i < WALKS; ++i) mean += walk[i] / (double)WALKS;
    for (int i = 0; i < WALKS; ++i) variance += (walk[i] - mean) * (walk[i] - mean) / (WALKS - 1.0);
    const dpc_noise_level level = dpc_schedule_level(schedule, t);
    const double expected = level.noise * level.noise;
    assert_near(mean, 4 * level.signal, 4 * level.noise / sqrt(WALKS));
    assert_near(variance, expected, 4 * expected * sqrt(2.0 / WALKS));
  }
}

static void check_says(const dpc_schedule* schedule, bool expected, const char* said) {
  char words[256];
  assert_int_equal(dpc_schedule_end_check(schedule, words, sizeof words), expected);
  if (strstr(words, said) == NULL) fail_msg("'%s' does not say '%s'", words, said);
}

static void schedules_that_reach_the_unit_gaussian(void** state) {
  (void)state;
  check_says(make(DPC_SCHEDULE_LINEAR, 1000, 1e-4, 0.02), true,
             "schedule linear, 1000 steps: ends with mean factor 0.00635 and variance 1,");
  check_says(make(DPC_SCHEDULE_SCALED_LINEAR, 1000, 1e-4, 0.02), true, "within the tolerance");
  check_says(make(DPC_SCHEDULE_SQUAREDCOS_CAP_V2, 100, 1e-4, 0.02), true, "squaredcos_cap_v2, 100");
  check_says(make(DPC_SCHEDULE_FLOW, 100, 1e-4, 0.02), true, "mean factor 0 and variance 1");
  check_says(make(DPC_SCHEDULE_LINEAR, 100, 1e-3, 0.2), true, "within the tolerance");
  check_says(make(DPC_SCHEDULE_SQUAREDCOS_CAP_V2, 1, 1e-4, 0.02), true, "within the tolerance");
}

static void schedules_that_do_not(void** state) {
  (void)state;
  check_says(make(DPC_SCHEDULE_LINEAR, 100, 1e-4, 0.02), false,
             "ends with mean factor 0.603 and variance 0.6364, not within the tolerance");
  check_says(make(DPC_SCHEDULE_LINEAR, 1000, 1e-5, 1e-3), false, "take more steps or larger betas");
}

// Near the limit on both sides: two steps leave 1 - beta of the data.
static void the_limit_is_where_it_says(void** state) {
  (void)state;
  check_says(make(DPC_SCHEDULE_LINEAR, 2, 0.9501, 0.9501), true, "");
  check_says(make(DPC_SCHEDULE_LINEAR, 2, 0.9499, 0.9499), false, "");
}

static int setup(void** state) {
  (void)state;
  return dpc_arena_map(&arena, 16 << 20, NULL);
}

static int teardown(void** state) {
  (void)state;
  dpc_arena_unmap(&arena);
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(closed_form_equals_the_recursion),
      cmocka_unit_test(random_walks_have_the_closed_forms_moments),
      cmocka_unit_test(schedules_that_reach_the_unit_gaussian),
      cmocka_unit_test(schedules_that_do_not),
      cmocka_unit_test(the_limit_is_where_it_says),
  };
  return cmocka_run_group_tests(tests, setup, teardown);
}
