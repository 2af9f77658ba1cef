// Distillation: what a teacher's lessons are, by hand; what becomes of a student; and the program.

#include <unistd.h>

#include "policy/train/batch_loss.h"
#include "policy/train/trainer.h"
#include "tests/lesson.h"
#include "tests/shell.h"

enum {
  EPISODES = 3,
  LENGTH = 30,
  COUNT = 6,
  CHUNK = SMALL_HORIZON * SMALL_ACTION,
  OBS = SMALL_OBS
};

static dpc_error error;
static dpc_arena arena;
static dpc_teacher teacher;
static float scale[OBS], offset[OBS];
static dpc_schedule* schedule;
static dpc_dataset* dataset;
static dpc_train_settings settings;
static const dpc_rng_key key = {8, 9};

static dpc_dataset* make_dataset(void) {
  static float obs[EPISODES * LENGTH * OBS], action[EPISODES * LENGTH * SMALL_ACTION];
  static const int lengths[EPISODES] = {LENGTH, LENGTH, LENGTH};
  for (int row = 0; row < EPISODES * LENGTH; ++row) {
    for (int k = 0; k < OBS; ++k) obs[row * OBS + k] = (float)(256 + 200 * sin(0.1 * row + k));
    for (int k = 0; k < SMALL_ACTION; ++k) {
      action[row * SMALL_ACTION + k] = (float)(256 + 150 * sin(0.1 * row + k));
    }
  }
  const dpc_episode_source source = {.episode_count = EPISODES,
                                     .lengths = lengths,
                                     .obs_dim = OBS,
                                     .action_dim = SMALL_ACTION,
                                     .obs = obs,
                                     .action = action,
                                     .interface = teacher.info.interface};
  const dpc_window_def window = {SMALL_HORIZON, SMALL_N_OBS, SMALL_N_ACTIONS};
  dpc_dataset* made = NULL;
  assert_ok(dpc_dataset_create(&settings.dataset, &window, &source, &arena, &made, &error), &error);
  dpc_dataset_renormalize(made, &teacher.info.obs_normalizer, &teacher.info.action_normalizer);
  return made;
}

static dpc_train_settings make_settings(void) {
  dpc_train_settings made = dpc_train_settings_default();
  made.policy = teacher.info.policy;
  made.unet = teacher.info.unet;
  made.schedule = teacher.info.schedule;
  made.sampler = teacher.info.sampler;
  made.sampler.steps = 1;
  made.sampler.grid = DPC_GRID_TRAILING;
  made.sampler.temperature = 0.5;
  made.distill.method = DPC_DISTILL_ENDPOINT;
  made.distill.teacher_steps = 10;
  memcpy(made.distill.teacher_sha256, teacher.info.weights_sha256,
         sizeof teacher.info.weights_sha256);
  made.train.batch = 12;
  made.train.shard = 5;
  made.train.threads = 1;
  made.train.warmup_steps = 5;
  made.train.learning_rate = 1e-3;
  return made;
}

// A network with random weights, which bend a straight way a little.
static int set_up(void** state) {
  (void)state;
  if (dpc_arena_map(&arena, (size_t)2 << 30, &error) != DPC_OK) return -1;
  teacher = (dpc_teacher){0};
  small_policy_info(&teacher.info, scale, offset);
  memcpy(teacher.info.weights_sha256, "abcdef", sizeof "abcdef");
  teacher.info.schedule.kind = DPC_SCHEDULE_FLOW;
  teacher.info.schedule.prediction = DPC_PREDICT_VELOCITY;
  teacher.info.sampler.clip = 0;
  assert_ok(dpc_unet_create(&teacher.info.unet, &arena, &teacher.unet, &error), &error);
  teacher.params = DPC_TAKE(&arena, float, dpc_unet_param_count(teacher.unet));
  dpc_unet_init(teacher.unet, key, teacher.params);
  assert_ok(dpc_schedule_create(&teacher.info.schedule, &arena, &schedule, &error), &error);
  settings = make_settings();
  dataset = make_dataset();
  return 0;
}

static int tear_down(void** state) {
  (void)state;
  dpc_arena_unmap(&arena);
  return 0;
}

// --- lessons --------------------------------------------------------------------------------------

