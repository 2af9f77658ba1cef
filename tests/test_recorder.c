// The flight recorder: what was put into the ring is in the file bit for bit, what is missing is said,
// and whatever happens to the disk, the one who puts goes on.

#include "runtime/recorder.h"

#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "policy/rng.h"
#include "proto/mcap.h"
#include "runtime/clock.h"
#include "runtime/tick_message.h"
#include "tests/test.h"

enum { OBS = 7, CHUNK = 12, ACTION = 3, PATH_SIZE = 256 };

static const dpc_tick_dims dims = {.obs = OBS, .chunk = CHUNK, .action = ACTION};
static char base[] = "/tmp/dpc-test-recorder-XXXXXX";
static dpc_arena arena;
static dpc_error error;
static dpc_interface robot;
static const dpc_run_setting settings[] = {{"controller.delay", "3"}, {"run.policy", "näher"}};
static dpc_run_info info;

static const char* in_base(const char* name) {
  static char path[4][PATH_SIZE];
  static int turn;
  turn = (turn + 1) % 4;
  (void)snprintf(path[turn], PATH_SIZE, "%s/%s", base, name);
  return path[turn];
}

static dpc_recorder* make_recorder(const char* path) {
  dpc_recorder* recorder = NULL;
  // so that the ring has the fewest records that it may have, and the memory too
  const dpc_recorder_def def = {
      .path = path, .info = &info, .dims = dims, .period = dpc_seconds(1)};
  assert_ok(dpc_recorder_create(&def, &arena, &recorder, &error), &error);
  return recorder;
}

// --- ticks -----------------------------------------------------------------------------------------

// Any bits at all, also those that are no number.
static void any_values(uint64_t n, uint32_t what, int count, float* out) {
  for (int i = 0; i < count; ++i) {
    uint32_t bits[4];
    dpc_rng_bits((dpc_rng_key){1, 2}, (uint32_t)n, what, (uint32_t)i, 0, bits);
    memcpy(&out[i], bits, sizeof *out);
  }
}

static void make_tick(uint64_t n, float* values, dpc_tick_record* out) {
  any_values(n, 0, OBS + CHUNK + ACTION, values);
  *out = (dpc_tick_record){
      .sequence = n,
      .times = {{(int64_t)n + 1}, {(int64_t)n + 2}, {(int64_t)n * 1000}, {(int64_t)n * 1000 + 9}},
      .input = {.tick = n + 5,
                .epoch = n / 100,
                .seed = UINT64_MAX - n,
                .fresh = n % 2 == 0,
                .obs = n % 11 == 0 ? NULL : values},
      .answered = n % 3 == 0,
      .output = {.mode = (dpc_mode)(n % 3),
                 .plan = (uint32_t)n,
                 .row = (int)(n % 9) - 1,
                 .adopted = n % 5 == 0,
                 .late = n % 7 == 0,
                 .gate = {.rejected = n % 13 == 0, .clamped = (int)(n % 4)},
                 .action = n % 17 == 0 ? NULL : values + OBS + CHUNK}};
  if (out->answered) {
    out->plan = (dpc_plan){.tick = n, .epoch = n / 100, .plan = (uint32_t)n, .failed = n % 6 == 0};
    out->plan.chunk = out->plan.failed ? NULL : values + OBS;
  }
  out->obs_count = out->input.obs != NULL ? OBS : 0;
  out->chunk_count = out->plan.chunk != NULL ? CHUNK : 0;
  out->action_count = out->output.action != NULL ? ACTION : 0;
}

static void put(dpc_recorder* recorder, uint64_t n) {
  float values[OBS + CHUNK + ACTION];
  dpc_tick_record tick;
  make_tick(n, values, &tick);
  dpc_tick_ring_put(dpc_recorder_ring(recorder), &tick.times, &tick.input,
                    tick.answered ? &tick.plan : NULL, &tick.output);
}

