// Who holds the robot, and what becomes of that when one of the ends dies.
#include <signal.h>
#include <sys/wait.h>

#include "tests/link_bare.h"

// --- who holds the robot --------------------------------------------------------------------------

static void test_a_second_controller_waits_its_turn(void** state) {
  (void)state;
  pair p;
  dpc_arena arena;
  dpc_link* second;
  dpc_link_event event;
  open_pair(&p, "tcp://127.0.0.1:*", 10);
  assert_ok(dpc_arena_map(&arena, ARENA_SIZE, &error), &error);
  assert_ok(dpc_link_create(&p.def, &p.need, "second", &arena, &second, &error), &error);
  assert_ok(dpc_link_connect(second, &error), &error);
  // "first" is kept alive by giving it turns as well
  dpc_link* first = p.link;
  bool refused = false, connected = false;
  const dpc_time end = patience();
  while (!connected && dpc_clock_now().ns < end.ns) {
    turns(&p, DPC_LINK_NOTHING, DPC_ROBOT_NOTHING, NULL, NULL);
    dpc_robot_event robot_event;
    dpc_robot_poll(p.robot, dpc_seconds(0.001), -1, &robot_event);
    dpc_link_poll(first, dpc_seconds(0.001), -1, &event);
    dpc_link_poll(second, dpc_seconds(0.001), -1, &event);
    if (event.kind == DPC_LINK_REFUSED) {
      assert_true(event.busy);
      assert_non_null(strstr(event.reason, "another controller holds the robot"));
      if (!refused) dpc_link_bye(first, "your turn");
      refused = true;
    }
    connected = event.kind == DPC_LINK_CONNECTED;
    if (connected) assert_true(refused);
  }
  assert_true(connected);
  assert_int_equal(dpc_robot_counts(p.robot)->connected, 2);
  dpc_link_destroy(second);
  dpc_arena_unmap(&arena);
  close_pair(&p);
}

static void test_the_place_of_a_controller_that_crashed_is_free(void** state) {
  (void)state;
  pair p;
  open_pair(&p, "tcp://127.0.0.1:*", 60);
  observe(&p, 1, 0, false);
  // without a word; its silence alone would count only after a minute
  dpc_link_destroy(p.link);
  dpc_arena_release(&p.link_arena, 0);
  open_link(&p);
  turns(&p, DPC_LINK_CONNECTED, DPC_ROBOT_CONNECTED, NULL, NULL);
  // the new session begins with episode 0
  dpc_link_event event;
  observe(&p, 5, 0, false);
  turns(&p, DPC_LINK_OBSERVATION, DPC_ROBOT_NOTHING, &event, NULL);
  assert_int_equal(event.observation.episode, 0);
  assert_int_equal(event.observation.seed, 5);
  close_pair(&p);
}

static void test_a_silent_controller_loses_the_robot_and_comes_back(void** state) {
  (void)state;
  pair p;
  dpc_robot_event event;
  open_pair(&p, "tcp://127.0.0.1:*", 0.3);
  dpc_link* silent = p.link;
  p.link = NULL;
  turns(&p, DPC_LINK_NOTHING, DPC_ROBOT_LOST, NULL, &event);
  assert_non_null(strstr(event.reason, "0.3 s"));
  assert_false(dpc_robot_connected(p.robot));
  p.link = silent;
  turns(&p, DPC_LINK_CONNECTED, DPC_ROBOT_CONNECTED, NULL, NULL);
  assert_int_equal(dpc_link_counts(p.link)->lost, 1);
  close_pair(&p);
}

static void test_the_robot_says_bye(void** state) {
  (void)state;
  pair p;
  dpc_link_event event;
  open_pair(&p, "tcp://127.0.0.1:*", 10);
  dpc_robot_close(p.robot, "all seeds done");
  p.robot = NULL;
  turns(&p, DPC_LINK_BYE, DPC_ROBOT_NOTHING, &event, NULL);
  assert_string_equal(event.reason, "all seeds done");
  dpc_link_poll(p.link, dpc_seconds(0.01), -1, &event);
  assert_int_equal(event.kind, DPC_LINK_NOTHING);
  close_pair(&p);
}

// --- a robot that dies ----------------------------------------------------------------------------

// What this program does as `test_link_holder robot ENDPOINT SIGNALS`: a robot in a process of its own, which
// can be killed. Says on standard output when it listens.
static int be_robot(const char* endpoint, int signals) {
  dpc_arena arena;
  dpc_robot* robot = NULL;
  dpc_link_def def = dpc_link_def_default();
  dpc_interface have = robot_interface();
  if (have.obs.count < signals) dpc_layout_add(&have.obs, "new", 1, "", NULL);
  snprintf(def.endpoint, sizeof def.endpoint, "%s", endpoint);
  def.dead_after = 0.3;
  alarm(3 * PATIENCE_S);
  if (dpc_arena_map(&arena, ARENA_SIZE, NULL) != DPC_OK) return 1;
  if (dpc_robot_bind(&def, &have, "child", &arena, &robot, NULL) != DPC_OK) return 1;
  if (write(STDOUT_FILENO, "r", 1) != 1) return 1;
  for (;;) {
    dpc_robot_event event;
    dpc_robot_poll(robot, dpc_seconds(1), -1, &event);
  }
}

