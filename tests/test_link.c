// Both ends of the link over real sockets. Most tests drive them in turns from one thread; a few
// play one end by hand with a bare socket, to send what the real one never would.
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zmq.h>

#include "runtime/clock.h"
#include "runtime/link.h"
#include "runtime/liveness.h"
#include "runtime/robot.h"
#include "runtime/socket.h"
#include "tests/test.h"

enum { ARENA_SIZE = 2 << 20, PATIENCE_S = 20 };

static char folder[] = "/tmp/dpc_link_XXXXXX";
static dpc_error error;

// --- two ends -------------------------------------------------------------------------------------

typedef struct pair {
  dpc_link_def def;
  dpc_interface need, have;
  dpc_arena link_arena, robot_arena;
  dpc_link* link;
  dpc_robot* robot;
} pair;

static dpc_interface policy_interface(void) {
  dpc_interface interface = {.period_ns = 100000000};
  dpc_layout_add(&interface.obs, "keypoint", 3, "px", NULL);
  dpc_layout_add(&interface.obs, "agent_pos", 2, "px", NULL);
  dpc_layout_add(&interface.action, "action", 2, "px", "agent_pos");
  dpc_layout_add(&interface.action, "grip", 1, "", NULL);
  return interface;
}

// The robot has one signal more, in front.
static dpc_interface robot_interface(void) {
  dpc_interface interface = {.period_ns = 100000000};
  dpc_layout_add(&interface.obs, "block_angle", 1, "rad", NULL);
  dpc_layout_add(&interface.obs, "agent_pos", 2, "px", NULL);
  dpc_layout_add(&interface.obs, "keypoint", 3, "px", NULL);
  dpc_layout_add(&interface.action, "action", 2, "px", "agent_pos");
  dpc_layout_add(&interface.action, "grip", 1, "", NULL);
  dpc_interface_limit(&interface, "grip", DPC_LIMIT_SPEED, &(float){2.5F});
  return interface;
}

static void prepare(pair* p, const char* endpoint, double dead_after) {
  *p = (pair){.def = dpc_link_def_default(), .need = policy_interface(), .have = robot_interface()};
  p->def.dead_after = dead_after;
  snprintf(p->def.endpoint, sizeof p->def.endpoint, "%s", endpoint);
  assert_ok(dpc_arena_map(&p->link_arena, ARENA_SIZE, &error), &error);
  assert_ok(dpc_arena_map(&p->robot_arena, ARENA_SIZE, &error), &error);
}

static void open_robot(pair* p) {
  assert_ok(dpc_robot_bind(&p->def, &p->have, "robot 1", &p->robot_arena, &p->robot, &error),
            &error);
  snprintf(p->def.endpoint, sizeof p->def.endpoint, "%s", dpc_robot_endpoint(p->robot));
}

static void open_link(pair* p) {
  assert_ok(dpc_link_create(&p->def, &p->need, "dpc 1", &p->link_arena, &p->link, &error), &error);
  assert_ok(dpc_link_connect(p->link, &error), &error);
}

static void close_pair(pair* p) {
  if (p->link != NULL) dpc_link_destroy(p->link);
  if (p->robot != NULL) dpc_robot_close(p->robot, "over");
  dpc_arena_unmap(&p->link_arena);
  dpc_arena_unmap(&p->robot_arena);
}

static dpc_time patience(void) {
  return dpc_time_after(dpc_clock_now(), dpc_seconds(PATIENCE_S));
}

// Give both ends turns until both wanted events have come (NOTHING wants none); others are dropped.
static void turns(pair* p, dpc_link_event_kind link_kind, dpc_robot_event_kind robot_kind,
                  dpc_link_event* link_event, dpc_robot_event* robot_event) {
  bool link_done = link_kind == DPC_LINK_NOTHING, robot_done = robot_kind == DPC_ROBOT_NOTHING;
  const dpc_time end = patience();
  while (!link_done || !robot_done) {
    if (dpc_clock_now().ns > end.ns) fail_msg("no event %d, %d", link_kind, robot_kind);
    dpc_robot_event robot_now;
    dpc_link_event link_now;
    if (p->robot != NULL) {
      dpc_robot_poll(p->robot, dpc_seconds(0.001), -1, &robot_now);
      if (!robot_done && robot_now.kind == robot_kind) {
        robot_done = true;
        if (robot_event != NULL) *robot_event = robot_now;
      }
    }
    if (p->link != NULL && !(link_done && link_event != NULL)) {
      dpc_link_poll(p->link, dpc_seconds(0.001), -1, &link_now);
      if (!link_done && link_now.kind == link_kind) {
        link_done = true;
        if (link_event != NULL) *link_event = link_now;
      }
    }
  }
}

