// Runs in real time, recorded and computed again: dpc-run and a push world as two processes, with plans
// that are late, ticks that are missed and robots that are lost; and what was changed afterwards is found.

#include <inttypes.h>
#include <unistd.h>

#include "proto/run_log.h"
#include "runtime/tick_message.h"
#include "tests/shell.h"
#include "tests/small_policy.h"
#include "tools/json.h"

#define POLICY DPC_SOURCE_DIR "/policy/pretrained/pusht.safetensors"

static dpc_error error;

static const char* in_base(const char* name) {
  static char path[4][128];
  static int turn;
  turn = (turn + 1) % 4;
  (void)snprintf(path[turn], sizeof path[turn], "%s/%s", base, name);
  return path[turn];
}

// --- what programs say -----------------------------------------------------------------------------

static dpc_json* read_json(const char* name) {
  dpc_json* json = NULL;
  assert_ok(dpc_json_read(in_base(name), &json, &error), &error);
  return json;
}

static int64_t integer(const dpc_json* json, const char* key) {
  int64_t value = -1;
  if (!dpc_json_as_int(dpc_json_get(json, key), &value)) fail_msg("no integer '%s'", key);
  return value;
}

static bool truth(const dpc_json* json, const char* key) {
  bool value = false;
  if (!dpc_json_as_bool(dpc_json_get(json, key), &value)) fail_msg("no truth value '%s'", key);
  return value;
}

// Replay a recording; what it reports is the caller's.
static dpc_json* replay(const char* name, int code) {
  const int got = shell("dpc-replay -q %s --json replay.json 2>&1", name);
  if (got != code) fail_msg("dpc-replay %s: %d: %s", name, got, output);
  return read_json("replay.json");
}

static void assert_equal_bits(const char* name, int64_t ticks_min) {
  dpc_json* report = replay(name, 0);
  assert_true(truth(report, "equal"));
  assert_true(integer(report, "ticks") >= ticks_min);
  assert_int_equal(integer(report, "compared"), integer(report, "ticks"));
  assert_int_equal(integer(report, "gaps"), 0);
  dpc_json_free(report);
}

static void assert_difference(const char* name, uint64_t sequence, const char* field) {
  dpc_json* report = replay(name, 1);
  assert_false(truth(report, "equal"));
  const dpc_json* first = dpc_json_get(report, "first_difference");
  assert_int_equal(integer(first, "sequence"), sequence);
  assert_string_equal(dpc_json_as_text(dpc_json_get(first, "field")), field);
  dpc_json_free(report);
}

// --- runs ------------------------------------------------------------------------------------------

#define SIM "dpc-sim link.dead_after=20 --endpoint ipc://$PWD/robot"
#define RUN                                                                                   \
  "dpc-run empty.yaml link.endpoint=ipc://$PWD/robot run.warm_up=5 link.dead_after=1 --json " \
  "run.json"

// A push world in real time, and a controller that drives it for a while.
static dpc_json* drive(const char* settings) {
  const int code =
      shell("{ " SIM " --pace realtime --seeds 100000:100009 >sim.log 2>&1 & } ; sim=$!; " RUN
            " %s 2>run.log; code=$?; kill $sim; wait; exit $code",
            settings);
  if (code != 0) fail_msg("dpc-run %s: %d: %s", settings, code, output);
  return read_json("run.json");
}

static void test_lockstep(void** state) {
  (void)state;
  for (int delay = 0; delay <= 3; delay += 3) {
    char name[32];
    (void)snprintf(name, sizeof name, "lockstep_%d.mcap", delay);
    assert_int_equal(
        shell(SIM " --pace lockstep --seeds 100000:100002 >sim.log 2>&1 & " RUN
                  " run.policy=small.safetensors run.pace=lockstep controller.delay=%d "
                  "run.record=%s 2>run.log && wait",
              delay, name),
        0);
    assert_non_null(strstr(output, "recorded in lockstep_"));
    dpc_json* report = read_json("run.json");
    const dpc_json* record = dpc_json_get(report, "record");
    assert_true(truth(record, "complete"));
    assert_int_equal(integer(record, "ticks"), integer(report, "ticks"));
    assert_int_equal(integer(record, "dropped"), 0);
    assert_equal_bits(name, integer(report, "ticks"));
    dpc_json_free(report);
  }
}

