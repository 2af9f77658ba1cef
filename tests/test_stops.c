/// dpc-run and the end of its motion: signals, faults, and being killed. The robot is in this process: a
/// point that is where it was told to be, a hundred times a second, and stays where it is when its lease
/// is over.
///
///     test_stops [KILLS]      how many controllers to kill; 20 when not given

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "policy/rng.h"
#include "runtime/clock.h"
#include "runtime/robot.h"
#include "tests/small_policy.h"
#include "tests/test.h"
#include "tools/json.h"

enum { PATIENCE_S = 120, TICK_MS = 10 };

static const char run_program[] = DPC_BINARY_DIR "/dpc-run";
static const char ack_program[] = DPC_BINARY_DIR "/dpc-ack";
static char folder[] = "/tmp/dpc_stops_XXXXXX";
static char policy_path[64], endpoint[64], log_path[64], json_path[64];
static dpc_error error;
static int kills = 20;
static bool real_time;  // this process has its robot's priority, and is never late itself

// --- the robot ------------------------------------------------------------------------------------

typedef struct point {
  dpc_arena arena;
  dpc_robot* link;
  dpc_cadence cadence;
  uint64_t tick;
  bool following;
  float target[SMALL_ACTION], position[SMALL_ACTION];
  dpc_robot_event last;  // of the step
  uint64_t commands;
  float way;                      // from the command before to the last
  dpc_time commanded, lease_end;  // of the last command
  bool silent;                    // sends no observations
  bool connected, ended;
} point;

static void open_point(point* p) {
  dpc_checkpoint_info info;
  float scale[SMALL_OBS], offset[SMALL_OBS];
  small_policy_info(&info, scale, offset);
  dpc_link_def def = dpc_link_def_default();
  snprintf(def.endpoint, sizeof def.endpoint, "%s", endpoint);
  def.dead_after = 20;
  *p = (point){.position = {100, 300}};
  assert_ok(dpc_arena_map(&p->arena, (size_t)4 << 20, &error), &error);
  assert_ok(dpc_robot_bind(&def, &info.interface, "point", &p->arena, &p->link, &error), &error);
  p->cadence = (dpc_cadence){.due = dpc_clock_now(), .period = dpc_seconds(0.001 * TICK_MS)};
}

static void close_point(point* p) {
  dpc_robot_close(p->link, "done");
  dpc_arena_unmap(&p->arena);
}

static void take(point* p, const dpc_robot_event* event) {
  if (event->kind == DPC_ROBOT_NOTHING) return;
  p->last = *event;
  p->following = event->kind == DPC_ROBOT_COMMAND;
  if (event->kind == DPC_ROBOT_COMMAND) {
    const float* values = event->command.values;
    p->way = hypotf(values[0] - p->target[0], values[1] - p->target[1]);
    memcpy(p->target, values, sizeof p->target);
    ++p->commands;
    p->commanded = event->time;
    p->lease_end = event->valid_until;
  }
  if (event->kind == DPC_ROBOT_CONNECTED) {
    p->connected = true;
    p->ended = false;
    p->tick = 0;
  }
  if (event->kind == DPC_ROBOT_BYE || event->kind == DPC_ROBOT_LOST) p->ended = true;
}

static void observe(point* p) {
  float values[SMALL_OBS];
  for (int i = 0; i < SMALL_OBS; ++i) values[i] = 256;
  memcpy(values + SMALL_OBS - SMALL_ACTION, p->position, sizeof p->position);
  const dpc_observation observation = {.seed = 5,
                                       .tick = p->tick,
                                       .sample_time_ns = dpc_clock_now().ns,
                                       .value_count = SMALL_OBS,
                                       .values = values};
  if (dpc_robot_send_observation(p->link, &observation, NULL) == DPC_OK) ++p->tick;
}

