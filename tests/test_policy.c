#include "policy/policy.h"

#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#include "tests/test.h"

enum { N_OBS = 2, OBS_DIM = 5, HORIZON = 8, ACTION_DIM = 2, CHUNK = HORIZON * ACTION_DIM };

static char path[] = "/tmp/dpc_policy_XXXXXX";
static dpc_arena arena;
static dpc_checkpoint_info info;
static dpc_unet* unet;
static float* params;
static dpc_policy* policy;
static const dpc_rng_key key = {42, 100000};
static const float obs[N_OBS * OBS_DIM] = {10, 20, 30, 40, 50, 11, 21, 31, 41, 51};

static const float obs_scale[OBS_DIM] = {0.02f, 0.02f, 0.02f, 0.04f, 0.04f};
static const float obs_offset[OBS_DIM] = {-0.5f, -0.5f, -0.5f, -1.0f, -1.0f};
static const float action_scale[ACTION_DIM] = {1.0f / 256.0f, 1.0f / 128.0f};
static const float action_offset[ACTION_DIM] = {-1.0f, -2.0f};

static void make_checkpoint(void) {
  dpc_error error = {""};
  info = (dpc_checkpoint_info){
      .policy = dpc_policy_def_default(),
      .unet = dpc_unet_def_default(),
      .schedule = dpc_schedule_def_default(),
      .sampler = dpc_sampler_def_default(),
      .interface.period_ns = 100000000,
      .obs_normalizer = {OBS_DIM, (float*)obs_scale, (float*)obs_offset},
      .action_normalizer = {ACTION_DIM, (float*)action_scale, (float*)action_offset}};
  dpc_layout_add(&info.interface.obs, "keypoint", 3, "px", NULL);
  dpc_layout_add(&info.interface.obs, "agent_pos", 2, "px", NULL);
  dpc_layout_add(&info.interface.action, "action", 2, "px", "agent_pos");
  info.unet.input_dim = ACTION_DIM;
  info.unet.global_cond_dim = N_OBS * OBS_DIM;
  info.unet.horizon = HORIZON;
  info.unet.down_dims = (dpc_int_list){2, {16, 32}};
  info.unet.kernel_size = 3;
  info.unet.group_count = 4;
  info.unet.step_embed_dim = 16;
  info.policy.n_actions = 4;
  assert_ok(dpc_unet_create(&info.unet, &arena, &unet, &error), &error);
  params = DPC_TAKE(&arena, float, dpc_unet_param_count(unet));
  dpc_unet_init(unet, (dpc_rng_key){1, 2}, params);
}

static dpc_policy* save_and_load(void) {
  dpc_error error = {""};
  dpc_policy* loaded = NULL;
  assert_ok(dpc_checkpoint_save(path, &info, unet, params, false, NULL, 0, &error), &error);
  assert_ok(dpc_policy_load(path, &arena, &loaded, &error), &error);
  return loaded;
}

static dpc_policy_work* make_work(const dpc_sampler_def* sampler) {
  dpc_error error = {""};
  dpc_policy_work* work = NULL;
  assert_ok(dpc_policy_work_create(policy, sampler, 1, &arena, &work, &error), &error);
  return work;
}

static void act(dpc_policy_work* work, dpc_rng_key with, uint32_t plan, float* chunk) {
  dpc_error error = {""};
  assert_ok(dpc_policy_act(policy, work, obs, with, plan, chunk, &error), &error);
}

// --- what a chunk is ------------------------------------------------------------------------------

