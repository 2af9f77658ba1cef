// Moves of the push world: what the mirror leaves alone, where motions take the block, and that
// coverage and keypoints follow it.

#include "policy/rng.h"
#include "sim/coverage.h"
#include "sim/push_isometry.h"
#include "tests/test.h"

enum { POSES = 2000 };

static const double TURN = 6.28318530717958647693;

static dpc_push_isometry mirror;

static dpc_push_state image_of(const dpc_push_state* state) {
  return dpc_push_move_state(&mirror, state);
}

/// Agent and block anywhere on the table, turned by up to two turns.
static dpc_push_state random_state(uint32_t number) {
  float u[5];
  dpc_rng_uniform((dpc_rng_key){11, number}, DPC_STREAM_TEST, 0, 0, 5, u);
  return (dpc_push_state){512 * (double)u[0], 512 * (double)u[1], 512 * (double)u[2],
                          512 * (double)u[3], 4 * TURN * ((double)u[4] - 0.5)};
}

/// Near enough to the goal to cover some of it.
static dpc_push_state random_cover(uint32_t number) {
  dpc_push_state state = random_state(number);
  state.block_x = DPC_PUSH_GOAL_X + (state.block_x - 256) / 4;
  state.block_y = DPC_PUSH_GOAL_Y + (state.block_y - 256) / 4;
  return state;
}

static void keypoints_of(const dpc_push_state* state, float* out) {
  for (size_t i = 0; i < DPC_PUSH_KEYPOINTS; ++i) {
    double at[2];
    dpc_push_block_point(state, dpc_push_keypoints[i][0], dpc_push_keypoints[i][1], at);
    out[2 * i] = (float)at[0];
    out[2 * i + 1] = (float)at[1];
  }
}

static void assert_same_state(const dpc_push_state* a, const dpc_push_state* b) {
  assert_near(a->agent_x, b->agent_x, 1e-9);
  assert_near(a->agent_y, b->agent_y, 1e-9);
  assert_near(a->block_x, b->block_x, 1e-9);
  assert_near(a->block_y, b->block_y, 1e-9);
  assert_near(a->block_angle, b->block_angle, 1e-9);
}

static void twice_is_the_original(void** state) {
  (void)state;
  for (uint32_t i = 0; i < POSES; ++i) {
    const dpc_push_state original = random_state(i), once = image_of(&original);
    const dpc_push_state twice = image_of(&once);
    assert_same_state(&twice, &original);
  }
}

// The goal with the agent anywhere on the line; corners of the table go to corners of the table.
static void leaves_the_goal_alone(void** state) {
  (void)state;
  const dpc_push_state goal = {100, 412, DPC_PUSH_GOAL_X, DPC_PUSH_GOAL_Y, DPC_PUSH_GOAL_ANGLE};
  const dpc_push_state image = image_of(&goal);
  assert_same_state(&image, &goal);
  double corner[2] = {512, 512};
  dpc_push_move_point(&mirror, corner, corner);
  assert_near(corner[0], 0, 0);
  assert_near(corner[1], 0, 0);
}

// Every point of the block has its image in the image of the block, on the stem's other side.
static void maps_the_block_onto_itself(void** state) {
  (void)state;
  for (uint32_t i = 0; i < POSES; ++i) {
    const dpc_push_state original = random_state(i), image = image_of(&original);
    for (int r = 0; r < 2; ++r) {
      const dpc_rectangle* part = &dpc_push_block[r];
      assert_near(part->x0, -part->x1, 0);
      double there[2], here[2];
      dpc_push_block_point(&original, part->x0, part->y1, there);
      dpc_push_move_point(&mirror, there, there);
      dpc_push_block_point(&image, part->x1, part->y1, here);
      assert_near(there[0], here[0], 1e-9);
      assert_near(there[1], here[1], 1e-9);
    }
  }
}

// The reward is a function of the coverage.
static void keeps_the_coverage(void** state) {
  (void)state;
  int covering = 0;
  for (uint32_t i = 0; i < POSES; ++i) {
    const dpc_push_state original = random_cover(i), image = image_of(&original);
    const double coverage = dpc_push_coverage(&original);
    assert_near(dpc_push_coverage(&image), coverage, 1e-9);
    covering += coverage > 0.1 ? 1 : 0;
  }
  assert_true(covering > POSES / 2);
}