// One step: take what has come, until it is due; move; observe. False when Bye has come.
static bool step(point* p) {
  dpc_robot_event event;
  do {
    const dpc_duration left = dpc_time_since(p->cadence.due, dpc_clock_now());
    dpc_robot_poll(p->link, left, -1, &event);
    take(p, &event);
  } while (dpc_clock_now().ns < p->cadence.due.ns);
  dpc_cadence_next(&p->cadence, dpc_clock_now());
  if (p->following) memcpy(p->position, p->target, sizeof p->position);
  if (!p->silent && dpc_robot_connected(p->link)) observe(p);
  return !p->ended;
}

// What the controller has said so far.
static const char* said(void) {
  static char text[1 << 16];
  FILE* file = fopen(log_path, "r");
  if (file == NULL) return "";
  text[fread(text, 1, sizeof text - 1, file)] = '\0';
  fclose(file);
  return text;
}

static void step_until(point* p, uint64_t commands) {
  const dpc_time end = dpc_time_after(dpc_clock_now(), dpc_seconds(PATIENCE_S));
  while (p->commands < commands && dpc_clock_now().ns < end.ns) step(p);
  if (p->commands < commands) fail_msg("the controller is silent: %s", said());
}

// --- the controller -------------------------------------------------------------------------------

static pid_t spawn(const char* const* arguments) {
  const pid_t child = fork();
  assert_true(child >= 0);
  if (child > 0) return child;
  (void)sched_setscheduler(0, SCHED_OTHER, &(struct sched_param){0});
  const int log = open(log_path, O_WRONLY | O_CREAT | O_APPEND, 0600);
  dup2(log, STDOUT_FILENO);
  dup2(log, STDERR_FILENO);
  alarm(4 * PATIENCE_S);
  // what a fault leaves behind is in the folder, too
  if (chdir(folder) == 0) execv(arguments[0], (char* const*)arguments);
  _exit(127);
}

static const char LIMITS[] = "controller.limits=[* speed=400 acceleration=2000 jerk=40000]";

// Ticks of 10 ms, plans in a thread; `more` ends with NULL.
static pid_t start_run(const char* const* more) {
  static char config[80], text[2][160];
  snprintf(config, sizeof config, "%s/run.yaml", folder);
  FILE* file = fopen(config, "w");
  assert_non_null(file);
  fprintf(file, "controller:\n  ticks_per_step: 10\n  action_min: 0\n  action_max: 512\n");
  fclose(file);
  snprintf(text[0], sizeof text[0], "run.policy=%s", policy_path);
  snprintf(text[1], sizeof text[1], "link.endpoint=%s", endpoint);
  const char* arguments[24] = {run_program,     config,   text[0],   text[1],
                               "run.warm_up=1", "--json", json_path, "link.dead_after=20"};
  for (int i = 0; more != NULL && more[i] != NULL; ++i) arguments[8 + i] = more[i];
  return spawn(arguments);
}

static bool log_says(const char* words) {
  return strstr(said(), words) != NULL;
}

