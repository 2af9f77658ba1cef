// dpc-augment, as people run it: our own demonstrations, moved onto the goal, and their images, which
// the physics takes as it takes the originals; and what it refuses, without leaving anything behind.

#include <stdio.h>
#include <unistd.h>

#include "proto/episode_log.h"
#include "sim/push_task.h"
#include "tests/shell.h"
#include "tests/test.h"
#include "tools/json.h"

enum { COMMAND_SIZE = 2048, AGENT = 18, BLOCK = 20 };

#define OURS DPC_SOURCE_DIR "/sim/demonstrations"

static dpc_error error;

static void assert_refused(const char* source, int code, const char* words) {
  const int got = shell("%s/dpc-augment -q --mirror %s refused 2>&1", DPC_BINARY_DIR, source);
  if (got != code) fail_msg("%s: exit code %d, not %d: %s", source, got, code, output);
  if (strstr(output, words) == NULL) fail_msg("'%s' does not say '%s'", output, words);
  assert_int_equal(shell("ls -d refused refused.part 2>/dev/null"), 2);
}

static dpc_episode_log* open_log(const char* dir) {
  dpc_episode_log* log = NULL;
  assert_ok(dpc_episode_log_open(dir, &log, &error), &error);
  return log;
}

// --- our own demonstrations ------------------------------------------------------------------------

static void assert_same_rows(const float* a, const float* b, int count) {
  assert_memory_equal(a, b, (size_t)count * sizeof *a);
}

/// The same episode, with its seed, notes and last observation.
static void assert_copied(const dpc_episode* a, const dpc_episode* b) {
  assert_int_equal(a->length, b->length);
  assert_true(a->seed == b->seed);
  assert_int_equal(a->note_count, b->note_count);
  for (int i = 0; i < a->note_count; ++i) {
    assert_string_equal(a->notes[i].key, b->notes[i].key);
    assert_string_equal(a->notes[i].value, b->notes[i].value);
  }
  assert_same_rows(a->obs, b->obs, a->length * DPC_PUSH_OBS_DIM);
  assert_same_rows(a->action, b->action, a->length * DPC_PUSH_ACTION_DIM);
  assert_same_rows(a->last_obs, b->last_obs, DPC_PUSH_OBS_DIM);
}

/// Points on the other side of the line, the same rewards, no seed, and a note that says so.
static void assert_image(const dpc_episode* original, const dpc_episode* image, int index) {
  char expected[64];
  assert_int_equal(image->length, original->length);
  assert_true(image->seed == 0);
  assert_int_equal(image->note_count, original->note_count + 1);
  (void)snprintf(expected, sizeof expected, "image of episode %d", index);
  assert_string_equal(image->notes[original->note_count].key, "mirrored");
  assert_string_equal(image->notes[original->note_count].value, expected);
  for (int t = 0; t <= original->length; ++t) {
    const bool last = t == original->length;
    const size_t at = (size_t)t * DPC_PUSH_OBS_DIM;
    const float* a = (last ? original->last_obs : original->obs + at) + BLOCK;
    const float* b = (last ? image->last_obs : image->obs + at) + BLOCK;
    assert_near((double)b[0], 512 - (double)a[1], 1e-4);
    assert_near((double)b[1], 512 - (double)a[0], 1e-4);
    assert_near((double)b[2], 2 * atan(1) - (double)a[2], 1e-5);
    if (last) break;
    const size_t row = (size_t)t * DPC_PUSH_ACTION_DIM;
    assert_near((double)image->action[row], 512 - (double)original->action[row + 1], 1e-4);
    assert_near((double)image->action[row + 1], 512 - (double)original->action[row], 1e-4);
    assert_near(image->reward[t], original->reward[t], 0);
    assert_int_equal(image->done[t], original->done[t]);
  }
}

