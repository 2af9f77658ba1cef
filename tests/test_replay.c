// dpc-replay, as people run it: recordings of the push world play back to where they were recorded,
// and what does not, or is something else, is said.

#include <stdio.h>
#include <unistd.h>

#include "policy/rng.h"
#include "proto/episode_log.h"
#include "sim/push_block.h"
#include "sim/push_task.h"
#include "tests/shell.h"
#include "tests/test.h"
#include "tools/json.h"

enum { COMMAND_SIZE = 2048, STEPS = 80, BLOCK = 20 };

#define PUSHT DPC_SHARED_DIR "/data/pusht/pusht_cchi_v7_replay.zarr"

static dpc_error error;

/// What dpc-replay says about a folder; `worst`, out, [episodes].
static int replay(const char* dir, int64_t* close, int64_t* near, double* worst, int worst_max) {
  dpc_json* report = NULL;
  int64_t episodes = -1;
  const int code = shell("%s/dpc-replay -q --world %s --json - 2>messages", DPC_BINARY_DIR, dir);
  assert_ok(dpc_json_parse(output, strlen(output), "report", &report, &error), &error);
  assert_true(dpc_json_as_int(dpc_json_get(report, "episodes"), &episodes));
  assert_true(dpc_json_as_int(dpc_json_get(report, "within_0_1px"), close));
  assert_true(dpc_json_as_int(dpc_json_get(report, "within_1px"), near));
  const dpc_json* list = dpc_json_get(report, "max_block_error_px");
  assert_int_equal(dpc_json_count(list), episodes);
  assert_true(episodes <= worst_max);
  for (int i = 0; i < episodes; ++i) {
    assert_true(dpc_json_as_real(dpc_json_at(list, i), &worst[i]));
  }
  dpc_json_free(report);
  return code;
}

static void assert_refused(const char* dir, const char* words) {
  assert_int_equal(shell("%s/dpc-replay -q --world %s 2>&1", DPC_BINARY_DIR, dir), 1);
  if (strstr(output, words) == NULL) fail_msg("'%s' does not say '%s'", output, words);
}

// --- recordings ------------------------------------------------------------------------------------

static dpc_episode_writer* begin(const char* name, int index, const dpc_interface* interface,
                                 uint64_t seed) {
  char dir[256];
  dpc_episode_writer* writer = NULL;
  (void)snprintf(dir, sizeof dir, "%s/%s", base, name);
  const dpc_episode_writer_def def = {
      .dir = dir, .index = index, .interface = interface, .seed = seed};
  assert_ok(dpc_episode_writer_open(&def, &writer, &error), &error);
  return writer;
}

// Rough pushes around the block. From `tampered` on the recorded block is a little beside itself.
static void record(const char* name, int index, dpc_push_task* task, uint64_t seed, int tampered,
                   float shift) {
  float obs[DPC_PUSH_OBS_DIM];
  dpc_episode_writer* writer = begin(name, index, dpc_push_task_interface(), seed);
  for (int t = 0; t < STEPS; ++t) {
    float u[2];
    dpc_push_task_observe(task, obs);
    dpc_rng_uniform((dpc_rng_key){9, (uint32_t)index}, DPC_STREAM_TEST, (uint32_t)t / 8, 0, 2, u);
    const float action[2] = {obs[BLOCK] + 150 * (u[0] - 0.5F),
                             obs[BLOCK + 1] + 150 * (u[1] - 0.5F)};
    assert_ok(dpc_push_task_step(task, action, &error), &error);
    const dpc_push_progress p = dpc_push_task_progress(task);
    if (t >= tampered) obs[BLOCK] += shift;
    assert_ok(dpc_episode_writer_append(writer, obs, action, p.reward, p.done, &error), &error);
  }
  dpc_push_task_observe(task, obs);
  assert_ok(dpc_episode_writer_close(writer, obs, &error), &error);
}

