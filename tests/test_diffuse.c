// dpc diffuse as people run it: every figure in every format, the same bytes for the same input, numbers
// that are those of the formulas, and the check of schedules with its exit codes.

#include <unistd.h>

#include "proto/episode_log.h"
#include "sim/push_task.h"
#include "sim/render.h"
#include "tests/shell.h"
#include "tests/small_policy.h"

static dpc_error error;
static dpc_arena arena;

static const char* const figures[] = {"point", "points", "plane",    "schedules", "centred",
                                      "chunk", "image",  "samplers", "denoise",   "modes"};
enum { OF_A_POLICY = 8 };  // these and later ones; they depend on the kind of processor

// --- figures ---------------------------------------------------------------------------------------

/// Draw a figure with the repository's own policy and demonstrations.
static int draw(const char* arguments) {
  return shell("cd " DPC_SOURCE_DIR " && dpc diffuse %s", arguments);
}

static void every_figure_is_made_in_every_format(void** state) {
  (void)state;
  static const char* const formats[] = {"png", "csv", "svg"};
  static const char* const begins[] = {"\x89PNG", "panel,series,x,y\n", "<?xml"};
  char arguments[256];
  (void)snprintf(arguments, sizeof arguments, "all --out %s/all", base);
  assert_int_equal(draw(arguments), 0);
  for (int f = 0; f < DPC_COUNT(figures); ++f) {
    for (int i = 0; i < DPC_COUNT(formats); ++i) {
      (void)snprintf(arguments, sizeof arguments, "%s -o %s/one.%s", figures[f], base, formats[i]);
      assert_int_equal(draw(arguments), 0);
      assert_int_equal(shell("head -c %zu one.%s", strlen(begins[i]), formats[i]), 0);
      assert_string_equal(output, begins[i]);
    }
    // a figure does not know what was drawn before
    assert_int_equal(shell("cmp one.svg all/%s.svg 2>&1", figures[f]), 0);
    assert_int_equal(shell("test $(stat -c %%s one.svg) -lt 100000"), 0);
  }
}

// The page's pictures are what the program draws now.
static void pictures_of_the_page_are_remade_to_the_byte(void** state) {
  (void)state;
  for (int f = 0; f < OF_A_POLICY; ++f) {
    const int same =
        shell("cmp " DPC_SOURCE_DIR "/tools/docs/%s.svg all/%s.svg 2>&1", figures[f], figures[f]);
    if (same != 0) fail_msg("%s: remake them with dpc diffuse all --out tools/docs", output);
  }
  for (int f = 0; f < DPC_COUNT(figures); ++f) {
    assert_int_equal(
        shell("grep -q '(%s.svg)' " DPC_SOURCE_DIR "/tools/docs/diffusion.md", figures[f]), 0);
  }
  assert_int_equal(shell("test $(cat " DPC_SOURCE_DIR "/tools/docs/* | wc -c) -lt 600000"), 0);
}

// --- numbers ---------------------------------------------------------------------------------------

typedef struct row {
  char panel[96], series[96];
  double x, y;
} row;

static row rows[200000];

/// Read DIR/one.csv; returns the number of rows.
static int read_csv(void) {
  char path[256], line[512];
  (void)snprintf(path, sizeof path, "%s/one.csv", base);
  FILE* file = fopen(path, "r");
  assert_non_null(file);
  int count = 0;
  assert_non_null(fgets(line, sizeof line, file));
  while (fgets(line, sizeof line, file) != NULL) {
    row* r = &rows[count++];
    assert_true(count < DPC_COUNT(rows));
    assert_int_equal(
        sscanf(line, "\"%95[^\"]\",\"%95[^\"]\",%lf,%lf", r->panel, r->series, &r->x, &r->y), 4);
  }
  (void)fclose(file);
  return count;
}

static void densities_are_gaussians(void** state) {
  (void)state;
  assert_int_equal(shell("dpc diffuse point --at 2 -o one.csv schedule.steps=500"), 0);
  const int count = read_csv();
  double product = 1;
  for (int t = 0; t < 250; ++t) product *= 1 - (1e-4 + (0.02 - 1e-4) * t / 499);
  int found = 0;
  for (int i = 0; i < count; ++i) {
    if (strcmp(rows[i].series, "t = 250") != 0) continue;
    const double variance = 1 - product, off = rows[i].x - 2 * sqrt(product);
    const double expected = exp(-off * off / (2 * variance)) / sqrt(2 * acos(-1.0) * variance);
    assert_near(rows[i].y, expected, 1e-6);
    ++found;
  }
  assert_true(found > 100);
}

