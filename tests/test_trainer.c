#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "policy/train/trainer.h"
#include "policy/train/workers.h"
#include "tests/test.h"

static const char ONE[] = "1111111111111111111111111111111111111111111111111111111111111111";
static const char TWO[] = "2222222222222222222222222222222222222222222222222222222222222222";

enum { EPISODES = 6, LENGTH = 30, OBS = 3, ACTION = 2 };

// A point that circles: the action is where it will be, so a chunk can be told from the observation.
typedef struct bench {
  dpc_arena arena;
  dpc_train_settings settings;
  dpc_dataset* dataset;
  char folder[64];
  dpc_trainer* made[16];  // destroyed after the test, also when it fails
  int made_count;
} bench;

static void fill(float* obs, float* action, double radius) {
  for (int e = 0; e < EPISODES; ++e) {
    for (int k = 0; k < LENGTH; ++k) {
      const double angle = 0.2 * k + e;
      *obs++ = (float)(radius * cos(angle));
      *obs++ = (float)(radius * sin(angle));
      *obs++ = 7;  // constant
      *action++ = (float)(radius * cos(angle + 0.2));
      *action++ = (float)(radius * sin(angle + 0.2));
    }
  }
}

static dpc_dataset* make_dataset(bench* b, double radius, const char* sha256) {
  static float obs[EPISODES * LENGTH * OBS], action[EPISODES * LENGTH * ACTION];
  int lengths[EPISODES];
  for (int e = 0; e < EPISODES; ++e) lengths[e] = LENGTH;
  fill(obs, action, radius);
  dpc_episode_source source = {.episode_count = EPISODES,
                               .lengths = lengths,
                               .obs_dim = OBS,
                               .action_dim = ACTION,
                               .obs = obs,
                               .action = action};
  (void)snprintf(source.sha256, sizeof source.sha256, "%s", sha256);
  source.interface.period_ns = 100000000;
  dpc_layout_add(&source.interface.obs, "position", 2, "m", NULL);
  dpc_layout_add(&source.interface.obs, "constant", 1, NULL, NULL);
  dpc_layout_add(&source.interface.action, "action", 2, "m", "position");
  const dpc_window_def window = {b->settings.unet.horizon, b->settings.policy.n_obs,
                                 b->settings.policy.n_actions};
  dpc_dataset* dataset = NULL;
  dpc_error error = {""};
  assert_ok(dpc_dataset_create(&b->settings.dataset, &window, &source, &b->arena, &dataset, &error),
            &error);
  return dataset;
}

static void set_text_list(dpc_text_list* list, const char* first, const char* second) {
  list->count = 0;
  (void)snprintf(list->values[list->count++], DPC_LIST_TEXT_MAX, "%s", first);
  if (second != NULL) (void)snprintf(list->values[list->count++], DPC_LIST_TEXT_MAX, "%s", second);
}

// A small network, and a batch whose last shard is not whole.
static dpc_train_settings small_settings(void) {
  dpc_train_settings settings = dpc_train_settings_default();
  set_text_list(&settings.dataset.obs, "position", "constant");
  set_text_list(&settings.dataset.action, "action", NULL);
  settings.unet.down_dims = (dpc_int_list){2, {16, 32}};
  settings.unet.step_embed_dim = 16;
  settings.unet.horizon = 8;
  settings.policy.n_actions = 4;
  settings.train.batch = 22;
  settings.train.shard = 8;
  settings.train.steps = 150;
  settings.train.warmup_steps = 5;
  settings.train.learning_rate = 2e-3;
  settings.train.threads = 1;
  return settings;
}

static int setup(void** state) {
  static bench b;
  memset(&b, 0, sizeof b);
  dpc_error error = {""};
  assert_ok(dpc_arena_map(&b.arena, (size_t)1 << 30, &error), &error);
  b.settings = small_settings();
  b.dataset = make_dataset(&b, 2, ONE);
  (void)snprintf(b.folder, sizeof b.folder, "/tmp/dpc_test_trainer_XXXXXX");
  assert_non_null(mkdtemp(b.folder));
  *state = &b;
  return 0;
}

static int teardown(void** state) {
  bench* b = *state;
  for (int i = 0; i < b->made_count; ++i) dpc_trainer_destroy(b->made[i]);
  char command[128];
  (void)snprintf(command, sizeof command, "rm -rf %s", b->folder);
  dpc_arena_unmap(&b->arena);
  return system(command);  // NOLINT: our own temporary folder
}