static void open_pair(pair* p, const char* endpoint, double dead_after) {
  prepare(p, endpoint, dead_after);
  open_robot(p);
  open_link(p);
  turns(p, DPC_LINK_CONNECTED, DPC_ROBOT_CONNECTED, NULL, NULL);
}

static void observe(pair* p, uint64_t seed, uint64_t tick, bool done) {
  const float row[6] = {0.5f, 1, 2, 3, 4, (float)tick};
  const dpc_observation observation = {.seed = seed,
                                       .tick = tick,
                                       .sample_time_ns = 1,
                                       .value_count = 6,
                                       .values = row,
                                       .reward = 0.25,
                                       .done = done};
  assert_ok(dpc_robot_send_observation(p->robot, &observation, &error), &error);
}

static dpc_status command(pair* p, uint32_t episode, uint64_t tick, float first, int64_t lease_ns) {
  const float row[3] = {first, -1, 1};
  const dpc_command sent = {
      .episode = episode, .tick = tick, .value_count = 3, .values = row, .lease_ns = lease_ns};
  return dpc_link_send_command(p->link, &sent, &error);
}

// Let what has been sent arrive: nothing tells when, so wait for a heartbeat's worth of quiet.
static void settle(void) {
  usleep(60000);
}

// --- an end played by hand ------------------------------------------------------------------------

typedef struct bare {
  void* context;
  void* socket;
  size_t peer_size;
  uint8_t peer[256];
  dpc_arena scratch;
} bare;

static void bare_open(bare* b, int type, const char* endpoint, char* bound) {
  *b = (bare){.context = zmq_ctx_new()};
  b->socket = zmq_socket(b->context, type);
  const int zero = 0, wait = 1000 * PATIENCE_S;
  zmq_setsockopt(b->socket, ZMQ_LINGER, &zero, sizeof zero);
  zmq_setsockopt(b->socket, ZMQ_RCVTIMEO, &wait, sizeof wait);
  if (bound == NULL) {
    assert_int_equal(zmq_connect(b->socket, endpoint), 0);
  } else {
    size_t size = DPC_ENDPOINT_MAX;
    assert_int_equal(zmq_bind(b->socket, endpoint), 0);
    assert_int_equal(zmq_getsockopt(b->socket, ZMQ_LAST_ENDPOINT, bound, &size), 0);
  }
  assert_ok(dpc_arena_map(&b->scratch, DPC_WIRE_SCRATCH_SIZE, &error), &error);
}

static void bare_close(bare* b) {
  zmq_close(b->socket);
  zmq_ctx_term(b->context);
  dpc_arena_unmap(&b->scratch);
}

static void bare_send_bytes(bare* b, const void* data, size_t size, int flags) {
  if (b->peer_size > 0) {
    assert_true(zmq_send(b->socket, b->peer, b->peer_size, ZMQ_SNDMORE) >= 0);
  }
  assert_true(zmq_send(b->socket, data, size, flags) >= 0);
}

static void bare_send(bare* b, dpc_direction direction, const dpc_message* message) {
  uint8_t data[4096];
  size_t size = 0;
  assert_ok(dpc_wire_encode(direction, message, data, sizeof data, &size, &error), &error);
  bare_send_bytes(b, data, size, 0);
}

// The next message of this kind, with `link` or `robot` kept running meanwhile.
static void bare_await(bare* b, dpc_direction direction, dpc_message_kind kind, pair* p,
                       dpc_message* out) {
  const dpc_time end = patience();
  for (;;) {
    if (dpc_clock_now().ns > end.ns) fail_msg("no %s", dpc_message_kind_name(kind));
    uint8_t data[DPC_MESSAGE_MAX];
    dpc_link_event link_event;
    dpc_robot_event robot_event;
    if (p->link != NULL) dpc_link_poll(p->link, dpc_seconds(0.001), -1, &link_event);
    if (p->robot != NULL) dpc_robot_poll(p->robot, dpc_seconds(0.001), -1, &robot_event);
    if (direction == DPC_TO_ROBOT) {
      const int peer = zmq_recv(b->socket, b->peer, sizeof b->peer, ZMQ_DONTWAIT);
      if (peer < 0) continue;
      b->peer_size = (size_t)peer;
    }
    const int size = zmq_recv(b->socket, data, sizeof data, ZMQ_DONTWAIT);
    if (size < 0) continue;
    dpc_arena_release(&b->scratch, 0);
    assert_ok(dpc_wire_decode(direction, data, (size_t)size, -1, &b->scratch, out, &error), &error);
    if (out->kind == kind) return;
  }
}