// The walks that are drawn as dots are where the closed form says, within 4 standard errors of 4000.
static void walks_are_around_the_closed_form(void** state) {
  (void)state;
  assert_int_equal(shell("dpc diffuse schedules -o one.csv"), 0);
  const int count = read_csv();
  int found = 0;
  double product = 1, level[1001] = {1};
  for (int t = 1; t <= 1000; ++t) level[t] = product *= 1 - (1e-4 + (0.02 - 1e-4) * (t - 1) / 999);
  for (int i = 0; i < count; ++i) {
    if (strncmp(rows[i].series, "linear", 6) != 0) continue;
    const double kept = level[(int)rows[i].x], variance = 1 - kept;
    const bool walked = strstr(rows[i].series, "simulated") != NULL;
    if (strstr(rows[i].panel, "mean") != NULL) {
      assert_near(rows[i].y, sqrt(kept), walked ? 4 * sqrt(variance / 4000) : 1e-6);
    } else {
      assert_near(rows[i].y, variance, walked ? 4 * variance * sqrt(2.0 / 4000) : 1e-6);
    }
    found += walked;
  }
  assert_int_equal(found, 2 * 16);
}

// A schedule of one's own is drawn with the others.
static void a_given_schedule_is_drawn(void** state) {
  (void)state;
  assert_int_equal(shell("dpc diffuse schedules --schedule flow -o one.csv"), 0);
  const int count = read_csv();
  int found = 0;
  for (int i = 0; i < count; ++i) {
    if (strcmp(rows[i].series, "the schedule given") != 0) continue;
    const bool is_mean = strstr(rows[i].panel, "mean") != NULL;
    const double noise = rows[i].x / 100;
    assert_near(rows[i].y, is_mean ? 1 - noise : noise * noise, 1e-6);
    ++found;
  }
  assert_true(found > 100);
  for (int f = 0; f < 5; ++f) {
    assert_int_equal(shell("dpc diffuse %s --schedule flow -o one.svg", figures[f]), 0);
  }
}

static void a_picture_begins_as_it_is_and_ends_as_noise(void** state) {
  (void)state;
  enum { SIZE = 48 };
  static uint32_t pixels[SIZE * SIZE];
  char path[256];
  const dpc_render_frame frame = {.state = {300, 100, 200, 250, 1}, .time_s = -1};
  (void)snprintf(path, sizeof path, "%s/world.png", base);
  assert_ok(dpc_render_pixels(&frame, SIZE, pixels, &error), &error);
  assert_ok(dpc_render_png(&frame, SIZE, path, &error), &error);
  assert_int_equal(shell("dpc diffuse image --image world.png -o one.csv"), 0);
  const int count = read_csv();
  double sum = 0;
  int last = 0;
  assert_int_equal(count, 11 * SIZE * SIZE);
  for (int i = 0; i < count; ++i) {
    const uint32_t p = pixels[i % (SIZE * SIZE)];
    const double grey = 0.299 * (p >> 16 & 255) + 0.587 * (p >> 8 & 255) + 0.114 * (p & 255);
    if (strcmp(rows[i].panel, "t = 0") == 0) assert_near(rows[i].y, grey, 0.01);
    if (strcmp(rows[i].panel, "t = 1000") != 0) continue;
    sum += rows[i].y;
    ++last;
  }
  assert_int_equal(last, SIZE * SIZE);
  assert_near(sum / last, 127.5, 8);
}

/// A log of a robot that is no push world: one episode of 20 steps, three actions that count up.
static void write_log(void) {
  char dir[256];
  dpc_interface interface = {.period_ns = 50000000};
  (void)snprintf(dir, sizeof dir, "%s/arm", base);
  dpc_layout_add(&interface.obs, "joint", 3, "rad", NULL);
  dpc_layout_add(&interface.action, "target", 3, "rad", "joint");
  const dpc_episode_writer_def def = {.dir = dir, .interface = &interface};
  dpc_episode_writer* writer = NULL;
  assert_ok(dpc_episode_writer_open(&def, &writer, &error), &error);
  for (int t = 0; t < 20; ++t) {
    const float action[3] = {(float)t, 10.0f + 2 * (float)t, 5.0f};
    assert_ok(dpc_episode_writer_append(writer, action, action, 0, t == 19, &error), &error);
  }
  assert_ok(dpc_episode_writer_close(writer, NULL, &error), &error);
}