static int exit_code(pid_t child) {
  int status = 0;
  assert_int_equal(waitpid(child, &status, 0), child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int64_t reported(const char* key) {
  dpc_json* json = NULL;
  int64_t value = -1;
  assert_ok(dpc_json_read(json_path, &json, &error), &error);
  assert_true(dpc_json_as_int(dpc_json_get(json, key), &value));
  dpc_json_free(json);
  return value;
}

// --- signals --------------------------------------------------------------------------------------

// Two signals at once, in the middle of a motion: the commands come to rest within the limits, and only
// then is Bye said.
static void check_stop(int first, int second) {
  point p;
  open_point(&p);
  unlink(log_path);
  const char* const more[] = {LIMITS, NULL};
  const pid_t run = start_run(more);
  step_until(&p, 25);
  assert_int_equal(kill(run, first), 0);
  assert_int_equal(kill(run, second), 0);
  const float way = p.way;
  while (step(&p)) {
  }
  assert_int_equal(p.last.kind, DPC_ROBOT_BYE);
  assert_string_equal(p.last.reason, "the controller has stopped");
  assert_int_equal(exit_code(run), 0);
  // it moved, and its last step is what jerk alone makes in two ticks: 40000 px/s^3 (20 ms)^3 / 6
  assert_true(way > 0.5F);
  assert_true(p.way < 0.06F * sqrtf(SMALL_ACTION));
  assert_true(log_says("stopping"));
  assert_int_equal(reported("faults"), 0);
  close_point(&p);
}

static void test_signals_bring_it_to_rest(void** state) {
  (void)state;
  check_stop(SIGINT, SIGINT);
  check_stop(SIGTERM, SIGINT);
  check_stop(SIGHUP, SIGTERM);
}

// A terminal that goes is no reason to stop for who was started with nohup.
static void test_nohup_goes_on(void** state) {
  (void)state;
  point p;
  open_point(&p);
  unlink(log_path);
  (void)signal(SIGHUP, SIG_IGN);
  const pid_t run = start_run(NULL);
  (void)signal(SIGHUP, SIG_DFL);
  step_until(&p, 25);
  assert_int_equal(kill(run, SIGHUP), 0);
  step_until(&p, 50);
  assert_false(log_says("stopping"));
  assert_int_equal(kill(run, SIGTERM), 0);
  while (step(&p)) {
  }
  assert_int_equal(exit_code(run), 0);
  assert_true(log_says("terminated: stopping"));
  close_point(&p);
}

// --- faults ---------------------------------------------------------------------------------------

static int acknowledge(void) {
  const char* const arguments[] = {ack_program, endpoint, NULL};
  const pid_t child = spawn(arguments);
  return exit_code(child);
}

static void step_for(point* p, double seconds) {
  const dpc_time end = dpc_time_after(dpc_clock_now(), dpc_seconds(seconds));
  while (dpc_clock_now().ns < end.ns) assert_true(step(p));
}

static void wait_for_log(point* p, const char* words) {
  const dpc_time end = dpc_time_after(dpc_clock_now(), dpc_seconds(PATIENCE_S));
  while (!log_says(words) && dpc_clock_now().ns < end.ns) assert_true(step(p));
  assert_true(log_says(words));
}

static float moved_while_stepping(point* p, int steps) {
  float low = p->target[0], high = p->target[0];
  for (int i = 0; i < steps; ++i) {
    assert_true(step(p));
    low = fminf(low, p->target[0]);
    high = fmaxf(high, p->target[0]);
  }
  return high - low;
}

// A robot whose link lives but that shows nothing: a fault, which outlives its cause, and ends when
// it is acknowledged.
static void test_fault_waits_for_its_acknowledgement(void** state) {
  (void)state;
  point p;
  open_point(&p);
  unlink(log_path);
  const char* const more[] = {LIMITS, NULL};
  const pid_t run = start_run(more);
  step_until(&p, 25);
  assert_int_equal(acknowledge(), 0);
  assert_true(log_says("there is no fault"));
  p.silent = true;
  wait_for_log(&p, "fault: nothing has been observed for too long");
  p.silent = false;
  step_for(&p, 0.3);
  assert_true(moved_while_stepping(&p, 50) == 0);
  assert_int_equal(acknowledge(), 0);
  wait_for_log(&p, "the fault is acknowledged");
  float moved = 0;
  for (int i = 0; i < 100 && moved == 0; ++i) moved = moved_while_stepping(&p, 50);
  assert_true(moved > 0);
  assert_int_equal(kill(run, SIGTERM), 0);
  while (step(&p)) {
  }
  assert_int_equal(exit_code(run), 0);
  assert_int_equal(reported("faults"), 1);
  close_point(&p);
}

// --- death ----------------------------------------------------------------------------------------

static const int64_t lease_ns = INT64_C(30000000);  // three ticks
static const int64_t tick_ns = TICK_MS * INT64_C(1000000);

typedef struct killer {
  pthread_t thread;
  pid_t victim;
  dpc_time when;
  dpc_time killed;
  atomic_bool done;
} killer;

static void* kill_in_time(void* context) {
  killer* k = context;
  dpc_clock_sleep_until(k->when);
  kill(k->victim, SIGKILL);
  k->killed = dpc_clock_now();
  atomic_store(&k->done, true);
  return NULL;
}

static int64_t later(int64_t a, int64_t b) {
  return a > b ? a : b;
}

// Steps until the robot stands: how long after the kill it moved for the last time.
static int64_t watch_it_stop(point* p, killer* k) {
  const dpc_time latest = dpc_time_after(k->when, dpc_seconds(PATIENCE_S));
  dpc_time moved = k->when;
  bool killed;
  do {
    const dpc_time due = p->cadence.due;
    killed = atomic_load(&k->done);
    step(p);
    if (p->following) moved = dpc_clock_now();
    assert_true(!p->following || due.ns <= p->lease_end.ns);
  } while ((!killed || p->following) && dpc_clock_now().ns < latest.ns);
  assert_false(p->following);
  pthread_join(k->thread, NULL);
  return moved.ns - k->killed.ns;
}

static int64_t kill_one(point* p, uint32_t number) {
  uint32_t bits[4];
  dpc_rng_bits((dpc_rng_key){23, 1}, number, 0, 0, 0, bits);
  unlink(log_path);
  p->commands = 0;
  killer k = {.victim = start_run(NULL)};
  step_until(p, 1 + bits[0] % 12);
  k.when = dpc_time_after(dpc_clock_now(), (dpc_duration){tick_ns + bits[1] % (2 * tick_ns)});
  assert_int_equal(pthread_create(&k.thread, NULL, kill_in_time, &k), 0);
  const int64_t took = watch_it_stop(p, &k);
  assert_int_equal(exit_code(k.victim), -1);
  assert_int_equal(dpc_time_since(p->lease_end, p->commanded).ns, lease_ns);
  float where[SMALL_ACTION];
  memcpy(where, p->position, sizeof where);
  for (int i = 0; i < 5; ++i) step(p);
  if (real_time) assert_memory_equal(where, p->position, sizeof where);
  return took;
}

// At random moments of a motion, again and again: the robot stands within the lease and one tick. Where
// this process is an ordinary one, commands may wait for it on a busy machine, and their lease with them:
// then only the lease itself is held to.
static void test_killed_controllers_leave_it_standing(void** state) {
  (void)state;
  int64_t longest = 0;
  point p;
  open_point(&p);
  for (int i = 0; i < kills; ++i) {
    const int64_t took = kill_one(&p, (uint32_t)i);
    longest = later(longest, took);
    if (real_time && took > lease_ns + tick_ns) {
      fail_msg("kill %d: moved for %.1f ms", i, (double)took * 1e-6);
    }
  }
  print_message("%d kills: the last motion at most %.1f ms after%s\n", kills,
                (double)longest * 1e-6, real_time ? "" : " (as an ordinary process)");
  close_point(&p);
}

// --- all ------------------------------------------------------------------------------------------

static int set_up(void** state) {
  (void)state;
  dpc_arena arena;
  // before there are sockets, so that ZeroMQ's threads have it too
  real_time = sched_setscheduler(0, SCHED_FIFO, &(struct sched_param){.sched_priority = 10}) == 0;
  assert_non_null(mkdtemp(folder));
  snprintf(policy_path, sizeof policy_path, "%s/policy.safetensors", folder);
  snprintf(endpoint, sizeof endpoint, "ipc://%s/robot", folder);
  snprintf(log_path, sizeof log_path, "%s/log", folder);
  snprintf(json_path, sizeof json_path, "%s/run.json", folder);
  assert_ok(dpc_arena_map(&arena, (size_t)64 << 20, &error), &error);
  assert_ok(small_policy_save(policy_path, &arena, &error), &error);
  dpc_arena_unmap(&arena);
  return 0;
}

static int tear_down(void** state) {
  (void)state;
  char command[128];
  snprintf(command, sizeof command, "rm -r %s", folder);
  return system(command);
}

int main(int argc, char** argv) {
  if (argc > 1) kills = atoi(argv[1]);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_signals_bring_it_to_rest),
      cmocka_unit_test(test_nohup_goes_on),
      cmocka_unit_test(test_fault_waits_for_its_acknowledgement),
      cmocka_unit_test(test_killed_controllers_leave_it_standing),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
