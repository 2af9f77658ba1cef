#include "runtime/planner.h"

#include <stdatomic.h>
#include <string.h>

#include "runtime/clock.h"
#include "runtime/mailbox.h"

// What travels to the thread: a request with what it points to.
typedef struct asked {
  dpc_plan_request request;
  float values[];  // [n_obs x observation dim], then [horizon x action dim] for settled rows
} asked;

// And back.
typedef struct answer {
  dpc_plan plan;
  float chunk[];  // [horizon x action dim]
} answer;

struct dpc_planner {
  const dpc_policy* policy;
  dpc_policy_work* work;
  size_t obs_count, chunk_count;
  size_t action_dim;
  int plans_max;
  float* chunks;              // [plans_max][chunk_count], of what is made inside the tick
  dpc_policy_query* queries;  // [plans_max]
  dpc_latency latency;

  dpc_mailbox* requests;  // control thread -> planner's
  dpc_mailbox* plans;     // planner's thread -> control
  dpc_thread thread;
  atomic_bool stop;
};

static dpc_status create(dpc_planner* planner, const dpc_sampler_def* sampler, dpc_arena* arena,
                         dpc_error* error) {
  const dpc_checkpoint_info* info = dpc_policy_info(planner->policy);
  planner->obs_count = (size_t)info->policy.n_obs * (size_t)dpc_layout_dim(&info->interface.obs);
  planner->action_dim = (size_t)dpc_layout_dim(&info->interface.action);
  planner->chunk_count = (size_t)info->unet.horizon * planner->action_dim;
  const size_t plans = (size_t)planner->plans_max;
  planner->chunks = DPC_TAKE(arena, float, plans * planner->chunk_count);
  planner->queries = DPC_TAKE(arena, dpc_policy_query, plans);
  if (planner->chunks == NULL || planner->queries == NULL) {
    return dpc_arena_full(arena, "the planner", error);
  }
  // threads that share a step have this thread's setting from their start
  const unsigned before = dpc_denormals_flush();
  const dpc_status status = dpc_policy_work_create(planner->policy, sampler, planner->plans_max,
                                                   arena, &planner->work, error);
  dpc_denormals_restore(before);
  if (status != DPC_OK) return status;
  const size_t asked_size =
      sizeof(asked) + sizeof(float) * (planner->obs_count + planner->chunk_count);
  const size_t answer_size = sizeof(answer) + sizeof(float) * planner->chunk_count;
  DPC_TRY(dpc_mailbox_create(asked_size, true, arena, &planner->requests, error));
  return dpc_mailbox_create(answer_size, false, arena, &planner->plans, error);
}

dpc_status dpc_planner_create(const dpc_policy* policy, const dpc_sampler_def* sampler,
                              int plans_max, dpc_arena* arena, dpc_planner** out,
                              dpc_error* error) {
  DPC_ASSERT(plans_max >= 1);
  const size_t mark = dpc_arena_mark(arena);
  dpc_planner* planner = DPC_TAKE(arena, dpc_planner, 1);
  if (planner == NULL) return dpc_arena_full(arena, "the planner", error);
  planner->policy = policy;
  planner->plans_max = plans_max;
  atomic_init(&planner->stop, false);
  const dpc_status status = create(planner, sampler, arena, error);
  if (status != DPC_OK) {
    dpc_policy_work_destroy(planner->work);
    dpc_mailbox_destroy(planner->requests);
    dpc_arena_release(arena, mark);
    return status;
  }
  *out = planner;
  return DPC_OK;
}

dpc_status dpc_planner_guide(dpc_planner* planner, dpc_arena* arena, dpc_error* error) {
  return dpc_policy_guide(planner->policy, planner->work, arena, error);
}

void dpc_planner_destroy(dpc_planner* planner) {
  if (planner == NULL) return;
  dpc_planner_stop(planner);
  dpc_mailbox_destroy(planner->requests);
  dpc_mailbox_destroy(planner->plans);
  dpc_policy_work_destroy(planner->work);
}

// --- planning ------------------------------------------------------------------------------------

static dpc_policy_query query_of(const dpc_plan_request* request, float* chunk) {
  return (dpc_policy_query){.obs = request->obs,
                            .key = request->key,
                            .plan = request->plan,
                            .fixed_count = request->fixed_count,
                            .near_count = request->near_count,
                            .fixed = request->fixed,
                            .chunk = chunk};
}

static dpc_status act(dpc_planner* planner, int count, dpc_policy_query* queries,
                      dpc_error* error) {
  const unsigned before = dpc_denormals_flush();
  const dpc_status status =
      dpc_policy_act_together(planner->policy, planner->work, count, queries, error);
  dpc_denormals_restore(before);
  return status;
}

static dpc_plan plan_of(const dpc_plan_request* request, const dpc_policy_query* query) {
  return (dpc_plan){.tick = request->tick,
                    .epoch = request->epoch,
                    .plan = request->plan,
                    .failed = query->status != DPC_OK,
                    .chunk = query->chunk};
}

static void make(dpc_planner* planner, const dpc_plan_request* request, float* chunk,
                 dpc_plan* plan) {
  const dpc_time start = dpc_clock_now();
  dpc_policy_query query = query_of(request, chunk);
  (void)act(planner, 1, &query, NULL);  // the plan says whether it failed
  dpc_latency_record(&planner->latency, dpc_time_since(dpc_clock_now(), start));
  *plan = plan_of(request, &query);
}

