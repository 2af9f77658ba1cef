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
    dpc_sampler_step(sampler, step, values[1], values[2], N, values[0], (float[N]){0});
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

// Every evaluation of whole ways, with what is remembered from one to the next.
static void test_each_way_equals_numpy(void** state) {
  (void)state;
  enum { N = 2 };
  FILE* file = open_golden(DPC_SOURCE_DIR "/tests/golden/sampler_paths.csv");
  static const char* const keys[] = {"kind", NULL, NULL,   "steps",
                                     "grid", NULL, "clip", "temperature"};
  const size_t mark = dpc_arena_mark(&arena);
  const dpc_sampler* sampler = NULL;
  float memory[N];
  csv_row row;
  int rows = 0, next = 0;
  double worst = 0.0;
  for (; read_row(file, &row); ++rows) {
    assert_int_equal(row.count, 10 + 4 * N);
    float x[N], prediction[N], noise[N];
    const int step = atoi(row.cells[8]);
    if (step == 0) {
      if (sampler != NULL) assert_int_equal(next, dpc_sampler_steps(sampler));
      dpc_arena_release(&arena, mark);
      dpc_schedule_def schedule = dpc_schedule_def_default();
      set(&dpc_schedule_fields, "kind", row.cells[1], &schedule);
      set(&dpc_schedule_fields, "prediction", row.cells[5], &schedule);
      dpc_sampler_def def = dpc_sampler_def_default();
      for (int i = 0; i < DPC_COUNT(keys); ++i) {
        if (keys[i] != NULL) set(&dpc_sampler_fields, keys[i], row.cells[i], &def);
      }
      sampler =
          make_sampler(&def, make_schedule(schedule.kind, atoi(row.cells[2]), schedule.prediction));
      for (int i = 0; i < N; ++i) x[i] = 0.0f;
      dpc_sampler_begin(sampler, N, x, memory);
      next = 0;
    }
    assert_int_equal(step, next++);
    for (int i = 0; i < N; ++i) x[i] = strtof(row.cells[10 + i], NULL);
    for (int i = 0; i < N; ++i) prediction[i] = strtof(row.cells[10 + N + i], NULL);
    for (int i = 0; i < N; ++i) noise[i] = strtof(row.cells[10 + 2 * N + i], NULL);
    assert_near(dpc_sampler_timestep(sampler, step), strtod(row.cells[9], NULL), 1e-5);
    dpc_sampler_step(sampler, step, prediction, noise, N, x, memory);
    for (int i = 0; i < N; ++i) {
      const double result = strtod(row.cells[10 + 3 * N + i], NULL);
      const double apart = fabs(x[i] - result) / fmax(1.0, fabs(result));
      assert_true(apart <= 1e-5);
      worst = fmax(worst, apart);
    }
  }
  fclose(file);
  print_message("%d evaluations, worst difference %.2g\n", rows, worst);
  assert_true(rows > 400);
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
  float clean[N], x[N], memory[N], noise[N], prediction[N];
  dpc_rng_uniform(key, DPC_STREAM_TEST, 0, 0, N, clean);
  dpc_rng_normal(key, DPC_STREAM_TEST, 1, 0, N, x);
  const dpc_sampler* sampler = make_sampler(def, schedule);
  dpc_sampler_begin(sampler, N, x, memory);
  for (int i = 0; i < dpc_sampler_steps(sampler); ++i) {
    predict_perfectly(sampler, i, schedule, clean, x, N, prediction);
    dpc_rng_normal(key, DPC_STREAM_TEST, 2, (uint32_t)i, N, noise);
    dpc_sampler_step(sampler, i, prediction, noise, N, x, memory);
  }
  double worst = 0.0;
  for (int j = 0; j < N; ++j) worst = fmax(worst, fabs((double)x[j] - clean[j]));
  return worst;
}

// A network that knows the clean chunk leads every sampler to it, from any noise.
static void test_a_perfect_network_is_followed_to_the_clean_chunk(void** state) {
  (void)state;
  static const int kinds[] = {DPC_SAMPLER_DDIM, DPC_SAMPLER_DDPM, DPC_SAMPLER_DPMPP_2M,
                              DPC_SAMPLER_CONSISTENCY};
  for (int choice = 0; choice < 4 * 3 * 3 * 3; ++choice) {
    const size_t mark = dpc_arena_mark(&arena);
    dpc_sampler_def def = dpc_sampler_def_default();
    def.kind = kinds[choice % 4];
    def.grid = choice / 4 % 3;
    def.steps = choice / 12 % 3 * 24 + 2;
    def.eta = 0.5;
    const int prediction = choice / 36;
    assert_near(miss(&def, make_schedule(DPC_SCHEDULE_SQUAREDCOS_CAP_V2, 100, prediction)), 0.0,
                1e-4);
    dpc_arena_release(&arena, mark);
  }
}

