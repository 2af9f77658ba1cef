#include "tools/bench_window.h"

#include <stdatomic.h>

#include "runtime/clock.h"

static void wait_for(dpc_duration length) {
  dpc_clock_sleep_until(dpc_time_after(dpc_clock_now(), length));
}

static void add_usage(dpc_thread_usage* sum, const dpc_thread_usage* usage) {
  sum->minor_faults += usage->minor_faults;
  sum->major_faults += usage->major_faults;
  sum->involuntary_switches += usage->involuntary_switches;
  sum->heap_calls += usage->heap_calls;
}

void dpc_window_count_add(dpc_window_count* to, const dpc_window_count* count) {
  dpc_latency_merge(&to->wake_up, &count->wake_up);
  to->missed += count->missed;
  add_usage(&to->usage, &count->usage);
}

// --- the bare loop -------------------------------------------------------------------------------

typedef struct bare {
  dpc_duration period;
  dpc_window_count* count;
  atomic_bool stop;
} bare;

static void sleep_and_wake(void* context) {
  bare* b = context;
  dpc_cadence cadence = {.due = dpc_clock_now(), .period = b->period};
  while (!atomic_load(&b->stop)) {
    dpc_clock_sleep_until(cadence.due);
    const dpc_duration late = dpc_time_since(dpc_clock_now(), cadence.due);
    dpc_latency_record(&b->count->wake_up, late);
    b->count->missed += late.ns > b->period.ns;
    (void)dpc_cadence_next(&cadence, dpc_clock_now());
  }
}

dpc_status dpc_window_bare(const dpc_window_def* def, dpc_window_count* count, dpc_error* error) {
  const dpc_thread_def thread_def = {.name = "bare-loop", .place = def->control};
  bare b = {.period = def->period, .count = count};
  dpc_thread thread;
  DPC_TRY(dpc_thread_start(&thread, &thread_def, sleep_and_wake, &b, error));
  wait_for(def->length);
  atomic_store(&b.stop, true);
  dpc_thread_join(&thread);
  add_usage(&count->usage, &thread.usage);
  return DPC_OK;
}

// --- the loop ------------------------------------------------------------------------------------

typedef struct robot {
  dpc_loop* loop;
  const dpc_normalizer* normalizer;
  dpc_duration period;  // of the policy
  atomic_bool stop;
} robot;

// The middle of what the policy was trained on.
static void observe(const robot* r, uint64_t tick) {
  dpc_loop_observation* slot = dpc_mailbox_slot(dpc_loop_observations(r->loop));
  slot->received = slot->sampled = dpc_clock_now();
  slot->epoch = 1;
  slot->tick = tick;
  slot->live = true;
  for (int i = 0; i < r->normalizer->dim; ++i) {
    slot->values[i] = -r->normalizer->offset[i] / r->normalizer->scale[i];
  }
  dpc_mailbox_publish(dpc_loop_observations(r->loop));
}

static void play_robot(void* context) {
  robot* r = context;
  dpc_time next = dpc_clock_now();
  uint64_t tick = 0;
  while (!atomic_load(&r->stop)) {
    const dpc_duration left = dpc_time_since(next, dpc_clock_now());
    if (left.ns <= 0) {
      observe(r, tick++);
      next = dpc_time_after(next, r->period);
      continue;
    }
    dpc_mailbox_wait(dpc_loop_commands(r->loop), left);
    (void)dpc_mailbox_take(dpc_loop_commands(r->loop));
  }
}

typedef struct parts {
  dpc_controller* controller;
  dpc_planner* planner;
  dpc_loop* loop;
} parts;

// A delay of one policy step, or what the policy has rows for.
static dpc_controller_def controller_def(const dpc_window_def* def) {
  const dpc_checkpoint_info* info = dpc_policy_info(def->policy);
  dpc_controller_def controller = dpc_controller_def_default();
  controller.ticks_per_step = (int)(info->interface.period_ns / def->period.ns);
  const int most = dpc_controller_delay_max(&controller, info);
  controller.delay = controller.ticks_per_step < most ? controller.ticks_per_step : most;
  return controller;
}

static dpc_status make_parts(const dpc_window_def* def, dpc_arena* arena, parts* p,
                             dpc_error* error) {
  const dpc_checkpoint_info* info = dpc_policy_info(def->policy);
  const dpc_controller_def controller = controller_def(def);
  const dpc_loop_def loop = {.pace = DPC_PACE_TIMER,
                             .period = def->period,
                             .plan_in_thread = true,
                             .control = def->control,
                             .planner = def->planner};
  DPC_TRY(dpc_controller_create(&controller, info, &info->interface, arena, &p->controller, error));
  DPC_TRY(dpc_planner_create(def->policy, NULL, 1, arena, &p->planner, error));
  return dpc_loop_create(&loop, p->controller, p->planner, dpc_layout_dim(&info->interface.obs),
                         dpc_layout_dim(&info->interface.action), arena, &p->loop, error);
}

static dpc_status run_loop(const dpc_window_def* def, parts* p, dpc_window_count* count,
                           dpc_error* error) {
  const dpc_checkpoint_info* info = dpc_policy_info(def->policy);
  robot r = {
      .loop = p->loop, .normalizer = &info->obs_normalizer, .period = {info->interface.period_ns}};
  const dpc_thread_def robot_def = {.name = "robot"};
  dpc_thread robot_thread;
  DPC_TRY(dpc_loop_start(p->loop, error));
  DPC_TRY(dpc_thread_start(&robot_thread, &robot_def, play_robot, &r, error));
  wait_for(def->length);
  dpc_loop_stop(p->loop);
  atomic_store(&r.stop, true);
  dpc_thread_join(&robot_thread);
  dpc_latency_merge(&count->wake_up, &dpc_loop_measured(p->loop)->wake_up);
  count->missed += dpc_loop_measured(p->loop)->overslept;
  add_usage(&count->usage, &dpc_loop_thread(p->loop)->usage);
  return DPC_OK;
}

dpc_status dpc_window_loop(const dpc_window_def* def, dpc_arena* arena, dpc_window_count* count,
                           dpc_error* error) {
  parts p = {NULL};
  const size_t mark = dpc_arena_mark(arena);
  dpc_status status = make_parts(def, arena, &p, error);
  if (status == DPC_OK) status = run_loop(def, &p, count, error);
  dpc_loop_destroy(p.loop);
  dpc_planner_destroy(p.planner);
  dpc_arena_release(arena, mark);
  return status;
}
