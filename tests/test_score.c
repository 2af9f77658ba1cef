// What episodes say together.

#include "tools/score.h"

#include "tests/small_policy.h"
#include "tests/test.h"

enum { SEEDS = 5 };

static dpc_arena arena;
static dpc_policy* policy;
static dpc_error error;

static int set_up(void** state) {
  (void)state;
  assert_ok(dpc_arena_map(&arena, (size_t)1 << 30, &error), &error);
  assert_ok(small_policy_load(&arena, &policy, &error), &error);
  return 0;
}

static int tear_down(void** state) {
  (void)state;
  dpc_arena_unmap(&arena);
  return 0;
}

// Worked out from Wilson's formula by hand, and the ends of the scale.
static void test_wilson(void** state) {
  (void)state;
  double interval[2];
  dpc_score_wilson(110, 200, interval);
  assert_near(interval[0], 0.48076, 2e-5);
  assert_near(interval[1], 0.61736, 2e-5);
  dpc_score_wilson(0, 10, interval);
  assert_true(interval[0] == 0 && interval[1] > 0.2 && interval[1] < 0.35);
  dpc_score_wilson(10, 10, interval);
  assert_true(interval[1] == 1 && interval[0] < 0.8 && interval[0] > 0.65);
}

// For many episodes the bootstrap's interval is the normal one, 1.96 standard errors to each side.
static void test_bootstrap(void** state) {
  (void)state;
  enum { COUNT = 400 };
  static dpc_rollout_result results[COUNT];
  dpc_score score, again;
  for (int i = 0; i < COUNT; ++i) {
    results[i] =
        (dpc_rollout_result){.score = i * 7 % COUNT / (COUNT - 1.0), .success = i % 4 == 0};
  }
  assert_ok(dpc_score_of(results, COUNT, 3, &score, &error), &error);
  assert_ok(dpc_score_of(results, COUNT, 3, &again, &error), &error);
  const double half = 1.96 * sqrt(1.0 / 12 / COUNT);
  assert_near(score.mean, 0.5, 1e-9);
  assert_near(score.mean_ci95[0], 0.5 - half, 0.1 * half);
  assert_near(score.mean_ci95[1], 0.5 + half, 0.1 * half);
  assert_near(score.success, 0.25, 1e-12);
  assert_memory_equal(&score, &again, sizeof score);
  assert_ok(dpc_score_of(results, 1, 3, &score, &error), &error);
  assert_true(score.mean_ci95[0] == results[0].score && score.mean_ci95[1] == results[0].score);
}

// What is lost is paired: episodes that differ much, but each by the same, leave no doubt.
static void test_loss(void** state) {
  (void)state;
  enum { COUNT = 50 };
  dpc_rollout_result results[COUNT] = {0}, others[COUNT] = {0};
  double loss = 0, interval[2];
  for (int i = 0; i < COUNT; ++i) {
    results[i].score = i / 64.0;
    others[i].score = i / 64.0 - 0.25;
  }
  assert_ok(dpc_score_loss(results, others, COUNT, 3, &loss, interval, &error), &error);
  assert_near(loss, 0.25, 1e-12);
  assert_near(interval[0], 0.25, 1e-12);
  assert_near(interval[1], 0.25, 1e-12);
  assert_ok(dpc_score_loss(results, results, COUNT, 3, &loss, interval, &error), &error);
  assert_true(loss == 0 && interval[0] == 0 && interval[1] == 0);
}

// Of motion: the mean and the largest of the episodes that switch at all.
static void test_motion(void** state) {
  (void)state;
  const dpc_rollout_result results[] = {
      {.motion = {3, 10, 400}}, {.motion = {0, 0, 0}}, {.motion = {1, 30, 200}}};
  dpc_score score;
  assert_ok(dpc_score_of(results, 3, 0, &score, &error), &error);
  assert_true(score.velocity_step_mean == 20 && score.velocity_step_max == 30);
  assert_true(score.jerk_mean == 300 && score.jerk_max == 400);
  assert_ok(dpc_score_of(&results[1], 1, 0, &score, &error), &error);
  assert_true(score.velocity_step_mean == 0 && score.jerk_max == 0);
}

// What a trainer calls gives what evaluating by hand gives.
static void test_scores_a_checkpoint(void** state) {
  (void)state;
  char path[] = "/tmp/dpc_rollout_XXXXXX";
  const int fd = mkstemp(path);
  assert_true(fd >= 0);
  close(fd);
  assert_ok(small_policy_save(path, &arena, &error), &error);
  dpc_rollout_result results[SEEDS];
  dpc_score by_hand, score;
  const dpc_rollouts_def def = {
      .rollout = dpc_rollout_def_default(dpc_policy_info(policy)), .first_seed = 3, .count = SEEDS};
  assert_ok(dpc_rollouts_run(&def, policy, results, &error), &error);
  assert_ok(dpc_score_of(results, SEEDS, 0, &by_hand, &error), &error);
  assert_ok(dpc_score_checkpoint(path, 3, SEEDS, 2, &score, &error), &error);
  assert_memory_equal(&score, &by_hand, sizeof score);
  unlink(path);
  assert_fails(dpc_score_checkpoint(path, 3, SEEDS, 2, &score, &error), DPC_ERR_IO, &error, path);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_wilson),
      cmocka_unit_test(test_bootstrap),
      cmocka_unit_test(test_loss),
      cmocka_unit_test(test_motion),
      cmocka_unit_test(test_scores_a_checkpoint),
  };
  return cmocka_run_group_tests_name("score", tests, set_up, tear_down);
}
