#include "runtime/chunk.h"

int dpc_chunk_row(const dpc_chunk* chunk, uint64_t tick) {
  if (chunk->values == NULL || tick < chunk->tick) return -1;
  const uint64_t steps = (tick - chunk->tick) / (uint64_t)chunk->ticks_per_step;
  const uint64_t left = (uint64_t)(chunk->horizon - chunk->first_row);
  return steps < left ? chunk->first_row + (int)steps : -1;
}

const float* dpc_chunk_at(const dpc_chunk* chunk, uint64_t tick) {
  const int row = dpc_chunk_row(chunk, tick);
  return row < 0 ? NULL : chunk->values + (size_t)row * (size_t)chunk->dim;
}
