/// The whole way over the link: dpc-run and a push world as two processes, against the same episodes
/// in one.

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/clock.h"
#include "runtime/robot.h"
#include "sim/push_task.h"
#include "tests/small_policy.h"
#include "tests/test.h"
#include "tools/json.h"
#include "tools/rollout.h"

enum { FIRST_SEED = 100000, EPISODES = 2, PATIENCE_S = 120 };

static const char run_program[] = DPC_BINARY_DIR "/dpc-run";
static const char replay_program[] = DPC_BINARY_DIR "/dpc-replay";
static const char sim_program[] = DPC_BINARY_DIR "/dpc-sim";
static char folder[] = "/tmp/dpc_loop_XXXXXX";
static char policy_path[64], endpoint[64], run_json[64], sim_json[64], log_path[64], recording[64];
static dpc_arena arena;
static dpc_policy* policy;
static pid_t children[2];

// --- processes ------------------------------------------------------------------------------------

static pid_t spawn(const char* const* arguments) {
  const pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0) {
    const int log = open(log_path, O_WRONLY | O_CREAT | O_APPEND, 0600);
    dup2(log, STDOUT_FILENO);
    dup2(log, STDERR_FILENO);
    execv(arguments[0], (char* const*)arguments);
    _exit(127);
  }
  for (int i = 0; i < DPC_COUNT(children); ++i) {
    if (children[i] == 0) {
      children[i] = child;
      return child;
    }
  }
  fail_msg("more children than expected");
  return 0;
}

static void forget(pid_t child) {
  for (int i = 0; i < DPC_COUNT(children); ++i) {
    if (children[i] == child) children[i] = 0;
  }
}

// The exit code; -1 when it was killed or takes for ever.
static int wait_for(pid_t child) {
  int status = 0;
  for (int i = 0; i < PATIENCE_S * 100; ++i) {
    if (waitpid(child, &status, WNOHANG) == child) {
      forget(child);
      return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    }
    dpc_clock_sleep_until(dpc_time_after(dpc_clock_now(), dpc_seconds(0.01)));
  }
  return -1;
}

static void end(pid_t child) {
  kill(child, SIGKILL);
  wait_for(child);
}

// `more` ends with NULL.
static pid_t start_run(const char* pace, const char* const* more) {
  static char config[64], text[4][160];
  snprintf(config, sizeof config, "%s/run.yaml", folder);
  FILE* file = fopen(config, "w");
  assert_non_null(file);
  fprintf(file, "controller:\n  action_min: 0\n  action_max: 512\n");
  fclose(file);
  snprintf(text[0], sizeof text[0], "run.policy=%s", policy_path);
  snprintf(text[1], sizeof text[1], "link.endpoint=%s", endpoint);
  snprintf(text[2], sizeof text[2], "run.pace=%s", pace);
  const char* arguments[16] = {run_program, config,          text[0],  text[1],
                               text[2],     "run.warm_up=5", "--json", run_json};
  for (int i = 0; more != NULL && more[i] != NULL; ++i) arguments[8 + i] = more[i];
  return spawn(arguments);
}

// On a busy machine a process may be silent for longer than real robots may.
static const char PATIENT[] = "link.dead_after=20";

static pid_t start_sim(const char* pace, const char* seeds) {
  const char* arguments[] = {sim_program, "--pace", pace,     "--seeds", seeds, "--endpoint",
                             endpoint,    "--json", sim_json, PATIENT,   NULL};
  return spawn(arguments);
}

static bool log_says(const char* words) {
  static char text[1 << 16];
  FILE* file = fopen(log_path, "r");
  if (file == NULL) return false;
  text[fread(text, 1, sizeof text - 1, file)] = '\0';
  fclose(file);
  return strstr(text, words) != NULL;
}

static void wait_for_log(const char* words) {
  for (int i = 0; i < PATIENCE_S * 100; ++i) {
    if (log_says(words)) return;
    dpc_clock_sleep_until(dpc_time_after(dpc_clock_now(), dpc_seconds(0.01)));
  }
  fail_msg("nobody has said '%s'", words);
}

// --- fixture --------------------------------------------------------------------------------------

static int setup_all(void** state) {
  (void)state;
  dpc_error error = {""};
  assert_non_null(mkdtemp(folder));
  snprintf(policy_path, sizeof policy_path, "%s/policy.safetensors", folder);
  snprintf(run_json, sizeof run_json, "%s/run.json", folder);
  snprintf(sim_json, sizeof sim_json, "%s/sim.json", folder);
  snprintf(log_path, sizeof log_path, "%s/log", folder);
  snprintf(recording, sizeof recording, "%s/run.mcap", folder);
  snprintf(endpoint, sizeof endpoint, "ipc://%s/robot", folder);
  assert_ok(dpc_arena_map(&arena, (size_t)256 << 20, &error), &error);
  assert_ok(small_policy_save(policy_path, &arena, &error), &error);
  assert_ok(dpc_policy_load(policy_path, &arena, &policy, &error), &error);
  return 0;
}