void dpc_planner_make(dpc_planner* planner, const dpc_plan_request* request, dpc_plan* plan) {
  DPC_ASSERT(!planner->thread.running);
  make(planner, request, planner->chunks, plan);
}

void dpc_planner_make_together(dpc_planner* planner, int count, const dpc_plan_request* requests,
                               dpc_plan* plans) {
  DPC_ASSERT(!planner->thread.running && count >= 1 && count <= planner->plans_max);
  dpc_policy_query* queries = planner->queries;
  for (int i = 0; i < count; ++i) {
    queries[i] = query_of(&requests[i], planner->chunks + (size_t)i * planner->chunk_count);
  }
  (void)act(planner, count, queries, NULL);
  for (int i = 0; i < count; ++i) plans[i] = plan_of(&requests[i], &queries[i]);
}

// The middle of what the policy was trained on: zero after the normaliser.
static void typical_observation(const dpc_planner* planner, float* obs) {
  const dpc_normalizer* normalizer = &dpc_policy_info(planner->policy)->obs_normalizer;
  for (size_t i = 0; i < planner->obs_count; i++) {
    const size_t at = i % (size_t)normalizer->dim;
    obs[i] = -normalizer->offset[at] / normalizer->scale[at];
  }
}

typedef struct measurement {
  dpc_planner* planner;
  int runs;
  dpc_latency* taken;
  dpc_status status;
  dpc_error* error;
} measurement;

static void measure(void* context) {
  enum { WARM_UP = 2 };
  measurement* m = context;
  asked* slot = dpc_mailbox_slot(m->planner->requests);  // of the right size, not published
  typical_observation(m->planner, slot->values);
  dpc_plan_request request = {.obs = slot->values};
  for (int i = 0; i < WARM_UP + m->runs && m->status == DPC_OK; i++) {
    request.plan = (uint32_t)i;
    const dpc_time start = dpc_clock_now();
    dpc_policy_query query = query_of(&request, m->planner->chunks);
    m->status = act(m->planner, 1, &query, m->error);
    const dpc_duration took = dpc_time_since(dpc_clock_now(), start);
    if (i >= WARM_UP) dpc_latency_record(m->taken, took);
    // with a real-time priority and no pause, the kernel would take one, and it would be counted
    dpc_clock_sleep_until(dpc_time_after(dpc_clock_now(), took));
  }
}

// OpenBLAS keeps some of its blocking on the stack.
static dpc_thread_def thread_def(const char* name, const dpc_thread_place* place) {
  return (dpc_thread_def){.name = name, .stack_size = DPC_PLANNER_STACK, .place = *place};
}

dpc_status dpc_planner_measure(dpc_planner* planner, const dpc_thread_place* place, int runs,
                               dpc_latency* taken, dpc_error* error) {
  DPC_ASSERT(!planner->thread.running);
  measurement m = {.planner = planner, .runs = runs, .taken = taken, .error = error};
  const dpc_thread_def def = thread_def("dpc-measure", place);
  dpc_thread thread;
  DPC_TRY(dpc_thread_start(&thread, &def, measure, &m, error));
  dpc_thread_join(&thread);
  return m.status;
}

const dpc_latency* dpc_planner_latency(const dpc_planner* planner) {
  return &planner->latency;
}

// --- in a thread ---------------------------------------------------------------------------------

static void answer_requests(void* context) {
  dpc_planner* planner = context;
  while (!atomic_load(&planner->stop)) {
    const asked* next = dpc_mailbox_take(planner->requests);
    if (next == NULL) {
      dpc_mailbox_wait(planner->requests, (dpc_duration){-1});
      continue;
    }
    answer* slot = dpc_mailbox_slot(planner->plans);
    make(planner, &next->request, slot->chunk, &slot->plan);
    dpc_mailbox_publish(planner->plans);
  }
}

dpc_status dpc_planner_start(dpc_planner* planner, const dpc_thread_place* place,
                             dpc_error* error) {
  const dpc_thread_def def = thread_def("dpc-planner", place);
  atomic_store(&planner->stop, false);
  return dpc_thread_start(&planner->thread, &def, answer_requests, planner, error);
}

const dpc_thread* dpc_planner_thread(const dpc_planner* planner) {
  return &planner->thread;
}

void dpc_planner_stop(dpc_planner* planner) {
  atomic_store(&planner->stop, true);
  dpc_mailbox_wake(planner->requests);
  dpc_thread_join(&planner->thread);
}

void dpc_planner_ask(dpc_planner* planner, const dpc_plan_request* request) {
  asked* slot = dpc_mailbox_slot(planner->requests);
  float *obs = slot->values, *fixed = obs + planner->obs_count;
  DPC_ASSERT(request->fixed_count >= 0 && request->near_count >= 0);
  const size_t rows = (size_t)request->fixed_count + (size_t)request->near_count;
  const size_t settled = rows * planner->action_dim;
  DPC_ASSERT(settled <= planner->chunk_count);
  memcpy(obs, request->obs, sizeof(float) * planner->obs_count);
  if (settled > 0) memcpy(fixed, request->fixed, sizeof(float) * settled);
  slot->request = *request;
  slot->request.obs = obs;
  slot->request.fixed = fixed;
  dpc_mailbox_publish(planner->requests);
}

const dpc_plan* dpc_planner_ready(dpc_planner* planner) {
  const answer* newest = dpc_mailbox_take(planner->plans);
  return newest == NULL ? NULL : &newest->plan;
}
