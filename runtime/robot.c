#include <stdio.h>
#include <string.h>

#include "runtime/clock.h"
#include "runtime/robot_state.h"

dpc_status dpc_robot_bind(const dpc_link_def* def, const dpc_interface* interface,
                          const char* software, dpc_arena* arena, dpc_robot** out,
                          dpc_error* error) {
  DPC_TRY(dpc_link_def_check(def, error));
  DPC_TRY(dpc_socket_check_interface(interface, error));
  const int action_dim = dpc_layout_dim(&interface->action);
  dpc_robot* robot = DPC_TAKE(arena, dpc_robot, 1);
  void* scratch = dpc_arena_take(arena, DPC_WIRE_SCRATCH_SIZE);
  float* values = DPC_TAKE(arena, float, action_dim);
  if (robot == NULL || scratch == NULL || values == NULL) {
    return dpc_arena_full(arena, "the robot's end of the link", error);
  }
  robot->def = *def;
  robot->hello.interface = *interface;
  dpc_socket_text(robot->hello.software, sizeof robot->hello.software, software);
  robot->obs_dim = dpc_layout_dim(&interface->obs);
  robot->action_dim = action_dim;
  robot->values = values;
  robot->lease_end.ns = INT64_MAX;
  dpc_arena_init(&robot->scratch, scratch, DPC_WIRE_SCRATCH_SIZE);
  const dpc_status status = dpc_socket_bind(&robot->socket, def->endpoint, error);
  if (status == DPC_OK) *out = robot;
  return status;
}

const char* dpc_robot_endpoint(const dpc_robot* robot) {
  return robot->socket.endpoint;
}

bool dpc_robot_connected(const dpc_robot* robot) {
  return robot->hello.session != 0;
}

const dpc_link_counters* dpc_robot_counts(const dpc_robot* robot) {
  return &robot->counters;
}

// --- sending --------------------------------------------------------------------------------------

dpc_status dpc_robot_send_to(dpc_robot* robot, const uint8_t* peer, size_t peer_size,
                             const dpc_message* message, dpc_error* error) {
  memcpy(robot->out.peer, peer, peer_size);
  robot->out.peer_size = peer_size;
  const dpc_status status = dpc_wire_encode(DPC_FROM_ROBOT, message, robot->out.data,
                                            DPC_MESSAGE_MAX, &robot->out.size, error);
  if (status != DPC_OK) {
    ++robot->counters.send_failed;
    return status;
  }
  return dpc_socket_send(&robot->socket, &robot->out, &robot->counters, error);
}

static dpc_status send_message(dpc_robot* robot, const dpc_message* message, dpc_error* error) {
  const dpc_status status = dpc_robot_send_to(robot, robot->peer, robot->peer_size, message, error);
  robot->reachable = status != DPC_ERR_CLOSED;
  return status;
}

static dpc_status check_observation(const dpc_robot* robot, const dpc_observation* observation,
                                    dpc_error* error) {
  if (!dpc_robot_connected(robot)) {
    return dpc_fail(error, DPC_ERR_CLOSED, "%s: no controller is connected",
                    robot->socket.endpoint);
  }
  if (observation->value_count != robot->obs_dim) {
    return dpc_fail(error, DPC_ERR_INVALID, "observation: %d values, the interface has %d",
                    observation->value_count, robot->obs_dim);
  }
  const bool running = robot->started && !robot->ended;
  if (observation->tick > 0 && (!running || observation->tick <= robot->observed)) {
    return dpc_fail(error, DPC_ERR_INVALID,
                    "observation: ticks begin at 0 and grow until the episode is done");
  }
  return DPC_OK;
}

