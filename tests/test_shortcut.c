// Shortcuts: what they are asked, by hand; what becomes of a network that learns them; and a policy
// that has them.

#include "policy/train/shortcut.h"

#include <unistd.h>

#include "policy/gemm.h"
#include "policy/train/batch_loss.h"
#include "policy/train/trainer.h"
#include "tests/lesson.h"
#include "tests/test.h"

enum {
  LENGTH = 60,
  STEPS = 8,  // the finest
  COUNT = 24,
  CHUNK = SMALL_HORIZON * SMALL_ACTION,
  COND = SMALL_N_OBS * SMALL_OBS
};

static const double SHARE = 0.75;

static dpc_error error;
static dpc_arena arena;
static const dpc_rng_key key = {8, 9};
static float scale[SMALL_OBS], offset[SMALL_OBS];
static dpc_checkpoint_info info;         // with shortcuts
static dpc_unet *unet, *plain;           // told step sizes, and not
static float *average, *teacher_params;  // of the two
static dpc_schedule* schedule;

static int set_up(void** state) {
  (void)state;
  if (dpc_arena_map(&arena, (size_t)2 << 30, &error) != DPC_OK) return -1;
  assert_ok(dpc_gemm_start(&error), &error);
  small_policy_info(&info, scale, offset);
  info.schedule.kind = DPC_SCHEDULE_FLOW;
  info.schedule.prediction = DPC_PREDICT_VELOCITY;
  info.sampler.clip = 0;
  assert_ok(dpc_unet_create(&info.unet, &arena, &plain, &error), &error);
  info.sampler.kind = DPC_SAMPLER_SHORTCUT;
  info.sampler.steps = 2;
  info.shortcut_steps = STEPS;
  info.unet.step_size_dim = 1;
  assert_ok(dpc_unet_create(&info.unet, &arena, &unet, &error), &error);
  average = DPC_TAKE(&arena, float, dpc_unet_param_count(unet));
  teacher_params = DPC_TAKE(&arena, float, dpc_unet_param_count(plain));
  dpc_unet_init(unet, key, average);
  dpc_unet_init(plain, (dpc_rng_key){1, 1}, teacher_params);
  assert_ok(dpc_schedule_create(&info.schedule, &arena, &schedule, &error), &error);
  return 0;
}

static int tear_down(void** state) {
  (void)state;
  dpc_arena_unmap(&arena);
  return 0;
}

// --- lessons --------------------------------------------------------------------------------------

static dpc_shortcut* make_shortcut(bool taught) {
  const dpc_shortcut_parts parts = {.unet = unet,
                                    .schedule = schedule,
                                    .steps = STEPS,
                                    .share = SHARE,
                                    .temperature = taught ? 0.5 : 1.0,
                                    .teacher = taught ? plain : NULL,
                                    .teacher_params = teacher_params,
                                    .threads = 2,
                                    .count_max = COUNT};
  dpc_shortcut* made = NULL;
  assert_ok(dpc_shortcut_create(&parts, &arena, &made, &error), &error);
  return made;
}

static void prepare(const dpc_shortcut* shortcut, int thread, lesson_data* data) {
  const dpc_lesson lesson = make_lesson(COUNT, key, average, data);
  dpc_shortcut_prepare(shortcut, thread, &lesson);
}

static void ask(const dpc_unet* of, const float* params, const float* x, float timestep,
                float step_size, const float* cond, float* velocity) {
  const size_t mark = dpc_arena_mark(&arena);
  dpc_unet_work* work = NULL;
  assert_ok(dpc_unet_work_create(of, 1, false, &arena, &work, &error), &error);
  dpc_unet_forward(of, params, work, 1, x, &timestep, &step_size, cond, velocity);
  dpc_arena_release(&arena, mark);
}

