// An episode log as training takes it: mapped, not loaded, so that memory does not grow with it; and
// images that belong to their originals.

#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/episode_log.h"
#include "tests/shell.h"
#include "tools/episodes.h"

enum { OBS = 96, ACTION = 14, ROWS = 2000 };

static dpc_error error;

static const char* in_base(const char* name) {
  static char path[256];
  (void)snprintf(path, sizeof path, "%s/%s", base, name);
  return path;
}

static float value(int episode, int row, int column) {
  return (float)(episode * 1000003 + row * 211 + column);
}

// One episode of `rows`, as an image of episode `image_of` where that is not negative.
static void write_episode(const char* dir, int index, int rows, int image_of) {
  dpc_interface interface = {.period_ns = 20000000};
  dpc_layout_add(&interface.obs, "qpos", OBS, NULL, NULL);
  dpc_layout_add(&interface.action, "action", ACTION, NULL, NULL);
  dpc_note note = {.key = "mirrored"};
  (void)snprintf(note.value, sizeof note.value, "image of episode %d", image_of);
  const dpc_episode_writer_def def = {.dir = dir,
                                      .index = index,
                                      .interface = &interface,
                                      .notes = &note,
                                      .note_count = image_of < 0 ? 0 : 1};
  dpc_episode_writer* writer = NULL;
  assert_ok(dpc_episode_writer_open(&def, &writer, &error), &error);
  for (int t = 0; t < rows; ++t) {
    float obs[OBS], action[ACTION];
    for (int i = 0; i < OBS; ++i) obs[i] = value(index, t, i);
    for (int i = 0; i < ACTION; ++i) action[i] = value(index, t, OBS + i);
    assert_ok(dpc_episode_writer_append(writer, obs, action, 0, false, &error), &error);
  }
  assert_ok(dpc_episode_writer_close(writer, NULL, &error), &error);
}

// --- memory -------------------------------------------------------------------------------------

// What a process has of private memory that can be written, in bytes.
static long private_memory(void) {
  long kilobytes = 0;
  char line[128];
  FILE* file = fopen("/proc/self/status", "r");
  while (file != NULL && fgets(line, sizeof line, file) != NULL) {
    if (sscanf(line, "VmData: %ld", &kilobytes) == 1) break;
  }
  if (file != NULL) (void)fclose(file);
  return kilobytes * 1024;
}

// Load, make windows and read each of them, with no more than `room` bytes of memory added; returns an
// exit code, as asserts are for the parent.
static int use_log(const char* dir, long room) {
  static char block[1 << 20];
  dpc_arena arena;
  dpc_arena_init(&arena, block, sizeof block);
  const rlim_t limit = (rlim_t)(private_memory() + room);
  if (setrlimit(RLIMIT_DATA, &(struct rlimit){limit, limit}) != 0) return 2;
  dpc_episode_source source = {0};
  if (dpc_episodes_load(dir, &source, &error) != DPC_OK) return 3;
  dpc_dataset_def def = dpc_dataset_def_default();
  def.obs = (dpc_text_list){1, {"qpos scale none"}};
  def.action = (dpc_text_list){1, {"action scale none"}};
  dpc_dataset* dataset = NULL;
  const dpc_window_def shape = {16, 2, 8};
  if (dpc_dataset_create(&def, &shape, &source, &arena, &dataset, &error) != DPC_OK) return 4;
  for (int w = 0; w < dataset->train.count; ++w) {
    static float cond[2 * OBS], chunk[16 * ACTION];
    const dpc_window window = dpc_dataset_window(dataset, &dataset->train, w);
    dpc_dataset_read(dataset, &window, cond, chunk);
    const int row = window.first < 0 ? 0 : window.first;
    if (cond[0] != value(window.episode->number, row, 0)) return 5;
    if (chunk[ACTION - 1] != value(window.episode->number, row, OBS + ACTION - 1)) return 6;
  }
  dpc_episodes_free(&source);
  return 0;
}

