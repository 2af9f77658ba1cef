#include "policy/sampler.h"

#include <stdio.h>

#include "policy/rng.h"
#include "tests/test.h"

static dpc_arena arena;

static dpc_schedule* make_schedule(int kind, int steps, int prediction) {
  dpc_schedule_def def = dpc_schedule_def_default();
  dpc_error error = {""};
  dpc_schedule* schedule = NULL;
  def.kind = kind;
  def.steps = steps;
  def.prediction = prediction;
  assert_ok(dpc_schedule_create(&def, &arena, &schedule, &error), &error);
  return schedule;
}

static dpc_sampler* make_sampler(const dpc_sampler_def* def, const dpc_schedule* schedule) {
  dpc_error error = {""};
  dpc_sampler* sampler = NULL;
  assert_ok(dpc_sampler_create(def, schedule, &arena, &sampler, &error), &error);
  return sampler;
}

// --- golden vectors (tools/reference/make_sampler_golden.py) --------------------------------------

typedef struct csv_row {
  char text[4096];
  int count;
  char* cells[32];
} csv_row;

static bool read_row(FILE* file, csv_row* row) {
  if (fgets(row->text, sizeof row->text, file) == NULL) return false;
  row->text[strcspn(row->text, "\n")] = '\0';
  row->count = 0;
  char* rest = row->text;
  for (char* cell; (cell = strsep(&rest, ",")) != NULL;) row->cells[row->count++] = cell;
  return true;
}

static FILE* open_golden(const char* path) {
  FILE* file = fopen(path, "r");
  assert_non_null(file);
  csv_row titles;
  assert_true(read_row(file, &titles));
  return file;
}

static void set(const dpc_field_table* table, const char* key, const char* text, void* def) {
  dpc_error error = {""};
  assert_ok(dpc_field_parse(table, dpc_fields_find(table, key), text, def, &error), &error);
}

static void test_grids_equal_numpy(void** state) {
  (void)state;
  FILE* file = open_golden(DPC_SOURCE_DIR "/tests/golden/sampler_grids.csv");
  csv_row row;
  int rows = 0;
  for (; read_row(file, &row); ++rows) {
    const size_t mark = dpc_arena_mark(&arena);
    dpc_sampler_def def = dpc_sampler_def_default();
    set(&dpc_sampler_fields, "grid", row.cells[0], &def);
    set(&dpc_sampler_fields, "steps", row.cells[2], &def);
    const dpc_schedule* schedule =
        make_schedule(DPC_SCHEDULE_LINEAR, atoi(row.cells[1]), DPC_PREDICT_EPSILON);
    const dpc_sampler* sampler = make_sampler(&def, schedule);
    char* rest = row.cells[3];
    for (int i = 0; i < dpc_sampler_steps(sampler); ++i) {
      assert_true(dpc_sampler_timestep(sampler, i) == strtof(rest, &rest));
    }
    assert_int_equal(*rest, '\0');
    dpc_arena_release(&arena, mark);
  }
  fclose(file);
  assert_true(rows > 100);
}

static void test_each_step_equals_numpy(void** state) {
  (void)state;
  enum { N = 2 };
  FILE* file = open_golden(DPC_SOURCE_DIR "/tests/golden/sampler_steps.csv");
  csv_row row;
  int rows = 0;
  double worst = 0.0;
  for (; read_row(file, &row); ++rows) {
    assert_int_equal(row.count, 12 + 4 * N);
    const size_t mark = dpc_arena_mark(&arena);
    dpc_schedule_def schedule_def = dpc_schedule_def_default();
    set(&dpc_schedule_fields, "kind", row.cells[1], &schedule_def);
    set(&dpc_schedule_fields, "prediction", row.cells[5], &schedule_def);
    dpc_sampler_def def = dpc_sampler_def_default();
    static const char* const keys[] = {"kind", NULL, NULL, "steps", "grid", NULL, "clip", "eta"};
    for (int i = 0; i < DPC_COUNT(keys); ++i) {
      if (keys[i] != NULL) set(&dpc_sampler_fields, keys[i], row.cells[i], &def);
    }
    def.recompute_epsilon = row.cells[8][0] == '1';
    set(&dpc_sampler_fields, "variance", row.cells[9], &def);
    const dpc_schedule* schedule =
        make_schedule(schedule_def.kind, atoi(row.cells[2]), schedule_def.prediction);
    const dpc_sampler* sampler = make_sampler(&def, schedule);

    float values[4][N];  // x, prediction, noise, and the result for printing
    double result[N];
    for (int i = 0; i < 4 * N; ++i) values[i / N][i % N] = strtof(row.cells[12 + i], NULL);
    for (int i = 0; i < N; ++i) result[i] = strtod(row.cells[12 + 3 * N + i], NULL);
    const int step = atoi(row.cells[10]);
    assert_true(dpc_sampler_timestep(sampler, step) == strtof(row.cells[11], NULL));
    dpc_sampler_step(sampler, step, values[1], values[2], N, values[0]);
    for (int i = 0; i < N; ++i) {
      const double apart = fabs(values[0][i] - result[i]) / fmax(1.0, fabs(result[i]));
      assert_true(apart <= 1e-6);
      worst = fmax(worst, apart);
    }
    dpc_arena_release(&arena, mark);
  }
  fclose(file);
  print_message("%d steps, worst difference %.2g\n", rows, worst);
  assert_true(rows > 500);
}

