// Coverage of the goal: against areas known by hand, symmetries, and an integration that shares no
// code with the clipping.

#include "sim/coverage.h"

#include "policy/rng.h"
#include "sim/push_block.h"
#include "tests/test.h"

static const double T_AREA = 120 * 30 + 30 * 90;

// The state whose block lies, seen from the goal, at (dx, dy) and turned by `angle`.
static dpc_push_state seen_from_goal(double dx, double dy, double angle) {
  const double c = cos(DPC_PUSH_GOAL_ANGLE), s = sin(DPC_PUSH_GOAL_ANGLE);
  return (dpc_push_state){.agent_x = 50,
                          .agent_y = 50,
                          .block_x = DPC_PUSH_GOAL_X + c * dx - s * dy,
                          .block_y = DPC_PUSH_GOAL_Y + s * dx + c * dy,
                          .block_angle = DPC_PUSH_GOAL_ANGLE + angle};
}

static double coverage_at(double dx, double dy, double angle) {
  const dpc_push_state state = seen_from_goal(dx, dy, angle);
  return dpc_push_coverage(&state);
}

// A pose near enough to the goal that both usually overlap.
typedef struct pose {
  double dx, dy, angle;
} pose;

static pose any_pose(uint32_t i) {
  float u[3];
  dpc_rng_uniform((dpc_rng_key){3, 0}, DPC_STREAM_TEST, i, 0, 3, u);
  return (pose){200 * ((double)u[0] - 0.5), 200 * ((double)u[1] - 0.5),
                4 * M_PI * ((double)u[2] - 0.5)};
}

// Coordinates up to 512 carry 1e-13 px of rounding, over a boundary of 420 px and an area of 6300
// px^2: 1e-14, and some room.
static const double ROUNDING = 1e-12;

static void known_areas(void** state) {
  (void)state;
  assert_near(coverage_at(0, 0, 0), 1, ROUNDING);
  assert_near(coverage_at(0, 0, 2 * M_PI), 1, ROUNDING);
  assert_near(coverage_at(0, 0, -20 * M_PI), 1, ROUNDING);
  assert_near(coverage_at(500, 0, 0), 0, 0);
  assert_near(coverage_at(0, -121, 0), 0, 0);
  // shifted along the bar by d: the bar loses 30 d, the stem 90 d
  for (int i = 0; i <= 30; ++i) {
    const double d = 0.5 * i;
    assert_near(coverage_at(d, 0, 0), (T_AREA - 120 * d) / T_AREA, ROUNDING);
    assert_near(coverage_at(-d, 0, 0), (T_AREA - 120 * d) / T_AREA, ROUNDING);
  }
  // shifted along the stem by d: the bar loses 120 d and the stem's end does not change that
  for (int d = 0; d <= 30; ++d) {
    assert_near(coverage_at(0, d, 0), (T_AREA - 120 * d) / T_AREA, ROUNDING);
  }
  // bar on bar the other way round, stems apart
  assert_near(coverage_at(0, 30, M_PI), 120 * 30 / T_AREA, ROUNDING);
}

static void symmetries(void** state) {
  (void)state;
  int overlapping = 0;
  for (uint32_t i = 0; i < 5000; ++i) {
    const pose p = any_pose(i);
    const double here = coverage_at(p.dx, p.dy, p.angle);
    overlapping += here > 0;
    assert_true(here >= 0 && here <= 1);
    // a T is its own mirror image
    assert_near(coverage_at(-p.dx, p.dy, -p.angle), here, ROUNDING);
    // the goal as seen from the block: the same two shapes the other way round
    const double c = cos(p.angle), s = sin(p.angle);
    assert_near(coverage_at(-c * p.dx - s * p.dy, s * p.dx - c * p.dy, -p.angle), here, ROUNDING);
    // whole turns
    assert_near(coverage_at(p.dx, p.dy, p.angle + 2 * M_PI), here, ROUNDING);
  }
  assert_true(overlapping > 2500);
}

// --- an oracle that shares no code: lines across the goal ------------------------------------------

typedef struct interval {
  double from, to;
} interval;

static double common(interval a, interval b) {
  return fmax(0, fmin(a.to, b.to) - fmax(a.from, b.from));
}

// Where the line (x, y) = (t, height) in the goal's frame is inside a rectangle of the block.
static interval inside(const pose* p, const dpc_rectangle* r, double height) {
  const double c = cos(p->angle), s = sin(p->angle), oy = height - p->dy;
  interval in = {-1e9, 1e9};
  // in the block's frame the line is (c (t - dx) + s oy, -s (t - dx) + c oy)
  const double slope[2] = {c, -s}, at[2] = {s * oy - c * p->dx, c * oy + s * p->dx};
  const double low[2] = {r->x0, r->y0}, high[2] = {r->x1, r->y1};
  for (int k = 0; k < 2; ++k) {
    const double a = (low[k] - at[k]) / slope[k], b = (high[k] - at[k]) / slope[k];
    in.from = fmax(in.from, fmin(a, b));
    in.to = fmin(in.to, fmax(a, b));
  }
  return in;
}

static double coverage_by_lines(const pose* p, double spacing) {
  double area = 0;
  for (int g = 0; g < 2; ++g) {
    const dpc_rectangle* goal = &dpc_push_block[g];
    const int lines = (int)((goal->y1 - goal->y0) / spacing + 0.5);
    for (int i = 0; i < lines; ++i) {
      const double height = goal->y0 + (i + 0.5) * spacing;
      for (int b = 0; b < 2; ++b) {
        const interval across = {goal->x0, goal->x1};
        area += spacing * common(inside(p, &dpc_push_block[b], height), across);
      }
    }
  }
  return area / T_AREA;
}

static void equals_integration_over_lines(void** state) {
  (void)state;
  const double spacing = 0.02;
  double worst = 0;
  for (uint32_t i = 0; i < 300; ++i) {
    const pose p = any_pose(10000 + i);
    worst = fmax(worst, fabs(coverage_at(p.dx, p.dy, p.angle) - coverage_by_lines(&p, spacing)));
  }
  // an edge of 120 px that is nearly along the lines can be wrong by half a spacing
  assert_near(worst, 0, 0.5 * 120 * spacing / T_AREA);
}

// Edges on edges, corners on edges: where rounding decides on which side a point is.
static void degenerate_poses(void** state) {
  (void)state;
  for (int turn = 0; turn < 4; ++turn) {
    for (int x = -120; x <= 120; x += 15) {
      for (int y = -120; y <= 120; y += 15) {
        const pose p = {x, y, turn * M_PI / 2};
        const pose moved = {x, y, turn * M_PI / 2 + 1e-7};
        const double here = coverage_at(p.dx, p.dy, p.angle);
        // turned by 1e-7, no point moves by more than 3e-5 px: 420 px of boundary sweep 0.012 px^2
        assert_near(coverage_at(moved.dx, moved.dy, moved.angle), here, 0.013 / T_AREA);
        // all corners are on a grid of 15 px
        assert_near(here * T_AREA / 225, round(here * T_AREA / 225), 1e-9);
      }
    }
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(known_areas),
      cmocka_unit_test(symmetries),
      cmocka_unit_test(equals_integration_over_lines),
      cmocka_unit_test(degenerate_poses),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
