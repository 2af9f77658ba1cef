// Episodes in process: whole, repeatable, and the same whoever runs them and in which order.

#include "tools/rollout.h"

#include "tests/small_policy.h"
#include "tests/test.h"
#include "tools/score.h"

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

static dpc_rollout* make_rollout(const dpc_rollout_def* def) {
  dpc_rollout* rollout = NULL;
  assert_ok(dpc_rollout_create(def, policy, &arena, &rollout, &error), &error);
  return rollout;
}

static dpc_rollout_def default_def(void) {
  return dpc_rollout_def_default(dpc_policy_info(policy));
}

static dpc_episode run_alone(const dpc_rollout_def* def, uint32_t seed) {
  dpc_episode episode = {0};
  dpc_rollout_result result;
  dpc_rollout* rollout = make_rollout(def);
  assert_ok(dpc_rollout_run(rollout, seed, &episode, &result, &error), &error);
  dpc_rollout_destroy(rollout);
  return episode;
}

static bool same_episode(const dpc_episode* a, const dpc_episode* b) {
  const size_t rows = (size_t)a->length;
  return a->length == b->length &&
         memcmp(a->obs, b->obs, (rows + 1) * DPC_PUSH_OBS_DIM * sizeof(float)) == 0 &&
         memcmp(a->action, b->action, rows * DPC_PUSH_ACTION_DIM * sizeof(float)) == 0 &&
         memcmp(a->reward, b->reward, rows * sizeof(double)) == 0;
}

// --- one rollout -----------------------------------------------------------------------------------

static void test_records_all_of_an_episode(void** state) {
  (void)state;
  const dpc_rollout_def def = default_def();
  dpc_rollout* rollout = make_rollout(&def);
  dpc_push_task* task = NULL;
  assert_ok(dpc_push_task_create(&task, &error), &error);
  for (uint32_t seed = 0; seed < SEEDS; ++seed) {
    dpc_episode e = {0};
    dpc_rollout_result result;
    float obs[DPC_PUSH_OBS_DIM];
    assert_ok(dpc_rollout_run(rollout, seed, &e, &result, &error), &error);
    assert_int_equal(result.seed, seed);
    assert_int_equal(result.steps, e.length);
    assert_int_equal(e.seed, seed);
    double best = 0;
    dpc_push_task_reset(task, seed);
    for (int t = 0; t < e.length; ++t) {  // the task, given the recorded actions, says the same
      const float* action = e.action + (size_t)t * DPC_PUSH_ACTION_DIM;
      dpc_push_task_observe(task, obs);
      assert_memory_equal(obs, e.obs + (size_t)t * DPC_PUSH_OBS_DIM, sizeof obs);
      assert_true(action[0] >= 0 && action[0] <= 512 && action[1] >= 0 && action[1] <= 512);
      assert_ok(dpc_push_task_step(task, action, &error), &error);
      assert_true(e.reward[t] == dpc_push_task_progress(task).reward);
      assert_true(e.done[t] == (t == e.length - 1));
      best = fmax(best, e.reward[t]);
    }
    dpc_push_task_observe(task, obs);
    assert_memory_equal(obs, e.last_obs, sizeof obs);
    assert_true(result.score == best);
    assert_true(result.success || e.length == DPC_PUSH_STEPS_MAX);
    dpc_episode_free(&e);
  }
  dpc_push_task_destroy(task);
  dpc_rollout_destroy(rollout);
}

static void test_earlier_episodes_leave_no_trace(void** state) {
  (void)state;
  const dpc_rollout_def def = default_def();
  dpc_rollout* rollout = make_rollout(&def);
  dpc_episode alone = run_alone(&def, 7), after = {0};
  dpc_rollout_result result;
  for (uint32_t seed = 11; seed < 13; ++seed) {
    assert_ok(dpc_rollout_run(rollout, seed, NULL, &result, &error), &error);
  }
  assert_ok(dpc_rollout_run(rollout, 7, &after, &result, &error), &error);
  assert_true(same_episode(&alone, &after));
  dpc_episode_free(&alone);
  dpc_episode_free(&after);
  dpc_rollout_destroy(rollout);
}

static void test_noise_is_the_run_seeds(void** state) {
  (void)state;
  dpc_rollout_def def = default_def();
  dpc_episode first = run_alone(&def, 7);
  def.controller.seed = 1;
  dpc_episode second = run_alone(&def, 7);
  assert_memory_equal(first.obs, second.obs, DPC_PUSH_OBS_DIM * sizeof(float));
  assert_memory_not_equal(first.action, second.action, 2 * sizeof(float));
  dpc_episode_free(&first);
  dpc_episode_free(&second);
}

