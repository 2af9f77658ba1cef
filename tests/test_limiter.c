#include "runtime/limiter.h"

#include "policy/rng.h"
#include "tests/test.h"

#ifdef __SANITIZE_ADDRESS__
enum { CHAINS = 20000 };
#else
enum { CHAINS = 200000 };
#endif
enum { STEPS = 50 };

// --- random numbers -------------------------------------------------------------------------------

typedef struct source {
  uint32_t chain, taken;
  uint32_t bits[4];
} source;

// In [0, 1).
static double draw(source* s) {
  if (s->taken % 4 == 0) {
    dpc_rng_bits((dpc_rng_key){11, 7}, s->chain, s->taken / 4, 0, 0, s->bits);
  }
  return s->bits[s->taken++ % 4] * 0x1p-32;
}

static double between(source* s, double low, double high) {
  return low + (high - low) * draw(s);
}

// Over decades, as limits of all robots and units are.
static double over_decades(source* s, double low, double high) {
  return exp(between(s, log(low), log(high)));
}

static dpc_limits draw_limits(source* s) {
  dpc_limits l = {.speed = over_decades(s, 0.01, 100)};
  l.acceleration = l.speed * over_decades(s, 0.5, 50);
  l.jerk = l.acceleration * over_decades(s, 0.5, 100);
  l.low = between(s, -5, 5);
  l.high = l.low + l.speed * over_decades(s, 0.01, 10);
  return l;
}

// Any motion from which it can stop, those at the edge of that among them.
static dpc_motion draw_motion(source* s, const dpc_limits* l) {
  const dpc_motion still = {.position = between(s, l->low, l->high)};
  dpc_motion m = {still.position, between(s, -1, 1) * l->speed,
                  between(s, -1, 1) * l->acceleration};
  for (int i = 0; i < 60 && !dpc_limiter_can_stop(l, &m); ++i) {
    m.velocity *= 0.9;
    m.acceleration *= 0.9;
  }
  return dpc_limiter_can_stop(l, &m) ? m : still;
}

static dpc_motion draw_target(source* s, const dpc_limits* l, const dpc_motion* now) {
  const double width = l->high - l->low, kind = draw(s);
  dpc_motion target = {.position = between(s, l->low - width, l->high + width)};
  if (kind < 0.2) target.position = now->position + between(s, -1, 1) * width * 1e-3;
  if (kind > 0.9) target.position = kind > 0.95 ? 1e30 : -1e30;
  if (draw(s) < 0.3) target.velocity = between(s, -2, 2) * l->speed;
  if (draw(s) < 0.3) target.acceleration = between(s, -2, 2) * l->acceleration;
  return target;
}

// --- properties -----------------------------------------------------------------------------------

static void check_step(const dpc_limits* l, const dpc_motion* from, const dpc_motion* to,
                       double dt) {
  const double slack = 1e-9;
  const double dv = to->velocity - from->velocity - from->acceleration * dt;
  const double dp =
      to->position - from->position - from->velocity * dt - from->acceleration * dt * dt / 2;
  const double size = fabs(l->low) + fabs(l->high) + l->speed * dt;
  const bool within =
      to->position >= l->low - slack * size && to->position <= l->high + slack * size &&
      fabs(to->velocity) <= l->speed * (1 + slack) &&
      fabs(to->acceleration) <= l->acceleration * (1 + slack) &&
      fabs(to->acceleration - from->acceleration) <= l->jerk * dt * (1 + slack) + 1e-300 &&
      // velocity and position belong to the same curve: jerk changes them by no more than this
      fabs(dv) <= l->jerk * dt * dt / 2 * (1 + slack) + slack * l->speed &&
      fabs(dp) <= l->jerk * dt * dt * dt / 6 * (1 + slack) + slack * size;
  // and braking from there still ends within the range
  dpc_limits room = *l;
  room.low -= slack * size;
  room.high += slack * size;
  room.speed *= 1 + slack;
  room.acceleration *= 1 + slack;
  if (!within || !dpc_limiter_can_stop(&room, to)) {
    fail_msg("limits %a..%a %a %a %a, dt %a: from %a %a %a to %a %a %a", l->low, l->high, l->speed,
             l->acceleration, l->jerk, dt, from->position, from->velocity, from->acceleration,
             to->position, to->velocity, to->acceleration);
  }
}

// Ten million steps from any motion to any target over any time: no limit is broken, and it can
// always still stop.
static void test_no_limit_is_ever_broken(void** state) {
  (void)state;
  for (uint32_t chain = 0; chain < CHAINS; ++chain) {
    source s = {.chain = chain};
    const dpc_limits l = draw_limits(&s);
    const double period = over_decades(&s, 1e-3, 0.1);
    dpc_motion m = draw_motion(&s, &l);
    dpc_motion target = {.position = m.position};
    for (int i = 0; i < STEPS; ++i) {
      // targets that change all the time, and ones that stand for a while
      if (draw(&s) < 0.3) target = draw_target(&s, &l, &m);
      const double dt = period * between(&s, 0.1, 2);
      const dpc_motion next =
          draw(&s) < 0.05 ? dpc_limiter_brake(&l, &m, dt) : dpc_limiter_step(&l, &m, &target, dt);
      check_step(&l, &m, &next, dt);
      m = next;
    }
  }
}

