#include <stdio.h>
#include <string.h>

#include "runtime/robot_state.h"

static bool from_peer(const dpc_robot* robot) {
  return robot->in.peer_size == robot->peer_size &&
         memcmp(robot->in.peer, robot->peer, robot->peer_size) == 0;
}

void dpc_robot_remember_peer(dpc_robot* robot) {
  robot->peer_size = robot->in.peer_size;
  memcpy(robot->peer, robot->in.peer, robot->in.peer_size);
}

static dpc_status answer(dpc_robot* robot, uint64_t session, bool busy, const char* reason) {
  dpc_message* message = &robot->message;
  message->kind = DPC_MESSAGE_HELLO;
  message->hello = robot->hello;
  message->hello.session = session;
  DPC_TRY(dpc_robot_send_to(robot, robot->in.peer, robot->in.peer_size, message, NULL));
  message->kind = DPC_MESSAGE_HELLO_ACK;
  message->hello_ack =
      (dpc_hello_ack){.session = session, .accepted = reason == NULL, .busy = busy};
  dpc_socket_text(message->hello_ack.reason, sizeof message->hello_ack.reason,
                  reason == NULL ? "" : reason);
  return dpc_robot_send_to(robot, robot->in.peer, robot->in.peer_size, message, NULL);
}

static void refuse(dpc_robot* robot, uint64_t session, bool busy, const char* reason) {
  ++robot->counters.refused;
  dpc_log(DPC_LOG_WARNING, "link: refused a controller: %s", reason);
  const dpc_status status = answer(robot, session, busy, reason);
  (void)status;
}

// A controller that comes back from the same connection, or whose own is gone, may take its place.
static bool is_held(const dpc_robot* robot) {
  return dpc_robot_connected(robot) && robot->reachable && !from_peer(robot);
}

void dpc_robot_take_hello(dpc_robot* robot, dpc_robot_event* event, dpc_time now) {
  const uint64_t session = robot->message.hello.session;
  dpc_error error = {""};
  if (session == 0 || session == robot->hello.session) {
    ++robot->counters.unexpected;
    return;
  }
  if (is_held(robot)) {
    refuse(robot, session, true, "another controller holds the robot");
    return;
  }
  if (dpc_interface_match(&robot->message.hello.interface, &robot->hello.interface, &error) !=
      DPC_OK) {
    refuse(robot, session, false, error.text);
    return;
  }
  snprintf(robot->reason, sizeof robot->reason, "%s", robot->message.hello.software);
  // one that has gone meanwhile never held it
  if (answer(robot, session, false, NULL) != DPC_OK) return;
  ++robot->counters.connected;
  dpc_robot_remember_peer(robot);
  robot->hello.session = session;
  robot->reachable = true;
  robot->started = robot->ended = false;
  robot->lease_end.ns = INT64_MAX;
  robot->episode = 0;
  dpc_liveness_start(&robot->liveness, dpc_seconds(robot->def.dead_after), now);
  event->kind = DPC_ROBOT_CONNECTED;
  event->reason = robot->reason;
  event->time = now;
}

void dpc_robot_release(dpc_robot* robot, dpc_robot_event* event, dpc_robot_event_kind kind,
                       dpc_time now) {
  robot->hello.session = 0;
  robot->peer_size = 0;
  robot->lease_end.ns = INT64_MAX;
  event->kind = kind;
  event->reason = robot->reason;
  event->time = now;
}
