// Rates: which recorded row a row of the policy is, and what is between two of them.

#include "policy/train/dataset.h"
#include "policy/train/resample.h"
#include "tests/test.h"

static const int64_t SECOND = 1000000000;

static int64_t period_of(double rate) {
  return llround(1e9 / rate);
}

// An hour of rows, at rates whose periods are whole nanoseconds and at others: row k is at k / wanted
// seconds, so it is row k * recorded / wanted, with no drift.
static void rows_are_where_their_time_is(void** state) {
  (void)state;
  static const int rates[][2] = {{10, 10},   {50, 10},  {30, 10},  {60, 10},  {20, 10}, {10, 20},
                                 {30, 20},   {10, 15},  {30, 50},  {500, 30}, {24, 25}, {25, 24},
                                 {1000, 60}, {7, 1000}, {1000, 7}, {15, 10},  {50, 15}, {100, 30}};
  dpc_error error = {""};
  for (int i = 0; i < DPC_COUNT(rates); ++i) {
    const int64_t recorded = rates[i][0], wanted = rates[i][1];
    dpc_resampling r;
    assert_ok(
        dpc_resampling_make(period_of((double)recorded), period_of((double)wanted), &r, &error),
        &error);
    for (int64_t k = 0; k < 3600 * wanted; k += 1 + k / 50) {
      const dpc_resampling_place place = dpc_resampling_at(&r, (int)k);
      assert_int_equal(place.row, k * recorded / wanted);
      assert_near(place.fraction, (double)(k * recorded % wanted) / (double)wanted, 1e-12);
    }
    // the last row is the last one inside the episode
    for (int length = 1; length < 100; ++length) {
      const int rows = dpc_resampling_rows(&r, length);
      assert_int_equal(rows, (length - 1) * wanted / recorded + 1);
      const dpc_resampling_place last = dpc_resampling_at(&r, rows - 1);
      assert_true(last.row < length - 1 || (last.row == length - 1 && last.fraction == 0));
    }
  }
}

static void odd_periods_have_a_place_too(void** state) {
  (void)state;
  dpc_error error = {""};
  for (int64_t recorded = 1234567; recorded < SECOND; recorded += recorded / 3) {
    for (int64_t wanted = recorded / 900; wanted < recorded * 900; wanted += wanted / 2 + 1) {
      dpc_resampling r;
      assert_ok(dpc_resampling_make(recorded, wanted, &r, &error), &error);
      const double ratio = (double)wanted / (double)recorded;
      assert_near((double)r.numerator / (double)r.denominator / ratio, 1,
                  0.5 / (double)recorded + 0.5 / (double)wanted + 1e-8);
    }
  }
  dpc_resampling r;
  assert_fails(dpc_resampling_make(SECOND, 1000, &r, &error), DPC_ERR_CONFIG, &error, "factor");
  assert_fails(dpc_resampling_make(1000, SECOND, &r, &error), DPC_ERR_CONFIG, &error, "factor");
}

// From an angle by less than half a turn, however the turns are counted at the other end.
static void check_way(double from, double way, int turns) {
  const double turn = 2 * M_PI;
  const float to = (float)(from + way + turns * turn);
  for (int i = 0; i < 10; ++i) {
    const double got = (double)dpc_resampling_between((float)from, to, i / 10.0, turn);
    assert_near(remainder(got - from - i / 10.0 * way, turn), 0, 2e-6);
  }
}

static void angles_go_the_shorter_way(void** state) {
  (void)state;
  assert_near(dpc_resampling_between(1, 3, 0.25, 0), 1.5, 1e-7);
  assert_near(dpc_resampling_between(350, 10, 0.25, 360), 355, 1e-4);
  assert_near(dpc_resampling_between(350, 10, 0.75, 360), 5, 1e-4);
  assert_near(dpc_resampling_between(10, 350, 0.25, 360), 5, 1e-4);
  for (int from = -20; from <= 20; ++from) {
    for (int way = -18; way <= 18; ++way) {
      for (int turns = -2; turns <= 2; ++turns) check_way(from * 0.35, way * 0.17, turns);
    }
  }
}