static void images_follow_the_episodes(void** state) {
  (void)state;
  char dir[256];
  if (shell("%s/dpc-augment -q --mirror %s ours 2>&1", DPC_BINARY_DIR, OURS) != 0)
    fail_msg("%s", output);
  assert_non_null(strstr(output, "and their mirror images"));
  (void)snprintf(dir, sizeof dir, "%s/ours", base);
  dpc_episode_log *from = open_log(OURS), *log = open_log(dir);
  const int count = dpc_episode_log_count(from);
  assert_int_equal(dpc_episode_log_count(log), 2 * count);
  for (int i = 0; i < count; ++i) {
    dpc_episode original = {0}, copy = {0}, image = {0};
    assert_ok(dpc_episode_read(from, i, &original, &error), &error);
    assert_ok(dpc_episode_read(log, i, &copy, &error), &error);
    assert_ok(dpc_episode_read(log, count + i, &image, &error), &error);
    assert_copied(&original, &copy);
    assert_image(&original, &image, i);
    dpc_episode_free(&original);
    dpc_episode_free(&copy);
    dpc_episode_free(&image);
  }
  dpc_episode_log_close(from);
  dpc_episode_log_close(log);
}

// The originals begin as their seeds say, an image where its first row is. The image of the walls is
// a pixel beside the walls, so a block that is pushed against one may go another way.
static void images_replay(void** state) {
  (void)state;
  dpc_json* report = NULL;
  if (shell("%s/dpc-augment -q --mirror %s replayed 2>&1", DPC_BINARY_DIR, OURS) != 0)
    fail_msg("%s", output);
  (void)shell("%s/dpc-replay -q --world replayed --json - 2>messages", DPC_BINARY_DIR);
  assert_ok(dpc_json_parse(output, strlen(output), "report", &report, &error), &error);
  const dpc_json* list = dpc_json_get(report, "max_block_error_px");
  const int count = dpc_json_count(list) / 2;
  int near = 0;
  assert_true(count > 0);
  for (int i = 0; i < 2 * count; ++i) {
    double worst = 0;
    assert_true(dpc_json_as_real(dpc_json_at(list, i), &worst));
    if (i < count) assert_near(worst, 0, 0.1);
    if (i >= count && worst <= 1) ++near;
  }
  if (near < count - count / 10) fail_msg("%d of %d images replay within 1 px", near, count);
  dpc_json_free(report);
}

// --- aligned ---------------------------------------------------------------------------------------

static bool is_aligned(const dpc_episode* e) {
  for (int i = 0; i < e->note_count; ++i) {
    if (strcmp(e->notes[i].key, "aligned") == 0) return true;
  }
  return false;
}

/// All ended with most of the goal covered; now the block is on it. How far each signal moved is how
/// far the whole was moved, so the actions keep their distance to the agent.
static void episodes_end_on_the_goal(void** state) {
  (void)state;
  char dir[256];
  if (shell("%s/dpc-augment -q --align %s aligned 2>&1", DPC_BINARY_DIR, OURS) != 0) {
    fail_msg("%s", output);
  }
  (void)snprintf(dir, sizeof dir, "%s/aligned", base);
  dpc_episode_log *from = open_log(OURS), *log = open_log(dir);
  const int count = dpc_episode_log_count(from);
  assert_int_equal(dpc_episode_log_count(log), count);
  for (int i = 0; i < count; ++i) {
    dpc_episode original = {0}, moved = {0};
    assert_ok(dpc_episode_read(from, i, &original, &error), &error);
    assert_ok(dpc_episode_read(log, i, &moved, &error), &error);
    assert_true(is_aligned(&moved) && moved.seed == 0);
    assert_near((double)moved.last_obs[BLOCK], 256, 1e-3);
    assert_near((double)moved.last_obs[BLOCK + 1], 256, 1e-3);
    assert_near(remainder((double)moved.last_obs[BLOCK + 2] - atan(1), 8 * atan(1)), 0, 1e-5);
    for (int t = 0; t < original.length; ++t) {
      const size_t row = (size_t)t * DPC_PUSH_ACTION_DIM;
      const float *a = original.action + row, *b = moved.action + row;
      const float* p = original.obs + (size_t)t * DPC_PUSH_OBS_DIM + AGENT;
      const float* q = moved.obs + (size_t)t * DPC_PUSH_OBS_DIM + AGENT;
      assert_near(hypot((double)(b[0] - q[0]), (double)(b[1] - q[1])),
                  hypot((double)(a[0] - p[0]), (double)(a[1] - p[1])), 1e-3);
    }
    dpc_episode_free(&original);
    dpc_episode_free(&moved);
  }
  dpc_episode_log_close(from);
  dpc_episode_log_close(log);
}

