#include "policy/schedule.h"

#include "policy/rng.h"
#include "tests/test.h"

static dpc_arena arena;

static dpc_schedule* make(int kind, int steps, int prediction) {
  dpc_schedule_def def = dpc_schedule_def_default();
  dpc_error error = {""};
  dpc_schedule* schedule = NULL;
  def.kind = kind;
  def.steps = steps;
  def.prediction = prediction;
  assert_ok(dpc_schedule_create(&def, &arena, &schedule, &error), &error);
  return schedule;
}

static void test_defaults(void** state) {
  (void)state;
  const dpc_schedule_def def = dpc_schedule_def_default();
  assert_int_equal(def.kind, DPC_SCHEDULE_SQUAREDCOS_CAP_V2);
  assert_int_equal(def.steps, 100);
  assert_int_equal(def.prediction, DPC_PREDICT_EPSILON);
  assert_ok(dpc_schedule_def_check(&def, NULL), &(dpc_error){""});
}

// Published figures: sqrt(A_T) = 6.4e-3 for 1000 linear steps; the cosine's last beta is capped.
static void test_known_values(void** state) {
  (void)state;
  const dpc_schedule* linear = make(DPC_SCHEDULE_LINEAR, 1000, DPC_PREDICT_EPSILON);
  assert_near(linear->levels[999].signal, 6.353e-3, 1e-6);
  assert_near(linear->beta[0], 1e-4, 1e-15);
  assert_near(linear->beta[999], 0.02, 1e-15);
  const dpc_schedule* scaled = make(DPC_SCHEDULE_SCALED_LINEAR, 1000, DPC_PREDICT_EPSILON);
  assert_near(scaled->beta[0], 1e-4, 1e-15);
  assert_near(scaled->beta[999], 0.02, 1e-15);
  const dpc_schedule* cosine = make(DPC_SCHEDULE_SQUAREDCOS_CAP_V2, 100, DPC_PREDICT_EPSILON);
  assert_near(cosine->beta[99], 0.999, 0.0);
  // where the cap is not reached, the product telescopes to the cosine itself
  const double half_pi = acos(0.0);
  for (int t = 0; t < 99; ++t) {
    const double ratio =
        cos(((t + 1) / 100.0 + 0.008) / 1.008 * half_pi) / cos(0.008 / 1.008 * half_pi);
    assert_near(cosine->levels[t].signal, ratio, 1e-13);
  }
}

static void test_the_signal_falls_from_one_to_almost_nothing(void** state) {
  (void)state;
  static const int steps[] = {1, 2, 10, 100, 1000, 10000};
  for (int kind = 0; kind < 3; ++kind) {
    for (int s = 0; s < DPC_COUNT(steps); ++s) {
      const dpc_schedule* schedule = make(kind, steps[s], DPC_PREDICT_EPSILON);
      double before = 1.0;
      for (int t = 0; t < steps[s]; ++t) {
        assert_true(schedule->beta[t] > 0.0 && schedule->beta[t] <= 0.999);
        const dpc_noise_level level = dpc_schedule_level(schedule, t);
        assert_true(level.signal > 0.0 && level.signal < before);
        assert_near(level.signal * level.signal + level.noise * level.noise, 1.0, 1e-15);
        before = level.signal;
      }
    }
  }
}

// Carry mean factor and variance through x_t = sqrt(1 - b) x_{t-1} + sqrt(b) e, one step at a time,
// and read the closed form's own from how it treats (1, 0) and (0, 1).
static void test_closed_form_equals_steps_one_by_one(void** state) {
  (void)state;
  for (int kind = 0; kind < 3; ++kind) {
    const dpc_schedule* schedule = make(kind, 100, DPC_PREDICT_EPSILON);
    double mean = 1.0, variance = 0.0;
    for (int t = 0; t < 100; ++t) {
      const float clean[2] = {1.0f, 0.0f}, noise[2] = {0.0f, 1.0f};
      float noisy[2];
      mean *= sqrt(1.0 - schedule->beta[t]);
      variance = (1.0 - schedule->beta[t]) * variance + schedule->beta[t];
      dpc_schedule_add_noise(dpc_schedule_level(schedule, t), clean, noise, 2, noisy);
      assert_near(noisy[0], mean, 1e-7);
      assert_near(noisy[1], sqrt(variance), 1e-7);
    }
  }
}

