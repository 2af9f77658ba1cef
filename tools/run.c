/// dpc-run: drive a robot with a policy.
///
/// Five threads at most: control and planner (runtime/loop.h), link (tools/run_link.h), recorder
/// (runtime/recorder.h), and this one, the supervisor: it starts them in order, receives signals and
/// notes, and stops them in order.

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "runtime/clock.h"
#include "tools/cli.h"
#include "tools/run_record.h"
#include "tools/run_report.h"

static const size_t ADDRESS_SPACE = (size_t)8 << 30;  // reserved; only what is touched is used

// --- settings -------------------------------------------------------------------------------------

typedef struct run_def {
  char policy[512];
  int pace;          // dpc_pace
  int episodes;      // then stop; 0: until the robot says Bye
  double duration;   // s, then stop; 0: no limit
  double lease;      // s, of a command
  int priority;      // SCHED_FIFO
  int warm_up;       // plans that are timed before the start
  char record[512];  // path
} run_def;

static const dpc_field run_rows[] = {
    DPC_TEXT(run_def, policy, "", "the policy's file"),
    DPC_CHOICE(run_def, pace, "timer", dpc_pace_names,
               "timer: a tick each period; robot: a tick for each observation, or when it is "
               "overdue; lockstep: robot and controller wait for each other"),
    DPC_INT(run_def, episodes, "0", 0, 100000000, "",
            "stop when so many have ended; 0: when the robot says Bye"),
    DPC_REAL(run_def, duration, "0", 0, 1e9, "s", "stop after this time; 0: no limit"),
    DPC_REAL(run_def, lease, "0.5", 0.001, 3600, "s",
             "how long the robot may follow a command when no other comes; unused in lockstep"),
    DPC_INT(run_def, priority, "0", 0, 98, "",
            "real-time priority (SCHED_FIFO) of the control thread; 0: an ordinary thread"),
    DPC_INT(run_def, warm_up, "50", 1, 10000, "plans", "timed at the start, to choose the delay"),
    DPC_TEXT(
        run_def, record, "",
        "where every tick is recorded, for dpc replay: a file that ends with .mcap, or a folder "
        "that gets run_000000.mcap and so on; empty: nowhere"),
};
static DPC_FIELD_TABLE(run_fields, run_def, "run", "Driving a robot.", run_rows);

typedef struct run {
  dpc_cli cli;
  run_def def;
  dpc_link_def link_def;
  dpc_controller_def controller_def;
  dpc_engine_def engine;
  dpc_sampler_def sampler;

  dpc_arena arena;
  dpc_policy* policy;
  dpc_planner* planner;
  dpc_link* link;
  dpc_controller* controller;
  dpc_recorder* recorder;
  dpc_loop* loop;
  dpc_run_link carrier;

  bool stopping;
  dpc_time end;  // by run.duration
  int room;      // of `episodes`
  dpc_run_result result;
} run;

enum { SECTIONS = 5, SAMPLER = 4 };

static void list_sections(run* r, dpc_config_section sections[SECTIONS]) {
  sections[0] = (dpc_config_section){.table = &run_fields, .def = &r->def};
  sections[1] = (dpc_config_section){.table = &dpc_link_fields, .def = &r->link_def};
  sections[2] = (dpc_config_section){.table = &dpc_controller_fields, .def = &r->controller_def};
  sections[3] = (dpc_config_section){.table = &dpc_engine_fields, .def = &r->engine};
  sections[SAMPLER] = (dpc_config_section){.table = &dpc_sampler_fields, .def = &r->sampler};
}

// The sampler's defaults are in the policy's file, and which that is says the config: read twice.
static dpc_status load(run* r, dpc_config_section* sections, dpc_error* error) {
  DPC_TRY(dpc_cli_read_config(&r->cli, error));
  DPC_TRY(dpc_link_def_check(&r->link_def, error));
  DPC_TRY(dpc_controller_def_check(&r->controller_def, error));
  if (r->def.policy[0] == '\0') {
    return dpc_fail(error, DPC_ERR_CONFIG, "run.policy: which file? (run.policy=FILE)");
  }
  DPC_TRY(dpc_arena_map(&r->arena, ADDRESS_SPACE, error));
  DPC_TRY(dpc_policy_load_for(r->def.policy, &r->engine, &r->arena, &r->policy, error));
  r->sampler = dpc_policy_info(r->policy)->sampler;
  sections[SAMPLER].keep = true;
  DPC_TRY(dpc_cli_read_config(&r->cli, error));
  return dpc_planner_create(r->policy, &r->sampler, 1, &r->arena, &r->planner, error);
}

