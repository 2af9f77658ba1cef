#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "tools/rollout.h"

// Address space of one thread's work area; only what is touched takes memory.
static const size_t WORK_SIZE = (size_t)1 << 30;

enum {
  THREADS_MAX = 1024,
  FLIGHTS_MAX = 16,  // of one thread; more gain little, and the first results come later
  NONE = -1
};

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
  int threads;
  pthread_mutex_t mutex;
  int next_run, next_visit;
  int unfinished;     // episodes, begun or not
  bool ended;         // by a failure or an interruption
  dpc_status status;  // of the run
  dpc_error error;
} shared;

// An episode in flight, or a place for one.
typedef struct flight {
  dpc_rollout* rollout;
  int index;  // of its slot
} flight;

// A thread with its episodes, which take turns, and the planner that plans for all of them.
typedef struct worker {
  shared* all;
  dpc_arena arena;
  dpc_planner* planner;
  int flights_max, flying;
  flight flights[FLIGHTS_MAX];             // the first `flying` are in flight, and want a plan
  dpc_plan_request requests[FLIGHTS_MAX];  // of these
  dpc_plan plans[FLIGHTS_MAX];             // and the answers
  pthread_t thread;
  bool started;
} worker;

dpc_rollout_def dpc_rollout_def_default(const dpc_checkpoint_info* info) {
  dpc_rollout_def def = {.sampler = info->sampler, .controller = dpc_controller_def_default()};
  def.controller.delay = 0;
  def.controller.action_min = 0;
  def.controller.action_max = DPC_PUSH_SIZE;
  return def;
}

// --- what the threads share ------------------------------------------------------------------------

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

static int share_of(int episodes, int threads) {
  return (episodes + threads - 1) / threads;
}

// The next episode for a thread with `flying` in flight, or NONE: no thread takes more than its share
// of what is left to do, so that at the end none stands idle while another has many to finish.
static int take_next(shared* s, int flying) {
  pthread_mutex_lock(&s->mutex);
  const bool any = !s->ended && s->next_run < s->def->count;
  const int i = any && flying < share_of(s->unfinished, s->threads) ? s->next_run++ : NONE;
  pthread_mutex_unlock(&s->mutex);
  return i;
}

static void finish(shared* s, int i) {
  pthread_mutex_lock(&s->mutex);
  s->slots[i].finished = true;
  s->unfinished -= 1;
  visit_finished(s);
  pthread_mutex_unlock(&s->mutex);
}

static bool goes_on(shared* s) {
  pthread_mutex_lock(&s->mutex);
  if (!s->ended && s->def->interrupted != NULL && s->def->interrupted()) {
    s->ended = true;
    s->status = dpc_fail(&s->error, DPC_ERR_INTERRUPTED, "interrupted after %d of %d episodes",
                         s->next_visit, s->def->count);
  }
  const bool ended = s->ended;
  pthread_mutex_unlock(&s->mutex);
  return !ended;
}

// --- a worker --------------------------------------------------------------------------------------

// After a flight was begun or advanced: when it is over, the last one takes its place.
static void settle(worker* w, int at, dpc_status status) {
  const flight f = w->flights[at];
  if (status == DPC_OK && dpc_rollout_request(f.rollout) != NULL) return;
  if (status == DPC_OK) dpc_rollout_outcome(f.rollout, &w->all->results[f.index]);
  w->all->slots[f.index].status = status;
  finish(w->all, f.index);
  w->flying -= 1;
  w->flights[at] = w->flights[w->flying];
  w->flights[w->flying] = f;
}

static void begin_flights(worker* w) {
  const dpc_rollouts_def* def = w->all->def;
  while (w->flying < w->flights_max) {
    const int i = take_next(w->all, w->flying);
    if (i == NONE) return;
    slot* at = &w->all->slots[i];
    flight* f = &w->flights[w->flying++];
    f->index = i;
    settle(w, w->flying - 1,
           dpc_rollout_begin(f->rollout, def->first_seed + (uint32_t)i,
                             def->record ? &at->episode : NULL, &at->error));
  }
}

