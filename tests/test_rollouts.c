// Many episodes at once: as each alone, in order, and ended by the first failure.

#include "tests/rollout_alone.h"
#include "tests/small_policy.h"

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

static dpc_rollout_def default_def(void) {
  return dpc_rollout_def_default(dpc_policy_info(policy));
}

enum { FIRST_SEED = 20, MANY = 36 };  // more than two threads have in flight

typedef struct visits {
  int count;
  int fail_at;                  // -1: never
  const dpc_episode* expected;  // [MANY], or NULL
  bool wrong;                   // out of order, or not as expected
} visits;

static dpc_status visit(void* user, const dpc_rollout_result* result, const dpc_episode* episode,
                        dpc_error* why) {
  visits* v = user;
  v->wrong |= result->seed != FIRST_SEED + (uint32_t)v->count || episode->seed != result->seed ||
              episode->length != result->steps;
  v->wrong |= v->expected != NULL && !same_episode(episode, &v->expected[v->count]);
  if (v->count == v->fail_at) return dpc_fail(why, DPC_ERR_IO, "disk full");
  v->count += 1;
  return DPC_OK;
}

static bool same_result(const dpc_rollout_result* a, const dpc_rollout_result* b) {
  return a->seed == b->seed && a->steps == b->steps && a->score == b->score &&
         a->success == b->success && a->failed_plans == b->failed_plans &&
         a->motion.switches == b->motion.switches && a->motion.jerk == b->motion.jerk;
}

typedef struct crowd {
  int count, threads;
} crowd;

// Many at once, on any number of threads, against one after another, to the last bit. The first of
// the cases has the most episodes.
static void check_many(const dpc_rollout_def* rollout, const dpc_policy* of, int case_count,
                       const crowd* cases) {
  dpc_episode episodes[MANY] = {0};
  dpc_rollout_result expected[MANY], results[MANY];
  alone a = alone_make(rollout, of, &arena);
  for (int i = 0; i < cases[0].count; ++i) {
    expected[i] = alone_run(&a, FIRST_SEED + (uint32_t)i, &episodes[i]);
  }
  alone_free(&a);
  for (int c = 0; c < case_count; ++c) {
    visits v = {.fail_at = -1, .expected = episodes};
    const dpc_rollouts_def def = {.rollout = *rollout,
                                  .first_seed = FIRST_SEED,
                                  .count = cases[c].count,
                                  .threads = cases[c].threads,
                                  .record = true,
                                  .visit = visit,
                                  .user = &v};
    assert_ok(dpc_rollouts_run(&def, of, results, &error), &error);
    assert_int_equal(v.count, def.count);
    assert_false(v.wrong);
    for (int i = 0; i < def.count; ++i) assert_true(same_result(&results[i], &expected[i]));
  }
  for (int i = 0; i < MANY; ++i) dpc_episode_free(&episodes[i]);
}

static void test_many_are_as_each_alone(void** state) {
  (void)state;
  static const crowd cases[] = {{MANY, 2}, {20, 1}, {MANY, 7}, {2, 3}, {1, 1}};
  dpc_rollout_def def = default_def();
  check_many(&def, policy, DPC_COUNT(cases), cases);
  def.controller.delay = 3;
  def.controller.n_actions = 5;
  def.sampler.eta = 1;
  check_many(&def, policy, 1, cases);
  def.controller.switching = DPC_SWITCHING_BLEND;
  check_many(&def, policy, 1, cases);
  // it takes many times as long: fewer of them
  def.controller.switching = DPC_SWITCHING_GUIDED;
  check_many(&def, policy, 2, (crowd[]){{5, 2}, {5, 1}});
}