// --- a recording of known signals ---------------------------------------------------------------

enum { ROWS = 301, OBS = 4, ACTION = 1 };  // 10 s at 30 Hz

// A ramp, an angle that turns once a second and is kept in one turn, a counter that is to hold, a
// quadratic; and a command that changes with every row.
static void record(float* obs, float* action) {
  for (int k = 0; k < ROWS; ++k) {
    const double time = k / 30.0;
    *obs++ = (float)(5 - 2 * time);
    *obs++ = (float)remainder(2 * M_PI * time, 2 * M_PI);
    *obs++ = (float)k;
    *obs++ = (float)(time * time);
    *action++ = (float)k;
  }
}

static void check_rate(double rate, dpc_arena* arena) {
  static float obs[ROWS * OBS], action[ROWS];
  static const int length = ROWS;
  dpc_error error = {""};
  record(obs, action);
  dpc_episode_source source = {.episode_count = 1,
                               .lengths = &length,
                               .obs_dim = OBS,
                               .action_dim = ACTION,
                               .obs = obs,
                               .action = action};
  source.interface.period_ns = period_of(30);
  dpc_layout_add(&source.interface.obs, "ramp", 1, "m", NULL);
  dpc_layout_add(&source.interface.obs, "angle", 1, "rad", NULL);
  dpc_layout_add(&source.interface.obs, "count", 1, NULL, NULL);
  dpc_layout_add(&source.interface.obs, "square", 1, NULL, NULL);
  dpc_layout_add(&source.interface.action, "command", 1, NULL, NULL);
  dpc_dataset_def def = dpc_dataset_def_default();
  def.obs = (dpc_text_list){4, {"ramp", "angle", "count hold", "square"}};
  def.action = (dpc_text_list){1, {"command"}};
  def.rate = rate;
  dpc_dataset* dataset = NULL;
  assert_ok(dpc_dataset_create(&def, &(dpc_window_def){8, 2, 4}, &source, arena, &dataset, &error),
            &error);
  assert_int_equal(dataset->interface.period_ns, period_of(rate));
  const dpc_dataset_episode* episode = &dataset->train.episodes[0];
  assert_int_equal(episode->rows, (int)floor(10 * rate + 1e-9) + 1);
  for (int k = 0; k < episode->rows; ++k) {
    const double time = k / rate, place = floor(time * 30 + 1e-6), part = time * 30 - place;
    float row[OBS], command;
    dpc_dataset_read_row(dataset, episode, k, row, &command);
    assert_near(row[0], 5 - 2 * time, 2e-6);
    assert_near(remainder((double)row[1] - 2 * M_PI * time, 2 * M_PI), 0, 2e-5);
    assert_near(row[2], place, 0);
    // between two points of a parabola the line is above it by part * (1 - part) * step^2
    assert_near(row[3], time * time + part * (1 - part) / 900, 1e-5);
    assert_near(command, place, 0);
  }
}

static void signals_keep_their_shape_at_every_rate(void** state) {
  static const double rates[] = {30, 10, 15, 20, 7, 12.5, 29.97, 50, 60, 1, 100, 3.3};
  for (int i = 0; i < DPC_COUNT(rates); ++i) {
    const size_t mark = dpc_arena_mark(*state);
    check_rate(rates[i], *state);
    dpc_arena_release(*state, mark);
  }
}

static int setup(void** state) {
  static dpc_arena arena;
  static char block[1 << 20];
  dpc_arena_init(&arena, block, sizeof block);
  *state = &arena;
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(rows_are_where_their_time_is),
      cmocka_unit_test(odd_periods_have_a_place_too),
      cmocka_unit_test(angles_go_the_shorter_way),
      cmocka_unit_test_setup(signals_keep_their_shape_at_every_rate, setup),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
