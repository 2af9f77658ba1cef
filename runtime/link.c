#include <stdio.h>
#include <string.h>

#include "runtime/clock.h"
#include "runtime/link_state.h"

dpc_status dpc_link_create(const dpc_link_def* def, const dpc_interface* need, const char* software,
                           dpc_arena* arena, dpc_link** out, dpc_error* error) {
  DPC_TRY(dpc_link_def_check(def, error));
  DPC_TRY(dpc_socket_check_interface(need, error));
  dpc_link* link = DPC_TAKE(arena, dpc_link, 1);
  void* scratch = dpc_arena_take(arena, DPC_WIRE_SCRATCH_SIZE);
  float* values = DPC_TAKE(arena, float, DPC_MESSAGE_VALUE_MAX);
  if (link == NULL || scratch == NULL || values == NULL) {
    return dpc_arena_full(arena, "the link", error);
  }
  link->def = *def;
  link->hello.interface = *need;
  dpc_socket_text(link->hello.software, sizeof link->hello.software, software);
  link->values = values;
  dpc_arena_init(&link->scratch, scratch, DPC_WIRE_SCRATCH_SIZE);
  *out = link;
  return DPC_OK;
}

const dpc_interface* dpc_link_robot(const dpc_link* link) {
  return &link->robot;
}

const dpc_link_counters* dpc_link_counts(const dpc_link* link) {
  return &link->counters;
}

void dpc_link_destroy(dpc_link* link) {
  if (link == NULL) return;
  dpc_socket_close(&link->socket, (dpc_duration){0});
  link->state = STATE_CLOSED;
}

// --- sending --------------------------------------------------------------------------------------

dpc_status dpc_link_send(dpc_link* link, const dpc_message* message, dpc_error* error) {
  const dpc_status status = dpc_wire_encode(DPC_TO_ROBOT, message, link->out.data, DPC_MESSAGE_MAX,
                                            &link->out.size, error);
  if (status != DPC_OK) {
    ++link->counters.send_failed;
    return status;
  }
  return dpc_socket_send(&link->socket, &link->out, &link->counters, error);
}

static dpc_status check_ready(dpc_link* link, dpc_error* error) {
  if (link->state == STATE_READY) return DPC_OK;
  ++link->counters.send_failed;
  return dpc_fail(error, DPC_ERR_CLOSED, "%s: not connected", link->def.endpoint);
}

dpc_status dpc_link_send_command(dpc_link* link, const dpc_command* command, dpc_error* error) {
  DPC_TRY(check_ready(link, error));
  const int dim = dpc_layout_dim(&link->hello.interface.action);
  if (command->value_count != dim) {
    ++link->counters.send_failed;
    return dpc_fail(error, DPC_ERR_INVALID, "command: %d values, the interface has %d",
                    command->value_count, dim);
  }
  dpc_message* message = &link->message;
  message->kind = DPC_MESSAGE_COMMAND;
  message->command = *command;
  message->command.session = link->hello.session;
  return dpc_link_send(link, message, error);
}

dpc_status dpc_link_send_reset(dpc_link* link, uint64_t seed, dpc_error* error) {
  DPC_TRY(check_ready(link, error));
  dpc_message* message = &link->message;
  message->kind = DPC_MESSAGE_RESET;
  message->reset = (dpc_reset){.session = link->hello.session, .seed = seed};
  return dpc_link_send(link, message, error);
}

void dpc_link_send_bye(dpc_link* link, const char* reason) {
  dpc_message* message = &link->message;
  message->kind = DPC_MESSAGE_BYE;
  message->bye = (dpc_bye){.session = link->hello.session};
  dpc_socket_text(message->bye.reason, sizeof message->bye.reason, reason);
  // whoever does not get it hears our silence
  const dpc_status status = dpc_link_send(link, message, NULL);
  (void)status;
}

void dpc_link_bye(dpc_link* link, const char* reason) {
  if (link->state == STATE_READY || link->state == STATE_ASKED || link->state == STATE_ANSWERED) {
    dpc_link_send_bye(link, reason);
  }
  dpc_socket_close(&link->socket, dpc_seconds(0.2));
  link->state = STATE_CLOSED;
}

// --- as time passes ------------------------------------------------------------------------------

static void lose(dpc_link* link, dpc_link_event* event, dpc_time now) {
  ++link->counters.lost;
  snprintf(link->reason, sizeof link->reason, "%s: nothing heard from the robot for %g s",
           link->def.endpoint, link->def.dead_after);
  dpc_link_fail_attempt(link, event, DPC_LINK_LOST, false, now);
  dpc_link_attempt(link, now);
}

// Everything that happens because time passes, after the socket has been emptied.
static void upkeep(dpc_link* link, dpc_link_event* event, dpc_time now) {
  switch (link->state) {
    case STATE_CLOSED:
      return;
    case STATE_CONNECTING:
      dpc_link_send_hello(link, now);
      return;
    case STATE_ASKED:
    case STATE_ANSWERED:
    case STATE_WAITING:
      if (now.ns >= link->next_attempt.ns) dpc_link_attempt(link, now);
      return;
    case STATE_READY:
      if (dpc_liveness_update(&link->liveness, now)) {
        lose(link, event, now);
      } else if (dpc_liveness_speak(&link->liveness, now)) {
        link->message.kind = DPC_MESSAGE_HEARTBEAT;
        link->message.heartbeat =
            (dpc_heartbeat){.session = link->hello.session, .time_ns = now.ns};
        const dpc_status status = dpc_link_send(link, &link->message, NULL);
        (void)status;
      }
      return;
  }
}