static dpc_message hello_message(const dpc_interface* interface, uint64_t session) {
  dpc_message message = {.kind = DPC_MESSAGE_HELLO};
  message.hello.session = session;
  message.hello.interface = *interface;
  return message;
}

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

// --- which message wins ---------------------------------------------------------------------------

static void test_the_newest_observation_wins_but_an_end_is_kept(void** state) {
  (void)state;
  pair p;
  dpc_link_event event;
  open_pair(&p, "tcp://127.0.0.1:*", 10);
  for (uint64_t tick = 0; tick < 4; ++tick) observe(&p, 1, tick, tick == 3);
  for (uint64_t tick = 0; tick < 3; ++tick) observe(&p, 2, tick, false);
  settle();
  turns(&p, DPC_LINK_OBSERVATION, DPC_ROBOT_NOTHING, &event, NULL);
  assert_true(event.observation.done);
  assert_int_equal(event.observation.seed, 1);
  assert_int_equal(event.observation.episode, 0);
  assert_true(event.observation.values[5] == 3);
  turns(&p, DPC_LINK_OBSERVATION, DPC_ROBOT_NOTHING, &event, NULL);
  assert_int_equal(event.observation.seed, 2);
  assert_int_equal(event.observation.episode, 1);
  assert_int_equal(event.observation.tick, 2);
  assert_int_equal(dpc_link_counts(p.link)->replaced, 5);
  close_pair(&p);
}

static void test_the_newest_command_wins_and_its_lease_counts(void** state) {
  (void)state;
  pair p;
  dpc_robot_event event;
  open_pair(&p, "tcp://127.0.0.1:*", 10);
  observe(&p, 1, 0, false);
  for (int i = 0; i < 5; ++i) assert_ok(command(&p, 0, 0, (float)i, 3000000000), &error);
  settle();
  turns(&p, DPC_LINK_NOTHING, DPC_ROBOT_COMMAND, NULL, &event);
  assert_true(event.command.values[0] == 4);
  assert_int_equal(dpc_time_since(event.valid_until, event.time).ns, 3000000000);
  assert_int_equal(dpc_robot_counts(p.robot)->replaced, 4);
  // a reset is an event of its own
  assert_ok(command(&p, 0, 0, 5, 0), &error);
  assert_ok(dpc_link_send_reset(p.link, 99, &error), &error);
  settle();
  turns(&p, DPC_LINK_NOTHING, DPC_ROBOT_RESET, NULL, &event);
  assert_int_equal(event.seed, 99);
  close_pair(&p);
}

// The end of a lease is told once, before the robot could take the controller for dead; one without an
// end, a newer command and another episode are none.
static void test_the_end_of_a_lease_is_told(void** state) {
  (void)state;
  pair p;
  dpc_robot_event event;
  open_pair(&p, "tcp://127.0.0.1:*", 10);
  observe(&p, 1, 0, false);
  assert_ok(command(&p, 0, 0, 1, 30000000), &error);
  turns(&p, DPC_LINK_NOTHING, DPC_ROBOT_COMMAND, NULL, &event);
  const dpc_time end = event.valid_until;
  dpc_robot_poll(p.robot, dpc_seconds(10), -1, &event);
  assert_int_equal(event.kind, DPC_ROBOT_EXPIRED);
  assert_true(event.time.ns > end.ns);
  dpc_robot_poll(p.robot, dpc_seconds(0.1), -1, &event);
  assert_int_equal(event.kind, DPC_ROBOT_NOTHING);
  for (int i = 0; i < 2; ++i) {
    assert_ok(command(&p, 0, 0, 1, 50000000), &error);
    turns(&p, DPC_LINK_NOTHING, DPC_ROBOT_COMMAND, NULL, NULL);
    if (i == 0) assert_ok(command(&p, 0, 0, 1, 0), &error);
    if (i == 0) turns(&p, DPC_LINK_NOTHING, DPC_ROBOT_COMMAND, NULL, NULL);
    if (i == 1) observe(&p, 2, 0, false);
    dpc_robot_poll(p.robot, dpc_seconds(0.1), -1, &event);
    assert_int_equal(event.kind, DPC_ROBOT_NOTHING);
  }
  assert_int_equal(dpc_robot_counts(p.robot)->expired, 1);
  close_pair(&p);
}

