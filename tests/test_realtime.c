// Real time, as the program itself runs: dpc-run and the push world as two processes over ZeroMQ. What
// the control thread does to the system once it has started, what happens where the privileges are not
// there, and latency as a setting. Nothing here looks at how long anything takes.

#include <unistd.h>

#include "tests/policy_base.h"
#include "tools/json.h"

static dpc_error error;

// dpc-run against a simulator that is there as long as it is; its exit code. Its messages are what
// `output` holds then.
static int drive(const char* before, const char* sim_pace, const char* settings) {
  return shell(
      "rm -f run.json calls robot; : > run.yaml;"
      "dpc-sim -q --pace %s --seeds 0:100000 --endpoint ipc://$PWD/robot link.dead_after=20 2> "
      "sim.log "
      "& sim=$!; %s dpc-run run.yaml run.policy=p.safetensors link.endpoint=ipc://$PWD/robot "
      "link.dead_after=20 run.warm_up=5 controller.action_min=0 controller.action_max=512 "
      "--json run.json %s 2>&1; code=$?; kill $sim; wait $sim; exit $code",
      sim_pace, before, settings);
}

static dpc_json* report(void) {
  char path[64];
  dpc_json* json = NULL;
  (void)snprintf(path, sizeof path, "%s/run.json", base);
  assert_ok(dpc_json_read(path, &json, &error), &error);
  return json;
}

static int64_t int_of(const dpc_json* object, const char* key) {
  int64_t value = -1;
  if (!dpc_json_as_int(dpc_json_get(object, key), &value)) fail_msg("no number '%s'", key);
  return value;
}

static bool bool_of(const dpc_json* object, const char* key) {
  bool value = false;
  if (!dpc_json_as_bool(dpc_json_get(object, key), &value)) fail_msg("no truth value '%s'", key);
  return value;
}

static void expect_output(const char* words) {
  if (strstr(output, words) == NULL) fail_msg("nobody says '%s', but: %s", words, output);
}

// --- what the threads do -------------------------------------------------------------------------

// The watch is for the machine's own calls, and sanitizers make some of theirs.
#if defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)

static const char WATCH[] =
    "WATCH_THREADS=calls LD_PRELOAD=" DPC_BINARY_DIR "/tests/libwatch_threads.so";

// Every kind of call that `thread` made is one of `allowed`, which ends with NULL, and it made each.
static void check_calls(const char* thread, const char* const* allowed) {
  assert_int_equal(shell("grep '^%s ' calls", thread), 0);
  int lines = 0;
  for (const char* line = output; *line != '\0'; line = strchr(line, '\n') + 1) {
    const char* name = strchr(line, ' ') + 1;
    const size_t length = strcspn(name, " ");
    int i = 0;
    while (allowed[i] != NULL &&
           (strlen(allowed[i]) != length || strncmp(name, allowed[i], length) != 0)) {
      ++i;
    }
    if (allowed[i] == NULL) fail_msg("%s calls %.*s: %s", thread, (int)length, name, output);
    ++lines;
  }
  int expected = 0;
  while (allowed[expected] != NULL) ++expected;
  assert_int_equal(lines, expected);
}

static const char* const on_time[] = {"clock_nanosleep", "eventfd_write", NULL};
static const char* const on_request[] = {"ppoll", "eventfd_read", NULL};
static const char* const on_mail[] = {"ppoll", "eventfd_write", "eventfd_read", NULL};

static void check_heap(const dpc_json* json, const char* thread) {
  const dpc_json* usage = dpc_json_get(dpc_json_get(json, "threads"), thread);
  assert_int_equal(int_of(usage, "heap_calls"), 0);
}

static void test_timer_sleeps_and_writes(void** state) {
  (void)state;
  assert_int_equal(drive(WATCH, "realtime",
                         "run.pace=timer controller.ticks_per_step=10 controller.delay=4 "
                         "run.duration=3"),
                   0);
  check_calls("dpc-control", on_time);
  check_calls("dpc-planner", on_request);
  dpc_json* json = report();
  assert_true(int_of(json, "ticks") > 50);
  assert_true(int_of(json, "plans") > 0);
  check_heap(json, "control");
  check_heap(json, "planner");
  dpc_json_free(json);
}

