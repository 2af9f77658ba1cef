// Episodes: what is observed, rewarded and refused.

#include "sim/push_task.h"

#include "policy/rng.h"
#include "sim/coverage.h"
#include "sim/push_block.h"
#include "tests/test.h"

enum { AGENT = 18, BLOCK = 20, ANGLE = 22 };  // where they begin in an observation

static dpc_error error;

static dpc_push_task* make_task(void) {
  dpc_push_task* task = NULL;
  assert_ok(dpc_push_task_create(&task, &error), &error);
  return task;
}

static void interface_is_sound(void** state) {
  (void)state;
  const dpc_interface* interface = dpc_push_task_interface();
  int offset = -1;
  assert_ok(dpc_interface_check(interface, &error), &error);
  assert_int_equal(dpc_layout_dim(&interface->obs), DPC_PUSH_OBS_DIM);
  assert_int_equal(dpc_layout_dim(&interface->action), DPC_PUSH_ACTION_DIM);
  assert_int_equal(interface->period_ns, 100000000);
  assert_non_null(dpc_layout_find(&interface->obs, "keypoint", &offset));
  assert_int_equal(offset, 0);
  assert_non_null(dpc_layout_find(&interface->obs, "agent_pos", &offset));
  assert_int_equal(offset, AGENT);
  assert_non_null(dpc_layout_find(&interface->obs, "block_pos", &offset));
  assert_int_equal(offset, BLOCK);
  assert_non_null(dpc_layout_find(&interface->obs, "block_angle", &offset));
  assert_int_equal(offset, ANGLE);
  assert_string_equal(dpc_layout_find(&interface->action, "action", NULL)->tracks, "agent_pos");
  for (int k = 0; k < DPC_LIMIT_COUNT; ++k) {
    assert_int_equal(interface->limits.given[0][k], k == DPC_LIMIT_LOW || k == DPC_LIMIT_HIGH);
  }
  for (int i = 0; i < DPC_PUSH_ACTION_DIM; ++i) {
    assert_near((double)interface->limits.values[DPC_LIMIT_LOW][i], 0, 0);
    assert_near((double)interface->limits.values[DPC_LIMIT_HIGH][i], DPC_PUSH_SIZE, 0);
  }
}

// --- observing -------------------------------------------------------------------------------------

static void observes_what_is_there(void** state) {
  (void)state;
  dpc_push_task* task = make_task();
  for (uint32_t seed = 0; seed < 50; ++seed) {
    float obs[DPC_PUSH_OBS_DIM];
    dpc_push_task_reset(task, seed);
    dpc_push_task_observe(task, obs);
    const dpc_push_state s = dpc_push_task_state(task);
    assert_true(obs[AGENT] == (float)s.agent_x && obs[AGENT + 1] == (float)s.agent_y);
    assert_true(obs[BLOCK] == (float)s.block_x && obs[BLOCK + 1] == (float)s.block_y);
    assert_true(obs[ANGLE] == (float)s.block_angle);
    // back into the block's own frame; floats up to 600 are 6e-5 apart
    const double c = cos(s.block_angle), sn = sin(s.block_angle);
    for (int i = 0; i < DPC_PUSH_KEYPOINTS; ++i) {
      const float* point = &obs[(ptrdiff_t)2 * i];
      const double dx = (double)point[0] - s.block_x, dy = (double)point[1] - s.block_y;
      assert_near(c * dx + sn * dy, dpc_push_keypoints[i][0], 1e-4);
      assert_near(-sn * dx + c * dy, dpc_push_keypoints[i][1], 1e-4);
    }
  }
  dpc_push_task_destroy(task);
}

// By hand: a quarter turn takes (x, y) to (-y, x).
static void keypoints_of_a_quarter_turn(void** state) {
  (void)state;
  dpc_push_task* task = make_task();
  const dpc_push_state start = {50, 50, 200, 300, M_PI / 2};
  float obs[DPC_PUSH_OBS_DIM];
  dpc_push_task_place(task, &start, DPC_PLACE_ANGLE_FIRST);
  dpc_push_task_observe(task, obs);
  assert_near((double)obs[0], 200 - 90.041, 1e-4);
  assert_near((double)obs[1], 300 + 9.270, 1e-4);
  assert_near((double)obs[16], 200 + 1.700, 1e-4);
  assert_near((double)obs[17], 300 + 23.542, 1e-4);
  dpc_push_task_destroy(task);
}