// The planner has its own thread, and the robot its own clock. A folder gets the next number.
static void test_real_time(void** state) {
  (void)state;
  static const char* const paces[] = {"robot", "timer"};
  for (int i = 0; i < DPC_COUNT(paces); ++i) {
    char settings[256], name[64];
    (void)snprintf(settings, sizeof settings,
                   "run.policy=small.safetensors run.pace=%s controller.delay=%d run.duration=2 "
                   "run.record=runs controller.seed=7 controller.n_actions=4",
                   paces[i], i + 1);
    dpc_json* report = drive(settings);
    assert_true(integer(report, "ticks") >= 1);
    (void)snprintf(name, sizeof name, "runs/run_%06d.mcap", i);
    assert_equal_bits(name, integer(report, "ticks"));
    dpc_json_free(report);
  }
}

// A plan of 100 steps takes longer than the 2 ms that a delay of one tick leaves: which tick it came at,
// only the recording knows. The process is also stopped for a while, and its robot killed and replaced. On a
// slow machine plans may take longer than a second, which is no fault here.
static void test_late_plans_and_faults(void** state) {
  (void)state;
  const int code =
      shell("{ " SIM " --pace realtime --seeds 100000:100009 >sim1.log 2>&1 & } ; first=$!; { " RUN
            " run.policy=%s sampler.steps=100 run.pace=timer controller.ticks_per_step=50 "
            "controller.delay=1 controller.fault_age=10 run.duration=6 run.record=faults.mcap "
            ">run.log 2>&1 & } ; run=$!; "
            "sleep 2; kill -STOP $run; sleep 0.3; kill -CONT $run; sleep 0.5; kill -KILL $first; "
            "sleep 1.2; { " SIM
            " --pace realtime --seeds 100005:100009 >sim2.log 2>&1 & } ; second=$!; "
            "wait $run; code=$?; kill $second; wait; exit $code",
            POLICY);
  assert_int_equal(code, 0);
  dpc_json* report = read_json("run.json");
  assert_true(integer(report, "late_plans") > 0);
  assert_equal_bits("faults.mcap", integer(report, "ticks"));
  dpc_json_free(report);
}

static void test_killed(void** state) {
  (void)state;
  assert_int_equal(
      shell("{ " SIM " --pace realtime --seeds 100000:100009 >sim.log 2>&1 & } ; sim=$!; "
            "{ " RUN " run.policy=small.safetensors run.pace=timer controller.delay=5 "
            "controller.ticks_per_step=10 run.record=killed.mcap >run.log 2>&1 & } ; "
            "run=$!; while ! grep -q connected run.log; do sleep 0.1; done; sleep 3; "
            "kill -KILL $run; kill $sim; wait; true"),
      0);
  dpc_json* report = replay("killed.mcap.part", 0);
  assert_true(truth(report, "equal"));
  assert_true(truth(report, "cut"));
  assert_true(integer(report, "ticks") >= 1);
  dpc_json_free(report);
}

