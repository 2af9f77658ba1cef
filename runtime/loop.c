#include "runtime/loop.h"

#include <stdatomic.h>
#include <string.h>

#include "runtime/clock.h"

const char* const dpc_pace_names[] = {"timer", "robot", "lockstep", NULL};

struct dpc_loop {
  dpc_loop_def def;
  dpc_controller* controller;
  dpc_planner* planner;
  int action_dim;
  dpc_mailbox* observations;
  dpc_mailbox* commands;
  dpc_thread thread;
  atomic_bool stop;
  atomic_bool resting, at_rest;  // asked for, reached
  atomic_bool faulted, acknowledged;

  // the control thread's
  const dpc_loop_observation* newest;  // NULL before the first
  uint64_t tick, epoch;                // of the last tick
  bool ticked;                         // there has been one in this epoch
  dpc_loop_stats stats;
};

dpc_status dpc_loop_create(const dpc_loop_def* def, dpc_controller* controller,
                           dpc_planner* planner, int obs_dim, int action_dim, dpc_arena* arena,
                           dpc_loop** out, dpc_error* error) {
  DPC_ASSERT(def->period.ns > 0);
  const size_t mark = dpc_arena_mark(arena);
  dpc_loop* loop = DPC_TAKE(arena, dpc_loop, 1);
  if (loop == NULL) return dpc_arena_full(arena, "the loop", error);
  loop->def = *def;
  loop->controller = controller;
  loop->planner = planner;
  loop->action_dim = action_dim;
  atomic_init(&loop->stop, false);
  atomic_init(&loop->resting, false);
  atomic_init(&loop->at_rest, false);
  atomic_init(&loop->faulted, false);
  atomic_init(&loop->acknowledged, false);
  const size_t in = sizeof(dpc_loop_observation) + sizeof(float) * (size_t)obs_dim;
  const size_t out_size = sizeof(dpc_loop_command) + sizeof(float) * (size_t)action_dim;
  dpc_status status = dpc_mailbox_create(in, true, arena, &loop->observations, error);
  if (status == DPC_OK) {
    status = dpc_mailbox_create(out_size, true, arena, &loop->commands, error);
  }
  if (status != DPC_OK) {
    dpc_mailbox_destroy(loop->observations);
    dpc_arena_release(arena, mark);
    return status;
  }
  *out = loop;
  return DPC_OK;
}

void dpc_loop_destroy(dpc_loop* loop) {
  if (loop == NULL) return;
  dpc_loop_stop(loop);
  dpc_mailbox_destroy(loop->observations);
  dpc_mailbox_destroy(loop->commands);
}

dpc_mailbox* dpc_loop_observations(const dpc_loop* loop) {
  return loop->observations;
}

dpc_mailbox* dpc_loop_commands(const dpc_loop* loop) {
  return loop->commands;
}

const dpc_loop_stats* dpc_loop_measured(const dpc_loop* loop) {
  return &loop->stats;
}

const dpc_thread* dpc_loop_thread(const dpc_loop* loop) {
  return &loop->thread;
}

// --- a tick --------------------------------------------------------------------------------------

static void send_command(dpc_loop* loop, const dpc_tick_input* input,
                         const dpc_tick_output* output) {
  dpc_loop_command* slot = dpc_mailbox_slot(loop->commands);
  slot->received = loop->newest->received;
  slot->epoch = loop->newest->epoch;
  slot->tick = loop->newest->tick;
  slot->label = loop->newest->label;
  slot->fresh = input->fresh;
  slot->state = output->state;
  slot->fault = output->fault;
  memcpy(slot->values, output->action, sizeof(float) * (size_t)loop->action_dim);
  dpc_mailbox_publish(loop->commands);
}

static const dpc_plan* find_plan(dpc_loop* loop, const dpc_plan_request* request, dpc_plan* plan) {
  if (loop->def.plan_in_thread) {
    if (request != NULL) dpc_planner_ask(loop->planner, request);
    return dpc_planner_ready(loop->planner);
  }
  if (request == NULL) return NULL;
  dpc_planner_make(loop->planner, request, plan);
  return plan;
}

// In lock-step the robot waits for us, so that what is seen of it is never old.
static dpc_duration age_now(const dpc_loop* loop, dpc_time now) {
  const bool waits = loop->def.pace == DPC_PACE_LOCKSTEP;
  return waits ? (dpc_duration){0} : dpc_time_since(now, loop->newest->sampled);
}

static void note_state(dpc_loop* loop, const dpc_tick_output* output) {
  atomic_store(&loop->faulted, output->state == DPC_STATE_FAULT);
  if (output->state == DPC_STATE_FINALIZED) atomic_store(&loop->at_rest, true);
}