// Floats up to 512 are up to 6e-5 apart.
static void fits_the_pose_of_keypoints(void** state) {
  (void)state;
  for (uint32_t i = 0; i < POSES; ++i) {
    const dpc_push_state original = random_state(i);
    dpc_push_state fitted = {.agent_x = 7, .agent_y = 8};
    float points[2 * DPC_PUSH_KEYPOINTS];
    keypoints_of(&original, points);
    assert_near(dpc_push_fit_keypoints(points, &fitted), 0, 1e-4);
    assert_near(fitted.block_x, original.block_x, 1e-4);
    assert_near(fitted.block_y, original.block_y, 1e-4);
    assert_near(remainder(fitted.block_angle - original.block_angle, TURN), 0, 2e-6);
    assert_near(fitted.agent_x, 7, 0);
    assert_near(fitted.agent_y, 8, 0);
  }
}

static void mirrors_keypoints_with_the_block(void** state) {
  (void)state;
  for (uint32_t i = 0; i < POSES; ++i) {
    const dpc_push_state original = random_state(i), image = image_of(&original);
    float points[2 * DPC_PUSH_KEYPOINTS], expected[2 * DPC_PUSH_KEYPOINTS];
    keypoints_of(&original, points);
    keypoints_of(&image, expected);
    assert_near(dpc_push_move_keypoints(&mirror, points, points), 0, 1e-4);
    for (int k = 0; k < 2 * DPC_PUSH_KEYPOINTS; ++k) {
      assert_near((double)points[k], (double)expected[k], 2e-4);
    }
  }
}

// One point that is elsewhere, the reflected block's points, and no block at all.
static void tells_what_is_not_the_block(void** state) {
  (void)state;
  const dpc_push_state here = {0, 0, 200, 300, 1};
  float points[2 * DPC_PUSH_KEYPOINTS];
  dpc_push_state fitted = {0};
  for (size_t i = 0; i < DPC_PUSH_KEYPOINTS; ++i) {
    keypoints_of(&here, points);
    points[2 * i] += 2;
    const double distance = dpc_push_fit_keypoints(points, &fitted);
    assert_true(distance > 0.5 && distance < 2);
  }
  keypoints_of(&here, points);
  for (size_t i = 0; i < DPC_PUSH_KEYPOINTS; ++i) points[2 * i] = 512 - points[2 * i];
  assert_true(dpc_push_fit_keypoints(points, &fitted) > 10);
  memset(points, 0, sizeof points);
  assert_true(dpc_push_fit_keypoints(points, &fitted) > 10);
}

// Block and keypoints arrive, and distances to the agent stay.
static void a_motion_takes_the_block_along(void** state) {
  (void)state;
  for (uint32_t i = 0; i < POSES; ++i) {
    const dpc_push_state from = random_state(i), to = random_state(i + POSES);
    const dpc_push_isometry motion = dpc_push_motion(&from, &to);
    const dpc_push_state moved = dpc_push_move_state(&motion, &from);
    assert_near(moved.block_x, to.block_x, 1e-9);
    assert_near(moved.block_y, to.block_y, 1e-9);
    assert_near(moved.block_angle, to.block_angle, 1e-9);
    assert_near(hypot(moved.agent_x - moved.block_x, moved.agent_y - moved.block_y),
                hypot(from.agent_x - from.block_x, from.agent_y - from.block_y), 1e-9);
    float points[2 * DPC_PUSH_KEYPOINTS], expected[2 * DPC_PUSH_KEYPOINTS];
    keypoints_of(&from, points);
    keypoints_of(&to, expected);
    (void)dpc_push_move_keypoints(&motion, points, points);
    for (int k = 0; k < 2 * DPC_PUSH_KEYPOINTS; ++k) {
      assert_near((double)points[k], (double)expected[k], 2e-3);
    }
  }
}

static int make_mirror(void** state) {
  (void)state;
  mirror = dpc_push_mirror();
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(twice_is_the_original),
      cmocka_unit_test(leaves_the_goal_alone),
      cmocka_unit_test(maps_the_block_onto_itself),
      cmocka_unit_test(keeps_the_coverage),
      cmocka_unit_test(fits_the_pose_of_keypoints),
      cmocka_unit_test(mirrors_keypoints_with_the_block),
      cmocka_unit_test(a_motion_takes_the_block_along),
      cmocka_unit_test(tells_what_is_not_the_block),
  };
  return cmocka_run_group_tests(tests, make_mirror, NULL);
}
