#include "tools/bench_samples.h"

#include <math.h>
#include <stdlib.h>

dpc_status dpc_samples_create(size_t capacity, dpc_arena* arena, dpc_samples* out,
                              dpc_error* error) {
  int64_t* ns = DPC_TAKE(arena, int64_t, capacity);
  if (ns == NULL) return dpc_arena_full(arena, "the lengths of all runs", error);
  *out = (dpc_samples){.ns = ns, .capacity = capacity};
  return DPC_OK;
}

void dpc_samples_add(dpc_samples* samples, dpc_duration length) {
  DPC_ASSERT(samples->count < samples->capacity);
  samples->ns[samples->count++] = length.ns;
}

static int compare(const void* left, const void* right) {
  const int64_t a = *(const int64_t*)left, b = *(const int64_t*)right;
  return (a > b) - (a < b);
}

// The smallest that at least the share q of all does not exceed.
static dpc_duration quantile(const dpc_samples* sorted, double q) {
  const size_t rank = (size_t)ceil(q * (double)sorted->count);
  return (dpc_duration){sorted->ns[rank > 0 ? rank - 1 : 0]};
}

dpc_latency_summary dpc_samples_summarize(dpc_samples* samples) {
  if (samples->count == 0) return (dpc_latency_summary){0};
  qsort(samples->ns, samples->count, sizeof *samples->ns, compare);
  double sum = 0;
  for (size_t i = 0; i < samples->count; ++i) sum += (double)samples->ns[i];
  return (dpc_latency_summary){.count = samples->count,
                               .mean = {llround(sum / (double)samples->count)},
                               .p50 = quantile(samples, 0.5),
                               .p99 = quantile(samples, 0.99),
                               .p999 = quantile(samples, 0.999),
                               .max = quantile(samples, 1)};
}
