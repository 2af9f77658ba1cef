// The two ends of the link come to an agreement, or say why not.
#include <pthread.h>
#include <sys/eventfd.h>

#include "tests/link_bare.h"

// --- agreeing -------------------------------------------------------------------------------------

static void check_round_trip(const char* endpoint) {
  pair p;
  open_pair(&p, endpoint, 10);
  assert_string_equal(dpc_link_robot(p.link)->obs.signals[0].name, "block_angle");
  assert_memory_equal(&dpc_link_robot(p.link)->limits, &p.have.limits, sizeof p.have.limits);
  for (uint64_t tick = 0; tick < 5; ++tick) {
    dpc_link_event seen;
    dpc_robot_event asked;
    observe(&p, 100007, tick, tick == 4);
    turns(&p, DPC_LINK_OBSERVATION, DPC_ROBOT_NOTHING, &seen, NULL);
    assert_int_equal(seen.observation.tick, tick);
    assert_int_equal(seen.observation.seed, 100007);
    assert_int_equal(seen.observation.done, tick == 4);
    assert_true(seen.observation.reward == 0.25);
    assert_int_equal(seen.observation.value_count, 6);
    assert_true(seen.observation.values[5] == (float)tick);
    if (tick == 4) break;
    assert_ok(command(&p, seen.observation.episode, tick, (float)tick, 0), &error);
    turns(&p, DPC_LINK_NOTHING, DPC_ROBOT_COMMAND, NULL, &asked);
    assert_int_equal(asked.command.tick, tick);
    assert_true(asked.command.values[0] == (float)tick);
    assert_true(asked.valid_until.ns == INT64_MAX);
  }
  dpc_link_bye(p.link, "enough");
  dpc_robot_event end;
  turns(&p, DPC_LINK_NOTHING, DPC_ROBOT_BYE, NULL, &end);
  assert_string_equal(end.reason, "enough");
  assert_false(dpc_robot_connected(p.robot));
  assert_int_equal(dpc_robot_counts(p.robot)->unexpected, 0);
  assert_int_equal(dpc_link_counts(p.link)->other_session, 0);
  close_pair(&p);
}

static void test_an_episode_over_tcp(void** state) {
  (void)state;
  check_round_trip("tcp://127.0.0.1:*");
}

static void test_an_episode_over_ipc(void** state) {
  (void)state;
  char endpoint[DPC_ENDPOINT_MAX];
  snprintf(endpoint, sizeof endpoint, "ipc://%s/episode", folder);
  check_round_trip(endpoint);
  // nothing is left behind
  assert_int_equal(access(endpoint + strlen("ipc://"), F_OK), -1);
}

// What differs, and the words that name it.
typedef struct mutation {
  const char* words;
  int signal;  // index in obs or action
  bool action;
  char what;  // n(ame), d(im), u(nit), t(racks), x (one more), - (one less), p(eriod), s(wapped)
} mutation;

static const mutation mutations[] = {
    {"observation 'other'", 0, false, 'n'},
    {"observation 'keypoint'", 0, false, 'd'},
    {"observation 'agent_pos'", 1, false, 'd'},
    {"observation 'keypoint'", 0, false, 'u'},
    {"observation 'more'", 0, false, 'x'},
    {"'other'", 0, true, 'n'},
    {"action 'action'", 0, true, 'd'},
    {"action 'grip'", 1, true, 'd'},
    {"action 'action'", 0, true, 'u'},
    {"action 'action'", 0, true, 't'},
    {"action 'more'", 0, true, 'x'},
    {"action 'grip'", 1, true, '-'},
    {"action 0", 0, true, 's'},
    {"period", 0, false, 'p'},
};

