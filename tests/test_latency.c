#include "runtime/latency.h"

#include "policy/rng.h"
#include "tests/test.h"

static dpc_latency latency, other;

static int setup(void** state) {
  (void)state;
  dpc_latency_clear(&latency);
  dpc_latency_clear(&other);
  return 0;
}

static int compare(const void* a, const void* b) {
  const int64_t x = *(const int64_t*)a, y = *(const int64_t*)b;
  return (x > y) - (x < y);
}

static void test_empty(void** state) {
  (void)state;
  assert_int_equal(dpc_latency_quantile(&latency, 0.5).ns, 0);
  const dpc_latency_summary summary = dpc_latency_summarize(&latency);
  assert_int_equal(summary.count, 0);
  assert_int_equal(summary.max.ns, 0);
}

// One value is every quantile, exactly, over the whole range.
static void test_one_value_is_exact(void** state) {
  (void)state;
  for (int bit = 0; bit < 50; ++bit) {
    for (int64_t add = -1; add <= 1; ++add) {
      const int64_t ns = ((int64_t)1 << bit) + add;
      dpc_latency_clear(&latency);
      dpc_latency_record(&latency, (dpc_duration){ns});
      assert_int_equal(dpc_latency_quantile(&latency, 0).ns, ns);
      assert_int_equal(dpc_latency_quantile(&latency, 0.999).ns, ns);
      assert_int_equal(dpc_latency_summarize(&latency).max.ns, ns);
    }
  }
}

static void test_negative_is_zero_and_huge_is_kept(void** state) {
  (void)state;
  dpc_latency_record(&latency, (dpc_duration){-7});
  dpc_latency_record(&latency, (dpc_duration){INT64_MAX});
  assert_int_equal(dpc_latency_quantile(&latency, 0.5).ns, 0);
  assert_true(dpc_latency_quantile(&latency, 1).ns == INT64_MAX);
}

// Against sorting: never below the true quantile, at most 1/32 above.
static void test_quantiles_of_many(void** state) {
  (void)state;
  enum { N = 5000 };
  static int64_t sorted[N];
  static float uniforms[N];
  dpc_rng_uniform((dpc_rng_key){1, 2}, DPC_STREAM_TEST, 0, 0, N, uniforms);
  for (int i = 0; i < N; ++i) {
    sorted[i] = (int64_t)exp((double)uniforms[i] * 25);
    dpc_latency_record(&latency, (dpc_duration){sorted[i]});
  }
  qsort(sorted, N, sizeof *sorted, compare);
  for (int i = 0; i <= 1000; ++i) {
    const double q = i / 1000.0;
    const int rank = (int)fmax(ceil(q * N), 1);
    const int64_t truth = sorted[rank - 1], got = dpc_latency_quantile(&latency, q).ns;
    assert_true(got >= truth);
    assert_true((double)(got - truth) <= (double)truth / 32);
  }
}

static void test_merge_is_recording_both(void** state) {
  (void)state;
  static dpc_latency both;
  dpc_latency_clear(&both);
  for (int64_t i = 0; i < 1000; ++i) {
    const dpc_duration length = {i * i * 13};
    dpc_latency_record(i % 3 == 0 ? &latency : &other, length);
    dpc_latency_record(&both, length);
  }
  dpc_latency_merge(&latency, &other);
  assert_int_equal(latency.count, both.count);
  assert_int_equal(latency.max_ns, both.max_ns);
  assert_near(latency.sum_ns, both.sum_ns, 1e-3);
  assert_memory_equal(latency.buckets, both.buckets, sizeof both.buckets);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup(test_empty, setup),
      cmocka_unit_test_setup(test_one_value_is_exact, setup),
      cmocka_unit_test_setup(test_negative_is_zero_and_huge_is_kept, setup),
      cmocka_unit_test_setup(test_quantiles_of_many, setup),
      cmocka_unit_test_setup(test_merge_is_recording_both, setup),
  };
  return cmocka_run_group_tests_name("latency", tests, NULL, NULL);
}
