/// What went into a tick and what came out of it, from the control thread to whoever keeps it: a
/// wait-free ring with one writer and one reader. The writer never waits and allocates nothing; when the
/// ring is full the record is dropped, and its place in the sequence stays empty.
///
///     dpc_tick_ring_put(ring, &times, &input, ready, &output);       // control thread, once per tick
///
///     while ((record = dpc_tick_ring_first(ring)) != NULL) {         // reader
///       …
///       dpc_tick_ring_pop(ring);
///     }
#pragma once

#include "runtime/controller.h"

/// When things happened; not an input of the tick.
typedef struct dpc_tick_times {
  dpc_time received;  // the observation
  dpc_time sampled;   // the same, by the robot
  dpc_time start;     // of the tick
  dpc_time done;      // and its command is in the mailbox
} dpc_tick_times;

/// One tick, whole. Its structs are the controller's own, so that it cannot fall behind them; their
/// pointers lead to `values`.
typedef struct dpc_tick_record {
  uint64_t sequence;  // ticks recorded or dropped before this one
  dpc_tick_times times;
  dpc_tick_input input;
  bool answered;  // `plan` was taken in at this tick
  dpc_plan plan;
  dpc_tick_output output;
  int obs_count, chunk_count, action_count;  // values that the pointers lead to; 0: NULL
} dpc_tick_record;

/// How many values a tick has at most.
typedef struct dpc_tick_dims {
  int obs;     // the robot's observation
  int chunk;   // horizon x action dim
  int action;  //
} dpc_tick_dims;

/// Bytes that a record takes with its values behind it.
/// Allocates: no. Blocks: no. Thread: any.
size_t dpc_tick_record_size(const dpc_tick_dims* dims);

/// Copy a record and its values to `to`, which has dpc_tick_record_size bytes.
/// Allocates: no. Blocks: no. Thread: any.
void dpc_tick_record_copy(const dpc_tick_dims* dims, const dpc_tick_record* from,
                          dpc_tick_record* to);

typedef struct dpc_tick_ring dpc_tick_ring;

/// Make a ring of `capacity` records. Its memory is touched here, so that the writer has no page fault.
/// When it becomes half full, the writer writes to `wake_fd`, an eventfd that does not block (-1: none);
/// a reader that looks often enough is never woken. DPC_ERR_NO_MEMORY.
/// Allocates: from the arena. Blocks: no. Thread: start-up only.
DPC_NODISCARD dpc_status dpc_tick_ring_create(const dpc_tick_dims* dims, int capacity, int wake_fd,
                                              dpc_arena* arena, dpc_tick_ring** out,
                                              dpc_error* error);

/// Record a tick. `ready` is the plan that was taken in, NULL when there was none.
/// Allocates: no. Blocks: no. Thread: the writer.
void dpc_tick_ring_put(dpc_tick_ring* ring, const dpc_tick_times* times,
                       const dpc_tick_input* input, const dpc_plan* ready,
                       const dpc_tick_output* output);

/// The oldest record, which stays until it is popped; NULL when there is none.
/// Allocates: no. Blocks: no. Thread: the reader.
const dpc_tick_record* dpc_tick_ring_first(dpc_tick_ring* ring);

/// Give the oldest record back.
/// Allocates: no. Blocks: no. Thread: the reader.
void dpc_tick_ring_pop(dpc_tick_ring* ring);

/// Ticks that were put, and how many of them were dropped.
/// Allocates: no. Blocks: no. Thread: any.
uint64_t dpc_tick_ring_count(const dpc_tick_ring* ring);
/// As above: those for which there was no room.
/// Allocates: no. Blocks: no. Thread: any.
uint64_t dpc_tick_ring_dropped(const dpc_tick_ring* ring);
