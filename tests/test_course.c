// What is commanded from row to row. The whole of switching is in test_controller.c.

#include "runtime/course.h"

#include "tests/test.h"

enum { HORIZON = 6, DIM = 2, RATE = 10 };

static dpc_arena arena;
static dpc_error error;
static float values[HORIZON * DIM];

static int set_up(void** state) {
  (void)state;
  assert_ok(dpc_arena_map(&arena, 1 << 20, &error), &error);
  for (int i = 0; i < HORIZON * DIM; ++i) values[i] = (float)(i * i);
  return 0;
}

static int tear_down(void** state) {
  (void)state;
  dpc_arena_unmap(&arena);
  return 0;
}

static dpc_course make_course(dpc_interpolation interpolation) {
  dpc_course course;
  assert_ok(dpc_course_create(interpolation, HORIZON, DIM, &arena, &course, &error), &error);
  return course;
}

static dpc_chunk make_chunk(uint64_t tick) {
  return (dpc_chunk){tick, RATE, 1, HORIZON, DIM, values};
}

static void test_holds_rows(void** state) {
  (void)state;
  dpc_course course = make_course(DPC_INTERPOLATION_HOLD);
  const dpc_chunk chunk = make_chunk(100);
  float velocity[DIM] = {1, 2}, acceleration[DIM] = {0};
  assert_null(dpc_course_at(&course, 100, velocity, acceleration));
  dpc_course_follow(&course, &chunk, 100, NULL, NULL);
  for (uint64_t tick = 100; tick < 170; ++tick) {
    const float *want = dpc_chunk_at(&chunk, tick),
                *got = dpc_course_at(&course, tick, velocity, acceleration);
    assert_true((want == NULL) == (got == NULL));
    if (want != NULL) assert_memory_equal(want, got, sizeof(float[DIM]));
  }
  assert_true(velocity[0] == 1 && velocity[1] == 2);  // a spline's only
  dpc_course_clear(&course);
  assert_null(dpc_course_at(&course, 120, velocity, acceleration));
}

// From the last command, with its velocity, through the middle of every row that is a step away, to
// rest in the last, wherever the chunk is entered.
static void test_passes_through_rows(void** state) {
  (void)state;
  dpc_course course = make_course(DPC_INTERPOLATION_CUBIC);
  const float position[DIM] = {-3, 8}, speed[DIM] = {0.5F, -1};
  for (int late = 0; late < (HORIZON - 1) * RATE; ++late) {
    const dpc_chunk chunk = make_chunk(100);
    const uint64_t tick = 100 + (uint64_t)late;
    float velocity[DIM], acceleration[DIM];
    dpc_course_follow(&course, &chunk, tick, position, speed);
    const float* got = dpc_course_at(&course, tick - 1, velocity, acceleration);
    for (int i = 0; i < DIM && late > 0; ++i) {
      assert_near(got[i], position[i], 0);
      assert_near(velocity[i], speed[i], 1e-6);
    }
    for (int row = 1; row < HORIZON; ++row) {
      const uint64_t middle = dpc_chunk_due(&chunk, row) + RATE / 2;
      if (middle < tick - 1 + RATE || middle < tick) continue;
      got = dpc_course_at(&course, middle, velocity, acceleration);
      for (int i = 0; i < DIM; ++i) assert_near(got[i], values[row * DIM + i], 1e-5);
    }
    const uint64_t last = dpc_chunk_due(&chunk, HORIZON) - 1;
    got = dpc_course_at(&course, last, velocity, acceleration);
    if (tick - 1 + RATE > last) continue;  // entered too late to get there
    for (int i = 0; i < DIM; ++i) {
      assert_near(got[i], values[(HORIZON - 1) * DIM + i], 1e-5);
      assert_near(velocity[i], 0, 0);
    }
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_holds_rows),
      cmocka_unit_test(test_passes_through_rows),
  };
  return cmocka_run_group_tests_name("course", tests, set_up, tear_down);
}