// Over time instead of over the push world, normalised by the whole log: the steps 4 to 19 of 0 to 19.
static void chunks_of_any_robot_are_drawn(void** state) {
  (void)state;
  write_log();
  assert_int_equal(shell("dpc diffuse chunk --log arm --row 4 -o one.svg"), 0);
  assert_int_equal(shell("dpc diffuse chunk --log arm --row 4 -o one.csv"), 0);
  const int count = read_csv();
  int found = 0;
  for (int i = 0; i < count; ++i) {
    if (strcmp(rows[i].panel, "t = 0") != 0) continue;
    const double expected = (rows[i].x + 4) / 19 * 2 - 1;
    assert_near(rows[i].y, strcmp(rows[i].series, "value 2") == 0 ? 0 : expected, 1e-5);
    ++found;
  }
  assert_int_equal(found, 3 * 16);
  assert_int_equal(shell("dpc diffuse chunk --log arm --row 5 -o one.csv"), 2);
}

// --- policies --------------------------------------------------------------------------------------

/// What a policy of `path` plans for the push world's episode `seed`, [16 x 2].
static void act(const char* path, const dpc_sampler_def* sampler, uint32_t seed, float* chunk) {
  const size_t mark = dpc_arena_mark(&arena);
  dpc_policy* policy;
  dpc_policy_work* work;
  dpc_push_task* task;
  float seen[DPC_PUSH_OBS_DIM], obs[2 * SMALL_OBS];
  int gather[SMALL_OBS];
  assert_ok(dpc_policy_load(path, &arena, &policy, &error), &error);
  assert_ok(dpc_policy_work_create(policy, sampler, 1, &arena, &work, &error), &error);
  assert_ok(dpc_push_task_create(&task, &error), &error);
  dpc_push_task_reset(task, seed);
  dpc_push_task_observe(task, seen);
  dpc_push_task_destroy(task);
  dpc_layout_gather(&dpc_policy_info(policy)->interface.obs, &dpc_push_task_interface()->obs,
                    gather);
  for (int i = 0; i < 2 * SMALL_OBS; ++i) obs[i] = seen[gather[i % SMALL_OBS]];
  assert_ok(dpc_policy_act(policy, work, obs, (dpc_rng_key){0, seed}, 0, chunk, &error), &error);
  dpc_policy_work_destroy(work);
  dpc_arena_release(&arena, mark);
}

/// The last panel of the figure holds the plan, to the digits of a CSV.
static void check_plan(const char* panel, const float* chunk) {
  const int count = read_csv();
  int found = 0;
  for (int i = 0; i < count; ++i) {
    if (strcmp(rows[i].panel, panel) != 0 || strcmp(rows[i].series, "chunk") != 0) continue;
    assert_near(rows[i].x, (double)chunk[2 * (ptrdiff_t)found], 1e-5 * fabs(rows[i].x));
    assert_near(rows[i].y, (double)chunk[2 * (ptrdiff_t)found + 1], 1e-5 * fabs(rows[i].y));
    ++found;
  }
  assert_int_equal(found, SMALL_HORIZON);
}

// Flow, DDIM and DDPM; looking on while denoising changes nothing.
static void denoising_ends_in_the_policys_plan(void** state) {
  (void)state;
  char path[256];
  float chunk[SMALL_HORIZON * SMALL_ACTION];
  act(DPC_SOURCE_DIR "/policy/pretrained/pusht.safetensors", NULL, 5, chunk);
  assert_int_equal(shell("dpc diffuse denoise --seed 5 -o one.csv -p " DPC_SOURCE_DIR
                         "/policy/pretrained/pusht.safetensors"),
                   0);
  check_plan("after step 10: the plan", chunk);

  (void)snprintf(path, sizeof path, "%s/small.safetensors", base);
  assert_ok(small_policy_save(path, &arena, &error), &error);
  act(path, NULL, 6, chunk);
  assert_int_equal(shell("dpc diffuse denoise --seed 6 -o one.csv -p small.safetensors"), 0);
  check_plan("after step 10: the plan", chunk);

  dpc_sampler_def ddpm = dpc_sampler_def_default();
  ddpm.kind = DPC_SAMPLER_DDPM;
  ddpm.steps = 100;
  act(path, &ddpm, 6, chunk);
  assert_int_equal(shell("dpc diffuse denoise --seed 6 -o one.csv -p small.safetensors "
                         "--sampler ddpm --steps 100"),
                   0);
  check_plan("after step 100: the plan", chunk);
  assert_int_equal(shell("dpc diffuse modes --samples 20 --plan 2 -o one.svg -p small.safetensors"),
                   0);
}