// All flights want a plan.
static void plan_together(worker* w) {
  for (int i = 0; i < w->flying; ++i) {
    w->requests[i] = *dpc_rollout_request(w->flights[i].rollout);
  }
  dpc_planner_make_together(w->planner, w->flying, w->requests, w->plans);
}

// From the last to the first: one that is over is replaced by one that has been advanced.
static void advance_flights(worker* w) {
  for (int i = w->flying - 1; i >= 0; --i) {
    const flight* f = &w->flights[i];
    settle(w, i, dpc_rollout_advance(f->rollout, &w->plans[i], &w->all->slots[f->index].error));
  }
}

static void* work(void* argument) {
  worker* w = argument;
  for (begin_flights(w); w->flying > 0 && goes_on(w->all); begin_flights(w)) {
    plan_together(w);
    advance_flights(w);
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

static dpc_status make_worker(worker* w, shared* s, const dpc_policy* policy, dpc_error* error) {
  const dpc_rollout_def* def = &s->def->rollout;
  const int share = share_of(s->def->count, s->threads);
  w->all = s;
  w->flights_max = share < FLIGHTS_MAX ? share : FLIGHTS_MAX;
  DPC_TRY(dpc_arena_map(&w->arena, WORK_SIZE, error));
  for (int i = 0; i < w->flights_max; ++i) {
    DPC_TRY(dpc_rollout_create(&def->controller, dpc_policy_info(policy), &w->arena,
                               &w->flights[i].rollout, error));
  }
  DPC_TRY(dpc_planner_create(policy, &def->sampler, w->flights_max, &w->arena, &w->planner, error));
  const bool guided = def->controller.switching == DPC_SWITCHING_GUIDED;
  return guided ? dpc_planner_guide(w->planner, &w->arena, error) : DPC_OK;
}

static void free_worker(worker* w) {
  for (int i = 0; i < w->flights_max; ++i) dpc_rollout_destroy(w->flights[i].rollout);
  dpc_planner_destroy(w->planner);
  dpc_arena_unmap(&w->arena);
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

static dpc_status make_and_run(shared* s, worker* workers, const dpc_policy* policy,
                               dpc_error* error) {
  DPC_ASSERT(s->threads >= 1);
  for (int i = 0; i < s->threads; ++i) DPC_TRY(make_worker(&workers[i], s, policy, error));
  run_workers(workers, s->threads);
  if (s->status != DPC_OK && error != NULL) *error = s->error;
  return s->status;
}

dpc_status dpc_rollouts_check(const dpc_rollout_def* def, const dpc_policy* policy,
                              dpc_error* error) {
  const dpc_rollouts_def one = {.rollout = *def, .count = 1};
  shared s = {.def = &one, .threads = 1};
  worker w = {0};
  const dpc_status status = make_worker(&w, &s, policy, error);
  free_worker(&w);
  return status;
}

dpc_status dpc_rollouts_run(const dpc_rollouts_def* def, const dpc_policy* policy,
                            dpc_rollout_result* results, dpc_error* error) {
  DPC_ASSERT(def->count >= 1 && def->threads >= 0);
  DPC_ASSERT((uint64_t)def->first_seed + (uint64_t)def->count <= (uint64_t)1 << 32);
  shared s = {.def = def,
              .results = results,
              .threads = thread_count(def),
              .unfinished = def->count,
              .mutex = PTHREAD_MUTEX_INITIALIZER};
  worker* workers = calloc((size_t)s.threads, sizeof *workers);
  s.slots = calloc((size_t)def->count, sizeof *s.slots);
  dpc_status status = DPC_OK;
  if (workers == NULL || s.slots == NULL) {
    status = dpc_fail(error, DPC_ERR_NO_MEMORY, "no memory for %d episodes", def->count);
  } else {
    status = make_and_run(&s, workers, policy, error);
    for (int i = 0; i < s.threads; ++i) free_worker(&workers[i]);
    for (int i = 0; i < def->count; ++i) dpc_episode_free(&s.slots[i].episode);
  }
  free(workers);
  free(s.slots);
  pthread_mutex_destroy(&s.mutex);
  return status;
}
