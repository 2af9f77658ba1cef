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
  const float* values;  // [horizon x dim], physical units
} dpc_chunk;

/// The row due at `tick`, or -1 when the chunk does not reach it (or begins after it).
/// Allocates: no. Blocks: no. Thread: any.
int dpc_chunk_row(const dpc_chunk* chunk, uint64_t tick);

/// The action due at `tick`, [dim], held from row to row; NULL when there is none.
/// Allocates: no. Blocks: no. Thread: any.
const float* dpc_chunk_at(const dpc_chunk* chunk, uint64_t tick);
