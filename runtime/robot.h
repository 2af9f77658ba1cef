/// The robot's end of the link: what the author of a robot bridge uses.
///
///     dpc_interface_limit(&interface, "arm", DPC_LIMIT_SPEED, (float[]){1.5F, 1.5F, 2});  // if known
///     dpc_robot_bind(&def, &interface, "my robot 1.0", arena, &robot, error);
///     for (;;) {
///       dpc_robot_event event;
///       dpc_robot_poll(robot, dpc_seconds(0.01), -1, &event);
///       // CONNECTED: start an episode: send an observation with tick 0
///       // COMMAND: follow event.command until event.valid_until
///       // EXPIRED, LOST, BYE: stop the robot
///     }
///
/// One controller holds the robot at a time; others are refused until it says Bye or falls silent.
/// What reaches the robot has been checked: the session, the episode, the tick, the number of
/// values, and that each is finite. Whether they are safe to follow is the robot's to decide. Poll
/// at least ten times a second while connected: that is also what sends the heartbeats.
///
/// A controller that is killed says nothing more: EXPIRED is how the robot learns of it first. The
/// lease counts from when a command was taken from the socket, so poll at each step of the robot.
#pragma once

#include "proto/wire.h"
#include "runtime/link_def.h"

typedef struct dpc_robot dpc_robot;

typedef enum dpc_robot_event_kind {
  DPC_ROBOT_NOTHING,    // time-out or wake-up
  DPC_ROBOT_CONNECTED,  // a controller holds the robot now, perhaps in another's place: begin anew
  DPC_ROBOT_COMMAND,    // the newest one
  DPC_ROBOT_EXPIRED,    // the last command's lease is over and no other has come: stop
  DPC_ROBOT_RESET,      // begin a new episode from event.seed
  DPC_ROBOT_LOST,       // the controller counts as dead: stop
  DPC_ROBOT_BYE,        // the controller has ended the session: stop
} dpc_robot_event_kind;

typedef struct dpc_robot_event {
  dpc_robot_event_kind kind;
  bool woken;            // `wake_fd` is readable, or a signal came; besides any kind
  dpc_time time;         // when it was taken from the socket
  dpc_command command;   // COMMAND: values [dim of the action layout], until the next poll
  dpc_time valid_until;  // COMMAND: the end of its lease on our clock; INT64_MAX without a lease
  uint64_t seed;         // RESET
  const char* reason;  // CONNECTED: the controller's software; LOST, BYE: in words; until next poll
} dpc_robot_event;

/// Listen for controllers; `interface` is what the robot has, with limits that its commands must keep
/// (policy/layout.h), and `software` its name and version.
/// `connect_timeout` of the settings is not used. DPC_ERR_CONFIG for settings (an endpoint that
/// other machines can reach without `insecure`), DPC_ERR_INVALID for an interface that does not fit
/// in messages, DPC_ERR_IO, naming the endpoint, when another process listens there.
/// Allocates: arena, about 800 kB; inside libzmq. Blocks: no. Thread: start-up only.
DPC_NODISCARD dpc_status dpc_robot_bind(const dpc_link_def* def, const dpc_interface* interface,
                                        const char* software, dpc_arena* arena, dpc_robot** out,
                                        dpc_error* error);

/// Where it listens, with the port that "tcp://127.0.0.1:*" got.
/// Allocates: no. Blocks: no. Thread: the robot's owner.
const char* dpc_robot_endpoint(const dpc_robot* robot);

/// True between CONNECTED and LOST or BYE.
/// Allocates: no. Blocks: no. Thread: the robot's owner.
bool dpc_robot_connected(const dpc_robot* robot);

/// Wait for the next event, at most `timeout`. Of several commands that wait, the newest is taken
/// and the others are counted.
/// Allocates: inside libzmq. Blocks: up to `timeout`, or until `wake_fd` (-1: none) is readable.
/// Thread: the robot's owner.
void dpc_robot_poll(dpc_robot* robot, dpc_duration timeout, int wake_fd, dpc_robot_event* event);

/// Send an observation; `session` and `episode` are filled in. Tick 0 begins an episode; after that
/// ticks grow, up to the one with done = true. DPC_ERR_INVALID for a tick out of order and for
/// values that are not finite or not as many as the interface says, DPC_ERR_CLOSED when no
/// controller is connected, DPC_ERR_TIMEOUT when its queue is full (it is not reading). Only a sent
/// observation counts; one that ends an episode should be sent again until it does.
/// Allocates: inside libzmq. Blocks: no. Thread: the robot's owner.
DPC_NODISCARD dpc_status dpc_robot_send_observation(dpc_robot* robot,
                                                    const dpc_observation* observation,
                                                    dpc_error* error);

/// End the session, if there is one, and stop listening. Waits a fifth of a second at most for the
/// controller to answer Bye, and another for what is queued. What is left is dpc_robot_counts. NULL
/// is allowed.
/// Allocates: inside libzmq. Blocks: up to 0.4 s. Thread: the robot's owner.
void dpc_robot_close(dpc_robot* robot, const char* reason);

/// What has happened so far.
/// Allocates: no. Blocks: no. Thread: the robot's owner.
const dpc_link_counters* dpc_robot_counts(const dpc_robot* robot);