static const char* path_in(const bench* b, const char* name) {
  static char paths[4][128];
  static int next;
  char* path = paths[next++ % 4];
  (void)snprintf(path, sizeof paths[0], "%s/%s", b->folder, name);
  return path;
}

static dpc_trainer* make_trainer(bench* b, int threads) {
  dpc_trainer* trainer = NULL;
  dpc_error error = {""};
  b->settings.train.threads = threads;
  assert_ok(dpc_trainer_create(&b->settings, b->dataset, &b->arena, &trainer, &error), &error);
  assert_true(b->made_count < DPC_COUNT(b->made));
  b->made[b->made_count++] = trainer;
  return trainer;
}

// Make `steps` updates; returns the mean loss of the last ten.
static double run_steps(dpc_trainer* trainer, int steps) {
  double sum = 0;
  dpc_error error = {""};
  for (int i = 0; i < steps; ++i) {
    dpc_train_report report;
    assert_ok(dpc_trainer_step(trainer, &report, &error), &error);
    if (i >= steps - 10) sum += report.loss;
  }
  return sum / (steps < 10 ? steps : 10);
}

static void assert_same_state(const dpc_trainer* a, const dpc_trainer* b) {
  const dpc_trainer_state *x = dpc_trainer_state_of(a), *y = dpc_trainer_state_of(b);
  const size_t size = sizeof(float) * x->count;
  assert_int_equal(x->step, y->step);
  assert_memory_equal(x->params, y->params, size);
  assert_memory_equal(x->ema, y->ema, size);
  assert_memory_equal(x->m, y->m, size);
  assert_memory_equal(x->v, y->v, size);
}

static void count_item(void* context, int item, int thread) {
  (void)thread;
  ++((int*)context)[item];
}

static void workers_do_every_piece_once(void** state) {
  bench* b = *state;
  dpc_error error = {""};
  for (int threads = 1; threads <= 5; ++threads) {
    dpc_workers* workers = NULL;
    assert_ok(dpc_workers_create(threads, &b->arena, &workers, &error), &error);
    int done[100] = {0};
    for (int run = 1; run <= 50; ++run) {
      dpc_workers_run(workers, count_item, done, run * 2);
      for (int i = 0; i < 100; ++i) assert_int_equal(done[i], i < run * 2 ? run - i / 2 : 0);
    }
    dpc_workers_destroy(workers);
  }
}

static void set_flow(dpc_train_settings* settings) {
  settings->schedule.kind = DPC_SCHEDULE_FLOW;
  settings->schedule.prediction = DPC_PREDICT_VELOCITY;
}

static void the_loss_falls(void** state) {
  bench* b = *state;
  for (int kind = DPC_PREDICT_EPSILON; kind <= DPC_PREDICT_VELOCITY; ++kind) {
    b->settings.schedule.prediction = kind;
    if (kind == DPC_PREDICT_VELOCITY) b->settings.schedule.kind = DPC_SCHEDULE_FLOW;
    dpc_trainer* trainer = make_trainer(b, 2);
    const double before = run_steps(trainer, 10), validation_before = dpc_trainer_validate(trainer);
    const double after = run_steps(trainer, 140);
    assert_true(after < 0.6 * before);
    assert_true(dpc_trainer_validate(trainer) < 0.8 * validation_before);
  }
}

// With settled rows, too: they tell where the circle goes on.
static void the_loss_falls_with_settled_rows(void** state) {
  bench* b = *state;
  b->settings.train.prefix_max = 3;
  set_flow(&b->settings);
  dpc_trainer* trainer = make_trainer(b, 2);
  const double before = run_steps(trainer, 10), validation_before = dpc_trainer_validate(trainer);
  assert_true(run_steps(trainer, 140) < 0.6 * before);
  assert_true(dpc_trainer_validate(trainer) < 0.8 * validation_before);
}

static void assert_threads_change_no_bit(bench* b) {
  dpc_trainer* one = make_trainer(b, 1);
  const double loss = run_steps(one, 12);
  for (int threads = 2; threads <= 4; ++threads) {
    dpc_trainer* more = make_trainer(b, threads);
    assert_int_equal(dpc_trainer_threads(more), threads);
    assert_true(run_steps(more, 12) == loss);
    assert_same_state(one, more);
    assert_true(dpc_trainer_validate(more) == dpc_trainer_validate(one));
  }
}

static void the_thread_count_changes_no_bit(void** state) {
  bench* b = *state;
  assert_threads_change_no_bit(b);
  b->settings.train.loss_weighting = DPC_WEIGHTING_MIN_SNR;
  b->settings.train.obs_noise = 0.1;
  assert_threads_change_no_bit(b);
  b->settings = small_settings();
  set_flow(&b->settings);
  b->settings.train.time_distribution = DPC_TIME_BETA;
  b->settings.train.prefix_max = 5;
  assert_threads_change_no_bit(b);
}

