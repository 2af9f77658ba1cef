#include <stdio.h>

#include "policy/train/dataset.h"
#include "policy/train/selection.h"
#include "tests/test.h"

enum { EPISODES = 11, OBS = 5, ACTION = 2, ROWS_MAX = 400 };

// A made-up recording: pose(3), state(2) and action(2); every value says episode, step and column.
typedef struct recording {
  int lengths[EPISODES];
  float obs[ROWS_MAX * OBS], action[ROWS_MAX * ACTION];
  dpc_episode_source source;
} recording;

static float value(int episode, int step, int column) {
  return (float)(episode * 1000 + step * 10 + column);
}

static void record(recording* out) {
  memset(out, 0, sizeof *out);
  int row = 0;
  for (int e = 0; e < EPISODES; ++e) {
    out->lengths[e] = 9 + 4 * e;
    for (int step = 0; step < out->lengths[e]; ++step, ++row) {
      for (int c = 0; c < OBS; ++c) out->obs[row * OBS + c] = value(e, step, c);
      for (int c = 0; c < ACTION; ++c) out->action[row * ACTION + c] = value(e, step, 5 + c);
    }
  }
  out->source = (dpc_episode_source){.episode_count = EPISODES,
                                     .lengths = out->lengths,
                                     .obs_dim = OBS,
                                     .action_dim = ACTION,
                                     .obs = out->obs,
                                     .action = out->action,
                                     .sha256 = "abc"};
  out->source.interface.period_ns = 100000000;
  dpc_layout_add(&out->source.interface.obs, "pose", 3, NULL, NULL);
  dpc_layout_add(&out->source.interface.obs, "state", 2, "px", NULL);
  dpc_layout_add(&out->source.interface.action, "action", 2, "px", "state");
}

static void set_list(dpc_text_list* list, const char* first, const char* second) {
  memset(list, 0, sizeof *list);
  if (first != NULL) (void)snprintf(list->values[list->count++], DPC_LIST_TEXT_MAX, "%s", first);
  if (second != NULL) (void)snprintf(list->values[list->count++], DPC_LIST_TEXT_MAX, "%s", second);
}

static dpc_dataset_def def_of(const char* first, const char* second, const char* action) {
  dpc_dataset_def def = dpc_dataset_def_default();
  set_list(&def.obs, first, second);
  set_list(&def.action, action, NULL);
  return def;
}

static int setup(void** state) {
  static dpc_arena arena;
  static char block[8 << 20];
  dpc_arena_init(&arena, block, sizeof block);
  *state = &arena;
  return 0;
}

// The reference's rule, written the other way round: rows are copied first, then padded.
static void reference_window(const dpc_window_def* def, int length, int index, int* rows) {
  const int first = index - (def->n_obs - 1);
  const int begin = first > 0 ? first : 0;
  const int end = first + def->horizon < length ? first + def->horizon : length;
  for (int k = begin; k < end; ++k) rows[k - first] = k;
  for (int k = 0; k < begin - first; ++k) rows[k] = rows[begin - first];
  for (int k = end - first; k < def->horizon; ++k) rows[k] = rows[end - first - 1];
}

// The rows of `count` windows of one episode, against the reference's.
static void check_episode(const dpc_dataset* dataset, const dpc_window* windows, int count) {
  const dpc_window_def* def = &dataset->window;
  const size_t obs_dim = (size_t)dataset->obs_dim;
  float cond[8 * OBS], chunk[64 * ACTION];
  for (int i = 0; i < count; ++i) {
    int rows[64] = {0};
    reference_window(def, windows->end - windows->begin, i, rows);
    dpc_dataset_read(dataset, &windows[i], cond, chunk);
    for (size_t k = 0; k < (size_t)def->horizon; ++k) {
      const size_t row = (size_t)windows->begin + (size_t)rows[k];
      assert_memory_equal(chunk + k * ACTION, dataset->action + row * ACTION,
                          sizeof(float) * ACTION);
    }
    for (size_t k = 0; k < (size_t)def->n_obs; ++k) {
      const size_t row = (size_t)windows->begin + (size_t)rows[k];
      assert_memory_equal(cond + k * obs_dim, dataset->obs + row * obs_dim,
                          sizeof(float) * obs_dim);
    }
  }
}

static void check_windows(const dpc_dataset* dataset, const dpc_window_list* list) {
  const dpc_window_def* def = &dataset->window;
  int at = 0;
  while (at < list->count) {
    const int length = list->windows[at].end - list->windows[at].begin;
    const int count = length - def->horizon + def->n_obs + def->n_actions - 1;
    check_episode(dataset, &list->windows[at], count);
    at += count;
  }
  assert_int_equal(at, list->count);
}

