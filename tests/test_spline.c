// A spline is smooth, meets its conditions, and is the cubic where the points are those of one.

#include "runtime/spline.h"

#include "policy/rng.h"
#include "tests/test.h"

enum { POINTS_MAX = 17, DIM_MAX = 5, ROUNDS = 300 };

static dpc_arena arena;
static dpc_error error;

// What a random spline was made of.
typedef struct sample {
  int count, dim;
  double times[POINTS_MAX];
  float points[POINTS_MAX][DIM_MAX], first_slope[DIM_MAX], last_slope[DIM_MAX];
} sample;

static int set_up(void** state) {
  (void)state;
  assert_ok(dpc_arena_map(&arena, 1 << 20, &error), &error);
  return 0;
}

static int tear_down(void** state) {
  (void)state;
  dpc_arena_unmap(&arena);
  return 0;
}

static dpc_spline make_spline(int dim) {
  dpc_spline spline;
  dpc_arena_release(&arena, 0);
  assert_ok(dpc_spline_create(POINTS_MAX, dim, &arena, &spline, &error), &error);
  return spline;
}

// In [-1, 1].
static double draw(uint32_t round, uint32_t what, uint32_t i, uint32_t j) {
  uint32_t bits[4];
  dpc_rng_bits((dpc_rng_key){5, round}, what, i, j, 0, bits);
  return bits[0] / 2147483648.0 - 1;
}

static sample draw_sample(uint32_t round) {
  sample s = {.count = 2 + (int)(round % (POINTS_MAX - 1)), .dim = 1 + (int)(round % DIM_MAX)};
  double time = 100 * draw(round, 0, 0, 0);
  for (int i = 0; i < s.count; ++i) {
    s.times[i] = time;
    time += 6 + 5 * draw(round, 1, (uint32_t)i, 0);  // uneven: 1 to 11
    for (int j = 0; j < s.dim; ++j) {
      s.points[i][j] = (float)(500 * draw(round, 2, (uint32_t)i, (uint32_t)j));
    }
  }
  for (int j = 0; j < s.dim; ++j) {
    s.first_slope[j] = (float)(50 * draw(round, 3, 0, (uint32_t)j));
    s.last_slope[j] = (float)(50 * draw(round, 4, 0, (uint32_t)j));
  }
  return s;
}

static void fit(dpc_spline* spline, const sample* s) {
  dpc_spline_begin(spline, s->times[0], s->points[0], s->first_slope);
  for (int i = 1; i < s->count; ++i) dpc_spline_add(spline, s->times[i], s->points[i]);
  dpc_spline_end(spline, s->last_slope);
}

// Second derivative of value j in the interval after point k, at its start or its end.
static double curvature(const dpc_spline* s, int k, int j, bool at_end) {
  const double h = s->times[k + 1] - s->times[k];
  const double* p = s->points + (ptrdiff_t)k * s->dim + j;
  const double* m = s->slopes + (ptrdiff_t)k * s->dim + j;
  const double rise = (p[s->dim] - p[0]) / h;
  return at_end ? (2 * m[0] + 4 * m[s->dim] - 6 * rise) / h
                : (6 * rise - 4 * m[0] - 2 * m[s->dim]) / h;
}

static void test_points_and_ends_are_met(void** state) {
  (void)state;
  for (uint32_t round = 0; round < ROUNDS; ++round) {
    const sample s = draw_sample(round);
    dpc_spline spline = make_spline(s.dim);
    fit(&spline, &s);
    float position[DIM_MAX], velocity[DIM_MAX], acceleration[DIM_MAX];
    for (int i = 0; i < s.count; ++i) {
      dpc_spline_at(&spline, s.times[i], position, velocity, acceleration);
      for (int j = 0; j < s.dim; ++j) {
        assert_near(position[j], s.points[i][j], 1e-4);
        if (i == 0) assert_near(velocity[j], s.first_slope[j], 1e-5);
        if (i == s.count - 1) assert_near(velocity[j], s.last_slope[j], 1e-5);
      }
    }
  }
}

// Neither position nor its first two derivatives have a step at a point. What is looked up is what
// the points and slopes say, so it is enough to look at these.
static void test_smooth_at_points(void** state) {
  (void)state;
  for (uint32_t round = 0; round < ROUNDS; ++round) {
    const sample s = draw_sample(round);
    dpc_spline spline = make_spline(s.dim);
    fit(&spline, &s);
    for (int k = 1; k < s.count - 1; ++k) {
      float before[3][DIM_MAX], after[3][DIM_MAX];
      const double tiny = 1e-7;
      dpc_spline_at(&spline, s.times[k] - tiny, before[0], before[1], before[2]);
      dpc_spline_at(&spline, s.times[k] + tiny, after[0], after[1], after[2]);
      for (int j = 0; j < s.dim; ++j) {
        assert_near(before[0][j], after[0][j], 5e-4);  // floats up to 4,000 are 2.4e-4 apart
        assert_near(before[1][j], after[1][j], 2e-3);
        const double left = curvature(&spline, k - 1, j, true);
        const double right = curvature(&spline, k, j, false);
        assert_near(left, right, 1e-9 * (1 + fabs(left)));
        assert_near(before[2][j], left, 1e-3 * (1 + fabs(left)));
        assert_near(after[2][j], right, 1e-3 * (1 + fabs(right)));
      }
    }
  }
}

