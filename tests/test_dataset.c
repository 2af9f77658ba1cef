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

// A window of `list`, against the reference's rows as they lie in the recording.
static void check_window(const dpc_dataset* dataset, const dpc_window* window, int index) {
  const dpc_window_def* def = &dataset->window;
  const dpc_dataset_episode* episode = window->episode;
  float cond[8 * OBS], chunk[64 * ACTION], row[OBS];
  int rows[64] = {0};
  reference_window(def, episode->rows, index, rows);
  dpc_dataset_read(dataset, window, cond, chunk);
  for (int k = 0; k < def->horizon; ++k) {
    const int64_t at = episode->first_row + rows[k];
    dpc_normalizer_apply(&dataset->action_normalizer, dataset->recorded_action + at * ACTION, 1,
                         row);
    assert_memory_equal(chunk + (ptrdiff_t)k * ACTION, row, sizeof(float) * ACTION);
  }
  for (int k = 0; k < def->n_obs; ++k) {
    const int64_t at = episode->first_row + rows[k];
    dpc_normalizer_apply(&dataset->obs_normalizer, dataset->recorded_obs + at * OBS, 1, row);
    assert_memory_equal(cond + (ptrdiff_t)k * OBS, row, sizeof(float) * OBS);
  }
}

static void check_windows(const dpc_dataset* dataset, const dpc_window_list* list) {
  const dpc_window_def* def = &dataset->window;
  int at = 0;
  for (int e = 0; e < list->episode_count; ++e) {
    const int length = list->episodes[e].rows;
    const int count = length - def->horizon + def->n_obs + def->n_actions - 1;
    for (int i = 0; i < count; ++i) {
      const dpc_window window = dpc_dataset_window(dataset, list, at++);
      assert_ptr_equal(window.episode, &list->episodes[e]);
      check_window(dataset, &window, i);
    }
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
    assert_int_equal(dataset->train.episode_count, cases[i].train);
    assert_int_equal(dataset->validation.episode_count, cases[i].validation);
    bool seen[EPISODES] = {false};
    for (int k = 0; k < cases[i].train + cases[i].validation; ++k) {
      const int number = k < cases[i].train
                             ? dataset->train.episodes[k].number
                             : dataset->validation.episodes[k - cases[i].train].number;
      assert_false(seen[number]);
      seen[number] = true;
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
  float low[3] = {2, 2, 2}, high[3] = {-2, -2, -2}, cond[2 * 3], chunk[8 * ACTION];
  for (int w = 0; w < dataset->train.count; ++w) {
    const dpc_window at = dpc_dataset_window(dataset, &dataset->train, w);
    dpc_dataset_read(dataset, &at, cond, chunk);
    for (int c = 0; c < 3; ++c) {
      low[c] = fminf(low[c], cond[c]);
      high[c] = fmaxf(high[c], fmaxf(cond[c], cond[3 + c]));
    }
  }
  for (int c = 0; c < 3; ++c) {
    assert_near(low[c], -1, 1e-6);
    assert_true(high[c] <= 1.000001f && high[c] > 0.9f);  // the last rows condition nothing
  }
  // in physical units the selected columns are the recorded ones: 4 (y), 0, 1
  float obs[3], action[ACTION];
  dpc_dataset_read_row(dataset, &dataset->train.episodes[0], 0, obs, action);
  assert_near(obs[0] - obs[1], 4, 1e-2);
  assert_near(obs[2] - obs[1], 1, 1e-2);
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

// --- groups ---------------------------------------------------------------------------------------

// Which side each episode is on: 1 training, 2 validation, 0 neither.
static void sides_of(const dpc_dataset* dataset, int sides[EPISODES]) {
  memset(sides, 0, sizeof(int) * EPISODES);
  for (int i = 0; i < dataset->train.episode_count; ++i) {
    sides[dataset->train.episodes[i].number] = 1;
  }
  for (int i = 0; i < dataset->validation.episode_count; ++i) {
    sides[dataset->validation.episodes[i].number] = 2;
  }
}

static void a_group_is_on_one_side(void** state) {
  static recording rec;
  record(&rec);
  static const int groups[EPISODES] = {0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 17};
  rec.source.groups = groups;
  dpc_error error = {""};
  const dpc_window_def window = {8, 2, 4};
  int held_somewhere = 0;
  for (uint64_t seed = 0; seed < 40; ++seed) {
    const size_t mark = dpc_arena_mark(*state);
    dpc_dataset_def def = def_of("pose", NULL, "action");
    def.val_ratio = 0.3;
    def.seed = seed;
    dpc_dataset* dataset = NULL;
    assert_ok(dpc_dataset_create(&def, &window, &rec.source, *state, &dataset, &error), &error);
    int sides[EPISODES];
    sides_of(dataset, sides);
    for (int i = 0; i < EPISODES; ++i) {
      assert_true(sides[i] != 0);
      for (int k = 0; k < i; ++k) assert_true(groups[i] != groups[k] || sides[i] == sides[k]);
    }
    // three are wanted: two pairs, or a pair and the one without an image
    const int held = dataset->validation.episode_count;
    assert_true(held == 4 || held == 3);
    held_somewhere |= 1 << (sides[0] == 2);
    dpc_arena_release(*state, mark);
  }
  assert_int_equal(held_somewhere, 3);  // drawn anew by every seed
}

static void without_groups_the_split_is_as_ever(void** state) {
  static recording rec;
  dpc_error error = {""};
  const dpc_window_def window = {8, 2, 4};
  static const int own[EPISODES] = {5, -3, 2, 9, 11, 4, 7, 1, 0, 100, 6};
  for (int k = 0; k < 2; ++k) {
    static int sides[2][EPISODES];
    record(&rec);
    rec.source.groups = k == 0 ? NULL : own;
    dpc_dataset_def def = def_of("pose", NULL, "action");
    def.val_ratio = 0.3;
    dpc_dataset* dataset = NULL;
    assert_ok(dpc_dataset_create(&def, &window, &rec.source, *state, &dataset, &error), &error);
    sides_of(dataset, sides[k]);
    if (k == 1) assert_memory_equal(sides[0], sides[1], sizeof sides[0]);
  }
}

static void one_group_is_learned_from(void** state) {
  static recording rec;
  record(&rec);
  static const int groups[EPISODES] = {0};
  rec.source.groups = groups;
  dpc_error error = {""};
  const dpc_window_def window = {8, 2, 4};
  const dpc_dataset_def def = def_of("pose", NULL, "action");
  dpc_dataset* dataset = NULL;
  assert_ok(dpc_dataset_create(&def, &window, &rec.source, *state, &dataset, &error), &error);
  assert_int_equal(dataset->train.episode_count, EPISODES);
  assert_int_equal(dataset->validation.episode_count, 0);
}

// --- scale, relative ------------------------------------------------------------------------------

static void check_gaussian(const dpc_dataset* dataset, int column) {
  double mean = 0, squares = 0;
  int rows = 0;
  for (int e = 0; e < dataset->train.episode_count; ++e) {
    for (int row = 0; row < dataset->train.episodes[e].rows; ++row, ++rows) {
      float obs[OBS], action[ACTION];
      dpc_dataset_read_row(dataset, &dataset->train.episodes[e], row, obs, action);
      dpc_normalizer_apply(&dataset->obs_normalizer, obs, 1, obs);
      mean += (double)obs[column];
      squares += (double)obs[column] * (double)obs[column];
    }
  }
  assert_near(mean / rows, 0, 1e-4);
  assert_near(squares / (rows - 1), 1, 1e-3);
}

static void each_signal_is_scaled_as_it_says(void** state) {
  static recording rec;
  record(&rec);
  dpc_error error = {""};
  const dpc_window_def window = {8, 2, 4};
  dpc_dataset_def def = def_of("pose scale gaussian", "state scale -100:300", "action scale none");
  def.val_ratio = 0;
  dpc_dataset* dataset = NULL;
  assert_ok(dpc_dataset_create(&def, &window, &rec.source, *state, &dataset, &error), &error);
  check_gaussian(dataset, 1);
  for (int c = 3; c < 5; ++c) {
    assert_near(dataset->obs_normalizer.scale[c], 2.0 / 400, 1e-8);
    assert_near(dataset->obs_normalizer.offset[c], -0.5, 1e-6);
  }
  for (int c = 0; c < ACTION; ++c) {
    assert_near(dataset->action_normalizer.scale[c], 1, 0);
    assert_near(dataset->action_normalizer.offset[c], 0, 0);
  }
  assert_near(dataset->action_reach, value(10, 48, 6), 0.01);
}

// value() grows by 10 a step and an action is 2 more than the state's column, so a relative action is
// 2 + 10 * (rows after the newest observation), but where rows repeat at an episode's ends.
static void relative_actions_are_differences_to_the_newest_observation(void** state) {
  static recording rec;
  record(&rec);
  dpc_error error = {""};
  const dpc_window_def window = {8, 3, 4};
  const dpc_dataset_def def = def_of("pose", "state", "action relative");
  dpc_dataset* dataset = NULL;
  assert_ok(dpc_dataset_create(&def, &window, &rec.source, *state, &dataset, &error), &error);
  assert_int_equal(dataset->relative.count, 1);
  double least = INFINITY, most = -INFINITY;
  for (int w = 0; w < dataset->train.count; ++w) {
    const dpc_window at = dpc_dataset_window(dataset, &dataset->train, w);
    float cond[3 * OBS], chunk[8 * ACTION], normalised[8 * ACTION];
    dpc_dataset_read_physical(dataset, &at, cond, chunk);
    for (int k = 0; k < 8; ++k) {
      const int row = at.first + k < 0 ? 0 : at.first + k;
      const int last = at.episode->rows - 1, now = at.first + 2;
      const int expected = 2 + 10 * ((row < last ? row : last) - (now < last ? now : last));
      for (int c = 0; c < ACTION; ++c) assert_near(chunk[k * ACTION + c], expected, 0);
      least = fmin(least, expected);
      most = fmax(most, expected);
    }
    // in and out again, from the observation that the policy will have
    dpc_dataset_read(dataset, &at, cond, normalised);
    dpc_normalizer_invert(&dataset->action_normalizer, normalised, 8, normalised);
    for (int i = 0; i < 8 * ACTION; ++i) assert_near(normalised[i], chunk[i], 1e-4);
  }
  // fitted to the differences
  assert_near(dataset->action_normalizer.scale[0], 2 / (most - least), 1e-7);
  assert_near(dataset->action_reach, 1, 1e-6);
}

static void what_cannot_be_relative_or_scaled_is_refused(void** state) {
  static recording rec;
  record(&rec);
  const dpc_window_def window = {8, 2, 4};
  const struct {
    const char *obs, *action, *words;
  } cases[] = {
      {"state relative", "action", "dataset.obs: 'state': only actions can be relative"},
      {"pose", "action relative", "dataset.action: action 'action' is relative, but"},
      {"state scale 3", "action", "cannot read 'state scale 3'"},
      {"state scale 1:1", "action", "cannot read"},
      {"state scale 2:1", "action", "cannot read"},
      {"state scale nan:1", "action", "cannot read"},
      {"state scale", "action", "cannot read"},
      {"state relatively", "action", "cannot read"},
      {"state", "action scale limits relative", "cannot read"},
  };
  for (int i = 0; i < DPC_COUNT(cases); ++i) {
    dpc_error error = {""};
    const dpc_dataset_def def = def_of(cases[i].obs, NULL, cases[i].action);
    dpc_dataset* dataset = NULL;
    assert_fails(dpc_dataset_create(&def, &window, &rec.source, *state, &dataset, &error),
                 DPC_ERR_CONFIG, &error, cases[i].words);
  }
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
      cmocka_unit_test_setup(a_group_is_on_one_side, setup),
      cmocka_unit_test_setup(without_groups_the_split_is_as_ever, setup),
      cmocka_unit_test_setup(one_group_is_learned_from, setup),
      cmocka_unit_test_setup(each_signal_is_scaled_as_it_says, setup),
      cmocka_unit_test_setup(relative_actions_are_differences_to_the_newest_observation, setup),
      cmocka_unit_test_setup(what_cannot_be_relative_or_scaled_is_refused, setup),
      cmocka_unit_test_setup(bad_recordings_are_refused, setup),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