// Limits, splines and settled rows; the robot is stopped until that is a fault, which is acknowledged.
// Without a recording the last two seconds before the fault are kept.
static void test_fault_within_limits(void** state) {
  (void)state;
  for (int recorded = 1; recorded >= 0; --recorded) {
    const int code = shell(
        "{ " SIM " --pace realtime --seeds 100000:100009 >sim.log 2>&1 & } ; sim=$!; { " RUN
        " run.policy=small.safetensors run.pace=timer controller.ticks_per_step=10 "
        "controller.delay=3 controller.interpolation=cubic controller.switching=prefix "
        "controller.hold_age=0.15 controller.fault_age=0.3 run.duration=4 link.dead_after=5 "
        "controller.limits='[* low=0 high=512 speed=200 acceleration=2000 jerk=40000]' "
        "%s >run.log 2>&1 & } ; run=$!; "
        "for i in $(seq 100); do grep -q connected run.log && break; sleep 0.1; done; sleep 1; "
        "kill -STOP $sim; "
        "for i in 1 2 3 4 5 6 7 8 9; do sleep 0.1; grep -q 'fault: ' run.log && break; done; "
        "kill -CONT $sim; sleep 0.3; dpc-ack ipc://$PWD/robot; wait $run; code=$?; kill $sim; "
        "wait; cat run.log; exit $code",
        recorded ? "run.record=limits.mcap" : "");
    if (code != 0) fail_msg("%s", output);
    dpc_json* report = read_json("run.json");
    assert_true(integer(report, "faults") > 0);
    assert_true(integer(report, "limited_values") > 0);
    assert_true(truth(report, "stopped"));
    if (recorded) {
      assert_equal_bits("limits.mcap", integer(report, "ticks"));
      assert_int_not_equal(shell("ls fault_*.mcap 2>&1"), 0);
    } else {
      assert_non_null(strstr(output, "what led to it is in fault_"));
      assert_int_equal(shell("for f in fault_*.mcap; do dpc-inspect $f || exit 1; done"), 0);
    }
    dpc_json_free(report);
  }
}

// --- changed afterwards ----------------------------------------------------------------------------

typedef struct edit {
  const char *from, *to;
  uint64_t drop_first, drop_end;  // ticks that are left out
  uint64_t at;                    // the tick that is changed
  void (*change)(dpc_tick_record* tick, float* values);
  const char *setting, *value;  // one that is changed
  float high;                   // of the robot's own limits; 0: as it was
} edit;

static void copy_ticks(const edit* e, dpc_run_log* log, dpc_run_log_writer* writer) {
  for (;;) {
    dpc_tick_record tick = {0};
    dpc_run_log_event event;
    assert_ok(dpc_run_log_read(log, &tick, &event, &error), &error);
    if (event.kind == DPC_RUN_LOG_DONE) {
      assert_ok(dpc_run_log_close(writer, &event.end, &error), &error);
      return;
    }
    assert_int_equal(event.kind, DPC_RUN_LOG_TICK);
    if (tick.sequence >= e->drop_first && tick.sequence < e->drop_end) continue;
    float values[64];
    if (e->change != NULL && tick.sequence == e->at) e->change(&tick, values);
    assert_ok(dpc_run_log_tick(writer, tick.times.start.ns, &tick, &error), &error);
  }
}

static void copy(edit e) {
  dpc_run_log* log = NULL;
  dpc_run_log_writer* writer = NULL;
  dpc_run_setting settings[DPC_RUN_SETTING_MAX];
  assert_ok(dpc_run_log_open(in_base(e.from), &dpc_tick_table, &log, &error), &error);
  dpc_run_info info = *dpc_run_log_info(log);
  for (int i = 0; i < info.setting_count; ++i) {
    settings[i] = info.settings[i];
    if (e.setting != NULL && strcmp(settings[i].key, e.setting) == 0) settings[i].value = e.value;
  }
  info.settings = settings;
  dpc_interface robot = *info.robot;
  if (e.high > 0) dpc_interface_limit(&robot, "action", DPC_LIMIT_HIGH, (float[]){e.high, e.high});
  info.robot = &robot;
  unlink(in_base(e.to));
  assert_ok(dpc_run_log_create(in_base(e.to), &info, &dpc_tick_table, &writer, &error), &error);
  copy_ticks(&e, log, writer);
  dpc_run_log_free(log);
}