// Until the first plan takes effect the agent is told to stay where it is; the plan then goes on from
// the row that is due, as if there had been no wait.
static void test_delay_holds_then_follows(void** state) {
  (void)state;
  enum { DELAY = 3 };
  dpc_rollout_def def = default_def();
  dpc_episode prompt = run_alone(&def, 7);
  def.controller.delay = DELAY;
  dpc_episode late = run_alone(&def, 7);
  for (size_t t = 0; t < DELAY; ++t) {
    assert_memory_equal(&late.action[2 * t], &late.obs[18], 2 * sizeof(float));
  }
  assert_memory_equal(&late.action[(size_t)2 * DELAY], &prompt.action[(size_t)2 * DELAY],
                      sizeof(float[2][SMALL_N_ACTIONS - DELAY]));
  dpc_episode_free(&prompt);
  dpc_episode_free(&late);
}

static void test_settings_that_do_not_fit_are_refused(void** state) {
  (void)state;
  dpc_rollout* rollout = NULL;
  const size_t mark = arena.used;
  dpc_rollout_def def = default_def();
  def.controller.n_actions = SMALL_HORIZON;
  assert_fails(dpc_rollout_create(&def, policy, &arena, &rollout, &error), DPC_ERR_CONFIG, &error,
               "n_actions");
  def = default_def();
  def.sampler.steps = 101;
  assert_fails(dpc_rollout_create(&def, policy, &arena, &rollout, &error), DPC_ERR_CONFIG, &error,
               "steps");
  assert_null(rollout);
  assert_true(arena.used == mark);
}

// --- many ------------------------------------------------------------------------------------------

typedef struct visits {
  int count;
  int fail_at;  // -1: never
  bool in_order;
} visits;

static dpc_status visit(void* user, const dpc_rollout_result* result, const dpc_episode* episode,
                        dpc_error* why) {
  visits* v = user;
  v->in_order &= result->seed == 20 + (uint32_t)v->count && episode != NULL &&
                 episode->seed == result->seed && episode->length == result->steps;
  if (v->count == v->fail_at) return dpc_fail(why, DPC_ERR_IO, "disk full");
  v->count += 1;
  return DPC_OK;
}

static void test_threads_do_not_matter(void** state) {
  (void)state;
  dpc_rollout_result one[SEEDS], three[SEEDS];
  visits v = {.fail_at = -1, .in_order = true};
  dpc_rollouts_def def = {.rollout = default_def(), .first_seed = 20, .count = SEEDS, .threads = 1};
  assert_ok(dpc_rollouts_run(&def, policy, one, &error), &error);
  def.threads = 3;
  def.record = true;
  def.visit = visit;
  def.user = &v;
  assert_ok(dpc_rollouts_run(&def, policy, three, &error), &error);
  assert_int_equal(v.count, SEEDS);
  assert_true(v.in_order);
  for (int i = 0; i < SEEDS; ++i) {
    assert_int_equal(one[i].seed, 20 + i);
    assert_true(one[i].score == three[i].score && one[i].steps == three[i].steps);
  }
}

static void test_first_failure_ends_it(void** state) {
  (void)state;
  dpc_rollout_result results[SEEDS];
  visits v = {.fail_at = 2, .in_order = true};
  const dpc_rollouts_def def = {.rollout = default_def(),
                                .first_seed = 20,
                                .count = SEEDS,
                                .threads = 2,
                                .record = true,
                                .visit = visit,
                                .user = &v};
  assert_fails(dpc_rollouts_run(&def, policy, results, &error), DPC_ERR_IO, &error, "disk full");
  assert_int_equal(v.count, 2);
}

static void test_last_seed_of_all(void** state) {
  (void)state;
  dpc_rollout_result results[2];
  const dpc_rollouts_def def = {
      .rollout = default_def(), .first_seed = UINT32_MAX - 1, .count = 2, .threads = 2};
  assert_ok(dpc_rollouts_run(&def, policy, results, &error), &error);
  assert_int_equal(results[1].seed, UINT32_MAX);
}

// --- what they say together ------------------------------------------------------------------------

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
  const dpc_rollouts_def def = {.rollout = default_def(), .first_seed = 3, .count = SEEDS};
  assert_ok(dpc_rollouts_run(&def, policy, results, &error), &error);
  assert_ok(dpc_score_of(results, SEEDS, 0, &by_hand, &error), &error);
  assert_ok(dpc_score_checkpoint(path, 3, SEEDS, 2, &score, &error), &error);
  assert_memory_equal(&score, &by_hand, sizeof score);
  unlink(path);
  assert_fails(dpc_score_checkpoint(path, 3, SEEDS, 2, &score, &error), DPC_ERR_IO, &error, path);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_records_all_of_an_episode),
      cmocka_unit_test(test_earlier_episodes_leave_no_trace),
      cmocka_unit_test(test_noise_is_the_run_seeds),
      cmocka_unit_test(test_delay_holds_then_follows),
      cmocka_unit_test(test_settings_that_do_not_fit_are_refused),
      cmocka_unit_test(test_threads_do_not_matter),
      cmocka_unit_test(test_first_failure_ends_it),
      cmocka_unit_test(test_last_seed_of_all),
      cmocka_unit_test(test_wilson),
      cmocka_unit_test(test_bootstrap),
      cmocka_unit_test(test_scores_a_checkpoint),
  };
  return cmocka_run_group_tests_name("rollout", tests, set_up, tear_down);
}
