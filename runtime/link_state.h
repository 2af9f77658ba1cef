/// The controller's end from inside: what exchanging messages (runtime/link.c) and agreeing with a robot
/// (runtime/link_agree.c) share. For these alone.
#pragma once

#include "runtime/link.h"
#include "runtime/liveness.h"
#include "runtime/socket.h"

typedef enum link_state {
  STATE_CLOSED,
  STATE_CONNECTING,  // our Hello has not left yet
  STATE_ASKED,       // waiting for the robot's Hello
  STATE_ANSWERED,    // waiting for its HelloAck
  STATE_READY,
  STATE_WAITING,  // refused; the next attempt comes at `next_attempt`
} link_state;

struct dpc_link {
  dpc_link_def def;
  link_state state;
  dpc_hello hello;  // ours, with the session of the current attempt
  dpc_interface robot;
  bool robot_known;
  int obs_dim;
  dpc_time next_attempt;  // when this one is given up
  dpc_liveness liveness;
  dpc_link_counters counters;
  dpc_socket socket;
  dpc_arena scratch;
  dpc_frame in, out;
  dpc_message message;
  float* values;      // [DPC_MESSAGE_VALUE_MAX] of the last observation
  dpc_error ignored;  // why the last message that was ignored was
  char reason[sizeof((dpc_error*)0)->text];
};

/// Encode and send.
/// Allocates: inside libzmq. Blocks: no. Thread: the link's owner.
DPC_NODISCARD dpc_status dpc_link_send(dpc_link* link, const dpc_message* message,
                                       dpc_error* error);

/// Say Bye, whether it gets there or not.
/// Allocates: inside libzmq. Blocks: no. Thread: the link's owner.
void dpc_link_send_bye(dpc_link* link, const char* reason);

/// Begin another attempt, with a session of its own.
/// Allocates: inside libzmq. Blocks: no. Thread: the link's owner.
void dpc_link_attempt(dpc_link* link, dpc_time now);

/// An attempt begins with our Hello, as soon as there is someone to send it to.
/// Allocates: inside libzmq. Blocks: no. Thread: the link's owner.
void dpc_link_send_hello(dpc_link* link, dpc_time now);

/// The attempt, or the agreement, is over for the reason in `link->reason`; the next comes by itself.
/// Allocates: no. Blocks: no. Thread: the link's owner.
void dpc_link_fail_attempt(dpc_link* link, dpc_link_event* event, dpc_link_event_kind kind,
                           bool busy, dpc_time now);

/// The robot's Hello, in `link->message`: is it what we need?
/// Allocates: inside libzmq. Blocks: no. Thread: the link's owner.
void dpc_link_take_hello(dpc_link* link, dpc_link_event* event, dpc_time now);

/// And whether it takes us.
/// Allocates: no. Blocks: no. Thread: the link's owner.
void dpc_link_take_hello_ack(dpc_link* link, dpc_link_event* event, dpc_time now);
