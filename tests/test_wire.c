#include "proto/wire.h"

#include <stdio.h>

#include "tests/test.h"

// --- messages to try with -------------------------------------------------------------------------

enum { VALUE_COUNT = 5 };

static uint8_t frame[DPC_MESSAGE_MAX + 16];
static char scratch_block[DPC_WIRE_SCRATCH_SIZE + DPC_ARENA_ALIGN];
static dpc_arena scratch;
static const float values[VALUE_COUNT] = {0.0f, -1.5f, 3.4e38f, 1e-45f, 512.0f};

// Each value once, so that it is found in a frame.
static const float lows[2] = {-7.25F, -6.5F}, highs[2] = {7.25F, 6.5F}, jerks[2] = {30.5F, 31.5F};

static dpc_message sample(dpc_message_kind kind) {
  dpc_message message = {.kind = kind};
  switch (kind) {
    case DPC_MESSAGE_HELLO:
      message.hello.session = UINT64_MAX;
      message.hello.interface.period_ns = 100000000;
      dpc_layout_add(&message.hello.interface.obs, "keypoint", 18, "px", NULL);
      dpc_layout_add(&message.hello.interface.obs, "agent_pos", 2, "px", NULL);
      dpc_layout_add(&message.hello.interface.action, "action", 2, "px", "agent_pos");
      dpc_interface_limit(&message.hello.interface, "action", DPC_LIMIT_LOW, lows);
      dpc_interface_limit(&message.hello.interface, "action", DPC_LIMIT_HIGH, highs);
      dpc_interface_limit(&message.hello.interface, "action", DPC_LIMIT_JERK, jerks);
      strcpy(message.hello.software, "dpc 0.1 auf Größe geprüft");
      message.hello.note_count = 2;
      strcpy(message.hello.notes[0].key, "source");
      strcpy(message.hello.notes[0].value, "/data/ü.zarr");
      strcpy(message.hello.notes[1].key, "empty");
      break;
    case DPC_MESSAGE_HELLO_ACK:
      message.hello_ack = (dpc_hello_ack){.session = 7, .busy = true, .reason = "not now"};
      break;
    case DPC_MESSAGE_OBSERVATION:
      message.observation = (dpc_observation){.session = 8,
                                              .episode = 3,
                                              .seed = 100000,
                                              .tick = 299,
                                              .sample_time_ns = INT64_MAX,
                                              .value_count = VALUE_COUNT,
                                              .values = values,
                                              .reward = 0.25,
                                              .done = true};
      break;
    case DPC_MESSAGE_COMMAND:
      message.command = (dpc_command){.session = 9,
                                      .episode = 3,
                                      .tick = UINT64_MAX,
                                      .value_count = VALUE_COUNT,
                                      .values = values,
                                      .lease_ns = 200000000};
      break;
    case DPC_MESSAGE_RESET:
      message.reset = (dpc_reset){.session = 10, .seed = 4294967295};
      break;
    case DPC_MESSAGE_HEARTBEAT:
      message.heartbeat = (dpc_heartbeat){.session = 11, .time_ns = 123};
      break;
    case DPC_MESSAGE_BYE:
      message.bye = (dpc_bye){.session = 12, .reason = "done"};
      break;
  }
  return message;
}

static bool travels(dpc_direction direction, dpc_message_kind kind) {
  if (kind == DPC_MESSAGE_HELLO_ACK || kind == DPC_MESSAGE_OBSERVATION) {
    return direction == DPC_FROM_ROBOT;
  }
  if (kind == DPC_MESSAGE_COMMAND || kind == DPC_MESSAGE_RESET) return direction == DPC_TO_ROBOT;
  return true;
}