static void test_other_paces_wait_for_mail(void** state) {
  (void)state;
  static const char* const settings[][2] = {
      {"realtime", "run.pace=robot controller.delay=0 run.duration=2"},
      {"realtime", "run.pace=robot controller.delay=2 run.duration=2"},
      {"lockstep", "run.pace=lockstep run.episodes=1"},
  };
  for (int i = 0; i < DPC_COUNT(settings); ++i) {
    assert_int_equal(drive(WATCH, settings[i][0], settings[i][1]), 0);
    check_calls("dpc-control", on_mail);
    dpc_json* json = report();
    assert_true(int_of(json, "ticks") > 0);
    check_heap(json, "control");
    dpc_json_free(json);
  }
}

// A filter that lets everything pass unseen would prove nothing: the planner of a team, which wakes it
// with a futex, is caught.
static void test_the_watch_sees_what_is_there(void** state) {
  (void)state;
  assert_int_equal(drive(WATCH, "realtime",
                         "run.pace=timer controller.ticks_per_step=10 controller.delay=4 "
                         "run.duration=3 engine.threads=2"),
                   0);
  check_calls("dpc-control", on_time);
  assert_int_equal(shell("grep -c '^dpc-planner call_202 ' calls"), 0);
}

// With locked memory, no page is missing while the robot moves.
static void test_no_page_fault(void** state) {
  (void)state;
  int64_t least = INT64_MAX;
  for (int i = 0; i < 3 && least > 0; ++i) {  // the system may move a page at any time
    assert_int_equal(drive("", "realtime",
                           "run.pace=timer controller.ticks_per_step=10 controller.delay=4 "
                           "run.duration=2"),
                     0);
    dpc_json* json = report();
    const bool locked = bool_of(json, "memory_locked");
    const dpc_json* control = dpc_json_get(dpc_json_get(json, "threads"), "control");
    const dpc_json* planner = dpc_json_get(dpc_json_get(json, "threads"), "planner");
    const int64_t faults = int_of(control, "minor_faults") + int_of(control, "major_faults") +
                           int_of(planner, "minor_faults") + int_of(planner, "major_faults");
    dpc_json_free(json);
    if (!locked) {
      print_message("no locked memory for this user: skipped\n");
      skip();
    }
    if (faults < least) least = faults;
  }
  assert_int_equal(least, 0);
}

#endif

// --- privileges ----------------------------------------------------------------------------------

static void test_required_refuses_without_privileges(void** state) {
  (void)state;
  assert_int_equal(drive(NOBODY, "realtime", "run.rt=required run.duration=1"), 1);
  expect_output("rt: required");
  expect_output("CAP_SYS_NICE");
  if (LOCKING_IS_REAL) expect_output("CAP_IPC_LOCK");
  expect_output("prlimit --pid $$");
  assert_null(strstr(output, "waiting for the robot"));
}

// Root, with the two privileges; in a container even root may be without.
static bool entitled(void) {
  return geteuid() == 0 &&
         shell("setpriv --dump | grep '^Capability bounding' | grep sys_nice | grep -q ipc_lock") ==
             0;
}

// The two privileges that are named are all that it takes.
static void test_what_is_named_is_enough(void** state) {
  (void)state;
  if (!entitled()) skip();
  const char* const entitled =
      "setpriv --reuid=65534 --regid=65534 --clear-groups "
      "--inh-caps=-all,+dac_override,+sys_nice,+ipc_lock "
      "--ambient-caps=-all,+dac_override,+sys_nice,+ipc_lock "
      "--bounding-set=-all,+dac_override,+sys_nice,+ipc_lock";
  assert_int_equal(drive(entitled, "realtime", "run.pace=robot run.rt=required run.duration=1"), 0);
  dpc_json* json = report();
  assert_true(bool_of(json, "memory_locked"));
  assert_true(bool_of(dpc_json_get(dpc_json_get(json, "threads"), "control"), "realtime"));
  dpc_json_free(json);
}

