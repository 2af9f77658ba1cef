/// dpc-doctor: is this machine fit for real time, and what would make it fitter?

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "policy/kernels/kernels.h"
#include "tools/bench_window.h"
#include "tools/cli.h"
#include "tools/doctor_system.h"

enum { PRIORITY = 80, FINDINGS = DPC_SYSTEM_FINDINGS + 6, KEY_SECONDS = 0x1000 };

static const struct argp_option options[] = {
    {"seconds", KEY_SECONDS, "S", 0, "How long to count wake-ups, for each kind of thread (10)", 0},
    {0}};

typedef struct doctor {
  dpc_cli cli;
  double seconds;
  bool priority, memory;  // granted
  int count;
  dpc_finding findings[FINDINGS];
  dpc_window_count realtime, ordinary;
} doctor;

static error_t parse(int key, char* text, struct argp_state* state) {
  doctor* d = state->input;
  switch (key) {
    case KEY_SECONDS:
      d->seconds = dpc_cli_real(state, "--seconds", text, 0.1, 86400);
      return 0;
    default:
      return ARGP_ERR_UNKNOWN;
  }
}

static void add(doctor* d, dpc_finding finding) {
  DPC_ASSERT(d->count < FINDINGS);
  d->findings[d->count++] = finding;
}

// --- what this user may do -----------------------------------------------------------------------

static void look_at_privileges(doctor* d) {
  dpc_error error = {""};
  d->priority = dpc_rt_try_priority(PRIORITY, &error) == DPC_OK;
  add(d, d->priority ? dpc_find("real-time priority", DPC_VERDICT_OK, NULL, "SCHED_FIFO is granted")
                     : dpc_find("real-time priority", DPC_VERDICT_FAIL,
                                "echo \"$USER - rtprio 99\" | sudo tee -a "
                                "/etc/security/limits.d/dpc.conf, and log in anew",
                                "%.159s", error.text));
  d->memory = dpc_rt_lock_memory(&error) == DPC_OK;
  add(d, d->memory ? dpc_find("locked memory", DPC_VERDICT_OK, NULL, "is granted")
                   : dpc_find("locked memory", DPC_VERDICT_FAIL,
                              "echo \"$USER - memlock unlimited\" | sudo tee -a "
                              "/etc/security/limits.d/dpc.conf, and log in anew",
                              "%.159s", error.text));
}

// True when dpc run will be able to keep CPUs awake.
static bool look_at_idling(doctor* d) {
  static const char what[] = "/dev/cpu_dma_latency", path[] = "/dev/cpu_dma_latency";
  const int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd >= 0) {
    close(fd);
    add(d, dpc_find(what, DPC_VERDICT_OK, NULL, "dpc run holds it open"));
  } else if (access(path, F_OK) == 0) {
    add(d, dpc_find(what, DPC_VERDICT_WARN,
                    "sudo chgrp GROUP /dev/cpu_dma_latency && sudo chmod g+w /dev/cpu_dma_latency",
                    "not for this user: CPUs may fall into deep idle states"));
  } else {
    add(d, dpc_find(what, DPC_VERDICT_UNKNOWN, NULL, "is not there"));
  }
  return fd >= 0;
}

static dpc_status look_at_engine(doctor* d, dpc_error* error) {
  const dpc_kernels* kernels = NULL;
  DPC_TRY(dpc_kernels_pick(&kernels, error));
  const bool plain = kernels == dpc_kernels_of(DPC_ISA_GENERIC);
  add(d, dpc_find("instruction set", plain ? DPC_VERDICT_WARN : DPC_VERDICT_OK,
                  plain ? "a processor with AVX2 or AVX-512" : NULL, "%s", kernels->name));
  return DPC_OK;
}

// --- waking up -----------------------------------------------------------------------------------

static double us(dpc_duration length) {
  return (double)length.ns * 1e-3;
}

// What 100 Hz can bear: a twentieth of a period.
static void judge_wake_up(doctor* d, const char* what, const dpc_window_count* count, bool judged) {
  static const double BEARABLE_US = 500;
  const dpc_latency_summary s = dpc_latency_summarize(&count->wake_up);
  const bool late = judged && us(s.p999) > BEARABLE_US;
  add(d, dpc_find(what, late ? DPC_VERDICT_WARN : DPC_VERDICT_OK,
                  late ? "the lines above, and again with nothing else running" : NULL,
                  "late by p50 %.0f, p99 %.0f, p99.9 %.0f, max %.0f us (%" PRIu64 " at 1 kHz)",
                  us(s.p50), us(s.p99), us(s.p999), us(s.max), s.count));
}

