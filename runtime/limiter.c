#include "runtime/limiter.h"

#include <math.h>

// Halvings of the range of velocities to aim at: what is left of a tick's change is 1e-7 of it.
enum { HALVINGS = 24, PHASES = 3 };

static double clamp(double x, double low, double high) {
  return x < low ? low : x > high ? high : x;
}

// --- changing velocity ----------------------------------------------------------------------------

// From (velocity, acceleration) to (aim, 0) in the least time: jerk one way, none at the largest
// acceleration, jerk the other way.
typedef struct change {
  double aim;
  double time[PHASES], jerk[PHASES];
} change;

// The velocity at which the acceleration will have been taken back to 0.
static double settled(const dpc_limits* l, const dpc_motion* m) {
  return m->velocity + m->acceleration * fabs(m->acceleration) / (2 * l->jerk);
}

static change plan_change(const dpc_limits* l, const dpc_motion* m, double aim) {
  const double way = aim >= settled(l, m) ? 1 : -1;
  const double start = way * m->acceleration;
  const double gain = way * (aim - m->velocity);
  const double square = l->jerk * gain + start * start / 2;
  const double free_peak = sqrt(square > 0 ? square : 0);
  const double peak = fmax(fmin(free_peak, l->acceleration), start);
  change c = {.aim = aim, .jerk = {way * l->jerk, 0, -way * l->jerk}};
  c.time[0] = (peak - start) / l->jerk;
  c.time[2] = peak > 0 ? peak / l->jerk : 0;
  if (free_peak > peak) c.time[1] = (square - peak * peak) / (l->jerk * peak);
  return c;
}

static void move(dpc_motion* m, double jerk, double t) {
  m->position += t * (m->velocity + t * (m->acceleration / 2 + t * jerk / 6));
  m->velocity += t * (m->acceleration + t * jerk / 2);
  m->acceleration += t * jerk;
}

// Where the change has got to after `dt`; after its end it goes on at the velocity aimed at.
static dpc_motion follow_change(const dpc_motion* from, const change* c, double dt) {
  dpc_motion m = *from;
  for (int i = 0; i < PHASES; ++i) {
    const double t = fmin(c->time[i], dt);
    move(&m, c->jerk[i], t);
    dt -= t;
  }
  if (dt > 0) {
    m.velocity = c->aim;
    m.acceleration = 0;
    m.position += dt * c->aim;
  }
  return m;
}

// How far the change leads, seen from something that moves at the velocity aimed at.
static double gained(const dpc_motion* from, const change* c) {
  dpc_motion m = {.velocity = from->velocity - c->aim, .acceleration = from->acceleration};
  for (int i = 0; i < PHASES; ++i) move(&m, c->jerk[i], c->time[i]);
  return m.position;
}

// --- being able to stop ---------------------------------------------------------------------------

typedef struct reach {
  double low, high;
} reach;

// Between which positions it stays when it brakes.
static reach braking_reach(const dpc_limits* l, const dpc_motion* m) {
  const change stop = plan_change(l, m, 0);
  const double end = m->position + gained(m, &stop);
  reach r = {fmin(m->position, end), fmax(m->position, end)};
  // moving one way while the acceleration is about to turn that round
  if (m->velocity * settled(l, m) < 0) {
    const double speed = fabs(m->velocity), a = fabs(m->acceleration);
    const double root = a * a - 2 * l->jerk * speed;
    const double t = 2 * speed / (a + sqrt(root > 0 ? root : 0));
    const double turn = t * (speed - t * (a / 2 - t * l->jerk / 6));
    if (m->velocity > 0) {
      r.high = fmax(r.high, m->position + turn);
    } else {
      r.low = fmin(r.low, m->position - turn);
    }
  }
  return r;
}

static bool stays_in_range(const dpc_limits* l, const dpc_motion* m) {
  const reach r = braking_reach(l, m);
  return r.low >= l->low && r.high <= l->high;
}

bool dpc_limiter_can_stop(const dpc_limits* l, const dpc_motion* m) {
  return stays_in_range(l, m) && fabs(m->velocity) <= l->speed &&
         fabs(m->acceleration) <= l->acceleration && fabs(settled(l, m)) <= l->speed;
}