static void a_batch_makes_two_shards_at_least(void** state) {
  bench* b = *state;
  b->settings.train.shard = b->settings.train.batch / 2;
  dpc_trainer* halves = make_trainer(b, 2);
  b->settings.train.shard = 4096;
  dpc_trainer* capped = make_trainer(b, 1);
  assert_true(run_steps(halves, 3) == run_steps(capped, 3));
  assert_same_state(halves, capped);
  b->settings.train.batch = 1;  // which cannot be halved
  assert_true(run_steps(make_trainer(b, 2), 1) > 0);
}

static void the_objective_counts(void** state) {
  bench* b = *state;
  const double plain = run_steps(make_trainer(b, 1), 3);
  b->settings.train.obs_noise = 0.1;
  dpc_trainer* blurred = make_trainer(b, 1);
  b->settings.train.obs_noise = 0;
  dpc_trainer* clear = make_trainer(b, 1);
  // validation sees observations as they are
  assert_true(dpc_trainer_validate(blurred) == dpc_trainer_validate(clear));
  assert_true(run_steps(blurred, 3) != plain);
  b->settings.train.loss_weighting = DPC_WEIGHTING_MIN_SNR;
  assert_true(run_steps(make_trainer(b, 1), 3) < plain);  // no weight of epsilon is above 1
  // a limit that is never reached weighs epsilon evenly
  b->settings.train.min_snr_gamma = 1e9;
  assert_near(run_steps(make_trainer(b, 1), 3), plain, 1e-6);
}

static void the_objective_must_fit_the_schedule(void** unused) {
  (void)unused;
  dpc_error error = {""};
  dpc_train_settings settings = small_settings();
  settings.train.time_distribution = DPC_TIME_LOGIT_NORMAL;
  assert_fails(dpc_train_settings_check(&settings, &error), DPC_ERR_CONFIG, &error,
               "train.time_distribution: logit_normal goes with schedule.kind flow only");
  set_flow(&settings);
  assert_ok(dpc_train_settings_check(&settings, &error), &error);
  settings.train.loss_weighting = DPC_WEIGHTING_MIN_SNR;
  assert_fails(dpc_train_settings_check(&settings, &error), DPC_ERR_CONFIG, &error,
               "train.loss_weighting: min_snr does not go with schedule.kind flow");
  settings = small_settings();
  set_flow(&settings);
  settings.sampler.kind = DPC_SAMPLER_DDPM;
  assert_fails(dpc_train_settings_check(&settings, &error), DPC_ERR_CONFIG, &error,
               "sampler.kind: ddpm");
  settings = small_settings();
  settings.schedule.kind = DPC_SCHEDULE_FLOW;
  assert_fails(dpc_train_settings_check(&settings, &error), DPC_ERR_CONFIG, &error,
               "schedule.prediction: epsilon");
}

static void another_seed_gives_another_run(void** state) {
  bench* b = *state;
  dpc_trainer* one = make_trainer(b, 1);
  b->settings.train.seed += 1;
  dpc_trainer* two = make_trainer(b, 1);
  assert_true(run_steps(one, 3) != run_steps(two, 3));
}

static void assert_same_files(const char* a, const char* b) {
  char command[300];
  (void)snprintf(command, sizeof command, "cmp %s %s", a, b);
  assert_int_equal(system(command), 0);  // NOLINT: our own temporary files
}

static void resuming_changes_no_bit(void** state) {
  bench* b = *state;
  dpc_error error = {""};
  dpc_trainer* whole = make_trainer(b, 2);
  run_steps(whole, 20);
  assert_ok(dpc_trainer_save(whole, path_in(b, "whole"), &error), &error);

  dpc_trainer* first = make_trainer(b, 1);
  run_steps(first, 10);
  assert_ok(dpc_trainer_save(first, path_in(b, "half"), &error), &error);

  dpc_trainer* second = make_trainer(b, 2);
  run_steps(second, 3);  // what it did before does not matter
  assert_ok(dpc_trainer_resume(second, path_in(b, "half"), &error), &error);
  assert_int_equal(dpc_trainer_steps_done(second), 10);
  run_steps(second, 10);
  assert_same_state(whole, second);
  assert_ok(dpc_trainer_save(second, path_in(b, "resumed"), &error), &error);
  assert_same_files(path_in(b, "whole"), path_in(b, "resumed"));
}