static dpc_status count_wake_ups(doctor* d, dpc_error* error) {
  static const char fifo[] = "wake-up, SCHED_FIFO", other[] = "wake-up, ordinary";
  dpc_window_def window = {
      .control = {.priority = PRIORITY, .pinned = true, .cpu = dpc_rt_cpu(-1)},
      .period = {1000000},
      .length = dpc_seconds(d->seconds),
  };
  dpc_cli_progress(&d->cli, "counting wake-ups, %.0f s", 2 * d->seconds);
  if (d->priority) {
    DPC_TRY(dpc_window_bare(&window, &d->realtime, error));
    judge_wake_up(d, fifo, &d->realtime, true);
  } else {
    add(d, dpc_find(fifo, DPC_VERDICT_UNKNOWN, NULL, "not permitted"));
  }
  window.control = (dpc_thread_place){0};
  DPC_TRY(dpc_window_bare(&window, &d->ordinary, error));
  judge_wake_up(d, other, &d->ordinary, false);
  dpc_cli_progress_end(&d->cli);
  return DPC_OK;
}

// --- report --------------------------------------------------------------------------------------

static void print(const doctor* d) {
  for (int i = 0; i < d->count; ++i) {
    const dpc_finding* f = &d->findings[i];
    dpc_cli_print(&d->cli, "%-8s %-21s %s%s%s\n", dpc_verdict_names[f->verdict], f->what, f->found,
                  f->change[0] != '\0' ? ". To change: " : "", f->change);
  }
}

static dpc_json* wake_up_json(const dpc_window_count* count) {
  const dpc_latency_summary s = dpc_latency_summarize(&count->wake_up);
  dpc_json* json = dpc_json_object();
  dpc_json_set_int(json, "count", (int64_t)s.count);
  dpc_json_set_real(json, "p50", us(s.p50));
  dpc_json_set_real(json, "p99", us(s.p99));
  dpc_json_set_real(json, "p999", us(s.p999));
  dpc_json_set_real(json, "max", us(s.max));
  return json;
}

static dpc_json* report(const doctor* d, bool accepted) {
  dpc_json* json = dpc_json_object();
  dpc_json_set_bool(json, "accepted", accepted);
  dpc_json* rows = dpc_json_set(json, "findings", dpc_json_array());
  for (int i = 0; i < d->count; ++i) {
    const dpc_finding* f = &d->findings[i];
    dpc_json* row = dpc_json_push(rows, dpc_json_object());
    dpc_json_set_text(row, "what", f->what);
    dpc_json_set_text(row, "verdict", dpc_verdict_names[f->verdict]);
    dpc_json_set_text(row, "found", f->found);
    dpc_json_set_text(row, "change", f->change);
  }
  dpc_json* wake_up = dpc_json_set(json, "wake_up_us", dpc_json_object());
  if (d->priority) dpc_json_set(wake_up, "realtime", wake_up_json(&d->realtime));
  dpc_json_set(wake_up, "ordinary", wake_up_json(&d->ordinary));
  return json;
}

static dpc_status examine(doctor* d, dpc_error* error) {
  look_at_privileges(d);
  const bool stays_awake = look_at_idling(d);
  dpc_system_findings("", stays_awake, d->findings + d->count);
  d->count += DPC_SYSTEM_FINDINGS;
  DPC_TRY(look_at_engine(d, error));
  DPC_TRY(count_wake_ups(d, error));
  int failures = 0;
  for (int i = 0; i < d->count; ++i) failures += d->findings[i].verdict == DPC_VERDICT_FAIL;
  print(d);
  DPC_TRY(dpc_cli_report(&d->cli, report(d, failures == 0), error));
  if (failures == 0) return DPC_OK;
  return dpc_fail(error, DPC_ERR_UNSUPPORTED, "dpc run with run.rt=required would be refused here");
}

int main(int argc, char** argv) {
  static doctor d = {.seconds = 10};
  const dpc_cli_program program = {
      .name = "doctor",
      .doc =
          "Look at this machine: is it fit for real time, and what would make it fitter?\v"
          "One line for each thing: ok, warn (it could be better), fail (dpc run with "
          "run.rt=required is refused), unknown (the system does not say, as many virtual "
          "machines), "
          "how it is, and how to change that. Exits 0 when such a run would be accepted, 1 "
          "otherwise.\n\n"
          "    dpc doctor\n"
          "    dpc doctor --seconds 60 --json doctor.json",
      .options = options,
      .parse = parse,
  };
  dpc_error error = {""};
  dpc_cli_start(&program, argc, argv, &d.cli, &d);
  const dpc_status status = examine(&d, &error);
  return dpc_cli_finish(&d.cli, status, &error);
}