static dpc_push_task* make_task(void) {
  dpc_push_task* task = NULL;
  assert_ok(dpc_push_task_create(&task, &error), &error);
  return task;
}

// Also where the agent starts inside the block and is pushed out.
static void our_own_recordings_replay(void** state) {
  (void)state;
  enum { EPISODES = 120 };
  dpc_push_task* task = make_task();
  for (int i = 0; i < EPISODES; ++i) {
    dpc_push_task_reset(task, 100000 + (uint32_t)i);
    record("ours", i, task, 100000 + (uint64_t)i, STEPS, 0);
  }
  dpc_push_task_destroy(task);
  int64_t close = 0, near = 0;
  double worst[EPISODES];
  assert_int_equal(replay("ours", &close, &near, worst, EPISODES), 0);
  assert_int_equal(close, EPISODES);
  assert_int_equal(near, EPISODES);
  // the recording is rounded to floats, which are up to 6e-5 apart around 512, in x and in y
  for (int i = 0; i < EPISODES; ++i) assert_near(worst[i], 0, 4.4e-5);
}

// Without a seed that tells, the recorded state is where it begins, and the block is not moved by
// placing it: one that is never touched stays where it was recorded.
static void recorded_starts_are_taken_at_their_word(void** state) {
  (void)state;
  enum { EPISODES = 20 };
  dpc_push_task* task = make_task();
  for (int i = 0; i < EPISODES; ++i) {
    const dpc_push_state start = {250, 250, 150 + 10 * (i % 3), 150 + 10 * (i % 5), i};
    float obs[DPC_PUSH_OBS_DIM];
    dpc_push_task_place(task, &start, DPC_PLACE_ANGLE_FIRST);
    dpc_episode_writer* writer = begin("placed", i, dpc_push_task_interface(), UINT64_MAX);
    for (int t = 0; t < 10; ++t) {
      const float action[2] = {400, 400};
      dpc_push_task_observe(task, obs);
      assert_ok(dpc_push_task_step(task, action, &error), &error);
      assert_ok(dpc_episode_writer_append(writer, obs, action, 0, false, &error), &error);
    }
    assert_ok(dpc_episode_writer_close(writer, NULL, &error), &error);
  }
  dpc_push_task_destroy(task);
  int64_t close = 0, near = 0;
  double worst[EPISODES];
  assert_int_equal(replay("placed", &close, &near, worst, EPISODES), 0);
  assert_int_equal(close, EPISODES);
}

static void differences_are_found(void** state) {
  (void)state;
  static const float shifts[] = {0, 0.05F, 0.5F, 5};
  dpc_push_task* task = make_task();
  for (int i = 0; i < DPC_COUNT(shifts); ++i) {
    dpc_push_task_reset(task, 7);
    record("tampered", i, task, 7, STEPS / 2, shifts[i]);
  }
  dpc_push_task_destroy(task);
  int64_t close = 0, near = 0;
  double worst[DPC_COUNT(shifts)];
  assert_int_equal(replay("tampered", &close, &near, worst, DPC_COUNT(shifts)), 1);
  assert_int_equal(close, 2);
  assert_int_equal(near, 3);
  for (int i = 0; i < DPC_COUNT(shifts); ++i) assert_near(worst[i], (double)shifts[i], 1e-3);
}

// --- what is something else ------------------------------------------------------------------------

static void write_one(const char* name, const dpc_interface* interface, const float* obs,
                      const float* action) {
  dpc_episode_writer* writer = begin(name, 0, interface, 0);
  assert_ok(dpc_episode_writer_append(writer, obs, action, 0, true, &error), &error);
  assert_ok(dpc_episode_writer_close(writer, NULL, &error), &error);
}