static void check_tick(const dpc_tick_record* tick) {
  float values[OBS + CHUNK + ACTION];
  dpc_tick_record expected;
  dpc_wire_difference d;
  make_tick(tick->sequence, values, &expected);
  if (dpc_wire_differs(&dpc_tick_table, ~0, &expected, tick, &d)) {
    fail_msg("tick %d: %s was %s, is %s", (int)tick->sequence, d.field, d.a, d.b);
  }
}

// Wait until the recorder has emptied the ring; nothing depends on how long that takes.
static void wait_until_empty(dpc_recorder* recorder) {
  for (;;) {
    (void)dpc_recorder_result_of(recorder);
    if (dpc_tick_ring_first(dpc_recorder_ring(recorder)) == NULL) return;
    dpc_clock_sleep_until(dpc_time_after(dpc_clock_now(), dpc_seconds(0.005)));
  }
}

// --- files -----------------------------------------------------------------------------------------

typedef struct content {
  uint64_t ticks, first, last, gaps, missing;
  dpc_run_log_event done;
} content;

static content read_file(const char* path) {
  content c = {0};
  dpc_run_log* log = NULL;
  assert_ok(dpc_run_log_open(path, &dpc_tick_table, &log, &error), &error);
  const dpc_run_info* read = dpc_run_log_info(log);
  assert_string_equal(read->software, "a test");
  assert_string_equal(read->weights_sha256, "abc");
  assert_int_equal(read->setting_count, 2);
  assert_string_equal(read->settings[1].value, "näher");
  assert_memory_equal(read->robot, &robot, sizeof robot);
  assert_true(read->start_ns > 0 && read->start_unix_ns > read->start_ns);
  for (;;) {
    dpc_tick_record tick = {0};
    dpc_run_log_event event;
    assert_ok(dpc_run_log_read(log, &tick, &event, &error), &error);
    if (event.kind == DPC_RUN_LOG_DONE) {
      c.done = event;
      break;
    }
    if (event.kind == DPC_RUN_LOG_GAP) {
      assert_int_equal(event.gap.sequence, c.ticks == 0 ? 0 : c.last + 1);
      ++c.gaps;
      c.missing += event.gap.count;
      continue;
    }
    check_tick(&tick);
    if (c.ticks++ == 0) c.first = tick.sequence;
    c.last = tick.sequence;
  }
  dpc_run_log_free(log);
  return c;
}

// So many ticks, none of which is too early for the disk.
static dpc_recorder_result record_calmly(dpc_recorder* recorder, uint64_t ticks) {
  assert_ok(dpc_recorder_start(recorder, &error), &error);
  for (uint64_t n = 0; n < ticks; ++n) {
    if (n % 200 == 0) wait_until_empty(recorder);
    put(recorder, n);
  }
  dpc_recorder_stop(recorder);
  return dpc_recorder_result_of(recorder);
}

// --- tests -----------------------------------------------------------------------------------------

static void every_bit_is_kept(void** state) {
  (void)state;
  enum { TICKS = 3000 };
  dpc_recorder* recorder = make_recorder(in_base("whole.mcap"));
  assert_int_equal(access(in_base("whole.mcap.part"), F_OK), 0);
  const dpc_recorder_result result = record_calmly(recorder, TICKS);
  assert_true(result.complete);
  assert_int_equal(result.ticks, TICKS);
  assert_int_equal(result.dropped + result.unwritten, 0);
  assert_string_equal(result.path, in_base("whole.mcap"));
  dpc_recorder_destroy(recorder);
  assert_int_not_equal(access(in_base("whole.mcap.part"), F_OK), 0);
  const content c = read_file(in_base("whole.mcap"));
  assert_int_equal(c.ticks, TICKS);
  assert_int_equal(c.gaps, 0);
  assert_false(c.done.cut);
  assert_int_equal(c.done.end.ticks, TICKS);
}