// Straight from clean at 0 to noise at T, at any real time; both ends are exact.
static void test_flow_is_a_straight_line(void** state) {
  (void)state;
  const dpc_schedule* schedule = make(DPC_SCHEDULE_FLOW, 100, DPC_PREDICT_VELOCITY);
  const dpc_noise_level clean = dpc_schedule_level(schedule, 0.0);
  const dpc_noise_level noise = dpc_schedule_level(schedule, 100.0);
  assert_true(clean.signal == 1.0 && clean.noise == 0.0);
  assert_true(noise.signal == 0.0 && noise.noise == 1.0);
  for (int i = 0; i <= 270; ++i) {
    const double t = 0.37 * i;
    const dpc_noise_level level = dpc_schedule_level(schedule, t);
    assert_near(level.noise, t / 100.0, 1e-15);
    assert_near(level.signal + level.noise, 1.0, 1e-15);
  }
}

static const int pairs[][2] = {{DPC_SCHEDULE_SQUAREDCOS_CAP_V2, DPC_PREDICT_EPSILON},
                               {DPC_SCHEDULE_SQUAREDCOS_CAP_V2, DPC_PREDICT_SAMPLE},
                               {DPC_SCHEDULE_SQUAREDCOS_CAP_V2, DPC_PREDICT_V},
                               {DPC_SCHEDULE_FLOW, DPC_PREDICT_SAMPLE},
                               {DPC_SCHEDULE_FLOW, DPC_PREDICT_VELOCITY}};

// From x_t and the target, clean chunk and noise must come back, whatever the network is asked for.
static void test_targets_are_read_back(void** state) {
  (void)state;
  enum { N = 16 };
  float clean[N], noise[N], noisy[N], target[N];
  dpc_rng_normal((dpc_rng_key){1, 2}, DPC_STREAM_TEST, 0, 0, N, clean);
  dpc_rng_normal((dpc_rng_key){1, 2}, DPC_STREAM_TEST, 0, 1, N, noise);
  for (int pair = 0; pair < DPC_COUNT(pairs); ++pair) {
    const dpc_schedule* schedule = make(pairs[pair][0], 100, pairs[pair][1]);
    for (int t = 1; t < 90; t += 7) {
      const dpc_noise_level level = dpc_schedule_level(schedule, t);
      const dpc_reading reading = dpc_schedule_reading(schedule, level);
      dpc_schedule_add_noise(level, clean, noise, N, noisy);
      dpc_schedule_target(schedule, level, clean, noise, N, target);
      for (int i = 0; i < N; ++i) {
        const double x = noisy[i], p = target[i];
        assert_near(x, level.signal * clean[i] + level.noise * noise[i], 1e-6);
        assert_near(reading.clean_x * x + reading.clean_p * p, clean[i], 2e-6 / level.signal);
        assert_near(reading.epsilon_x * x + reading.epsilon_p * p, noise[i], 2e-6 / level.noise);
      }
    }
  }
}

// The targets by their definitions, on numbers that can be checked by hand.
static void test_targets_are_what_they_say(void** state) {
  (void)state;
  const double expected[] = {2.0, 0.5, 0.6 * 2.0 - 0.8 * 0.5, 0.5, 0.5 - 2.0};
  const dpc_noise_level level = {.signal = 0.6, .noise = 0.8};
  for (int pair = 0; pair < DPC_COUNT(pairs); ++pair) {
    float target;
    dpc_schedule_target(make(pairs[pair][0], 100, pairs[pair][1]), level, &(float){0.5f},
                        &(float){2.0f}, 1, &target);
    assert_near(target, expected[pair], 1e-6);
  }
}

