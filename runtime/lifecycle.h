/// The controller's life: which state follows from which event, as one table in which every pair is
/// defined. The names are those that users of ros2_control know; HOLD and STOPPING are the states in
/// between in which the robot is kept still or brought to rest.
///
///     UNCONFIGURED --configured--> INACTIVE --observed--> HOLD <==> ACTIVE
///     any that moves a robot --fault--> FAULT, where it stays until --acknowledged--> INACTIVE
///     any --stop--> STOPPING --at rest--> FINALIZED
#pragma once

#include "policy/base.h"

typedef enum dpc_state {
  DPC_STATE_UNCONFIGURED,  // no policy, no robot
  DPC_STATE_INACTIVE,      // nothing to move: no observation yet, or the episode is over
  DPC_STATE_HOLD,          // kept still, and goes on by itself
  DPC_STATE_ACTIVE,        // following a plan
  DPC_STATE_STOPPING,      // being brought to rest, for good
  DPC_STATE_FAULT,         // kept still until someone acknowledges
  DPC_STATE_FINALIZED,     // the end
  DPC_STATE_COUNT
} dpc_state;

typedef enum dpc_event {
  DPC_EVENT_CONFIGURED,    // policy and robot fit each other
  DPC_EVENT_OBSERVED,      // the robot can be seen
  DPC_EVENT_FOLLOW,        // there is a plan for this tick, and nothing is against it
  DPC_EVENT_STARVED,       // there is none, or something is
  DPC_EVENT_FAULT,         // what must not go on by itself
  DPC_EVENT_ACKNOWLEDGED,  // by a person
  DPC_EVENT_ENDED,         // the episode or session is over: there is no robot to move
  DPC_EVENT_STOP,          // the program is to end
  DPC_EVENT_AT_REST,       // nothing moves any more
  DPC_EVENT_COUNT
} dpc_event;

/// What has latched the state FAULT.
typedef enum dpc_fault {
  DPC_FAULT_NONE,
  DPC_FAULT_STALE,    // nothing seen of the robot for too long, though the link is alive
  DPC_FAULT_PLANS,    // the policy's output was not finite, several times in a row
  DPC_FAULT_STARVED,  // no plan to follow for too long, though the robot is seen
} dpc_fault;

/// The state after `event` in `state`. Where an event means nothing the state stays.
/// Allocates: no. Blocks: no. Thread: any.
dpc_state dpc_lifecycle_next(dpc_state state, dpc_event event);

/// "hold", for people and reports.
/// Allocates: no. Blocks: no. Thread: any.
const char* dpc_state_name(dpc_state state);

/// What happened, in words: "nothing has been observed for too long".
/// Allocates: no. Blocks: no. Thread: any.
const char* dpc_fault_text(dpc_fault fault);
