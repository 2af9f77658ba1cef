// Chunks that go on from settled rows, whatever the schedule and the sampler, and whether the policy
// was trained for it or not.

#include "policy/settled.h"

#include "policy/gemm.h"
#include "tests/small_policy.h"
#include "tests/test.h"

enum { OBS = SMALL_N_OBS * SMALL_OBS, CHUNK = SMALL_HORIZON * SMALL_ACTION, TRAINED_MAX = 6 };

static dpc_arena arena;
static dpc_error error;
static const dpc_rng_key key = {42, 100000};
static float obs[OBS], fixed[CHUNK];

typedef struct subject {
  dpc_checkpoint_info info;
  float scale[SMALL_OBS], offset[SMALL_OBS];
  dpc_unet* unet;
  float* params;
  dpc_policy* policy;
} subject;

static void set_schedule(int kind, dpc_checkpoint_info* info) {
  info->schedule.kind = kind;
  if (kind == DPC_SCHEDULE_FLOW) info->schedule.prediction = DPC_PREDICT_VELOCITY;
}

static subject* make(int schedule, bool trained) {
  subject* s = DPC_TAKE(&arena, subject, 1);
  const dpc_engine_def engine = {.precision = DPC_PRECISION_FP32, .threads = 1};
  small_policy_info(&s->info, s->scale, s->offset);
  set_schedule(schedule, &s->info);
  if (trained) s->info.prefix_max = TRAINED_MAX;
  s->info.unet.mask_dim = trained;
  assert_ok(dpc_checkpoint_info_check(&s->info, &error), &error);
  assert_ok(dpc_unet_create(&s->info.unet, &arena, &s->unet, &error), &error);
  s->params = DPC_TAKE(&arena, float, dpc_unet_param_count(s->unet));
  dpc_unet_init(s->unet, (dpc_rng_key){1, 2}, s->params);
  assert_ok(dpc_policy_create(&s->info, s->unet, s->params, &engine, &arena, &s->policy, &error),
            &error);
  return s;
}

static dpc_policy_work* work_for(const subject* s, const dpc_sampler_def* def, int chunks) {
  dpc_policy_work* work = NULL;
  assert_ok(dpc_policy_work_create(s->policy, def, chunks, &arena, &work, &error), &error);
  return work;
}

static void act(const subject* s, dpc_policy_work* work, int rows, float* chunk) {
  dpc_policy_query query = {
      .obs = obs, .key = key, .plan = 5, .fixed_count = rows, .fixed = fixed, .chunk = chunk};
  assert_ok(dpc_policy_act_together(s->policy, work, 1, &query, &error), &error);
}

// Calls `check` with every schedule, trained or not, and every kind of sampler that goes with it.
static void with_all(void (*check)(const subject* s, const dpc_sampler_def* def)) {
  for (int choice = 0; choice < 8; ++choice) {
    const size_t mark = dpc_arena_mark(&arena);
    const subject* s = make(choice / 2, choice % 2 == 1);
    for (int kind = 0; dpc_sampler_kind_names[kind] != NULL; ++kind) {
      for (int eta = 0; eta < 2; ++eta) {
        dpc_sampler_def def = dpc_sampler_def_default();
        def.kind = kind;
        def.eta = eta;
        def.grid = DPC_GRID_TRAILING;
        def.steps = eta == 0 ? 10 : 3;
        if (kind == DPC_SAMPLER_SHORTCUT) continue;  // no policy here has any
        if (dpc_sampler_def_check(&def, &s->info.schedule, NULL) == DPC_OK) check(s, &def);
      }
    }
    dpc_arena_release(&arena, mark);
  }
}

// --- what a chunk is -----------------------------------------------------------------------------

static void check_beginning(const subject* s, const dpc_sampler_def* def) {
  float chunk[CHUNK];
  dpc_policy_work* work = work_for(s, def, 1);
  for (int rows = 0; rows <= SMALL_HORIZON; ++rows) {
    act(s, work, rows, chunk);
    assert_memory_equal(chunk, fixed, sizeof(float) * (size_t)(rows * SMALL_ACTION));
    for (int i = 0; i < CHUNK; ++i) assert_true(isfinite(chunk[i]));
  }
}

static void test_a_chunk_begins_with_its_settled_rows(void** state) {
  (void)state;
  with_all(check_beginning);
}

// What comes before leaves nothing behind.
static void check_none(const subject* s, const dpc_sampler_def* def) {
  float before[CHUNK], between[CHUNK], after[CHUNK];
  dpc_policy_work* work = work_for(s, def, 1);
  assert_ok(dpc_policy_act(s->policy, work, obs, key, 5, before, &error), &error);
  act(s, work, 4, between);
  assert_memory_not_equal(before, between, sizeof before);
  act(s, work, 0, after);
  assert_memory_equal(before, after, sizeof before);
}

static void test_without_settled_rows_nothing_changes(void** state) {
  (void)state;
  with_all(check_none);
}

