/// What makes the ticks come: owns the control thread, waits for the next tick as the pace says, runs
/// the controller and the planner, and counts what was missed. It meets the rest of the program in
/// two mailboxes, newest observation in and newest command out, and never touches a socket.
///
/// Between start and stop the control thread takes no lock and no memory, and of the system it calls
/// only this: pace timer, clock_nanosleep, and a write to an eventfd that does not block (a command for
/// the link, a request for the planner). Paces robot and lockstep wait for an observation instead of a
/// time: ppoll on its eventfd, and the read that makes that unreadable again. Planning inside the tick
/// adds nothing, unless engine.threads share it (a condition variable wakes those).
#pragma once

#include "runtime/controller.h"
#include "runtime/latency.h"
#include "runtime/mailbox.h"
#include "runtime/planner.h"
#include "runtime/tick_ring.h"

typedef enum dpc_pace {
  DPC_PACE_TIMER,     // the loop's own period
  DPC_PACE_ROBOT,     // a tick for each new observation, or when one is a period late
  DPC_PACE_LOCKSTEP,  // a tick for each new observation, however long it takes
} dpc_pace;

/// Names of the paces, in order; ends with NULL. For DPC_CHOICE.
extern const char* const dpc_pace_names[];

typedef struct dpc_loop_def {
  dpc_pace pace;
  dpc_duration period;  // of a control tick, > 0
  bool plan_in_thread;  // else inside the tick: for delay 0, and for same bits in lock-step
  dpc_thread_place control, planner;  // where their threads run
  dpc_tick_ring* records;             // where each tick is recorded; NULL: nowhere
} dpc_loop_def;

/// Into the loop: the robot as it is now.
typedef struct dpc_loop_observation {
  dpc_time received;  // from the socket
  dpc_time sampled;   // by the robot, on our clock; as `received` where that is not known
  uint64_t epoch;     // as in dpc_tick_input
  uint64_t seed;      // of the episode
  uint64_t tick;      // the robot's
  bool live;          // false: the episode is over or the robot is gone, no ticks until it is true
  uint32_t label;     // comes back with the command; nothing to the loop (the robot's episode)
  float values[];     // [robot's observation dim], physical units
} dpc_loop_observation;

/// Out of the loop: what to do now.
typedef struct dpc_loop_command {
  dpc_time received;  // of the observation that it answers
  uint64_t epoch;     //
  uint64_t tick;      //
  uint32_t label;     //
  bool fresh;         // the first command for that observation
  dpc_state state;    // of the controller
  dpc_fault fault;    // and why, in FAULT
  float values[];     // [action dim], physical units
} dpc_loop_command;

/// What has been measured. Stages that a pace does not have stay empty.
typedef struct dpc_loop_stats {
  dpc_latency observation_age;  // from `sampled` to the tick's start, fresh observations
  dpc_latency tick;             // from the tick's start to its command in the mailbox
  dpc_latency wake_up;          // pace timer: how late the tick starts
  uint64_t overslept;           // pace timer: ticks that started later than a period
  uint64_t missed;              // ticks that should have been and were not
  uint64_t overdue;             // pace robot: ticks without an observation, it was a period late
} dpc_loop_stats;

typedef struct dpc_loop dpc_loop;

/// Make a loop around a controller and a planner, both of which it uses from its own thread from
/// start to stop. `obs_dim` and `action_dim` are the robot's.
/// DPC_ERR_NO_MEMORY; DPC_ERR_IO without eventfds. Release with dpc_loop_destroy.
/// Allocates: from the arena. Blocks: no. Thread: start-up only.
DPC_NODISCARD dpc_status dpc_loop_create(const dpc_loop_def* def, dpc_controller* controller,
                                         dpc_planner* planner, int obs_dim, int action_dim,
                                         dpc_arena* arena, dpc_loop** out, dpc_error* error);

/// Stop, and give the eventfds back. NULL is allowed.
/// Allocates: no. Blocks: until the tick is done. Thread: the one that created it.
void dpc_loop_destroy(dpc_loop* loop);

/// Start the control thread, and the planner's where there is one.
/// Allocates: the threads' stacks. Blocks: no. Thread: the one that created it.
DPC_NODISCARD dpc_status dpc_loop_start(dpc_loop* loop, dpc_error* error);

/// Bring the robot to rest, and the ticks with it: nothing takes that back. Ticks go on, as the pace
/// has them, until the controller is FINALIZED, or there is no robot to move.
/// Allocates: no. Blocks: no. Thread: the one that created it.
void dpc_loop_rest(dpc_loop* loop);

/// What dpc_loop_rest asked for is reached.
/// Allocates: no. Blocks: no. Thread: any.
bool dpc_loop_at_rest(const dpc_loop* loop);

/// Someone has acknowledged a fault; counts from the next tick on. False, and nothing is done, when
/// there is none.
/// Allocates: no. Blocks: no. Thread: any.
bool dpc_loop_acknowledge(dpc_loop* loop);

/// Stop both threads.
/// Allocates: no. Blocks: until the tick is done, and the plan in the making. Thread: the one that
/// created it.
void dpc_loop_stop(dpc_loop* loop);

/// Where observations go in: slots of dpc_loop_observation with `obs_dim` values.
/// Allocates: no. Blocks: no. Thread: any; the mailbox has one writer.
dpc_mailbox* dpc_loop_observations(const dpc_loop* loop);

/// Where commands come out: slots of dpc_loop_command with `action_dim` values. It has an fd.
/// Allocates: no. Blocks: no. Thread: any; the mailbox has one reader.
dpc_mailbox* dpc_loop_commands(const dpc_loop* loop);

/// The control thread: whether it has its priority and, once it has stopped, what disturbed it.
/// Allocates: no. Blocks: no. Thread: the one that created the loop.
const dpc_thread* dpc_loop_thread(const dpc_loop* loop);

/// What has been measured so far.
/// Allocates: no. Blocks: no. Thread: any, while the loop is stopped.
const dpc_loop_stats* dpc_loop_measured(const dpc_loop* loop);
