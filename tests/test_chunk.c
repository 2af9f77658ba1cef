#include "runtime/chunk.h"

#include "tests/test.h"

enum { HORIZON = 6, DIM = 2 };

static float values[HORIZON * DIM];

static dpc_chunk make_chunk(uint64_t tick, int ticks_per_step, int first_row) {
  for (int i = 0; i < HORIZON * DIM; ++i) values[i] = (float)i;
  return (dpc_chunk){tick, ticks_per_step, first_row, HORIZON, DIM, values};
}

// For every rate and first row: each row is held for its ticks, and nothing outside the chunk is due.
static void test_rows(void** state) {
  (void)state;
  for (int rate = 1; rate <= 7; ++rate) {
    for (int first = 0; first < HORIZON; ++first) {
      const dpc_chunk chunk = make_chunk(100, rate, first);
      const uint64_t end = 100 + (uint64_t)((HORIZON - first) * rate);
      for (uint64_t tick = 90; tick < end + 10; ++tick) {
        const bool inside = tick >= 100 && tick < end;
        const int row = inside ? first + (int)(tick - 100) / rate : -1;
        assert_int_equal(dpc_chunk_row(&chunk, tick), row);
        const float* action = dpc_chunk_at(&chunk, tick);
        assert_ptr_equal(action, inside ? values + row * DIM : NULL);
      }
    }
  }
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

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_rows),
      cmocka_unit_test(test_empty),
      cmocka_unit_test(test_far_away),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