// --- receiving ------------------------------------------------------------------------------------

// The newest observation wins; the caller stops at one that ends an episode.
static void take_observation(dpc_link* link, dpc_link_event* event, dpc_time now) {
  const dpc_observation* observation = &link->message.observation;
  if (event->kind == DPC_LINK_OBSERVATION) ++link->counters.replaced;
  event->kind = DPC_LINK_OBSERVATION;
  event->time = now;
  event->observation = *observation;
  event->observation.values = link->values;
  if (observation->value_count > 0) {
    memcpy(link->values, observation->values, sizeof(float) * (size_t)observation->value_count);
  }
}

static void take_bye(dpc_link* link, dpc_link_event* event, dpc_time now) {
  snprintf(link->reason, sizeof link->reason, "%s", link->message.bye.reason);
  if (event->kind == DPC_LINK_OBSERVATION) ++link->counters.replaced;
  event->kind = DPC_LINK_BYE;
  event->reason = link->reason;
  event->time = now;
  // the robot waits for this before it closes
  dpc_link_send_bye(link, "bye");
  dpc_socket_hang_up(&link->socket, dpc_seconds(0.2));
  link->state = STATE_CLOSED;
}

// A refusal may come alone; accepted without a Hello is no agreement.
static bool may_answer(const dpc_link* link) {
  return link->state == STATE_ANSWERED ||
         (link->state == STATE_ASKED && !link->message.hello_ack.accepted);
}

static void take(dpc_link* link, dpc_link_event* event, dpc_time now) {
  const dpc_message_kind kind = link->message.kind;
  const bool ready = link->state == STATE_READY;
  if (dpc_message_session(&link->message) != link->hello.session) {
    ++link->counters.other_session;
    return;
  }
  if (ready) dpc_liveness_heard(&link->liveness, now);
  if (kind == DPC_MESSAGE_HELLO && link->state == STATE_ASKED) {
    dpc_link_take_hello(link, event, now);
  } else if (kind == DPC_MESSAGE_HELLO_ACK && may_answer(link)) {
    dpc_link_take_hello_ack(link, event, now);
  } else if (kind == DPC_MESSAGE_OBSERVATION && ready) {
    take_observation(link, event, now);
  } else if (kind == DPC_MESSAGE_BYE && link->state != STATE_WAITING) {
    take_bye(link, event, now);
  } else if (kind != DPC_MESSAGE_HEARTBEAT) {
    ++link->counters.unexpected;
  }
}

// Empty the socket, up to an event that must not be passed over.
static void drain(dpc_link* link, dpc_link_event* event) {
  // a flood must not keep us from our own heartbeats
  for (int i = 0; i < DPC_DRAIN_MAX && link->socket.handle != NULL; ++i) {
    if (!dpc_socket_receive(&link->socket, &link->in, &link->counters)) return;
    const size_t mark = dpc_arena_mark(&link->scratch);
    const int count = link->state == STATE_READY ? link->obs_dim : -1;
    if (dpc_socket_decode(DPC_FROM_ROBOT, &link->in, count, &link->scratch, &link->counters,
                          &link->message, &link->ignored) == DPC_OK) {
      take(link, event, dpc_clock_now());
    }
    dpc_arena_release(&link->scratch, mark);
    if (event->kind == DPC_LINK_OBSERVATION && !event->observation.done) continue;
    if (event->kind != DPC_LINK_NOTHING) return;
  }
}

// Until something is due without a message: a heartbeat, a retry, the caller's own time.
static dpc_duration pause_until(const dpc_link* link, dpc_time deadline, dpc_time now) {
  const dpc_duration left = dpc_time_since(deadline, now);
  const dpc_duration retry = {INT64_C(20000000)};
  const dpc_duration due = link->state == STATE_CONNECTING ? retry : DPC_HEARTBEAT_PERIOD;
  return link->state != STATE_CLOSED && due.ns < left.ns ? due : left;
}

void dpc_link_poll(dpc_link* link, dpc_duration timeout, int wake_fd, dpc_link_event* event) {
  *event = (dpc_link_event){.kind = DPC_LINK_NOTHING, .reason = ""};
  const dpc_time deadline = dpc_time_after(dpc_clock_now(), timeout);
  for (;;) {
    drain(link, event);
    const dpc_time now = dpc_clock_now();
    // an observation is a sign of life, so nothing here can take its place
    if (event->kind == DPC_LINK_NOTHING || event->kind == DPC_LINK_OBSERVATION) {
      upkeep(link, event, now);
    }
    if (event->kind != DPC_LINK_NOTHING || event->woken || now.ns >= deadline.ns) return;
    dpc_socket_wait(&link->socket, pause_until(link, deadline, now), wake_fd, &event->woken);
  }
}
