#include "policy/team.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

typedef struct member {
  dpc_team* team;
  pthread_t thread;
  int rank;
} member;

// What one side writes and the other waits for lies on cache lines of its own.
// NOLINTNEXTLINE(clang-analyzer-optin.performance.Padding): it is what the lines are for
struct dpc_team {
  int threads, started;
  int policy, priority;          // of scheduling, what the threads have
  member members[DPC_TEAM_MAX];  // the leader's is not used
  void (*work)(void* context, int rank);
  void* context;
  pthread_mutex_t mutex;  // for sleeping
  pthread_cond_t wakes;
  _Alignas(DPC_ARENA_ALIGN) atomic_uint round;  // of work
  _Alignas(DPC_ARENA_ALIGN) atomic_uint meeting;
  _Alignas(DPC_ARENA_ALIGN) atomic_int arrived;
  _Alignas(DPC_ARENA_ALIGN) atomic_bool awake;
  atomic_bool stop;
};

// Wait a moment, but let others run when it takes longer than a part of a step does: with fewer CPUs
// than threads, the one that is waited for needs this one. Not earlier: whoever else runs here, even at
// the lowest priority, then has it for a whole turn. `waited` counts the moments, up to the end of
// patience.
static void wait_a_moment(int* waited) {
  enum { PATIENCE = 20000 };  // about 0.3 ms
  if (*waited == PATIENCE) {
    sched_yield();
    return;
  }
  ++*waited;
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

// --- the threads ---------------------------------------------------------------------------------

static void sleep_until_awake(dpc_team* team) {
  pthread_mutex_lock(&team->mutex);
  while (!atomic_load(&team->awake) && !atomic_load(&team->stop)) {
    pthread_cond_wait(&team->wakes, &team->mutex);
  }
  pthread_mutex_unlock(&team->mutex);
}

static void* serve(void* argument) {
  const member* self = argument;
  dpc_team* team = self->team;
  unsigned seen = 0;
  int waited = 0;
  while (!atomic_load_explicit(&team->stop, memory_order_relaxed)) {
    if (atomic_load_explicit(&team->round, memory_order_acquire) == seen) {
      if (atomic_load_explicit(&team->awake, memory_order_relaxed)) {
        wait_a_moment(&waited);
      } else {
        sleep_until_awake(team);
      }
      continue;
    }
    ++seen;
    waited = 0;
    team->work(team->context, self->rank);
    dpc_team_meet(team);
  }
  return NULL;
}

// The CPU with this index among those in the set, or -1.
static int cpu_at(const cpu_set_t* set, int index) {
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, set) && index-- == 0) return cpu;
  }
  return -1;
}

// A thread that cannot be pinned runs wherever it may.
static void pin(pthread_attr_t* attributes, int rank) {
  cpu_set_t allowed, own;
  if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) return;
  const int cpu = cpu_at(&allowed, rank);
  if (cpu < 0) return;
  CPU_ZERO(&own);
  CPU_SET(cpu, &own);
  pthread_attr_setaffinity_np(attributes, sizeof own, &own);
}

static int start(member* m) {
  pthread_attr_t attributes;
  const int failed = pthread_attr_init(&attributes);
  if (failed != 0) return failed;
  pin(&attributes, m->rank);
  // a thread inherits the mask of the one that starts it: signals are not for these
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  const int result = pthread_create(&m->thread, &attributes, serve, m);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  pthread_attr_destroy(&attributes);
  return result;
}

// --- the leader ----------------------------------------------------------------------------------

dpc_status dpc_team_create(int threads, dpc_arena* arena, dpc_team** out, dpc_error* error) {
  DPC_ASSERT(threads >= 1 && threads <= DPC_TEAM_MAX);
  dpc_team* team = DPC_TAKE(arena, dpc_team, 1);
  if (team == NULL) return dpc_arena_full(arena, "a team of threads", error);
  team->threads = threads;
  team->policy = -1;  // not known: whatever they inherit
  pthread_mutex_init(&team->mutex, NULL);
  pthread_cond_init(&team->wakes, NULL);
  for (int rank = 1; rank < threads; ++rank) {
    member* m = &team->members[rank];
    *m = (member){.team = team, .rank = rank};
    if (start(m) != 0) {
      dpc_team_destroy(team);
      return dpc_fail(error, DPC_ERR_NO_MEMORY, "cannot start %d threads", threads);
    }
    pthread_setname_np(m->thread, "dpc-team");
    team->started = rank;
  }
  *out = team;
  return DPC_OK;
}

void dpc_team_destroy(dpc_team* team) {
  if (team == NULL) return;
  pthread_mutex_lock(&team->mutex);
  atomic_store(&team->stop, true);
  pthread_cond_broadcast(&team->wakes);
  pthread_mutex_unlock(&team->mutex);
  for (int rank = 1; rank <= team->started; ++rank) {
    pthread_join(team->members[rank].thread, NULL);
  }
  pthread_cond_destroy(&team->wakes);
  pthread_mutex_destroy(&team->mutex);
}

// A leader with a real-time priority must not wait for threads that anybody may push aside, or that
// it keeps from its own CPU itself; and who leads may change after the threads were started. Where the
// system refuses, they stay as they are.
static void follow_leader(dpc_team* team) {
  int policy;
  struct sched_param parameters;
  if (pthread_getschedparam(pthread_self(), &policy, &parameters) != 0) return;
  if (policy == team->policy && parameters.sched_priority == team->priority) return;
  for (int rank = 1; rank < team->threads; ++rank) {
    (void)pthread_setschedparam(team->members[rank].thread, policy, &parameters);
  }
  team->policy = policy;
  team->priority = parameters.sched_priority;
}

void dpc_team_wake(dpc_team* team) {
  if (team->threads == 1 || atomic_load(&team->awake)) return;
  follow_leader(team);
  pthread_mutex_lock(&team->mutex);
  atomic_store(&team->awake, true);
  pthread_cond_broadcast(&team->wakes);
  pthread_mutex_unlock(&team->mutex);
}

void dpc_team_rest(dpc_team* team) {
  atomic_store(&team->awake, false);
}

void dpc_team_run(dpc_team* team, void (*work)(void* context, int rank), void* context) {
  dpc_team_wake(team);
  team->work = work;
  team->context = context;
  atomic_fetch_add_explicit(&team->round, 1, memory_order_release);
  work(context, 0);
  dpc_team_meet(team);
}

void dpc_team_meet(dpc_team* team) {
  if (team->threads == 1) return;
  const unsigned meeting = atomic_load_explicit(&team->meeting, memory_order_relaxed);
  if (atomic_fetch_add_explicit(&team->arrived, 1, memory_order_acq_rel) == team->threads - 1) {
    atomic_store_explicit(&team->arrived, 0, memory_order_relaxed);
    atomic_store_explicit(&team->meeting, meeting + 1, memory_order_release);
    return;
  }
  int waited = 0;
  while (atomic_load_explicit(&team->meeting, memory_order_acquire) == meeting) {
    wait_a_moment(&waited);
  }
}