// The same chunk from the modules by hand.
static void act_by_hand(const dpc_sampler_def* def, uint32_t plan, float* chunk) {
  dpc_error error = {""};
  dpc_schedule* schedule;
  dpc_sampler* sampler;
  dpc_engine* engine;
  dpc_engine_work* work;
  const dpc_engine_def engine_def = dpc_engine_def_default();
  assert_ok(dpc_schedule_create(&info.schedule, &arena, &schedule, &error), &error);
  assert_ok(dpc_sampler_create(def, schedule, &arena, &sampler, &error), &error);
  assert_ok(dpc_engine_create(&engine_def, unet, params, &arena, &engine, &error), &error);
  float timesteps[100];
  const int count = dpc_sampler_steps(sampler);
  for (int i = 0; i < count; ++i) timesteps[i] = dpc_sampler_timestep(sampler, i);
  assert_ok(dpc_engine_work_create(engine, timesteps, NULL, count, 1, &arena, &work, &error),
            &error);
  float cond[N_OBS * OBS_DIM], x[CHUNK], memory[CHUNK], prediction[CHUNK], noise[CHUNK];
  for (int i = 0; i < N_OBS * OBS_DIM; ++i) {
    cond[i] = obs[i] * obs_scale[i % OBS_DIM] + obs_offset[i % OBS_DIM];
  }
  dpc_engine_observe(engine, work, 1, cond);
  dpc_rng_normal(key, DPC_STREAM_POLICY_NOISE, plan, 0, CHUNK, x);
  dpc_sampler_begin(sampler, CHUNK, x, memory);
  for (int i = 0; i < count; ++i) {
    dpc_engine_step(engine, work, i, 1, x, prediction);
    dpc_rng_normal(key, DPC_STREAM_POLICY_NOISE, plan, (uint32_t)i + 1, CHUNK, noise);
    dpc_sampler_step(sampler, i, prediction, noise, CHUNK, x, memory);
  }
  for (int i = 0; i < CHUNK; ++i) {
    chunk[i] = (x[i] - action_offset[i % ACTION_DIM]) / action_scale[i % ACTION_DIM];
  }
}

static void test_acting_is_the_loop_over_the_modules(void** state) {
  (void)state;
  static const int kinds[] = {DPC_SAMPLER_DDIM, DPC_SAMPLER_DDPM, DPC_SAMPLER_DPMPP_2M,
                              DPC_SAMPLER_CONSISTENCY};
  for (int choice = 0; choice < 8; ++choice) {
    dpc_sampler_def def = dpc_sampler_def_default();
    def.kind = kinds[choice % 4];
    def.steps = choice < 4 ? 10 : 3;
    def.eta = choice < 4 ? 0.0 : 0.5;
    def.temperature = choice < 4 ? 1.0 : 0.7;
    float chunk[CHUNK], expected[CHUNK];
    const size_t mark = dpc_arena_mark(&arena);
    act(make_work(&def), key, 3, chunk);
    act_by_hand(&def, 3, expected);
    assert_memory_equal(chunk, expected, sizeof chunk);
    dpc_arena_release(&arena, mark);
  }
}

// The network's chunk, moved to where the newest observation has what the action tracks: 41, 51.
static void test_relative_actions_leave_absolute(void** state) {
  (void)state;
  dpc_error error = {""};
  const size_t mark = dpc_arena_mark(&arena);
  dpc_policy* absolute = policy;
  float chunk[CHUNK], moved[2][CHUNK], shifted[N_OBS * OBS_DIM];
  act(make_work(NULL), key, 3, chunk);
  assert_ok(dpc_relative_add(&info.relative, &info.interface, 0, &error), &error);
  policy = save_and_load();
  dpc_policy_work* work = NULL;
  assert_ok(dpc_policy_work_create(policy, NULL, 2, &arena, &work, &error), &error);
  // beside another one, whose robot is elsewhere
  memcpy(shifted, obs, sizeof shifted);
  shifted[OBS_DIM + 3] = 7;
  dpc_policy_query queries[] = {{.obs = obs, .chunk = moved[0], .key = key, .plan = 3},
                                {.obs = shifted, .chunk = moved[1], .key = key, .plan = 3}};
  assert_ok(dpc_policy_act_together(policy, work, 2, queries, &error), &error);
  for (int i = 0; i < CHUNK; ++i) {
    assert_true(moved[0][i] == chunk[i] + obs[OBS_DIM + 3 + i % ACTION_DIM]);
  }
  assert_true(moved[1][0] != moved[0][0]);
  info.relative = (dpc_relative){0};
  policy = absolute;
  dpc_arena_release(&arena, mark);
}