static int teardown_all(void** state) {
  (void)state;
  char command[128];
  snprintf(command, sizeof command, "rm -r %s", folder);
  dpc_arena_unmap(&arena);
  return system(command);
}

static int setup(void** state) {
  (void)state;
  unlink(log_path);
  unlink(run_json);
  unlink(sim_json);
  return 0;
}

// Also after a failure, nobody is left behind.
static int teardown(void** state) {
  (void)state;
  for (int i = 0; i < DPC_COUNT(children); ++i) {
    if (children[i] > 0) end(children[i]);
  }
  return 0;
}

static dpc_json* read_json(const char* path) {
  dpc_error error = {""};
  dpc_json* json = NULL;
  assert_ok(dpc_json_read(path, &json, &error), &error);
  return json;
}

static int64_t int_of(const dpc_json* json, const char* key) {
  int64_t value = -1;
  assert_true(dpc_json_as_int(dpc_json_get(json, key), &value));
  return value;
}

// --- the same bits --------------------------------------------------------------------------------

typedef struct server {
  dpc_arena arena;
  dpc_robot* robot;
  dpc_push_task* task;
  uint64_t tick;
  uint32_t seed;
} server;

static void send_observation(server* s) {
  dpc_error error = {""};
  float obs[DPC_PUSH_OBS_DIM];
  dpc_push_task_observe(s->task, obs);
  const dpc_push_progress progress = dpc_push_task_progress(s->task);
  const dpc_observation observation = {.seed = s->seed,
                                       .tick = s->tick,
                                       .sample_time_ns = dpc_clock_now().ns,
                                       .value_count = DPC_PUSH_OBS_DIM,
                                       .values = obs,
                                       .reward = progress.reward,
                                       .done = progress.done};
  assert_ok(dpc_robot_send_observation(s->robot, &observation, &error), &error);
}

static void begin_episode(server* s, uint32_t seed) {
  s->seed = seed;
  s->tick = 0;
  dpc_push_task_reset(s->task, seed);
  send_observation(s);
}

// Serve one episode in lock-step; each command must have the bits of the rollout's action.
static void compare_episode(server* s, const dpc_episode* expected) {
  dpc_error error = {""};
  while (!dpc_push_task_progress(s->task).done) {
    dpc_robot_event event;
    dpc_robot_poll(s->robot, dpc_seconds(PATIENCE_S), -1, &event);
    assert_int_equal(event.kind, DPC_ROBOT_COMMAND);
    assert_int_equal(event.command.tick, s->tick);
    assert_true(s->tick < (uint64_t)expected->length);
    assert_memory_equal(event.command.values, expected->action + s->tick * DPC_PUSH_ACTION_DIM,
                        sizeof(float) * DPC_PUSH_ACTION_DIM);
    assert_ok(dpc_push_task_step(s->task, event.command.values, &error), &error);
    ++s->tick;
    send_observation(s);
  }
  assert_int_equal(s->tick, expected->length);
}

static void roll_out(const dpc_rollout_def* def, uint32_t seed, dpc_episode* episode,
                     dpc_rollout_result* result) {
  dpc_error error = {""};
  const size_t mark = dpc_arena_mark(&arena);
  dpc_rollout* rollout = NULL;
  dpc_planner* planner = NULL;
  assert_ok(dpc_rollout_create(&def->controller, dpc_policy_info(policy), &arena, &rollout, &error),
            &error);
  assert_ok(dpc_planner_create(policy, &def->sampler, 1, &arena, &planner, &error), &error);
  assert_ok(dpc_rollout_run(rollout, planner, seed, episode, result, &error), &error);
  dpc_rollout_destroy(rollout);
  dpc_planner_destroy(planner);
  dpc_arena_release(&arena, mark);
}