static void resets_as_the_benchmark(void** state) {
  (void)state;
  dpc_push_task* task = make_task();
  dpc_push_world* world = NULL;
  assert_ok(dpc_push_world_create(&world, &error), &error);
  for (uint32_t seed = 100000; seed < 100050; ++seed) {
    const dpc_push_state drawn = dpc_push_reset_state(seed);
    dpc_push_world_place(world, &drawn, DPC_PLACE_LEGACY);
    dpc_push_task_reset(task, seed);
    const dpc_push_state want = dpc_push_world_state(world), got = dpc_push_task_state(task);
    assert_memory_equal(&got, &want, sizeof got);
    const dpc_push_progress progress = dpc_push_task_progress(task);
    assert_near(progress.coverage, dpc_push_coverage(&got), 0);
    assert_int_equal(progress.steps, 0);
    assert_true(progress.reward == 0 && progress.score == 0);
    assert_false(progress.done || progress.success);
  }
  dpc_push_world_destroy(world);
  dpc_push_task_destroy(task);
}

// --- reward and end --------------------------------------------------------------------------------

static void rewards_coverage_until_no_steps_are_left(void** state) {
  (void)state;
  dpc_push_task* task = make_task();
  double score = 0;
  dpc_push_task_reset(task, 100002);
  for (uint32_t t = 0; t < DPC_PUSH_STEPS_MAX; ++t) {
    const dpc_push_state s = dpc_push_task_state(task);
    uint32_t bits[4];
    dpc_rng_bits((dpc_rng_key){1, 0}, t / 6, 0, 0, 0, bits);
    const float action[2] = {(float)s.block_x + (float)(bits[0] % 161) - 80,
                             (float)s.block_y + (float)(bits[1] % 161) - 80};
    assert_false(dpc_push_task_progress(task).done);
    assert_ok(dpc_push_task_step(task, action, &error), &error);
    const dpc_push_state after = dpc_push_task_state(task);
    const dpc_push_progress p = dpc_push_task_progress(task);
    const double coverage = dpc_push_coverage(&after);
    score = fmax(score, fmin(coverage / 0.95, 1));
    assert_int_equal(p.steps, t + 1);
    assert_near(p.coverage, coverage, 0);
    assert_near(p.reward, fmin(coverage / 0.95, 1), 0);
    assert_near(p.score, score, 0);
  }
  const dpc_push_progress p = dpc_push_task_progress(task);
  assert_true(p.done);
  assert_false(p.success);
  assert_true(p.score > 0 && p.score < 1);
  dpc_push_task_destroy(task);
}

// A step in parts, whichever they are, is the step as a whole, to the bit; only its last tick counts.
static void a_step_in_parts_is_the_step(void** state) {
  (void)state;
  static const int parts[][10] = {{10}, {5, 5}, {1, 1, 1, 1, 1, 1, 1, 1, 1, 1}, {3, 7}};
  dpc_push_task *whole = make_task(), *cut = make_task();
  dpc_push_task_reset(whole, 100002);
  dpc_push_task_reset(cut, 100002);
  for (uint32_t t = 0; !dpc_push_task_progress(whole).done; ++t) {
    const dpc_push_state s = dpc_push_task_state(whole);
    const float action[2] = {(float)s.block_x + 20 * (float)(t % 5), (float)s.block_y};
    assert_ok(dpc_push_task_step(whole, action, &error), &error);
    const int* ticks = parts[t % DPC_COUNT(parts)];
    for (int sum = 0; sum < DPC_PUSH_STEP_TICKS; sum += *ticks++) {
      assert_int_equal(dpc_push_task_progress(cut).steps, t);
      assert_ok(dpc_push_task_advance(cut, action, *ticks, &error), &error);
    }
    const dpc_push_state a = dpc_push_task_state(whole), b = dpc_push_task_state(cut);
    const dpc_push_progress p = dpc_push_task_progress(whole), q = dpc_push_task_progress(cut);
    assert_memory_equal(&a, &b, sizeof a);
    assert_true(p.steps == q.steps && p.reward == q.reward && p.score == q.score);
  }
  dpc_push_task_destroy(whole);
  dpc_push_task_destroy(cut);
}

