#include "tools/bench_probe.h"

#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>

#include "runtime/clock.h"
#include "runtime/rt.h"

enum {
  GRAIN = 4096,             // the loops read whole multiples of this
  COMPUTE_ROUNDS = 100000,  // some hundred microseconds
  LARGE_PAGE = 2 << 20,
  THREADS_MAX = 64,
};

static const int streams_of[DPC_BENCH_PATTERNS] = {1, 4};

// The address space is larger than the buffer, so that the buffer begins on a large page.
static dpc_status make_buffer(dpc_bench_probe* probe, dpc_error* error) {
  DPC_TRY(dpc_arena_map(&probe->memory, probe->size + LARGE_PAGE, error));
  // a wish; without it the pages are small, as the weights' are then
  (void)madvise(probe->memory.base, probe->memory.size, MADV_HUGEPAGE);
  const size_t skip = (size_t)(-(uintptr_t)probe->memory.base % LARGE_PAGE);
  probe->buffer = dpc_arena_take(&probe->memory, skip + probe->size);
  DPC_ASSERT(probe->buffer != NULL);
  probe->buffer += skip;
  return DPC_OK;
}

static void choose_arithmetic(const char* precision, dpc_bench_probe* probe) {
  probe->arithmetic = probe->loops->multiply_adds;
  if (strcmp(precision, "bf16") == 0) probe->arithmetic = probe->loops->multiply_adds_bf16;
  if (strcmp(precision, "int8") == 0) probe->arithmetic = probe->loops->multiply_adds_int8;
}

dpc_status dpc_bench_probe_create(const dpc_engine_info* engine, int threads, int rounds,
                                  dpc_arena* arena, dpc_bench_probe* out, dpc_error* error) {
  DPC_ASSERT(threads >= 1);
  const size_t grain = (size_t)GRAIN * (size_t)threads;
  dpc_bench_probe probe = {.loops = dpc_probe_of(engine->isa),
                           .threads = threads,
                           .size = (engine->weight_bytes + grain - 1) / grain * grain};
  choose_arithmetic(engine->precision, &probe);
  DPC_TRY(dpc_samples_create((size_t)rounds, arena, &probe.compute, error));
  for (int i = 0; i < DPC_BENCH_PATTERNS; ++i) {
    DPC_TRY(dpc_samples_create((size_t)rounds, arena, &probe.read[i], error));
  }
  DPC_TRY(make_buffer(&probe, error));
  *out = probe;
  return DPC_OK;
}

static void sample_compute(dpc_bench_probe* probe) {
  float sum = 0;
  const dpc_time start = dpc_clock_now();
  probe->multiply_adds = probe->arithmetic(COMPUTE_ROUNDS, &sum);
  dpc_samples_add(&probe->compute, dpc_time_since(dpc_clock_now(), start));
  probe->seen += sum;
}

// One thread's share of the buffer.
typedef struct reader {
  dpc_thread thread;
  const dpc_probe* loops;
  const char* from;
  size_t size;
  int streams;
  atomic_int* missing;  // threads that have not come to the start yet
  dpc_time start, end;
  uint64_t seen;
} reader;

// Twice: what the caches can keep is in them when the second reading is timed.
static void read_share(void* context) {
  reader* r = context;
  r->seen = r->loops->read(r->from, r->size, r->streams);
  atomic_fetch_sub(r->missing, 1);
  while (atomic_load(r->missing) > 0) continue;
  r->start = dpc_clock_now();
  r->seen ^= r->loops->read(r->from, r->size, r->streams);
  r->end = dpc_clock_now();
}

// This thread is the first reader; the others are started before it begins.
static dpc_status run_readers(int count, reader* readers, dpc_error* error) {
  static const dpc_thread_def def = {.name = "dpc-probe"};
  dpc_status status = DPC_OK;
  for (int i = 1; i < count && status == DPC_OK; ++i) {
    status = dpc_thread_start(&readers[i].thread, &def, read_share, &readers[i], error);
  }
  if (status == DPC_OK) {
    read_share(&readers[0]);
  } else {
    atomic_store(readers[0].missing, 0);  // those that did start shall end
  }
  for (int i = 1; i < count; ++i) dpc_thread_join(&readers[i].thread);
  return status;
}

static dpc_status sample_read(dpc_bench_probe* probe, int pattern, dpc_error* error) {
  const int threads = probe->threads;
  DPC_ASSERT(threads >= 1 && threads <= THREADS_MAX);
  const size_t share = probe->size / (size_t)threads;
  atomic_int missing = threads;
  reader readers[THREADS_MAX] = {0};
  for (int i = 0; i < threads; ++i) {
    readers[i] = (reader){.loops = probe->loops,
                          .from = probe->buffer + share * (size_t)i,
                          .size = share,
                          .streams = streams_of[pattern],
                          .missing = &missing};
  }
  DPC_TRY(run_readers(threads, readers, error));
  dpc_time end = readers[0].end;
  for (int i = 0; i < threads; ++i) {
    if (readers[i].end.ns > end.ns) end = readers[i].end;
    probe->seen += (double)readers[i].seen;
  }
  dpc_samples_add(&probe->read[pattern], dpc_time_since(end, readers[0].start));
  return DPC_OK;
}

dpc_status dpc_bench_probe_round(dpc_bench_probe* probe, dpc_error* error) {
  sample_compute(probe);
  for (int i = 0; i < DPC_BENCH_PATTERNS; ++i) DPC_TRY(sample_read(probe, i, error));
  return DPC_OK;
}

dpc_bench_peaks dpc_bench_probe_peaks(dpc_bench_probe* probe) {
  const dpc_duration compute = dpc_samples_summarize(&probe->compute).p50;
  dpc_bench_peaks peaks = {.gflops = 2 * probe->multiply_adds / (double)compute.ns};
  for (int i = 0; i < DPC_BENCH_PATTERNS; ++i) {
    const dpc_duration read = dpc_samples_summarize(&probe->read[i]).p50;
    const double gbs = (double)probe->size / (double)read.ns;
    if (gbs <= peaks.gbs) continue;
    peaks.gbs = gbs;
    peaks.streams = streams_of[i];
  }
  return peaks;
}

void dpc_bench_probe_end(dpc_bench_probe* probe) {
  dpc_arena_unmap(&probe->memory);
}
