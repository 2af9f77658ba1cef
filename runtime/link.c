#include "runtime/link.h"

#include <stdio.h>
#include <string.h>

#include "runtime/clock.h"
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

// How long an attempt waits for an answer, and how long after a refusal the next one begins.
static const dpc_duration attempt_time = {INT64_C(1000000000)};
static const dpc_duration retry_time = {INT64_C(250000000)};

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

static dpc_status send_message(dpc_link* link, const dpc_message* message, dpc_error* error) {
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
  return send_message(link, message, error);
}

dpc_status dpc_link_send_reset(dpc_link* link, uint64_t seed, dpc_error* error) {
  DPC_TRY(check_ready(link, error));
  dpc_message* message = &link->message;
  message->kind = DPC_MESSAGE_RESET;
  message->reset = (dpc_reset){.session = link->hello.session, .seed = seed};
  return send_message(link, message, error);
}

static void send_bye(dpc_link* link, const char* reason) {
  dpc_message* message = &link->message;
  message->kind = DPC_MESSAGE_BYE;
  message->bye = (dpc_bye){.session = link->hello.session};
  dpc_socket_text(message->bye.reason, sizeof message->bye.reason, reason);
  // whoever does not get it hears our silence
  const dpc_status status = send_message(link, message, NULL);
  (void)status;
}

void dpc_link_bye(dpc_link* link, const char* reason) {
  if (link->state == STATE_READY || link->state == STATE_ASKED || link->state == STATE_ANSWERED) {
    send_bye(link, reason);
  }
  dpc_socket_close(&link->socket, dpc_seconds(0.2));
  link->state = STATE_CLOSED;
}

// --- attempts -------------------------------------------------------------------------------------

dpc_status dpc_link_connect(dpc_link* link, dpc_error* error) {
  DPC_TRY(dpc_socket_connect(&link->socket, link->def.endpoint, error));
  link->hello.session = dpc_socket_random();
  link->state = STATE_CONNECTING;
  return DPC_OK;
}

// An endpoint that could be connected to before can be now, so failing means that memory or file
// descriptors are short: that may pass.
static void attempt(dpc_link* link, dpc_time now) {
  dpc_error error = {""};
  if (dpc_link_connect(link, &error) == DPC_OK) return;
  dpc_log(DPC_LOG_WARNING, "link: %s", error.text);
  link->state = STATE_WAITING;
  link->next_attempt = dpc_time_after(now, retry_time);
}

static void send_hello(dpc_link* link, dpc_time now) {
  dpc_message* message = &link->message;
  message->kind = DPC_MESSAGE_HELLO;
  message->hello = link->hello;
  const uint64_t failed = link->counters.send_failed;
  if (send_message(link, message, NULL) == DPC_OK) {
    link->state = STATE_ASKED;
    link->next_attempt = dpc_time_after(now, attempt_time);
  }
  // no robot yet is not a failure to send
  link->counters.send_failed = failed;
}

static void fail_attempt(dpc_link* link, dpc_link_event* event, dpc_link_event_kind kind, bool busy,
                         dpc_time now) {
  event->kind = kind;
  event->busy = busy;
  event->reason = link->reason;
  event->time = now;
  link->next_attempt = dpc_time_after(now, busy ? retry_time : attempt_time);
  link->state = STATE_WAITING;
}

static void lose(dpc_link* link, dpc_link_event* event, dpc_time now) {
  ++link->counters.lost;
  snprintf(link->reason, sizeof link->reason, "%s: nothing heard from the robot for %g s",
           link->def.endpoint, link->def.dead_after);
  fail_attempt(link, event, DPC_LINK_LOST, false, now);
  attempt(link, now);
}

// Everything that happens because time passes, after the socket has been emptied.
static void upkeep(dpc_link* link, dpc_link_event* event, dpc_time now) {
  switch (link->state) {
    case STATE_CLOSED:
      return;
    case STATE_CONNECTING:
      send_hello(link, now);
      return;
    case STATE_ASKED:
    case STATE_ANSWERED:
    case STATE_WAITING:
      if (now.ns >= link->next_attempt.ns) attempt(link, now);
      return;
    case STATE_READY:
      if (dpc_liveness_update(&link->liveness, now)) {
        lose(link, event, now);
      } else if (dpc_liveness_speak(&link->liveness, now)) {
        link->message.kind = DPC_MESSAGE_HEARTBEAT;
        link->message.heartbeat =
            (dpc_heartbeat){.session = link->hello.session, .time_ns = now.ns};
        const dpc_status status = send_message(link, &link->message, NULL);
        (void)status;
      }
      return;
  }
}

