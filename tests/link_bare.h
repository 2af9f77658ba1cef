/// An end of the link played by hand with a bare socket, to send what the real one never would.
#pragma once

#include <zmq.h>

#include "tests/link_pair.h"

typedef struct bare {
  void* context;
  void* socket;
  size_t peer_size;
  uint8_t peer[256];
  dpc_arena scratch;
} bare;

static inline void bare_open(bare* b, int type, const char* endpoint, char* bound) {
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

static inline void bare_close(bare* b) {
  zmq_close(b->socket);
  zmq_ctx_term(b->context);
  dpc_arena_unmap(&b->scratch);
}

static inline void bare_send_bytes(bare* b, const void* data, size_t size, int flags) {
  if (b->peer_size > 0) {
    assert_true(zmq_send(b->socket, b->peer, b->peer_size, ZMQ_SNDMORE) >= 0);
  }
  assert_true(zmq_send(b->socket, data, size, flags) >= 0);
}

static inline void bare_send(bare* b, dpc_direction direction, const dpc_message* message) {
  uint8_t data[4096];
  size_t size = 0;
  assert_ok(dpc_wire_encode(direction, message, data, sizeof data, &size, &error), &error);
  bare_send_bytes(b, data, size, 0);
}

/// The next message of this kind, with `link` or `robot` kept running meanwhile.
static inline void bare_await(bare* b, dpc_direction direction, dpc_message_kind kind, pair* p,
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

static inline dpc_message hello_message(const dpc_interface* interface, uint64_t session) {
  dpc_message message = {.kind = DPC_MESSAGE_HELLO};
  message.hello.session = session;
  message.hello.interface = *interface;
  return message;
}