static void prepare(lesson_data* data, const float* average) {
  const dpc_distill_parts parts = {.def = &settings.distill,
                                   .teacher = &teacher,
                                   .schedule = schedule,
                                   .sampler = &settings.sampler,
                                   .threads = 2,
                                   .count_max = COUNT};
  dpc_distill* distill = NULL;
  assert_ok(dpc_distill_create(&parts, &arena, &distill, &error), &error);
  const dpc_lesson lesson = make_lesson(COUNT, key, average, data);
  dpc_distill_prepare(distill, 1, &lesson);
}

// The clean chunk that a window's target stands for.
static float clean_of(const lesson_data* data, int i, int k) {
  const dpc_reading reading =
      dpc_schedule_reading(schedule, dpc_schedule_level(schedule, (double)data->timestep[i]));
  const int at = i * CHUNK + k;
  assert_near(data->weight[i], reading.clean_p * reading.clean_p, 1e-12);
  return (float)(reading.clean_x * (double)data->noisy[at] +
                 reading.clean_p * (double)data->chunk[at]);
}

// The teacher's way of one window; chunks on it, [11 x CHUNK].
static void walk(const lesson_data* data, int i, float* way) {
  const dpc_engine_def def = dpc_engine_def_default();
  dpc_engine* engine = NULL;
  dpc_engine_work* work = NULL;
  float timesteps[10], velocity[CHUNK];
  for (int k = 0; k < 10; ++k) timesteps[k] = 100.0f - 10.0f * (float)k;
  assert_ok(dpc_engine_create(&def, teacher.unet, teacher.params, &arena, &engine, &error), &error);
  assert_ok(dpc_engine_work_create(engine, timesteps, NULL, 10, 1, &arena, &work, &error), &error);
  for (int k = 0; k < CHUNK; ++k) way[k] = 0.5f * data->noise[i * CHUNK + k];
  dpc_engine_observe(engine, work, 1, data->cond + (ptrdiff_t)i * SMALL_N_OBS * OBS);
  for (int step = 0; step < 10; ++step, way += CHUNK) {
    dpc_engine_step(engine, work, step, 1, way, velocity);
    for (int k = 0; k < CHUNK; ++k) way[CHUNK + k] = way[k] + 0.1f * velocity[k];
  }
}

static void test_an_endpoint_is_where_the_way_ends(void** state) {
  (void)state;
  static lesson_data data;
  for (int steps = 1; steps <= 5; steps += steps == 1 ? 1 : 3) {
    settings.sampler.steps = steps;
    prepare(&data, NULL);
    int seen = 0;
    for (int i = 0; i < COUNT; ++i) {
      float way[11 * CHUNK];
      walk(&data, i, way);
      const int step = (int)lrint((100 - (double)data.timestep[i]) / 10);
      assert_int_equal(step % (10 / steps), 0);
      seen |= 1 << step;
      for (int k = 0; k < CHUNK; ++k) {
        assert_near(data.noisy[i * CHUNK + k], way[step * CHUNK + k], 1e-5);
        assert_near(clean_of(&data, i, k), way[10 * CHUNK + k], 1e-4);
      }
    }
    assert_true(steps == 1 ? seen == 1 : (seen & (seen - 1)) != 0);  // one timestep, or several
  }
}

static void ask(const float* params, const float* x, float timestep, const float* cond,
                float* velocity) {
  const size_t mark = dpc_arena_mark(&arena);
  dpc_unet_work* work = NULL;
  assert_ok(dpc_unet_work_create(teacher.unet, 1, false, &arena, &work, &error), &error);
  dpc_unet_forward(teacher.unet, params, work, 1, x, &timestep, NULL, cond, velocity);
  dpc_arena_release(&arena, mark);
}