// One way by hand, with the plain network: the rows noised as at each timestep, or clean and marked.
static void act_by_hand(const subject* s, const dpc_sampler_def* def, int rows, float* chunk) {
  dpc_schedule* schedule;
  dpc_sampler* sampler;
  dpc_unet_work* work;
  assert_ok(dpc_schedule_create(&s->info.schedule, &arena, &schedule, &error), &error);
  assert_ok(dpc_sampler_create(def, schedule, &arena, &sampler, &error), &error);
  assert_ok(dpc_unet_work_create(s->unet, 1, false, &arena, &work, &error), &error);
  const bool trained = s->info.prefix_max > 0;
  float cond[OBS], x[CHUNK], start[CHUNK], prediction[CHUNK], noise[CHUNK];
  float given[CHUNK + SMALL_HORIZON], memory[CHUNK];
  for (int i = 0; i < OBS; ++i) cond[i] = obs[i] / 256.0f - 1;
  dpc_rng_normal(key, DPC_STREAM_POLICY_NOISE, 5, 0, CHUNK, x);
  dpc_sampler_begin(sampler, CHUNK, x, memory);
  memcpy(start, x, sizeof x);
  for (int i = 0; i < dpc_sampler_steps(sampler); ++i) {
    const float t = dpc_sampler_timestep(sampler, i);
    const dpc_noise_level level = dpc_schedule_level(schedule, (double)t);
    for (int j = 0; j < rows * SMALL_ACTION; ++j) {
      const double clean = (double)fixed[j] / 256.0 - 1;
      x[j] = (float)(trained ? clean : level.signal * clean + level.noise * (double)start[j]);
    }
    float* to = given;
    for (int j = 0; j < CHUNK; ++j) {
      *to++ = x[j];
      if (trained && j % SMALL_ACTION == SMALL_ACTION - 1) *to++ = j / SMALL_ACTION < rows;
    }
    dpc_unet_forward(s->unet, s->params, work, 1, given, &t, NULL, cond, prediction);
    dpc_rng_normal(key, DPC_STREAM_POLICY_NOISE, 5, (uint32_t)i + 1, CHUNK, noise);
    dpc_sampler_step(sampler, i, prediction, noise, CHUNK, x, memory);
  }
  for (int i = 0; i < CHUNK; ++i) chunk[i] = (x[i] + 1) * 256;
  memcpy(chunk, fixed, sizeof(float) * (size_t)(rows * SMALL_ACTION));
}

static void check_by_hand(const subject* s, const dpc_sampler_def* def) {
  dpc_policy_work* work = work_for(s, def, 1);
  for (int rows = 1; rows <= TRAINED_MAX; rows += 2) {
    float chunk[CHUNK], expected[CHUNK];
    act(s, work, rows, chunk);
    act_by_hand(s, def, rows, expected);
    for (int i = 0; i < CHUNK; ++i) assert_near(chunk[i], expected[i], 0.02);  // of 512
  }
}

static void test_it_is_what_the_plain_network_does(void** state) {
  (void)state;
  with_all(check_by_hand);
}

// What is settled is taken into account by what is not, and the noise under it is not what counts.
static void test_settled_rows_matter(void** state) {
  (void)state;
  for (int trained = 0; trained <= 1; ++trained) {
    const subject* s = make(DPC_SCHEDULE_FLOW, trained == 1);
    dpc_policy_work* work = work_for(s, NULL, 1);
    float before[CHUNK], after[CHUNK];
    act(s, work, 3, before);
    fixed[1] += 20;
    act(s, work, 3, after);
    fixed[1] -= 20;
    assert_memory_not_equal(before + 3 * SMALL_ACTION, after + 3 * SMALL_ACTION,
                            sizeof(float) * (CHUNK - 3 * SMALL_ACTION));
  }
}

// Relative to the newest observation, the same rows are others: the same chunk, moved.
static void test_relative_rows_are_absolute_outside(void** state) {
  (void)state;
  enum { ROWS = 4 };
  const float* newest = obs + OBS - SMALL_ACTION;  // agent_pos
  const dpc_engine_def engine = {.precision = DPC_PRECISION_FP32, .threads = 1};
  for (int trained = 0; trained <= 1; ++trained) {
    subject* s = make(DPC_SCHEDULE_FLOW, trained == 1);
    float chunk[CHUNK], moved[CHUNK], kept[CHUNK];
    act(s, work_for(s, NULL, 1), ROWS, chunk);
    assert_ok(dpc_relative_add(&s->info.relative, &s->info.interface, 0, &error), &error);
    assert_ok(dpc_policy_create(&s->info, s->unet, s->params, &engine, &arena, &s->policy, &error),
              &error);
    memcpy(kept, fixed, sizeof kept);
    for (int i = 0; i < CHUNK; ++i) fixed[i] += newest[i % SMALL_ACTION];
    act(s, work_for(s, NULL, 1), ROWS, moved);
    assert_memory_equal(moved, fixed, sizeof(float) * ROWS * SMALL_ACTION);
    memcpy(fixed, kept, sizeof kept);
    for (int i = 0; i < CHUNK; ++i) {
      assert_near(moved[i], chunk[i] + newest[i % SMALL_ACTION], 0.01);
    }
  }
}