// The velocity is that of the positions.
static void test_velocity_is_the_derivative(void** state) {
  (void)state;
  const double h = 1e-2;
  for (uint32_t round = 0; round < ROUNDS; ++round) {
    const sample s = draw_sample(round);
    dpc_spline spline = make_spline(s.dim);
    fit(&spline, &s);
    for (int n = 0; n <= 100; ++n) {
      const double length = s.times[s.count - 1] - s.times[0] - 2 * h;
      const double t = s.times[0] + h + length * n / 100;
      float low[DIM_MAX], high[DIM_MAX], position[DIM_MAX], velocity[DIM_MAX];
      float acceleration[DIM_MAX];
      dpc_spline_at(&spline, t - h, low, velocity, acceleration);
      dpc_spline_at(&spline, t + h, high, velocity, acceleration);
      dpc_spline_at(&spline, t, position, velocity, acceleration);
      for (int j = 0; j < s.dim; ++j) {
        // floats up to 2,000 are 1.2e-4 apart; the rest is the third derivative's
        assert_near(((double)high[j] - (double)low[j]) / (2 * h), velocity[j], 0.3);
      }
    }
  }
}

// Points of a cubic, with its slopes at both ends, give that cubic back.
static void test_reproduces_cubics(void** state) {
  (void)state;
  for (uint32_t round = 0; round < ROUNDS; ++round) {
    sample s = draw_sample(round);
    double c[DIM_MAX][4];
    const double begin = s.times[0], length = s.times[s.count - 1] - begin;
    for (int j = 0; j < s.dim; ++j) {
      for (int n = 0; n < 4; ++n) c[j][n] = 100 * draw(round, 5, (uint32_t)j, (uint32_t)n);
      for (int i = 0; i < s.count; ++i) {
        const double u = (s.times[i] - begin) / length;
        s.points[i][j] = (float)(c[j][0] + u * (c[j][1] + u * (c[j][2] + u * c[j][3])));
      }
      s.first_slope[j] = (float)(c[j][1] / length);
      s.last_slope[j] = (float)((c[j][1] + 2 * c[j][2] + 3 * c[j][3]) / length);
    }
    dpc_spline spline = make_spline(s.dim);
    fit(&spline, &s);
    for (int n = 0; n <= 50; ++n) {
      const double u = n / 50.0;
      float position[DIM_MAX], velocity[DIM_MAX], acceleration[DIM_MAX];
      dpc_spline_at(&spline, begin + u * length, position, velocity, acceleration);
      for (int j = 0; j < s.dim; ++j) {
        assert_near(position[j], c[j][0] + u * (c[j][1] + u * (c[j][2] + u * c[j][3])), 1e-3);
        assert_near(velocity[j] * length, c[j][1] + u * (2 * c[j][2] + u * 3 * c[j][3]), 0.05);
      }
    }
  }
}

// A value's spline is the same whatever the others are, to the bit.
static void test_values_are_independent(void** state) {
  (void)state;
  for (uint32_t round = DIM_MAX - 1; round < ROUNDS; round += DIM_MAX) {
    const sample s = draw_sample(round);
    float together[200][DIM_MAX], velocity[DIM_MAX], acceleration[DIM_MAX], alone;
    dpc_spline spline = make_spline(s.dim);
    fit(&spline, &s);
    for (int n = 0; n < 200; ++n)
      dpc_spline_at(&spline, s.times[0] + n, together[n], velocity, acceleration);
    for (int j = 0; j < s.dim; ++j) {
      sample one = s;
      one.dim = 1;
      for (int i = 0; i < s.count; ++i) one.points[i][0] = s.points[i][j];
      one.first_slope[0] = s.first_slope[j];
      one.last_slope[0] = s.last_slope[j];
      spline = make_spline(1);
      fit(&spline, &one);
      for (int n = 0; n < 200; ++n) {
        dpc_spline_at(&spline, s.times[0] + n, &alone, velocity, acceleration);
        assert_memory_equal(&alone, &together[n][j], sizeof alone);
      }
    }
  }
}

// It stands outside its times, comes to rest where no slope is given, and may be one point.
static void test_stands_outside(void** state) {
  (void)state;
  dpc_spline spline = make_spline(1);
  const float from = 10, to = 30, slope = 4;
  float position, velocity, acceleration;
  dpc_spline_begin(&spline, 0, &from, &slope);
  dpc_spline_end(&spline, NULL);
  for (int t = -3; t < 4; ++t) {
    dpc_spline_at(&spline, t, &position, &velocity, &acceleration);
    assert_near(position, 10, 0);
    if (t != 0) assert_near(velocity, 0, 0);
    assert_near(acceleration, 0, 0);
  }
  dpc_spline_begin(&spline, 0, &from, &slope);
  dpc_spline_add(&spline, 5, &to);
  dpc_spline_end(&spline, NULL);
  dpc_spline_at(&spline, 5, &position, &velocity, &acceleration);
  assert_true(position == 30 && velocity == 0);
  dpc_spline_at(&spline, 1e9, &position, &velocity, &acceleration);
  assert_true(position == 30 && velocity == 0);
  dpc_spline_at(&spline, -1, &position, &velocity, &acceleration);
  assert_true(position == 10 && velocity == 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_points_and_ends_are_met),    cmocka_unit_test(test_smooth_at_points),
      cmocka_unit_test(test_velocity_is_the_derivative), cmocka_unit_test(test_reproduces_cubics),
      cmocka_unit_test(test_values_are_independent),     cmocka_unit_test(test_stands_outside),
  };
  return cmocka_run_group_tests_name("spline", tests, set_up, tear_down);
}
