#include "policy/arena.h"

#include "tests/test.h"

enum { SIZE = 4096 };
static char block[SIZE + DPC_ARENA_ALIGN];

static void test_what_is_taken_is_zero_and_aligned(void** state) {
  (void)state;
  dpc_arena arena;
  memset(block, 0x5A, sizeof block);
  dpc_arena_init(&arena, block + 1, SIZE);
  for (size_t size = 1; size < 200; size += 33) {
    const char* taken = dpc_arena_take(&arena, size);
    assert_non_null(taken);
    assert_int_equal((uintptr_t)taken % DPC_ARENA_ALIGN, 0);
    for (size_t i = 0; i < size; ++i) assert_int_equal(taken[i], 0);
  }
}

static void test_full_is_an_error_and_release_makes_room(void** state) {
  (void)state;
  dpc_error error = {""};
  dpc_arena arena;
  dpc_arena_init(&arena, block, SIZE);
  const size_t mark = dpc_arena_mark(&arena);
  assert_non_null(dpc_arena_take(&arena, arena.size - DPC_ARENA_ALIGN));
  const size_t peak = arena.peak;
  assert_null(dpc_arena_take(&arena, 2 * DPC_ARENA_ALIGN));
  assert_null(dpc_arena_take(&arena, SIZE_MAX));
  assert_fails(dpc_arena_full(&arena, "a whale", &error), DPC_ERR_NO_MEMORY, &error, "a whale");
  dpc_arena_release(&arena, mark);
  assert_int_equal(arena.peak, peak);
  assert_non_null(dpc_arena_take(&arena, 2 * DPC_ARENA_ALIGN));
}

// What was taken stays, there is room for the spare bytes, and the rest is gone.
static void test_trim_gives_back_what_nobody_wants(void** state) {
  (void)state;
  const size_t whole = (size_t)1 << 30, spare = (size_t)1 << 20, page = (size_t)2 << 20;
  dpc_error error = {""};
  dpc_arena arena;
  assert_ok(dpc_arena_map(&arena, whole, &error), &error);
  char* taken = dpc_arena_take(&arena, 3 * spare);
  memset(taken, 7, 3 * spare);
  dpc_arena_trim(&arena, spare);
  assert_true(arena.size >= arena.used + spare && arena.size <= arena.used + spare + page);
  assert_non_null(dpc_arena_take(&arena, spare));
  for (size_t i = 0; i < 3 * spare; i += 4096) assert_int_equal(taken[i], 7);
  const size_t size = arena.size;
  dpc_arena_trim(&arena, whole);  // there is not as much: nothing
  assert_int_equal(arena.size, size);
  dpc_arena_unmap(&arena);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_what_is_taken_is_zero_and_aligned),
      cmocka_unit_test(test_full_is_an_error_and_release_makes_room),
      cmocka_unit_test(test_trim_gives_back_what_nobody_wants),
  };
  return cmocka_run_group_tests_name("arena", tests, NULL, NULL);
}