// --- the check of schedules ------------------------------------------------------------------------

static void says(const char* command, int code, const char* words) {
  const int got = shell("%s 2>&1", command);
  if (got != code) fail_msg("%s: exit code %d, not %d: %s", command, got, code, output);
  if (strstr(output, words) == NULL) fail_msg("%s: '%s' does not say '%s'", command, output, words);
}

static void schedules_are_checked(void** state) {
  (void)state;
  says("dpc diffuse --check flow", 0, "mean factor 0 and variance 1, within the tolerance");
  says("dpc diffuse --check squaredcos_cap_v2", 0, "squaredcos_cap_v2, 100 steps");
  says("dpc diffuse --check linear schedule.steps=1000", 0, "mean factor 0.00635");
  says("dpc diffuse --check linear", 1, "take more steps or larger betas");
  says("dpc diffuse --check " DPC_SOURCE_DIR "/policy/pretrained/pusht.safetensors", 0,
       "schedule flow");
  says("dpc diffuse --check " DPC_SOURCE_DIR "/configs/train_pusht.yaml", 0, "schedule flow");
  says("dpc diffuse --check linear --json -", 1, "\"unit_gaussian\": false");
  says("dpc diffuse --check linear schedule.beta_end=2", 2, "schedule.beta_end");
  says("dpc diffuse --check missing.yaml", 1, "missing.yaml");
}

static void training_warns_in_the_same_words(void** state) {
  (void)state;
#ifdef __SANITIZE_ADDRESS__
  skip();  // it takes many seconds to shadow a trainer's address space
#endif
  assert_int_equal(shell("dpc diffuse --check linear schedule.steps=30"), 1);
  char words[256];
  (void)snprintf(words, sizeof words, "warning: %.*s", (int)strcspn(output, "\n"), output);
  assert_int_equal(
      shell("cd " DPC_SOURCE_DIR " && dpc train configs/train_quick.yaml "
            "schedule.kind=linear schedule.steps=30 schedule.prediction=epsilon "
            "sampler.steps=5 train.steps=1 train.batch=2 train.shard=1 train.output=%s/run 2>&1",
            base),
      0);
  if (strstr(output, words) == NULL) fail_msg("'%s' does not say '%s'", output, words);
}

static void what_cannot_be_drawn_is_said(void** state) {
  (void)state;
  says("dpc diffuse", 2, "FIGURE is missing");
  says("dpc diffuse nothing", 2, "'nothing' is not a figure");
  says("dpc diffuse all", 2, "--out is missing");
  says("dpc diffuse point -o one.jpg", 2, "ends with .svg, .png or .csv");
  says("dpc diffuse point -o missing/one.svg", 1, "missing/one.svg");
  says("dpc diffuse chunk --log missing -o one.svg", 1, "missing");
  says("dpc diffuse image --image missing.png -o one.svg", 1, "missing.png");
  says("echo text > text.png; dpc diffuse image --image text.png -o one.svg", 1,
       "not read as a PNG");
  says("dpc diffuse denoise -p missing -o one.svg", 1, "missing");
  says("cd " DPC_SOURCE_DIR " && dpc diffuse chunk --row 100000 -o /dev/null", 2, "--row 100000");
  says("cd " DPC_SOURCE_DIR " && dpc diffuse chunk --episode 9999 -o /dev/null", 2,
       "--episode 9999");
}

static int setup(void** state) {
  (void)state;
  if (mkdtemp(base) == NULL) return -1;
  return dpc_arena_map(&arena, (size_t)1 << 30, NULL);
}

static int teardown(void** state) {
  (void)state;
  dpc_arena_unmap(&arena);
  return shell("rm -r %s", base);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_figure_is_made_in_every_format),
      cmocka_unit_test(pictures_of_the_page_are_remade_to_the_byte),
      cmocka_unit_test(densities_are_gaussians),
      cmocka_unit_test(walks_are_around_the_closed_form),
      cmocka_unit_test(a_given_schedule_is_drawn),
      cmocka_unit_test(a_picture_begins_as_it_is_and_ends_as_noise),
      cmocka_unit_test(chunks_of_any_robot_are_drawn),
      cmocka_unit_test(denoising_ends_in_the_policys_plan),
      cmocka_unit_test(schedules_are_checked),
      cmocka_unit_test(training_warns_in_the_same_words),
      cmocka_unit_test(what_cannot_be_drawn_is_said),
  };
  return cmocka_run_group_tests(tests, setup, teardown);
}