dpc_status dpc_robot_send_observation(dpc_robot* robot, const dpc_observation* observation,
                                      dpc_error* error) {
  const dpc_status sound = check_observation(robot, observation, error);
  if (sound != DPC_OK) {
    ++robot->counters.send_failed;
    return sound;
  }
  const bool begins = observation->tick == 0;
  dpc_message* message = &robot->message;
  message->kind = DPC_MESSAGE_OBSERVATION;
  message->observation = *observation;
  message->observation.session = robot->hello.session;
  message->observation.episode = robot->episode + (begins && robot->started ? 1 : 0);
  DPC_TRY(send_message(robot, message, error));
  robot->episode = message->observation.episode;
  robot->started = true;
  robot->ended = observation->done;
  robot->observed = observation->tick;
  if (begins) robot->commanded = 0;
  if (begins) robot->lease_end.ns = INT64_MAX;
  return DPC_OK;
}

static void send_bye(dpc_robot* robot, const char* reason) {
  dpc_message* message = &robot->message;
  message->kind = DPC_MESSAGE_BYE;
  message->bye = (dpc_bye){.session = robot->hello.session};
  dpc_socket_text(message->bye.reason, sizeof message->bye.reason, reason);
  // whoever does not get it hears our silence
  const dpc_status status = send_message(robot, message, NULL);
  (void)status;
}

// --- receiving ------------------------------------------------------------------------------------

// Commands answer an observation of the episode that runs, and never go back.
static bool is_due(const dpc_robot* robot, const dpc_command* command) {
  return robot->started && !robot->ended && command->episode == robot->episode &&
         command->tick <= robot->observed && command->tick >= robot->commanded;
}

static void take_command(dpc_robot* robot, dpc_robot_event* event, dpc_time now) {
  const dpc_command* command = &robot->message.command;
  if (!is_due(robot, command)) {
    ++robot->counters.unexpected;
    return;
  }
  if (event->kind == DPC_ROBOT_COMMAND) ++robot->counters.replaced;
  robot->commanded = command->tick;
  memcpy(robot->values, command->values, sizeof(float) * (size_t)robot->action_dim);
  event->kind = DPC_ROBOT_COMMAND;
  event->time = now;
  event->command = *command;
  event->command.values = robot->values;
  robot->lease_end = command->lease_ns == 0
                         ? (dpc_time){INT64_MAX}
                         : dpc_time_after(now, (dpc_duration){command->lease_ns});
  event->valid_until = robot->lease_end;
}

static void take(dpc_robot* robot, dpc_robot_event* event, dpc_time now) {
  if (robot->message.kind == DPC_MESSAGE_HELLO) {
    dpc_robot_take_hello(robot, event, now);
    return;
  }
  const uint64_t session = dpc_message_session(&robot->message);
  if (!dpc_robot_connected(robot) || session != robot->hello.session) {
    ++robot->counters.other_session;
    return;
  }
  // the session is what counts: after a broken connection it comes from another routing id
  dpc_robot_remember_peer(robot);
  dpc_liveness_heard(&robot->liveness, now);
  const uint64_t pending = event->kind == DPC_ROBOT_COMMAND;
  switch (robot->message.kind) {
    case DPC_MESSAGE_COMMAND:
      take_command(robot, event, now);
      return;
    case DPC_MESSAGE_RESET:
      robot->counters.replaced += pending;
      event->kind = DPC_ROBOT_RESET;
      event->seed = robot->message.reset.seed;
      event->time = now;
      return;
    case DPC_MESSAGE_BYE:
      robot->counters.replaced += pending;
      snprintf(robot->reason, sizeof robot->reason, "%s", robot->message.bye.reason);
      dpc_robot_release(robot, event, DPC_ROBOT_BYE, now);
      return;
    default:
      return;
  }
}