static dpc_interface mutated(const mutation* m) {
  dpc_interface interface = policy_interface();
  dpc_layout* layout = m->action ? &interface.action : &interface.obs;
  dpc_signal* signal = &layout->signals[m->signal];
  if (m->what == 'n') memcpy(signal->name, "other\0\0\0\0", 10);
  if (m->what == 'd') ++signal->dim;
  if (m->what == 'd') interface.action.signals[0].tracks[0] = '\0';
  if (m->what == 'u') strcpy(signal->unit, "m");
  if (m->what == 't') memcpy(signal->tracks, "two\0\0\0\0\0\0", 10);
  if (m->what == 't') dpc_layout_add(&interface.obs, "two", 2, "", NULL);
  if (m->what == 'x') dpc_layout_add(layout, "more", 1, "", NULL);
  if (m->what == '-') --layout->count;
  if (m->what == 'p') ++interface.period_ns;
  if (m->what == 's') {
    const dpc_signal first = layout->signals[0];
    layout->signals[0] = layout->signals[1];
    layout->signals[1] = first;
  }
  return interface;
}

static void test_the_robot_refuses_what_it_does_not_have(void** state) {
  (void)state;
  pair p;
  bare controller;
  prepare(&p, "tcp://127.0.0.1:*", 10);
  open_robot(&p);
  bare_open(&controller, ZMQ_DEALER, p.def.endpoint, NULL);
  for (int i = 0; i < DPC_COUNT(mutations); ++i) {
    const dpc_interface need = mutated(&mutations[i]);
    const dpc_message hello = hello_message(&need, (uint64_t)i + 1);
    dpc_message ack;
    bare_send(&controller, DPC_TO_ROBOT, &hello);
    bare_await(&controller, DPC_FROM_ROBOT, DPC_MESSAGE_HELLO_ACK, &p, &ack);
    assert_false(ack.hello_ack.accepted);
    assert_false(ack.hello_ack.busy);
    assert_int_equal(ack.hello_ack.session, i + 1);
    // 't' asks for an observation that is missing too, which is named first
    const char* words = mutations[i].what == 't' ? "observation 'two'" : mutations[i].words;
    if (strstr(ack.hello_ack.reason, words) == NULL) {
      fail_msg("%d: '%s' does not say %s", i, ack.hello_ack.reason, words);
    }
    assert_false(dpc_robot_connected(p.robot));
  }
  assert_int_equal(dpc_robot_counts(p.robot)->refused, DPC_COUNT(mutations));
  bare_close(&controller);
  close_pair(&p);
}

static void test_the_controller_refuses_what_it_does_not_need(void** state) {
  (void)state;
  const dpc_interface have = policy_interface();
  for (int i = 0; i < DPC_COUNT(mutations); ++i) {
    pair p;
    bare robot;
    dpc_message message;
    dpc_link_event event;
    prepare(&p, "", 10);
    bare_open(&robot, ZMQ_ROUTER, "tcp://127.0.0.1:*", p.def.endpoint);
    p.need = mutated(&mutations[i]);
    open_link(&p);
    bare_await(&robot, DPC_TO_ROBOT, DPC_MESSAGE_HELLO, &p, &message);
    const uint64_t session = message.hello.session;
    // a robot that does not look, and accepts
    message = hello_message(&have, session);
    bare_send(&robot, DPC_FROM_ROBOT, &message);
    message.kind = DPC_MESSAGE_HELLO_ACK;
    message.hello_ack = (dpc_hello_ack){.session = session, .accepted = true};
    bare_send(&robot, DPC_FROM_ROBOT, &message);
    turns(&p, DPC_LINK_REFUSED, DPC_ROBOT_NOTHING, &event, NULL);
    assert_false(event.busy);
    const char* words = mutations[i].what == 't' ? "observation 'two'" : mutations[i].words;
    if (strstr(event.reason, words) == NULL) {
      fail_msg("%d: '%s' does not say %s", i, event.reason, words);
    }
    bare_await(&robot, DPC_TO_ROBOT, DPC_MESSAGE_BYE, &p, &message);
    assert_true(message.bye.session == session);
    close_pair(&p);
    bare_close(&robot);
  }
}

// --- the blocking handshake -----------------------------------------------------------------------

typedef struct server {
  dpc_robot* robot;
  int stop;  // eventfd
} server;

static void* serve(void* context) {
  const server* s = context;
  dpc_robot_event event = {0};
  while (!event.woken) dpc_robot_poll(s->robot, dpc_seconds(1), s->stop, &event);
  return NULL;
}