static void test_consistency_is_one_step_and_the_students_average(void** state) {
  (void)state;
  static lesson_data data;
  float* average = DPC_TAKE(&arena, float, dpc_unet_param_count(teacher.unet));
  dpc_unet_init(teacher.unet, (dpc_rng_key){1, 1}, average);
  settings.distill.method = DPC_DISTILL_CONSISTENCY;
  settings.distill.teacher_steps = 4;
  prepare(&data, average);
  for (int i = 0; i < COUNT; ++i) {
    const float* cond = data.cond + (ptrdiff_t)i * SMALL_N_OBS * OBS;
    const float time = data.timestep[i] / 100;
    float x[CHUNK], velocity[CHUNK];
    for (int k = 0; k < CHUNK; ++k) {
      const int at = i * CHUNK + k;
      x[k] = (1 - time) * data.recorded[at] + time * 0.5f * data.noise[at];
      assert_near(data.noisy[at], x[k], 1e-6);
    }
    ask(teacher.params, x, data.timestep[i], cond, velocity);
    for (int k = 0; k < CHUNK; ++k) x[k] += 0.25f * velocity[k];
    if (time > 0.3f) {
      ask(average, x, data.timestep[i] - 25, cond, velocity);
      for (int k = 0; k < CHUNK; ++k) x[k] += (time - 0.25f) * velocity[k];
    }
    for (int k = 0; k < CHUNK; ++k) assert_near(clean_of(&data, i, k), x[k], 1e-5);
  }
}

// --- learning -------------------------------------------------------------------------------------

// Down the gradient the loss falls as fast as the gradient is long: the targets do not move with it.
static void test_the_gradient_is_that_of_the_loss(void** state) {
  (void)state;
  static const int picks[5] = {3, 1, 40, 20, 7};
  for (int method = DPC_DISTILL_ENDPOINT; method <= DPC_DISTILL_CONSISTENCY; ++method) {
    settings.distill.method = method;
    settings.sampler.steps = 2;
    dpc_workers* workers = NULL;
    dpc_distill* distill = NULL;
    dpc_batch_loss* loss = NULL;
    assert_ok(dpc_workers_create(1, &arena, &workers, &error), &error);
    const dpc_distill_parts lessons = {&settings.distill, &teacher, schedule,
                                       &settings.sampler, 1,        COUNT};
    assert_ok(dpc_distill_create(&lessons, &arena, &distill, &error), &error);
    const dpc_batch_loss_parts parts = {.dataset = dataset,
                                        .unet = teacher.unet,
                                        .schedule = schedule,
                                        .train = &settings.train,
                                        .distill = distill,
                                        .workers = workers,
                                        .key = key};
    assert_ok(dpc_batch_loss_create(&parts, &arena, &loss, &error), &error);
    const size_t count = dpc_unet_param_count(teacher.unet);
    float* params = DPC_TAKE(&arena, float, count);
    memcpy(params, teacher.params, sizeof(float) * count);
    const dpc_batch batch = {.windows = &dataset->train,
                             .picks = picks,
                             .count = 5,
                             .plan = 1,
                             .average = teacher.params};
    double norm = 0;
    (void)dpc_batch_loss_gradient(loss, &batch, params, &norm);
    const float* grads = dpc_batch_loss_grads(loss);
    const double length = 1e-3;
    double losses[2];
    for (int side = 0; side < 2; ++side) {
      for (size_t i = 0; i < count; ++i) {
        params[i] = (float)((double)teacher.params[i] +
                            (side == 0 ? -length : length) * (double)grads[i] / norm);
      }
      losses[side] = dpc_batch_loss_forward(loss, &batch, params);
    }
    assert_near((losses[1] - losses[0]) / (2 * length) / norm, 1.0, 0.02);
    dpc_workers_destroy(workers);
  }
}

static dpc_trainer* make_student(int threads) {
  dpc_trainer* trainer = NULL;
  settings.train.threads = threads;
  assert_ok(dpc_trainer_create_student(&settings, &teacher, dataset, &arena, &trainer, &error),
            &error);
  return trainer;
}

static double run_steps(dpc_trainer* trainer, int steps) {
  dpc_train_report report = {0};
  for (int i = 0; i < steps; ++i) assert_ok(dpc_trainer_step(trainer, &report, &error), &error);
  return report.loss;
}

static void assert_same_state(const dpc_trainer* a, const dpc_trainer* b) {
  const dpc_trainer_state *x = dpc_trainer_state_of(a), *y = dpc_trainer_state_of(b);
  assert_int_equal(x->step, y->step);
  assert_memory_equal(x->params, y->params, sizeof(float) * x->count);
  assert_memory_equal(x->ema, y->ema, sizeof(float) * x->count);
}