// With the clip on, the last step gives a clean chunk, so actions stay inside the data's limits.
static void test_a_chunk_is_finite_and_inside_the_limits(void** state) {
  (void)state;
  dpc_policy_work* work = make_work(NULL);
  for (uint32_t plan = 0; plan < 20; ++plan) {
    float chunk[CHUNK];
    act(work, key, plan, chunk);
    for (int i = 0; i < CHUNK; ++i) {
      const float range = 2.0f / action_scale[i % ACTION_DIM];
      const float least = i % ACTION_DIM == 0 ? 0.0f : range / 2;
      assert_true(chunk[i] > least - 1e-3f && chunk[i] < least + range + 1e-3f);
    }
  }
}

static void test_the_same_inputs_give_the_same_bits_in_any_order(void** state) {
  (void)state;
  float first[CHUNK], other[CHUNK], again[CHUNK], elsewhere[CHUNK];
  const size_t mark = dpc_arena_mark(&arena);
  dpc_policy_work* work = make_work(NULL);
  act(work, key, 0, first);
  act(work, key, 1, other);
  act(work, key, 0, again);
  act(make_work(NULL), key, 0, elsewhere);
  assert_memory_equal(first, again, sizeof first);
  assert_memory_equal(first, elsewhere, sizeof first);
  assert_memory_not_equal(first, other, sizeof first);
  act(work, (dpc_rng_key){key.run, key.episode + 1}, 0, other);
  assert_memory_not_equal(first, other, sizeof first);
  act(work, (dpc_rng_key){key.run + 1, key.episode}, 0, other);
  assert_memory_not_equal(first, other, sizeof first);
  dpc_arena_release(&arena, mark);
}

static void test_the_observation_matters(void** state) {
  (void)state;
  float first[CHUNK], other[CHUNK], moved[N_OBS * OBS_DIM];
  dpc_error error = {""};
  dpc_policy_work* work = make_work(NULL);
  act(work, key, 0, first);
  for (int i = 0; i < N_OBS * OBS_DIM; ++i) {
    memcpy(moved, obs, sizeof moved);
    moved[i] += 5.0f;
    assert_ok(dpc_policy_act(policy, work, moved, key, 0, other, &error), &error);
    assert_memory_not_equal(first, other, sizeof first);
  }
}

// --- threads --------------------------------------------------------------------------------------

enum { THREADS = 4, PLANS = 25 };

typedef struct actor {
  dpc_policy_work* work;
  float chunks[PLANS][CHUNK];
  bool good;
} actor;

static void* act_all(void* context) {
  actor* self = context;
  self->good = true;
  for (uint32_t plan = 0; plan < PLANS; ++plan) {
    self->good &=
        dpc_policy_act(policy, self->work, obs, key, plan, self->chunks[plan], NULL) == DPC_OK;
  }
  return NULL;
}

static void test_threads_share_a_policy(void** state) {
  (void)state;
  static actor actors[THREADS];
  pthread_t threads[THREADS];
  const size_t mark = dpc_arena_mark(&arena);
  for (int i = 0; i < THREADS; ++i) actors[i].work = make_work(NULL);
  for (int i = 0; i < THREADS; ++i) {
    assert_int_equal(pthread_create(&threads[i], NULL, act_all, &actors[i]), 0);
  }
  for (int i = 0; i < THREADS; ++i) pthread_join(threads[i], NULL);
  for (int i = 0; i < THREADS; ++i) {
    assert_true(actors[i].good);
    assert_memory_equal(actors[i].chunks, actors[0].chunks, sizeof actors[0].chunks);
  }
  dpc_arena_release(&arena, mark);
}

// --- refused --------------------------------------------------------------------------------------

static void test_an_observation_that_is_not_finite_is_named(void** state) {
  (void)state;
  static const float bad[] = {NAN, INFINITY, -INFINITY};
  dpc_policy_work* work = make_work(NULL);
  for (int i = 0; i < N_OBS * OBS_DIM; ++i) {
    float broken[N_OBS * OBS_DIM], chunk[CHUNK] = {999.0f};
    char words[96];
    dpc_error error = {""};
    memcpy(broken, obs, sizeof broken);
    broken[i] = bad[i % 3];
    const bool keypoint = i % OBS_DIM < 3;
    snprintf(words, sizeof words, "observation '%s': row %d, element %d is not finite",
             keypoint ? "keypoint" : "agent_pos", i / OBS_DIM, i % OBS_DIM - (keypoint ? 0 : 3));
    assert_fails(dpc_policy_act(policy, work, broken, key, 0, chunk, &error), DPC_ERR_INVALID,
                 &error, words);
    assert_true(chunk[0] == 999.0f);
  }
}