// Hang et al. 2023: min(r, 5) for the clean chunk, over r for the noise, over r + 1 for v.
static void test_min_snr_is_the_papers(void** state) {
  (void)state;
  for (int prediction = DPC_PREDICT_EPSILON; prediction <= DPC_PREDICT_V; ++prediction) {
    const dpc_schedule* schedule = make(DPC_SCHEDULE_SQUAREDCOS_CAP_V2, 100, prediction);
    for (int t = 0; t < 100; ++t) {
      const dpc_noise_level level = dpc_schedule_level(schedule, t);
      const double r = level.signal * level.signal / (level.noise * level.noise);
      const double clean = r < 5.0 ? r : 5.0;
      const double expected[] = {clean / r, clean, clean / (r + 1.0)};
      assert_near(dpc_schedule_min_snr(schedule, level, 5.0), expected[prediction], 1e-12);
    }
  }
}

static void test_bad_settings_are_refused(void** state) {
  (void)state;
  dpc_error error = {""};
  dpc_schedule* schedule = NULL;
  dpc_schedule_def def = dpc_schedule_def_default();
  def.steps = 0;
  assert_fails(dpc_schedule_create(&def, &arena, &schedule, &error), DPC_ERR_CONFIG, &error,
               "schedule.steps");
  def = dpc_schedule_def_default();
  def.beta_end = 1e-5;
  assert_fails(dpc_schedule_create(&def, &arena, &schedule, &error), DPC_ERR_CONFIG, &error,
               "schedule.beta_start");
  // a product of 10000 times 0.5 is no number that a sampler could divide by
  def = dpc_schedule_def_default();
  def.kind = DPC_SCHEDULE_LINEAR;
  def.steps = 10000;
  def.beta_start = def.beta_end = 0.5;
  assert_fails(dpc_schedule_create(&def, &arena, &schedule, &error), DPC_ERR_CONFIG, &error,
               "no signal is left");
  assert_null(schedule);
}

static void test_each_kind_has_its_own_predictions(void** state) {
  (void)state;
  dpc_error error = {""};
  dpc_schedule* schedule = NULL;
  dpc_schedule_def def = dpc_schedule_def_default();
  def.prediction = DPC_PREDICT_VELOCITY;
  assert_fails(dpc_schedule_create(&def, &arena, &schedule, &error), DPC_ERR_CONFIG, &error,
               "schedule.prediction: velocity does not go with kind squaredcos_cap_v2");
  def.kind = DPC_SCHEDULE_FLOW;
  assert_ok(dpc_schedule_def_check(&def, &error), &error);
  def.prediction = DPC_PREDICT_SAMPLE;
  assert_ok(dpc_schedule_def_check(&def, &error), &error);
  def.prediction = DPC_PREDICT_EPSILON;
  assert_fails(dpc_schedule_create(&def, &arena, &schedule, &error), DPC_ERR_CONFIG, &error,
               "schedule.prediction: epsilon does not go with kind flow");
  def.prediction = DPC_PREDICT_V;
  assert_fails(dpc_schedule_create(&def, &arena, &schedule, &error), DPC_ERR_CONFIG, &error,
               "schedule.prediction: v_prediction does not go with kind flow");
  assert_null(schedule);
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
      cmocka_unit_test(test_defaults),
      cmocka_unit_test(test_known_values),
      cmocka_unit_test(test_the_signal_falls_from_one_to_almost_nothing),
      cmocka_unit_test(test_closed_form_equals_steps_one_by_one),
      cmocka_unit_test(test_flow_is_a_straight_line),
      cmocka_unit_test(test_targets_are_read_back),
      cmocka_unit_test(test_targets_are_what_they_say),
      cmocka_unit_test(test_min_snr_is_the_papers),
      cmocka_unit_test(test_bad_settings_are_refused),
      cmocka_unit_test(test_each_kind_has_its_own_predictions),
  };
  return cmocka_run_group_tests(tests, setup, teardown);
}