static void assert_same(const dpc_message* a, const dpc_message* b) {
  assert_int_equal(a->kind, b->kind);
  assert_true(dpc_message_session(a) == dpc_message_session(b));
  switch (a->kind) {
    case DPC_MESSAGE_HELLO:
      assert_memory_equal(&a->hello, &b->hello, sizeof a->hello);
      break;
    case DPC_MESSAGE_HELLO_ACK:
      assert_int_equal(a->hello_ack.accepted, b->hello_ack.accepted);
      assert_int_equal(a->hello_ack.busy, b->hello_ack.busy);
      assert_string_equal(a->hello_ack.reason, b->hello_ack.reason);
      break;
    case DPC_MESSAGE_OBSERVATION:
      assert_int_equal(a->observation.episode, b->observation.episode);
      assert_true(a->observation.seed == b->observation.seed);
      assert_true(a->observation.tick == b->observation.tick);
      assert_true(a->observation.sample_time_ns == b->observation.sample_time_ns);
      assert_int_equal(a->observation.value_count, b->observation.value_count);
      assert_memory_equal(a->observation.values, b->observation.values, sizeof values);
      assert_true(a->observation.reward == b->observation.reward);
      assert_int_equal(a->observation.done, b->observation.done);
      break;
    case DPC_MESSAGE_COMMAND:
      assert_int_equal(a->command.episode, b->command.episode);
      assert_true(a->command.tick == b->command.tick);
      assert_int_equal(a->command.value_count, b->command.value_count);
      assert_memory_equal(a->command.values, b->command.values, sizeof values);
      assert_true(a->command.lease_ns == b->command.lease_ns);
      break;
    case DPC_MESSAGE_RESET:
      assert_true(a->reset.seed == b->reset.seed);
      break;
    case DPC_MESSAGE_HEARTBEAT:
      assert_true(a->heartbeat.time_ns == b->heartbeat.time_ns);
      break;
    case DPC_MESSAGE_BYE:
      assert_string_equal(a->bye.reason, b->bye.reason);
      break;
  }
}

static size_t encoded(dpc_direction direction, const dpc_message* message) {
  dpc_error error;
  size_t size = 0;
  assert_ok(dpc_wire_encode(direction, message, frame, sizeof frame, &size, &error), &error);
  return size;
}

static dpc_status decode(dpc_direction direction, size_t size, dpc_message* out, dpc_error* error) {
  dpc_arena_release(&scratch, 0);
  // from a block of exactly this size, so that reading past its end is found
  void* exact = malloc(size + 1);
  assert_non_null(exact);
  uint8_t* start = (uint8_t*)exact + 1;
  memcpy(start, frame, size);
  const dpc_status status =
      dpc_wire_decode(direction, start, size, VALUE_COUNT, &scratch, out, error);
  free(exact);
  return status;
}

static int set_up(void** state) {
  (void)state;
  dpc_arena_init(&scratch, scratch_block, sizeof scratch_block);
  return 0;
}

// --- what is sent comes back ----------------------------------------------------------------------

static void test_every_kind_survives_the_way(void** state) {
  (void)state;
  for (int direction = 0; direction < 2; ++direction) {
    for (int kind = 0; kind <= DPC_MESSAGE_BYE; ++kind) {
      if (!travels((dpc_direction)direction, (dpc_message_kind)kind)) continue;
      const dpc_message sent = sample((dpc_message_kind)kind);
      dpc_message got;
      dpc_error error;
      const size_t size = encoded((dpc_direction)direction, &sent);
      assert_ok(decode((dpc_direction)direction, size, &got, &error), &error);
      assert_same(&sent, &got);
    }
  }
}

static void test_every_kind_survives_without_envelope(void** state) {
  (void)state;
  for (int kind = 0; kind <= DPC_MESSAGE_BYE; ++kind) {
    const dpc_message sent = sample((dpc_message_kind)kind);
    dpc_message got;
    dpc_error error;
    size_t size = 0;
    assert_ok(dpc_wire_encode_bare(&sent, frame, sizeof frame, &size, &error), &error);
    dpc_arena_release(&scratch, 0);
    assert_ok(dpc_wire_decode_bare((dpc_message_kind)kind, frame, size, -1, &scratch, &got, &error),
              &error);
    assert_same(&sent, &got);
  }
}