static void set_method(int method) {
  settings.distill.method = method;
  if (method != DPC_DISTILL_SHORTCUT) return;
  settings.train.shortcut_steps = 8;
  settings.train.shortcut_share = 0.75;
  settings.sampler.kind = DPC_SAMPLER_SHORTCUT;
  settings.sampler.steps = 4;
}

static void test_a_student_learns(void** state) {
  (void)state;
  for (int method = DPC_DISTILL_ENDPOINT; method <= DPC_DISTILL_SHORTCUT; ++method) {
    set_method(method);
    dpc_trainer* student = make_student(2);
    if (method != DPC_DISTILL_SHORTCUT) {
      assert_memory_equal(dpc_trainer_state_of(student)->params, teacher.params,
                          sizeof(float) * dpc_unet_param_count(teacher.unet));
    }
    const double before = dpc_trainer_validate(student);
    run_steps(student, 200);
    print_message("%s: %.2g, then %.2g\n", dpc_distill_method_names[method], before,
                  dpc_trainer_validate(student));
    assert_true(dpc_trainer_validate(student) < 0.5 * before);
    dpc_trainer_destroy(student);
  }
}

static void test_threads_and_breaks_change_no_bit(void** state) {
  (void)state;
  char path[] = "/tmp/dpc_distill_XXXXXX";
  const int fd = mkstemp(path);
  assert_true(fd >= 0);
  close(fd);
  for (int method = DPC_DISTILL_ENDPOINT; method <= DPC_DISTILL_SHORTCUT; ++method) {
    settings.sampler.steps = 5;
    set_method(method);
    dpc_trainer *whole = make_student(1), *begun = make_student(2), *resumed = make_student(3);
    run_steps(whole, 8);
    run_steps(begun, 4);
    assert_ok(dpc_trainer_save(begun, path, &error), &error);
    assert_ok(dpc_trainer_resume(resumed, path, &error), &error);
    run_steps(resumed, 4);
    assert_same_state(whole, resumed);

    settings.sampler.temperature = 0.7;  // which is part of what is learned
    dpc_trainer* other = make_student(1);
    assert_fails(dpc_trainer_resume(other, path, &error), DPC_ERR_MISMATCH, &error,
                 "sampler.temperature is 0.7, but training began with 0.5");
    settings.sampler.temperature = 0.5;
    dpc_trainer_destroy(whole);
    dpc_trainer_destroy(begun);
    dpc_trainer_destroy(resumed);
    dpc_trainer_destroy(other);
  }
  unlink(path);
}

// --- what does not fit ------------------------------------------------------------------------------

static void refuse(dpc_status status, const char* words) {
  dpc_trainer* trainer = NULL;
  assert_fails(dpc_trainer_create_student(&settings, &teacher, dataset, &arena, &trainer, &error),
               status, &error, words);
  assert_null(trainer);
  settings = make_settings();
}

static void test_what_does_not_fit_is_refused(void** state) {
  (void)state;
  settings.unet.kernel_size = 5;
  refuse(DPC_ERR_MISMATCH, "unet.kernel_size is 5, but the teacher has 3");
  settings.schedule.steps = 50;
  refuse(DPC_ERR_MISMATCH, "schedule.steps is 50, but the teacher has 100");
  (void)snprintf(settings.distill.teacher_sha256, sizeof settings.distill.teacher_sha256, "123");
  refuse(DPC_ERR_MISMATCH, "distill.teacher_sha256 is 123..., the teacher has abcdef...");
  settings.sampler.steps = 3;
  refuse(DPC_ERR_CONFIG, "10 steps of the teacher do not pass the student's timestep 66.6667");
  settings.train.prefix_max = 3;
  refuse(DPC_ERR_CONFIG, "train.prefix_max: a policy that goes on from settled rows");
  settings.distill.teacher_sampler = DPC_SAMPLER_CONSISTENCY;
  refuse(DPC_ERR_CONFIG, "distill.teacher_sampler: it adds noise");
  settings.distill.method = DPC_DISTILL_CONSISTENCY;
  settings.distill.teacher_sampler = DPC_SAMPLER_HEUN;
  refuse(DPC_ERR_CONFIG, "distill.teacher_sampler: consistency takes single steps");
  settings.distill.teacher_sampler = DPC_SAMPLER_SHORTCUT;
  settings.distill.teacher_steps = 8;
  refuse(DPC_ERR_CONFIG, "sampler.kind: shortcut is for policies with train.shortcut_steps");
  settings.distill.method = DPC_DISTILL_SHORTCUT;
  refuse(DPC_ERR_CONFIG, "train.shortcut_steps: 0, but distill.method shortcut needs");
  settings.train.shortcut_steps = 8;
  refuse(DPC_ERR_CONFIG, "train.shortcut_steps: with a teacher it goes with distill.method");
  set_method(DPC_DISTILL_SHORTCUT);
  teacher.info.shortcut_steps = 4;
  refuse(DPC_ERR_CONFIG, "the teacher has shortcuts (train.shortcut_steps 4)");
  teacher.info.shortcut_steps = 0;
  (void)snprintf(dataset->interface.obs.signals[0].unit, DPC_UNIT_MAX, "m");
  refuse(DPC_ERR_MISMATCH, "teacher and dataset: observation 'keypoint'");
  dataset->interface = teacher.info.interface;
  teacher.info.schedule = dpc_schedule_def_default();
  settings = make_settings();
  refuse(DPC_ERR_CONFIG, "the teacher's schedule.prediction is epsilon");
}

