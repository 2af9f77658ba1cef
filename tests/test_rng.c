#include "policy/rng.h"

#include "tests/test.h"

static const dpc_rng_key key = {42, 7};

// The known answer that Random123 publishes for Philox4x32-10.
static void test_philox_known_answer(void** state) {
  (void)state;
  static const uint32_t expected[4] = {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8};
  uint32_t bits[4];
  dpc_rng_bits((dpc_rng_key){0, 0}, 0, 0, 0, 0, bits);
  assert_memory_equal(bits, expected, sizeof bits);
}

static void test_every_word_of_key_and_counter_matters(void** state) {
  (void)state;
  uint32_t base[4], other[4];
  dpc_rng_bits(key, 1, 2, 3, 4, base);
  for (int i = 0; i < 6; ++i) {
    const uint32_t word[6] = {i == 0, i == 1, i == 2, i == 3, i == 4, i == 5};
    dpc_rng_bits((dpc_rng_key){key.run + word[0], key.episode + word[1]}, 1 + word[2], 2 + word[3],
                 3 + word[4], 4 + word[5], other);
    for (int j = 0; j < 4; ++j) assert_true(base[j] != other[j]);
  }
}

static void test_an_element_does_not_depend_on_how_many_are_asked_for(void** state) {
  (void)state;
  enum { MOST = 67 };
  float all[MOST], some[MOST + 1];
  void (*const draws[])(dpc_rng_key, uint32_t, uint32_t, uint32_t, int, float*) = {dpc_rng_normal,
                                                                                   dpc_rng_uniform};
  for (int d = 0; d < DPC_COUNT(draws); ++d) {
    draws[d](key, DPC_STREAM_TEST, 5, 6, MOST, all);
    for (int n = 0; n <= MOST; ++n) {
      for (int i = 0; i <= MOST; ++i) some[i] = 999.0f;
      draws[d](key, DPC_STREAM_TEST, 5, 6, n, some);
      assert_memory_equal(all, some, sizeof(float) * (size_t)n);
      for (int i = n; i <= MOST; ++i) assert_true(some[i] == 999.0f);
    }
  }
}

// Limits are five standard errors of a million draws.
static void test_normals_have_the_moments_and_tails_of_a_normal(void** state) {
  (void)state;
  enum { N = 1000, CALLS = 1000 };
  const double count = (double)N * CALLS;
  double sum[5] = {0}, lagged = 0.0;
  int beyond[5] = {0};
  for (int call = 0; call < CALLS; ++call) {
    float z[N];
    dpc_rng_normal(key, DPC_STREAM_TEST, (uint32_t)call, 0, N, z);
    for (int i = 0; i < N; ++i) {
      assert_true(isfinite(z[i]) && fabsf(z[i]) < 6.8f);
      for (int power = 1; power < 5; ++power) sum[power] += pow(z[i], power);
      for (int limit = 1; limit < 5; ++limit) beyond[limit] += fabsf(z[i]) > (float)limit;
      if (i > 0) lagged += (double)z[i] * z[i - 1];
    }
  }
  const double error = 1.0 / sqrt(count);
  assert_near(sum[1] / count, 0.0, 5 * error);
  assert_near(sum[2] / count, 1.0, 5 * error * sqrt(2));
  assert_near(sum[3] / count, 0.0, 5 * error * sqrt(15));
  assert_near(sum[4] / count, 3.0, 5 * error * sqrt(96));
  assert_near(lagged / count, 0.0, 5 * error);
  for (int limit = 1; limit < 5; ++limit) {
    const double p = erfc(limit / sqrt(2.0));
    assert_near(beyond[limit] / count, p, 5 * error * sqrt(p * (1 - p)));
  }
}

static void test_uniforms_stay_inside_and_fill_evenly(void** state) {
  (void)state;
  enum { N = 100000, BINS = 50 };
  static float u[N];
  int bins[BINS] = {0};
  dpc_rng_uniform(key, DPC_STREAM_TEST, 0, 0, N, u);
  for (int i = 0; i < N; ++i) {
    assert_true(u[i] > 0.0f && u[i] < 1.0f);
    ++bins[(int)(u[i] * BINS)];
  }
  const double expected = (double)N / BINS;
  double chi2 = 0.0;
  for (int b = 0; b < BINS; ++b) chi2 += pow(bins[b] - expected, 2) / expected;
  assert_true(chi2 < 49 + 5 * sqrt(2 * 49));
}

// With 3 * 2^30, taking the remainder would make the lowest third twice as likely.
static void test_bounded_integers_are_unbiased(void** state) {
  (void)state;
  static const uint32_t bounds[] = {1, 2, 3, 7, 100, 1u << 31, 3u << 30, UINT32_MAX};
  enum { N = 30000, BINS = 6 };
  for (int b = 0; b < DPC_COUNT(bounds); ++b) {
    int bins[BINS] = {0};
    for (uint32_t i = 0; i < N; ++i) {
      const uint32_t value = dpc_rng_below(key, DPC_STREAM_TEST, 1, 2, i, bounds[b]);
      assert_true(value < bounds[b]);
      ++bins[(uint64_t)value * BINS / bounds[b]];
    }
    for (int bin = 0; bounds[b] > 100 && bin < BINS; ++bin) {
      const double p = 1.0 / BINS;
      assert_near(bins[bin] / (double)N, p, 5 * sqrt(p * (1 - p) / N));
    }
  }
}

static void test_permutations_are_permutations_and_reach_all(void** state) {
  (void)state;
  int seen[24] = {0};
  for (uint32_t epoch = 0; epoch < 2400; ++epoch) {
    int order[4], used[4] = {0};
    dpc_rng_permutation(key, DPC_STREAM_SHUFFLE, epoch, 4, order);
    int rank = 0;
    for (int i = 0; i < 4; ++i) {
      assert_int_equal(used[order[i]]++, 0);
      int smaller = 0;
      for (int j = i + 1; j < 4; ++j) smaller += order[j] < order[i];
      rank = rank * (4 - i) + smaller;
    }
    ++seen[rank];
  }
  for (int i = 0; i < 24; ++i) assert_near(seen[i], 100, 5 * sqrt(100));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_philox_known_answer),
      cmocka_unit_test(test_every_word_of_key_and_counter_matters),
      cmocka_unit_test(test_an_element_does_not_depend_on_how_many_are_asked_for),
      cmocka_unit_test(test_normals_have_the_moments_and_tails_of_a_normal),
      cmocka_unit_test(test_uniforms_stay_inside_and_fill_evenly),
      cmocka_unit_test(test_bounded_integers_are_unbiased),
      cmocka_unit_test(test_permutations_are_permutations_and_reach_all),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
