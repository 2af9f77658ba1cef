// Robots in processes of their own, driven over the link: dpc-sim, and the one in Python.
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/clock.h"
#include "runtime/link.h"
#include "sim/push_task.h"
#include "tests/test.h"
#include "tools/json.h"

enum { ARENA_SIZE = 2 << 20, PATIENCE_S = 30 };

static const char SIM[] = DPC_BINARY_DIR "/dpc-sim";
static const char PYTHON_ROBOT[] = DPC_SOURCE_DIR "/tools/examples/robot.py";
static char folder[] = "/tmp/dpc_robots_XXXXXX";
static dpc_error error;

// --- a robot and a controller ---------------------------------------------------------------------

typedef struct session {
  pid_t robot;
  dpc_arena arena;
  dpc_link* link;
  dpc_push_task* twin;  // the same world in this process
} session;

// A path in the folder; four are good at a time.
static const char* inside(const char* name) {
  static char paths[4][96];
  static int next = 0;
  next = (next + 1) % 4;
  snprintf(paths[next], sizeof paths[next], "%s/%s", folder, name);
  return paths[next];
}

// Standard output and error go to files in the folder.
static pid_t start(const char* const* argv) {
  const pid_t child = fork();
  assert_true(child >= 0);
  if (child > 0) return child;
  const int out = open(inside("out"), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  const int err = open(inside("err"), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  dup2(out, STDOUT_FILENO);
  dup2(err, STDERR_FILENO);
  alarm(4 * PATIENCE_S);
  execv(argv[0], (char* const*)argv);
  _exit(127);
}

// What it said on standard error.
static const char* said(void) {
  static char text[2048];
  FILE* file = fopen(inside("err"), "r");
  assert_non_null(file);
  text[fread(text, 1, sizeof text - 1, file)] = '\0';
  fclose(file);
  return text;
}

static int exit_code(pid_t child) {
  int status = 0;
  assert_int_equal(waitpid(child, &status, 0), child);
  if (!WIFEXITED(status)) fail_msg("ended by signal %d: %s", WTERMSIG(status), said());
  return WEXITSTATUS(status);
}

// What the policy for Push-T needs of its robot.
static dpc_interface need(void) {
  dpc_interface interface = {.period_ns = 100000000};
  dpc_layout_add(&interface.obs, "keypoint", 18, "", NULL);
  dpc_layout_add(&interface.obs, "agent_pos", 2, "", NULL);
  dpc_layout_add(&interface.action, "action", 2, "", "agent_pos");
  return interface;
}

static void connect_to(session* s, const char* endpoint) {
  const dpc_interface interface = need();
  dpc_link_def def = dpc_link_def_default();
  snprintf(def.endpoint, sizeof def.endpoint, "%s", endpoint);
  def.dead_after = 10;
  def.connect_timeout = PATIENCE_S;
  if (s->arena.base == NULL) assert_ok(dpc_arena_map(&s->arena, ARENA_SIZE, &error), &error);
  dpc_arena_release(&s->arena, 0);
  assert_ok(dpc_link_create(&def, &interface, "test", &s->arena, &s->link, &error), &error);
  assert_ok(dpc_link_handshake(s->link, -1, &error), &error);
}

static void open_sim(session* s, const char* pace, const char* seeds) {
  char endpoint[128];
  snprintf(endpoint, sizeof endpoint, "ipc://%s/robot", folder);
  const char* const argv[] = {SIM,
                              "--endpoint",
                              endpoint,
                              "--pace",
                              pace,
                              "link.dead_after=10",
                              "--json",
                              "-",
                              "--strip",
                              inside("strip.png"),
                              seeds == NULL ? NULL : "--seeds",
                              seeds,
                              NULL};
  *s = (session){.robot = start(argv)};
  assert_ok(dpc_push_task_create(&s->twin, &error), &error);
  connect_to(s, endpoint);
}

static void close_session(session* s) {
  dpc_link_destroy(s->link);
  dpc_push_task_destroy(s->twin);
  dpc_arena_unmap(&s->arena);
}

static dpc_link_event await(session* s, dpc_link_event_kind kind) {
  const dpc_time end = dpc_time_after(dpc_clock_now(), dpc_seconds(PATIENCE_S));
  dpc_link_event event = {0};
  while (dpc_clock_now().ns < end.ns) {
    dpc_link_poll(s->link, dpc_seconds(0.1), -1, &event);
    if (event.kind == kind) return event;
    if (event.kind != DPC_LINK_NOTHING) break;
  }
  fail_msg("expected event %d, got %d: %s; the robot said: %s", kind, event.kind, event.reason,
           said());
  return event;
}

static void act(session* s, const dpc_observation* seen, const float* action, int64_t lease_ns) {
  const dpc_command command = {.episode = seen->episode,
                               .tick = seen->tick,
                               .value_count = 2,
                               .values = action,
                               .lease_ns = lease_ns};
  assert_ok(dpc_link_send_command(s->link, &command, &error), &error);
}

// Somewhere else at each step, so that the block is pushed about.
static void choose(uint64_t seed, uint64_t tick, float* action) {
  const float phase = (float)(seed % 7) + 0.13f * (float)tick;
  action[0] = 256.0f + 180.0f * sinf(phase);
  action[1] = 256.0f + 150.0f * cosf(1.7f * phase);
}

// What was observed is what the world in this process says, bit for bit.
static void assert_like_twin(session* s, const dpc_observation* seen) {
  float expected[DPC_PUSH_OBS_DIM];
  const dpc_push_progress progress = dpc_push_task_progress(s->twin);
  dpc_push_task_observe(s->twin, expected);
  assert_int_equal(seen->value_count, DPC_PUSH_OBS_DIM);
  assert_memory_equal(seen->values, expected, sizeof expected);
  assert_true(seen->reward == progress.reward);
  assert_int_equal(seen->done, progress.done);
}

// Play one episode in lock-step, `steps` at most.
static void play(session* s, uint32_t seed, uint32_t episode, uint64_t steps) {
  dpc_push_task_reset(s->twin, seed);
  for (uint64_t tick = 0; tick <= steps; ++tick) {
    const dpc_link_event event = await(s, DPC_LINK_OBSERVATION);
    float action[2];
    assert_int_equal(event.observation.seed, seed);
    assert_int_equal(event.observation.episode, episode);
    assert_int_equal(event.observation.tick, tick);
    assert_like_twin(s, &event.observation);
    if (event.observation.done) return;
    if (tick == steps) break;
    choose(seed, tick, action);
    act(s, &event.observation, action, 1);  // a lease that has no meaning in lock-step
    assert_ok(dpc_push_task_step(s->twin, action, &error), &error);
  }
}

// --- dpc-sim --------------------------------------------------------------------------------------

static void test_sim_in_lockstep_is_the_world_bit_for_bit(void** state) {
  (void)state;
  session s;
  open_sim(&s, "lockstep", "100000:100002");
  assert_string_equal(dpc_link_robot(s.link)->obs.signals[0].name, "keypoint");
  play(&s, 100000, 0, DPC_PUSH_STEPS_MAX);
  const double first = dpc_push_task_progress(s.twin).score;
  play(&s, 100001, 1, DPC_PUSH_STEPS_MAX);
  const double second = dpc_push_task_progress(s.twin).score;
  assert_string_equal(await(&s, DPC_LINK_BYE).reason, "all done");
  assert_int_equal(exit_code(s.robot), 0);
  close_session(&s);

  dpc_json* report = NULL;
  int64_t number = 0;
  double real = 0;
  assert_ok(dpc_json_read(inside("out"), &report, &error), &error);
  assert_true(dpc_json_as_int(dpc_json_get(report, "episodes"), &number));
  assert_int_equal(number, 2);
  assert_true(dpc_json_as_int(dpc_json_get(report, "held_steps"), &number));
  assert_int_equal(number, 0);
  const dpc_json* row = dpc_json_at(dpc_json_get(report, "per_seed"), 1);
  assert_true(dpc_json_as_real(dpc_json_at(row, 1), &real));
  assert_true(real == second);
  assert_true(dpc_json_as_real(dpc_json_get(report, "score_mean"), &real));
  assert_near(real, (first + second) / 2, 1e-12);
  dpc_json_free(report);
  assert_int_equal(access(inside("strip.png"), R_OK), 0);
}

static void test_sim_begins_anew_for_a_new_controller(void** state) {
  (void)state;
  session s;
  char endpoint[128];
  open_sim(&s, "lockstep", "7:9");
  play(&s, 7, 0, 5);
  dpc_link_bye(s.link, "leaving in the middle");
  snprintf(endpoint, sizeof endpoint, "ipc://%s/robot", folder);
  connect_to(&s, endpoint);
  play(&s, 7, 0, 5);
  // and without a word
  dpc_link_destroy(s.link);
  connect_to(&s, endpoint);
  play(&s, 7, 0, DPC_PUSH_STEPS_MAX);
  play(&s, 8, 1, 3);
  assert_int_equal(kill(s.robot, SIGTERM), 0);
  assert_string_equal(await(&s, DPC_LINK_BYE).reason, "the simulator was stopped");
  assert_int_equal(exit_code(s.robot), 1);
  close_session(&s);
}

static void test_sim_resets_to_a_seed(void** state) {
  (void)state;
  session s;
  open_sim(&s, "lockstep", NULL);
  play(&s, 100000, 0, 4);
  assert_ok(dpc_link_send_reset(s.link, 4294967295, &error), &error);
  play(&s, 4294967295, 1, 4);
  assert_ok(dpc_link_send_reset(s.link, 4294967296, &error), &error);  // ignored
  dpc_link_event event;
  dpc_link_poll(s.link, dpc_seconds(0.1), -1, &event);
  assert_int_equal(event.kind, DPC_LINK_NOTHING);
  // a server without an end is done when it is stopped
  assert_int_equal(kill(s.robot, SIGINT), 0);
  (void)await(&s, DPC_LINK_BYE);
  assert_int_equal(exit_code(s.robot), 0);
  close_session(&s);
}

static void test_sim_in_real_time_holds_without_a_command(void** state) {
  (void)state;
  session s;
  open_sim(&s, "realtime", "100000:100001");
  float before[2] = {0};
  const float away[2] = {400, 400};
  uint64_t last = 0;
  for (int i = 0; i < 12; ++i) {
    const dpc_observation seen = await(&s, DPC_LINK_OBSERVATION).observation;
    assert_true(i == 0 ? seen.tick == 0 : seen.tick > last);
    const float* position = seen.values + 18;
    const float moved = hypotf(position[0] - before[0], position[1] - before[1]);
    if (i >= 1 && i <= 4) assert_true(moved == 0);          // nothing said: it stays
    if (i >= 7 && i <= 8) assert_true(moved > 1);           // told to go
    if (i == 11) assert_true(moved < 1);                    // the lease is over: it comes to rest
    if (i >= 4 && i <= 7) act(&s, &seen, away, 250000000);  // 0.25 s
    memcpy(before, position, sizeof before);
    last = seen.tick;
  }
  assert_int_equal(kill(s.robot, SIGTERM), 0);
  (void)await(&s, DPC_LINK_BYE);
  assert_int_equal(exit_code(s.robot), 1);
  close_session(&s);
}

static void test_sim_says_what_is_wrong(void** state) {
  (void)state;
  char endpoint[128];
  snprintf(endpoint, sizeof endpoint, "ipc://%s/robot", folder);
  const struct {
    const char* argv[4];
    int code;
    const char* words;
  } cases[] = {{{SIM, "--endpoint", "tcp://0.0.0.0:5755"}, 2, "insecure"},
               {{SIM, "--endpoint", "here"}, 2, "neither tcp://"},
               {{SIM, "--pace", "fast"}, 2, "lockstep"},
               {{SIM, "--seeds", "5:4294967297"}, 2, "--seeds"},
               {{SIM, "sim.pac=lockstep"}, 2, "pace"},
               {{SIM, "--endpoint", "ipc:///no/such/place"}, 1, "No such"}};
  for (int i = 0; i < DPC_COUNT(cases); ++i) {
    assert_int_equal(exit_code(start(cases[i].argv)), cases[i].code);
    if (strstr(said(), cases[i].words) == NULL) {
      fail_msg("'%s' does not say '%s'", said(), cases[i].words);
    }
  }
  session s;
  const char* const second[] = {SIM, "--endpoint", endpoint, NULL};
  open_sim(&s, "lockstep", NULL);
  assert_int_equal(exit_code(start(second)), 1);
  play(&s, 100000, 0, 2);
  assert_int_equal(kill(s.robot, SIGTERM), 0);
  assert_int_equal(exit_code(s.robot), 0);
  close_session(&s);
}

// --- robot.py -------------------------------------------------------------------------------------

static void test_the_robot_in_python(void** state) {
  (void)state;
  char endpoint[128];
  if (system("/usr/bin/python3 -c 'import zmq, google.protobuf' 2>/dev/null && "
             "command -v protoc >/dev/null") != 0) {
    print_message("skipped: no python3-zmq, python3-protobuf or protoc\n");
    skip();
  }
  snprintf(endpoint, sizeof endpoint, "ipc://%s/python", folder);
  const char* const argv[] = {"/usr/bin/python3", PYTHON_ROBOT, "--endpoint", endpoint,
                              "--episodes",       "2",          NULL};
  session s = {.robot = start(argv)};
  connect_to(&s, endpoint);
  assert_string_equal(dpc_link_robot(s.link)->obs.signals[1].name, "agent_pos");
  assert_memory_equal(&dpc_link_robot(s.link)->limits, &dpc_push_task_interface()->limits,
                      sizeof(dpc_action_limits));
  const float target[2] = {300, 200};
  for (uint32_t episode = 0; episode < 2; ++episode) {
    for (uint64_t tick = 0; tick <= 50; ++tick) {
      const dpc_observation seen = await(&s, DPC_LINK_OBSERVATION).observation;
      assert_int_equal(seen.episode, episode);
      assert_int_equal(seen.tick, tick);
      assert_int_equal(seen.done, tick == 50);
      if (tick < 50) act(&s, &seen, target, 200000000);
      if (seen.done) assert_near(seen.values[18], 300, 1e-3);
      if (seen.done) assert_near(seen.values[19], 200, 1e-3);
    }
  }
  assert_string_equal(await(&s, DPC_LINK_BYE).reason, "all episodes done");
  assert_int_equal(exit_code(s.robot), 0);
  close_session(&s);
}

static int make_folder(void** state) {
  (void)state;
  return mkdtemp(folder) == NULL;
}

static int remove_folder(void** state) {
  (void)state;
  static const char* const names[] = {"out", "err", "strip.png", "python"};
  for (int i = 0; i < DPC_COUNT(names); ++i) unlink(inside(names[i]));
  return rmdir(folder);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_sim_in_lockstep_is_the_world_bit_for_bit),
      cmocka_unit_test(test_sim_begins_anew_for_a_new_controller),
      cmocka_unit_test(test_sim_resets_to_a_seed),
      cmocka_unit_test(test_sim_in_real_time_holds_without_a_command),
      cmocka_unit_test(test_sim_says_what_is_wrong),
      cmocka_unit_test(test_the_robot_in_python),
  };
  return cmocka_run_group_tests_name("robots", tests, make_folder, remove_folder);
}