// --- properties -----------------------------------------------------------------------------------

// What a network would say at step i that knows which clean chunk is wanted.
static void predict_perfectly(const dpc_sampler* sampler, int i, const dpc_schedule* schedule,
                              const float* clean, const float* x, int n, float* prediction) {
  const dpc_noise_level level =
      dpc_schedule_level(schedule, (double)dpc_sampler_timestep(sampler, i));
  for (int j = 0; j < n; ++j) {
    const float implied = (float)((x[j] - level.signal * clean[j]) / level.noise);
    dpc_schedule_target(schedule, level, &clean[j], &implied, 1, &prediction[j]);
  }
}

// Follow a perfect network from noise to the end; returns how far from the clean chunk that is.
static double miss(const dpc_sampler_def* def, const dpc_schedule* schedule) {
  enum { N = 32 };
  const dpc_rng_key key = {3, 4};
  float clean[N], x[N], noise[N], prediction[N];
  dpc_rng_uniform(key, DPC_STREAM_TEST, 0, 0, N, clean);
  dpc_rng_normal(key, DPC_STREAM_TEST, 1, 0, N, x);
  const dpc_sampler* sampler = make_sampler(def, schedule);
  for (int i = 0; i < def->steps; ++i) {
    predict_perfectly(sampler, i, schedule, clean, x, N, prediction);
    dpc_rng_normal(key, DPC_STREAM_TEST, 2, (uint32_t)i, N, noise);
    dpc_sampler_step(sampler, i, prediction, noise, N, x);
  }
  double worst = 0.0;
  for (int j = 0; j < N; ++j) worst = fmax(worst, fabs((double)x[j] - clean[j]));
  return worst;
}

// A network that knows the clean chunk leads every sampler to it, from any noise.
static void test_a_perfect_network_is_followed_to_the_clean_chunk(void** state) {
  (void)state;
  for (int choice = 0; choice < 2 * 3 * 3 * 3; ++choice) {
    const size_t mark = dpc_arena_mark(&arena);
    dpc_sampler_def def = dpc_sampler_def_default();
    def.kind = choice % 2;
    def.grid = choice / 2 % 3;
    def.steps = choice / 6 % 3 * 24 + 2;
    def.eta = 0.5;
    const int prediction = choice / 18;
    assert_near(miss(&def, make_schedule(DPC_SCHEDULE_SQUAREDCOS_CAP_V2, 100, prediction)), 0.0,
                1e-4);
    dpc_arena_release(&arena, mark);
  }
}

// The same on a straight line, where one step is enough.
static void test_flow_is_followed_in_any_number_of_steps(void** state) {
  (void)state;
  static const int predictions[] = {DPC_PREDICT_VELOCITY, DPC_PREDICT_SAMPLE};
  for (int choice = 0; choice < 2 * 2 * 2 * 100; ++choice) {
    const size_t mark = dpc_arena_mark(&arena);
    dpc_sampler_def def = dpc_sampler_def_default();
    def.clip = choice % 2;
    def.eta = choice / 2 % 2 * 0.7;
    def.steps = choice / 8 + 1;
    const dpc_schedule* schedule =
        make_schedule(DPC_SCHEDULE_FLOW, 100, predictions[choice / 4 % 2]);
    assert_near(miss(&def, schedule), 0.0, 1e-5);
    dpc_arena_release(&arena, mark);
  }
}

// Step by step against Euler's method with the network's time running from 0, all noise, to 1.
static void test_flow_without_a_clip_is_euler(void** state) {
  (void)state;
  const dpc_schedule* schedule = make_schedule(DPC_SCHEDULE_FLOW, 100, DPC_PREDICT_VELOCITY);
  for (int grid = 0; grid < 3; ++grid) {
    for (int steps = 1; steps <= 100; ++steps) {
      const size_t mark = dpc_arena_mark(&arena);
      dpc_sampler_def def = dpc_sampler_def_default();
      def.steps = steps;
      def.grid = grid;
      def.clip = 0.0;
      const dpc_sampler* sampler = make_sampler(&def, schedule);
      float x = 1.7f;
      double euler = 1.7f;
      for (int i = 0; i < steps; ++i) {
        const float velocity = (float)sin(i + 1.0);
        assert_near(dpc_sampler_timestep(sampler, i), 100.0 * (1.0 - (double)i / steps), 1e-5);
        assert_false(dpc_sampler_stochastic(sampler, i));
        dpc_sampler_step(sampler, i, &velocity, NULL, 1, &x);
        euler += velocity / (double)steps;
        assert_near(x, euler, 1e-5);
      }
      dpc_arena_release(&arena, mark);
    }
  }
}