// The same on a straight line, where one step is enough.
static void test_flow_is_followed_in_any_number_of_steps(void** state) {
  (void)state;
  static const int predictions[] = {DPC_PREDICT_VELOCITY, DPC_PREDICT_SAMPLE};
  static const int kinds[] = {DPC_SAMPLER_DDIM, DPC_SAMPLER_DPMPP_2M, DPC_SAMPLER_HEUN,
                              DPC_SAMPLER_CONSISTENCY};
  for (int choice = 0; choice < 4 * 2 * 2 * 2 * 20; ++choice) {
    const size_t mark = dpc_arena_mark(&arena);
    dpc_sampler_def def = dpc_sampler_def_default();
    def.clip = choice % 2;
    def.eta = choice / 2 % 2 * 0.7;
    def.kind = kinds[choice / 8 % 4];
    def.steps = choice / 32 * 5 + 1;
    const dpc_schedule* schedule =
        make_schedule(DPC_SCHEDULE_FLOW, 100, predictions[choice / 4 % 2]);
    assert_near(miss(&def, schedule), 0.0, 2e-5);
    dpc_arena_release(&arena, mark);
  }
}

// Shortcuts are Euler's steps of the size that is told; a clip holds where the chunk is clean.
static void test_shortcuts_are_steps_of_the_size_that_is_told(void** state) {
  (void)state;
  const dpc_schedule* schedule = make_schedule(DPC_SCHEDULE_FLOW, 100, DPC_PREDICT_VELOCITY);
  for (int steps = 1; steps <= 64; steps *= 2) {
    const size_t mark = dpc_arena_mark(&arena);
    dpc_sampler_def def = dpc_sampler_def_default();
    def.kind = DPC_SAMPLER_SHORTCUT;
    def.steps = steps;
    const dpc_sampler* sampler = make_sampler(&def, schedule);
    assert_int_equal(dpc_sampler_steps(sampler), steps);
    float x = 0.3f, expected = 0.3f, memory = 0;
    for (int i = 0; i < steps; ++i) {
      const float velocity = 0.9f * cosf((float)i);
      assert_near(dpc_sampler_timestep(sampler, i), 100.0 * (steps - i) / steps, 1e-5);
      assert_near(dpc_sampler_step_size(sampler, i), 100.0 / steps, 1e-5);
      dpc_sampler_step(sampler, i, &velocity, NULL, 1, &x, &memory);
      expected += velocity / (float)steps;
      if (i < steps - 1) assert_near(x, expected, 1e-5);
    }
    assert_near(x, fmin(1.0, (double)expected), 1e-5);
    def.kind = DPC_SAMPLER_DDIM;
    assert_true(dpc_sampler_step_size(make_sampler(&def, schedule), 0) == 0.0f);
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
        dpc_sampler_step(sampler, i, &velocity, NULL, 1, &x, &(float){0});
        euler += velocity / (double)steps;
        assert_near(x, euler, 1e-5);
      }
      dpc_arena_release(&arena, mark);
    }
  }
}

// --- against a network that is exact ----------------------------------------------------------------

// Data of one dimension, normal: the clean value to expect of x is known in closed form.
static const double mean = 0.3, deviation = 0.4;

static double spread_at(dpc_noise_level level) {
  return hypot(level.signal * deviation, level.noise);
}

static double expect_clean(dpc_noise_level level, double x) {
  const double variance = level.signal * level.signal * deviation * deviation;
  const double gain = level.signal * deviation * deviation / (variance + level.noise * level.noise);
  return mean + gain * (x - level.signal * mean);
}

// What the network that minimises the loss answers, by the schedule's kind of prediction.
static float answer(const dpc_schedule* schedule, double timestep, double x) {
  const dpc_noise_level level = dpc_schedule_level(schedule, timestep);
  const dpc_reading reading = dpc_schedule_reading(schedule, level);
  return (float)((expect_clean(level, x) - reading.clean_x * x) / reading.clean_p);
}

// Where a way from x is after some evaluations; `noise` is what is drawn on it.
static double follow(const dpc_sampler* sampler, const dpc_schedule* schedule, double from,
                     int evaluations, const float* noise) {
  float x = (float)from, memory = 0.0f;
  for (int i = 0; i < evaluations; ++i) {
    const float prediction = answer(schedule, (double)dpc_sampler_timestep(sampler, i), (double)x);
    dpc_sampler_step(sampler, i, &prediction, &noise[i], 1, &x, &memory);
  }
  return (double)x;
}