static void test_preferred_says_so_and_goes_on(void** state) {
  (void)state;
  assert_int_equal(drive(NOBODY, "realtime", "run.rt=preferred run.duration=1"), 0);
  const char* said = strstr(output, "Going on without");
  assert_non_null(said);
  assert_null(strstr(said + 1, "Going on without"));
  dpc_json* json = report();
  if (LOCKING_IS_REAL) assert_false(bool_of(json, "memory_locked"));
  assert_false(bool_of(dpc_json_get(dpc_json_get(json, "threads"), "control"), "realtime"));
  assert_true(int_of(json, "ticks") > 0);
  dpc_json_free(json);
}

static void test_off_asks_for_nothing(void** state) {
  (void)state;
  assert_int_equal(drive("", "realtime", "run.rt=off run.duration=1 run.control_cpu=0"), 0);
  assert_null(strstr(output, "Going on without"));
  dpc_json* json = report();
  assert_false(bool_of(json, "memory_locked"));
  assert_false(bool_of(dpc_json_get(dpc_json_get(json, "threads"), "control"), "realtime"));
  dpc_json_free(json);
  assert_int_equal(drive("", "realtime", "run.rt=off run.control_cpu=1023"), 2);
  expect_output("CPU 1023");
}

// --- latency as a setting ------------------------------------------------------------------------

// A tick of 0.1 ms is shorter than the margin, whatever a plan takes.
#define TINY_TICKS "run.pace=timer controller.ticks_per_step=1000 run.duration=1 "

static void test_delay_that_is_too_small(void** state) {
  (void)state;
  assert_int_equal(drive("", "realtime", TINY_TICKS "controller.delay=1 run.rt=off"), 0);
  expect_output("plans will be late");
  if (!entitled()) return;
  assert_int_equal(drive("", "realtime", TINY_TICKS "controller.delay=1 run.rt=required"), 2);
  expect_output("controller.delay: 1 ticks, but a plan takes up to");
}

static void test_steps_are_chosen(void** state) {
  (void)state;
  // no time at all: as few as there are
  assert_int_equal(drive("", "realtime", TINY_TICKS "controller.delay=1 sampler.steps=-1"), 0);
  expect_output("denoising steps: 1 of the policy's 10, chosen");
  dpc_json* json = report();
  assert_int_equal(int_of(json, "steps"), 1);
  assert_int_equal(int_of(json, "delay"), 1);
  dpc_json_free(json);
  // in lock-step time does not matter: the policy's own
  assert_int_equal(
      drive("", "lockstep", "run.pace=lockstep run.episodes=1 sampler.steps=-1 run.warm_up=1"), 0);
  json = report();
  assert_int_equal(int_of(json, "steps"), 10);
  dpc_json_free(json);
  // and what is asked for is kept
  assert_int_equal(drive("", "realtime", "run.pace=robot run.duration=1 sampler.steps=3"), 0);
  json = report();
  assert_int_equal(int_of(json, "steps"), 3);
  dpc_json_free(json);
}

static void test_steps_of_none_are_refused(void** state) {
  (void)state;
  assert_int_equal(drive("", "lockstep", "sampler.steps=0"), 2);
  expect_output("sampler.steps: 0");
}

int main(void) {
  const struct CMUnitTest tests[] = {
#if defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    cmocka_unit_test(test_timer_sleeps_and_writes),
    cmocka_unit_test(test_other_paces_wait_for_mail),
    cmocka_unit_test(test_the_watch_sees_what_is_there),
    cmocka_unit_test(test_no_page_fault),
#endif
    cmocka_unit_test(test_required_refuses_without_privileges),
    cmocka_unit_test(test_what_is_named_is_enough),
    cmocka_unit_test(test_preferred_says_so_and_goes_on),
    cmocka_unit_test(test_off_asks_for_nothing),
    cmocka_unit_test(test_delay_that_is_too_small),
    cmocka_unit_test(test_steps_are_chosen),
    cmocka_unit_test(test_steps_of_none_are_refused),
  };
  return cmocka_run_group_tests_name("real time", tests, make_base_with_policy, remove_base);
}
