#include "policy/settled.h"

#include <string.h>

struct dpc_settled {
  const dpc_schedule* schedule;
  bool clean;
  int chunks_max, size;
  int* counts;    // [chunks_max]
  float* values;  // [chunks_max][size], of which the count is set
  float* noise;   // likewise
};

dpc_status dpc_settled_create(const dpc_schedule* schedule, bool clean, int chunks_max, int size,
                              dpc_arena* arena, dpc_settled** out, dpc_error* error) {
  const size_t chunks = (size_t)chunks_max, values = chunks * (size_t)size;
  dpc_settled* settled = DPC_TAKE(arena, dpc_settled, 1);
  if (settled == NULL) return dpc_arena_full(arena, "the settled rows", error);
  *settled = (dpc_settled){.schedule = schedule,
                           .clean = clean,
                           .chunks_max = chunks_max,
                           .size = size,
                           .counts = DPC_TAKE(arena, int, chunks),
                           .values = DPC_TAKE(arena, float, values),
                           .noise = DPC_TAKE(arena, float, values)};
  if (settled->counts == NULL || settled->values == NULL || settled->noise == NULL) {
    return dpc_arena_full(arena, "the settled rows", error);
  }
  *out = settled;
  return DPC_OK;
}

void dpc_settled_set(dpc_settled* settled, int at, int count, const float* values,
                     const float* noise) {
  DPC_ASSERT(at >= 0 && at < settled->chunks_max && count >= 0 && count <= settled->size);
  const ptrdiff_t first = (ptrdiff_t)at * settled->size;
  settled->counts[at] = count;
  if (count == 0) return;
  memcpy(settled->values + first, values, sizeof(float) * (size_t)count);
  memcpy(settled->noise + first, noise, sizeof(float) * (size_t)count);
}

void dpc_settled_show(const dpc_settled* settled, double t, int chunks, float* x) {
  DPC_ASSERT(chunks <= settled->chunks_max);
  const dpc_noise_level clean = {.signal = 1.0, .noise = 0.0};
  const dpc_noise_level level = settled->clean ? clean : dpc_schedule_level(settled->schedule, t);
  for (int c = 0; c < chunks; ++c) {
    const ptrdiff_t first = (ptrdiff_t)c * settled->size;
    dpc_schedule_add_noise(level, settled->values + first, settled->noise + first,
                           settled->counts[c], x + first);
  }
}
