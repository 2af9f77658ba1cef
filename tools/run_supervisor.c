#include "tools/run_supervisor.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "runtime/acknowledge.h"
#include "runtime/clock.h"

enum { STOP_PATIENCE_S = 2 };

// --- signals --------------------------------------------------------------------------------------

// Signals come out of a file descriptor, in this thread. A signalfd would miss some: OpenBLAS starts
// threads when it is loaded, before anyone can block signals in them, and one of those may be the
// one that a signal is given to.
static int signals = -1;

static void pass_signal_on(int number) {
  const int before = errno;
  const uint64_t value = (uint64_t)number;
  const ssize_t written = write(signals, &value, sizeof value);
  (void)written;
  errno = before;
}

// A second signal finds the stop begun, and cannot skip it. What cannot be caught, or must not wait, is
// SIGKILL's: then the lease of the last command ends the motion. A recording that may not grow any more,
// and output that nobody reads, are errors of files and must not end a motion.
dpc_status dpc_run_open_signals(int* fd, dpc_error* error) {
  signals = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (signals < 0) return dpc_fail(error, DPC_ERR_IO, "eventfd: %s", strerror(errno));
  struct sigaction action = {.sa_handler = pass_signal_on, .sa_flags = SA_RESTART};
  sigemptyset(&action.sa_mask);
  (void)sigaction(SIGINT, &action, NULL);
  (void)sigaction(SIGTERM, &action, NULL);
  struct sigaction inherited;
  const bool asked = sigaction(SIGHUP, NULL, &inherited) == 0;
  // who started it with nohup wants it to go on without a terminal
  if (asked && inherited.sa_handler != SIG_IGN) (void)sigaction(SIGHUP, &action, NULL);
  (void)signal(SIGXFSZ, SIG_IGN);
  (void)signal(SIGPIPE, SIG_IGN);
  *fd = signals;
  return DPC_OK;
}

// --- what it hears --------------------------------------------------------------------------------

static void keep_episode(dpc_run_supervisor* s, const dpc_run_note* note) {
  dpc_run_result* result = s->result;
  if (result->episode_count == s->room) {
    const int room = s->room > 0 ? 2 * s->room : 64;
    void* grown = realloc(result->episodes, sizeof(dpc_run_episode) * (size_t)room);
    if (grown == NULL) return;
    result->episodes = grown;
    s->room = room;
  }
  result->episodes[result->episode_count++] = (dpc_run_episode){
      .seed = note->seed, .steps = note->steps, .score = note->score, .success = note->success};
}

// A run that is recorded has it all. Of another the last two seconds are kept, here.
static void save_fault(dpc_run_supervisor* s) {
  if (s->def->record[0] != '\0') return;
  char path[64];
  struct tm day;
  const time_t now = time(NULL);
  dpc_error error;
  (void)strftime(path, sizeof path, "fault_%Y%m%dT%H%M%SZ.mcap", gmtime_r(&now, &day));
  if (dpc_recorder_save_last(s->recorder, path, &error) == DPC_OK) {
    dpc_log(DPC_LOG_INFO, "what led to it is in %s", path);
  } else {
    dpc_log(DPC_LOG_WARNING, "what led to it is not kept: %s", error.text);
  }
}

static void heed(dpc_run_supervisor* s, const dpc_run_note* note) {
  switch (note->kind) {
    case DPC_RUN_EPISODE:
      keep_episode(s, note);
      dpc_log(DPC_LOG_INFO, "seed %" PRIu64 ": score %.3f, %" PRIu64 " steps", note->seed,
              note->score, note->steps);
      s->stopping |= s->def->episodes > 0 && s->result->episode_count >= s->def->episodes;
      break;
    case DPC_RUN_LOST:
      ++s->result->lost;
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
      s->stopping = true;
      break;
    case DPC_RUN_FAULT:
      dpc_log(DPC_LOG_ERROR, "fault: %s; the robot is held until `dpc ack %s`", note->reason,
              s->endpoint);
      save_fault(s);
      break;
  }
}

static void heed_acknowledgement(dpc_run_supervisor* s) {
  dpc_ack_sender sender;
  if (!dpc_ack_take(s->ack_fd, &sender)) return;
  const bool was_needed = dpc_loop_acknowledge(s->loop);
  dpc_ack_answer(s->ack_fd, &sender, was_needed ? "acknowledged" : "there is no fault");
  if (was_needed) dpc_log(DPC_LOG_INFO, "the fault is acknowledged");
}

static void heed_signal(dpc_run_supervisor* s) {
  uint64_t number;
  if (read(s->signal_fd, &number, sizeof number) != (ssize_t)sizeof number) return;
  const char* what = number == SIGINT   ? "interrupted"
                     : number == SIGHUP ? "the terminal is gone"
                                        : "terminated";
  dpc_log(DPC_LOG_INFO, "%s: stopping", what);
  s->stopping = true;
}

static int milliseconds_left(const dpc_run_supervisor* s) {
  if (s->def->duration <= 0) return -1;
  const int64_t left = (s->end.ns - dpc_clock_now().ns + 999999) / 1000000;
  return left < 0 ? 0 : left > 1000000 ? 1000000 : (int)left;
}

void dpc_run_supervise(dpc_run_supervisor* supervisor) {
  dpc_run_supervisor* s = supervisor;
  s->end = dpc_time_after(dpc_clock_now(), dpc_seconds(s->def->duration));
  while (!s->stopping) {
    struct pollfd watched[] = {{.fd = s->signal_fd, .events = POLLIN},
                               {.fd = s->carrier->notes, .events = POLLIN},
                               {.fd = s->ack_fd, .events = POLLIN}};
    (void)poll(watched, DPC_COUNT(watched), milliseconds_left(s));
    if (watched[0].revents != 0) heed_signal(s);
    if (watched[2].revents != 0) heed_acknowledgement(s);
    dpc_run_note note;
    while (!s->stopping && dpc_run_link_note(s->carrier, &note)) heed(s, &note);
    s->stopping |= milliseconds_left(s) == 0;
  }
}

// Only a robot that does not let ticks come (in lock-step, say) keeps this waiting: its own end is
// then what stops it.
void dpc_run_bring_to_rest(dpc_run_supervisor* supervisor) {
  dpc_run_supervisor* s = supervisor;
  const dpc_time latest = dpc_time_after(dpc_clock_now(), dpc_seconds(STOP_PATIENCE_S));
  dpc_loop_rest(s->loop);
  while (!dpc_loop_at_rest(s->loop) && dpc_clock_now().ns < latest.ns) {
    dpc_clock_sleep_until(dpc_time_after(dpc_clock_now(), dpc_seconds(0.001)));
  }
  s->result->stopped = dpc_loop_at_rest(s->loop);
  if (!s->result->stopped) {
    dpc_log(DPC_LOG_WARNING, "no ticks came to stop the robot with; its lease does");
  }
}