// Nobody empties the ring, then somebody does, and again nobody until the end.
static void an_overflow_is_a_gap(void** state) {
  (void)state;
  dpc_recorder* recorder = make_recorder(in_base("gaps.mcap"));
  for (uint64_t n = 0; n < 3000; ++n) put(recorder, n);
  const uint64_t dropped = dpc_tick_ring_dropped(dpc_recorder_ring(recorder));
  assert_true(dropped > 0 && dropped < 3000);
  assert_ok(dpc_recorder_save_last(recorder, in_base("saved.mcap"), &error), &error);  // empties it
  for (uint64_t n = 3000; n < 6000; ++n) put(recorder, n);
  dpc_recorder_stop(recorder);
  assert_int_equal(dpc_recorder_result_of(recorder).dropped, 2 * dropped);
  dpc_recorder_destroy(recorder);
  const content c = read_file(in_base("gaps.mcap"));
  assert_int_equal(c.gaps, 2);
  assert_int_equal(c.missing, 2 * dropped);
  assert_int_equal(c.ticks, 6000 - 2 * dropped);
  assert_int_equal(c.done.end.dropped, 2 * dropped);
}

static void the_last_are_saved_while_it_runs(void** state) {
  (void)state;
  dpc_recorder* recorder = make_recorder("");
  assert_ok(dpc_recorder_start(recorder, &error), &error);
  for (uint64_t n = 0; n < 1000; ++n) {
    if (n % 100 == 0) wait_until_empty(recorder);
    put(recorder, n);
  }
  assert_ok(dpc_recorder_save_last(recorder, in_base("faults"), &error), &error);
  for (uint64_t n = 1000; n < 1010; ++n) put(recorder, n);
  assert_ok(dpc_recorder_save_last(recorder, in_base("faults"), &error), &error);
  dpc_recorder_stop(recorder);
  assert_string_equal(dpc_recorder_result_of(recorder).path, "");
  assert_int_equal(dpc_recorder_result_of(recorder).unwritten, 0);
  dpc_recorder_destroy(recorder);
  const content first = read_file(in_base("faults/run_000000.mcap"));
  assert_int_equal(first.last, 999);
  assert_int_equal(first.ticks + first.missing, 1000);
  assert_true(first.ticks >= 2);
  const content second = read_file(in_base("faults/run_000001.mcap"));
  assert_int_equal(second.last, 1009);
  assert_int_equal(second.ticks, first.ticks);
}

static void names_of_files(void** state) {
  (void)state;
  dpc_recorder* recorder = NULL;
  dpc_recorder_destroy(make_recorder(in_base("named.mcap")));
  const dpc_recorder_def twice = {
      .path = in_base("named.mcap"), .info = &info, .dims = dims, .period = dpc_seconds(1)};
  const size_t mark = dpc_arena_mark(&arena);
  assert_fails(dpc_recorder_create(&twice, &arena, &recorder, &error), DPC_ERR_IO, &error,
               "named.mcap: already there");
  assert_int_equal(dpc_arena_mark(&arena), mark);
  const dpc_recorder_def nowhere = {
      .path = in_base("no/where"), .info = &info, .dims = dims, .period = dpc_seconds(1)};
  assert_fails(dpc_recorder_create(&nowhere, &arena, &recorder, &error), DPC_ERR_IO, &error,
               "no/where: No such file");
  // what an earlier run has left unfinished keeps its number
  dpc_recorder* left = make_recorder(in_base("many"));
  dpc_recorder_destroy(make_recorder(in_base("many")));
  assert_int_equal(access(in_base("many/run_000001.mcap"), F_OK), 0);
  dpc_recorder_destroy(left);
  assert_int_equal(read_file(in_base("many/run_000000.mcap")).ticks, 0);
}

