// Episodes: what is recorded is read back bit for bit, and what is wrong is named.

#include "tests/test.h"

#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "policy/rng.h"
#include "proto/episode_log.h"
#include "proto/mcap.h"

enum { OBS_DIM = 5, ACTION_DIM = 2, PATH_SIZE = 256 };

static char base[] = "/tmp/dpc-test-episodes-XXXXXX";
static char dir[PATH_SIZE];  // a new one for each test
static dpc_error error;

static dpc_interface make_interface(void) {
  dpc_interface interface = {.period_ns = 100000000};
  dpc_layout_add(&interface.obs, "agent_pos", 2, "px", "");
  dpc_layout_add(&interface.obs, "block_pose", 3, "", "");
  dpc_layout_add(&interface.action, "action", ACTION_DIM, "px", "agent_pos");
  return interface;
}

/// Any float that is finite, denormals and negative zero included.
static float any_float(uint32_t step, uint32_t column) {
  uint32_t bits[4];
  dpc_rng_bits((dpc_rng_key){1, 2}, step, column, 0, 0, bits);
  float value;
  memcpy(&value, bits, sizeof(value));
  return isfinite(value) ? value : 0.0f;
}

static double reward_of(int step) {
  return (double)any_float((uint32_t)step, 99);
}

static void fill(int step, float* obs, float* action) {
  for (int i = 0; i < OBS_DIM; i++) obs[i] = any_float((uint32_t)step, (uint32_t)i);
  for (int i = 0; i < ACTION_DIM; i++) action[i] = any_float((uint32_t)step, (uint32_t)(50 + i));
}

static dpc_episode_writer* begin(int index, const dpc_interface* interface) {
  static const dpc_note notes[] = {{"source", "a test"}, {"task", "none"}};
  const dpc_episode_writer_def def = {.dir = dir,
                                      .index = index,
                                      .interface = interface,
                                      .seed = UINT64_MAX - (uint64_t)index,
                                      .notes = notes,
                                      .note_count = DPC_COUNT(notes)};
  dpc_episode_writer* writer = NULL;
  assert_ok(dpc_episode_writer_open(&def, &writer, &error), &error);
  return writer;
}

static void append(dpc_episode_writer* writer, int step) {
  float obs[OBS_DIM], action[ACTION_DIM];
  fill(step, obs, action);
  assert_ok(dpc_episode_writer_append(writer, obs, action, reward_of(step), step == 3, &error),
            &error);
}

static void record(int index, int length, bool with_last) {
  const dpc_interface interface = make_interface();
  dpc_episode_writer* writer = begin(index, &interface);
  for (int t = 0; t < length; t++) append(writer, t);
  float last[OBS_DIM], unused[ACTION_DIM];
  fill(length, last, unused);
  assert_ok(dpc_episode_writer_close(writer, with_last ? last : NULL, &error), &error);
}

static void check(const dpc_episode* e, int index, int length, bool with_last) {
  const dpc_interface interface = make_interface();
  assert_int_equal(e->length, length);
  assert_true(e->seed == UINT64_MAX - (uint64_t)index);
  assert_memory_equal(&e->interface, &interface, sizeof(interface));
  assert_int_equal(e->note_count, 2);
  assert_string_equal(e->notes[0].key, "source");
  assert_string_equal(e->notes[1].value, "none");
  float obs[OBS_DIM], action[ACTION_DIM];
  for (int t = 0; t < length; t++) {
    fill(t, obs, action);
    assert_memory_equal(e->obs + (ptrdiff_t)t * OBS_DIM, obs, sizeof(obs));
    assert_memory_equal(e->action + (ptrdiff_t)t * ACTION_DIM, action, sizeof(action));
    assert_true(e->reward[t] == reward_of(t));
    assert_int_equal(e->done[t], t == 3 || t == length - 1);
  }
  assert_int_equal(e->last_obs != NULL, with_last);
  fill(length, obs, action);
  if (with_last) assert_memory_equal(e->last_obs, obs, sizeof(obs));
}

