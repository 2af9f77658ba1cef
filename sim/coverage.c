#include "sim/coverage.h"

#include <math.h>

#include "sim/push_block.h"

// A rectangle cut by four lines has at most eight corners. Rounding can put points that lie on a
// line on alternate sides of it, which makes a few more.
enum { CORNERS_MAX = 16 };

typedef struct polygon {
  int count;
  double x[CORNERS_MAX], y[CORNERS_MAX];
} polygon;

// Keep the part of a convex polygon where a x + b y <= c (Sutherland & Hodgman 1974).
static void clip(polygon* p, double a, double b, double c) {
  polygon kept = {0};
  for (int i = 0; i < p->count; ++i) {
    const int j = (i + 1) % p->count;
    const double here = a * p->x[i] + b * p->y[i] - c, there = a * p->x[j] + b * p->y[j] - c;
    if (here <= 0) {
      kept.x[kept.count] = p->x[i];
      kept.y[kept.count++] = p->y[i];
    }
    if ((here < 0 && there > 0) || (here > 0 && there < 0)) {
      const double at = here / (here - there);
      kept.x[kept.count] = p->x[i] + at * (p->x[j] - p->x[i]);
      kept.y[kept.count++] = p->y[i] + at * (p->y[j] - p->y[i]);
    }
  }
  DPC_ASSERT(kept.count <= CORNERS_MAX - 4);  // so that the next cut fits, too
  *p = kept;
}

static double area(const polygon* p) {
  double twice = 0;
  for (int i = 0; i < p->count; ++i) {
    const int j = (i + 1) % p->count;
    twice += p->x[i] * p->y[j] - p->x[j] * p->y[i];
  }
  return fabs(twice) / 2;
}

// A rectangle of the block as it lies in the goal's frame, where the goal's sides are straight.
static polygon place_in_goal(const dpc_push_state* state, const dpc_rectangle* r) {
  const double xs[4] = {r->x0, r->x1, r->x1, r->x0}, ys[4] = {r->y0, r->y0, r->y1, r->y1};
  const double c = cos(DPC_PUSH_GOAL_ANGLE), s = sin(DPC_PUSH_GOAL_ANGLE);
  polygon p = {.count = 4};
  for (int i = 0; i < 4; ++i) {
    double at[2];
    dpc_push_block_point(state, xs[i], ys[i], at);
    const double dx = at[0] - DPC_PUSH_GOAL_X, dy = at[1] - DPC_PUSH_GOAL_Y;
    p.x[i] = c * dx + s * dy;
    p.y[i] = -s * dx + c * dy;
  }
  return p;
}

// The rectangles of a T do not overlap each other, so the four pairs' areas add up.
double dpc_push_coverage(const dpc_push_state* state) {
  double covered = 0, goal = 0;
  for (int i = 0; i < 2; ++i) {
    const dpc_rectangle* r = &dpc_push_block[i];
    goal += (r->x1 - r->x0) * (r->y1 - r->y0);
    for (int j = 0; j < 2; ++j) {
      polygon p = place_in_goal(state, &dpc_push_block[j]);
      clip(&p, -1, 0, -r->x0);
      clip(&p, 1, 0, r->x1);
      clip(&p, 0, -1, -r->y0);
      clip(&p, 0, 1, r->y1);
      covered += area(&p);
    }
  }
  const double share = covered / goal;
  return share < 1 ? share : 1;
}
