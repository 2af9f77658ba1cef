#include "policy/normalizer.h"

#include "policy/rng.h"
#include "tests/test.h"

enum { ROWS = 500, DIM = 5 };

static dpc_arena arena;
static float values[ROWS * DIM];

// Columns of very different size; column 3 is constant, column 4 almost.
static void make_values(void) {
  static const float scale[DIM] = {1.0f, 512.0f, 1e-3f, 0.0f, 1e-6f};
  static const float shift[DIM] = {0.0f, 256.0f, -5.0f, 42.0f, 1.0f};
  dpc_rng_normal((dpc_rng_key){1, 1}, DPC_STREAM_TEST, 0, 0, ROWS * DIM, values);
  for (int i = 0; i < ROWS * DIM; ++i) {
    values[i] = values[i] * scale[i % DIM] + shift[i % DIM];
  }
}

static dpc_normalizer fit(dpc_normalizer_mode mode) {
  dpc_normalizer normalizer = {0};
  dpc_error error = {""};
  assert_ok(dpc_normalizer_fit(mode, values, ROWS, DIM, &arena, &normalizer, &error), &error);
  return normalizer;
}

static void test_limits_fill_the_unit_range(void** state) {
  (void)state;
  static float out[ROWS * DIM];
  const dpc_normalizer normalizer = fit(DPC_NORMALIZER_LIMITS);
  dpc_normalizer_apply(&normalizer, values, ROWS, out);
  for (int column = 0; column < DIM; ++column) {
    float least = INFINITY, most = -INFINITY;
    for (int row = 0; row < ROWS; ++row) {
      least = fminf(least, out[row * DIM + column]);
      most = fmaxf(most, out[row * DIM + column]);
    }
    // column 2 sits at -5 with a range of 0.006: float leaves it 3 digits
    const double tolerance = column == 2 ? 2e-3 : 1e-5;
    if (column < 3) {
      assert_near(least, -1.0, tolerance);
      assert_near(most, 1.0, tolerance);
    } else {
      assert_near(least, 0.0, 1e-4);
      assert_near(most, 0.0, 1e-4);
      assert_true(normalizer.scale[column] == 1.0f);
    }
  }
}

static void test_gaussian_has_mean_0_and_deviation_1(void** state) {
  (void)state;
  static float out[ROWS * DIM];
  const dpc_normalizer normalizer = fit(DPC_NORMALIZER_GAUSSIAN);
  dpc_normalizer_apply(&normalizer, values, ROWS, out);
  for (int column = 0; column < DIM; ++column) {
    double sum = 0.0, squares = 0.0;
    for (int row = 0; row < ROWS; ++row) {
      sum += out[row * DIM + column];
      squares += pow(out[row * DIM + column], 2);
    }
    assert_near(sum / ROWS, 0.0, 2e-3);
    assert_near(squares / (ROWS - 1), column < 3 ? 1.0 : 0.0, 1e-3);
  }
}

static void test_invert_undoes_apply_in_place(void** state) {
  (void)state;
  for (int mode = 0; mode < 3; ++mode) {
    static float out[ROWS * DIM];
    const dpc_normalizer normalizer = fit((dpc_normalizer_mode)mode);
    memcpy(out, values, sizeof out);
    dpc_normalizer_apply(&normalizer, out, ROWS, out);
    dpc_normalizer_invert(&normalizer, out, ROWS, out);
    for (int i = 0; i < ROWS * DIM; ++i) {
      // a last digit of the normalised value, and one of the physical one
      const double digit = 3e-7 / normalizer.scale[i % DIM] + 3e-7 * fabs((double)values[i]);
      assert_near(out[i], values[i], digit);
      if (mode == DPC_NORMALIZER_NONE) assert_true(out[i] == values[i]);
    }
  }
}

static void test_one_row_is_constant(void** state) {
  (void)state;
  for (int mode = 0; mode < 2; ++mode) {
    const float row[2] = {7.0f, -1e6f};
    float out[2];
    dpc_normalizer normalizer;
    dpc_error error = {""};
    assert_ok(dpc_normalizer_fit((dpc_normalizer_mode)mode, row, 1, 2, &arena, &normalizer, &error),
              &error);
    dpc_normalizer_apply(&normalizer, row, 1, out);
    assert_true(out[0] == 0.0f && out[1] == 0.0f);
  }
}

static void test_what_is_not_finite_is_refused_by_place(void** state) {
  (void)state;
  static const float bad[] = {NAN, INFINITY, -INFINITY};
  for (int i = 0; i < DPC_COUNT(bad); ++i) {
    float rows[6] = {1, 2, 3, 4, 5, bad[i]};
    dpc_normalizer normalizer = {.dim = -1};
    dpc_error error = {""};
    const size_t mark = dpc_arena_mark(&arena);
    assert_fails(dpc_normalizer_fit(DPC_NORMALIZER_LIMITS, rows, 2, 3, &arena, &normalizer, &error),
                 DPC_ERR_INVALID, &error, "row 1, dimension 2");
    assert_int_equal(normalizer.dim, -1);
    assert_int_equal(dpc_arena_mark(&arena), mark);
  }
}

static void test_check_refuses_what_cannot_be_inverted(void** state) {
  (void)state;
  static const float bad[][2] = {{0, 0},        {NAN, 0},      {1, NAN},
                                 {INFINITY, 0}, {1, INFINITY}, {1e-42f, 0}};
  for (int i = 0; i < DPC_COUNT(bad); ++i) {
    float scale[2] = {1.0f, bad[i][0]}, offset[2] = {0.0f, bad[i][1]};
    const dpc_normalizer normalizer = {2, scale, offset};
    dpc_error error = {""};
    assert_fails(dpc_normalizer_check(&normalizer, &error), DPC_ERR_INVALID, &error, "dimension 1");
  }
}

static int setup(void** state) {
  (void)state;
  make_values();
  return dpc_arena_map(&arena, 1 << 20, NULL);
}

static int teardown(void** state) {
  (void)state;
  dpc_arena_unmap(&arena);
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_limits_fill_the_unit_range),
      cmocka_unit_test(test_gaussian_has_mean_0_and_deviation_1),
      cmocka_unit_test(test_invert_undoes_apply_in_place),
      cmocka_unit_test(test_one_row_is_constant),
      cmocka_unit_test(test_what_is_not_finite_is_refused_by_place),
      cmocka_unit_test(test_check_refuses_what_cannot_be_inverted),
  };
  return cmocka_run_group_tests(tests, setup, teardown);
}
