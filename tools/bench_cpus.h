/// The processors that a benchmark may use, and where its threads run.
#pragma once

#include <sched.h>

#include "policy/base.h"

typedef struct dpc_cpus {
  cpu_set_t allowed;
  int count;       // of those allowed
  int last;        // number of the last one
  char model[64];  // "AMD EPYC"; "" where the system does not say
} dpc_cpus;

/// What this thread may run on. Before the first dpc_cpus_use.
/// Allocates: heap, given back. Blocks: on /proc. Thread: start-up only.
DPC_NODISCARD dpc_status dpc_cpus_read(dpc_cpus* out, dpc_error* error);

/// From now on this thread, and those that it starts, run on the last `count` of those allowed, or
/// on all where there are fewer, as ordinary threads.
/// Allocates: no. Blocks: no. Thread: any, for itself.
DPC_NODISCARD dpc_status dpc_cpus_use(const dpc_cpus* cpus, int count, dpc_error* error);