// Positions alone, ticks apart by one period: their third differences keep the limit on jerk.
static void test_commands_show_no_more_jerk_than_allowed(void** state) {
  (void)state;
  const double dt = 0.01;
  for (uint32_t chain = 0; chain < 2000; ++chain) {
    source s = {.chain = chain + (1U << 30)};
    const dpc_limits l = draw_limits(&s);
    dpc_motion m = draw_motion(&s, &l), target = m;
    double p[4] = {0};
    for (int i = 0; i < 200; ++i) {
      if (i % 40 == 0) target = draw_target(&s, &l, &m);
      m = dpc_limiter_step(&l, &m, &target, dt);
      for (int j = 0; j < 3; ++j) p[j] = p[j + 1];
      p[3] = m.position;
      if (i < 3) continue;
      const double rounding = 1e-14 * (fabs(l.low) + fabs(l.high));
      assert_true(fabs(p[3] - p[2]) <= l.speed * dt + rounding);
      assert_true(fabs(p[3] - 2 * p[2] + p[1]) <= l.acceleration * dt * dt + 4 * rounding);
      assert_true(fabs(p[3] - 3 * p[2] + 3 * p[1] - p[0]) <=
                  l.jerk * dt * dt * dt * (1 + 1e-9) + 8 * rounding);
    }
  }
}

static bool is_at(const dpc_motion* m, const dpc_motion* target) {
  return m->position == target->position && m->velocity == target->velocity &&
         m->acceleration == target->acceleration;
}

// It comes to a target that stands, to the bit, in little more than the time that it takes to cross
// the range, and from rest without overshooting.
static void test_comes_to_rest_at_the_target(void** state) {
  (void)state;
  for (uint32_t chain = 0; chain < 2000; ++chain) {
    source s = {.chain = chain + (1U << 31)};
    const dpc_limits l = draw_limits(&s);
    const double dt = over_decades(&s, 1e-3, 0.05);
    dpc_motion m = {.position = between(&s, l.low, l.high)};
    const dpc_motion start = m;
    const dpc_motion target = {.position = between(&s, l.low, l.high)};
    const double way = target.position > m.position ? 1 : -1;
    const double width = l.high - l.low;
    const double time = width / l.speed + 4 * l.speed / l.acceleration +
                        4 * l.acceleration / l.jerk + 2 * sqrt(width / l.acceleration) +
                        4 * cbrt(width / l.jerk);
    const int steps = (int)(time / dt) + 20;
    int i = 0;
    while (i < steps && !is_at(&m, &target)) {
      m = dpc_limiter_step(&l, &m, &target, dt);
      assert_true(way * (target.position - m.position) >= -1e-6 * width);
      ++i;
    }
    if (i == steps) {
      fail_msg("chain %u: from %g to %g in %d steps of %g s: at %.17g, not %.17g, v %g, a %g",
               chain, start.position, target.position, steps, dt, m.position, target.position,
               m.velocity, m.acceleration);
    }
  }
}

// A smooth target within the limits is followed without a difference in any bit; with wide limits any
// is, as if there were none.
static void test_within_the_limits_nothing_changes(void** state) {
  (void)state;
  const dpc_limits l = {-2, 2, 4, 20, 100};
  dpc_motion m = {.position = 1, .acceleration = -4};
  for (int i = 1; i < 10000; ++i) {
    const double t = 0.002 * i;
    const dpc_motion target = {cos(2 * t), -2 * sin(2 * t), -4 * cos(2 * t)};
    m = dpc_limiter_step(&l, &m, &target, 0.002);
    assert_memory_equal(&m, &target, sizeof m);
  }
  const dpc_limits wide = {-1e6, 1e6, 1e12, 1e18, 1e24};
  m = (dpc_motion){0};
  for (uint32_t i = 0; i < 100000; ++i) {
    source s = {.chain = i, .taken = 100};
    const dpc_motion target = {.position = between(&s, -512, 512)};
    m = dpc_limiter_step(&wide, &m, &target, 0.01);
    assert_memory_equal(&m, &target, sizeof m);
  }
}

// What moves at a constant speed is caught up with and then followed without lag.
static void test_follows_what_moves(void** state) {
  (void)state;
  const dpc_limits l = {-100, 100, 2, 5, 40};
  dpc_motion m = {0};
  for (int i = 1; i < 2000; ++i) {
    const dpc_motion target = {.position = 3 + 0.01 * i, .velocity = 1};
    m = dpc_limiter_step(&l, &m, &target, 0.01);
    if (i > 1000) assert_near(m.position, target.position, 1e-9);
  }
}

// A robot that stands outside is brought back, and never taken further out.
static void test_comes_back_into_the_range(void** state) {
  (void)state;
  const dpc_limits l = {-1, 1, 2, 5, 40};
  for (int side = -1; side <= 1; side += 2) {
    dpc_motion m = {.position = 1.5 * side};
    const dpc_motion target = {.position = 9.0 * side};
    double out = 1.5;
    for (int i = 0; i < 1000; ++i) {
      m = dpc_limiter_step(&l, &m, &target, 0.01);
      assert_true(m.position * side <= out);
      out = m.position * side;
    }
    assert_near(m.position, side, 0);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_no_limit_is_ever_broken),
      cmocka_unit_test(test_commands_show_no_more_jerk_than_allowed),
      cmocka_unit_test(test_comes_to_rest_at_the_target),
      cmocka_unit_test(test_within_the_limits_nothing_changes),
      cmocka_unit_test(test_follows_what_moves),
      cmocka_unit_test(test_comes_back_into_the_range),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