static void test_only_stochastic_steps_read_noise(void** state) {
  (void)state;
  const dpc_schedule* schedule =
      make_schedule(DPC_SCHEDULE_SQUAREDCOS_CAP_V2, 100, DPC_PREDICT_EPSILON);
  dpc_sampler_def def = dpc_sampler_def_default();
  const dpc_sampler* deterministic = make_sampler(&def, schedule);
  def.kind = DPC_SAMPLER_DDPM;
  const dpc_sampler* random = make_sampler(&def, schedule);
  for (int i = 0; i < def.steps; ++i) {
    float x[1] = {0.5f};
    assert_false(dpc_sampler_stochastic(deterministic, i));
    dpc_sampler_step(deterministic, i, &(float){0.1f}, NULL, 1, x);
    assert_int_equal(dpc_sampler_stochastic(random, i), i < def.steps - 1);
  }
}

// diffusers keeps the network's epsilon when the clean chunk is clipped; recomputing changes x.
static void test_clipping_keeps_the_raw_epsilon_unless_asked(void** state) {
  (void)state;
  const dpc_schedule* schedule =
      make_schedule(DPC_SCHEDULE_SQUAREDCOS_CAP_V2, 100, DPC_PREDICT_EPSILON);
  dpc_sampler_def def = dpc_sampler_def_default();
  const dpc_sampler* raw = make_sampler(&def, schedule);
  def.recompute_epsilon = true;
  const dpc_sampler* recomputed = make_sampler(&def, schedule);
  float a = 3.0f, b = 3.0f, c = 0.1f, d = 0.1f;
  dpc_sampler_step(raw, 5, &(float){-0.5f}, NULL, 1, &a);
  dpc_sampler_step(recomputed, 5, &(float){-0.5f}, NULL, 1, &b);
  assert_true(fabsf(a - b) > 0.1f);
  dpc_sampler_step(raw, 5, &(float){0.05f}, NULL, 1, &c);  // nothing to clip: the same
  dpc_sampler_step(recomputed, 5, &(float){0.05f}, NULL, 1, &d);
  assert_near(c, d, 1e-6);
}

static void test_nan_is_not_hidden_by_the_clip(void** state) {
  (void)state;
  const dpc_schedule* schedule =
      make_schedule(DPC_SCHEDULE_SQUAREDCOS_CAP_V2, 100, DPC_PREDICT_EPSILON);
  const dpc_sampler_def def = dpc_sampler_def_default();
  const dpc_sampler* sampler = make_sampler(&def, schedule);
  for (int i = 0; i < def.steps; ++i) {
    float x = 0.5f;
    dpc_sampler_step(sampler, i, &(float){NAN}, NULL, 1, &x);
    assert_true(isnan(x));
  }
}

static void test_bad_settings_are_refused(void** state) {
  (void)state;
  dpc_error error = {""};
  dpc_sampler* sampler = NULL;
  const dpc_schedule* schedule = make_schedule(DPC_SCHEDULE_LINEAR, 20, DPC_PREDICT_EPSILON);
  dpc_sampler_def def = dpc_sampler_def_default();
  def.steps = 21;
  assert_fails(dpc_sampler_create(&def, schedule, &arena, &sampler, &error), DPC_ERR_CONFIG, &error,
               "sampler.steps: 21 is more than schedule.steps, 20");
  def = dpc_sampler_def_default();
  def.eta = 1.5;
  assert_fails(dpc_sampler_create(&def, schedule, &arena, &sampler, &error), DPC_ERR_CONFIG, &error,
               "sampler.eta");
  def = dpc_sampler_def_default();
  def.kind = DPC_SAMPLER_DDPM;
  schedule = make_schedule(DPC_SCHEDULE_FLOW, 100, DPC_PREDICT_VELOCITY);
  assert_fails(dpc_sampler_create(&def, schedule, &arena, &sampler, &error), DPC_ERR_CONFIG, &error,
               "sampler.kind: ddpm does not go with schedule.kind flow");
  assert_null(sampler);
}

static int setup(void** state) {
  (void)state;
  return dpc_arena_map(&arena, 16 << 20, NULL);
}

static int teardown(void** state) {
  (void)state;
  dpc_arena_unmap(&arena);
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_grids_equal_numpy),
      cmocka_unit_test(test_each_step_equals_numpy),
      cmocka_unit_test(test_a_perfect_network_is_followed_to_the_clean_chunk),
      cmocka_unit_test(test_flow_is_followed_in_any_number_of_steps),
      cmocka_unit_test(test_flow_without_a_clip_is_euler),
      cmocka_unit_test(test_only_stochastic_steps_read_noise),
      cmocka_unit_test(test_clipping_keeps_the_raw_epsilon_unless_asked),
      cmocka_unit_test(test_nan_is_not_hidden_by_the_clip),
      cmocka_unit_test(test_bad_settings_are_refused),
  };
  return cmocka_run_group_tests(tests, setup, teardown);
}