// The block a little off its goal, and the agent far away.
static dpc_push_progress step_beside_goal(double shift) {
  dpc_push_task* task = make_task();
  const dpc_push_state start = {60, 60, DPC_PUSH_GOAL_X + shift, DPC_PUSH_GOAL_Y,
                                DPC_PUSH_GOAL_ANGLE};
  const float stay[2] = {60, 60};
  dpc_push_task_place(task, &start, DPC_PLACE_ANGLE_FIRST);
  assert_ok(dpc_push_task_step(task, stay, &error), &error);
  const dpc_push_progress progress = dpc_push_task_progress(task);
  dpc_push_task_destroy(task);
  return progress;
}

static void succeeds_above_the_limit(void** state) {
  (void)state;
  // shifted by d diagonally, about 1 - 210 d / sqrt(2) / 6300 remains
  for (int i = 0; i < 120; ++i) {
    const dpc_push_progress p = step_beside_goal(0.05 * i);
    assert_true(p.success == (p.coverage > 0.95));
    assert_true(p.done == p.success);
    assert_true((p.score == 1) == (p.coverage >= 0.95));
  }
  assert_true(step_beside_goal(0).success);
  assert_false(step_beside_goal(5).success);
}

// --- refusing --------------------------------------------------------------------------------------

static void refuses_what_cannot_be_followed(void** state) {
  (void)state;
  dpc_push_task* task = make_task();
  dpc_push_task_reset(task, 3);
  const dpc_push_state before = dpc_push_task_state(task);
  const float wrong[] = {NAN, INFINITY, -INFINITY, 1.01e6F, -3e38F};
  for (int i = 0; i < DPC_COUNT(wrong); ++i) {
    const float first[2] = {wrong[i], 100}, second[2] = {100, wrong[i]};
    assert_fails(dpc_push_task_step(task, first, &error), DPC_ERR_INVALID, &error, "action[0]");
    assert_fails(dpc_push_task_step(task, second, &error), DPC_ERR_INVALID, &error, "action[1]");
  }
  const dpc_push_state after = dpc_push_task_state(task);
  assert_memory_equal(&after, &before, sizeof after);
  assert_int_equal(dpc_push_task_progress(task).steps, 0);
  dpc_push_task_destroy(task);
}

// Nothing that is let through breaks the physics, however wild.
static void stands_every_target_that_it_takes(void** state) {
  (void)state;
  dpc_push_task* task = make_task();
  for (uint32_t seed = 0; seed < 40; ++seed) {
    dpc_push_task_reset(task, seed);
    for (uint32_t t = 0; !dpc_push_task_progress(task).done; ++t) {
      uint32_t bits[4];
      dpc_rng_bits((dpc_rng_key){2, seed}, t / (1 + seed % 4), 0, 0, 0, bits);
      const float scale = (float[]){300, 3000, 1e5F, 1e6F}[seed / 4 % 4];
      const float action[2] = {scale * ((float)(bits[0] % 2001) - 1000) / 1000,
                               scale * ((float)(bits[1] % 2001) - 1000) / 1000};
      float obs[DPC_PUSH_OBS_DIM];
      assert_ok(dpc_push_task_step(task, action, &error), &error);
      dpc_push_task_observe(task, obs);
      for (int i = 0; i < DPC_PUSH_OBS_DIM; ++i) assert_true(isfinite(obs[i]));
      const dpc_push_progress p = dpc_push_task_progress(task);
      assert_true(p.coverage >= 0 && p.coverage <= 1);
    }
  }
  dpc_push_task_destroy(task);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(interface_is_sound),
      cmocka_unit_test(observes_what_is_there),
      cmocka_unit_test(keypoints_of_a_quarter_turn),
      cmocka_unit_test(resets_as_the_benchmark),
      cmocka_unit_test(rewards_coverage_until_no_steps_are_left),
      cmocka_unit_test(a_step_in_parts_is_the_step),
      cmocka_unit_test(succeeds_above_the_limit),
      cmocka_unit_test(refuses_what_cannot_be_followed),
      cmocka_unit_test(stands_every_target_that_it_takes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
