#include "runtime/mailbox.h"

#include <poll.h>
#include <stdatomic.h>

#include "runtime/rt.h"
#include "tests/test.h"

enum { WORDS = 64, VALUES = 200000 };

static char block[64 * 1024];
static dpc_arena arena;

static dpc_mailbox* make_box(size_t size, bool wake) {
  dpc_error error = {""};
  dpc_mailbox* box = NULL;
  dpc_arena_init(&arena, block, sizeof block);
  assert_ok(dpc_mailbox_create(size, wake, &arena, &box, &error), &error);
  return box;
}

static bool put(dpc_mailbox* box, int value) {
  *(int*)dpc_mailbox_slot(box) = value;
  return dpc_mailbox_publish(box);
}

static void test_newest_value_once(void** state) {
  (void)state;
  dpc_mailbox* box = make_box(sizeof(int), false);
  assert_null(dpc_mailbox_take(box));
  assert_false(put(box, 1));
  assert_int_equal(*(const int*)dpc_mailbox_take(box), 1);
  assert_null(dpc_mailbox_take(box));
  assert_false(put(box, 2));
  assert_true(put(box, 3));  // in the place of 2
  assert_true(put(box, 4));
  const int* newest = dpc_mailbox_take(box);
  assert_int_equal(*newest, 4);
  // what the reader holds stays, whatever is written meanwhile
  for (int i = 5; i < 20; ++i) put(box, i);
  assert_int_equal(*newest, 4);
  assert_int_equal(*(const int*)dpc_mailbox_take(box), 19);
}

static void test_full_arena(void** state) {
  (void)state;
  dpc_error error = {""};
  dpc_mailbox* box = NULL;
  dpc_arena_init(&arena, block, 4096);
  assert_fails(dpc_mailbox_create(4000, true, &arena, &box, &error), DPC_ERR_NO_MEMORY, &error,
               "mailbox");
  assert_null(box);
  assert_int_equal(arena.used, 0);
}

static bool readable(dpc_mailbox* box) {
  struct pollfd watched = {.fd = dpc_mailbox_fd(box), .events = POLLIN};
  return poll(&watched, 1, 0) == 1;
}

static void test_wakes_the_reader(void** state) {
  (void)state;
  dpc_mailbox* box = make_box(sizeof(int), true);
  assert_false(dpc_mailbox_wait(box, (dpc_duration){1000}));
  put(box, 7);
  assert_true(readable(box));
  assert_true(dpc_mailbox_wait(box, (dpc_duration){-1}));
  assert_false(readable(box));
  assert_int_equal(*(const int*)dpc_mailbox_take(box), 7);
  dpc_mailbox_wake(box);
  assert_true(dpc_mailbox_wait(box, (dpc_duration){-1}));
  assert_null(dpc_mailbox_take(box));
  put(box, 8);
  dpc_mailbox_quiet(box);
  assert_false(readable(box));
  assert_non_null(dpc_mailbox_take(box));
  dpc_mailbox_destroy(box);
  dpc_mailbox_destroy(NULL);
}

// --- two threads ----------------------------------------------------------------------------------

// Every word of a value holds its number: one that is torn shows.
static void write_values(void* context) {
  dpc_mailbox* box = context;
  for (uint32_t n = 1; n <= VALUES; ++n) {
    uint32_t* slot = dpc_mailbox_slot(box);
    for (int i = 0; i < WORDS; ++i) slot[i] = n;
    dpc_mailbox_publish(box);
  }
}

static void read_until_the_last(dpc_mailbox* box, bool wait) {
  uint32_t last = 0;
  while (last < VALUES) {
    if (wait) dpc_mailbox_wait(box, (dpc_duration){-1});
    const uint32_t* value = dpc_mailbox_take(box);
    if (value == NULL) continue;
    assert_true(value[0] > last);
    last = value[0];
    for (int i = 1; i < WORDS; ++i) assert_int_equal(value[i], last);
  }
}

static void check_two_threads(bool wake) {
  dpc_error error = {""};
  dpc_mailbox* box = make_box(sizeof(uint32_t) * WORDS, wake);
  dpc_thread thread = {0};
  const dpc_thread_def def = {.name = "writer"};
  assert_ok(dpc_thread_start(&thread, &def, write_values, box, &error), &error);
  read_until_the_last(box, wake);
  dpc_thread_join(&thread);
  dpc_mailbox_destroy(box);
}

static void test_two_threads_polling(void** state) {
  (void)state;
  check_two_threads(false);
}

// The last value always wakes: else this would hang.
static void test_two_threads_waiting(void** state) {
  (void)state;
  check_two_threads(true);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_newest_value_once),   cmocka_unit_test(test_full_arena),
      cmocka_unit_test(test_wakes_the_reader),    cmocka_unit_test(test_two_threads_polling),
      cmocka_unit_test(test_two_threads_waiting),
  };
  return cmocka_run_group_tests_name("mailbox", tests, NULL, NULL);
}