// Empty the socket, up to an event that must not be passed over.
static void drain(dpc_robot* robot, dpc_robot_event* event) {
  // a flood must not keep us from our own heartbeats
  for (int i = 0; i < DPC_DRAIN_MAX; ++i) {
    if (!dpc_socket_receive(&robot->socket, &robot->in, &robot->counters)) return;
    const size_t mark = dpc_arena_mark(&robot->scratch);
    dpc_error error = {""};
    if (dpc_socket_decode(DPC_TO_ROBOT, &robot->in, robot->action_dim, &robot->scratch,
                          &robot->counters, &robot->message, &error) == DPC_OK) {
      take(robot, event, dpc_clock_now());
    }
    dpc_arena_release(&robot->scratch, mark);
    if (event->kind != DPC_ROBOT_NOTHING && event->kind != DPC_ROBOT_COMMAND) return;
  }
}

// Everything that happens because time passes, after the socket has been emptied.
static void upkeep(dpc_robot* robot, dpc_robot_event* event, dpc_time now) {
  if (!dpc_robot_connected(robot)) return;
  if (dpc_liveness_update(&robot->liveness, now)) {
    ++robot->counters.lost;
    snprintf(robot->reason, sizeof robot->reason, "nothing heard from the controller for %g s",
             robot->def.dead_after);
    dpc_robot_release(robot, event, DPC_ROBOT_LOST, now);
  } else if (dpc_liveness_speak(&robot->liveness, now)) {
    robot->message.kind = DPC_MESSAGE_HEARTBEAT;
    robot->message.heartbeat = (dpc_heartbeat){.session = robot->hello.session, .time_ns = now.ns};
    const dpc_status status = send_message(robot, &robot->message, NULL);
    (void)status;
  }
}

static void end_lease(dpc_robot* robot, dpc_robot_event* event, dpc_time now) {
  if (event->kind != DPC_ROBOT_NOTHING || now.ns <= robot->lease_end.ns) return;
  robot->lease_end.ns = INT64_MAX;
  ++robot->counters.expired;
  event->kind = DPC_ROBOT_EXPIRED;
  event->time = now;
}

// Until something is due without a message: a heartbeat, the end of a lease, the caller's own time.
static dpc_duration pause_until(const dpc_robot* robot, dpc_time deadline, dpc_time now) {
  dpc_duration left = dpc_time_since(deadline, now);
  const dpc_duration lease = dpc_time_since(robot->lease_end, now);
  if (dpc_robot_connected(robot) && DPC_HEARTBEAT_PERIOD.ns < left.ns) left = DPC_HEARTBEAT_PERIOD;
  return lease.ns < left.ns ? lease : left;
}

void dpc_robot_poll(dpc_robot* robot, dpc_duration timeout, int wake_fd, dpc_robot_event* event) {
  *event = (dpc_robot_event){.kind = DPC_ROBOT_NOTHING, .reason = ""};
  const dpc_time deadline = dpc_time_after(dpc_clock_now(), timeout);
  for (;;) {
    drain(robot, event);
    const dpc_time now = dpc_clock_now();
    // a command is a sign of life, so nothing here can take its place
    if (event->kind == DPC_ROBOT_NOTHING || event->kind == DPC_ROBOT_COMMAND) {
      upkeep(robot, event, now);
    }
    end_lease(robot, event, now);
    if (event->kind != DPC_ROBOT_NOTHING || event->woken || now.ns >= deadline.ns) return;
    dpc_socket_wait(&robot->socket, pause_until(robot, deadline, now), wake_fd, &event->woken);
  }
}

void dpc_robot_close(dpc_robot* robot, const char* reason) {
  if (robot == NULL) return;
  if (dpc_robot_connected(robot)) send_bye(robot, reason);
  // a controller loses what it has not read when the connection closes, so wait for its answer
  const dpc_time deadline = dpc_time_after(dpc_clock_now(), dpc_seconds(0.2));
  while (dpc_robot_connected(robot) && dpc_clock_now().ns < deadline.ns) {
    dpc_robot_event event;
    dpc_robot_poll(robot, dpc_time_since(deadline, dpc_clock_now()), -1, &event);
    if (event.kind == DPC_ROBOT_CONNECTED) break;
  }
  robot->hello.session = 0;
  dpc_socket_close(&robot->socket, dpc_seconds(0.2));
}