static void test_handshake_with_a_robot_in_another_thread(void** state) {
  (void)state;
  pair p;
  pthread_t thread;
  prepare(&p, "tcp://127.0.0.1:*", 10);
  open_robot(&p);
  server s = {p.robot, eventfd(0, EFD_CLOEXEC)};
  assert_int_equal(pthread_create(&thread, NULL, serve, &s), 0);
  assert_ok(dpc_link_create(&p.def, &p.need, "dpc", &p.link_arena, &p.link, &error), &error);
  for (int i = 0; i < 3; ++i) {
    assert_ok(dpc_link_handshake(p.link, -1, &error), &error);
    dpc_link_bye(p.link, "again");
  }
  dpc_link_destroy(p.link);
  // another policy, which the same robot does not fit
  p.need.action.signals[1].dim = 2;
  dpc_arena_release(&p.link_arena, 0);
  assert_ok(dpc_link_create(&p.def, &p.need, "dpc", &p.link_arena, &p.link, &error), &error);
  assert_fails(dpc_link_handshake(p.link, -1, &error), DPC_ERR_MISMATCH, &error, "'grip'");
  assert_int_equal(eventfd_write(s.stop, 1), 0);
  pthread_join(thread, NULL);
  close(s.stop);
  close_pair(&p);
}

// A robot whose limits cannot be is no robot; who waits for it hears why.
static void test_handshake_names_what_was_ignored(void** state) {
  (void)state;
  pair p;
  bare robot;
  dpc_message message;
  uint8_t data[4096];
  size_t size = 0;
  prepare(&p, "", 10);
  bare_open(&robot, ZMQ_ROUTER, "tcp://127.0.0.1:*", p.def.endpoint);
  p.def.connect_timeout = 0.2;
  open_link(&p);
  bare_await(&robot, DPC_TO_ROBOT, DPC_MESSAGE_HELLO, &p, &message);
  message = hello_message(&p.have, message.hello.session);
  assert_ok(dpc_wire_encode(DPC_FROM_ROBOT, &message, data, sizeof data, &size, &error), &error);
  uint8_t* speed = memmem(data, size, &(float){2.5F}, sizeof(float));
  assert_non_null(speed);
  memcpy(speed, &(float){-2.5F}, sizeof(float));
  bare_send_bytes(&robot, data, size, 0);
  const dpc_time end = patience();
  while (dpc_link_counts(p.link)->bad_value == 0 && dpc_clock_now().ns < end.ns) {
    dpc_link_event event;
    dpc_link_poll(p.link, dpc_seconds(0.01), -1, &event);
    assert_int_equal(event.kind, DPC_LINK_NOTHING);
  }
  assert_fails(dpc_link_handshake(p.link, -1, &error), DPC_ERR_TIMEOUT, &error,
               "ignored: hello: action 'grip': limit speed of element 0 is -2.5");
  close_pair(&p);
  bare_close(&robot);
}

static void test_handshake_gives_up(void** state) {
  (void)state;
  pair p;
  prepare(&p, "tcp://127.0.0.1:1", 10);
  p.def.connect_timeout = 0.2;
  assert_ok(dpc_link_create(&p.def, &p.need, "dpc", &p.link_arena, &p.link, &error), &error);
  assert_fails(dpc_link_handshake(p.link, -1, &error), DPC_ERR_TIMEOUT, &error,
               "tcp://127.0.0.1:1: no robot has answered within 0.2 s");
  const int wake = eventfd(1, EFD_CLOEXEC);
  assert_fails(dpc_link_handshake(p.link, wake, &error), DPC_ERR_INTERRUPTED, &error, "");
  close(wake);
  assert_fails(command(&p, 0, 0, 0, 0), DPC_ERR_CLOSED, &error, "not connected");
  close_pair(&p);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_an_episode_over_tcp),
      cmocka_unit_test(test_an_episode_over_ipc),
      cmocka_unit_test(test_the_robot_refuses_what_it_does_not_have),
      cmocka_unit_test(test_the_controller_refuses_what_it_does_not_need),
      cmocka_unit_test(test_handshake_with_a_robot_in_another_thread),
      cmocka_unit_test(test_handshake_names_what_was_ignored),
      cmocka_unit_test(test_handshake_gives_up),
  };
  return cmocka_run_group_tests_name("link", tests, make_folder, remove_folder);
}
