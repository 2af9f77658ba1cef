#include "runtime/chunk.h"

#include <string.h>

uint64_t dpc_chunk_due(const dpc_chunk* chunk, int row) {
  return chunk->tick + (uint64_t)((int64_t)(row - chunk->first_row) * chunk->ticks_per_step);
}

int dpc_chunk_row(const dpc_chunk* chunk, uint64_t tick) {
  if (chunk->values == NULL) return -1;
  const uint64_t row = (tick - dpc_chunk_due(chunk, 0)) / (uint64_t)chunk->ticks_per_step;
  return row < (uint64_t)chunk->horizon ? (int)row : -1;
}

const float* dpc_chunk_at(const dpc_chunk* chunk, uint64_t tick) {
  const int row = dpc_chunk_row(chunk, tick);
  return row < 0 ? NULL : chunk->values + (size_t)row * (size_t)chunk->dim;
}

// Rows from `first` on that `before` has, too.
static int rows_in_both(const dpc_chunk* before, const dpc_chunk* next, int first) {
  int count = 0;
  while (first + count < next->horizon &&
         dpc_chunk_row(before, dpc_chunk_due(next, first + count)) >= 0) {
    ++count;
  }
  return count;
}

void dpc_chunk_take_over(const dpc_chunk* before, uint64_t tick, bool fade, const float* rest,
                         dpc_chunk* next) {
  const size_t dim = (size_t)next->dim;
  const int due = dpc_chunk_row(next, tick);
  const int first = due < 0 ? next->horizon : due;  // the first that is not over
  for (int row = 0; row < first; ++row) {
    const float* old = dpc_chunk_at(before, dpc_chunk_due(next, row));
    memcpy(next->values + (size_t)row * dim, old != NULL ? old : rest, sizeof(float) * dim);
  }
  const int shared = fade ? rows_in_both(before, next, first) : 0;
  for (int n = 0; n < shared; ++n) {
    const float* old = dpc_chunk_at(before, dpc_chunk_due(next, first + n));
    float* row = next->values + (size_t)(first + n) * dim;
    const float part = (float)(n + 1) / (float)(shared + 1);
    for (size_t i = 0; i < dim; ++i) row[i] = old[i] + part * (row[i] - old[i]);
  }
}