static void windows_are_the_references(void** state) {
  static recording rec;
  record(&rec);
  dpc_error error = {""};
  const dpc_window_def shapes[] = {{16, 2, 8},  {16, 1, 8}, {8, 2, 1}, {4, 4, 1},
                                   {24, 3, 16}, {1, 1, 1},  {2, 1, 2}, {40, 2, 39}};
  for (int i = 0; i < DPC_COUNT(shapes); ++i) {
    const size_t mark = dpc_arena_mark(*state);
    dpc_dataset* dataset = NULL;
    const dpc_dataset_def def = def_of("pose", "state", "action");
    assert_ok(dpc_dataset_create(&def, &shapes[i], &rec.source, *state, &dataset, &error), &error);
    int expected = 0;
    for (int e = 0; e < EPISODES; ++e) {
      const int count =
          rec.lengths[e] - shapes[i].horizon + shapes[i].n_obs + shapes[i].n_actions - 1;
      expected += count > 0 ? count : 0;
    }
    assert_int_equal(dataset->train.count + dataset->validation.count, expected);
    check_windows(dataset, &dataset->train);
    check_windows(dataset, &dataset->validation);
    dpc_arena_release(*state, mark);
  }
}

static void validation_takes_whole_episodes(void** state) {
  static recording rec;
  record(&rec);
  dpc_error error = {""};
  const dpc_window_def window = {8, 2, 4};
  const struct {
    double ratio;
    int limit, train, validation;
  } cases[] = {{0, 0, 11, 0}, {0.02, 0, 10, 1}, {0.3, 0, 8, 3}, {0.9, 0, 1, 10}, {0.3, 5, 5, 3}};
  for (int i = 0; i < DPC_COUNT(cases); ++i) {
    const size_t mark = dpc_arena_mark(*state);
    dpc_dataset_def def = def_of("pose", NULL, "action");
    def.val_ratio = cases[i].ratio;
    def.max_train_episodes = cases[i].limit;
    dpc_dataset* dataset = NULL;
    assert_ok(dpc_dataset_create(&def, &window, &rec.source, *state, &dataset, &error), &error);
    assert_int_equal(dataset->train_episodes, cases[i].train);
    assert_int_equal(dataset->val_episodes, cases[i].validation);
    for (int k = 0; k < dataset->train.count; ++k) {
      assert_true(dataset->train.windows[k].end <= dataset->train_rows);
    }
    for (int k = 0; k < dataset->validation.count; ++k) {
      assert_true(dataset->validation.windows[k].begin >= dataset->train_rows);
    }
    dpc_arena_release(*state, mark);
  }
}

static void training_rows_span_the_unit_range(void** state) {
  static recording rec;
  record(&rec);
  dpc_error error = {""};
  const dpc_window_def window = {8, 2, 4};
  const dpc_dataset_def def = def_of("state[1:2] as y", "pose[0:2]", "action");
  dpc_dataset* dataset = NULL;
  assert_ok(dpc_dataset_create(&def, &window, &rec.source, *state, &dataset, &error), &error);
  assert_int_equal(dataset->obs_dim, 3);
  for (int c = 0; c < dataset->obs_dim; ++c) {
    float low = 2, high = -2;
    for (int row = 0; row < dataset->train_rows; ++row) {
      low = fminf(low, dataset->obs[row * dataset->obs_dim + c]);
      high = fmaxf(high, dataset->obs[row * dataset->obs_dim + c]);
    }
    assert_near(low, -1, 1e-6);
    assert_near(high, 1, 1e-6);
  }
  // back in physical units the selected columns are the recorded ones: 4 (y), 0, 1
  float row[3];
  dpc_normalizer_invert(&dataset->obs_normalizer, dataset->obs, 1, row);
  assert_near(row[0] - row[1], 4, 1e-2);
  assert_near(row[2] - row[1], 1, 1e-2);
}

static void a_selection_renames_cuts_and_adds_units(void** unused) {
  (void)unused;
  static recording rec;
  record(&rec);
  dpc_error error = {""};
  dpc_text_list list;
  dpc_selection selection;
  set_list(&list, "pose[1:3] as tip in m", "state");
  assert_ok(dpc_selection_make("dataset.obs", &list, &rec.source.interface.obs, &selection, &error),
            &error);
  assert_int_equal(selection.layout.count, 2);
  assert_string_equal(selection.layout.signals[0].name, "tip");
  assert_string_equal(selection.layout.signals[0].unit, "m");
  assert_int_equal(selection.layout.signals[0].dim, 2);
  assert_string_equal(selection.layout.signals[1].unit, "px");
  float row[4];
  dpc_selection_apply(&selection, rec.obs, row);
  assert_near(row[0], value(0, 0, 1), 0);
  assert_near(row[1], value(0, 0, 2), 0);
  assert_near(row[2], value(0, 0, 3), 0);
  assert_near(row[3], value(0, 0, 4), 0);
}