// The process dies: what was flushed is there.
static void killed(void** state) {
  (void)state;
  const pid_t child = fork();
  if (child == 0) {
    dpc_run_log_writer* log = NULL;
    info.start_ns = 1;
    info.start_unix_ns = 2;
    if (dpc_run_log_create(in_base("killed.mcap"), &info, &dpc_tick_table, &log, &error) != 0) {
      _exit(1);
    }
    for (uint64_t n = 0; n < 1000; ++n) {
      float values[OBS + CHUNK + ACTION];
      dpc_tick_record tick;
      make_tick(n, values, &tick);
      if (dpc_run_log_tick(log, tick.times.start.ns, &tick, &error) != DPC_OK) _exit(1);
      if (n == 600 && dpc_run_log_flush(log, &error) != DPC_OK) _exit(1);
    }
    raise(SIGKILL);
  }
  int status = 0;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_true(WIFSIGNALED(status));
  const content c = read_file(in_base("killed.mcap.part"));
  assert_true(c.done.cut);
  assert_true(c.ticks >= 601 && c.last == c.ticks - 1);
  // under a finished file's name it is a damaged one
  assert_int_equal(rename(in_base("killed.mcap.part"), in_base("killed.mcap")), 0);
  dpc_run_log* log = NULL;
  assert_ok(dpc_run_log_open(in_base("killed.mcap"), &dpc_tick_table, &log, &error), &error);
  dpc_status read = DPC_OK;
  dpc_run_log_event event = {0};
  while (read == DPC_OK) {
    dpc_tick_record tick = {0};
    read = dpc_run_log_read(log, &tick, &event, &error);
    assert_int_not_equal(event.kind, DPC_RUN_LOG_DONE);
  }
  assert_int_equal(read, DPC_ERR_FORMAT);
  dpc_run_log_free(log);
}

// In a mount namespace of our own, which goes with this process.
static void a_full_disk_stops_nothing(void** state) {
  (void)state;
  const char* disk = in_base("disk");
  mkdir(disk, 0700);
  if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
      mount("tmpfs", disk, "tmpfs", 0, "size=256k") != 0) {
    print_message("skipped: a small disk cannot be mounted here\n");
    skip();
  }
  enum { TICKS = 8000 };
  dpc_recorder* recorder = make_recorder(in_base("disk/full.mcap"));
  const dpc_recorder_result result = record_calmly(recorder, TICKS);
  assert_false(result.complete);
  assert_int_equal(result.dropped, 0);
  assert_true(result.unwritten > 0 && result.unwritten < TICKS);
  assert_string_equal(result.path, in_base("disk/full.mcap.part"));
  const content c = read_file(result.path);
  assert_true(c.done.cut);
  assert_true(c.ticks >= TICKS - result.unwritten && c.last == c.ticks - 1);
  assert_fails(dpc_recorder_save_last(recorder, in_base("disk/last.mcap"), &error), DPC_ERR_IO,
               &error, "No space left");
  dpc_recorder_destroy(recorder);
  umount(disk);
}

// A copy of a recording with the message of one topic again at its end.
static void copy_with_another(const char* from, const char* topic, const char* to) {
  static const dpc_mcap_channel channels[] = {
      {"/run", "", "", 0}, {"/hello", "", "", 0}, {"/tick", "", "", 0}};
  dpc_mcap_reader* in = NULL;
  dpc_mcap_writer* out = NULL;
  assert_ok(dpc_mcap_writer_create(to, channels, DPC_COUNT(channels), &out, &error), &error);
  for (int pass = 0; pass < 2; ++pass) {
    bool end = false;
    assert_ok(dpc_mcap_reader_open(from, &in, &error), &error);
    while (!end) {
      dpc_mcap_message m;
      assert_ok(dpc_mcap_read(in, &m, &end, &error), &error);
      for (int c = 0; !end && c < DPC_COUNT(channels); ++c) {
        if (strcmp(m.topic, channels[c].topic) != 0) continue;
        if (pass == 1 && strcmp(m.topic, topic) != 0) continue;
        assert_ok(dpc_mcap_write(out, c, m.time_ns, m.data, m.size, &error), &error);
      }
    }
    dpc_mcap_reader_close(in);
  }
  assert_ok(dpc_mcap_writer_finish(out, &error), &error);
}

