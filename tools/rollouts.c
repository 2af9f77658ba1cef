#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "tools/rollout.h"

// Address space of one thread's work area; only what is touched takes memory.
static const size_t WORK_SIZE = (size_t)1 << 30;

enum { THREADS_MAX = 1024 };

// One episode, from its run to its visit.
typedef struct slot {
  bool finished;
  dpc_status status;
  dpc_error error;
  dpc_episode episode;  // when recorded
} slot;

// What the threads share; all of it under the mutex, but for a slot's contents until it is finished.
typedef struct shared {
  const dpc_rollouts_def* def;
  dpc_rollout_result* results;
  slot* slots;  // [count]
  pthread_mutex_t mutex;
  int next_run, next_visit;
  bool ended;         // by a failure
  dpc_status status;  // of the run
  dpc_error error;
} shared;

typedef struct worker {
  shared* all;
  dpc_arena arena;
  dpc_rollout* rollout;
  pthread_t thread;
  bool started;
} worker;

// --- a worker --------------------------------------------------------------------------------------

static dpc_status visit_slot(shared* s, int i) {
  slot* at = &s->slots[i];
  if (at->status != DPC_OK) {
    s->error = at->error;
    return dpc_fail_prefix(&s->error, at->status, "seed %u: ", s->def->first_seed + (uint32_t)i);
  }
  if (s->def->visit == NULL) return DPC_OK;
  const dpc_episode* episode = s->def->record ? &at->episode : NULL;
  return s->def->visit(s->def->user, &s->results[i], episode, &s->error);
}

// Visit what is finished, in order, as far as there is no gap. With the mutex held.
static void visit_finished(shared* s) {
  while (!s->ended && s->next_visit < s->def->count && s->slots[s->next_visit].finished) {
    const int i = s->next_visit++;
    s->status = visit_slot(s, i);
    s->ended = s->status != DPC_OK;
    dpc_episode_free(&s->slots[i].episode);
  }
}

// The next episode to run, or -1.
static int take_next(shared* s) {
  pthread_mutex_lock(&s->mutex);
  const int i = s->ended || s->next_run == s->def->count ? -1 : s->next_run++;
  pthread_mutex_unlock(&s->mutex);
  return i;
}

static void* work(void* argument) {
  worker* w = argument;
  shared* s = w->all;
  for (int i = take_next(s); i >= 0; i = take_next(s)) {
    slot* at = &s->slots[i];
    dpc_episode* episode = s->def->record ? &at->episode : NULL;
    at->status = dpc_rollout_run(w->rollout, s->def->first_seed + (uint32_t)i, episode,
                                 &s->results[i], &at->error);
    pthread_mutex_lock(&s->mutex);
    at->finished = true;
    visit_finished(s);
    pthread_mutex_unlock(&s->mutex);
  }
  return NULL;
}

// --- all of them -----------------------------------------------------------------------------------

static int processor_count(void) {
  cpu_set_t allowed;
  return sched_getaffinity(0, sizeof allowed, &allowed) == 0 ? CPU_COUNT(&allowed) : 1;
}

static int thread_count(const dpc_rollouts_def* def) {
  const int wanted = def->threads > 0 ? def->threads : processor_count();
  const int useful = wanted < def->count ? wanted : def->count;
  return useful < THREADS_MAX ? useful : THREADS_MAX;
}

static dpc_status make_worker(worker* w, const dpc_policy* policy, dpc_error* error) {
  DPC_TRY(dpc_arena_map(&w->arena, WORK_SIZE, error));
  return dpc_rollout_create(&w->all->def->rollout, policy, &w->arena, &w->rollout, error);
}

// The calling thread is the first worker.
static void run_workers(worker* workers, int count) {
  for (int i = 1; i < count; ++i) {
    // a thread that cannot be had leaves its share to the others
    workers[i].started = pthread_create(&workers[i].thread, NULL, work, &workers[i]) == 0;
  }
  work(&workers[0]);
  for (int i = 1; i < count; ++i) {
    if (workers[i].started) pthread_join(workers[i].thread, NULL);
  }
}

static dpc_status make_and_run(shared* s, worker* workers, int count, const dpc_policy* policy,
                               dpc_error* error) {
  DPC_ASSERT(count >= 1);
  for (int i = 0; i < count; ++i) {
    workers[i].all = s;
    DPC_TRY(make_worker(&workers[i], policy, error));
  }
  run_workers(workers, count);
  if (s->status != DPC_OK && error != NULL) *error = s->error;
  return s->status;
}

dpc_status dpc_rollouts_run(const dpc_rollouts_def* def, const dpc_policy* policy,
                            dpc_rollout_result* results, dpc_error* error) {
  DPC_ASSERT(def->count >= 1 && def->threads >= 0);
  DPC_ASSERT((uint64_t)def->first_seed + (uint64_t)def->count <= (uint64_t)1 << 32);
  const int threads = thread_count(def);
  shared s = {.def = def, .results = results, .mutex = PTHREAD_MUTEX_INITIALIZER};
  worker* workers = calloc((size_t)threads, sizeof *workers);
  s.slots = calloc((size_t)def->count, sizeof *s.slots);
  dpc_status status = DPC_OK;
  if (workers == NULL || s.slots == NULL) {
    status = dpc_fail(error, DPC_ERR_NO_MEMORY, "no memory for %d episodes", def->count);
  } else {
    status = make_and_run(&s, workers, threads, policy, error);
    for (int i = 0; i < threads; ++i) {
      dpc_rollout_destroy(workers[i].rollout);
      dpc_arena_unmap(&workers[i].arena);
    }
    for (int i = 0; i < def->count; ++i) dpc_episode_free(&s.slots[i].episode);
  }
  free(workers);
  free(s.slots);
  pthread_mutex_destroy(&s.mutex);
  return status;
}