static void another_run_is_not_resumed(void** state) {
  bench* b = *state;
  dpc_error error = {""};
  dpc_trainer* trainer = make_trainer(b, 1);
  assert_ok(dpc_trainer_save(trainer, path_in(b, "state"), &error), &error);

  b->settings.train.seed += 1;
  trainer = make_trainer(b, 1);
  assert_fails(dpc_trainer_resume(trainer, path_in(b, "state"), &error), DPC_ERR_MISMATCH, &error,
               "train.seed is 43, but training began with 42");

  b->settings = small_settings();
  b->settings.train.obs_noise = 0.1;
  trainer = make_trainer(b, 1);
  assert_fails(dpc_trainer_resume(trainer, path_in(b, "state"), &error), DPC_ERR_MISMATCH, &error,
               "train.obs_noise is 0.1, but training began with 0");

  b->settings = small_settings();
  b->dataset = make_dataset(b, 3, TWO);
  trainer = make_trainer(b, 1);
  assert_fails(dpc_trainer_resume(trainer, path_in(b, "state"), &error), DPC_ERR_MISMATCH, &error,
               "another dataset");
}

static void what_is_no_state_is_not_resumed(void** state) {
  bench* b = *state;
  dpc_error error = {""};
  dpc_trainer *trainer = make_trainer(b, 1), *fresh = make_trainer(b, 1);
  assert_ok(dpc_trainer_save(trainer, path_in(b, "state"), &error), &error);
  assert_ok(dpc_trainer_export(trainer, path_in(b, "policy"), &error), &error);
  assert_fails(dpc_trainer_resume(trainer, path_in(b, "policy"), &error), DPC_ERR_FORMAT, &error,
               "not a file to resume training from");
  assert_int_equal(truncate(path_in(b, "state"), 20000), 0);
  assert_fails(dpc_trainer_resume(trainer, path_in(b, "state"), &error), DPC_ERR_FORMAT, &error,
               "state");
  assert_fails(dpc_trainer_resume(trainer, path_in(b, "absent"), &error), DPC_ERR_IO, &error,
               "absent");
  assert_same_state(trainer, fresh);
}

static void settings_are_read_back_from_the_state(void** state) {
  bench* b = *state;
  dpc_error error = {""};
  dpc_trainer* trainer = make_trainer(b, 1);
  assert_ok(dpc_trainer_save(trainer, path_in(b, "state"), &error), &error);
  dpc_train_settings read = dpc_train_settings_default();
  assert_ok(dpc_trainer_state_settings(path_in(b, "state"), &read, &error), &error);
  assert_ok(dpc_train_settings_match(&read, &b->settings, &error), &error);
  read.unet.down_dims.values[1] = 64;
  assert_fails(dpc_train_settings_match(&b->settings, &read, &error), DPC_ERR_MISMATCH, &error,
               "unet.down_dims is [16, 64], but training began with [16, 32]");
}

static void a_full_disk_keeps_the_last_state(void** state) {
  bench* b = *state;
  dpc_error error = {""};
  dpc_trainer* trainer = make_trainer(b, 1);
  assert_ok(dpc_trainer_save(trainer, path_in(b, "state"), &error), &error);
  run_steps(trainer, 2);

  struct rlimit limit, old;
  assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
  limit = old;
  limit.rlim_cur = 10000;
  (void)signal(SIGXFSZ, SIG_IGN);
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
  const dpc_status status = dpc_trainer_save(trainer, path_in(b, "state"), &error);
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
  assert_int_equal(status, DPC_ERR_IO);

  assert_ok(dpc_trainer_resume(trainer, path_in(b, "state"), &error), &error);
  assert_int_equal(dpc_trainer_steps_done(trainer), 0);
}

static void a_loss_that_is_not_finite_stops(void** state) {
  bench* b = *state;
  dpc_error error = {""};
  dpc_trainer* trainer = make_trainer(b, 2);
  run_steps(trainer, 4);
  float* params = dpc_trainer_state_of(trainer)->params;
  const float second = params[1];
  params[0] = NAN;
  dpc_train_report report;
  assert_fails(dpc_trainer_step(trainer, &report, &error), DPC_ERR_INVALID, &error, "step 5: ");
  assert_int_equal(dpc_trainer_steps_done(trainer), 4);
  assert_true(params[1] == second);
}