// --- the delay ------------------------------------------------------------------------------------

static dpc_duration tick_period(const run* r) {
  const int64_t step = dpc_policy_info(r->policy)->interface.period_ns;
  return (dpc_duration){step / r->controller_def.ticks_per_step};
}

// Plans inside the tick where nothing else waits for the time that they take.
static int choose_delay(const run* r, dpc_duration inference) {
  const int64_t period = tick_period(r).ns;
  if (r->def.pace == DPC_PACE_LOCKSTEP) return 0;
  if (r->def.pace == DPC_PACE_ROBOT && inference.ns < period / 2) return 0;
  const int64_t with_margin = inference.ns + inference.ns / 4 + 1000000;
  return (int)((with_margin + period - 1) / period);
}

static dpc_status settle_delay(run* r, dpc_error* error) {
  static dpc_latency measured;
  DPC_TRY(dpc_planner_measure(r->planner, r->def.warm_up, &measured, error));
  const dpc_duration p999 = dpc_latency_quantile(&measured, 0.999);
  const int wanted = choose_delay(r, p999);
  const int most = dpc_controller_delay_max(&r->controller_def, dpc_policy_info(r->policy));
  const bool chosen = r->controller_def.delay == DPC_DELAY_AUTO;
  // none at all is left by settings that do not fit, which check_fit refuses by name
  if (chosen) r->controller_def.delay = most < 0 ? 0 : wanted < most ? wanted : most;
  if (r->controller_def.delay < wanted) {
    dpc_log(DPC_LOG_WARNING,
            "a plan takes up to %.1f ms and needs a delay of %d ticks, but it is %d: plans will "
            "be late",
            (double)p999.ns * 1e-6, wanted, r->controller_def.delay);
  }
  dpc_log(DPC_LOG_INFO, "inference p99.9 %.2f ms, tick %.2f ms: delay %d ticks%s",
          (double)p999.ns * 1e-6, (double)tick_period(r).ns * 1e-6, r->controller_def.delay,
          chosen ? ", chosen" : "");
  return DPC_OK;
}

// --- start ----------------------------------------------------------------------------------------

// Signals come out of a file descriptor, in this thread. A signalfd would miss some: OpenBLAS starts
// threads when it is loaded, before anyone can block signals in them, and one of those may be the
// one that a signal is given to.
static int signal_fd = -1;

static void pass_signal_on(int number) {
  const int before = errno;
  const uint64_t value = (uint64_t)number;
  const ssize_t written = write(signal_fd, &value, sizeof value);
  (void)written;
  errno = before;
}

// SA_RESETHAND: one more ends the program at once.
static dpc_status open_signals(dpc_error* error) {
  signal_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (signal_fd < 0) return dpc_fail(error, DPC_ERR_IO, "eventfd: %s", strerror(errno));
  struct sigaction action = {.sa_handler = pass_signal_on,
                             .sa_flags = (int)(SA_RESETHAND | SA_RESTART)};
  sigemptyset(&action.sa_mask);
  (void)sigaction(SIGINT, &action, NULL);
  (void)sigaction(SIGTERM, &action, NULL);
  return DPC_OK;
}

// Settings that the policy leaves no room for are refused before a robot hears of us.
static dpc_status check_fit(run* r, dpc_error* error) {
  const dpc_checkpoint_info* info = dpc_policy_info(r->policy);
  // the robot observes once per policy step: rows would last too long
  if (r->def.pace != DPC_PACE_TIMER && r->controller_def.ticks_per_step != 1) {
    return dpc_fail(error, DPC_ERR_CONFIG,
                    "controller.ticks_per_step: %d, but with run.pace=%s a tick is a policy step: "
                    "1, or run.pace=timer",
                    r->controller_def.ticks_per_step, dpc_pace_names[r->def.pace]);
  }
  const size_t mark = dpc_arena_mark(&r->arena);
  dpc_controller* trial;
  DPC_TRY(
      dpc_controller_create(&r->controller_def, info, &info->interface, &r->arena, &trial, error));
  dpc_arena_release(&r->arena, mark);
  return DPC_OK;
}