// `limited`: the robot says what in process the settings do.
static void check_same_actions(const char* pace, int delay, bool limited) {
  dpc_error error = {""};
  dpc_interface interface = *dpc_push_task_interface();
  server s = {0};
  dpc_link_def link = dpc_link_def_default();
  snprintf(link.endpoint, sizeof link.endpoint, "%s", endpoint);
  link.dead_after = 20;
  assert_ok(dpc_arena_map(&s.arena, (size_t)16 << 20, &error), &error);
  assert_ok(dpc_push_task_create(&s.task, &error), &error);
  dpc_rollout_def def = dpc_rollout_def_default(dpc_policy_info(policy));
  def.controller.delay = delay;
  if (limited) {
    def.controller.limits =
        (dpc_text_list){1, {"* low=150 high=350 speed=200 acceleration=2000 jerk=40000"}};
    static const float own[DPC_LIMIT_COUNT] = {150, 350, 200, 2000, 40000};
    for (int k = 0; k < DPC_LIMIT_COUNT; ++k) {
      const float both[DPC_PUSH_ACTION_DIM] = {own[k], own[k]};
      dpc_interface_limit(&interface, "action", (dpc_limit)k, both);
    }
  }
  assert_ok(dpc_robot_bind(&link, &interface, "test", &s.arena, &s.robot, &error), &error);
  char delay_text[32], record[96];
  snprintf(delay_text, sizeof delay_text, "controller.delay=%d", delay);
  snprintf(record, sizeof record, "run.record=%s", limited ? recording : "");
  const char* const more[] = {delay_text, record, PATIENT, NULL};
  const pid_t run = start_run(pace, more);
  dpc_robot_event event = {0};
  dpc_robot_poll(s.robot, dpc_seconds(PATIENCE_S), -1, &event);
  assert_int_equal(event.kind, DPC_ROBOT_CONNECTED);
  for (uint32_t seed = FIRST_SEED; seed < FIRST_SEED + EPISODES; ++seed) {
    dpc_episode expected = {0};
    dpc_rollout_result result;
    roll_out(&def, seed, &expected, &result);
    begin_episode(&s, seed);
    compare_episode(&s, &expected);
    dpc_episode_free(&expected);
  }
  dpc_robot_close(s.robot, "done");
  assert_int_equal(wait_for(run), 0);
  dpc_push_task_destroy(s.task);
  dpc_arena_unmap(&s.arena);
}

static void test_lockstep_has_the_actions_of_a_rollout(void** state) {
  (void)state;
  check_same_actions("lockstep", 0, false);
}

static void test_lockstep_with_delay_has_the_actions_of_a_rollout(void** state) {
  (void)state;
  check_same_actions("lockstep", 3, false);
}

// Limits of the robot's own bound a run as settings do, and its recording holds them.
static void test_lockstep_keeps_the_robots_own_limits(void** state) {
  (void)state;
  check_same_actions("lockstep", 3, true);
  assert_true(log_says(
      "limits of action[0:2]: low 150 (robot), high 350 (robot), speed 200 (robot), acceleration "
      "2000 (robot), jerk 40000 (robot)"));
  dpc_json* report = read_json(run_json);
  assert_true(int_of(report, "limited_values") > 0);
  dpc_json_free(report);
  const char* const replay[] = {replay_program, recording, NULL};
  assert_int_equal(wait_for(spawn(replay)), 0);
  assert_true(log_says("computed again: equal"));
}

// A score comes of every action before it, so the same bits of it mean the same way there.
static void test_simulator_gives_the_scores_of_a_rollout(void** state) {
  (void)state;
  const dpc_rollout_def def = dpc_rollout_def_default(dpc_policy_info(policy));
  const pid_t sim = start_sim("lockstep", "100000:100002");
  const char* const patient[] = {PATIENT, NULL};
  const pid_t run = start_run("lockstep", patient);
  assert_int_equal(wait_for(run), 0);
  assert_int_equal(wait_for(sim), 0);
  dpc_json* report = read_json(run_json);
  const dpc_json* rows = dpc_json_get(report, "per_seed");
  assert_int_equal(dpc_json_count(rows), EPISODES);
  for (int i = 0; i < EPISODES; ++i) {
    dpc_rollout_result result;
    roll_out(&def, FIRST_SEED + (uint32_t)i, NULL, &result);
    const dpc_json* row = dpc_json_at(rows, i);
    int64_t seed, success, steps;
    double score;
    assert_true(dpc_json_as_int(dpc_json_at(row, 0), &seed));
    assert_true(dpc_json_as_real(dpc_json_at(row, 1), &score));
    assert_true(dpc_json_as_int(dpc_json_at(row, 2), &success));
    assert_true(dpc_json_as_int(dpc_json_at(row, 3), &steps));
    assert_int_equal(seed, FIRST_SEED + i);
    assert_int_equal(steps, result.steps);
    assert_true(score == result.score);
    assert_int_equal(success, result.success);
  }
  assert_int_equal(int_of(report, "missed_ticks"), 0);
  assert_int_equal(int_of(report, "failed_plans"), 0);
  assert_int_equal(int_of(report, "robot_lost"), 0);
  assert_int_equal(int_of(dpc_json_get(dpc_json_get(report, "latency_us"), "end_to_end"), "count"),
                   int_of(report, "commands_sent"));
  dpc_json_free(report);
}

// --- life and death -------------------------------------------------------------------------------