// Every update is linear, so mean and variance of what comes out are known from few ways: one from
// the middle, one from a unit beside it, and one for each noise that is added.
static void measure_moments(const dpc_sampler_def* def, const dpc_schedule* schedule,
                            double moments[2]) {
  static float noise[1000];
  const dpc_sampler* sampler = make_sampler(def, schedule);
  memset(noise, 0, sizeof noise);
  moments[0] = follow(sampler, schedule, 0.0, def->steps, noise);
  const double slope = follow(sampler, schedule, 1.0, def->steps, noise) - moments[0];
  moments[1] = slope * slope;
  for (int i = 0; i < def->steps; ++i) {
    noise[i] = 1.0f;
    const double effect = follow(sampler, schedule, 0.0, def->steps, noise) - moments[0];
    moments[1] += effect * effect;
    noise[i] = 0.0f;
  }
}

static void test_ddim_as_random_as_can_be_is_ddpm(void** state) {
  (void)state;
  static const int schedules[] = {DPC_SCHEDULE_LINEAR, DPC_SCHEDULE_SCALED_LINEAR,
                                  DPC_SCHEDULE_SQUAREDCOS_CAP_V2};
  for (int choice = 0; choice < 9; ++choice) {
    const size_t mark = dpc_arena_mark(&arena);
    const dpc_schedule* schedule = make_schedule(schedules[choice / 3], 500, choice % 3);
    dpc_sampler_def def = dpc_sampler_def_default();
    def.steps = 500;
    def.clip = 0.0;
    double ddpm[2], ddim[2];
    def.kind = DPC_SAMPLER_DDPM;
    measure_moments(&def, schedule, ddpm);
    def.kind = DPC_SAMPLER_DDIM;
    def.eta = 1.0;
    measure_moments(&def, schedule, ddim);
    assert_near(ddim[0], ddpm[0], 1e-4);
    assert_near(ddim[1], ddpm[1], 1e-4);
    // and they are those of the data, as far as so many steps come
    assert_near(ddim[0], mean, 0.01);
    assert_near(ddim[1], deviation * deviation, 0.01);
    dpc_arena_release(&arena, mark);
  }
}

// How far the sampler is from the exact way, on which x keeps its distance from the mean in standard
// deviations: at the end of a flow; for schedules with betas in the middle, since near t = 0 their
// steps are long for any sampler.
static double error_of(int kind, int steps, const dpc_schedule* schedule) {
  static const float noise[1000];
  const size_t mark = dpc_arena_mark(&arena);
  dpc_sampler_def def = dpc_sampler_def_default();
  def.kind = kind;
  def.steps = steps;
  def.grid = DPC_GRID_LINSPACE;
  def.clip = 0.0;
  const dpc_sampler* sampler = make_sampler(&def, schedule);
  const bool flow = schedule->def.kind == DPC_SCHEDULE_FLOW;
  const int evaluations = flow ? dpc_sampler_steps(sampler) : steps / 2;
  const dpc_noise_level begin =
      dpc_schedule_level(schedule, (double)dpc_sampler_timestep(sampler, 0));
  dpc_noise_level end = {.signal = 1.0, .noise = 0.0};
  if (!flow) {
    end = dpc_schedule_level(schedule, (double)dpc_sampler_timestep(sampler, evaluations));
  }
  const double x = 1.3, apart = (x - mean * begin.signal) / spread_at(begin);
  const double exact = mean * end.signal + apart * spread_at(end);
  const double error = fabs(follow(sampler, schedule, x, evaluations, noise) - exact);
  dpc_arena_release(&arena, mark);
  return error;
}

static double measure_order(int kind, int steps, const dpc_schedule* schedule) {
  const double coarse = error_of(kind, steps, schedule);
  // a linspace grid of n steps is part of that of 3 n - 2
  const bool flow = schedule->def.kind == DPC_SCHEDULE_FLOW;
  const double fine = error_of(kind, flow ? 3 * steps : 3 * steps - 2, schedule);
  return log(coarse / fine) / log(3.0);
}

// Three times the steps: an error 3 times smaller by a method of order 1, 9 times by one of order 2.
static void test_methods_have_their_order(void** state) {
  (void)state;
  const struct {
    int kind, schedule, steps;
    double order;
  } cases[] = {
      {DPC_SAMPLER_DDIM, DPC_SCHEDULE_FLOW, 20, 1.0},
      {DPC_SAMPLER_HEUN, DPC_SCHEDULE_FLOW, 20, 2.0},
      {DPC_SAMPLER_DDIM, DPC_SCHEDULE_LINEAR, 41, 1.0},
      {DPC_SAMPLER_DPMPP_2M, DPC_SCHEDULE_LINEAR, 41, 2.0},
  };
  for (int i = 0; i < DPC_COUNT(cases); ++i) {
    const size_t mark = dpc_arena_mark(&arena);
    const bool flow = cases[i].schedule == DPC_SCHEDULE_FLOW;
    const dpc_schedule* schedule = make_schedule(cases[i].schedule, flow ? 1000 : 1201,
                                                 flow ? DPC_PREDICT_VELOCITY : DPC_PREDICT_SAMPLE);
    const double order = measure_order(cases[i].kind, cases[i].steps, schedule);
    print_message("%s: order %.2f\n", dpc_sampler_kind_names[cases[i].kind], order);
    assert_near(order, cases[i].order, 0.25);
    dpc_arena_release(&arena, mark);
  }
}