static void expect_ignored(pair* p, uint32_t episode, uint64_t tick) {
  const uint64_t before = dpc_robot_counts(p->robot)->unexpected;
  dpc_robot_event event;
  assert_ok(command(p, episode, tick, 0, 0), &error);
  settle();
  dpc_robot_poll(p->robot, dpc_seconds(0.01), -1, &event);
  assert_int_equal(event.kind, DPC_ROBOT_NOTHING);
  assert_int_equal(dpc_robot_counts(p->robot)->unexpected, before + 1);
}

static void test_commands_of_other_ticks_are_ignored(void** state) {
  (void)state;
  pair p;
  open_pair(&p, "tcp://127.0.0.1:*", 10);
  expect_ignored(&p, 0, 0);  // nothing observed yet
  for (uint64_t tick = 0; tick <= 3; ++tick) observe(&p, 1, tick, false);
  expect_ignored(&p, 0, 4);           // not observed yet
  expect_ignored(&p, 0, UINT64_MAX);  //
  expect_ignored(&p, 1, 0);           // an episode that has not begun
  assert_ok(command(&p, 0, 3, 0, 0), &error);
  turns(&p, DPC_LINK_NOTHING, DPC_ROBOT_COMMAND, NULL, NULL);
  expect_ignored(&p, 0, 2);  // older than what was followed
  observe(&p, 1, 4, true);
  expect_ignored(&p, 0, 4);  // the episode is over
  observe(&p, 2, 0, false);
  expect_ignored(&p, 0, 0);  // and another one runs
  assert_ok(command(&p, 1, 0, 0, 0), &error);
  turns(&p, DPC_LINK_NOTHING, DPC_ROBOT_COMMAND, NULL, NULL);
  close_pair(&p);
}

static void test_observations_out_of_order_are_not_sent(void** state) {
  (void)state;
  pair p;
  open_pair(&p, "tcp://127.0.0.1:*", 10);
  const float row[6] = {NAN};
  dpc_observation observation = {.tick = 1, .value_count = 6, .values = row};
  assert_fails(dpc_robot_send_observation(p.robot, &observation, &error), DPC_ERR_INVALID, &error,
               "ticks begin at 0");
  observation.tick = 0;
  assert_fails(dpc_robot_send_observation(p.robot, &observation, &error), DPC_ERR_INVALID, &error,
               "value 0 is not finite");
  observation.value_count = 5;
  assert_fails(dpc_robot_send_observation(p.robot, &observation, &error), DPC_ERR_INVALID, &error,
               "5 values, the interface has 6");
  observe(&p, 1, 0, false);
  observe(&p, 1, 1, true);
  observation = (dpc_observation){.tick = 2, .value_count = 6, .values = row};
  assert_fails(dpc_robot_send_observation(p.robot, &observation, &error), DPC_ERR_INVALID, &error,
               "until the episode is done");
  close_pair(&p);
}

// --- strangers and noise --------------------------------------------------------------------------

