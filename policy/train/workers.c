#include "policy/train/workers.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

typedef struct worker {
  dpc_workers* workers;
  pthread_t thread;
  int index;
} worker;

struct dpc_workers {
  pthread_mutex_t mutex;
  pthread_cond_t start, done;
  int count;          // threads, the creating one included
  int started;        // threads that run and must be joined
  uint64_t round;     // number of the current run; guarded by mutex
  int busy;           // threads still at it; guarded by mutex
  bool stop;          // guarded by mutex
  dpc_work work;      // the current run's; set before its round begins
  void* context;      // likewise
  int item_count;     // likewise
  atomic_int next;    // first piece that nobody has taken
  worker threads[1];  // [count - 1], at least one
};

static void take_items(dpc_workers* workers, int thread) {
  for (;;) {
    const int item = atomic_fetch_add_explicit(&workers->next, 1, memory_order_relaxed);
    if (item >= workers->item_count) return;
    workers->work(workers->context, item, thread);
  }
}

static void* run_worker(void* argument) {
  const worker* self = argument;
  dpc_workers* workers = self->workers;
  uint64_t seen = 0;
  pthread_mutex_lock(&workers->mutex);
  for (;;) {
    while (workers->round == seen && !workers->stop) {
      pthread_cond_wait(&workers->start, &workers->mutex);
    }
    if (workers->stop) break;
    seen = workers->round;
    pthread_mutex_unlock(&workers->mutex);
    take_items(workers, self->index);
    pthread_mutex_lock(&workers->mutex);
    if (--workers->busy == 0) pthread_cond_signal(&workers->done);
  }
  pthread_mutex_unlock(&workers->mutex);
  return NULL;
}

static int usable_cpus(void) {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
  return CPU_COUNT(&set);
}

dpc_status dpc_workers_create(int threads, dpc_arena* arena, dpc_workers** out, dpc_error* error) {
  if (threads <= 0) threads = usable_cpus();
  const size_t size = sizeof(dpc_workers) + sizeof(worker) * (size_t)threads;
  dpc_workers* workers = dpc_arena_take(arena, size);
  if (workers == NULL) return dpc_arena_full(arena, "the worker threads", error);
  workers->count = threads;
  pthread_mutex_init(&workers->mutex, NULL);
  pthread_cond_init(&workers->start, NULL);
  pthread_cond_init(&workers->done, NULL);
  for (int i = 0; i < threads - 1; ++i) {
    worker* self = &workers->threads[i];
    *self = (worker){.workers = workers, .index = i + 1};
    if (pthread_create(&self->thread, NULL, run_worker, self) != 0) {
      dpc_workers_destroy(workers);
      return dpc_fail(error, DPC_ERR_NO_MEMORY, "cannot start %d threads", threads);
    }
    workers->started = i + 1;
  }
  *out = workers;
  return DPC_OK;
}

void dpc_workers_destroy(dpc_workers* workers) {
  if (workers == NULL) return;
  pthread_mutex_lock(&workers->mutex);
  workers->stop = true;
  pthread_cond_broadcast(&workers->start);
  pthread_mutex_unlock(&workers->mutex);
  for (int i = 0; i < workers->started; ++i) pthread_join(workers->threads[i].thread, NULL);
  pthread_cond_destroy(&workers->done);
  pthread_cond_destroy(&workers->start);
  pthread_mutex_destroy(&workers->mutex);
}

int dpc_workers_count(const dpc_workers* workers) {
  return workers->count;
}

void dpc_workers_run(dpc_workers* workers, dpc_work work, void* context, int count) {
  pthread_mutex_lock(&workers->mutex);
  workers->work = work;
  workers->context = context;
  workers->item_count = count;
  atomic_store_explicit(&workers->next, 0, memory_order_relaxed);
  workers->busy = workers->started;
  ++workers->round;
  pthread_cond_broadcast(&workers->start);
  pthread_mutex_unlock(&workers->mutex);

  take_items(workers, 0);

  pthread_mutex_lock(&workers->mutex);
  while (workers->busy > 0) pthread_cond_wait(&workers->done, &workers->mutex);
  pthread_mutex_unlock(&workers->mutex);
}
