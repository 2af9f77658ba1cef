/// A chunk of planned actions, looked up by absolute tick: a chunk that comes late is entered at the
/// row that is due, so what was missed is skipped without anyone estimating a delay.
#pragma once

#include "policy/base.h"

/// Row r of the chunk is due at ticks tick + (r - first_row) * ticks_per_step and the ones after,
/// until the next row's.
typedef struct dpc_chunk {
  uint64_t tick;       // of the observation that it was planned from
  int ticks_per_step;  // control ticks per row
  int first_row;     // the row due at `tick`: n_obs - 1, as row 0 belongs to the oldest observation
  int horizon, dim;  // rows, values in a row
  float* values;     // [horizon x dim], physical units; NULL: there is no chunk
} dpc_chunk;

/// The tick at which `row` becomes due. Ticks before 0 count down from 2^64, here and below.
/// Allocates: no. Blocks: no. Thread: any.
uint64_t dpc_chunk_due(const dpc_chunk* chunk, int row);

/// The row due at `tick`, which may be one of those before `first_row`; -1 when the chunk is over, or
/// begins later.
/// Allocates: no. Blocks: no. Thread: any.
int dpc_chunk_row(const dpc_chunk* chunk, uint64_t tick);

/// The action due at `tick`, [dim], held from row to row; NULL when there is none.
/// Allocates: no. Blocks: no. Thread: any.
const float* dpc_chunk_at(const dpc_chunk* chunk, uint64_t tick);

/// Go over to `next` at `tick` from `before`, which was followed until then. The rows of `next` that
/// are over by `tick` become what `before` commanded, or `rest` [dim] where it did not reach: from now
/// on `next` alone says what was commanded and what will be. With `fade`, the rows from then on that
/// both have lead from the one to the other in equal steps.
/// Allocates: no. Blocks: no. Thread: any, one `next` each.
void dpc_chunk_take_over(const dpc_chunk* before, uint64_t tick, bool fade, const float* rest,
                         dpc_chunk* next);
