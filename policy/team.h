/// A few threads that work on one thing together, many times a millisecond: between two pieces of
/// work they wait actively, so that starting and meeting cost a fraction of a microsecond. Outside
/// of dpc_team_wake .. dpc_team_rest they sleep.
///
/// One thread, the leader, owns the team and is part of it; the others are started by
/// dpc_team_create and pinned, each to a CPU of its own among those the creating thread may use,
/// its first one being left to the leader.
#pragma once

#include "policy/arena.h"

typedef struct dpc_team dpc_team;

enum { DPC_TEAM_MAX = 64 };  // threads

/// Start a team of `threads` in [1, DPC_TEAM_MAX], the leader included. A team of one has no threads
/// of its own. DPC_ERR_NO_MEMORY when the arena is full or the system refuses a thread.
/// Allocates: from the arena, and the system's thread stacks. Blocks: no. Thread: start-up only.
DPC_NODISCARD dpc_status dpc_team_create(int threads, dpc_arena* arena, dpc_team** out,
                                         dpc_error* error);

/// Stop and join the threads. NULL is left alone.
/// Allocates: no. Blocks: until they have ended. Thread: the leader.
void dpc_team_destroy(dpc_team* team);

/// From now on the threads wait actively, with the leader's scheduling policy and priority.
/// Allocates: no. Blocks: no. Thread: the leader.
void dpc_team_wake(dpc_team* team);

/// From now on they sleep.
/// Allocates: no. Blocks: no. Thread: the leader.
void dpc_team_rest(dpc_team* team);

/// Do work(context, rank) on all threads at once, ranks 0 (the leader) to threads - 1. Returns when
/// all have returned. A team that rests is woken for it.
/// Allocates: no. Blocks: until all are done, waiting actively. Thread: the leader.
void dpc_team_run(dpc_team* team, void (*work)(void* context, int rank), void* context);

/// Inside of work: wait until all have come here. What each wrote before, all see after.
/// Allocates: no. Blocks: until all are here, waiting actively. Thread: any of the team.
void dpc_team_meet(dpc_team* team);
