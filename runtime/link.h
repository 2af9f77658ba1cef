/// The controller's end of the link: finds the robot, agrees on the interface, brings observations
/// and carries commands. One thread owns it; the control thread never comes near a socket.
///
///     dpc_link_create(&def, &need, "dpc 0.1", arena, &link, error);
///     dpc_link_handshake(link, -1, error);      // or dpc_link_connect and wait for CONNECTED
///     for (;;) {
///       dpc_link_event event;
///       dpc_link_poll(link, dpc_seconds(1), wake_fd, &event);
///       …                                       // event.kind; dpc_link_send_command
///     }
///     dpc_link_bye(link, "done");
///     dpc_link_destroy(link);
///
/// A link that is lost goes on trying by itself, each time with a new session, so that nothing
/// from before is taken for something from after. Poll at least ten times a second while
/// connected: that is also what sends the heartbeats.
#pragma once

#include "proto/wire.h"
#include "runtime/link_def.h"

typedef struct dpc_link dpc_link;

typedef enum dpc_link_event_kind {
  DPC_LINK_NOTHING,      // time-out or wake-up
  DPC_LINK_CONNECTED,    // agreed with a robot, for the first time or again
  DPC_LINK_OBSERVATION,  // the newest one; one with done = true is never skipped
  DPC_LINK_REFUSED,  // the interfaces differ, or another controller holds the robot; tries again
  DPC_LINK_LOST,     // the robot counts as dead; tries again
  DPC_LINK_BYE,      // the robot has ended the session; nothing more until dpc_link_connect
} dpc_link_event_kind;

typedef struct dpc_link_event {
  dpc_link_event_kind kind;
  bool woken;     // `wake_fd` is readable, or a signal came; besides any kind
  dpc_time time;  // when it was taken from the socket
  dpc_observation
      observation;     // OBSERVATION: values [dim of dpc_link_robot's obs], until next poll
  bool busy;           // REFUSED: only because another controller holds the robot
  const char* reason;  // REFUSED, LOST, BYE: in words, until the next poll
} dpc_link_event;

/// Make a link that needs this interface; nothing is connected yet. `software` is who we are, for
/// the robot's log. DPC_ERR_CONFIG for settings, DPC_ERR_INVALID for an interface that does not fit
/// in messages.
/// Allocates: arena, about 800 kB. Blocks: no. Thread: start-up only.
DPC_NODISCARD dpc_status dpc_link_create(const dpc_link_def* def, const dpc_interface* need,
                                         const char* software, dpc_arena* arena, dpc_link** out,
                                         dpc_error* error);

/// Begin to connect; CONNECTED comes out of dpc_link_poll. DPC_ERR_IO for an endpoint that cannot
/// be one.
/// Allocates: inside libzmq. Blocks: no. Thread: the link's owner.
DPC_NODISCARD dpc_status dpc_link_connect(dpc_link* link, dpc_error* error);

/// Connect and wait for the first agreement. DPC_ERR_MISMATCH names the first difference between
/// the interfaces; DPC_ERR_TIMEOUT when no robot has answered within the settings' connect_timeout,
/// or another controller holds it; DPC_ERR_INTERRUPTED when `wake_fd` (-1: none) became readable or
/// a signal came.
/// Allocates: inside libzmq. Blocks: up to connect_timeout. Thread: the link's owner.
DPC_NODISCARD dpc_status dpc_link_handshake(dpc_link* link, int wake_fd, dpc_error* error);

/// What the robot says it has, after CONNECTED: the order of observation values. It never changes
/// while the link lives; a robot that comes back with another interface is refused.
/// Allocates: no. Blocks: no. Thread: the link's owner.
const dpc_interface* dpc_link_robot(const dpc_link* link);

/// Wait for the next event, at most `timeout`. Of several observations that wait, the newest is
/// taken and the others are counted.
/// Allocates: inside libzmq. Blocks: up to `timeout`, or until `wake_fd` (-1: none) is readable;
/// reading it is the caller's. Thread: the link's owner.
void dpc_link_poll(dpc_link* link, dpc_duration timeout, int wake_fd, dpc_link_event* event);

/// Send a command; `session` is filled in. DPC_ERR_CLOSED when not connected, DPC_ERR_INVALID for
/// values that are not finite or not as many as the interface says, DPC_ERR_TIMEOUT when the queue
/// is full (the robot is not reading); counted in all cases.
/// Allocates: inside libzmq. Blocks: no. Thread: the link's owner.
DPC_NODISCARD dpc_status dpc_link_send_command(dpc_link* link, const dpc_command* command,
                                               dpc_error* error);

/// Ask for a new episode from this seed. Errors as for commands.
/// Allocates: inside libzmq. Blocks: no. Thread: the link's owner.
DPC_NODISCARD dpc_status dpc_link_send_reset(dpc_link* link, uint64_t seed, dpc_error* error);

/// End the session and close; Bye gets a fifth of a second to leave. The link can connect again.
/// Allocates: inside libzmq. Blocks: up to 0.2 s. Thread: the link's owner.
void dpc_link_bye(dpc_link* link, const char* reason);

/// Close without a word and free what libzmq holds. NULL is allowed.
/// Allocates: no. Blocks: no. Thread: the link's owner.
void dpc_link_destroy(dpc_link* link);

/// What has happened so far.
/// Allocates: no. Blocks: no. Thread: the link's owner.
const dpc_link_counters* dpc_link_counts(const dpc_link* link);