// --- what is refused -------------------------------------------------------------------------------

static void write_one(const char* name, const dpc_interface* interface, const float* obs) {
  char dir[256];
  const float action[2] = {256, 256};
  dpc_episode_writer* writer = NULL;
  (void)snprintf(dir, sizeof dir, "%s/%s", base, name);
  const dpc_episode_writer_def def = {.dir = dir, .interface = interface};
  assert_ok(dpc_episode_writer_open(&def, &writer, &error), &error);
  assert_ok(dpc_episode_writer_append(writer, obs, action, 0, true, &error), &error);
  assert_ok(dpc_episode_writer_close(writer, NULL, &error), &error);
}

static void other_data_are_refused(void** state) {
  (void)state;
  const float nothing[DPC_PUSH_OBS_DIM] = {0};
  dpc_interface arm = {.period_ns = 100000000};
  dpc_layout_add(&arm.obs, "agent_pos", 2, "px", "");
  dpc_layout_add(&arm.action, "joints", 2, "rad", "");
  write_one("arm", &arm, nothing);
  assert_refused("arm", 1, "episode_000000.mcap: action 'joints' is not known");
  dpc_interface deep = {.period_ns = 100000000};
  dpc_layout_add(&deep.obs, "agent_pos", 3, "px", "");
  dpc_layout_add(&deep.action, "action", 2, "px", "");
  write_one("deep", &deep, nothing);
  assert_refused("deep", 1, "observation 'agent_pos' has dim 3, in the push world 2");
  write_one("no-block", dpc_push_task_interface(), nothing);
  assert_refused("no-block", 1, "step 0: keypoint: up to ");
  assert_refused("nothing-here", 1, "nothing-here");
  assert_refused("", 2, "LOG and DIR are needed");
  (void)shell("%s/dpc-augment %s refused 2>&1", DPC_BINARY_DIR, OURS);
  assert_non_null(strstr(output, "--align, --mirror or both are needed"));
}

// The images of images are the originals; and nothing is ever written over.
static void images_are_made_once(void** state) {
  (void)state;
  if (shell("%s/dpc-augment -q --mirror %s once 2>&1", DPC_BINARY_DIR, OURS) != 0)
    fail_msg("%s", output);
  assert_refused("once", 1, "a mirror image already: image of episode 0");
  assert_int_equal(shell("%s/dpc-augment -q --mirror %s once 2>&1", DPC_BINARY_DIR, OURS), 2);
  assert_non_null(strstr(output, "once: already there"));
  assert_int_equal(
      shell("mv once made.part; %s/dpc-augment --mirror made.part made 2>&1", DPC_BINARY_DIR), 2);
  assert_non_null(strstr(output, "which is LOG"));
  assert_int_equal(shell("ls made.part/episode_000000.mcap"), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(images_follow_the_episodes), cmocka_unit_test(images_replay),
      cmocka_unit_test(episodes_end_on_the_goal),   cmocka_unit_test(other_data_are_refused),
      cmocka_unit_test(images_are_made_once),
  };
  return cmocka_run_group_tests(tests, make_base, remove_base);
}