static void run_tick(dpc_loop* loop, uint64_t tick, bool fresh) {
  const dpc_time start = dpc_clock_now();
  const dpc_tick_input input = {.tick = tick,
                                .epoch = loop->newest->epoch,
                                .seed = loop->newest->seed,
                                .obs = loop->newest->values,
                                .fresh = fresh,
                                .age = age_now(loop, start),
                                .stop = atomic_load(&loop->resting),
                                .acknowledged = atomic_exchange(&loop->acknowledged, false)};
  if (fresh) {
    dpc_latency_record(&loop->stats.observation_age, dpc_time_since(start, loop->newest->sampled));
  }
  dpc_plan_request request;
  dpc_plan made;
  const bool due = dpc_controller_observe(loop->controller, &input, &request);
  const dpc_plan* ready = find_plan(loop, due ? &request : NULL, &made);
  dpc_tick_output output;
  dpc_controller_tick(loop->controller, &input, ready, &output);
  if (output.action != NULL) send_command(loop, &input, &output);
  note_state(loop, &output);
  const dpc_time done = dpc_clock_now();
  dpc_latency_record(&loop->stats.tick, dpc_time_since(done, start));
  if (loop->def.records != NULL) {
    const dpc_tick_times times = {loop->newest->received, loop->newest->sampled, start, done};
    dpc_tick_ring_put(loop->def.records, &times, &input, ready, &output);
  }
  loop->tick = tick;
  loop->epoch = input.epoch;
  loop->ticked = true;
}

// The robot counts the ticks: each number between its last and this one was missed.
static void count_gap(dpc_loop* loop, const dpc_loop_observation* observation) {
  const bool same = loop->ticked && observation->epoch == loop->epoch;
  const uint64_t expected = same ? loop->tick + 1 : 0;
  if (observation->tick > expected) loop->stats.missed += observation->tick - expected;
}

// Take in what is new. True when there is something to act on.
static bool look(dpc_loop* loop, bool* fresh) {
  const dpc_loop_observation* observation = dpc_mailbox_take(loop->observations);
  *fresh = observation != NULL;
  if (observation != NULL) loop->newest = observation;
  const bool live = loop->newest != NULL && loop->newest->live;
  // a robot that is not there needs no bringing to rest
  if (!live && atomic_load(&loop->resting)) atomic_store(&loop->at_rest, true);
  return live;
}

// --- pace ----------------------------------------------------------------------------------------

static void follow_timer(dpc_loop* loop) {
  dpc_cadence cadence = {.due = dpc_clock_now(), .period = loop->def.period};
  for (uint64_t tick = 0; !atomic_load(&loop->stop); tick++) {
    dpc_clock_sleep_until(cadence.due);
    const dpc_duration late = dpc_time_since(dpc_clock_now(), cadence.due);
    bool fresh;
    const bool live = look(loop, &fresh);
    if (live) {
      dpc_latency_record(&loop->stats.wake_up, late);
      loop->stats.overslept += late.ns > loop->def.period.ns;
      run_tick(loop, tick, fresh);
    }
    const uint64_t skipped = dpc_cadence_next(&cadence, dpc_clock_now());
    tick += skipped;
    if (live) loop->stats.missed += skipped;
  }
}

// How long to wait for the next observation: for ever, or until it is a period late.
static dpc_duration patience(const dpc_loop* loop) {
  const bool expecting = loop->newest != NULL && loop->newest->live && loop->ticked;
  if (loop->def.pace == DPC_PACE_LOCKSTEP || !expecting) return (dpc_duration){-1};
  const int64_t due = loop->newest->received.ns +
                      (int64_t)(loop->tick - loop->newest->tick + 2) * loop->def.period.ns;
  const int64_t left = due - dpc_clock_now().ns;
  return (dpc_duration){left > 0 ? left : 0};
}

static void follow_robot(dpc_loop* loop) {
  while (!atomic_load(&loop->stop)) {
    const bool woken = dpc_mailbox_wait(loop->observations, patience(loop));
    bool fresh;
    const bool live = look(loop, &fresh);
    if (fresh) {
      // what is not live counts only what was missed before it; it is not answered
      if (live || loop->newest->epoch == loop->epoch) count_gap(loop, loop->newest);
      if (live) run_tick(loop, loop->newest->tick, true);
    } else if (live && !woken && loop->ticked) {
      loop->stats.overdue++;
      run_tick(loop, loop->tick + 1, false);
    }
  }
}

static void run(void* context) {
  dpc_loop* loop = context;
  if (loop->def.pace == DPC_PACE_TIMER) {
    follow_timer(loop);
  } else {
    follow_robot(loop);
  }
}

dpc_status dpc_loop_start(dpc_loop* loop, dpc_error* error) {
  const dpc_loop_def* def = &loop->def;
  if (def->plan_in_thread) DPC_TRY(dpc_planner_start(loop->planner, &def->planner, error));
  // Planning inside the tick needs the stack that it has in a thread of its own.
  const dpc_thread_def thread = {
      .name = "dpc-control", .stack_size = DPC_PLANNER_STACK, .place = def->control};
  atomic_store(&loop->stop, false);
  const dpc_status status = dpc_thread_start(&loop->thread, &thread, run, loop, error);
  if (status != DPC_OK) dpc_planner_stop(loop->planner);
  return status;
}

void dpc_loop_rest(dpc_loop* loop) {
  atomic_store(&loop->resting, true);
  dpc_mailbox_wake(loop->observations);
}

bool dpc_loop_at_rest(const dpc_loop* loop) {
  return atomic_load(&loop->at_rest);
}

bool dpc_loop_acknowledge(dpc_loop* loop) {
  const bool faulted = atomic_load(&loop->faulted);
  if (faulted) atomic_store(&loop->acknowledged, true);
  return faulted;
}

void dpc_loop_stop(dpc_loop* loop) {
  atomic_store(&loop->stop, true);
  dpc_mailbox_wake(loop->observations);
  dpc_thread_join(&loop->thread);
  if (loop->def.plan_in_thread) dpc_planner_stop(loop->planner);
}