static void test_the_largest_row_fits(void** state) {
  (void)state;
  static float many[DPC_MESSAGE_VALUE_MAX];
  for (int i = 0; i < DPC_MESSAGE_VALUE_MAX; ++i) many[i] = (float)i;
  dpc_message sent = sample(DPC_MESSAGE_OBSERVATION), got;
  dpc_error error;
  sent.observation.values = many;
  sent.observation.value_count = DPC_MESSAGE_VALUE_MAX;
  const size_t size = encoded(DPC_FROM_ROBOT, &sent);
  dpc_arena_release(&scratch, 0);
  assert_ok(
      dpc_wire_decode(DPC_FROM_ROBOT, frame, size, DPC_MESSAGE_VALUE_MAX, &scratch, &got, &error),
      &error);
  assert_memory_equal(got.observation.values, many, sizeof many);
  // one more than the arena or the frame has room for is refused, not cut
  assert_fails(dpc_wire_encode(DPC_FROM_ROBOT, &sent, frame, 1000, &(size_t){0}, &error),
               DPC_ERR_NO_MEMORY, &error, "do not fit in 1000");
}

static void test_the_largest_hello_fits(void** state) {
  (void)state;
  dpc_message sent = sample(DPC_MESSAGE_HELLO), got;
  dpc_error error;
  dpc_interface* interface = &sent.hello.interface;
  while (interface->obs.count < DPC_SIGNAL_MAX) {
    char name[DPC_NAME_MAX];
    snprintf(name, sizeof name, "a_name_of_full_length_%025d", interface->obs.count);
    dpc_layout_add(&interface->obs, name, 1, "a_unit_of_15_by", NULL);
    if (interface->action.count < DPC_SIGNAL_MAX) {
      dpc_layout_add(&interface->action, name, 1, "rad", name);
    }
  }
  dpc_layout_add(&interface->action, "rest", DPC_LIMITED_MAX - 32, "rad", NULL);
  for (int k = 0; k < DPC_LIMIT_COUNT; ++k) {
    for (int i = 0; i < DPC_LIMITED_MAX; ++i) interface->limits.values[k][i] = (float)(k + 1);
    for (int i = 0; i < interface->action.count; ++i) interface->limits.given[i][k] = true;
  }
  sent.hello.note_count = DPC_NOTE_MAX;
  for (int i = 0; i < DPC_NOTE_MAX; ++i) {
    memset(sent.hello.notes[i].key, 'k', DPC_NOTE_KEY_MAX - 1);
    memset(sent.hello.notes[i].value, 'v', DPC_NOTE_VALUE_MAX - 1);
  }
  const size_t size = encoded(DPC_TO_ROBOT, &sent);
  assert_ok(decode(DPC_TO_ROBOT, size, &got, &error), &error);
  assert_same(&sent, &got);
}

// --- what is not allowed --------------------------------------------------------------------------

static void test_what_does_not_travel_this_way_is_refused(void** state) {
  (void)state;
  for (int direction = 0; direction < 2; ++direction) {
    for (int kind = 0; kind <= DPC_MESSAGE_BYE; ++kind) {
      if (travels((dpc_direction)direction, (dpc_message_kind)kind)) continue;
      const dpc_message sent = sample((dpc_message_kind)kind);
      dpc_error error;
      size_t size = 0;
      assert_fails(
          dpc_wire_encode((dpc_direction)direction, &sent, frame, sizeof frame, &size, &error),
          DPC_ERR_UNSUPPORTED, &error, dpc_message_kind_name((dpc_message_kind)kind));
    }
  }
}

static void test_not_exactly_one_message_is_refused(void** state) {
  (void)state;
  dpc_message got;
  dpc_error error;
  const dpc_message sent = sample(DPC_MESSAGE_HEARTBEAT);
  const size_t size = encoded(DPC_TO_ROBOT, &sent);
  // twice the same, which protobuf itself would merge
  memcpy(frame + size, frame, size);
  assert_fails(decode(DPC_TO_ROBOT, 2 * size, &got, &error), DPC_ERR_FORMAT, &error,
               "not one ToRobot message");
  assert_fails(decode(DPC_TO_ROBOT, 0, &got, &error), DPC_ERR_FORMAT, &error, "0 bytes");
  // numbers that mean nothing in this direction, 0 among them
  for (int number = 0; number < 16; ++number) {
    if (number >= 1 && number <= 5) continue;
    frame[0] = (uint8_t)(number << 3 | 2);
    assert_fails(decode(DPC_TO_ROBOT, size, &got, &error), DPC_ERR_FORMAT, &error,
                 "unknown message number");
  }
}