// --- the program ------------------------------------------------------------------------------------

static const char tiny[] =
    "distill:\\n  rollouts: 2\\n  teacher_steps: 2\\nsampler:\\n  steps: 1\\ntrain:\\n"
    "  output: run\\n  steps: 8\\n  batch: 6\\n  threads: 1\\n  log_every: 2\\n"
    "  rollout_every: 4\\n  rollout_episodes: 1\\n";

static void test_the_program_from_teacher_to_student(void** state) {
  (void)state;
  char path[64];
#ifdef __SANITIZE_ADDRESS__
  skip();  // it takes many seconds to shadow the program's address space each time it starts
#endif
  assert_non_null(mkdtemp(base));
  (void)snprintf(path, sizeof path, "%s/teacher.safetensors", base);
  assert_ok(dpc_checkpoint_save(path, &teacher.info, teacher.unet, teacher.params, false, NULL, 0,
                                &error),
            &error);
  assert_int_equal(shell("printf '%s' >tiny.yaml", tiny), 0);
  if (shell("dpc-distill -q teacher.safetensors tiny.yaml 2>&1") != 0) fail_msg("%s", output);
  // the same in two pieces
  assert_int_equal(shell("mv run whole && dpc-distill -q teacher.safetensors tiny.yaml --until 3"),
                   0);
  if (shell("dpc-distill -q --resume run train.threads=2 2>&1") != 0) fail_msg("%s", output);
  assert_int_equal(shell("cmp whole/policy.safetensors run/policy.safetensors"), 0);
  assert_int_equal(shell("dpc-inspect run/policy.safetensors && dpc-inspect run >/dev/null"), 0);
  assert_non_null(strstr(output, "endpoint"));

  assert_int_equal(shell("dpc-distill 2>&1"), 2);
  assert_non_null(strstr(output, "TEACHER is missing"));
  assert_int_equal(shell("dpc-distill teacher.safetensors tiny.yaml distill.method=none "
                         "train.output=other 2>&1"),
                   2);
  assert_non_null(strstr(output, "distill.method: none"));
  assert_int_equal(shell("dpc-distill teacher.safetensors tiny.yaml unet.kernel_size=5 "
                         "train.output=other 2>&1"),
                   1);
  assert_non_null(strstr(output, "unet.kernel_size is 5, but the teacher has 3"));
  assert_int_equal(shell("dpc-distill nowhere.safetensors tiny.yaml 2>&1"), 1);
  assert_non_null(strstr(output, "nowhere.safetensors"));
  assert_int_equal(shell("test -e other"), 1);
  assert_int_equal(shell("rm -rf %s", base), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_an_endpoint_is_where_the_way_ends, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_consistency_is_one_step_and_the_students_average, set_up,
                                      tear_down),
      cmocka_unit_test_setup_teardown(test_the_gradient_is_that_of_the_loss, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_a_student_learns, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_threads_and_breaks_change_no_bit, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_what_does_not_fit_is_refused, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_the_program_from_teacher_to_student, set_up, tear_down),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
