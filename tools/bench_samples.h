/// Lengths of time, each one kept: their quantiles are exact. Those of a histogram may be 3 % off
/// (runtime/latency.h), and configurations differ by less.
#pragma once

#include "policy/arena.h"
#include "runtime/latency.h"

typedef struct dpc_samples {
  int64_t* ns;
  size_t count, capacity;
} dpc_samples;

/// Room for `capacity` of them, touched, so that adding causes no page fault.
/// Allocates: from the arena. Blocks: no. Thread: start-up only.
DPC_NODISCARD dpc_status dpc_samples_create(size_t capacity, dpc_arena* arena, dpc_samples* out,
                                            dpc_error* error);

/// Add one; there must be room.
/// Allocates: no. Blocks: no. Thread: the owner.
void dpc_samples_add(dpc_samples* samples, dpc_duration length);

/// Count, mean, exact quantiles and largest; all zero when empty. Sorts the samples.
/// Allocates: no. Blocks: no. Thread: the owner.
dpc_latency_summary dpc_samples_summarize(dpc_samples* samples);