static void test_a_frame_that_is_too_long_is_refused(void** state) {
  (void)state;
  dpc_message got;
  dpc_error error;
  memset(frame, 0, sizeof frame);
  assert_fails(decode(DPC_TO_ROBOT, DPC_MESSAGE_MAX + 1, &got, &error), DPC_ERR_FORMAT, &error,
               "65537 bytes");
}

static void test_values_must_be_finite_on_both_ends(void** state) {
  (void)state;
  static const uint32_t bad[] = {0x7f800000, 0xff800000, 0x7fc00000, 0x7f800001, 0xffffffff};
  for (int kind = DPC_MESSAGE_OBSERVATION; kind <= DPC_MESSAGE_COMMAND; ++kind) {
    const dpc_direction direction = kind == DPC_MESSAGE_OBSERVATION ? DPC_FROM_ROBOT : DPC_TO_ROBOT;
    for (int at = 0; at < VALUE_COUNT; ++at) {
      for (int i = 0; i < DPC_COUNT(bad); ++i) {
        dpc_message sent = sample((dpc_message_kind)kind), got;
        dpc_error error;
        float wrong[VALUE_COUNT];
        memcpy(wrong, values, sizeof wrong);
        const size_t size = encoded(direction, &sent);
        // in the frame, where 512.0f ends the row
        const uint8_t last[4] = {0, 0, 0, 0x44};
        uint8_t* end = memmem(frame, size, last, sizeof last);
        assert_non_null(end);
        memcpy(end - (size_t)4 * (size_t)(VALUE_COUNT - 1 - at), &bad[i], sizeof bad[i]);
        assert_fails(decode(direction, size, &got, &error), DPC_ERR_INVALID, &error,
                     "is not finite");
        memcpy(&wrong[at], &bad[i], sizeof bad[i]);
        if (kind == DPC_MESSAGE_OBSERVATION) sent.observation.values = wrong;
        if (kind == DPC_MESSAGE_COMMAND) sent.command.values = wrong;
        assert_fails(dpc_wire_encode(direction, &sent, frame, sizeof frame, &(size_t){0}, &error),
                     DPC_ERR_INVALID, &error, "is not finite");
      }
    }
  }
}

static void test_the_number_of_values_is_the_agreed_one(void** state) {
  (void)state;
  for (int count = 0; count < VALUE_COUNT; ++count) {
    dpc_message sent = sample(DPC_MESSAGE_COMMAND), got;
    dpc_error error;
    sent.command.value_count = count;
    const size_t size = encoded(DPC_TO_ROBOT, &sent);
    assert_fails(decode(DPC_TO_ROBOT, size, &got, &error), DPC_ERR_MISMATCH, &error, "expected 5");
  }
}

// Change one thing in a message; both encoding and, where protobuf can carry it, decoding refuse it.
static void refuse_to_send(dpc_direction direction, const dpc_message* message, const char* words) {
  dpc_error error;
  size_t size = 12345;
  assert_fails(dpc_wire_encode(direction, message, frame, sizeof frame, &size, &error),
               DPC_ERR_INVALID, &error, words);
  assert_int_equal(size, 12345);
}

static void test_numbers_out_of_range_are_refused(void** state) {
  (void)state;
  dpc_message message = sample(DPC_MESSAGE_OBSERVATION);
  message.observation.reward = NAN;
  refuse_to_send(DPC_FROM_ROBOT, &message, "reward");
  message = sample(DPC_MESSAGE_OBSERVATION);
  message.observation.sample_time_ns = -1;
  refuse_to_send(DPC_FROM_ROBOT, &message, "sample time");
  message = sample(DPC_MESSAGE_COMMAND);
  message.command.lease_ns = -1;
  refuse_to_send(DPC_TO_ROBOT, &message, "lease");
  message.command.lease_ns = INT64_MAX;
  refuse_to_send(DPC_TO_ROBOT, &message, "lease");
  message = sample(DPC_MESSAGE_HELLO);
  message.hello.interface.period_ns = 0;
  refuse_to_send(DPC_TO_ROBOT, &message, "period");
  message = sample(DPC_MESSAGE_HELLO);
  message.hello.interface.obs.count = 0;
  refuse_to_send(DPC_TO_ROBOT, &message, "observation");
  message = sample(DPC_MESSAGE_HELLO);
  message.hello.note_count = DPC_NOTE_MAX + 1;
  refuse_to_send(DPC_TO_ROBOT, &message, "notes");
}