// Whoever reads has made room for the robot that a recording begins with: another one is refused.
static void a_second_beginning_is_refused(void** state) {
  (void)state;
  static const char* const topics[] = {"/run", "/hello"};
  dpc_recorder* recorder = make_recorder(in_base("once.mcap"));
  for (uint64_t n = 0; n < 3; ++n) put(recorder, n);
  dpc_recorder_stop(recorder);
  dpc_recorder_destroy(recorder);
  for (int i = 0; i < DPC_COUNT(topics); ++i) {
    copy_with_another(in_base("once.mcap"), topics[i], in_base("twice.mcap"));
    dpc_run_log* log = NULL;
    assert_ok(dpc_run_log_open(in_base("twice.mcap"), &dpc_tick_table, &log, &error), &error);
    for (int tick = 0; tick < 4; ++tick) {
      dpc_tick_record record = {0};
      dpc_run_log_event event;
      const dpc_status status = dpc_run_log_read(log, &record, &event, &error);
      if (tick < 3) assert_ok(status, &error);
      if (tick == 3) assert_fails(status, DPC_ERR_FORMAT, &error, "twice.mcap: begins twice");
    }
    dpc_run_log_free(log);
  }
}

static void what_is_no_recording(void** state) {
  (void)state;
  dpc_run_log* log = NULL;
  assert_fails(dpc_run_log_open(in_base("nowhere.mcap"), &dpc_tick_table, &log, &error), DPC_ERR_IO,
               &error, "nowhere.mcap: No such file");
  const char* episode = DPC_SOURCE_DIR "/sim/demonstrations/episode_000000.mcap";
  assert_fails(dpc_run_log_open(episode, &dpc_tick_table, &log, &error), DPC_ERR_FORMAT, &error,
               "not the recording of a run");
}

static int setup_all(void** state) {
  (void)state;
  assert_non_null(mkdtemp(base));
  robot.period_ns = 100000000;
  dpc_layout_add(&robot.obs, "joints", OBS, "rad", NULL);
  dpc_layout_add(&robot.action, "joints", ACTION, "rad", NULL);
  info = (dpc_run_info){.software = "a test",
                        .build = "",
                        .policy = "/some/where",
                        .weights_sha256 = "abc",
                        .isa = "plain",
                        .precision = "fp32",
                        .setting_count = DPC_COUNT(settings),
                        .settings = settings,
                        .robot = &robot};
  return 0;
}

static int teardown_all(void** state) {
  (void)state;
  char command[PATH_SIZE];
  (void)snprintf(command, sizeof command, "rm -r %s", base);
  return system(command);
}

static int setup(void** state) {
  (void)state;
  assert_ok(dpc_arena_map(&arena, (size_t)16 << 20, &error), &error);
  return 0;
}

static int teardown(void** state) {
  (void)state;
  dpc_arena_unmap(&arena);
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(every_bit_is_kept, setup, teardown),
      cmocka_unit_test_setup_teardown(an_overflow_is_a_gap, setup, teardown),
      cmocka_unit_test_setup_teardown(the_last_are_saved_while_it_runs, setup, teardown),
      cmocka_unit_test_setup_teardown(names_of_files, setup, teardown),
      cmocka_unit_test_setup_teardown(killed, setup, teardown),
      cmocka_unit_test_setup_teardown(a_second_beginning_is_refused, setup, teardown),
      cmocka_unit_test_setup_teardown(what_is_no_recording, setup, teardown),
      cmocka_unit_test_setup_teardown(a_full_disk_stops_nothing, setup, teardown),
  };
  return cmocka_run_group_tests_name("recorder", tests, setup_all, teardown_all);
}