// --- several, and broken ones --------------------------------------------------------------------

// As many settled rows in each as its number, one of them broken: each as by itself.
static void check_together(const subject* s, const dpc_sampler_def* def) {
  enum { COUNT = 5, BAD = 3 };
  float broken[CHUNK], chunks[COUNT][CHUNK], alone[CHUNK];
  dpc_policy_query queries[COUNT];
  memcpy(broken, fixed, sizeof broken);
  broken[3] = INFINITY;
  for (uint32_t i = 0; i < COUNT; ++i) {
    queries[i] = (dpc_policy_query){.obs = obs,
                                    .key = {key.run, key.episode + i},
                                    .plan = i,
                                    .fixed_count = (int)i,
                                    .fixed = i == BAD ? broken : fixed,
                                    .chunk = chunks[i]};
    chunks[i][0] = 999;
  }
  dpc_policy_work *together = work_for(s, def, COUNT), *single = work_for(s, def, 1);
  assert_fails(dpc_policy_act_together(s->policy, together, COUNT, queries, &error),
               DPC_ERR_INVALID, &error, "settled action 'action': row 1, element 1 is not finite");
  for (int i = 0; i < COUNT; ++i) {
    assert_int_equal(queries[i].status, i == BAD ? DPC_ERR_INVALID : DPC_OK);
    if (i == BAD) continue;
    dpc_policy_query query = queries[i];
    query.chunk = alone;
    assert_ok(dpc_policy_act_together(s->policy, single, 1, &query, &error), &error);
    assert_memory_equal(chunks[i], alone, sizeof alone);
  }
  assert_true(chunks[BAD][0] == 999);
}

static void test_together_is_as_alone(void** state) {
  (void)state;
  with_all(check_together);
}

// --- files ---------------------------------------------------------------------------------------

static void test_a_trained_policy_survives_its_file(void** state) {
  (void)state;
  char path[] = "/tmp/dpc_settled_XXXXXX";
  const int fd = mkstemp(path);
  assert_true(fd >= 0);
  close(fd);
  for (int trained = 0; trained <= 1; ++trained) {
    const subject* s = make(DPC_SCHEDULE_FLOW, trained == 1);
    subject loaded = {0};
    float before[CHUNK], after[CHUNK];
    const dpc_engine_def engine = {.precision = DPC_PRECISION_FP32, .threads = 1};
    assert_ok(dpc_checkpoint_save(path, &s->info, s->unet, s->params, false, NULL, 0, &error),
              &error);
    assert_ok(dpc_policy_load_for(path, &engine, &arena, &loaded.policy, &error), &error);
    assert_int_equal(dpc_policy_info(loaded.policy)->prefix_max, trained ? TRAINED_MAX : 0);
    act(s, work_for(s, NULL, 1), 4, before);
    act(&loaded, work_for(&loaded, NULL, 1), 4, after);
    assert_memory_equal(before, after, sizeof before);

    dpc_safetensors* file = NULL;
    assert_ok(dpc_safetensors_open(path, &file, &error), &error);
    const char* entry = dpc_safetensors_metadata(file, DPC_CHECKPOINT_PREFIX_MAX);
    if (trained) assert_string_equal(entry, "6");
    if (!trained) assert_null(entry);
    dpc_safetensors_close(file);
  }
  unlink(path);
}

static void test_what_does_not_fit_is_refused(void** state) {
  (void)state;
  subject* s = make(DPC_SCHEDULE_FLOW, true);
  s->info.prefix_max = SMALL_HORIZON;
  assert_fails(dpc_checkpoint_info_check(&s->info, &error), DPC_ERR_CONFIG, &error,
               "train.prefix_max: 16 is not in [0, 15]");
  s->info.prefix_max = 0;
  assert_fails(dpc_checkpoint_info_check(&s->info, &error), DPC_ERR_INVALID, &error,
               "a mask of dim 1, with prefix_max 0");
}

static int setup(void** state) {
  (void)state;
  if (dpc_gemm_start(&error) != DPC_OK) return -1;
  for (int i = 0; i < OBS; ++i) obs[i] = 100 + 5 * (float)i;
  for (int i = 0; i < CHUNK; ++i) fixed[i] = 150 + 7.3f * (float)i;
  return dpc_arena_map(&arena, (size_t)512 << 20, &error) == DPC_OK ? 0 : -1;
}

static int teardown(void** state) {
  (void)state;
  dpc_arena_unmap(&arena);
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_a_chunk_begins_with_its_settled_rows),
      cmocka_unit_test(test_without_settled_rows_nothing_changes),
      cmocka_unit_test(test_it_is_what_the_plain_network_does),
      cmocka_unit_test(test_settled_rows_matter),
      cmocka_unit_test(test_relative_rows_are_absolute_outside),
      cmocka_unit_test(test_together_is_as_alone),
      cmocka_unit_test(test_a_trained_policy_survives_its_file),
      cmocka_unit_test(test_what_does_not_fit_is_refused),
  };
  return cmocka_run_group_tests_name("settled", tests, setup, teardown);
}
