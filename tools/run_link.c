#include "tools/run_link.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "runtime/clock.h"

// --- notes ----------------------------------------------------------------------------------------

// Notes are smaller than PIPE_BUF, so each is written whole or, when nobody reads, not at all.
static void tell(dpc_run_link* run, const dpc_run_note* note) {
  if (write(run->notes_in, note, sizeof *note) != (ssize_t)sizeof *note) ++run->notes_lost;
}

static void tell_reason(dpc_run_link* run, dpc_run_note_kind kind, const char* reason) {
  dpc_run_note note = {.kind = kind};
  (void)snprintf(note.reason, sizeof note.reason, "%.*s", (int)sizeof note.reason - 1, reason);
  tell(run, &note);
}

bool dpc_run_link_note(dpc_run_link* run, dpc_run_note* note) {
  return read(run->notes, note, sizeof *note) == (ssize_t)sizeof *note;
}

// --- to the loop ----------------------------------------------------------------------------------

// When the robot looked; where its clock may be another one, or is not ours after all, when we heard.
static dpc_time sample_time(const dpc_run_link* run, const dpc_observation* observation,
                            dpc_time received) {
  const dpc_time sampled = {observation->sample_time_ns};
  const int64_t age = received.ns - sampled.ns;
  const bool ours = run->def.same_clock && age >= 0 && age < dpc_seconds(10).ns;
  return ours ? sampled : received;
}

static void publish(dpc_run_link* run, const dpc_observation* observation, dpc_time received) {
  dpc_loop_observation* slot = dpc_mailbox_slot(dpc_loop_observations(run->loop));
  slot->received = received;
  slot->sampled = observation != NULL ? sample_time(run, observation, received) : received;
  slot->epoch = run->epoch;
  slot->tick = run->tick;
  slot->label = run->episode;
  slot->live = observation != NULL && !observation->done;
  slot->seed = observation != NULL ? observation->seed : 0;
  if (observation != NULL) {
    memcpy(slot->values, observation->values, sizeof(float) * (size_t)run->obs_dim);
  }
  dpc_mailbox_publish(dpc_loop_observations(run->loop));
}

static void observe(dpc_run_link* run, const dpc_observation* observation, dpc_time received) {
  if (!run->running || observation->episode != run->episode) {
    ++run->epoch;
    run->running = true;
    run->episode = observation->episode;
    run->score = observation->reward;
  }
  run->tick = observation->tick;
  if (observation->reward > run->score) run->score = observation->reward;
  publish(run, observation, received);
  if (observation->done) {
    run->running = false;
    tell(run, &(dpc_run_note){.kind = DPC_RUN_EPISODE,
                              .seed = observation->seed,
                              .steps = observation->tick,
                              .score = run->score,
                              .success = observation->reward >= 1});
  }
}

// What was running counts no more; no tick until the next observation.
static void break_off(dpc_run_link* run, dpc_run_note_kind kind, const char* reason) {
  run->running = false;
  publish(run, NULL, dpc_clock_now());
  tell_reason(run, kind, reason);
}

static void refuse(dpc_run_link* run, const char* reason) {
  // it is asked again and again, and says the same
  if (!run->refused) tell_reason(run, DPC_RUN_REFUSED, reason);
  run->refused = true;
}

static void handle(dpc_run_link* run, const dpc_link_event* event) {
  switch (event->kind) {
    case DPC_LINK_NOTHING:
      break;
    case DPC_LINK_OBSERVATION:
      observe(run, &event->observation, event->time);
      break;
    case DPC_LINK_CONNECTED:
      run->running = run->refused = false;
      tell_reason(run, DPC_RUN_CONNECTED, "");
      break;
    case DPC_LINK_LOST:
      break_off(run, DPC_RUN_LOST, event->reason);
      break;
    case DPC_LINK_BYE:
      break_off(run, DPC_RUN_BYE, event->reason);
      break;
    case DPC_LINK_REFUSED:
      refuse(run, event->reason);
      break;
  }
}

// --- to the robot ---------------------------------------------------------------------------------

static void tell_fault(dpc_run_link* run, dpc_fault fault) {
  if (fault != run->fault && fault != DPC_FAULT_NONE) {
    tell_reason(run, DPC_RUN_FAULT, dpc_fault_text(fault));
  }
  run->fault = fault;
}

static void forward(dpc_run_link* run) {
  dpc_mailbox_quiet(dpc_loop_commands(run->loop));
  const dpc_loop_command* next = dpc_mailbox_take(dpc_loop_commands(run->loop));
  if (next != NULL) tell_fault(run, next->fault);
  // a command for what is over could be taken for one in what came after
  if (next == NULL || !run->running || next->epoch != run->epoch) return;
  const dpc_command command = {.episode = next->label,
                               .tick = next->tick,
                               .value_count = run->action_dim,
                               .values = next->values,
                               .lease_ns = run->def.lease.ns};
  if (dpc_link_send_command(run->link, &command, NULL) != DPC_OK) {
    ++run->commands_failed;
    return;
  }
  ++run->commands_sent;
  if (next->fresh) {
    dpc_latency_record(&run->end_to_end, dpc_time_since(dpc_clock_now(), next->received));
  }
}

static void carry(void* context) {
  dpc_run_link* run = context;
  const int wake_fd = dpc_mailbox_fd(dpc_loop_commands(run->loop));
  while (!atomic_load(&run->stop)) {
    dpc_link_event event;
    dpc_link_poll(run->link, dpc_seconds(0.05), wake_fd, &event);
    handle(run, &event);
    if (event.woken) forward(run);
  }
  // the loop has stopped before us: this is what it stopped with
  forward(run);
  dpc_link_bye(run->link, "the controller has stopped");
}

dpc_status dpc_run_link_start(dpc_run_link* run, const dpc_run_link_def* settings, dpc_link* link,
                              dpc_loop* loop, dpc_error* error) {
  *run = (dpc_run_link){.def = *settings, .link = link, .loop = loop, .notes = -1, .notes_in = -1};
  run->obs_dim = dpc_layout_dim(&dpc_link_robot(link)->obs);
  run->action_dim = dpc_layout_dim(&dpc_link_robot(link)->action);
  int ends[2];
  if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) {
    return dpc_fail(error, DPC_ERR_IO, "pipe: %s", strerror(errno));
  }
  run->notes = ends[0];
  run->notes_in = ends[1];
  const dpc_thread_def def = {
      .name = "dpc-link", .stack_size = (size_t)1 << 20, .place = settings->place};
  const dpc_status status = dpc_thread_start(&run->thread, &def, carry, run, error);
  if (status != DPC_OK) {
    close(ends[0]);
    close(ends[1]);
  }
  return status;
}

void dpc_run_link_stop(dpc_run_link* run) {
  if (!run->thread.running) return;
  atomic_store(&run->stop, true);
  dpc_mailbox_wake(dpc_loop_commands(run->loop));
  dpc_thread_join(&run->thread);
}