// One step of the flow, which is the teacher's or what the average says of no step at all, or a
// shortcut of the average.
static void step(bool taught, float timestep, float size, const float* cond, float* x,
                 float* velocity) {
  const bool finest = size == 100.0f / STEPS;
  if (finest && taught) {
    ask(plain, teacher_params, x, timestep, 0, cond, velocity);
  } else {
    ask(unet, average, x, timestep, finest ? 0 : size, cond, velocity);
  }
  for (int k = 0; k < CHUNK; ++k) x[k] += size / 100 * velocity[k];
}

static void check_noisy(const lesson_data* data, int i, float temperature) {
  const float time = data->timestep[i] / 100;
  for (int k = i * CHUNK; k < (i + 1) * CHUNK; ++k) {
    const float expected = (1 - time) * data->recorded[k] + time * temperature * data->noise[k];
    assert_near(data->noisy[k], expected, 1e-5);
  }
}

// The target leads in one step to where two of half the size lead.
static void check_shortcut(const lesson_data* data, int i, bool taught) {
  const float size = data->step_size[i], *cond = data->cond + (ptrdiff_t)i * COND;
  const float places = data->timestep[i] / size;
  float x[CHUNK], velocity[CHUNK];
  assert_true(places >= 1 && places == floorf(places) && data->timestep[i] <= 100);
  memcpy(x, data->noisy + (ptrdiff_t)i * CHUNK, sizeof x);
  step(taught, data->timestep[i], size / 2, cond, x, velocity);
  step(taught, data->timestep[i] - size / 2, size / 2, cond, x, velocity);
  for (int k = 0; k < CHUNK; ++k) {
    const int at = i * CHUNK + k;
    assert_near(data->noisy[at] + size / 100 * data->chunk[at], x[k], 1e-5);
  }
  assert_near(data->weight[i], 1.0, 0.0);
}

static void test_one_step_goes_where_two_go(void** state) {
  (void)state;
  static lesson_data data;
  for (int taught = 0; taught <= 1; ++taught) {
    prepare(make_shortcut(taught), 1, &data);
    const int count = dpc_shortcut_count(make_shortcut(taught), COUNT);
    assert_int_equal(count, 18);
    int seen[3] = {0};
    for (int i = 0; i < count; ++i) {
      const int halvings = (int)lrint(log2(100.0 / (double)data.step_size[i]));
      assert_in_range(halvings, 0, 2);  // one step, two or four, of eight
      ++seen[halvings];
      check_noisy(&data, i, taught ? 0.5f : 1.0f);
      check_shortcut(&data, i, taught);
    }
    assert_true(seen[0] > 0 && seen[1] > 0 && seen[2] > 0);
  }
}

// The other windows are the teacher's flow, or left as they were.
static void test_the_others_learn_the_flow(void** state) {
  (void)state;
  static lesson_data data;
  prepare(make_shortcut(true), 0, &data);
  for (int i = 18; i < COUNT; ++i) {
    float velocity[CHUNK];
    assert_true(data.step_size[i] == 0 && data.timestep[i] > 0 && data.timestep[i] <= 100);
    check_noisy(&data, i, 0.5f);
    ask(plain, teacher_params, data.noisy + (ptrdiff_t)i * CHUNK, data.timestep[i], 0,
        data.cond + (ptrdiff_t)i * COND, velocity);
    for (int k = 0; k < CHUNK; ++k) assert_near(data.chunk[i * CHUNK + k], velocity[k], 1e-5);
  }
  prepare(make_shortcut(false), 0, &data);
  const size_t at = (size_t)18 * CHUNK;
  assert_memory_equal(data.chunk + at, data.recorded + at, sizeof data.chunk - sizeof(float) * at);
}

static void test_any_thread_the_same_bits(void** state) {
  (void)state;
  static lesson_data first, second;
  for (int taught = 0; taught <= 1; ++taught) {
    const dpc_shortcut* shortcut = make_shortcut(taught);
    prepare(shortcut, 0, &first);
    prepare(shortcut, 1, &second);
    assert_memory_equal(&first, &second, sizeof first);
  }
}

