#include "runtime/latency.h"

#include <math.h>

enum { SUB = 1 << DPC_LATENCY_SUB_BITS };

// Octave 0 is linear; in octave e >= 1 a bucket is 2^(e - 1) ns wide.
static int bucket_of(uint64_t ns) {
  if (ns < SUB) return (int)ns;
  const int top = 63 - __builtin_clzll(ns);
  const int octave = top - DPC_LATENCY_SUB_BITS + 1;
  if (octave > DPC_LATENCY_OCTAVES) return DPC_LATENCY_BUCKETS - 1;
  const int sub = (int)(ns >> (octave - 1)) - SUB;
  return octave * SUB + sub;
}

// The largest length that falls into the bucket.
static int64_t upper_edge(int bucket) {
  const int octave = bucket / SUB, sub = bucket % SUB;
  if (octave == 0) return sub;
  return ((int64_t)(SUB + sub + 1) << (octave - 1)) - 1;
}

void dpc_latency_clear(dpc_latency* latency) {
  *latency = (dpc_latency){0};
}

void dpc_latency_record(dpc_latency* latency, dpc_duration length) {
  const int64_t ns = length.ns > 0 ? length.ns : 0;
  latency->count++;
  latency->sum_ns += (double)ns;
  if (ns > latency->max_ns) latency->max_ns = ns;
  latency->buckets[bucket_of((uint64_t)ns)]++;
}

dpc_duration dpc_latency_quantile(const dpc_latency* latency, double q) {
  DPC_ASSERT(q >= 0 && q <= 1);
  if (latency->count == 0) return (dpc_duration){0};
  const double wanted = fmax(ceil(q * (double)latency->count), 1);
  uint64_t seen = 0;
  int bucket = 0;
  for (; bucket < DPC_LATENCY_BUCKETS - 1; bucket++) {
    seen += latency->buckets[bucket];
    if ((double)seen >= wanted) break;
  }
  // The last bucket has no upper edge.
  const int64_t edge = bucket == DPC_LATENCY_BUCKETS - 1 ? latency->max_ns : upper_edge(bucket);
  return (dpc_duration){edge < latency->max_ns ? edge : latency->max_ns};
}

void dpc_latency_merge(dpc_latency* into, const dpc_latency* from) {
  into->count += from->count;
  into->sum_ns += from->sum_ns;
  if (from->max_ns > into->max_ns) into->max_ns = from->max_ns;
  for (int i = 0; i < DPC_LATENCY_BUCKETS; i++) into->buckets[i] += from->buckets[i];
}

dpc_latency_summary dpc_latency_summarize(const dpc_latency* latency) {
  if (latency->count == 0) return (dpc_latency_summary){0};
  return (dpc_latency_summary){
      .count = latency->count,
      .mean = {(int64_t)(latency->sum_ns / (double)latency->count)},
      .p50 = dpc_latency_quantile(latency, 0.5),
      .p99 = dpc_latency_quantile(latency, 0.99),
      .p999 = dpc_latency_quantile(latency, 0.999),
      .max = {latency->max_ns},
  };
}
