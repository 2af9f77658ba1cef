#include "runtime/tick_ring.h"

#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

// Each side's own members have a cache line to themselves. Indices only ever rise.
// NOLINTNEXTLINE(clang-analyzer-optin.performance.Padding)
struct dpc_tick_ring {
  dpc_tick_dims dims;
  uint64_t capacity;
  size_t size;  // of a record
  char* slots;  // [capacity][size]
  int wake_fd;
  _Alignas(DPC_ARENA_ALIGN) _Atomic uint64_t written;  // records; the writer's
  _Atomic uint64_t dropped;                            //
  _Alignas(DPC_ARENA_ALIGN) _Atomic uint64_t read;     // the reader's
};

// --- records -------------------------------------------------------------------------------------

size_t dpc_tick_record_size(const dpc_tick_dims* dims) {
  const size_t values = (size_t)dims->obs + (size_t)dims->chunk + (size_t)dims->action;
  const size_t size = sizeof(dpc_tick_record) + sizeof(float) * values;
  return (size + DPC_ARENA_ALIGN - 1) & ~(size_t)(DPC_ARENA_ALIGN - 1);
}

// Copy values behind a record; the pointer that leads there, NULL when there are none.
static const float* keep(float* at, const float* values, int count) {
  if (values == NULL || count == 0) return NULL;
  memcpy(at, values, sizeof(float) * (size_t)count);
  return at;
}

// The structs are there and point elsewhere: bring what they point to behind the record. This and the
// list in runtime/tick_message.c are all that knows which of their members are pointers.
static void take_values(const dpc_tick_dims* dims, dpc_tick_record* record) {
  float* const values = (float*)(record + 1);
  const bool chunk = record->answered && !record->plan.failed;
  record->input.obs = keep(values, record->input.obs, dims->obs);
  record->plan.chunk = chunk ? keep(values + dims->obs, record->plan.chunk, dims->chunk) : NULL;
  record->output.action =
      keep(values + dims->obs + dims->chunk, record->output.action, dims->action);
  record->obs_count = record->input.obs != NULL ? dims->obs : 0;
  record->chunk_count = record->plan.chunk != NULL ? dims->chunk : 0;
  record->action_count = record->output.action != NULL ? dims->action : 0;
}

void dpc_tick_record_copy(const dpc_tick_dims* dims, const dpc_tick_record* from,
                          dpc_tick_record* to) {
  *to = *from;
  take_values(dims, to);
}

// --- the ring ------------------------------------------------------------------------------------

dpc_status dpc_tick_ring_create(const dpc_tick_dims* dims, int capacity, int wake_fd,
                                dpc_arena* arena, dpc_tick_ring** out, dpc_error* error) {
  DPC_ASSERT(capacity > 0);
  const size_t mark = dpc_arena_mark(arena);
  const size_t size = dpc_tick_record_size(dims);
  dpc_tick_ring* ring = DPC_TAKE(arena, dpc_tick_ring, 1);
  char* slots = ring == NULL ? NULL : dpc_arena_take(arena, size * (size_t)capacity);
  if (slots == NULL) {
    dpc_arena_release(arena, mark);
    return dpc_arena_full(arena, "the recorder's ring", error);
  }
  ring->dims = *dims;
  ring->capacity = (uint64_t)capacity;
  ring->size = size;
  ring->slots = slots;
  ring->wake_fd = wake_fd;
  atomic_init(&ring->written, 0);
  atomic_init(&ring->dropped, 0);
  atomic_init(&ring->read, 0);
  *out = ring;
  return DPC_OK;
}

static dpc_tick_record* slot(const dpc_tick_ring* ring, uint64_t index) {
  return (dpc_tick_record*)(void*)(ring->slots + (size_t)(index % ring->capacity) * ring->size);
}

static void wake(const dpc_tick_ring* ring) {
  const uint64_t one = 1;
  // Fails only when the counter is full, and then the fd is readable anyway.
  const ssize_t written = write(ring->wake_fd, &one, sizeof one);
  (void)written;
}

void dpc_tick_ring_put(dpc_tick_ring* ring, const dpc_tick_times* times,
                       const dpc_tick_input* input, const dpc_plan* ready,
                       const dpc_tick_output* output) {
  const uint64_t written = atomic_load_explicit(&ring->written, memory_order_relaxed);
  const uint64_t dropped = atomic_load_explicit(&ring->dropped, memory_order_relaxed);
  // Acquire: the reader is done with the slot that it gave back.
  const uint64_t held = written - atomic_load_explicit(&ring->read, memory_order_acquire);
  if (held == ring->capacity) {
    atomic_store_explicit(&ring->dropped, dropped + 1, memory_order_relaxed);
    return;
  }
  dpc_tick_record* record = slot(ring, written);
  record->sequence = written + dropped;
  record->times = *times;
  record->input = *input;
  record->answered = ready != NULL;
  record->plan = ready != NULL ? *ready : (dpc_plan){0};
  record->output = *output;
  take_values(&ring->dims, record);
  atomic_store_explicit(&ring->written, written + 1, memory_order_release);
  if (held + 1 == ring->capacity / 2 && ring->wake_fd >= 0) wake(ring);
}

const dpc_tick_record* dpc_tick_ring_first(dpc_tick_ring* ring) {
  const uint64_t read = atomic_load_explicit(&ring->read, memory_order_relaxed);
  if (atomic_load_explicit(&ring->written, memory_order_acquire) == read) return NULL;
  return slot(ring, read);
}

void dpc_tick_ring_pop(dpc_tick_ring* ring) {
  const uint64_t read = atomic_load_explicit(&ring->read, memory_order_relaxed);
  DPC_ASSERT(read != atomic_load_explicit(&ring->written, memory_order_relaxed));
  atomic_store_explicit(&ring->read, read + 1, memory_order_release);
}

uint64_t dpc_tick_ring_count(const dpc_tick_ring* ring) {
  return atomic_load_explicit(&ring->written, memory_order_relaxed) +
         atomic_load_explicit(&ring->dropped, memory_order_relaxed);
}

uint64_t dpc_tick_ring_dropped(const dpc_tick_ring* ring) {
  return atomic_load_explicit(&ring->dropped, memory_order_relaxed);
}