static void flip(const float** values, int count, int at, uint32_t bit, float* room) {
  uint32_t bits;
  assert_true(at < count && count <= 64);
  memcpy(room, *values, sizeof(float) * (size_t)count);
  memcpy(&bits, &room[at], sizeof bits);
  bits ^= bit;
  memcpy(&room[at], &bits, sizeof bits);
  *values = room;
}

static void change_command(dpc_tick_record* tick, float* room) {
  flip(&tick->output.action, tick->action_count, 1, 1, room);
}

// By a tenth: less could be lost where the network rounds.
static void change_observation(dpc_tick_record* tick, float* room) {
  flip(&tick->input.obs, tick->obs_count, 0, 1 << 20, room);
}

static void change_chunk(dpc_tick_record* tick, float* room) {
  flip(&tick->plan.chunk, tick->chunk_count, 31, 1, room);
}

static void change_row(dpc_tick_record* tick, float* room) {
  (void)room;
  ++tick->output.row;
}

static void change_arrival(dpc_tick_record* tick, float* room) {
  (void)room;
  ++tick->plan.plan;
}

// In lock-step without delay with 8 rows a plan, a plan is asked for and comes at every eighth tick.
static void test_changes_are_found(void** state) {
  (void)state;
  const struct {
    edit e;
    uint64_t found;
    const char* field;
  } cases[] = {
      {{.at = 37, .change = change_command}, 37, "command[1]"},
      {{.at = 40, .change = change_chunk}, 40, "chunk[31]"},
      {{.at = 40, .change = change_observation}, 40, "chunk[0]"},
      {{.at = 43, .change = change_row}, 43, "row"},
      {{.at = 48, .change = change_arrival}, 48, "plan"},
      {{.setting = "controller.seed", .value = "8"}, 0, "chunk[0]"},
      {{.setting = "controller.action_max", .value = "10"}, 0, "clamped"},
      {{.setting = "sampler.steps", .value = "9"}, 0, "chunk[0]"},
      {{.high = 10}, 0, "clamped"},
  };
  for (int i = 0; i < DPC_COUNT(cases); ++i) {
    edit e = cases[i].e;
    e.from = "lockstep_0.mcap";
    e.to = "changed.mcap";
    copy(e);
    assert_difference("changed.mcap", cases[i].found, cases[i].field);
  }
  copy((edit){.from = "lockstep_0.mcap", .to = "changed.mcap"});
  assert_equal_bits("changed.mcap", 1);
}

// Two episodes of 300 ticks. After the gap comparing goes on with the second.
static void test_gaps(void** state) {
  (void)state;
  copy((edit){.from = "lockstep_3.mcap", .to = "gap.mcap", .drop_first = 100, .drop_end = 120});
  dpc_json* report = replay("gap.mcap", 0);
  assert_int_equal(integer(report, "gaps"), 1);
  assert_int_equal(integer(report, "missing_ticks"), 20);
  assert_int_equal(integer(report, "ticks"), 580);
  assert_int_equal(integer(report, "compared"), 400);
  dpc_json_free(report);
  const struct {
    uint64_t at;
    int code;
  } cases[] = {{99, 1}, {120, 0}, {299, 0}, {300, 1}, {599, 1}};
  for (int i = 0; i < DPC_COUNT(cases); ++i) {
    copy((edit){.from = "lockstep_3.mcap",
                .to = "gap.mcap",
                .drop_first = 100,
                .drop_end = 120,
                .at = cases[i].at,
                .change = change_command});
    dpc_json_free(replay("gap.mcap", cases[i].code));
  }
  // over the beginning of the second, nothing after it can be compared; over its end, all before it
  copy((edit){.from = "lockstep_3.mcap", .to = "gap.mcap", .drop_first = 290, .drop_end = 301});
  report = replay("gap.mcap", 0);
  assert_int_equal(integer(report, "compared"), 290);
  dpc_json_free(report);
  copy((edit){.from = "lockstep_3.mcap", .to = "gap.mcap", .drop_first = 500, .drop_end = 600});
  report = replay("gap.mcap", 0);
  assert_int_equal(integer(report, "compared"), 500);
  assert_int_equal(integer(report, "missing_ticks"), 100);
  dpc_json_free(report);
  copy((edit){.from = "lockstep_3.mcap", .to = "gap.mcap", .drop_first = 0, .drop_end = 310});
  assert_int_equal(shell("dpc-replay -q gap.mcap 2>&1"), 1);
  assert_non_null(strstr(output, "no tick can be compared"));
}

