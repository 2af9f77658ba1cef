/// How long things took: a histogram with fixed logarithmic buckets, so that recording costs a few
/// instructions, never allocates, and a run of days fits in the same memory as one of seconds.
///
/// Lengths up to 31 ns have a bucket each; above, an octave has 32 buckets, so a quantile is at
/// most 1/32 (3.1 %) above the true one. The largest and the mean are exact.
#pragma once

#include "policy/base.h"

enum {
  DPC_LATENCY_SUB_BITS = 5,
  DPC_LATENCY_OCTAVES = 37,  // up to 2^42 ns, 73 minutes; what is longer counts as that
  DPC_LATENCY_BUCKETS = (DPC_LATENCY_OCTAVES + 1) << DPC_LATENCY_SUB_BITS,
};

/// Zeroed is empty. One thread records; others read when it has stopped.
typedef struct dpc_latency {
  uint64_t count;
  int64_t max_ns;  // exact
  double sum_ns;
  uint64_t buckets[DPC_LATENCY_BUCKETS];
} dpc_latency;

/// What is shown of a histogram; all zero when it is empty.
typedef struct dpc_latency_summary {
  uint64_t count;
  dpc_duration mean, p50, p99, p999, max;
} dpc_latency_summary;

/// Forget everything.
/// Allocates: no. Blocks: no. Thread: the owner.
void dpc_latency_clear(dpc_latency* latency);

/// Count one length; a negative one counts as zero.
/// Allocates: no. Blocks: no. Thread: the owner.
void dpc_latency_record(dpc_latency* latency, dpc_duration length);

/// The smallest length that at least the share `q` in [0, 1] of all does not exceed: the upper edge
/// of its bucket, and never more than the largest recorded. Zero when empty.
/// Allocates: no. Blocks: no. Thread: the owner.
dpc_duration dpc_latency_quantile(const dpc_latency* latency, double q);

/// Add all of `from` to `into`.
/// Allocates: no. Blocks: no. Thread: the owner of both.
void dpc_latency_merge(dpc_latency* into, const dpc_latency* from);

/// Count, mean, p50, p99, p99.9 and largest.
/// Allocates: no. Blocks: no. Thread: the owner.
dpc_latency_summary dpc_latency_summarize(const dpc_latency* latency);