dpc_motion dpc_limiter_brake(const dpc_limits* l, const dpc_motion* now, double dt) {
  const change stop = plan_change(l, now, 0);
  return follow_change(now, &stop, dt);
}

// --- arriving exactly -----------------------------------------------------------------------------

static bool part_is_within(const dpc_limits* l, dpc_motion* m, double jerk, double t) {
  const double before = m->acceleration;
  const dpc_motion start = *m;
  move(m, jerk, t);
  // the largest velocity is at an end, or where the acceleration passes through 0
  const double extreme =
      before * m->acceleration < 0 ? start.velocity - before * before / (2 * jerk) : m->velocity;
  return fabs(jerk) <= l->jerk && fabs(m->acceleration) <= l->acceleration &&
         fabs(m->velocity) <= l->speed && fabs(extreme) <= l->speed;
}

// Three equal parts of constant jerk lead from any motion to any other. True when these keep the
// limits, and the target leaves room to stop.
static bool may_arrive(const dpc_limits* l, const dpc_motion* now, const dpc_motion* target,
                       double dt) {
  const double t = dt / PHASES;
  const double a = (target->acceleration - now->acceleration) / t;
  const double v = (target->velocity - now->velocity - dt * now->acceleration) / (t * t);
  const double p =
      (target->position - now->position - dt * (now->velocity + dt * now->acceleration / 2)) /
      (t * t * t);
  const double first = p - v + a / 3;
  const double second = v - a / 2 - 2 * first;
  dpc_motion m = *now;
  return part_is_within(l, &m, first, t) && part_is_within(l, &m, second, t) &&
         part_is_within(l, &m, a - first - second, t) && dpc_limiter_can_stop(l, target);
}

// --- approaching ----------------------------------------------------------------------------------

typedef struct approach {
  const dpc_limits* limits;  // with a range that holds wherever braking leads now
  const dpc_motion* now;
  dpc_motion target;
  double dt;
} approach;

static dpc_motion aim_at(const approach* a, double velocity) {
  const change c = plan_change(a->limits, a->now, velocity);
  return follow_change(a->now, &c, a->dt);
}

// Aiming at this velocity goes too far up: beyond what stops in time, or past the target by the time
// that its velocity is taken on.
static bool is_too_high(const approach* a, double velocity) {
  const dpc_motion next = aim_at(a, velocity);
  const reach r = braking_reach(a->limits, &next);
  if (r.high > a->limits->high) return true;
  if (r.low < a->limits->low) return false;
  const change join = plan_change(a->limits, &next, a->target.velocity);
  return next.position + gained(&next, &join) > a->target.position;
}

// The higher the velocity aimed at, the further it leads: halve the range. Of the two ends that are
// left the one nearer to rest is taken, as it can stop when the other can.
static double choose_velocity(const approach* a) {
  const dpc_limits* l = a->limits;
  const dpc_motion slowest = aim_at(a, -l->speed), fastest = aim_at(a, l->speed);
  double low = clamp(settled(l, &slowest), -l->speed, l->speed);
  double high = clamp(settled(l, &fastest), -l->speed, l->speed);
  if (is_too_high(a, low)) return low;
  if (!is_too_high(a, high)) return high;
  for (int i = 0; i < HALVINGS; ++i) {
    const double middle = (low + high) / 2;
    if (is_too_high(a, middle)) {
      high = middle;
    } else {
      low = middle;
    }
  }
  return low > 0 ? low : high < 0 ? high : 0;
}

dpc_motion dpc_limiter_step(const dpc_limits* limits, const dpc_motion* now,
                            const dpc_motion* target, double dt) {
  const reach r = braking_reach(limits, now);
  dpc_limits wide = *limits;
  wide.low = fmin(limits->low, r.low);
  wide.high = fmax(limits->high, r.high);
  approach a = {.limits = &wide, .now = now, .target = *target, .dt = dt};
  a.target.position = clamp(target->position, limits->low, limits->high);
  if (a.target.position != target->position) a.target.velocity = a.target.acceleration = 0;
  if (may_arrive(&wide, now, &a.target, dt)) return a.target;
  a.target.velocity = clamp(a.target.velocity, -limits->speed, limits->speed);
  const dpc_motion next = aim_at(&a, choose_velocity(&a));
  return stays_in_range(&wide, &next) ? next : aim_at(&a, 0);
}