static void memory_does_not_grow_with_the_log(void** state) {
  (void)state;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  skip();  // their own memory is beyond every limit
#endif
  // 53 MB in all, of which one episode at a time and the reader's buffers are held
  enum { EPISODES = 60 };
  char dir[256];
  (void)snprintf(dir, sizeof dir, "%s", in_base("large"));
  for (int i = 0; i < EPISODES; ++i) write_episode(dir, i, ROWS, -1);
  (void)fflush(NULL);
  const pid_t child = fork();
  if (child == 0) {
    const int code = use_log(dir, 16L << 20);
    if (code != 0) (void)fprintf(stderr, "%d: %s\n", code, error.text);
    _exit(code);
  }
  int status = 0;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_true(WIFEXITED(status));
  assert_int_equal(WEXITSTATUS(status), 0);
}

static void values_and_checksum_are_the_logs(void** state) {
  (void)state;
  char dir[256], first[65];
  (void)snprintf(dir, sizeof dir, "%s", in_base("small"));
  for (int i = 0; i < 3; ++i) write_episode(dir, i, 5 + i, -1);
  dpc_episode_source source = {0};
  assert_ok(dpc_episodes_load(dir, &source, &error), &error);
  assert_int_equal(source.episode_count, 3);
  const float* obs = source.obs;
  for (int i = 0; i < 3; ++i) {
    assert_int_equal(source.lengths[i], 5 + i);
    for (int t = 0; t < 5 + i; ++t, obs += OBS) assert_true(obs[7] == value(i, t, 7));
  }
  memcpy(first, source.sha256, sizeof first);
  dpc_episodes_free(&source);
  assert_ok(dpc_episodes_load(dir, &source, &error), &error);
  assert_string_equal(source.sha256, first);
  dpc_episodes_free(&source);
}

static void a_folder_without_room_is_named(void** state) {
  (void)state;
  char dir[256];
  dpc_episode_source source = {0};
  (void)snprintf(dir, sizeof dir, "%s", in_base("kept"));
  write_episode(dir, 0, 5, -1);
  assert_int_equal(setenv("TMPDIR", "/no/such/folder", 1), 0);
  assert_fails(dpc_episodes_load(dir, &source, &error), DPC_ERR_IO, &error, "/no/such/folder: ");
  assert_int_equal(unsetenv("TMPDIR"), 0);
  assert_null(source.obs);
}

// --- images -------------------------------------------------------------------------------------

static void images_are_in_the_group_of_their_original(void** state) {
  (void)state;
  char dir[256];
  (void)snprintf(dir, sizeof dir, "%s", in_base("images"));
  // as dpc augment numbers them, with one original taken away since
  for (int i = 0; i < 6; ++i) write_episode(dir, i, 5, i < 3 ? -1 : i - 3);
  assert_int_equal(shell("rm images/episode_000001.mcap && "
                         "cp images/episode_000000.mcap images/other.mcap"),
                   0);
  dpc_episode_source source = {0};
  assert_ok(dpc_episodes_load(dir, &source, &error), &error);
  assert_int_equal(source.episode_count, 6);
  assert_int_equal(source.groups[0], source.groups[2]);  // 0 and 3
  assert_int_equal(source.groups[1], source.groups[4]);  // 2 and 5
  for (int i = 0; i < 6; ++i) {
    assert_true(i == 5 || source.groups[i] != source.groups[5]);
    assert_true(i == 3 || source.groups[i] != source.groups[3]);
  }
  dpc_episodes_free(&source);
}

// --- the whole file -------------------------------------------------------------------------------

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(memory_does_not_grow_with_the_log),
      cmocka_unit_test(values_and_checksum_are_the_logs),
      cmocka_unit_test(a_folder_without_room_is_named),
      cmocka_unit_test(images_are_in_the_group_of_their_original),
  };
  return cmocka_run_group_tests_name("episodes", tests, make_base, remove_base);
}
