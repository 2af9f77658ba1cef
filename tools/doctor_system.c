#include "tools/doctor_system.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char* const dpc_verdict_names[] = {"ok", "warn", "fail", "unknown", NULL};

dpc_finding dpc_find(const char* what, dpc_verdict verdict, const char* change, const char* format,
                     ...) {
  dpc_finding finding = {.what = what, .verdict = verdict};
  va_list list;
  va_start(list, format);
  (void)vsnprintf(finding.found, sizeof finding.found, format, list);  // NOLINT: it was started
  va_end(list);
  if (change != NULL) (void)snprintf(finding.change, sizeof finding.change, "%s", change);
  return finding;
}

static dpc_finding unknown(const char* what) {
  return dpc_find(what, DPC_VERDICT_UNKNOWN, NULL, "the system does not say");
}

// What is in a file, without the line's end. False when it is not there.
static bool read_text(const char* root, const char* path, char* text, size_t size) {
  char whole[PATH_MAX];
  (void)snprintf(whole, sizeof whole, "%s%s", root, path);
  const int fd = open(whole, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  const ssize_t got = read(fd, text, size - 1);
  close(fd);
  if (got < 0) return false;
  text[got] = '\0';
  if (got > 0 && text[got - 1] == '\n') text[got - 1] = '\0';
  return true;
}

static bool read_number(const char* root, const char* path, long* out) {
  char text[64], *end;
  if (!read_text(root, path, text, sizeof text)) return false;
  const long value = strtol(text, &end, 10);
  if (end == text) return false;
  *out = value;
  return true;
}

// --- kernel --------------------------------------------------------------------------------------

static dpc_finding find_throttling(const char* root) {
  static const char what[] = "real-time throttling";
  static const char usual[] = "sudo sysctl kernel.sched_rt_runtime_us=950000";
  long runtime, period;
  if (!read_number(root, "/proc/sys/kernel/sched_rt_runtime_us", &runtime) ||
      !read_number(root, "/proc/sys/kernel/sched_rt_period_us", &period) || period <= 0) {
    return unknown(what);
  }
  if (runtime == 0) return dpc_find(what, DPC_VERDICT_FAIL, usual, "no time at all");
  if (runtime < 0) {
    return dpc_find(what, DPC_VERDICT_WARN, usual,
                    "off: a thread that never sleeps stops the machine");
  }
  const double share = (double)runtime / (double)period;
  return dpc_find(what, share < 0.9 ? DPC_VERDICT_WARN : DPC_VERDICT_OK, share < 0.9 ? usual : NULL,
                  "%.0f %% of the time may be real-time", 100 * share);
}

static dpc_finding find_kernel(const char* root) {
  static const char what[] = "kernel";
  char version[512];
  long realtime = 0;
  (void)read_number(root, "/sys/kernel/realtime", &realtime);
  if (!read_text(root, "/proc/version", version, sizeof version)) return unknown(what);
  if (realtime == 1 || strstr(version, "PREEMPT_RT") != NULL) {
    return dpc_find(what, DPC_VERDICT_OK, NULL, "PREEMPT_RT");
  }
  const char* model = strstr(version, "PREEMPT_DYNAMIC") != NULL ? "PREEMPT_DYNAMIC"
                      : strstr(version, "PREEMPT") != NULL       ? "PREEMPT"
                                                                 : "no preemption";
  return dpc_find(what, DPC_VERDICT_WARN, "sudo apt install linux-image-rt-amd64",
                  "%s, not PREEMPT_RT", model);
}

// --- CPUs ----------------------------------------------------------------------------------------

// How many are in a list like "0-3,8"; `last` is the number of the last.
static int count_cpus(const char* list, int* last) {
  int count = 0;
  for (const char* at = list; *at >= '0' && *at <= '9';) {
    char* end;
    const long first = strtol(at, &end, 10);
    const long until = *end == '-' ? strtol(end + 1, &end, 10) : first;
    count += (int)(until - first) + 1;
    *last = (int)until;
    at = *end == ',' ? end + 1 : end;
  }
  return count;
}

static dpc_finding find_isolation(const char* root) {
  static const char what[] = "isolated CPUs";
  char list[128], change[160];
  int last = 0;
  if (!read_text(root, "/sys/devices/system/cpu/isolated", list, sizeof list)) return unknown(what);
  if (count_cpus(list, &last) > 0) {
    (void)snprintf(change, sizeof change, "use it: run.control_cpu=%d", last);
    return dpc_find(what, DPC_VERDICT_OK, change, "%s", list);
  }
  char online[128] = "0";
  (void)read_text(root, "/sys/devices/system/cpu/online", online, sizeof online);
  (void)count_cpus(online, &last);
  (void)snprintf(change, sizeof change,
                 "kernel parameters isolcpus=%d nohz_full=%d rcu_nocbs=%d, and run.control_cpu=%d",
                 last, last, last, last);
  return dpc_find(what, DPC_VERDICT_WARN, change,
                  "none: other programs share the control thread's");
}

static dpc_finding find_number(const char* root) {
  static const char what[] = "number of CPUs";
  char list[128];
  int last = 0;
  if (!read_text(root, "/sys/devices/system/cpu/online", list, sizeof list)) return unknown(what);
  const int count = count_cpus(list, &last);
  if (count >= 2) return dpc_find(what, DPC_VERDICT_OK, NULL, "%d", count);
  return dpc_find(what, DPC_VERDICT_WARN,
                  "two CPUs: one for the control thread, one for the planner", "%d", count);
}

static dpc_finding find_governor(const char* root) {
  static const char what[] = "frequency governor";
  char path[96], governor[64] = "";
  int cpu = 0;
  for (;; ++cpu) {
    (void)snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/cpufreq/scaling_governor",
                   cpu);
    if (!read_text(root, path, governor, sizeof governor)) break;
    if (strcmp(governor, "performance") == 0) continue;
    return dpc_find(what, DPC_VERDICT_WARN, "sudo cpupower frequency-set -g performance",
                    "%s: a CPU that has slept is slow at first", governor);
  }
  return cpu == 0 ? unknown(what) : dpc_find(what, DPC_VERDICT_OK, NULL, "performance");
}

