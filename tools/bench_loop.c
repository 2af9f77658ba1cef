#include "tools/bench_loop.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tools/allocations.h"
#include "tools/bench_samples.h"
#include "tools/bench_window.h"

static const size_t SPARE = (size_t)64 << 20;  // for the windows' parts

// --- what keeps the other CPUs busy --------------------------------------------------------------

typedef struct load {
  int count;
  pid_t processes[CPU_SETSIZE];
} load;

// Reads and writes more than the caches hold, for ever; ends with the benchmark, however that ends.
static _Noreturn void stay_busy(int cpu) {
  static uint64_t block[4 << 20];
  cpu_set_t own;
  CPU_ZERO(&own);
  CPU_SET(cpu, &own);
  (void)sched_setaffinity(0, sizeof own, &own);
  (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
  for (uint64_t round = 1;; ++round) {
    for (int i = 0; i < DPC_COUNT(block); ++i) block[i] = block[i] * 6364136223846793005U + round;
    // so that it is not left out
    __asm__ volatile("" : : "r"(block) : "memory");
  }
}

static void unload(load* l) {
  for (int i = 0; i < l->count; ++i) {
    kill(l->processes[i], SIGKILL);
    (void)waitpid(l->processes[i], NULL, 0);
  }
  l->count = 0;
}

static dpc_status put_load(int except, load* l, dpc_error* error) {
  for (int i = 0; dpc_rt_cpu(i) >= 0; ++i) {
    const int cpu = dpc_rt_cpu(i);
    if (cpu == except) continue;
    const pid_t child = fork();
    if (child == 0) stay_busy(cpu);
    if (child < 0) return dpc_fail(error, DPC_ERR_IO, "cannot fork: %s", strerror(errno));
    l->processes[l->count++] = child;
  }
  return DPC_OK;
}

// --- report --------------------------------------------------------------------------------------

static const int rates[] = {100, 500};  // Hz

// All windows of a kind, and of each its p99.9: what disturbs the machine for a moment is in one of
// them, and their median is not moved by it.
typedef struct tally {
  dpc_window_count all;
  dpc_samples p999;
} tally;

typedef struct result {
  int hz;
  tally loop, bare;
} result;

static dpc_duration median_p999(tally* t) {
  return dpc_samples_summarize(&t->p999).p50;
}

static double us(dpc_duration length) {
  return (double)length.ns * 1e-3;
}

static void print_line(const dpc_cli* cli, int hz, const char* name, tally* t) {
  const dpc_latency_summary s = dpc_latency_summarize(&t->all.wake_up);
  dpc_cli_print(cli, "%3d Hz %-10s %9" PRIu64 " %7" PRIu64 " %9.1f %9.1f %9.1f %9.1f %9.1f\n", hz,
                name, s.count, t->all.missed, us(s.p50), us(s.p99), us(s.p999), us(median_p999(t)),
                us(s.max));
}

static dpc_json* tally_json(tally* t) {
  const dpc_window_count* c = &t->all;
  const dpc_latency_summary s = dpc_latency_summarize(&c->wake_up);
  dpc_json* json = dpc_json_object();
  dpc_json_set_int(json, "wake_ups", (int64_t)s.count);
  dpc_json_set_int(json, "missed", (int64_t)c->missed);
  dpc_json_set_real(json, "p50_us", us(s.p50));
  dpc_json_set_real(json, "p99_us", us(s.p99));
  dpc_json_set_real(json, "p999_us", us(s.p999));
  dpc_json_set_real(json, "p999_median_us", us(median_p999(t)));
  dpc_json_set_real(json, "max_us", us(s.max));
  dpc_json_set_int(json, "heap_calls", c->usage.heap_calls);
  dpc_json_set_int(json, "page_faults", c->usage.minor_faults + c->usage.major_faults);
  dpc_json_set_int(json, "involuntary_switches", c->usage.involuntary_switches);
  return json;
}

// Misses are rare and fall by chance: three deviations more than the machine's own are still those.
static void judge(const dpc_cli* cli, result* r, dpc_json* json) {
  static const double RATIO_MAX = 1.5;
  const uint64_t loop_missed = r->loop.all.missed, bare_missed = r->bare.all.missed;
  const double allowed = (double)bare_missed + 3 * sqrt((double)bare_missed + 1);
  const bool missed_ok = (double)loop_missed <= allowed;
  const double loop = us(median_p999(&r->loop)), bare = us(median_p999(&r->bare));
  const bool late_ok = loop <= RATIO_MAX * bare;
  dpc_cli_print(cli, "%3d Hz missed: %" PRIu64 ", at most %.1f (bare + 3 sqrt(bare + 1)): %s\n",
                r->hz, loop_missed, allowed, missed_ok ? "holds" : "FAILS");
  dpc_cli_print(
      cli, "%3d Hz p99.9, median of the windows: %.2f times the bare loop's, at most %.1f: %s\n",
      r->hz, loop / bare, RATIO_MAX, late_ok ? "holds" : "FAILS");
  dpc_json_set_int(json, "hz", r->hz);
  dpc_json_set(json, "loop", tally_json(&r->loop));
  dpc_json_set(json, "bare", tally_json(&r->bare));
  dpc_json_set_real(json, "missed_allowed", allowed);
  dpc_json_set_bool(json, "missed_ok", missed_ok);
  dpc_json_set_real(json, "p999_ratio", loop / bare);
  dpc_json_set_bool(json, "p999_ok", late_ok);
}

static void report(const dpc_cli* cli, result* results, dpc_json* json) {
  dpc_cli_print(cli, "%-17s %9s %7s %9s %9s %9s %9s %9s\n", "wake-up, us", "count", "missed", "p50",
                "p99", "p99.9", "median", "max");
  for (int i = 0; i < DPC_COUNT(rates); ++i) {
    print_line(cli, results[i].hz, "the loop", &results[i].loop);
    print_line(cli, results[i].hz, "bare loop", &results[i].bare);
  }
  dpc_json* rows = dpc_json_set(json, "rates", dpc_json_array());
  for (int i = 0; i < DPC_COUNT(rates); ++i) {
    judge(cli, &results[i], dpc_json_push(rows, dpc_json_object()));
  }
}

// --- measuring -----------------------------------------------------------------------------------

static void add_window(tally* t, const dpc_window_count* window) {
  dpc_window_count_add(&t->all, window);
  dpc_samples_add(&t->p999, dpc_latency_quantile(&window->wake_up, 0.999));
}

static dpc_status measure_windows(dpc_window_def* window, dpc_arena* arena, result* r,
                                  dpc_error* error) {
  static dpc_window_count loop, bare;  // larger than a stack likes
  loop = bare = (dpc_window_count){0};
  DPC_TRY(dpc_window_loop(window, arena, &loop, error));
  DPC_TRY(dpc_window_bare(window, &bare, error));
  add_window(&r->loop, &loop);
  add_window(&r->bare, &bare);
  return DPC_OK;
}

static dpc_status measure_rate(const dpc_cli* cli, const dpc_bench_loop_def* def,
                               dpc_window_def* window, dpc_arena* arena, result* r,
                               dpc_error* error) {
  window->period = dpc_seconds(1.0 / r->hz);
  const int64_t step = dpc_policy_info(window->policy)->interface.period_ns;
  if (step % window->period.ns != 0) {
    return dpc_fail(error, DPC_ERR_CONFIG, "the policy's period, %g s, is no multiple of %g s",
                    (double)step * 1e-9, 1.0 / r->hz);
  }
  DPC_TRY(dpc_samples_create((size_t)def->windows, arena, &r->loop.p999, error));
  DPC_TRY(dpc_samples_create((size_t)def->windows, arena, &r->bare.p999, error));
  for (int i = 0; i < def->windows; ++i) {
    dpc_cli_progress(cli, "%d Hz: window %d/%d of each kind", r->hz, i + 1, def->windows);
    DPC_TRY(measure_windows(window, arena, r, error));
  }
  return DPC_OK;
}

static dpc_status measure(const dpc_cli* cli, const dpc_bench_loop_def* def, dpc_window_def* window,
                          dpc_arena* arena, dpc_json* json, dpc_error* error) {
  static result results[DPC_COUNT(rates)];
  for (int i = 0; i < DPC_COUNT(rates); ++i) {
    results[i].hz = rates[i];
    DPC_TRY(measure_rate(cli, def, window, arena, &results[i], error));
  }
  dpc_cli_progress_end(cli);
  report(cli, results, json);
  return DPC_OK;
}

static dpc_status make_window(const dpc_bench_loop_def* def, const dpc_bench_network* network,
                              dpc_arena* arena, dpc_window_def* window, dpc_json* json,
                              dpc_error* error) {
  const dpc_engine_def engine = dpc_engine_def_default();
  dpc_policy* policy;
  dpc_rt_granted granted;
  DPC_TRY(dpc_policy_create(&network->info, network->unet, network->params, &engine, arena, &policy,
                            error));
  dpc_arena_trim(arena, SPARE);
  DPC_TRY(dpc_rt_prepare(DPC_RT_PREFERRED, def->priority, &granted, error));
  dpc_thread_count_heap(dpc_allocations_here);
  const int priority = granted.priority ? def->priority : 0;
  *window = (dpc_window_def){
      .policy = policy,
      .control = {.priority = priority, .pinned = true, .cpu = dpc_rt_cpu(-1)},
      .planner = {.priority = priority > 0 ? priority - 1 : 0,
                  .pinned = true,
                  .cpu = dpc_rt_cpu(0)},
      .length = dpc_seconds(def->seconds),
  };
  dpc_json_set_bool(json, "realtime", granted.priority);
  dpc_json_set_bool(json, "memory_locked", granted.memory);
  dpc_json_set_int(json, "priority", priority);
  dpc_json_set_int(json, "cpu", window->control.cpu);
  dpc_json_set_int(json, "windows", def->windows);
  dpc_json_set_real(json, "seconds", def->seconds);
  return DPC_OK;
}

dpc_status dpc_bench_loop(const dpc_cli* cli, const dpc_bench_loop_def* def,
                          const dpc_bench_network* network, dpc_arena* arena, dpc_json* json,
                          dpc_error* error) {
  static load others;
  dpc_window_def window;
  // before memory is locked: what a child shares with us would have to be copied when we write to it
  dpc_status status = put_load(dpc_rt_cpu(-1), &others, error);
  if (status == DPC_OK) status = make_window(def, network, arena, &window, json, error);
  if (status == DPC_OK) status = measure(cli, def, &window, arena, json, error);
  unload(&others);
  return status;
}