// --- a robot's own limits -------------------------------------------------------------------------

static void test_limits_must_be_sound_on_both_ends(void** state) {
  (void)state;
  static const struct {
    dpc_limit limit;
    float was, is;
    const char* words;
  } cases[] = {
      {DPC_LIMIT_LOW, -6.5F, NAN, "hello: action 'action': limit low of element 1 is nan"},
      {DPC_LIMIT_LOW, -7.25F, 8, "limit low of element 0 is 8, which is not below high, 7.25"},
      {DPC_LIMIT_HIGH, 7.25F, INFINITY, "limit high of element 0 is inf"},
      {DPC_LIMIT_HIGH, 6.5F, -6.5F, "limit low of element 1 is -6.5, which is not below high"},
      {DPC_LIMIT_JERK, 30.5F, 0, "limit jerk of element 0 is 0: must be above 0"},
      {DPC_LIMIT_JERK, 31.5F, -1, "limit jerk of element 1 is -1"},
  };
  for (int i = 0; i < DPC_COUNT(cases); ++i) {
    dpc_message sent = sample(DPC_MESSAGE_HELLO), got;
    dpc_error error;
    const size_t size = encoded(DPC_FROM_ROBOT, &sent);
    uint8_t* at = memmem(frame, size, &cases[i].was, sizeof(float));
    assert_non_null(at);
    memcpy(at, &cases[i].is, sizeof(float));
    assert_fails(decode(DPC_FROM_ROBOT, size, &got, &error), DPC_ERR_INVALID, &error,
                 cases[i].words);
    float* value = sent.hello.interface.limits.values[cases[i].limit];
    value[*value == cases[i].was ? 0 : 1] = cases[i].is;
    refuse_to_send(DPC_FROM_ROBOT, &sent, cases[i].words);
  }
}

// What another program could send: more or fewer values than elements, limits of what is observed,
// and of more values than are kept.
static void test_limits_must_be_of_the_right_values(void** state) {
  (void)state;
  static const char name[] =
      "\x0a\x06"
      "action\x10\x02";
  static const char narrow[] =
      "\x0a\x06"
      "narrow\x10\x01";
  dpc_message got, sent = sample(DPC_MESSAGE_HELLO);
  dpc_error error;
  size_t size = encoded(DPC_FROM_ROBOT, &sent);
  uint8_t* at = memmem(frame, size, name, sizeof name - 1);
  assert_non_null(at);
  at[9] = 3;
  assert_fails(decode(DPC_FROM_ROBOT, size, &got, &error), DPC_ERR_INVALID, &error,
               "hello: action 'action': limit low has 2 values, not 3");
  at[9] = 1;
  assert_fails(decode(DPC_FROM_ROBOT, size, &got, &error), DPC_ERR_INVALID, &error,
               "limit low has 2 values, not 1");
  at[9] = 2;
  at[-2] = 2 << 3 | 2;  // Hello.observation, no longer Hello.action
  assert_fails(decode(DPC_FROM_ROBOT, size, &got, &error), DPC_ERR_INVALID, &error,
               "hello: observation 2 has limits");
  dpc_interface* interface = &sent.hello.interface;
  memset(&interface->action, 0, sizeof interface->action);
  memset(&interface->limits, 0, sizeof interface->limits);
  dpc_layout_add(&interface->action, "narrow", 1, "", NULL);
  dpc_layout_add(&interface->action, "wide", DPC_LIMITED_MAX - 1, "", NULL);
  for (int i = 1; i < DPC_LIMITED_MAX; ++i) interface->limits.values[DPC_LIMIT_SPEED][i] = 1;
  interface->limits.given[1][DPC_LIMIT_SPEED] = true;
  size = encoded(DPC_FROM_ROBOT, &sent);
  assert_ok(decode(DPC_FROM_ROBOT, size, &got, &error), &error);
  at = memmem(frame, size, narrow, sizeof narrow - 1);
  assert_non_null(at);
  at[9] = 2;
  assert_fails(decode(DPC_FROM_ROBOT, size, &got, &error), DPC_ERR_INVALID, &error,
               "hello: action 'wide': has limits, but only the first 256 values");
}

