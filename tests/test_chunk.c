#include "runtime/chunk.h"

#include "tests/test.h"

enum { HORIZON = 6, DIM = 2 };

static float values[HORIZON * DIM];

static dpc_chunk make_chunk(uint64_t tick, int ticks_per_step, int first_row) {
  for (int i = 0; i < HORIZON * DIM; ++i) values[i] = (float)i;
  return (dpc_chunk){tick, ticks_per_step, first_row, HORIZON, DIM, values};
}

// For every rate and first row: each row is held for its ticks, also those before the first, and
// nothing outside the chunk is due.
static void test_rows(void** state) {
  (void)state;
  for (int rate = 1; rate <= 7; ++rate) {
    for (int first = 0; first < HORIZON; ++first) {
      const dpc_chunk chunk = make_chunk(100, rate, first);
      const uint64_t begin = 100 - (uint64_t)(first * rate), end = begin + HORIZON * (uint64_t)rate;
      for (uint64_t tick = begin - 10; tick < end + 10; ++tick) {
        const bool inside = tick >= begin && tick < end;
        const int row = inside ? (int)(tick - begin) / rate : -1;
        assert_int_equal(dpc_chunk_row(&chunk, tick), row);
        const float* action = dpc_chunk_at(&chunk, tick);
        assert_ptr_equal(action, inside ? values + (ptrdiff_t)row * DIM : NULL);
        if (inside) assert_true(dpc_chunk_due(&chunk, row) + (uint64_t)rate > tick);
      }
    }
  }
}

// The rows before the one due at 0 are found, although their ticks are.
static void test_before_zero(void** state) {
  (void)state;
  const dpc_chunk chunk = make_chunk(3, 4, 2);
  assert_int_equal(dpc_chunk_row(&chunk, 0), 1);
  assert_int_equal(dpc_chunk_row(&chunk, (uint64_t)-1), 1);
  assert_int_equal(dpc_chunk_row(&chunk, (uint64_t)-2), 0);
  assert_int_equal(dpc_chunk_row(&chunk, (uint64_t)-5), 0);
  assert_int_equal(dpc_chunk_row(&chunk, (uint64_t)-6), -1);
}

static void test_empty(void** state) {
  (void)state;
  dpc_chunk chunk = make_chunk(0, 1, 0);
  chunk.values = NULL;
  assert_int_equal(dpc_chunk_row(&chunk, 0), -1);
  assert_null(dpc_chunk_at(&chunk, 0));
}

static void test_far_away(void** state) {
  (void)state;
  const dpc_chunk chunk = make_chunk(1, 1, 0);
  assert_int_equal(dpc_chunk_row(&chunk, UINT64_MAX), -1);
  assert_int_equal(dpc_chunk_row(&chunk, 0), -1);
}

// --- taking over ---------------------------------------------------------------------------------

// Wherever the new chunk takes over: rows that are over are the old one's, or the rest where it did not
// reach; later ones are the new one's, led to from the old one's with `fade`.
static void check_take_over(int rate, int shift, int late, bool fade) {
  float before_values[HORIZON * DIM], next_values[HORIZON * DIM];
  const float rest[DIM] = {-7, -8};
  const dpc_chunk before = {100, rate, 1, HORIZON, DIM, before_values};
  dpc_chunk next = {100 + (uint64_t)(shift * rate), rate, 1, HORIZON, DIM, next_values};
  for (int i = 0; i < HORIZON * DIM; ++i) {
    before_values[i] = (float)(10 + i);
    next_values[i] = (float)(1000 + 3 * i);
  }
  const uint64_t tick = next.tick + (uint64_t)late;
  dpc_chunk_take_over(&before, tick, fade, rest, &next);
  const int due = 1 + late / rate;  // row of `next`
  const int shared = HORIZON - shift - due > 0 ? HORIZON - shift - due : 0;
  for (int row = 0; row < HORIZON; ++row) {
    for (int i = 0; i < DIM; ++i) {
      const float mine = (float)(1000 + 3 * (row * DIM + i));
      const bool both = row + shift < HORIZON;
      const float old = both ? (float)(10 + (row + shift) * DIM + i) : rest[i];
      const float part = (float)(row - due + 1) / (float)(shared + 1);
      const float want = row < due ? old : fade && both ? old + part * (mine - old) : mine;
      assert_near(next_values[row * DIM + i], want, 0);
    }
  }
}

static void test_take_over(void** state) {
  (void)state;
  for (int rate = 1; rate <= 4; ++rate) {
    for (int shift = 0; shift <= HORIZON; ++shift) {
      for (int late = 0; late < (HORIZON - 1) * rate; ++late) {
        check_take_over(rate, shift, late, false);
        check_take_over(rate, shift, late, true);
      }
    }
  }
}

// Before the first chunk there was rest.
static void test_take_over_from_nothing(void** state) {
  (void)state;
  const dpc_chunk nothing = {0};
  const float rest[DIM] = {5, 6};
  dpc_chunk next = make_chunk(100, 2, 1);
  dpc_chunk_take_over(&nothing, 104, true, rest, &next);
  for (int i = 0; i < HORIZON * DIM; ++i) {
    assert_near(values[i], i < 3 * DIM ? rest[i % DIM] : (float)i, 0);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_rows),      cmocka_unit_test(test_before_zero),
      cmocka_unit_test(test_empty),     cmocka_unit_test(test_far_away),
      cmocka_unit_test(test_take_over), cmocka_unit_test(test_take_over_from_nothing),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