static int find_tensor(const char* name) {
  for (int i = 0; i < dpc_unet_tensor_count(unet); ++i) {
    if (strcmp(dpc_unet_tensor_at(unet, i)->name, name) == 0) return i;
  }
  fail_msg("no tensor '%s'", name);
  return -1;
}

// Weights that are finite but absurd, and nothing to clip what comes of them.
static void test_a_result_that_is_not_finite_is_refused(void** state) {
  (void)state;
  const size_t mark = dpc_arena_mark(&arena);
  dpc_error error = {""};
  dpc_policy* broken = NULL;
  dpc_policy_work* work = NULL;
  dpc_sampler_def def = dpc_sampler_def_default();
  def.clip = 0.0;
  const size_t size = sizeof(float) * dpc_unet_param_count(unet);
  float* before = DPC_TAKE(&arena, float, dpc_unet_param_count(unet));
  memcpy(before, params, size);
  const float huge[ACTION_DIM] = {3e38f, 3e38f};
  dpc_unet_tensor_import(unet, find_tensor("final_conv.1.bias"), huge, params);
  broken = save_and_load();
  memcpy(params, before, size);

  float chunk[CHUNK] = {999.0f};
  assert_ok(dpc_policy_work_create(broken, &def, 1, &arena, &work, &error), &error);
  assert_fails(dpc_policy_act(broken, work, obs, key, 0, chunk, &error), DPC_ERR_INVALID, &error,
               "action 'action': row 0, element 0 is not finite");
  assert_true(chunk[0] == 999.0f);
  dpc_arena_release(&arena, mark);
}

static void test_a_sampler_that_does_not_fit_is_refused(void** state) {
  (void)state;
  dpc_error error = {""};
  dpc_policy_work* work = NULL;
  dpc_sampler_def def = dpc_sampler_def_default();
  def.steps = 101;
  const size_t mark = dpc_arena_mark(&arena);
  assert_fails(dpc_policy_work_create(policy, &def, 1, &arena, &work, &error), DPC_ERR_CONFIG,
               &error, "sampler.steps: 101 is more than schedule.steps, 100");
  assert_int_equal(dpc_arena_mark(&arena), mark);
  assert_null(work);
}

static void test_a_file_that_cannot_be_loaded_leaves_nothing(void** state) {
  (void)state;
  dpc_error error = {""};
  dpc_policy* loaded = NULL;
  const size_t mark = dpc_arena_mark(&arena);
  assert_fails(dpc_policy_load("/nonexistent.safetensors", &arena, &loaded, &error), DPC_ERR_IO,
               &error, "/nonexistent.safetensors");
  assert_int_equal(dpc_arena_mark(&arena), mark);
  assert_null(loaded);
}

static void test_a_policy_made_in_memory_acts_as_the_loaded_one(void** state) {
  (void)state;
  dpc_error error = {""};
  dpc_policy* made;
  dpc_policy_work* work;
  const dpc_engine_def engine = dpc_engine_def_default();
  float loaded_chunk[CHUNK], made_chunk[CHUNK];
  assert_ok(dpc_policy_create(&info, unet, params, &engine, &arena, &made, &error), &error);
  assert_ok(dpc_policy_work_create(made, NULL, 1, &arena, &work, &error), &error);
  assert_ok(dpc_policy_act(made, work, obs, key, 3, made_chunk, &error), &error);
  act(make_work(NULL), key, 3, loaded_chunk);
  assert_memory_equal(made_chunk, loaded_chunk, sizeof made_chunk);
}