static void test_temperature_scales_all_noise(void** state) {
  (void)state;
  const dpc_schedule* schedule =
      make_schedule(DPC_SCHEDULE_SQUAREDCOS_CAP_V2, 100, DPC_PREDICT_SAMPLE);
  for (int kind = DPC_SAMPLER_DDPM; kind <= DPC_SAMPLER_CONSISTENCY; ++kind) {
    if (kind == DPC_SAMPLER_HEUN || kind == DPC_SAMPLER_DPMPP_2M) continue;
    dpc_sampler_def def = dpc_sampler_def_default();
    def.kind = kind;
    const dpc_sampler* plain = make_sampler(&def, schedule);
    def.temperature = 0.5;
    const dpc_sampler* cool = make_sampler(&def, schedule);
    float x[2] = {0.8f, 0.8f}, memory[2];
    dpc_sampler_begin(plain, 1, &x[0], &memory[0]);
    dpc_sampler_begin(cool, 1, &x[1], &memory[1]);
    assert_true(x[0] == 0.8f && x[1] == 0.4f);
    x[1] = x[0];
    dpc_sampler_step(plain, 3, &(float){0.2f}, &(float){1.0f}, 1, &x[0], &memory[0]);
    dpc_sampler_step(cool, 3, &(float){0.2f}, &(float){2.0f}, 1, &x[1], &memory[1]);
    assert_near(x[0], x[1], 1e-6);
    def.temperature = 0.0;
    assert_false(dpc_sampler_stochastic(make_sampler(&def, schedule), 3));
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
    dpc_sampler_step(deterministic, i, &(float){0.1f}, NULL, 1, x, &(float){0});
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
  dpc_sampler_step(raw, 5, &(float){-0.5f}, NULL, 1, &a, &(float){0});
  dpc_sampler_step(recomputed, 5, &(float){-0.5f}, NULL, 1, &b, &(float){0});
  assert_true(fabsf(a - b) > 0.1f);
  dpc_sampler_step(raw, 5, &(float){0.05f}, NULL, 1, &c, &(float){0});  // nothing to clip: the same
  dpc_sampler_step(recomputed, 5, &(float){0.05f}, NULL, 1, &d, &(float){0});
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
    dpc_sampler_step(sampler, i, &(float){NAN}, NULL, 1, &x, &(float){0});
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
  def.kind = DPC_SAMPLER_SHORTCUT;
  def.steps = 6;
  assert_fails(dpc_sampler_create(&def, schedule, &arena, &sampler, &error), DPC_ERR_CONFIG, &error,
               "sampler.steps: 6, but shortcuts are taken in 1, 2, 4, 8, ... steps");
  schedule = make_schedule(DPC_SCHEDULE_FLOW, 100, DPC_PREDICT_SAMPLE);
  assert_fails(dpc_sampler_create(&def, schedule, &arena, &sampler, &error), DPC_ERR_CONFIG, &error,
               "sampler.kind: shortcut goes with schedule.prediction velocity only");
  def.kind = DPC_SAMPLER_HEUN;
  schedule = make_schedule(DPC_SCHEDULE_LINEAR, 100, DPC_PREDICT_V);
  assert_fails(dpc_sampler_create(&def, schedule, &arena, &sampler, &error), DPC_ERR_CONFIG, &error,
               "sampler.kind: heun goes with schedule.kind flow only");
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
      cmocka_unit_test(test_each_way_equals_numpy),
      cmocka_unit_test(test_a_perfect_network_is_followed_to_the_clean_chunk),
      cmocka_unit_test(test_flow_is_followed_in_any_number_of_steps),
      cmocka_unit_test(test_shortcuts_are_steps_of_the_size_that_is_told),
      cmocka_unit_test(test_flow_without_a_clip_is_euler),
      cmocka_unit_test(test_ddim_as_random_as_can_be_is_ddpm),
      cmocka_unit_test(test_methods_have_their_order),
      cmocka_unit_test(test_temperature_scales_all_noise),
      cmocka_unit_test(test_only_stochastic_steps_read_noise),
      cmocka_unit_test(test_clipping_keeps_the_raw_epsilon_unless_asked),
      cmocka_unit_test(test_nan_is_not_hidden_by_the_clip),
      cmocka_unit_test(test_bad_settings_are_refused),
  };
  return cmocka_run_group_tests(tests, setup, teardown);
}