static dpc_finding find_idle_states(const char* root, bool stays_awake) {
  enum { QUICK_US = 10 };
  static const char what[] = "idle states";
  char path[96], name[32] = "";
  long slowest = -1, latency, disabled;
  for (int state = 0;; ++state) {
    (void)snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu0/cpuidle/state%d/latency",
                   state);
    if (!read_number(root, path, &latency)) break;
    (void)snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu0/cpuidle/state%d/disable",
                   state);
    if ((read_number(root, path, &disabled) && disabled != 0) || latency <= slowest) continue;
    slowest = latency;
    (void)snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu0/cpuidle/state%d/name", state);
    if (!read_text(root, path, name, sizeof name)) name[0] = '\0';
  }
  if (slowest < 0) return unknown(what);
  if (slowest <= QUICK_US || stays_awake) {
    return dpc_find(what, DPC_VERDICT_OK, NULL, "%s takes %ld us to leave%s", name, slowest,
                    slowest > QUICK_US ? ", and dpc run keeps CPUs out of it" : "");
  }
  return dpc_find(what, DPC_VERDICT_WARN,
                  "let dpc run open /dev/cpu_dma_latency, or: sudo cpupower idle-set -D 10",
                  "%s takes %ld us to leave", name, slowest);
}

// --- time and memory -----------------------------------------------------------------------------

static dpc_finding find_clock(const char* root) {
  static const char what[] = "clock source";
  static const char* const quick[] = {"tsc", "kvm-clock", "hyperv_clocksource_tsc_page",
                                      "arch_sys_counter"};
  char name[64];
  if (!read_text(root, "/sys/devices/system/clocksource/clocksource0/current_clocksource", name,
                 sizeof name)) {
    return unknown(what);
  }
  for (int i = 0; i < DPC_COUNT(quick); ++i) {
    if (strcmp(name, quick[i]) == 0) return dpc_find(what, DPC_VERDICT_OK, NULL, "%s", name);
  }
  return dpc_find(what, DPC_VERDICT_WARN, "kernel parameter tsc=reliable, where the machine's is",
                  "%s: every look at the clock is a system call", name);
}

static dpc_finding find_timer_slack(const char* root) {
  static const char what[] = "timer slack";
  long slack;
  if (!read_number(root, "/proc/self/timerslack_ns", &slack)) return unknown(what);
  return dpc_find(what, DPC_VERDICT_OK, NULL, "%.0f us, for ordinary threads only",
                  (double)slack * 1e-3);
}

static dpc_finding find_huge_pages(const char* root) {
  static const char what[] = "huge pages";
  static const char path[] = "/sys/kernel/mm/transparent_hugepage/enabled";
  char text[64];
  if (!read_text(root, path, text, sizeof text)) return unknown(what);
  if (strstr(text, "[never]") == NULL) {
    return dpc_find(what, DPC_VERDICT_OK, NULL, "%s",
                    strstr(text, "[always]") != NULL ? "always" : "where asked for");
  }
  return dpc_find(what, DPC_VERDICT_WARN,
                  "echo madvise | sudo tee /sys/kernel/mm/transparent_hugepage/enabled",
                  "never: the network's weights lie in thousands of small ones");
}

static dpc_finding find_swap(const char* root) {
  static const char what[] = "swap";
  char text[1024];
  if (!read_text(root, "/proc/swaps", text, sizeof text)) return unknown(what);
  int areas = 0;
  for (const char* at = strchr(text, '\n'); at != NULL; at = strchr(at + 1, '\n')) ++areas;
  if (areas == 0) return dpc_find(what, DPC_VERDICT_OK, NULL, "none");
  return dpc_find(what, DPC_VERDICT_WARN, "sudo swapoff -a",
                  "%d: dpc run's memory is locked, other programs' is not", areas);
}

void dpc_system_findings(const char* root, bool stays_awake, dpc_finding out[DPC_SYSTEM_FINDINGS]) {
  int n = 0;
  out[n++] = find_throttling(root);
  out[n++] = find_kernel(root);
  out[n++] = find_isolation(root);
  out[n++] = find_number(root);
  out[n++] = find_governor(root);
  out[n++] = find_idle_states(root, stays_awake);
  out[n++] = find_clock(root);
  out[n++] = find_timer_slack(root);
  out[n++] = find_huge_pages(root);
  out[n++] = find_swap(root);
  DPC_ASSERT(n == DPC_SYSTEM_FINDINGS);
}
