/// Threads that share out numbered pieces of work. Which thread does a piece is left to timing, so
/// a piece must depend on its number alone; then the number of threads cannot change a bit.
#pragma once

#include "policy/arena.h"

typedef struct dpc_workers dpc_workers;

/// Do piece `item`; `thread` in [0, thread count) says whose scratch memory to use.
typedef void (*dpc_work)(void* context, int item, int thread);

/// Start `threads` - 1 threads (the caller is one more); 0 means one per CPU this process may use.
/// Returns DPC_ERR_NO_MEMORY when the arena is full or the system has no more threads.
/// Allocates: from the arena, and the system's thread stacks. Blocks: no. Thread: start-up only.
DPC_NODISCARD dpc_status dpc_workers_create(int threads, dpc_arena* arena, dpc_workers** out,
                                            dpc_error* error);

/// Stop and join the threads. NULL is left alone.
/// Allocates: no. Blocks: until they have ended. Thread: the one that created them.
void dpc_workers_destroy(dpc_workers* workers);

/// Number of threads, the caller included.
/// Allocates: no. Blocks: no. Thread: any.
int dpc_workers_count(const dpc_workers* workers);

/// Do pieces 0 .. count - 1 on all threads; returns when all are done.
/// Allocates: no. Blocks: until all are done. Thread: the one that created them.
void dpc_workers_run(dpc_workers* workers, dpc_work work, void* context, int count);