// --- receiving ------------------------------------------------------------------------------------

static void refuse(dpc_link* link, dpc_link_event* event, bool busy, dpc_time now) {
  ++link->counters.refused;
  fail_attempt(link, event, DPC_LINK_REFUSED, busy, now);
}

static bool same_interface(const dpc_link* link, const dpc_interface* other) {
  // both are zeroed before they are filled
  return !link->robot_known || memcmp(&link->robot, other, sizeof *other) == 0;
}

static void take_hello(dpc_link* link, dpc_link_event* event, dpc_time now) {
  const dpc_interface* have = &link->message.hello.interface;
  dpc_error error = {""};
  dpc_status status = dpc_interface_match(&link->hello.interface, have, &error);
  if (status == DPC_OK) status = dpc_socket_check_interface(have, &error);
  if (status == DPC_OK && !same_interface(link, have)) {
    status = dpc_fail(&error, DPC_ERR_MISMATCH, "the robot came back with another interface");
  }
  if (status == DPC_OK) {
    link->robot = *have;
    link->obs_dim = dpc_layout_dim(&have->obs);
    link->state = STATE_ANSWERED;
    return;
  }
  snprintf(link->reason, sizeof link->reason, "%s", error.text);
  send_bye(link, link->reason);
  refuse(link, event, false, now);
}

static void take_hello_ack(dpc_link* link, dpc_link_event* event, dpc_time now) {
  const dpc_hello_ack* ack = &link->message.hello_ack;
  if (!ack->accepted) {
    snprintf(link->reason, sizeof link->reason, "the robot refuses: %s", ack->reason);
    refuse(link, event, ack->busy, now);
    return;
  }
  ++link->counters.connected;
  link->robot_known = true;
  link->state = STATE_READY;
  dpc_liveness_start(&link->liveness, dpc_seconds(link->def.dead_after), now);
  event->kind = DPC_LINK_CONNECTED;
  event->time = now;
}

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
  send_bye(link, "bye");
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
    take_hello(link, event, now);
  } else if (kind == DPC_MESSAGE_HELLO_ACK && may_answer(link)) {
    take_hello_ack(link, event, now);
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

// --- the blocking handshake -----------------------------------------------------------------------

static dpc_status no_robot(const dpc_link* link, const char* refusal, dpc_error* error) {
  if (refusal[0] != '\0') {
    return dpc_fail(error, DPC_ERR_TIMEOUT, "%s: %s", link->def.endpoint, refusal);
  }
  const bool ignored = link->ignored.text[0] != '\0';
  return dpc_fail(error, DPC_ERR_TIMEOUT, "%s: no robot has answered within %g s%s%s",
                  link->def.endpoint, link->def.connect_timeout,
                  ignored ? "; its last message was ignored: " : "", link->ignored.text);
}

static dpc_status wait_for_robot(dpc_link* link, int wake_fd, dpc_error* error) {
  const dpc_time deadline = dpc_time_after(dpc_clock_now(), dpc_seconds(link->def.connect_timeout));
  char refusal[DPC_REASON_MAX] = "";
  for (;;) {
    dpc_link_event event;
    dpc_link_poll(link, dpc_time_since(deadline, dpc_clock_now()), wake_fd, &event);
    if (event.kind == DPC_LINK_CONNECTED) return DPC_OK;
    if (event.kind == DPC_LINK_REFUSED && !event.busy) {
      return dpc_fail(error, DPC_ERR_MISMATCH, "%s", event.reason);
    }
    if (event.kind == DPC_LINK_REFUSED) {
      snprintf(refusal, sizeof refusal, "%.*s", (int)sizeof refusal - 1, event.reason);
    }
    if (event.kind == DPC_LINK_BYE) {
      return dpc_fail(error, DPC_ERR_CLOSED, "the robot ended the session: %s", event.reason);
    }
    if (event.woken) return dpc_fail(error, DPC_ERR_INTERRUPTED, "interrupted");
    if (dpc_clock_now().ns >= deadline.ns) return no_robot(link, refusal, error);
  }
}

dpc_status dpc_link_handshake(dpc_link* link, int wake_fd, dpc_error* error) {
  DPC_TRY(dpc_link_connect(link, error));
  const dpc_status status = wait_for_robot(link, wake_fd, error);
  if (status != DPC_OK) dpc_link_bye(link, "gave up");
  return status;
}