// Several at once, one of them with an observation that is not finite: each as by itself.
static void test_chunks_made_together_are_those_made_alone(void** state) {
  (void)state;
  enum { COUNT = 5, BAD = 2 };
  dpc_error error = {""};
  dpc_policy_work* work = NULL;
  static float observed[COUNT][N_OBS * OBS_DIM];
  float alone[COUNT][CHUNK], together[COUNT][CHUNK];
  dpc_policy_query queries[COUNT];
  dpc_policy_work* single = make_work(NULL);
  assert_ok(dpc_policy_work_create(policy, NULL, COUNT, &arena, &work, &error), &error);
  for (int i = 0; i < COUNT; ++i) {
    for (int j = 0; j < N_OBS * OBS_DIM; ++j) observed[i][j] = obs[j] * (1.0f + 0.01f * (float)i);
    if (i == BAD) observed[i][1] = NAN;
    together[i][0] = 999.0f;
    queries[i] = (dpc_policy_query){.obs = observed[i],
                                    .key = {key.run, key.episode + (uint32_t)i},
                                    .plan = (uint32_t)i,
                                    .chunk = together[i]};
  }
  assert_fails(dpc_policy_act_together(policy, work, COUNT, queries, &error), DPC_ERR_INVALID,
               &error, "row 0, element 1 is not finite");
  for (int i = 0; i < COUNT; ++i) {
    const dpc_status status = dpc_policy_act(policy, single, observed[i], queries[i].key,
                                             queries[i].plan, alone[i], &error);
    assert_int_equal(queries[i].status, status);
    assert_int_equal(status, i == BAD ? DPC_ERR_INVALID : DPC_OK);
    if (i != BAD) assert_memory_equal(together[i], alone[i], sizeof alone[i]);
  }
  assert_true(together[BAD][0] == 999.0f);
  dpc_policy_work_destroy(work);
}

// It is for measuring: the chunks before and after it are the same.
static void test_the_elementwise_part_alone_changes_no_chunk(void** state) {
  (void)state;
  float before[CHUNK], after[CHUNK];
  dpc_policy_work* work = make_work(NULL);
  act(work, key, 4, before);
  for (int i = 0; i < dpc_policy_steps(work); ++i) dpc_policy_elementwise(policy, work, i);
  act(work, key, 4, after);
  assert_memory_equal(before, after, sizeof before);
}

static void test_acting_takes_nothing_from_the_arena(void** state) {
  (void)state;
  float chunk[CHUNK];
  dpc_policy_work* work = make_work(NULL);
  const size_t mark = dpc_arena_mark(&arena);
  act(work, key, 0, chunk);
  assert_int_equal(dpc_arena_mark(&arena), mark);
}

static int setup(void** state) {
  (void)state;
  const int fd = mkstemp(path);
  if (fd < 0 || close(fd) != 0) return -1;
  if (dpc_arena_map(&arena, 256 << 20, NULL) != DPC_OK) return -1;
  make_checkpoint();
  policy = save_and_load();
  return 0;
}

static int teardown(void** state) {
  (void)state;
  dpc_arena_unmap(&arena);
  return unlink(path);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_relative_actions_leave_absolute),
      cmocka_unit_test(test_acting_is_the_loop_over_the_modules),
      cmocka_unit_test(test_a_chunk_is_finite_and_inside_the_limits),
      cmocka_unit_test(test_the_same_inputs_give_the_same_bits_in_any_order),
      cmocka_unit_test(test_the_observation_matters),
      cmocka_unit_test(test_threads_share_a_policy),
      cmocka_unit_test(test_an_observation_that_is_not_finite_is_named),
      cmocka_unit_test(test_a_result_that_is_not_finite_is_refused),
      cmocka_unit_test(test_a_sampler_that_does_not_fit_is_refused),
      cmocka_unit_test(test_a_file_that_cannot_be_loaded_leaves_nothing),
      cmocka_unit_test(test_a_policy_made_in_memory_acts_as_the_loaded_one),
      cmocka_unit_test(test_chunks_made_together_are_those_made_alone),
      cmocka_unit_test(test_the_elementwise_part_alone_changes_no_chunk),
      cmocka_unit_test(test_acting_takes_nothing_from_the_arena),
  };
  return cmocka_run_group_tests(tests, setup, teardown);
}