// --- texts ----------------------------------------------------------------------------------------

static void test_texts_must_be_printable(void** state) {
  (void)state;
  static const char* const good[] = {"", "a b", "é", "日本", "🤖", "\xc2\xa0"};
  static const char* const bad[] = {
      "\x1b[2J",  "a\n",      "\x7f",         "\xc2\x80",         "\xff",
      "\xc0\xaf", "\xe2\x82", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xf0\x80\x80\xaf"};
  dpc_error error;
  dpc_message got, message = sample(DPC_MESSAGE_BYE);
  for (int i = 0; i < DPC_COUNT(good); ++i) {
    snprintf(message.bye.reason, sizeof message.bye.reason, "%s", good[i]);
    assert_ok(decode(DPC_TO_ROBOT, encoded(DPC_TO_ROBOT, &message), &got, &error), &error);
    assert_string_equal(got.bye.reason, good[i]);
  }
  for (int i = 0; i < DPC_COUNT(bad); ++i) {
    snprintf(message.bye.reason, sizeof message.bye.reason, "%s", bad[i]);
    refuse_to_send(DPC_TO_ROBOT, &message, "not printable");
  }
}

static void test_a_text_with_a_nul_is_refused(void** state) {
  (void)state;
  static const char* const texts[] = {"keypoint", "agent_pos", "px", "source", "dpc 0.1"};
  for (int i = 0; i < DPC_COUNT(texts); ++i) {
    const dpc_message sent = sample(DPC_MESSAGE_HELLO);
    dpc_message got;
    dpc_error error;
    const size_t size = encoded(DPC_TO_ROBOT, &sent);
    uint8_t* at = memmem(frame, size, texts[i], strlen(texts[i]));
    assert_non_null(at);
    at[1] = 0;
    assert_fails(decode(DPC_TO_ROBOT, size, &got, &error), DPC_ERR_INVALID, &error, "holds a NUL");
  }
}

static void test_a_text_that_is_too_long_is_refused(void** state) {
  (void)state;
  dpc_message got, message = sample(DPC_MESSAGE_BYE);
  dpc_error error;
  memset(message.bye.reason, 'x', sizeof message.bye.reason);
  refuse_to_send(DPC_TO_ROBOT, &message, "longer than 255");
  // as another program could send it: Bye{reason: 256 bytes}
  static const uint8_t head[] = {5 << 3 | 2, 0x83, 0x02, 2 << 3 | 2, 0x80, 0x02};
  memcpy(frame, head, sizeof head);
  memset(frame + sizeof head, 'x', 256);
  assert_fails(decode(DPC_TO_ROBOT, sizeof head + 256, &got, &error), DPC_ERR_INVALID, &error,
               "longer than 255");
}

// --- hostile bytes --------------------------------------------------------------------------------

static void test_many_small_parts_fill_the_arena_and_no_more(void** state) {
  (void)state;
  // a message of 32768 unknown fields of two bytes each
  dpc_message got;
  dpc_error error;
  dpc_arena_release(&scratch, 0);
  for (int i = 0; i < DPC_MESSAGE_MAX; i += 2) {
    frame[i] = 15 << 3;
    frame[i + 1] = 1;
  }
  const size_t mark = dpc_arena_mark(&scratch);
  assert_fails(
      dpc_wire_decode_bare(DPC_MESSAGE_HELLO, frame, DPC_MESSAGE_MAX, -1, &scratch, &got, &error),
      DPC_ERR_NO_MEMORY, &error, "does not fit");
  assert_int_equal(dpc_arena_mark(&scratch), mark);
}

static void test_an_arena_of_any_size_is_enough_or_fails_cleanly(void** state) {
  (void)state;
  const dpc_message sent = sample(DPC_MESSAGE_HELLO);
  const size_t size = encoded(DPC_TO_ROBOT, &sent);
  bool fits = false;
  for (size_t room = 0; room < 16384; room += DPC_ARENA_ALIGN) {
    dpc_arena small;
    dpc_message got;
    dpc_arena_init(&small, scratch_block, room);
    const dpc_status status = dpc_wire_decode(DPC_TO_ROBOT, frame, size, -1, &small, &got, NULL);
    if (status != DPC_OK) assert_int_equal(status, DPC_ERR_NO_MEMORY);
    if (status != DPC_OK) assert_false(fits);
    if (status == DPC_OK) assert_same(&sent, &got);
    fits = status == DPC_OK;
  }
  assert_true(fits);
  dpc_arena_init(&scratch, scratch_block, sizeof scratch_block);
}

// Whatever decoding lets through can be sent again, so it is all that encoding asks for.
static void check_if_sound(dpc_direction direction, size_t size) {
  dpc_message got;
  uint8_t again[4096];
  size_t again_size = 0;
  if (decode(direction, size, &got, NULL) != DPC_OK) return;
  dpc_error error;
  assert_ok(dpc_wire_encode(direction, &got, again, sizeof again, &again_size, &error), &error);
}

static void test_cut_and_flipped_frames(void** state) {
  (void)state;
  for (int direction = 0; direction < 2; ++direction) {
    for (int kind = 0; kind <= DPC_MESSAGE_BYE; ++kind) {
      if (!travels((dpc_direction)direction, (dpc_message_kind)kind)) continue;
      const dpc_message sent = sample((dpc_message_kind)kind);
      const size_t size = encoded((dpc_direction)direction, &sent);
      for (size_t cut = 0; cut < size; ++cut) {
        dpc_message got;
        assert_int_equal(decode((dpc_direction)direction, cut, &got, NULL), DPC_ERR_FORMAT);
      }
      for (size_t bit = 0; bit < 8 * size; ++bit) {
        frame[bit / 8] ^= (uint8_t)(1 << bit % 8);
        check_if_sound((dpc_direction)direction, size);
        frame[bit / 8] ^= (uint8_t)(1 << bit % 8);
      }
    }
  }
}

static void test_random_bytes(void** state) {
  (void)state;
  uint32_t random = 1;
  for (int round = 0; round < 50000; ++round) {
    random = random * 1664525 + 1013904223;
    const size_t size = 2 + (random >> 8) % 100;
    for (size_t i = 0; i < size; ++i) {
      random = random * 1664525 + 1013904223;
      frame[i] = (uint8_t)(random >> 24);
    }
    // a sound envelope lets more of them reach the message
    const dpc_direction direction = round % 2 == 0 ? DPC_FROM_ROBOT : DPC_TO_ROBOT;
    frame[0] = (uint8_t)((1 + round % 5) << 3 | 2);
    frame[1] = (uint8_t)(size - 2);
    check_if_sound(direction, size);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_every_kind_survives_the_way),
      cmocka_unit_test(test_every_kind_survives_without_envelope),
      cmocka_unit_test(test_the_largest_row_fits),
      cmocka_unit_test(test_the_largest_hello_fits),
      cmocka_unit_test(test_what_does_not_travel_this_way_is_refused),
      cmocka_unit_test(test_not_exactly_one_message_is_refused),
      cmocka_unit_test(test_a_frame_that_is_too_long_is_refused),
      cmocka_unit_test(test_values_must_be_finite_on_both_ends),
      cmocka_unit_test(test_the_number_of_values_is_the_agreed_one),
      cmocka_unit_test(test_numbers_out_of_range_are_refused),
      cmocka_unit_test(test_limits_must_be_sound_on_both_ends),
      cmocka_unit_test(test_limits_must_be_of_the_right_values),
      cmocka_unit_test(test_texts_must_be_printable),
      cmocka_unit_test(test_a_text_with_a_nul_is_refused),
      cmocka_unit_test(test_a_text_that_is_too_long_is_refused),
      cmocka_unit_test(test_many_small_parts_fill_the_arena_and_no_more),
      cmocka_unit_test(test_an_arena_of_any_size_is_enough_or_fails_cleanly),
      cmocka_unit_test(test_cut_and_flipped_frames),
      cmocka_unit_test(test_random_bytes),
  };
  return cmocka_run_group_tests_name("wire", tests, set_up, NULL);
}
