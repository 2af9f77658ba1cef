// What both ends of the link make of the messages that come: of the newest, of old ones, and of noise.
#include "runtime/liveness.h"
#include "runtime/socket.h"
#include "tests/link_bare.h"

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

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_the_newest_observation_wins_but_an_end_is_kept),
      cmocka_unit_test(test_the_newest_command_wins_and_its_lease_counts),
      cmocka_unit_test(test_the_end_of_a_lease_is_told),
      cmocka_unit_test(test_commands_of_other_ticks_are_ignored),
      cmocka_unit_test(test_observations_out_of_order_are_not_sent),
      cmocka_unit_test(test_noise_at_the_robot_is_counted_and_ignored),
      cmocka_unit_test(test_noise_at_the_controller_is_counted_and_ignored),
  };
  return cmocka_run_group_tests_name("link messages", tests, make_folder, remove_folder);
}