// --- learning -------------------------------------------------------------------------------------

static dpc_train_settings make_settings(void) {
  dpc_train_settings made = dpc_train_settings_default();
  made.policy = info.policy;
  made.unet = info.unet;
  made.schedule = info.schedule;
  made.sampler = info.sampler;
  made.train.shortcut_steps = STEPS;
  made.train.shortcut_share = SHARE;
  made.train.batch = 24;
  made.train.shard = 10;
  made.train.warmup_steps = 5;
  made.train.learning_rate = 1e-3;
  made.dataset.obs = (dpc_text_list){2, {"keypoint", "agent_pos"}};
  made.dataset.action = (dpc_text_list){1, {"action"}};
  return made;
}

static dpc_dataset* make_dataset(const dpc_train_settings* settings) {
  static float obs[LENGTH * SMALL_OBS], action[LENGTH * SMALL_ACTION];
  static const int lengths[] = {LENGTH / 2, LENGTH / 2};
  for (int i = 0; i < LENGTH * SMALL_OBS; ++i) obs[i] = (float)(256 + 200 * sin(0.1 * i));
  for (int i = 0; i < LENGTH * SMALL_ACTION; ++i) action[i] = (float)(256 + 150 * sin(0.2 * i));
  const dpc_episode_source source = {.episode_count = 2,
                                     .lengths = lengths,
                                     .obs_dim = SMALL_OBS,
                                     .action_dim = SMALL_ACTION,
                                     .obs = obs,
                                     .action = action,
                                     .interface = info.interface};
  const dpc_window_def window = {SMALL_HORIZON, SMALL_N_OBS, SMALL_N_ACTIONS};
  dpc_dataset* made = NULL;
  assert_ok(dpc_dataset_create(&settings->dataset, &window, &source, &arena, &made, &error),
            &error);
  return made;
}

// Down the gradient the loss falls as fast as the gradient is long: the targets do not move with it.
static void test_the_gradient_is_that_of_the_loss(void** state) {
  (void)state;
  static const int picks[8] = {3, 1, 10, 5, 7, 9, 11, 2};
  const dpc_train_settings settings = make_settings();
  const dpc_dataset* dataset = make_dataset(&settings);
  dpc_workers* workers = NULL;
  dpc_batch_loss* loss = NULL;
  assert_ok(dpc_workers_create(1, &arena, &workers, &error), &error);
  const dpc_batch_loss_parts parts = {.dataset = dataset,
                                      .unet = unet,
                                      .schedule = schedule,
                                      .train = &settings.train,
                                      .shortcut = make_shortcut(false),
                                      .workers = workers,
                                      .key = key};
  assert_ok(dpc_batch_loss_create(&parts, &arena, &loss, &error), &error);
  const size_t count = dpc_unet_param_count(unet);
  float* params = DPC_TAKE(&arena, float, count);
  memcpy(params, average, sizeof(float) * count);
  const dpc_batch batch = {
      .windows = &dataset->train, .picks = picks, .count = 8, .plan = 1, .average = average};
  double norm = 0, losses[2];
  (void)dpc_batch_loss_gradient(loss, &batch, params, &norm);
  const float* grads = dpc_batch_loss_grads(loss);
  for (int side = 0; side < 2; ++side) {
    for (size_t i = 0; i < count; ++i) {
      const double by = (side == 0 ? -1e-3 : 1e-3) * (double)grads[i] / norm;
      params[i] = (float)((double)average[i] + by);
    }
    losses[side] = dpc_batch_loss_forward(loss, &batch, params);
  }
  assert_near((losses[1] - losses[0]) / 2e-3 / norm, 1.0, 0.02);
  dpc_workers_destroy(workers);
}

static dpc_trainer* make_trainer(dpc_train_settings settings, const dpc_dataset* dataset,
                                 int threads) {
  dpc_trainer* trainer = NULL;
  settings.train.threads = threads;
  assert_ok(dpc_trainer_create(&settings, dataset, &arena, &trainer, &error), &error);
  return trainer;
}

