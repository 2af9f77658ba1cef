// Threads that meet: everything is done once by each, and what was written before a meeting is seen
// after it.

#include "policy/team.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "tests/test.h"

enum { ROUNDS = 400, MEETINGS = 5 };

typedef struct shared {
  dpc_team* team;
  int threads;
  int written[DPC_TEAM_MAX];  // by each rank, without atomics: meetings order them
  atomic_int wrong;
  int round;
} shared;

static void write_and_read(void* context, int rank) {
  shared* s = context;
  for (int i = 0; i < MEETINGS; ++i) {
    s->written[rank] = s->round * MEETINGS + i;
    dpc_team_meet(s->team);
    for (int r = 0; r < s->threads; ++r) {
      if (s->written[r] != s->round * MEETINGS + i) atomic_fetch_add(&s->wrong, 1);
    }
    dpc_team_meet(s->team);
  }
}

static void test_meetings_order_writes(void** state) {
  (void)state;
  dpc_error error = {""};
  dpc_arena arena;
  assert_ok(dpc_arena_map(&arena, 1 << 20, &error), &error);
  for (int threads = 1; threads <= 4; ++threads) {
    shared s = {.threads = threads};
    assert_ok(dpc_team_create(threads, &arena, &s.team, &error), &error);
    for (s.round = 1; s.round <= ROUNDS / threads; ++s.round) {
      if (s.round % 100 == 1) dpc_team_wake(s.team);
      dpc_team_run(s.team, write_and_read, &s);
      if (s.round % 7 == 0) dpc_team_rest(s.team);  // and run wakes them
    }
    dpc_team_destroy(s.team);
    assert_int_equal(atomic_load(&s.wrong), 0);
    for (int r = 0; r < threads; ++r) {
      assert_int_equal(s.written[r], ROUNDS / threads * MEETINGS + MEETINGS - 1);
    }
  }
  dpc_arena_unmap(&arena);
}

// Asleep or awake, with and without work done: a team ends.
static void test_a_team_can_always_be_destroyed(void** state) {
  (void)state;
  dpc_error error = {""};
  dpc_arena arena;
  assert_ok(dpc_arena_map(&arena, 64 << 20, &error), &error);
  for (int i = 0; i < 100; ++i) {
    dpc_team* team = NULL;
    assert_ok(dpc_team_create(1 + i % 4, &arena, &team, &error), &error);
    if (i % 3 == 1) dpc_team_wake(team);
    if (i % 5 == 1) dpc_team_rest(team);
    dpc_team_destroy(team);
  }
  dpc_team_destroy(NULL);
  dpc_team* team = NULL;
  dpc_arena small = {0};
  assert_fails(dpc_team_create(2, &small, &team, &error), DPC_ERR_NO_MEMORY, &error, "a team");
  assert_null(team);
  dpc_arena_unmap(&arena);
}

static void note_policy(void* context, int rank) {
  ((int*)context)[rank] = sched_getscheduler(0);
}

// With policies that need no privilege.
static void test_threads_are_scheduled_as_their_leader(void** state) {
  (void)state;
  static const int policies[] = {SCHED_BATCH, SCHED_OTHER};
  const struct sched_param none = {0};
  dpc_error error = {""};
  dpc_arena arena;
  dpc_team* team = NULL;
  assert_ok(dpc_arena_map(&arena, 1 << 20, &error), &error);
  assert_ok(dpc_team_create(3, &arena, &team, &error), &error);
  for (int i = 0; i < 2; ++i) {
    int found[3] = {-1, -1, -1};
    assert_int_equal(pthread_setschedparam(pthread_self(), policies[i], &none), 0);
    dpc_team_run(team, note_policy, found);
    dpc_team_rest(team);
    for (int rank = 0; rank < 3; ++rank) assert_int_equal(found[rank], policies[i]);
  }
  dpc_team_destroy(team);
  dpc_arena_unmap(&arena);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_meetings_order_writes),
      cmocka_unit_test(test_threads_are_scheduled_as_their_leader),
      cmocka_unit_test(test_a_team_can_always_be_destroyed),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