static void other_data_are_refused(void** state) {
  (void)state;
  const float fine[DPC_PUSH_OBS_DIM] = {0}, far[2] = {0, 3e38F};
  float lost[DPC_PUSH_OBS_DIM] = {0};
  lost[BLOCK] = 1e20F;
  dpc_interface arm = {.period_ns = 100000000};
  dpc_layout_add(&arm.obs, "joints", 7, "rad", "");
  dpc_layout_add(&arm.action, "joints", 7, "rad", "");
  write_one("arm", &arm, fine, fine);
  assert_refused("arm", "episode_000000.mcap: not of the push world");
  dpc_interface slow = *dpc_push_task_interface();
  slow.period_ns = 200000000;
  write_one("slow", &slow, fine, fine);
  assert_refused("slow", "steps of 0.2 s");
  write_one("far", dpc_push_task_interface(), fine, far);
  assert_refused("far", "step 0: an action of 3e+38");
  write_one("lost", dpc_push_task_interface(), lost, fine);
  assert_refused("lost", "block at (1e+20, 0)");
  assert_refused("nothing-here", "nothing-here");
  assert_int_equal(shell("%s/dpc-replay 2>&1", DPC_BINARY_DIR), 2);
}

// --- the public demonstrations ---------------------------------------------------------------------

// Recorded keypoints against those of the recorded state. They were taken a physics step later, when
// a block that the agent overlaps has moved; where it is at rest they agree to the three decimals
// that the points are given with.
static void check_keypoints(const dpc_episode* episode, int* resting) {
  const dpc_layout* layout = &episode->interface.obs;
  const int dim = dpc_layout_dim(layout);
  int state_at = 0, keypoint_at = 0;
  assert_non_null(dpc_layout_find(layout, "state", &state_at));
  assert_non_null(dpc_layout_find(layout, "keypoint", &keypoint_at));
  for (int t = 0; t + 1 < episode->length; ++t) {
    const float* row = episode->obs + (size_t)t * (size_t)dim;
    const float *s = row + state_at, *next = s + dim, *points = row + keypoint_at;
    if (s[2] != next[2] || s[3] != next[3] || s[4] != next[4]) continue;
    const dpc_push_state here = {(double)s[0], (double)s[1], (double)s[2], (double)s[3],
                                 (double)s[4]};
    for (int i = 0; i < DPC_PUSH_KEYPOINTS; ++i) {
      double at[2];
      dpc_push_block_point(&here, dpc_push_keypoints[i][0], dpc_push_keypoints[i][1], at);
      const float* point = &points[(ptrdiff_t)2 * i];
      assert_near((double)point[0], at[0], 1e-3);
      assert_near((double)point[1], at[1], 1e-3);
    }
    ++*resting;
  }
}

static void public_demonstrations_replay(void** state) {
  (void)state;
  enum { EPISODES = 186 };
  if (access(PUSHT, F_OK) != 0) {
    print_message("skipped: optional data beside the repository are not there\n");
    skip();
  }
  assert_int_equal(shell("%s/dpc-import -q %s public 2>&1", DPC_BINARY_DIR, PUSHT), 0);
  int64_t close = 0, near = 0;
  double worst[EPISODES];
  assert_int_equal(replay("public", &close, &near, worst, EPISODES), 0);
  assert_true(close >= EPISODES - 1);
  assert_int_equal(near, EPISODES);

  char dir[256];
  dpc_episode_log* log = NULL;
  int resting = 0;
  (void)snprintf(dir, sizeof dir, "%s/public", base);
  assert_ok(dpc_episode_log_open(dir, &log, &error), &error);
  for (int i = 0; i < EPISODES; i += 5) {
    dpc_episode episode = {0};
    assert_ok(dpc_episode_read(log, i, &episode, &error), &error);
    check_keypoints(&episode, &resting);
    dpc_episode_free(&episode);
  }
  dpc_episode_log_close(log);
  assert_true(resting > 500);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(our_own_recordings_replay),
      cmocka_unit_test(recorded_starts_are_taken_at_their_word),
      cmocka_unit_test(differences_are_found),
      cmocka_unit_test(other_data_are_refused),
      cmocka_unit_test(public_demonstrations_replay),
  };
  return cmocka_run_group_tests(tests, make_base, remove_base);
}