// Settings that cannot be are known before anything is run, and those that can leave nothing behind.
static void test_settings_are_checked(void** state) {
  (void)state;
  dpc_rollout_def def = default_def();
  for (int mode = DPC_SWITCHING_WAIT; mode <= DPC_SWITCHING_GUIDED; ++mode) {
    def.controller.switching = mode;
    if (mode == DPC_SWITCHING_TRAINED) continue;
    assert_ok(dpc_rollouts_check(&def, policy, &error), &error);
  }
  def.controller.switching = DPC_SWITCHING_TRAINED;
  assert_fails(dpc_rollouts_check(&def, policy, &error), DPC_ERR_CONFIG, &error,
               "controller.switching: trained");
  def = default_def();
  def.sampler.steps = 101;
  assert_fails(dpc_rollouts_check(&def, policy, &error), DPC_ERR_CONFIG, &error, "steps");
}

// A network that gives nothing finite: it is asked once more, then the agent is held to the end.
static void test_failed_plans_are_counted(void** state) {
  (void)state;
  dpc_policy* broken = NULL;
  dpc_unet* unet = NULL;
  const dpc_checkpoint_info* info = dpc_policy_info(policy);
  const dpc_engine_def engine = dpc_engine_def_default();
  assert_ok(dpc_unet_create(&info->unet, &arena, &unet, &error), &error);
  float* params = DPC_TAKE(&arena, float, dpc_unet_param_count(unet));
  for (size_t i = 0; i < dpc_unet_param_count(unet); ++i) params[i] = NAN;
  assert_ok(dpc_policy_create(info, unet, params, &engine, &arena, &broken, &error), &error);
  const dpc_rollout_def def = default_def();
  alone a = alone_make(&def, broken, &arena);
  dpc_rollout_result result = alone_run(&a, FIRST_SEED, NULL);
  assert_int_equal(result.steps, DPC_PUSH_STEPS_MAX);
  assert_int_equal(result.failed_plans, 2);
  alone_free(&a);
  check_many(&def, broken, 1, &(crowd){5, 2});
}

static void test_first_failure_ends_it(void** state) {
  (void)state;
  dpc_rollout_result results[MANY];
  for (int threads = 1; threads <= 2; ++threads) {
    visits v = {.fail_at = 2};
    const dpc_rollouts_def def = {.rollout = default_def(),
                                  .first_seed = FIRST_SEED,
                                  .count = MANY,
                                  .threads = threads,
                                  .record = true,
                                  .visit = visit,
                                  .user = &v};
    assert_fails(dpc_rollouts_run(&def, policy, results, &error), DPC_ERR_IO, &error, "disk full");
    assert_int_equal(v.count, 2);
    assert_false(v.wrong);
  }
}

static int asked;

static bool interrupted_later(void) {
  return ++asked > 5;
}

// No episode is over after so few plans.
static void test_interruption_ends_it(void** state) {
  (void)state;
  dpc_rollout_result results[MANY];
  visits v = {.fail_at = -1};
  const dpc_rollouts_def def = {.rollout = default_def(),
                                .first_seed = FIRST_SEED,
                                .count = MANY,
                                .threads = 2,
                                .record = true,
                                .visit = visit,
                                .user = &v,
                                .interrupted = interrupted_later};
  asked = 0;
  assert_fails(dpc_rollouts_run(&def, policy, results, &error), DPC_ERR_INTERRUPTED, &error,
               "after 0 of 36");
  assert_int_equal(v.count, 0);
}

static void test_last_seed_of_all(void** state) {
  (void)state;
  dpc_rollout_result results[2];
  const dpc_rollouts_def def = {
      .rollout = default_def(), .first_seed = UINT32_MAX - 1, .count = 2, .threads = 2};
  assert_ok(dpc_rollouts_run(&def, policy, results, &error), &error);
  assert_int_equal(results[1].seed, UINT32_MAX);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_many_are_as_each_alone),   cmocka_unit_test(test_settings_are_checked),
      cmocka_unit_test(test_failed_plans_are_counted), cmocka_unit_test(test_first_failure_ends_it),
      cmocka_unit_test(test_interruption_ends_it),     cmocka_unit_test(test_last_seed_of_all),
  };
  return cmocka_run_group_tests_name("rollouts", tests, set_up, tear_down);
}