static void test_dead_simulator_is_noticed_and_reconnected_to(void** state) {
  (void)state;
  const pid_t first = start_sim("realtime", "100000:100010");
  const pid_t run = start_run("robot", NULL);
  wait_for_log("dpc run: connected");
  end(first);
  wait_for_log("the robot is lost");
  const pid_t second = start_sim("lockstep", "100000:100001");
  wait_for_log("the robot is back");
  assert_int_equal(wait_for(run), 0);
  assert_int_equal(wait_for(second), 0);
  dpc_json* report = read_json(run_json);
  assert_true(int_of(report, "robot_lost") >= 1);
  assert_int_equal(int_of(report, "episodes"), 1);
  dpc_json_free(report);
}

static void check_stops(int signal_number, const char* pace, const char* const* more) {
  const pid_t sim = start_sim("realtime", "100000:100010");
  const pid_t run = start_run(pace, more);
  wait_for_log("dpc run: connected");
  dpc_clock_sleep_until(dpc_time_after(dpc_clock_now(), dpc_seconds(0.3)));
  assert_int_equal(kill(run, signal_number), 0);
  assert_int_equal(wait_for(run), 0);
  wait_for_log("the controller has stopped");  // the simulator has heard Bye
  dpc_json_free(read_json(run_json));
  end(sim);
}

static void test_signals_stop_in_order(void** state) {
  (void)state;
  const char* const delayed[] = {"controller.delay=1", NULL};
  check_stops(SIGINT, "robot", NULL);
  setup(state);
  check_stops(SIGTERM, "timer", delayed);
}

static void test_stops_after_its_episodes(void** state) {
  (void)state;
  const char* const one[] = {"run.episodes=1", PATIENT, NULL};
  const pid_t sim = start_sim("lockstep", "100000:100010");
  const pid_t run = start_run("lockstep", one);
  assert_int_equal(wait_for(run), 0);
  end(sim);
  dpc_json* report = read_json(run_json);
  assert_int_equal(int_of(report, "episodes"), 1);
  dpc_json_free(report);
}

static void test_what_cannot_start_says_why(void** state) {
  (void)state;
  const char* const impatient[] = {"link.connect_timeout=0.2", NULL};
  assert_int_equal(wait_for(start_run("lockstep", impatient)), 1);
  assert_true(log_says("no robot has answered"));
  const char* const late[] = {"controller.delay=9", NULL};
  assert_int_equal(wait_for(start_run("lockstep", late)), 2);
  assert_true(log_says("controller.delay: 9 ticks"));
  const char* const greedy[] = {"controller.n_actions=16", NULL};
  assert_int_equal(wait_for(start_run("lockstep", greedy)), 2);
  assert_true(log_says("controller.n_actions: 16 rows"));
  const char* const slow[] = {"controller.ticks_per_step=2", NULL};
  assert_int_equal(wait_for(start_run("robot", slow)), 2);
  assert_true(log_says("controller.ticks_per_step: 2"));
  const char* const elsewhere[] = {"run.policy=/nowhere/policy.safetensors", NULL};
  assert_int_equal(wait_for(start_run("lockstep", elsewhere)), 1);
  assert_true(log_says("/nowhere/policy.safetensors"));
  const pid_t sim = start_sim("lockstep", "100000:100001");
  const char* const beside[] = {"controller.action_min=512", "controller.action_max=600", NULL};
  assert_int_equal(wait_for(start_run("lockstep", beside)), 2);
  assert_true(
      log_says("action 'action', element 0: controller.action_min and action_max allow 512 "
               "to 600, and the robot takes 0 to 512: nothing is in both"));
  end(sim);
  const char* const misspelt[] = {"run.paec=robot", NULL};
  assert_int_equal(wait_for(start_run("lockstep", misspelt)), 2);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_lockstep_has_the_actions_of_a_rollout, setup, teardown),
      cmocka_unit_test_setup_teardown(test_lockstep_with_delay_has_the_actions_of_a_rollout, setup,
                                      teardown),
      cmocka_unit_test_setup_teardown(test_lockstep_keeps_the_robots_own_limits, setup, teardown),
      cmocka_unit_test_setup_teardown(test_simulator_gives_the_scores_of_a_rollout, setup,
                                      teardown),
      cmocka_unit_test_setup_teardown(test_dead_simulator_is_noticed_and_reconnected_to, setup,
                                      teardown),
      cmocka_unit_test_setup_teardown(test_signals_stop_in_order, setup, teardown),
      cmocka_unit_test_setup_teardown(test_stops_after_its_episodes, setup, teardown),
      cmocka_unit_test_setup_teardown(test_what_cannot_start_says_why, setup, teardown),
  };
  return cmocka_run_group_tests_name("closed loop", tests, setup_all, teardown_all);
}
