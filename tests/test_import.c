// dpc-import, as people run it: what it reads is what the libraries of those formats wrote, and what
// is damaged, or something else, is refused without leaving anything behind.

#include "tests/test.h"

#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/episode_log.h"
#include "proto/mcap.h"

enum { TEXT_SIZE = 4096, COMMAND_SIZE = 2048 };

#define GOLDEN DPC_SOURCE_DIR "/tests/golden/import"
#define PUSHT  DPC_SHARED_DIR "/data/pusht/pusht_cchi_v7_replay.zarr"

static char base[] = "/tmp/dpc-test-import-XXXXXX";
static char output[TEXT_SIZE];  // of the last command, both streams
static dpc_error error;

/// Run a shell command in the test's folder; returns its exit code.
static int shell(const char* format, ...) DPC_PRINTF(1, 2);
static int shell(const char* format, ...) {
  char command[COMMAND_SIZE], whole[COMMAND_SIZE + 64];
  va_list list;
  va_start(list, format);
  (void)vsnprintf(command, sizeof(command), format, list);  // NOLINT: the list was started
  va_end(list);
  (void)snprintf(whole, sizeof(whole), "cd %s && { %s; } 2>&1", base, command);
  FILE* pipe = popen(whole, "r");  // NOLINT(cert-env33-c): commands of our own
  assert_non_null(pipe);
  const size_t size = fread(output, 1, sizeof(output) - 1, pipe);
  output[size] = '\0';
  const int status = pclose(pipe);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int import(const char* arguments) {
  return shell("%s/dpc-import %s", DPC_BINARY_DIR, arguments);
}

/// The import fails with this code, says these words, and leaves nothing.
static void assert_refused(const char* source, int code, const char* words) {
  char arguments[COMMAND_SIZE / 2];
  (void)snprintf(arguments, sizeof(arguments), "%s refused", source);
  const int got = import(arguments);
  if (got != code) fail_msg("%s: exit code %d, not %d: %s", source, got, code, output);
  if (strstr(output, words) == NULL) {
    fail_msg("%s: '%s' does not say '%s'", source, output, words);
  }
  assert_int_equal(shell("ls -d refused refused.part"), 2);
}

static dpc_episode_log* open_log(const char* name) {
  char path[TEXT_SIZE];
  (void)snprintf(path, sizeof(path), "%s/%s", base, name);
  dpc_episode_log* log = NULL;
  assert_ok(dpc_episode_log_open(path, &log, &error), &error);
  return log;
}

// --- what the golden files hold: see tools/reference/make_import_golden.py ----------------------

typedef enum kind { WHOLE, SINGLE, DOUBLE } kind;

static float golden(int field, int row, int column, kind k) {
  const int whole = (31 * row + 7 * column + 13 * field) % 251;
  if (k == WHOLE) return (float)whole;
  return (float)((double)(whole - 100) / 3.0);  // rounded once, whether it was stored as f4 or f8
}

typedef struct golden_field {
  int number;
  const char* name;
  int dim;
  kind kind;
} golden_field;

/// All rows of `fields`, which make up the whole layout, of one episode.
static void assert_rows(const float* values, const dpc_layout* layout, const golden_field* fields,
                        int field_count, int length, int first_row) {
  assert_int_equal(layout->count, field_count);
  int offset = 0;
  const int width = dpc_layout_dim(layout);
  for (int f = 0; f < field_count; f++) {
    assert_string_equal(layout->signals[f].name, fields[f].name);
    assert_int_equal(layout->signals[f].dim, fields[f].dim);
    for (int t = 0; t < length; t++) {
      for (int c = 0; c < fields[f].dim; c++) {
        const float got = values[t * width + offset + c];
        const float expected = golden(fields[f].number, first_row + t, c, fields[f].kind);
        if (got != expected) {
          fail_msg("%s[%d], row %d: %.9g, not %.9g", fields[f].name, c, t, (double)got,
                   (double)expected);
        }
      }
    }
    offset += fields[f].dim;
  }
}

static void reads_every_zarr_codec(void** state) {
  (void)state;
  static const golden_field obs[] = {
      {1, "a_plain", 3, DOUBLE}, {2, "b_lz4", 18, SINGLE},    {3, "c_lz4hc", 5, DOUBLE},
      {4, "d_zlib", 1, WHOLE},   {5, "e_blosclz", 12, WHOLE}, {6, "f_flat", 1, WHOLE},
      {7, "g_short", 2, WHOLE},
  };
  static const golden_field action[] = {{0, "action", 2, SINGLE}};
  static const int lengths[] = {7, 1, 17};
  if (import(GOLDEN "/replay.zarr zarr --json zarr.json") != 0) fail_msg("%s", output);
  assert_non_null(strstr(output, "3 episodes, 25 steps, 10 Hz"));
  assert_non_null(strstr(output, "img: pictures"));
  dpc_episode_log* log = open_log("zarr");
  assert_int_equal(dpc_episode_log_count(log), DPC_COUNT(lengths));
  for (int i = 0, first = 0; i < DPC_COUNT(lengths); i++) {
    dpc_episode e;
    assert_ok(dpc_episode_read(log, i, &e, &error), &error);
    assert_int_equal(e.length, lengths[i]);
    assert_int_equal(e.interface.period_ns, 100000000);
    assert_rows(e.obs, &e.interface.obs, obs, DPC_COUNT(obs), e.length, first);
    assert_rows(e.action, &e.interface.action, action, 1, e.length, first);
    assert_null(e.last_obs);
    assert_int_equal(e.image_count, 0);
    first += lengths[i];
    dpc_episode_free(&e);
  }
  dpc_episode_log_close(log);
}

/// Bytes of every message on /image/img, whose last 144 are the pixels.
static void keeps_pictures_when_asked(void** state) {
  (void)state;
  enum { PIXELS = 6 * 8 * 3 };
  if (import("--images --rate 5 " GOLDEN "/replay.zarr pictures") != 0) fail_msg("%s", output);
  char path[TEXT_SIZE];
  (void)snprintf(path, sizeof(path), "%s/pictures/episode_000002.mcap", base);
  dpc_mcap_reader* reader = NULL;
  assert_ok(dpc_mcap_reader_open(path, &reader, &error), &error);
  int count = 0;
  for (;;) {
    dpc_mcap_message m;
    bool end;
    assert_ok(dpc_mcap_read(reader, &m, &end, &error), &error);
    if (end) break;
    if (strcmp(m.topic, "/image/img") != 0) continue;
    assert_string_equal(m.schema_name, "dpc.Image");
    assert_int_equal(m.time_ns, (int64_t)count * 200000000);
    assert_true(m.size > PIXELS);
    const uint8_t* pixels = (const uint8_t*)m.data + m.size - PIXELS;
    for (int i = 0; i < PIXELS; i++) {
      assert_int_equal(pixels[i], (31 * (8 + count) + 7 * i + 13 * 8) % 251);
    }
    count++;
  }
  assert_int_equal(count, 17);
  dpc_mcap_reader_close(reader);
}

static void reads_two_arms_of_robomimic(void** state) {
  (void)state;
  static const golden_field arm[] = {
      {0, "eef_pos", 3, DOUBLE},       {0, "eef_quat", 4, DOUBLE},
      {0, "eef_vel_ang", 3, DOUBLE},   {0, "eef_vel_lin", 3, DOUBLE},
      {0, "gripper_qpos", 2, DOUBLE},  {0, "gripper_qvel", 2, DOUBLE},
      {0, "joint_pos", 7, DOUBLE},     {0, "joint_pos_cos", 7, DOUBLE},
      {0, "joint_pos_sin", 7, DOUBLE}, {0, "joint_vel", 7, DOUBLE},
  };
  static const golden_field actions[] = {{0, "actions", 14, DOUBLE}};
  golden_field obs[22] = {{1, "object", 14, DOUBLE}};
  char names[20][DPC_NAME_MAX];
  for (int i = 0; i < 20; i++) {
    (void)snprintf(names[i], DPC_NAME_MAX, "robot%d_%s", i / 10, arm[i % 10].name);
    obs[1 + i] = (golden_field){2 + i, names[i], arm[i % 10].dim, DOUBLE};
  }
  obs[21] = (golden_field){80, "states", 30, DOUBLE};

  if (import(GOLDEN "/two_arms.hdf5 arms") != 0) fail_msg("%s", output);
  assert_non_null(strstr(output, "2 episodes, 15 steps, 20 Hz (robomimic HDF5)"));
  assert_non_null(strstr(output, "obs/agentview_image: pictures"));
  dpc_episode_log* log = open_log("arms");
  assert_int_equal(dpc_episode_log_count(log), 2);
  for (int i = 0; i < 2; i++) {
    dpc_episode e;
    assert_ok(dpc_episode_read(log, i, &e, &error), &error);
    assert_int_equal(e.length, i == 0 ? 9 : 6);
    assert_int_equal(e.interface.period_ns, 50000000);
    assert_rows(e.obs, &e.interface.obs, obs, DPC_COUNT(obs), e.length, 100 * i);
    assert_rows(e.action, &e.interface.action, actions, 1, e.length, 100 * i);
    for (int t = 0; t < e.length; t++) {
      assert_true(e.reward[t] == (t == e.length - 1));
      assert_int_equal(e.done[t], t >= e.length - 2);
    }
    assert_string_equal(e.notes[0].value, "two_arms.hdf5");
    assert_string_equal(e.notes[2].value, "TwoArmTransport");
    dpc_episode_free(&e);
  }
  dpc_episode_log_close(log);
}

static void takes_demonstrations_by_number(void** state) {
  (void)state;
  static const golden_field obs[] = {{1, "agent_pos", 2, SINGLE}};
  if (import(GOLDEN "/unordered.hdf5 unordered/") != 0) fail_msg("%s", output);
  dpc_episode_log* log = open_log("unordered");
  for (int i = 0; i < 2; i++) {
    dpc_episode e;
    assert_ok(dpc_episode_read(log, i, &e, &error), &error);
    assert_int_equal(e.length, i == 0 ? 2 : 3);
    assert_rows(e.obs, &e.interface.obs, obs, 1, e.length, i == 0 ? 200 : 1000);
    dpc_episode_free(&e);
  }
  dpc_episode_log_close(log);
}

// --- damage -------------------------------------------------------------------------------------

/// A copy of the golden buffer with one thing done to it is refused with these words.
static void assert_damage_refused(const char* change, const char* words) {
  if (shell("rm -rf copy && cp -r %s/replay.zarr copy && cd copy && %s", GOLDEN, change) != 0) {
    fail_msg("%s: %s", change, output);
  }
  assert_refused("copy", 1, words);
}

static void refuses_a_damaged_zarr(void** state) {
  (void)state;
  assert_damage_refused("rm data/action/1.0", "missing chunk copy/data/action/1.0");
  assert_damage_refused("rm data/b_lz4/2.0.0", "missing chunk copy/data/b_lz4/2.0.0");
  assert_damage_refused("rm meta/episode_ends/0", "missing chunk copy/meta/episode_ends/0");
  assert_damage_refused("truncate -s -1 data/action/0.0", "damaged chunk copy/data/action/0.0");
  assert_damage_refused("truncate -s 8 data/action/0.0", "damaged chunk copy/data/action/0.0");
  assert_damage_refused("truncate -s 0 data/action/0.0", "damaged chunk copy/data/action/0.0");
  assert_damage_refused("truncate -s -1 data/a_plain/0.0", "damaged chunk copy/data/a_plain/0.0");
  assert_damage_refused("cp data/b_lz4/0.0.0 data/action/0.0", "damaged chunk copy/data/action/0");
  assert_damage_refused("head -c 40 /dev/zero > data/action/0.0", "damaged chunk");
  assert_damage_refused("rm -r data/action", "no field 'action'");
  assert_damage_refused("rm -r data/action/.zarray", "no field 'action'");
  assert_damage_refused("rm -r meta/episode_ends", "copy/meta/episode_ends/.zarray");
  assert_damage_refused("echo '{' > data/action/.zarray", "copy/data/action/.zarray");
}

static void refuses_zarr_that_it_does_not_read(void** state) {
  (void)state;
  static const char* const cases[][2] = {
      {"s/\"order\": \"C\"/\"order\": \"F\"/", "order must be"},
      {"s/\"zarr_format\": 2/\"zarr_format\": 3/", "zarr_format must be 2"},
      {"s/<f4/>f4/", "dtype >f4"},
      {"s/<f4/<c8/", "dtype <c8"},
      {"s/\"filters\": null/\"filters\": [{\"id\": \"delta\"}]/", "filters are not"},
      {"s/\"id\": \"blosc\"/\"id\": \"lzma\"/", "compressor must be"},
      {"s/^        25,/        26,/", "has 26 rows, but meta/episode_ends ends at 25"},
      {"s/^        25,/        -25,/", "shape must be"},
      {"s/^        10,/        0,/", "chunks must be"},
      {"s/^        10,/        4000000000,/", "1 GiB"},
      {"s/^        25,/        25, 3,/", "chunks must be 3"},
  };
  for (int i = 0; i < DPC_COUNT(cases); i++) {
    char change[TEXT_SIZE / 4];
    (void)snprintf(change, sizeof(change), "sed -i '%s' data/action/.zarray", cases[i][0]);
    assert_damage_refused(change, cases[i][1]);
  }
  assert_damage_refused(
      "printf '\\7\\0\\0\\0\\0\\0\\0\\0' | dd of=meta/episode_ends/0 bs=8 seek=1 "
      "conv=notrunc status=none",
      "end 7 of episode 1 is not after the one before");
}

static void refuses_other_files(void** state) {
  (void)state;
  assert_refused(GOLDEN "/other.hdf5", 1, "other.hdf5: not robomimic's");
  assert_refused(GOLDEN "/nan.hdf5", 1, "nan.hdf5: episode 1: step 4: observation 'agent_pos[1]'");
  assert_refused(DPC_SOURCE_DIR "/LICENSE", 1, "neither a Zarr v2 replay buffer");
  assert_refused(DPC_SOURCE_DIR "/tests", 1, "neither a Zarr v2 replay buffer");
  assert_refused("/no/such/file", 1, "/no/such/file: No such file");
  assert_int_equal(shell("head -c 40000 %s/two_arms.hdf5 > cut.hdf5", GOLDEN), 0);
  assert_refused("cut.hdf5", 1, "cut.hdf5");
}

static void refuses_a_cut_or_flipped_hdf5_without_crashing(void** state) {
  (void)state;
  FILE* file = fopen(GOLDEN "/unordered.hdf5", "rb");
  assert_non_null(file);
  uint8_t bytes[8192];
  const size_t size = fread(bytes, 1, sizeof(bytes), file);
  (void)fclose(file);
  char path[TEXT_SIZE];
  (void)snprintf(path, sizeof(path), "%s/flip.hdf5", base);
  for (size_t at = 0; at < size; at += 37) {
    bytes[at] ^= 0x40;
    file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
    // A flip may hit what nobody reads; it must not crash, and never leave half a log.
    const int code = import("flip.hdf5 flip");
    if (code != 0 && code != 1) fail_msg("byte %zu: exit code %d: %s", at, code, output);
    assert_int_equal(shell("ls -d flip.part"), 2);
    (void)shell("rm -rf flip");
    bytes[at] ^= 0x40;
  }
}

static void never_writes_over_what_is_there(void** state) {
  (void)state;
  assert_int_equal(shell("mkdir there && touch there/mine"), 0);
  assert_int_equal(import(GOLDEN "/replay.zarr there"), 2);
  assert_non_null(strstr(output, "there: already there"));
  assert_int_equal(shell("ls there | grep -x mine && ! ls -d there.part"), 0);

  // What a killed import left is replaced; what somebody put there is not.
  assert_int_equal(shell("mkdir again.part && touch again.part/episode_000000.mcap "
                         "again.part/episode_000001.mcap.part"),
                   0);
  assert_int_equal(import(GOLDEN "/replay.zarr again"), 0);
  assert_int_equal(shell("mkdir other.part && touch other.part/mine"), 0);
  assert_int_equal(import(GOLDEN "/replay.zarr other"), 1);
  assert_non_null(strstr(output, "other.part: in the way"));
  assert_int_equal(import(GOLDEN "/replay.zarr no/such/parent"), 1);
  assert_int_equal(import(GOLDEN "/replay.zarr"), 2);
  assert_int_equal(import("--rate 0 " GOLDEN "/replay.zarr zero"), 2);
}

static void leaves_nothing_when_the_disk_is_full(void** state) {
  (void)state;
  const int code = shell("ulimit -f 4; trap '' XFSZ; %s/dpc-import %s/two_arms.hdf5 full",
                         DPC_BINARY_DIR, GOLDEN);
  assert_int_equal(code, 1);
  assert_non_null(strstr(output, "episode_000000.mcap"));
  assert_int_equal(shell("ls -d full full.part"), 2);
}

// --- the public data, when it is there ----------------------------------------------------------

/// Compare the log with the arrays as python3-zarr reads them: keypoint, n_contacts, state, action.
static void assert_same_as_python(void) {
  const int code = shell(
      "/usr/bin/python3 -c \"import sys, zarr, numpy as n; d = zarr.open('%s', 'r')['data']; "
      "n.concatenate([d[k][:].reshape(len(d[k]), -1) for k in "
      "('keypoint', 'n_contacts', 'state', 'action')], axis=1).astype('<f4').tofile('all.f32')\"",
      PUSHT);
  if (code != 0) {
    print_message("python3-zarr is not there: the comparison is skipped\n");
    return;
  }
  char path[TEXT_SIZE];
  (void)snprintf(path, sizeof(path), "%s/all.f32", base);
  FILE* file = fopen(path, "rb");
  assert_non_null(file);
  dpc_episode_log* log = open_log("pusht");
  for (int i = 0; i < dpc_episode_log_count(log); i++) {
    dpc_episode e;
    assert_ok(dpc_episode_read(log, i, &e, &error), &error);
    for (int t = 0; t < e.length; t++) {
      float row[26];
      assert_int_equal(fread(row, sizeof(row), 1, file), 1);
      assert_memory_equal(row, e.obs + (ptrdiff_t)t * 24, sizeof(float) * 24);
      assert_memory_equal(row + 24, e.action + (ptrdiff_t)t * 2, sizeof(float) * 2);
    }
    dpc_episode_free(&e);
  }
  assert_int_equal(fgetc(file), EOF);
  (void)fclose(file);
  dpc_episode_log_close(log);
}

static void imports_the_public_demonstrations(void** state) {
  (void)state;
  if (access(PUSHT, R_OK) != 0) {
    print_message("skipped: %s is not there\n", PUSHT);
    skip();
  }
  if (import(PUSHT " pusht") != 0) fail_msg("%s", output);
  assert_non_null(strstr(output, "186 episodes, 22972 steps, 10 Hz"));
  assert_non_null(strstr(output, "keypoint(18), n_contacts(1), state(5)"));
  assert_same_as_python();
}

static int make_base(void** state) {
  (void)state;
  return mkdtemp(base) == NULL;
}

static int remove_base(void** state) {
  (void)state;
  return shell("rm -r %s", base);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(reads_every_zarr_codec),
      cmocka_unit_test(keeps_pictures_when_asked),
      cmocka_unit_test(reads_two_arms_of_robomimic),
      cmocka_unit_test(takes_demonstrations_by_number),
      cmocka_unit_test(refuses_a_damaged_zarr),
      cmocka_unit_test(refuses_zarr_that_it_does_not_read),
      cmocka_unit_test(refuses_other_files),
      cmocka_unit_test(refuses_a_cut_or_flipped_hdf5_without_crashing),
      cmocka_unit_test(never_writes_over_what_is_there),
      cmocka_unit_test(leaves_nothing_when_the_disk_is_full),
      cmocka_unit_test(imports_the_public_demonstrations),
  };
  return cmocka_run_group_tests_name("import", tests, make_base, remove_base);
}
