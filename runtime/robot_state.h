/// The robot's end from inside: what exchanging messages (runtime/robot.c) and who holds the robot
/// (runtime/robot_holder.c) share. For these alone.
#pragma once

#include "runtime/liveness.h"
#include "runtime/robot.h"
#include "runtime/socket.h"

struct dpc_robot {
  dpc_link_def def;
  dpc_hello hello;  // ours; its session is the controller's, 0 while there is none
  int obs_dim, action_dim;
  bool reachable;  // the last frame to the controller could be handed over
  size_t peer_size;
  uint8_t peer[DPC_PEER_MAX];  // where the session's last message came from
  dpc_liveness liveness;
  // the episode that runs: numbered from 0 in each session
  bool started, ended;
  uint32_t episode;
  uint64_t observed;   // tick of the last observation
  uint64_t commanded;  // of the last command
  dpc_time lease_end;  // of the last command; INT64_MAX when there is none that could end
  dpc_link_counters counters;
  dpc_socket socket;
  dpc_arena scratch;
  dpc_frame in, out;
  dpc_message message;
  float* values;  // [action_dim] of the last command
  char reason[DPC_REASON_MAX];
};

/// Encode and send to this routing id.
/// Allocates: inside libzmq. Blocks: no. Thread: the robot's owner.
DPC_NODISCARD dpc_status dpc_robot_send_to(dpc_robot* robot, const uint8_t* peer, size_t peer_size,
                                           const dpc_message* message, dpc_error* error);

/// Who sent the frame that was taken last is where the controller is now.
/// Allocates: no. Blocks: no. Thread: the robot's owner.
void dpc_robot_remember_peer(dpc_robot* robot);

/// A controller's Hello, in `robot->message`: let it have the robot, or refuse it.
/// Allocates: inside libzmq. Blocks: no. Thread: the robot's owner.
void dpc_robot_take_hello(dpc_robot* robot, dpc_robot_event* event, dpc_time now);

/// Nobody holds the robot any more, which is this event; `robot->reason` says why.
/// Allocates: no. Blocks: no. Thread: the robot's owner.
void dpc_robot_release(dpc_robot* robot, dpc_robot_event* event, dpc_robot_event_kind kind,
                       dpc_time now);