// --- the policy, and other files -------------------------------------------------------------------

static void test_the_policy(void** state) {
  (void)state;
  assert_int_equal(
      shell("mv small.safetensors moved.safetensors; dpc-replay -q lockstep_0.mcap 2>&1"), 1);
  assert_non_null(strstr(output, "small.safetensors"));
  assert_int_equal(shell("dpc-replay -q lockstep_0.mcap --policy moved.safetensors"), 0);
  assert_int_equal(shell("dpc-replay -q lockstep_0.mcap --policy %s 2>&1", POLICY), 1);
  assert_non_null(strstr(output, "not the policy of this run"));
  assert_int_equal(shell("mv moved.safetensors small.safetensors"), 0);
}

static void test_usage(void** state) {
  (void)state;
  assert_int_equal(shell("dpc-replay 2>/dev/null"), 2);
  assert_int_equal(shell("dpc-replay lockstep_0.mcap --world x 2>/dev/null"), 2);
  assert_int_equal(shell("dpc-replay --world x --policy y 2>/dev/null"), 2);
  assert_int_equal(shell("dpc-replay nowhere.mcap 2>&1"), 1);
  assert_non_null(strstr(output, "nowhere.mcap: No such file"));
  assert_int_equal(
      shell("dpc-replay " DPC_SOURCE_DIR "/sim/demonstrations/episode_000000.mcap 2>&1"), 1);
  assert_non_null(strstr(output, "not the recording of a run"));
}

static void test_inspect(void** state) {
  (void)state;
  assert_int_equal(shell("dpc-inspect lockstep_3.mcap --json inspect.json"), 0);
  dpc_json* report = read_json("inspect.json");
  assert_int_equal(integer(report, "ticks"), 600);
  assert_int_equal(integer(report, "epochs"), 2);
  assert_int_equal(integer(report, "late_plans"), 0);
  assert_int_equal(integer(report, "active") + integer(report, "hold"), 600);
  assert_false(truth(report, "cut"));
  dpc_json_free(report);
  assert_int_equal(shell("dpc-inspect killed.mcap.part"), 0);
  assert_non_null(strstr(output, "cut off"));
}

static int setup_all(void** state) {
  (void)state;
  dpc_arena arena;
  assert_non_null(mkdtemp(base));
  assert_ok(dpc_arena_map(&arena, (size_t)256 << 20, &error), &error);
  assert_ok(small_policy_save(in_base("small.safetensors"), &arena, &error), &error);
  dpc_arena_unmap(&arena);
  return shell("echo 'controller: {}' >empty.yaml");
}

static int teardown_all(void** state) {
  (void)state;
  return shell("rm -r %s", base);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_lockstep),
      cmocka_unit_test(test_real_time),
      cmocka_unit_test(test_late_plans_and_faults),
      cmocka_unit_test(test_killed),
      cmocka_unit_test(test_fault_within_limits),
      cmocka_unit_test(test_changes_are_found),
      cmocka_unit_test(test_gaps),
      cmocka_unit_test(test_the_policy),
      cmocka_unit_test(test_usage),
      cmocka_unit_test(test_inspect),
  };
  return cmocka_run_group_tests_name("run replay", tests, setup_all, teardown_all);
}
