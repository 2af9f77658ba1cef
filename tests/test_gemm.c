// The three products against their definition, over sizes around the kernels' blocks, with rows that
// lie further apart than they are long.

#include "policy/gemm.h"

#include <pthread.h>

#include "policy/rng.h"
#include "tests/test.h"

enum { GAP = 3, SIDE = 70, MAX = (SIDE + GAP) * SIDE };

static float a[MAX], b[MAX], c[MAX], before[MAX];

static void fill(float* values, uint32_t number) {
  dpc_rng_normal((dpc_rng_key){12, 0}, DPC_STREAM_TEST, number, 0, MAX, values);
}

typedef void (*product)(int m, int n, int k, const float* a, int lda, const float* b, int ldb,
                        float beta, float* c, int ldc);

typedef struct layout {
  product product;
  bool a_turned, b_turned;  // kept as [k x m], as [n x k]
} layout;

static const layout layouts[] = {
    {dpc_gemm_nn, false, false}, {dpc_gemm_nt, false, true}, {dpc_gemm_tn, true, false}};

static void check_product(const layout* l, int m, int n, int k, float beta) {
  const int lda = (l->a_turned ? m : k) + GAP, ldb = (l->b_turned ? k : n) + GAP, ldc = n + GAP;
  memcpy(c, before, sizeof c);
  l->product(m, n, k, a, lda, b, ldb, beta, c, ldc);
  for (int i = 0; i < m; ++i) {
    for (int j = 0; j < n; ++j) {
      double sum = (double)beta * (double)before[i * ldc + j], size = 1;
      for (int p = 0; p < k; ++p) {
        const double x = (double)a[l->a_turned ? p * lda + i : i * lda + p];
        const double y = (double)b[l->b_turned ? j * ldb + p : p * ldb + j];
        sum += x * y;
        size += fabs(x * y);
      }
      assert_near(c[i * ldc + j], sum, 1e-6 * size);
    }
    // between the rows nothing is touched
    const size_t gap = i + 1 < m ? sizeof(float) * GAP : 0;
    const size_t end = (size_t)i * (size_t)ldc + (size_t)n;
    assert_memory_equal(c + end, before + end, gap);
  }
}

static void test_products(void** state) {
  (void)state;
  static const int sizes[] = {1, 2, 5, 16, 33, SIDE};
  fill(a, 1);
  fill(b, 2);
  fill(before, 3);
  for (int l = 0; l < DPC_COUNT(layouts); ++l) {
    for (int i = 0; i < 6 * 6 * 6; ++i) {
      const int m = sizes[i % 6], n = sizes[i / 6 % 6], k = sizes[i / 36];
      check_product(&layouts[l], m, n, k, (float)(i % 3) / 2);
    }
  }
}

// With beta 0 what was in c does not matter, whatever it was.
static void test_beta_zero_ignores_what_was_there(void** state) {
  (void)state;
  fill(a, 1);
  fill(b, 2);
  for (int i = 0; i < MAX; ++i) c[i] = NAN;
  dpc_gemm_nn(SIDE, SIDE, SIDE, a, SIDE, b, SIDE, 0, c, SIDE);
  for (int i = 0; i < SIDE * SIDE; ++i) assert_true(isfinite(c[i]));
}

// --- threads -------------------------------------------------------------------------------------

enum { THREADS = 4, REPEATS = 50 };

static float by_thread[THREADS][MAX];

static void* multiply(void* result) {
  for (int i = 0; i < REPEATS; ++i) {
    dpc_gemm_nt(SIDE, SIDE, SIDE, a, SIDE, b, SIDE, 0, result, SIDE);
  }
  return NULL;
}

static void test_callers_at_the_same_time_get_the_same_bits(void** state) {
  (void)state;
  pthread_t threads[THREADS];
  fill(a, 1);
  fill(b, 2);
  dpc_gemm_nt(SIDE, SIDE, SIDE, a, SIDE, b, SIDE, 0, c, SIDE);
  for (int i = 0; i < THREADS; ++i) {
    assert_int_equal(pthread_create(&threads[i], NULL, multiply, by_thread[i]), 0);
  }
  for (int i = 0; i < THREADS; ++i) pthread_join(threads[i], NULL);
  for (int i = 0; i < THREADS; ++i) {
    assert_memory_equal(by_thread[i], c, sizeof(float) * SIDE * SIDE);
  }
}

static int start(void** state) {
  (void)state;
  dpc_error error;
  assert_ok(dpc_gemm_start(&error), &error);
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_products),
      cmocka_unit_test(test_beta_zero_ignores_what_was_there),
      cmocka_unit_test(test_callers_at_the_same_time_get_the_same_bits),
  };
  return cmocka_run_group_tests(tests, start, NULL);
}