static void test_noise_at_the_robot_is_counted_and_ignored(void** state) {
  (void)state;
  static uint8_t huge[3 * DPC_MESSAGE_MAX];
  pair p;
  bare stranger;
  open_pair(&p, "tcp://127.0.0.1:*", 10);
  observe(&p, 1, 0, false);
  bare_open(&stranger, ZMQ_DEALER, p.def.endpoint, NULL);
  bare_send_bytes(&stranger, "garbage", 7, 0);
  bare_send_bytes(&stranger, "", 0, 0);
  bare_send_bytes(&stranger, huge, DPC_MESSAGE_MAX + 1, 0);
  bare_send_bytes(&stranger, "two", 3, ZMQ_SNDMORE);
  bare_send_bytes(&stranger, "parts", 5, 0);
  const float row[3] = {1, 2, 3};
  dpc_message message = {.kind = DPC_MESSAGE_COMMAND,
                         .command = {.session = 1234, .value_count = 3, .values = row}};
  bare_send(&stranger, DPC_TO_ROBOT, &message);
  message.command.value_count = 2;
  bare_send(&stranger, DPC_TO_ROBOT, &message);
  // too large for the socket: costs the connection
  bare_send_bytes(&stranger, huge, sizeof huge, 0);
  settle();
  assert_ok(command(&p, 0, 0, 7, 0), &error);
  dpc_robot_event event;
  turns(&p, DPC_LINK_NOTHING, DPC_ROBOT_COMMAND, NULL, &event);
  assert_true(event.command.values[0] == 7);
  const dpc_link_counters* counts = dpc_robot_counts(p.robot);
  assert_int_equal(counts->bad_format, 2);
  assert_int_equal(counts->bad_frame, 2);
  assert_int_equal(counts->other_session, 1);
  assert_int_equal(counts->bad_count, 1);
  bare_close(&stranger);
  close_pair(&p);
}

static void test_noise_at_the_controller_is_counted_and_ignored(void** state) {
  (void)state;
  pair p;
  bare robot;
  dpc_message message;
  dpc_link_event event;
  prepare(&p, "", 10);
  bare_open(&robot, ZMQ_ROUTER, "tcp://127.0.0.1:*", p.def.endpoint);
  open_link(&p);
  bare_await(&robot, DPC_TO_ROBOT, DPC_MESSAGE_HELLO, &p, &message);
  const uint64_t session = message.hello.session;
  assert_true(session != 0);
  // accepted before it has said what it has: not an agreement
  message.kind = DPC_MESSAGE_HELLO_ACK;
  message.hello_ack = (dpc_hello_ack){.session = session, .accepted = true};
  bare_send(&robot, DPC_FROM_ROBOT, &message);
  message = hello_message(&p.have, session);
  bare_send(&robot, DPC_FROM_ROBOT, &message);
  message.kind = DPC_MESSAGE_HELLO_ACK;
  message.hello_ack = (dpc_hello_ack){.session = session, .accepted = true};
  bare_send(&robot, DPC_FROM_ROBOT, &message);
  turns(&p, DPC_LINK_CONNECTED, DPC_ROBOT_NOTHING, &event, NULL);
  assert_int_equal(dpc_link_counts(p.link)->unexpected, 1);

  const float row[7] = {1, 2, 3, 4, 5, 6, 7};
  message = (dpc_message){.kind = DPC_MESSAGE_OBSERVATION,
                          .observation = {.session = session, .value_count = 7, .values = row}};
  bare_send(&robot, DPC_FROM_ROBOT, &message);
  message.observation.value_count = 6;
  message.observation.session = session + 1;
  bare_send(&robot, DPC_FROM_ROBOT, &message);
  // not a number, where 6.0f ends the row
  uint8_t data[256];
  size_t size = 0;
  message.observation.session = session;
  assert_ok(dpc_wire_encode(DPC_FROM_ROBOT, &message, data, sizeof data, &size, &error), &error);
  const float six = 6, nan = NAN;
  memcpy(memmem(data, size, &six, sizeof six), &nan, sizeof nan);
  bare_send_bytes(&robot, data, size, 0);
  bare_send_bytes(&robot, "noise", 5, 0);
  message.observation.tick = 9;
  bare_send(&robot, DPC_FROM_ROBOT, &message);
  turns(&p, DPC_LINK_OBSERVATION, DPC_ROBOT_NOTHING, &event, NULL);
  assert_int_equal(event.observation.tick, 9);
  const dpc_link_counters* counts = dpc_link_counts(p.link);
  assert_int_equal(counts->bad_count, 1);
  assert_int_equal(counts->other_session, 1);
  assert_int_equal(counts->bad_value, 1);
  assert_int_equal(counts->bad_format, 1);
  close_pair(&p);
  bare_close(&robot);
}

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

// What this program does as `test_link robot ENDPOINT SIGNALS`: a robot in a process of its own, which
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
  const char* const argv[] = {"test_link", "robot", p->def.endpoint, signals, NULL};
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

// --- endpoints ------------------------------------------------------------------------------------

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

// --- alive or dead --------------------------------------------------------------------------------