static void run_steps(dpc_trainer* trainer, int steps) {
  dpc_train_report report;
  for (int i = 0; i < steps; ++i) assert_ok(dpc_trainer_step(trainer, &report, &error), &error);
}

static void make_path(char* path) {
  const int fd = mkstemp(path);
  assert_true(fd >= 0);
  close(fd);
}

// Before it has learned anything, all steps are of the flow.
static void assert_heedless(const float* params) {
  float x[CHUNK], cond[COND], velocity[2][CHUNK];
  dpc_rng_normal(key, DPC_STREAM_TEST, 0, 0, COND, cond);
  dpc_rng_normal(key, DPC_STREAM_TEST, 0, 1, CHUNK, x);
  ask(unet, params, x, 50, 0, cond, velocity[0]);
  ask(unet, params, x, 50, 25, cond, velocity[1]);
  for (int k = 0; k < CHUNK; ++k) assert_near(velocity[0][k], velocity[1][k], 1e-6);
}

static void test_threads_and_breaks_change_no_bit(void** state) {
  (void)state;
  char path[] = "/tmp/dpc_shortcut_XXXXXX";
  make_path(path);
  dpc_train_settings settings = make_settings();
  const dpc_dataset* dataset = make_dataset(&settings);
  dpc_trainer* whole = make_trainer(settings, dataset, 1);
  dpc_trainer* begun = make_trainer(settings, dataset, 2);
  dpc_trainer* resumed = make_trainer(settings, dataset, 3);
  assert_heedless(dpc_trainer_state_of(whole)->params);
  run_steps(whole, 8);
  run_steps(begun, 4);
  assert_ok(dpc_trainer_save(begun, path, &error), &error);
  assert_ok(dpc_trainer_resume(resumed, path, &error), &error);
  run_steps(resumed, 4);
  const dpc_trainer_state *a = dpc_trainer_state_of(whole), *b = dpc_trainer_state_of(resumed);
  assert_memory_equal(a->params, b->params, sizeof(float) * a->count);
  assert_memory_equal(a->ema, b->ema, sizeof(float) * a->count);

  settings.train.shortcut_share = 0.5;
  dpc_trainer* other = make_trainer(settings, dataset, 1);
  assert_fails(dpc_trainer_resume(other, path, &error), DPC_ERR_MISMATCH, &error,
               "train.shortcut_share is 0.5, but training began with 0.75");
  dpc_trainer_destroy(whole);
  dpc_trainer_destroy(begun);
  dpc_trainer_destroy(resumed);
  dpc_trainer_destroy(other);
  unlink(path);
}

// --- a policy with shortcuts ----------------------------------------------------------------------

static dpc_policy* save_and_load(void) {
  const dpc_engine_def engine = {.precision = DPC_PRECISION_FP32, .threads = 1};
  char path[] = "/tmp/dpc_shortcut_XXXXXX";
  dpc_policy* policy = NULL;
  make_path(path);
  assert_ok(dpc_checkpoint_save(path, &info, unet, average, false, NULL, 0, &error), &error);
  assert_ok(dpc_policy_load_for(path, &engine, &arena, &policy, &error), &error);
  unlink(path);
  return policy;
}

// Euler's method with the plain network; `size` is what it is told.
static void act_by_hand(const float* obs, int steps, float size, float* chunk) {
  float cond[COND], x[CHUNK], velocity[CHUNK];
  for (int i = 0; i < COND; ++i) cond[i] = obs[i] / 256 - 1;
  dpc_rng_normal(key, DPC_STREAM_POLICY_NOISE, 5, 0, CHUNK, x);
  for (int i = 0; i < steps; ++i) {
    ask(unet, average, x, 100.0f - 100.0f * (float)i / (float)steps, size, cond, velocity);
    for (int k = 0; k < CHUNK; ++k) x[k] += velocity[k] / (float)steps;
  }
  for (int k = 0; k < CHUNK; ++k) chunk[k] = (x[k] + 1) * 256;
}