static bool exists(const char* name) {
  char path[2 * PATH_SIZE];
  (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
  return access(path, F_OK) == 0;
}

// --- round trip ---------------------------------------------------------------------------------

static void returns_what_was_recorded(void** state) {
  (void)state;
  const int lengths[] = {1, 2, 255, 256, 257, 3000};
  for (int i = 0; i < DPC_COUNT(lengths); i++) record(i, lengths[i], i % 2 == 0);
  dpc_episode_log* log = NULL;
  assert_ok(dpc_episode_log_open(dir, &log, &error), &error);
  assert_int_equal(dpc_episode_log_count(log), DPC_COUNT(lengths));
  for (int i = 0; i < DPC_COUNT(lengths); i++) {
    dpc_episode episode;
    assert_ok(dpc_episode_read(log, i, &episode, &error), &error);
    check(&episode, i, lengths[i], i % 2 == 0);
    dpc_episode_free(&episode);
  }
  dpc_episode_log_close(log);
}

static void lists_by_name_and_leaves_parts_alone(void** state) {
  (void)state;
  record(10, 3, true);
  record(9, 2, true);
  record(100000, 1, true);
  const dpc_interface interface = make_interface();
  dpc_episode_writer* unfinished = begin(3, &interface);
  dpc_episode_log* log = NULL;
  assert_ok(dpc_episode_log_open(dir, &log, &error), &error);
  assert_int_equal(dpc_episode_log_count(log), 3);
  assert_int_equal(dpc_episode_log_part_count(log), 1);
  assert_non_null(strstr(dpc_episode_log_path(log, 0), "/episode_000009.mcap"));
  assert_non_null(strstr(dpc_episode_log_path(log, 1), "/episode_000010.mcap"));
  assert_non_null(strstr(dpc_episode_log_path(log, 2), "/episode_100000.mcap"));
  dpc_episode_log_close(log);
  dpc_episode_writer_abort(unfinished);
  assert_false(exists("episode_000003.mcap.part"));
}

static void keeps_pictures_for_other_readers(void** state) {
  (void)state;
  const dpc_interface interface = make_interface();
  const dpc_episode_images camera = {.name = "front", .height = 300, .width = 200, .channels = 3};
  const dpc_episode_writer_def def = {
      .dir = dir, .interface = &interface, .images = &camera, .image_count = 1};
  dpc_episode_writer* writer = NULL;
  assert_ok(dpc_episode_writer_open(&def, &writer, &error), &error);
  uint8_t* pixels = calloc((size_t)300 * 200, 3);  // larger than a message on the wire may be
  for (int t = 0; t < 3; t++) {
    append(writer, t);
    memset(pixels, t, 100);
    assert_ok(dpc_episode_writer_image(writer, 0, pixels, &error), &error);
  }
  free(pixels);
  assert_ok(dpc_episode_writer_close(writer, NULL, &error), &error);

  dpc_episode_log* log = NULL;
  dpc_episode episode;
  assert_ok(dpc_episode_log_open(dir, &log, &error), &error);
  assert_ok(dpc_episode_read(log, 0, &episode, &error), &error);
  assert_int_equal(episode.image_count, 1);
  assert_string_equal(episode.images[0].name, "front");
  assert_int_equal(episode.length, 3);
  dpc_episode_free(&episode);
  dpc_episode_log_close(log);
}

// --- what goes wrong while writing --------------------------------------------------------------

static void refuses_a_value_that_is_not_finite(void** state) {
  (void)state;
  const dpc_interface interface = make_interface();
  dpc_episode_writer* writer = begin(0, &interface);
  append(writer, 0);
  const float obs[OBS_DIM] = {1, 2, 3, 4, NAN}, fine[OBS_DIM] = {0};
  const float action[ACTION_DIM] = {-INFINITY, 0};
  assert_fails(dpc_episode_writer_append(writer, obs, fine, 0, false, &error), DPC_ERR_INVALID,
               &error, "episode_000000.mcap: step 1: observation 'block_pose[2]' is not finite");
  assert_fails(dpc_episode_writer_append(writer, fine, action, 0, false, &error), DPC_ERR_INVALID,
               &error, "episode_000000.mcap: step 1: action 'action[0]' is not finite");
  assert_fails(dpc_episode_writer_append(writer, fine, fine, NAN, false, &error), DPC_ERR_INVALID,
               &error, "episode_000000.mcap: step 1: reward is not finite");
  dpc_episode_writer_abort(writer);
  assert_false(exists("episode_000000.mcap"));
  assert_false(exists("episode_000000.mcap.part"));
}

static void refuses_what_is_there_already(void** state) {
  (void)state;
  record(0, 1, false);
  const dpc_interface interface = make_interface();
  const dpc_episode_writer_def def = {.dir = dir, .interface = &interface};
  dpc_episode_writer* writer = NULL;
  assert_fails(dpc_episode_writer_open(&def, &writer, &error), DPC_ERR_IO, &error,
               "episode_000000.mcap: already there");
  assert_null(writer);
}

static void refuses_an_empty_episode(void** state) {
  (void)state;
  const dpc_interface interface = make_interface();
  dpc_episode_writer* writer = begin(0, &interface);
  assert_fails(dpc_episode_writer_close(writer, NULL, &error), DPC_ERR_INVALID, &error,
               "has no steps");
  assert_false(exists("episode_000000.mcap"));
  assert_false(exists("episode_000000.mcap.part"));
}

static void refuses_a_broken_interface(void** state) {
  (void)state;
  dpc_interface interface = make_interface();
  interface.period_ns = 0;
  const dpc_episode_writer_def def = {.dir = dir, .interface = &interface};
  dpc_episode_writer* writer = NULL;
  assert_fails(dpc_episode_writer_open(&def, &writer, &error), DPC_ERR_INVALID, &error,
               "episode_000000.mcap");
  assert_false(exists("episode_000000.mcap.part"));
}

static void leaves_a_part_when_it_is_killed(void** state) {
  (void)state;
  record(0, 5, true);
  const pid_t child = fork();
  if (child == 0) {
    const dpc_interface interface = make_interface();
    dpc_episode_writer* writer = begin(1, &interface);
    for (int t = 0; t < 10000; t++) append(writer, t);
    (void)raise(SIGKILL);
  }
  int how = 0;
  assert_int_equal(waitpid(child, &how, 0), child);
  assert_true(WIFSIGNALED(how));
  assert_true(exists("episode_000001.mcap.part"));
  dpc_episode_log* log = NULL;
  assert_ok(dpc_episode_log_open(dir, &log, &error), &error);
  assert_int_equal(dpc_episode_log_count(log), 1);
  assert_int_equal(dpc_episode_log_part_count(log), 1);
  dpc_episode_log_close(log);
  record(1, 2, true);  // the next recorder takes its place
  assert_false(exists("episode_000001.mcap.part"));
}

static void leaves_nothing_when_the_disk_is_full(void** state) {
  (void)state;
  struct rlimit old;
  assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
  (void)signal(SIGXFSZ, SIG_IGN);
  const dpc_interface interface = make_interface();
  dpc_episode_writer* writer = begin(0, &interface);
  for (int t = 0; t < 1000; t++) append(writer, t);
  const struct rlimit small = {10000, old.rlim_max};
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
  const dpc_status status = dpc_episode_writer_close(writer, NULL, &error);
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
  assert_int_equal(status, DPC_ERR_IO);
  assert_non_null(strstr(error.text, "episode_000000.mcap"));
  assert_false(exists("episode_000000.mcap"));
  assert_false(exists("episode_000000.mcap.part"));
}

// --- logs that are wrong ------------------------------------------------------------------------

/// A log made of messages that the writer would not make.
typedef struct forged {
  dpc_mcap_writer* mcap;
  float obs[OBS_DIM], action[ACTION_DIM];
} forged;

static const dpc_mcap_channel channels[] = {{"/hello", "dpc.Hello", "", 0},
                                            {"/observation", "dpc.Observation", "", 0},
                                            {"/command", "dpc.Command", "", 0}};

static forged forge(void) {
  char path[2 * PATH_SIZE];
  (void)mkdir(dir, 0777);
  (void)snprintf(path, sizeof(path), "%s/forged.mcap", dir);
  forged f = {0};
  assert_ok(dpc_mcap_writer_create(path, channels, 3, &f.mcap, &error), &error);
  return f;
}

static void put(forged* f, int channel, const dpc_message* message) {
  uint8_t buffer[DPC_MESSAGE_MAX];
  size_t size;
  assert_ok(dpc_wire_encode_bare(message, buffer, sizeof(buffer), &size, &error), &error);
  // The encoder refuses NaN as well, so a marker stands for it until here.
  const float nan = NAN;
  for (size_t i = 0; i + sizeof(float) <= size; i++) {
    float value;
    memcpy(&value, buffer + i, sizeof(value));
    if (value == 12345.0f) memcpy(buffer + i, &nan, sizeof(nan));
  }
  assert_ok(dpc_mcap_write(f->mcap, channel, 0, buffer, size, &error), &error);
}

static void put_hello(forged* f) {
  dpc_message message = {.kind = DPC_MESSAGE_HELLO};
  message.hello.interface = make_interface();
  put(f, 0, &message);
}

static void put_observation(forged* f, uint64_t tick, int count, bool done) {
  dpc_message message = {.kind = DPC_MESSAGE_OBSERVATION};
  message.observation = (dpc_observation){
      .tick = tick, .value_count = count, .values = count == 0 ? NULL : f->obs, .done = done};
  put(f, 1, &message);
}

static void put_command(forged* f, uint64_t tick, int count) {
  dpc_message message = {.kind = DPC_MESSAGE_COMMAND};
  message.command = (dpc_command){.tick = tick, .value_count = count, .values = f->action};
  put(f, 2, &message);
}

static dpc_status read_forged(forged* f) {
  assert_ok(dpc_mcap_writer_finish(f->mcap, &error), &error);
  dpc_episode_log* log = NULL;
  dpc_episode episode = {0};
  assert_ok(dpc_episode_log_open(dir, &log, &error), &error);
  const dpc_status status = dpc_episode_read(log, 0, &episode, &error);
  dpc_episode_log_close(log);
  if (status != DPC_OK) assert_null(episode.obs);
  dpc_episode_free(&episode);
  return status;
}

static void names_file_signal_and_step_of_a_nan(void** state) {
  (void)state;
  forged f = forge();
  put_hello(&f);
  for (uint64_t t = 0; t < 12; t++) {
    f.obs[3] = t == 11 ? 12345.0f : 0.0f;
    put_observation(&f, t, OBS_DIM, false);
    put_command(&f, t, ACTION_DIM);
  }
  assert_fails(read_forged(&f), DPC_ERR_INVALID, &error,
               "forged.mcap: step 11: observation 'block_pose[1]' is not finite");
  f = forge();
  put_hello(&f);
  put_observation(&f, 0, OBS_DIM, false);
  f.action[1] = 12345.0f;
  put_command(&f, 0, ACTION_DIM);
  assert_fails(read_forged(&f), DPC_ERR_INVALID, &error,
               "forged.mcap: step 0: action 'action[1]' is not finite");
}

/// Read a log forged from one letter for each message: h hello, o observation, c command of the
/// next tick, O and C the same with too few values, x an observation that skips a tick, e the end.
static dpc_status read_script(const char* script) {
  forged f = forge();
  uint64_t observed = 0, commanded = 0;
  for (const char* at = script; *at != '\0'; at++) {
    if (*at == 'h') put_hello(&f);
    if (*at == 'o') put_observation(&f, observed++, OBS_DIM, false);
    if (*at == 'O') put_observation(&f, observed++, OBS_DIM - 1, false);
    if (*at == 'x') put_observation(&f, observed + 1, OBS_DIM, false);
    if (*at == 'e') put_observation(&f, observed++, 0, true);
    if (*at == 'c') put_command(&f, commanded++, ACTION_DIM);
    if (*at == 'C') put_command(&f, commanded++, ACTION_DIM - 1);
  }
  return read_forged(&f);
}

static void refuses_messages_that_do_not_make_an_episode(void** state) {
  (void)state;
  static const char* const cases[][2] = {
      {"", "holds no episode"},
      {"o", "observation before the hello"},
      {"hh", "second hello"},
      {"h", "step 0: has no command"},
      {"ho", "step 0: has no command"},
      {"hoo", "step 0: has no command"},
      {"hocoo", "step 1: has no command"},
      {"hx", "step 0: observation 1 comes next"},
      {"hc", "command without an observation"},
      {"hocc", "command without an observation"},
      {"he", "observation has 0 values, its signals 5"},
      {"hocO", "step 1: observation has 4 values, its signals 5"},
      {"hoC", "step 0: command has 1 values, its signals 2"},
      {"hoceo", "observation after the end"},
      {"hocec", "command without an observation"},
  };
  for (int i = 0; i < DPC_COUNT(cases); i++) {
    assert_fails(read_script(cases[i][0]), DPC_ERR_FORMAT, &error, cases[i][1]);
  }
  static const char* const whole[] = {"hoc", "hoco", "hoce", "hoococ", "hoocce"};
  for (int i = 0; i < DPC_COUNT(whole); i++) assert_ok(read_script(whole[i]), &error);
}

static void refuses_a_folder_without_episodes(void** state) {
  (void)state;
  dpc_episode_log* log = NULL;
  assert_fails(dpc_episode_log_open(dir, &log, &error), DPC_ERR_NOT_FOUND, &error, dir);
  assert_int_equal(mkdir(dir, 0777), 0);
  assert_fails(dpc_episode_log_open(dir, &log, &error), DPC_ERR_NOT_FOUND, &error, "no episodes");
  assert_fails(dpc_episode_log_open("/dev/null", &log, &error), DPC_ERR_IO, &error, "/dev/null");
  assert_null(log);
}

static int new_dir(void** state) {
  static int number;
  (void)state;
  (void)snprintf(dir, sizeof(dir), "%s/%d", base, number++);
  return 0;
}

static int make_base(void** state) {
  (void)state;
  return mkdtemp(base) == NULL;
}

static int remove_base(void** state) {
  (void)state;
  char command[PATH_SIZE];
  (void)snprintf(command, sizeof(command), "rm -r %s", base);
  return system(command);  // NOLINT(cert-env33-c): our own folder
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup(returns_what_was_recorded, new_dir),
      cmocka_unit_test_setup(lists_by_name_and_leaves_parts_alone, new_dir),
      cmocka_unit_test_setup(keeps_pictures_for_other_readers, new_dir),
      cmocka_unit_test_setup(refuses_a_value_that_is_not_finite, new_dir),
      cmocka_unit_test_setup(refuses_what_is_there_already, new_dir),
      cmocka_unit_test_setup(refuses_an_empty_episode, new_dir),
      cmocka_unit_test_setup(refuses_a_broken_interface, new_dir),
      cmocka_unit_test_setup(leaves_a_part_when_it_is_killed, new_dir),
      cmocka_unit_test_setup(leaves_nothing_when_the_disk_is_full, new_dir),
      cmocka_unit_test_setup(names_file_signal_and_step_of_a_nan, new_dir),
      cmocka_unit_test_setup(refuses_messages_that_do_not_make_an_episode, new_dir),
      cmocka_unit_test_setup(refuses_a_folder_without_episodes, new_dir),
  };
  return cmocka_run_group_tests_name("episode_log", tests, make_base, remove_base);
}