static dpc_time at(double seconds) {
  return dpc_time_after((dpc_time){INT64_C(1000000000000)}, dpc_seconds(seconds));
}

static void test_silence_counts_only_while_we_listen(void** state) {
  (void)state;
  dpc_liveness liveness;
  dpc_liveness_start(&liveness, dpc_seconds(0.5), at(0));
  for (int i = 1; i <= 50; ++i) assert_false(dpc_liveness_update(&liveness, at(0.01 * i)));
  assert_true(dpc_liveness_update(&liveness, at(0.51)));
  // heard again
  dpc_liveness_heard(&liveness, at(0.52));
  assert_false(dpc_liveness_update(&liveness, at(0.52)));
  // away ourselves for 10 s: two heartbeats more, then dead
  assert_false(dpc_liveness_update(&liveness, at(10.52)));
  assert_false(dpc_liveness_update(&liveness, at(10.6)));
  assert_true(dpc_liveness_update(&liveness, at(10.63)));
  // away again and again does not keep the dead alive
  dpc_liveness_start(&liveness, dpc_seconds(0.5), at(0));
  assert_false(dpc_liveness_update(&liveness, at(1)));
  assert_true(dpc_liveness_update(&liveness, at(2)));
}

static void test_heartbeats_are_due_every_period(void** state) {
  (void)state;
  dpc_liveness liveness;
  dpc_liveness_start(&liveness, dpc_seconds(0.5), at(0));
  int spoken = 0;
  for (int i = 0; i <= 1000; ++i) spoken += dpc_liveness_speak(&liveness, at(0.001 * i));
  assert_int_equal(spoken, 20);
}

static int make_folder(void** state) {
  (void)state;
  return mkdtemp(folder) == NULL;
}

static int remove_folder(void** state) {
  (void)state;
  // what killed robots left: their sockets and locks
  static const char* const names[] = {"killed", "killed.lock", "stopped", "stopped.lock"};
  for (int i = 0; i < DPC_COUNT(names); ++i) {
    char path[64];
    snprintf(path, sizeof path, "%s/%s", folder, names[i]);
    unlink(path);
  }
  return rmdir(folder);
}

int main(int argc, char** argv) {
  if (argc == 4 && strcmp(argv[1], "robot") == 0) return be_robot(argv[2], atoi(argv[3]));
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_an_episode_over_tcp),
      cmocka_unit_test(test_an_episode_over_ipc),
      cmocka_unit_test(test_the_robot_refuses_what_it_does_not_have),
      cmocka_unit_test(test_the_controller_refuses_what_it_does_not_need),
      cmocka_unit_test(test_handshake_with_a_robot_in_another_thread),
      cmocka_unit_test(test_handshake_names_what_was_ignored),
      cmocka_unit_test(test_handshake_gives_up),
      cmocka_unit_test(test_the_newest_observation_wins_but_an_end_is_kept),
      cmocka_unit_test(test_the_newest_command_wins_and_its_lease_counts),
      cmocka_unit_test(test_the_end_of_a_lease_is_told),
      cmocka_unit_test(test_commands_of_other_ticks_are_ignored),
      cmocka_unit_test(test_observations_out_of_order_are_not_sent),
      cmocka_unit_test(test_noise_at_the_robot_is_counted_and_ignored),
      cmocka_unit_test(test_noise_at_the_controller_is_counted_and_ignored),
      cmocka_unit_test(test_a_second_controller_waits_its_turn),
      cmocka_unit_test(test_the_place_of_a_controller_that_crashed_is_free),
      cmocka_unit_test(test_a_silent_controller_loses_the_robot_and_comes_back),
      cmocka_unit_test(test_the_robot_says_bye),
      cmocka_unit_test(test_a_robot_killed_and_restarted_over_ipc),
      cmocka_unit_test(test_a_robot_killed_and_restarted_over_tcp),
      cmocka_unit_test(test_a_stopped_robot_is_lost_and_found),
      cmocka_unit_test(test_an_endpoint_in_use_is_not_taken_over),
      cmocka_unit_test(test_a_file_in_the_way_is_not_removed),
      cmocka_unit_test(test_endpoints_that_other_machines_reach_need_insecure),
      cmocka_unit_test(test_silence_counts_only_while_we_listen),
      cmocka_unit_test(test_heartbeats_are_due_every_period),
  };
  return cmocka_run_group_tests_name("link", tests, make_folder, remove_folder);
}