static void bad_selections_are_refused_by_name(void** unused) {
  (void)unused;
  static recording rec;
  record(&rec);
  const struct {
    const char* entry;
    dpc_status status;
    const char* words;
  } cases[] = {
      {"keypoint", DPC_ERR_NOT_FOUND, "there is pose(3), state(2)"},
      {"pose[0:4]", DPC_ERR_CONFIG, "has 3 elements"},
      {"pose[2:2]", DPC_ERR_CONFIG, "has 3 elements"},
      {"state in rad", DPC_ERR_MISMATCH, "was recorded in px, not in rad"},
      {"pose[0:", DPC_ERR_CONFIG, "cannot read"},
      {"pose[a:b]", DPC_ERR_CONFIG, "cannot read"},
      {"pose as", DPC_ERR_CONFIG, "cannot read"},
      {"pose in px as q", DPC_ERR_CONFIG, "cannot read"},
      {"pose rotated", DPC_ERR_CONFIG, "cannot read"},
      {"pose in a_unit_with_a_long_name", DPC_ERR_CONFIG, "cannot read"},
      {"[0:2]", DPC_ERR_CONFIG, "cannot read"},
  };
  for (int i = 0; i < DPC_COUNT(cases); ++i) {
    dpc_error error = {""};
    dpc_text_list list;
    dpc_selection selection;
    set_list(&list, cases[i].entry, NULL);
    assert_fails(
        dpc_selection_make("dataset.obs", &list, &rec.source.interface.obs, &selection, &error),
        cases[i].status, &error, cases[i].words);
    assert_non_null(strstr(error.text, "dataset.obs"));
  }
}

static void actions_track_what_is_observed(void** state) {
  static recording rec;
  record(&rec);
  const dpc_window_def window = {8, 2, 4};
  const struct {
    const char *obs, *action, *tracks;
  } cases[] = {
      {"state", "action", "state"},                        // as recorded
      {"pose", "action", ""},                              // not observed: forgotten
      {"state as agent", "action tracks agent", "agent"},  // stated
      {"state[0:1]", "action", ""},                        // observed in part
      {"state[0:1]", "action[0:1] as x tracks state", "state"},
  };
  for (int i = 0; i < DPC_COUNT(cases); ++i) {
    const size_t mark = dpc_arena_mark(*state);
    dpc_error error = {""};
    const dpc_dataset_def def = def_of(cases[i].obs, NULL, cases[i].action);
    dpc_dataset* dataset = NULL;
    assert_ok(dpc_dataset_create(&def, &window, &rec.source, *state, &dataset, &error), &error);
    assert_string_equal(dataset->interface.action.signals[0].tracks, cases[i].tracks);
    dpc_arena_release(*state, mark);
  }
  dpc_error error = {""};
  const dpc_dataset_def def = def_of("pose", NULL, "action tracks state");
  dpc_dataset* dataset = NULL;
  assert_fails(dpc_dataset_create(&def, &window, &rec.source, *state, &dataset, &error),
               DPC_ERR_CONFIG, &error, "state");
}

static void bad_recordings_are_refused(void** state) {
  static recording rec;
  dpc_error error = {""};
  dpc_dataset* dataset = NULL;
  const dpc_window_def window = {16, 2, 8};
  const dpc_dataset_def def = def_of("pose", "state", "action");

  record(&rec);
  rec.obs[(size_t)13 * OBS + 1] = NAN;  // episode 1 begins at row 9
  assert_fails(dpc_dataset_create(&def, &window, &rec.source, *state, &dataset, &error),
               DPC_ERR_INVALID, &error, "episode 1, step 4: observation value 1 is not finite");
  record(&rec);
  rec.action[(size_t)9 * ACTION] = INFINITY;
  assert_fails(dpc_dataset_create(&def, &window, &rec.source, *state, &dataset, &error),
               DPC_ERR_INVALID, &error, "episode 1, step 0: action value 0 is not finite");
  record(&rec);
  const dpc_window_def long_window = {200, 1, 1};
  assert_fails(dpc_dataset_create(&def, &long_window, &rec.source, *state, &dataset, &error),
               DPC_ERR_INVALID, &error, "no training episode is long enough");
  rec.source.episode_count = 0;
  assert_fails(dpc_dataset_create(&def, &window, &rec.source, *state, &dataset, &error),
               DPC_ERR_INVALID, &error, "no episodes");
  record(&rec);
  dpc_arena small;
  char block[1024];
  dpc_arena_init(&small, block, sizeof block);
  assert_fails(dpc_dataset_create(&def, &window, &rec.source, &small, &dataset, &error),
               DPC_ERR_NO_MEMORY, &error, "");
  assert_null(dataset);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup(windows_are_the_references, setup),
      cmocka_unit_test_setup(validation_takes_whole_episodes, setup),
      cmocka_unit_test_setup(training_rows_span_the_unit_range, setup),
      cmocka_unit_test(a_selection_renames_cuts_and_adds_units),
      cmocka_unit_test(bad_selections_are_refused_by_name),
      cmocka_unit_test_setup(actions_track_what_is_observed, setup),
      cmocka_unit_test_setup(bad_recordings_are_refused, setup),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