static dpc_status connect_robot(run* r, dpc_error* error) {
  const dpc_checkpoint_info* info = dpc_policy_info(r->policy);
  DPC_TRY(dpc_link_create(&r->link_def, &info->interface, "dpc run " DPC_VERSION, &r->arena,
                          &r->link, error));
  dpc_log(DPC_LOG_INFO, "waiting for the robot at %s", r->link_def.endpoint);
  DPC_TRY(dpc_link_handshake(r->link, signal_fd, error));
  dpc_log(DPC_LOG_INFO, "connected");
  return DPC_OK;
}

static dpc_status make_recorder(run* r, const dpc_config_section* sections, dpc_error* error) {
  const dpc_run_record_def def = {
      .path = r->def.record,
      .policy = r->def.policy,
      .loaded = r->policy,
      .sections = sections,
      .section_count = SECTIONS,
      .robot = dpc_link_robot(r->link),
      .period = tick_period(r),
  };
  DPC_TRY(dpc_run_record_create(&def, &r->arena, &r->recorder, error));
  return dpc_recorder_start(r->recorder, error);
}

static dpc_status make_loop(run* r, dpc_error* error) {
  const dpc_checkpoint_info* info = dpc_policy_info(r->policy);
  const dpc_interface* robot = dpc_link_robot(r->link);
  DPC_TRY(dpc_controller_create(&r->controller_def, info, robot, &r->arena, &r->controller, error));
  const dpc_loop_def def = {
      .pace = (dpc_pace)r->def.pace,
      .period = tick_period(r),
      // in lock-step the delay counts ticks, and whether a thread was quick must not matter
      .plan_in_thread = r->controller_def.delay > 0 && r->def.pace != DPC_PACE_LOCKSTEP,
      .priority = r->def.priority,
      .records = dpc_recorder_ring(r->recorder),
  };
  return dpc_loop_create(&def, r->controller, r->planner, dpc_layout_dim(&robot->obs),
                         dpc_layout_dim(&robot->action), &r->arena, &r->loop, error);
}

static dpc_status start(run* r, dpc_config_section* sections, dpc_error* error) {
  DPC_TRY(load(r, sections, error));
  DPC_TRY(settle_delay(r, error));
  DPC_TRY(check_fit(r, error));
  DPC_TRY(connect_robot(r, error));
  DPC_TRY(make_recorder(r, sections, error));
  DPC_TRY(make_loop(r, error));
  DPC_TRY(dpc_loop_start(r->loop, error));
  const bool waits = r->def.pace == DPC_PACE_LOCKSTEP;
  const dpc_run_link_def def = {.lease = dpc_seconds(waits ? 0 : r->def.lease),
                                // without this no other machine can be reached
                                .same_clock = !r->link_def.insecure};
  return dpc_run_link_start(&r->carrier, &def, r->link, r->loop, error);
}

// --- supervision ----------------------------------------------------------------------------------

static void keep_episode(run* r, const dpc_run_note* note) {
  dpc_run_result* result = &r->result;
  if (result->episode_count == r->room) {
    const int room = r->room > 0 ? 2 * r->room : 64;
    void* grown = realloc(result->episodes, sizeof(dpc_run_episode) * (size_t)room);
    if (grown == NULL) return;
    result->episodes = grown;
    r->room = room;
  }
  result->episodes[result->episode_count++] = (dpc_run_episode){
      .seed = note->seed, .steps = note->steps, .score = note->score, .success = note->success};
}