static void test_a_policy_takes_its_shortcuts(void** state) {
  (void)state;
  const dpc_policy* policy = save_and_load();
  float obs[COND], chunk[CHUNK], expected[CHUNK];
  for (int i = 0; i < COND; ++i) obs[i] = 100 + 5 * (float)i;
  assert_int_equal(dpc_policy_info(policy)->shortcut_steps, STEPS);
  for (int choice = 0; choice < 6; ++choice) {
    dpc_sampler_def def = info.sampler;
    def.steps = 1 << choice / 2;
    if (choice % 2 == 1) def.kind = DPC_SAMPLER_DDIM;
    dpc_policy_work* work = NULL;
    assert_ok(dpc_policy_work_create(policy, &def, 1, &arena, &work, &error), &error);
    assert_ok(dpc_policy_act(policy, work, obs, key, 5, chunk, &error), &error);
    act_by_hand(obs, def.steps, choice % 2 == 1 ? 0 : 100.0f / (float)def.steps, expected);
    for (int k = 0; k < CHUNK; ++k) assert_near(chunk[k], expected[k], 0.01);
  }
}

static void refuse_info(dpc_status status, const char* words) {
  assert_fails(dpc_checkpoint_info_check(&info, &error), status, &error, words);
}

static void refuse(const dpc_train_settings* settings, const char* words) {
  assert_fails(dpc_train_settings_check(settings, &error), DPC_ERR_CONFIG, &error, words);
}

static void test_what_does_not_fit_is_refused(void** state) {
  (void)state;
  const dpc_policy* policy = save_and_load();
  dpc_policy_work* work = NULL;
  dpc_sampler_def def = info.sampler;
  def.steps = STEPS;
  assert_fails(dpc_policy_work_create(policy, &def, 1, &arena, &work, &error), DPC_ERR_CONFIG,
               &error,
               "sampler.steps: 8, but with train.shortcut_steps 8 shortcuts are taken in at");
  assert_ok(dpc_policy_work_create(policy, NULL, 1, &arena, &work, &error), &error);
  assert_fails(dpc_policy_guide(policy, work, &arena, &error), DPC_ERR_CONFIG, &error,
               "guidance: not of shortcuts");

  dpc_train_settings settings = make_settings();
  settings.train.shortcut_steps = 12;
  refuse(&settings, "train.shortcut_steps: 12 is neither 0 nor a power of two");
  settings.train.shortcut_steps = 2;
  refuse(&settings, "sampler.steps: 2, but with train.shortcut_steps 2");
  settings.train.shortcut_steps = 0;
  refuse(&settings, "sampler.kind: shortcut is for policies with train.shortcut_steps");
  settings = make_settings();
  settings.train.prefix_max = 2;
  refuse(&settings, "train.shortcut_steps and train.prefix_max: one of the two");
  settings = make_settings();
  settings.sampler.kind = DPC_SAMPLER_DDIM;
  settings.schedule.prediction = DPC_PREDICT_SAMPLE;
  refuse(&settings, "train.shortcut_steps goes with schedule.prediction velocity only");

  info.unet.step_size_dim = 0;
  refuse_info(DPC_ERR_INVALID, "step sizes of dim 0, with shortcut_steps 8");
  info.shortcut_steps = 0;
  refuse_info(DPC_ERR_CONFIG, "sampler.kind: shortcut is for policies with train.shortcut_steps");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_one_step_goes_where_two_go, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_the_others_learn_the_flow, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_any_thread_the_same_bits, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_the_gradient_is_that_of_the_loss, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_threads_and_breaks_change_no_bit, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_a_policy_takes_its_shortcuts, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_what_does_not_fit_is_refused, set_up, tear_down),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
