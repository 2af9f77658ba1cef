// Where a robot may listen.
#include "tests/link_pair.h"

static void test_an_endpoint_in_use_is_not_taken_over(void** state) {
  (void)state;
  char endpoint[DPC_ENDPOINT_MAX];
  snprintf(endpoint, sizeof endpoint, "ipc://%s/shared", folder);
  const char* const endpoints[] = {"tcp://127.0.0.1:*", endpoint};
  for (int i = 0; i < DPC_COUNT(endpoints); ++i) {
    pair p, q;
    dpc_robot* other = NULL;
    open_pair(&p, endpoints[i], 10);
    prepare(&q, p.def.endpoint, 10);
    assert_fails(dpc_robot_bind(&q.def, &q.have, "other", &q.robot_arena, &other, &error),
                 DPC_ERR_IO, &error, "another process listens here");
    assert_non_null(strstr(error.text, p.def.endpoint));
    // and the first one goes on
    dpc_link_event event;
    observe(&p, 1, 0, false);
    turns(&p, DPC_LINK_OBSERVATION, DPC_ROBOT_NOTHING, &event, NULL);
    close_pair(&p);
    close_pair(&q);
  }
}

static void test_a_file_in_the_way_is_not_removed(void** state) {
  (void)state;
  pair p;
  char endpoint[DPC_ENDPOINT_MAX];
  snprintf(endpoint, sizeof endpoint, "ipc://%s/letter", folder);
  const char* path = endpoint + strlen("ipc://");
  FILE* file = fopen(path, "w");
  assert_non_null(file);
  fclose(file);
  prepare(&p, endpoint, 10);
  assert_fails(dpc_robot_bind(&p.def, &p.have, "robot", &p.robot_arena, &p.robot, &error),
               DPC_ERR_IO, &error, "no socket");
  assert_int_equal(unlink(path), 0);
  // and a folder that is not there is said
  snprintf(p.def.endpoint, sizeof p.def.endpoint, "ipc://%s/none/robot", folder);
  assert_fails(dpc_robot_bind(&p.def, &p.have, "robot", &p.robot_arena, &p.robot, &error),
               DPC_ERR_IO, &error, "/none/robot.lock: No such file");
  close_pair(&p);
}

static void test_endpoints_that_other_machines_reach_need_insecure(void** state) {
  (void)state;
  static const char* const good[] = {"tcp://127.0.0.1:5755", "tcp://127.0.0.2:1",
                                     "tcp://[::1]:65535",    "tcp://localhost:80",
                                     "ipc:///run/dpc/robot", "ipc://@abstract"};
  static const char* const open[] = {
      "tcp://*:5755",          "tcp://0.0.0.0:5755", "tcp://192.168.1.7:5755", "tcp://[::]:5755",
      "tcp://127.evil.org:80", "tcp://robot:80",     "tcp://localhost.org:80"};
  static const char* const bad[] = {"",
                                    "127.0.0.1:5755",
                                    "udp://127.0.0.1:1",
                                    "tcp://127.0.0.1",
                                    "tcp://127.0.0.1:0",
                                    "tcp://127.0.0.1:65536",
                                    "tcp://127.0.0.1:5x",
                                    "tcp://:5755",
                                    "ipc://",
                                    "inproc://x"};
  dpc_link_def def = dpc_link_def_default();
  assert_ok(dpc_link_def_check(&def, &error), &error);
  for (int i = 0; i < DPC_COUNT(good); ++i) {
    snprintf(def.endpoint, sizeof def.endpoint, "%s", good[i]);
    assert_ok(dpc_link_def_check(&def, &error), &error);
  }
  for (int i = 0; i < DPC_COUNT(open); ++i) {
    snprintf(def.endpoint, sizeof def.endpoint, "%s", open[i]);
    def.insecure = false;
    assert_fails(dpc_link_def_check(&def, &error), DPC_ERR_CONFIG, &error, open[i]);
    def.insecure = true;
    assert_ok(dpc_link_def_check(&def, &error), &error);
  }
  for (int i = 0; i < DPC_COUNT(bad); ++i) {
    snprintf(def.endpoint, sizeof def.endpoint, "%s", bad[i]);
    assert_fails(dpc_link_def_check(&def, &error), DPC_ERR_CONFIG, &error, "link.endpoint");
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_an_endpoint_in_use_is_not_taken_over),
      cmocka_unit_test(test_a_file_in_the_way_is_not_removed),
      cmocka_unit_test(test_endpoints_that_other_machines_reach_need_insecure),
  };
  return cmocka_run_group_tests_name("link endpoints", tests, make_folder, remove_folder);
}
