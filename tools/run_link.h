/// dpc-run's link thread: carries observations from the robot to the loop and commands back, keeps
/// the scores that the robot reports, and tells the supervisor what happens. It allocates nothing
/// and never waits for either of them.
#pragma once

#include "runtime/link.h"
#include "runtime/loop.h"
#include "runtime/rt.h"

typedef enum dpc_run_note_kind {
  DPC_RUN_EPISODE,    // one has ended
  DPC_RUN_LOST,       // the robot is gone; the link goes on trying
  DPC_RUN_CONNECTED,  // it is back
  DPC_RUN_REFUSED,    // what came back does not fit
  DPC_RUN_BYE,        // the robot has ended the session
  DPC_RUN_FAULT,      // the controller holds the robot until someone acknowledges
} dpc_run_note_kind;

/// What the supervisor reads from the thread's pipe, whole.
typedef struct dpc_run_note {
  dpc_run_note_kind kind;
  uint64_t seed;   // EPISODE
  uint64_t steps;  // EPISODE
  double score;    // EPISODE: the largest reward
  bool success;    // EPISODE: ended with a reward of at least 1
  char reason[DPC_REASON_MAX];
} dpc_run_note;

typedef struct dpc_run_link_def {
  dpc_duration lease;  // of each command; 0: until the next
  bool same_clock;     // the robot is on this machine, so that its sample times are our times
  dpc_thread_place place;
} dpc_run_link_def;

/// Zeroed before dpc_run_link_start.
typedef struct dpc_run_link {
  dpc_run_link_def def;
  dpc_link* link;
  dpc_loop* loop;
  int obs_dim, action_dim;
  int notes_in;  // write end of the pipe, -1: none
  int notes;     // read end, for the supervisor
  dpc_thread thread;
  _Atomic bool stop;

  // the thread's
  uint64_t epoch;  // counts episodes over all sessions
  bool running;    // an episode is
  uint32_t episode;
  uint64_t tick;
  double score;
  bool refused;            // and has been told
  dpc_fault fault;         // that has been told
  dpc_latency end_to_end;  // observation taken from the socket -> its command handed to the socket
  uint64_t commands_sent, commands_failed, notes_lost;
} dpc_run_link;

/// Start the thread; from now on the link is its own. `link` is connected.
/// Allocates: the thread's stack. Blocks: no. Thread: the supervisor.
DPC_NODISCARD dpc_status dpc_run_link_start(dpc_run_link* run, const dpc_run_link_def* def,
                                            dpc_link* link, dpc_loop* loop, dpc_error* error);

/// Say Bye, and end the thread. Nothing when it was not started.
/// Allocates: no. Blocks: up to 0.3 s. Thread: the supervisor.
void dpc_run_link_stop(dpc_run_link* run);

/// Read one note; false when there is none.
/// Allocates: no. Blocks: no. Thread: the supervisor.
bool dpc_run_link_note(dpc_run_link* run, dpc_run_note* note);