static void the_policy_holds_the_average(void** state) {
  bench* b = *state;
  dpc_error error = {""};
  b->settings.train.weights = DPC_WEIGHTS_FP32;
  set_flow(&b->settings);
  b->settings.train.prefix_max = 6;
  dpc_trainer* trainer = make_trainer(b, 1);
  run_steps(trainer, 5);
  assert_ok(dpc_trainer_export(trainer, path_in(b, "policy"), &error), &error);
  dpc_checkpoint_info info;
  dpc_unet* unet = NULL;
  float* params = NULL;
  assert_ok(dpc_checkpoint_load(path_in(b, "policy"), &b->arena, &info, &unet, &params, &error),
            &error);
  const dpc_trainer_state* trained = dpc_trainer_state_of(trainer);
  assert_memory_equal(params, trained->ema, sizeof(float) * trained->count);
  assert_int_equal(info.policy.n_actions, 4);
  assert_int_equal(info.prefix_max, 6);
  assert_int_equal(info.unet.mask_dim, 1);
  assert_int_equal(info.schedule.kind, DPC_SCHEDULE_FLOW);
  assert_int_equal(info.schedule.prediction, DPC_PREDICT_VELOCITY);
  assert_string_equal(info.dataset_sha256, ONE);
}

static void settings_that_do_not_fit_are_refused(void** unused) {
  (void)unused;
  dpc_error error = {""};
  dpc_train_settings settings = small_settings();
  assert_ok(dpc_train_settings_check(&settings, &error), &error);
  settings.policy.n_actions = 8;
  assert_fails(dpc_train_settings_check(&settings, &error), DPC_ERR_CONFIG, &error,
               "policy.n_actions is 8");
  settings = small_settings();
  settings.sampler.steps = settings.schedule.steps + 1;
  assert_fails(dpc_train_settings_check(&settings, &error), DPC_ERR_CONFIG, &error,
               "sampler.steps");
  settings = small_settings();
  settings.train.prefix_max = settings.unet.horizon;
  assert_fails(dpc_train_settings_check(&settings, &error), DPC_ERR_CONFIG, &error,
               "train.prefix_max: 8 rows leave none to learn");
  settings = small_settings();
  settings.train.learning_rate = NAN;
  assert_fails(dpc_train_settings_check(&settings, &error), DPC_ERR_CONFIG, &error,
               "learning_rate");
}

// The circle's radius is 2, and a clean chunk would be cut off at 1.
static void actions_that_the_sampler_cuts_off_are_refused(void** state) {
  bench* b = *state;
  dpc_error error = {""};
  dpc_trainer* trainer = NULL;
  set_text_list(&b->settings.dataset.action, "action scale none", NULL);
  b->dataset = make_dataset(b, 2, ONE);
  assert_fails(dpc_trainer_create(&b->settings, b->dataset, &b->arena, &trainer, &error),
               DPC_ERR_CONFIG, &error, "sampler.clip is 1, but normalised actions reach 2");
  for (int i = 0; i < 2; ++i) {
    b->settings.sampler.clip = i * 2.0;
    run_steps(make_trainer(b, 1), 1);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(workers_do_every_piece_once, setup, teardown),
      cmocka_unit_test_setup_teardown(the_loss_falls, setup, teardown),
      cmocka_unit_test_setup_teardown(the_loss_falls_with_settled_rows, setup, teardown),
      cmocka_unit_test_setup_teardown(the_thread_count_changes_no_bit, setup, teardown),
      cmocka_unit_test_setup_teardown(a_batch_makes_two_shards_at_least, setup, teardown),
      cmocka_unit_test_setup_teardown(the_objective_counts, setup, teardown),
      cmocka_unit_test_setup_teardown(another_seed_gives_another_run, setup, teardown),
      cmocka_unit_test_setup_teardown(resuming_changes_no_bit, setup, teardown),
      cmocka_unit_test_setup_teardown(another_run_is_not_resumed, setup, teardown),
      cmocka_unit_test_setup_teardown(what_is_no_state_is_not_resumed, setup, teardown),
      cmocka_unit_test_setup_teardown(settings_are_read_back_from_the_state, setup, teardown),
      cmocka_unit_test_setup_teardown(a_full_disk_keeps_the_last_state, setup, teardown),
      cmocka_unit_test_setup_teardown(a_loss_that_is_not_finite_stops, setup, teardown),
      cmocka_unit_test_setup_teardown(the_policy_holds_the_average, setup, teardown),
      cmocka_unit_test_setup_teardown(actions_that_the_sampler_cuts_off_are_refused, setup,
                                      teardown),
      cmocka_unit_test(settings_that_do_not_fit_are_refused),
      cmocka_unit_test(the_objective_must_fit_the_schedule),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
