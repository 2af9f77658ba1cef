#include <stdio.h>
#include <string.h>

#include "runtime/clock.h"
#include "runtime/link_state.h"

// How long an attempt waits for an answer, and how long after a refusal the next one begins.
static const dpc_duration attempt_time = {INT64_C(1000000000)};
static const dpc_duration retry_time = {INT64_C(250000000)};

// --- attempts -------------------------------------------------------------------------------------

dpc_status dpc_link_connect(dpc_link* link, dpc_error* error) {
  DPC_TRY(dpc_socket_connect(&link->socket, link->def.endpoint, error));
  link->hello.session = dpc_socket_random();
  link->state = STATE_CONNECTING;
  return DPC_OK;
}

// An endpoint that could be connected to before can be now, so failing means that memory or file
// descriptors are short: that may pass.
void dpc_link_attempt(dpc_link* link, dpc_time now) {
  dpc_error error = {""};
  if (dpc_link_connect(link, &error) == DPC_OK) return;
  dpc_log(DPC_LOG_WARNING, "link: %s", error.text);
  link->state = STATE_WAITING;
  link->next_attempt = dpc_time_after(now, retry_time);
}

void dpc_link_send_hello(dpc_link* link, dpc_time now) {
  dpc_message* message = &link->message;
  message->kind = DPC_MESSAGE_HELLO;
  message->hello = link->hello;
  const uint64_t failed = link->counters.send_failed;
  if (dpc_link_send(link, message, NULL) == DPC_OK) {
    link->state = STATE_ASKED;
    link->next_attempt = dpc_time_after(now, attempt_time);
  }
  // no robot yet is not a failure to send
  link->counters.send_failed = failed;
}

void dpc_link_fail_attempt(dpc_link* link, dpc_link_event* event, dpc_link_event_kind kind,
                           bool busy, dpc_time now) {
  event->kind = kind;
  event->busy = busy;
  event->reason = link->reason;
  event->time = now;
  link->next_attempt = dpc_time_after(now, busy ? retry_time : attempt_time);
  link->state = STATE_WAITING;
}

// --- the robot's answer ---------------------------------------------------------------------------

static void refuse(dpc_link* link, dpc_link_event* event, bool busy, dpc_time now) {
  ++link->counters.refused;
  dpc_link_fail_attempt(link, event, DPC_LINK_REFUSED, busy, now);
}

static bool same_interface(const dpc_link* link, const dpc_interface* other) {
  // both are zeroed before they are filled
  return !link->robot_known || memcmp(&link->robot, other, sizeof *other) == 0;
}

void dpc_link_take_hello(dpc_link* link, dpc_link_event* event, dpc_time now) {
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
  dpc_link_send_bye(link, link->reason);
  refuse(link, event, false, now);
}

void dpc_link_take_hello_ack(dpc_link* link, dpc_link_event* event, dpc_time now) {
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
