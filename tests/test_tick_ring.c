// The ring of ticks: what was put comes out whole and in order, and what does not fit is counted.

#include "runtime/tick_ring.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include "runtime/rt.h"
#include "tests/test.h"

enum { CAPACITY = 16, TICKS = 100000 };

static const dpc_tick_dims dims = {.obs = 5, .chunk = 12, .action = 3};
static char block[64 * 1024];
static dpc_arena arena;

static dpc_tick_ring* make_ring(int wake_fd) {
  dpc_error error = {""};
  dpc_tick_ring* ring = NULL;
  dpc_arena_init(&arena, block, sizeof block);
  assert_ok(dpc_tick_ring_create(&dims, CAPACITY, wake_fd, &arena, &ring, &error), &error);
  return ring;
}

// Everything in tick n is made of n: one that is torn shows.
static void put(dpc_tick_ring* ring, uint64_t n) {
  float obs[5], chunk[12], action[3];
  for (int i = 0; i < dims.obs; ++i) obs[i] = (float)n;
  for (int i = 0; i < dims.chunk; ++i) chunk[i] = (float)n;
  for (int i = 0; i < dims.action; ++i) action[i] = (float)n;
  const dpc_tick_times times = {{(int64_t)n}, {(int64_t)n}, {(int64_t)n}, {(int64_t)n}};
  const dpc_tick_input input = {.tick = n, .epoch = n, .obs = n % 7 == 0 ? NULL : obs};
  const dpc_plan plan = {.tick = n, .failed = n % 6 == 0, .chunk = chunk};
  const dpc_tick_output output = {.row = (int)n, .action = n % 7 == 0 ? NULL : action};
  dpc_tick_ring_put(ring, &times, &input, n % 3 == 0 ? &plan : NULL, &output);
}

static void check_values(const float* values, int count, bool there, int dim, uint64_t n) {
  assert_int_equal(values != NULL, there);
  assert_int_equal(count, there ? dim : 0);
  for (int i = 0; i < count; ++i) assert_true(values[i] == (float)n);
}

static void check(const dpc_tick_record* record, uint64_t n) {
  assert_int_equal(record->input.tick, n);
  assert_int_equal(record->input.epoch, n);
  assert_int_equal(record->times.received.ns, n);
  assert_int_equal(record->times.done.ns, n);
  assert_int_equal(record->output.row, n);
  assert_int_equal(record->answered, n % 3 == 0);
  assert_int_equal(record->plan.tick, n % 3 == 0 ? n : 0);
  check_values(record->input.obs, record->obs_count, n % 7 != 0, dims.obs, n);
  check_values(record->plan.chunk, record->chunk_count, n % 3 == 0 && n % 6 != 0, dims.chunk, n);
  check_values(record->output.action, record->action_count, n % 7 != 0, dims.action, n);
}

static void gives_back_what_was_put(void** state) {
  (void)state;
  dpc_tick_ring* ring = make_ring(-1);
  assert_null(dpc_tick_ring_first(ring));
  for (uint64_t n = 0; n < (uint64_t)5 * CAPACITY; ++n) {
    put(ring, n);
    check(dpc_tick_ring_first(ring), n);
    dpc_tick_ring_pop(ring);
    assert_null(dpc_tick_ring_first(ring));
  }
  assert_int_equal(dpc_tick_ring_count(ring), 5 * CAPACITY);
  assert_int_equal(dpc_tick_ring_dropped(ring), 0);
}

// The newest are dropped, what is there stays, and the sequence says how many are missing.
static void a_full_ring_drops_and_counts(void** state) {
  (void)state;
  dpc_tick_ring* ring = make_ring(-1);
  for (uint64_t n = 0; n < CAPACITY + 10; ++n) put(ring, n);
  assert_int_equal(dpc_tick_ring_dropped(ring), 10);
  for (uint64_t n = 0; n < CAPACITY; ++n) {
    const dpc_tick_record* record = dpc_tick_ring_first(ring);
    check(record, n);
    assert_int_equal(record->sequence, n);
    dpc_tick_ring_pop(ring);
  }
  put(ring, 500);
  assert_int_equal(dpc_tick_ring_first(ring)->sequence, CAPACITY + 10);
  assert_int_equal(dpc_tick_ring_count(ring), CAPACITY + 11);
}

static void a_copy_has_its_own_values(void** state) {
  (void)state;
  dpc_tick_ring* ring = make_ring(-1);
  dpc_tick_record* copy = dpc_arena_take(&arena, dpc_tick_record_size(&dims));
  put(ring, 3);
  dpc_tick_record_copy(&dims, dpc_tick_ring_first(ring), copy);
  dpc_tick_ring_pop(ring);
  for (uint64_t n = 4; n < 4 + CAPACITY; ++n) put(ring, n);
  check(copy, 3);
}

static void half_full_wakes(void** state) {
  (void)state;
  const int fd = eventfd(0, EFD_NONBLOCK);
  dpc_tick_ring* ring = make_ring(fd);
  uint64_t times = 0;
  for (uint64_t n = 0; n < CAPACITY / 2 - 1; ++n) put(ring, n);
  assert_int_equal(read(fd, &times, sizeof times), -1);
  for (uint64_t n = 0; n < CAPACITY; ++n) put(ring, n);
  assert_int_equal(read(fd, &times, sizeof times), sizeof times);
  assert_int_equal(times, 1);
  close(fd);
}

static void an_arena_that_is_too_small(void** state) {
  (void)state;
  dpc_error error = {""};
  dpc_tick_ring* ring = NULL;
  dpc_arena_init(&arena, block, sizeof block);
  assert_fails(dpc_tick_ring_create(&dims, 100000, -1, &arena, &ring, &error), DPC_ERR_NO_MEMORY,
               &error, "the recorder's ring");
  assert_int_equal(dpc_arena_mark(&arena), 0);
}

static void write_ticks(void* context) {
  for (uint64_t n = 0; n < TICKS; ++n) put(context, n);
}

// Every record is whole and in its place, or was dropped and counted.
static void two_threads(void** state) {
  (void)state;
  dpc_error error = {""};
  dpc_tick_ring* ring = make_ring(-1);
  dpc_thread thread = {0};
  const dpc_thread_def def = {.name = "writer"};
  assert_ok(dpc_thread_start(&thread, &def, write_ticks, ring, &error), &error);
  uint64_t read = 0, next = 0;
  while (dpc_tick_ring_count(ring) < TICKS || dpc_tick_ring_first(ring) != NULL) {
    const dpc_tick_record* record = dpc_tick_ring_first(ring);
    if (record == NULL) continue;
    assert_true(record->sequence >= next);
    check(record, record->sequence);
    next = record->sequence + 1;
    dpc_tick_ring_pop(ring);
    ++read;
  }
  dpc_thread_join(&thread);
  assert_int_equal(read + dpc_tick_ring_dropped(ring), TICKS);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(gives_back_what_was_put),    cmocka_unit_test(a_full_ring_drops_and_counts),
      cmocka_unit_test(a_copy_has_its_own_values),  cmocka_unit_test(half_full_wakes),
      cmocka_unit_test(an_arena_that_is_too_small), cmocka_unit_test(two_threads),
  };
  return cmocka_run_group_tests_name("tick ring", tests, NULL, NULL);
}