static void heed(run* r, const dpc_run_note* note) {
  switch (note->kind) {
    case DPC_RUN_EPISODE:
      keep_episode(r, note);
      dpc_log(DPC_LOG_INFO, "seed %" PRIu64 ": score %.3f, %" PRIu64 " steps", note->seed,
              note->score, note->steps);
      r->stopping |= r->def.episodes > 0 && r->result.episode_count >= r->def.episodes;
      break;
    case DPC_RUN_LOST:
      ++r->result.lost;
      dpc_log(DPC_LOG_WARNING, "the robot is lost: %s; waiting for it", note->reason);
      break;
    case DPC_RUN_CONNECTED:
      dpc_log(DPC_LOG_INFO, "the robot is back");
      break;
    case DPC_RUN_REFUSED:
      dpc_log(DPC_LOG_WARNING, "the robot refuses: %s; trying on", note->reason);
      break;
    case DPC_RUN_BYE:
      dpc_log(DPC_LOG_INFO, "the robot said Bye: %s", note->reason);
      r->stopping = true;
      break;
  }
}

static void heed_signal(run* r) {
  uint64_t number;
  if (read(signal_fd, &number, sizeof number) != (ssize_t)sizeof number) return;
  dpc_log(DPC_LOG_INFO, "%s: stopping", number == SIGINT ? "interrupted" : "terminated");
  r->stopping = true;
}

static int milliseconds_left(const run* r) {
  if (r->def.duration <= 0) return -1;
  const int64_t left = (r->end.ns - dpc_clock_now().ns + 999999) / 1000000;
  return left < 0 ? 0 : left > 1000000 ? 1000000 : (int)left;
}

static void supervise(run* r) {
  r->end = dpc_time_after(dpc_clock_now(), dpc_seconds(r->def.duration));
  while (!r->stopping) {
    struct pollfd watched[] = {{.fd = signal_fd, .events = POLLIN},
                               {.fd = r->carrier.notes, .events = POLLIN}};
    (void)poll(watched, DPC_COUNT(watched), milliseconds_left(r));
    if (watched[0].revents != 0) heed_signal(r);
    dpc_run_note note;
    while (!r->stopping && dpc_run_link_note(&r->carrier, &note)) heed(r, &note);
    r->stopping |= milliseconds_left(r) == 0;
  }
}

// --- the end --------------------------------------------------------------------------------------

static dpc_status report(run* r, dpc_error* error) {
  r->result.pace = dpc_pace_names[r->def.pace];
  r->result.delay = r->controller_def.delay;
  r->result.loop = dpc_loop_measured(r->loop);
  r->result.inference = dpc_planner_latency(r->planner);
  r->result.controller = dpc_controller_counts(r->controller);
  r->result.link = &r->carrier;
  r->result.link_counts = dpc_link_counts(r->link);
  r->result.record = dpc_recorder_result_of(r->recorder);
  return dpc_run_report(&r->cli, &r->result, error);
}

static dpc_status drive(run* r, dpc_config_section* sections, dpc_error* error) {
  DPC_TRY(open_signals(error));
  const dpc_status status = start(r, sections, error);
  if (status == DPC_ERR_INTERRUPTED) {
    dpc_log(DPC_LOG_INFO, "interrupted before a robot answered");
    return DPC_OK;
  }
  if (status != DPC_OK) {
    if (r->link != NULL) dpc_link_bye(r->link, "the controller could not start");
    return status;
  }
  supervise(r);
  dpc_loop_stop(r->loop);
  dpc_run_link_stop(&r->carrier);
  dpc_recorder_stop(r->recorder);
  return report(r, error);
}

int main(int argc, char** argv) {
  static run r;
  dpc_config_section sections[SECTIONS];
  list_sections(&r, sections);
  const dpc_cli_program program = {
      .name = "run",
      .doc =
          "Drive a robot with a policy.\v"
          "Ends when the robot says Bye, after run.episodes or run.duration, or with Ctrl-C. A "
          "robot that falls silent is waited for. Section sampler defaults to what the policy's "
          "file says.",
      .sections = sections,
      .section_count = SECTIONS,
      .config_required = true,
  };
  dpc_error error = {""};
  dpc_cli_start(&program, argc, argv, &r.cli, NULL);
  const dpc_status status = drive(&r, sections, &error);
  dpc_run_link_stop(&r.carrier);
  dpc_loop_destroy(r.loop);
  dpc_recorder_destroy(r.recorder);
  dpc_planner_destroy(r.planner);
  dpc_link_destroy(r.link);
  free(r.result.episodes);
  dpc_arena_unmap(&r.arena);
  return dpc_cli_finish(&r.cli, status, &error);
}