static pid_t start_robot(const pair* p) {
  int ready[2];
  char signals[16];
  snprintf(signals, sizeof signals, "%d", p->have.obs.count);
  const char* const argv[] = {"test_link_holder", "robot", p->def.endpoint, signals, NULL};
  assert_int_equal(pipe(ready), 0);
  const pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0) {
    dup2(ready[1], STDOUT_FILENO);
    execv("/proc/self/exe", (char* const*)argv);
    _exit(127);
  }
  char word = 0;
  close(ready[1]);
  assert_int_equal(read(ready[0], &word, 1), 1);
  close(ready[0]);
  return child;
}

static void kill_robot(pid_t child) {
  assert_int_equal(kill(child, SIGKILL), 0);
  assert_int_equal(waitpid(child, NULL, 0), child);
}

static void check_killed_and_restarted(const char* endpoint) {
  pair p;
  dpc_link_event event;
  prepare(&p, endpoint, 0.3);
  pid_t child = start_robot(&p);
  open_link(&p);
  turns(&p, DPC_LINK_CONNECTED, DPC_ROBOT_NOTHING, &event, NULL);
  kill_robot(child);
  turns(&p, DPC_LINK_LOST, DPC_ROBOT_NOTHING, &event, NULL);
  assert_non_null(strstr(event.reason, "nothing heard from the robot for 0.3 s"));
  assert_fails(command(&p, 0, 0, 0, 0), DPC_ERR_CLOSED, &error, "not connected");
  child = start_robot(&p);
  turns(&p, DPC_LINK_CONNECTED, DPC_ROBOT_NOTHING, &event, NULL);
  kill_robot(child);
  // back as another robot
  turns(&p, DPC_LINK_LOST, DPC_ROBOT_NOTHING, &event, NULL);
  dpc_layout_add(&p.have.obs, "new", 1, "", NULL);
  child = start_robot(&p);
  turns(&p, DPC_LINK_REFUSED, DPC_ROBOT_NOTHING, &event, NULL);
  assert_non_null(strstr(event.reason, "another interface"));
  kill_robot(child);
  close_pair(&p);
}

static void test_a_robot_killed_and_restarted_over_ipc(void** state) {
  (void)state;
  char endpoint[DPC_ENDPOINT_MAX];
  snprintf(endpoint, sizeof endpoint, "ipc://%s/killed", folder);
  check_killed_and_restarted(endpoint);
}

static void test_a_robot_killed_and_restarted_over_tcp(void** state) {
  (void)state;
  // a port that was free a moment ago
  pair p;
  char endpoint[DPC_ENDPOINT_MAX];
  prepare(&p, "tcp://127.0.0.1:*", 1);
  open_robot(&p);
  snprintf(endpoint, sizeof endpoint, "%s", p.def.endpoint);
  close_pair(&p);
  check_killed_and_restarted(endpoint);
}

static void test_a_stopped_robot_is_lost_and_found(void** state) {
  (void)state;
  pair p;
  dpc_link_event event;
  char endpoint[DPC_ENDPOINT_MAX];
  snprintf(endpoint, sizeof endpoint, "ipc://%s/stopped", folder);
  prepare(&p, endpoint, 0.3);
  const pid_t child = start_robot(&p);
  open_link(&p);
  turns(&p, DPC_LINK_CONNECTED, DPC_ROBOT_NOTHING, &event, NULL);
  assert_int_equal(kill(child, SIGSTOP), 0);
  turns(&p, DPC_LINK_LOST, DPC_ROBOT_NOTHING, &event, NULL);
  // long enough for several attempts, which the robot finds in its queue when it wakes up
  const dpc_time end = dpc_time_after(dpc_clock_now(), dpc_seconds(2.5));
  while (dpc_clock_now().ns < end.ns) dpc_link_poll(p.link, dpc_seconds(0.05), -1, &event);
  assert_int_equal(kill(child, SIGCONT), 0);
  turns(&p, DPC_LINK_CONNECTED, DPC_ROBOT_NOTHING, &event, NULL);
  kill_robot(child);
  close_pair(&p);
}

int main(int argc, char** argv) {
  if (argc == 4 && strcmp(argv[1], "robot") == 0) return be_robot(argv[2], atoi(argv[3]));
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_a_second_controller_waits_its_turn),
      cmocka_unit_test(test_the_place_of_a_controller_that_crashed_is_free),
      cmocka_unit_test(test_a_silent_controller_loses_the_robot_and_comes_back),
      cmocka_unit_test(test_the_robot_says_bye),
      cmocka_unit_test(test_a_robot_killed_and_restarted_over_ipc),
      cmocka_unit_test(test_a_robot_killed_and_restarted_over_tcp),
      cmocka_unit_test(test_a_stopped_robot_is_lost_and_found),
  };
  return cmocka_run_group_tests_name("link holder", tests, make_folder, remove_folder);
}
