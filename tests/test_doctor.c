// dpc-doctor: how it reads what a system says, from folders that look like one, and the program itself
// with and without privileges. What it measures is nobody's business here.

#include <unistd.h>

#include "tests/shell.h"
#include "tools/doctor_system.h"
#include "tools/json.h"

// --- what a system says --------------------------------------------------------------------------

#define CPU   "/sys/devices/system/cpu"
#define SLEEP CPU "/cpu0/cpuidle/state"

// In the order in which it is read.
// NOLINTNEXTLINE(clang-analyzer-optin.performance.Padding)
typedef struct says {
  const char* files;  // "PATH=TEXT;PATH=TEXT"
  const char* what;
  dpc_verdict verdict;
  const char *found, *change;  // words in them
  bool stays_awake;
} says;

static const says systems[] = {
    {"/proc/sys/kernel/sched_rt_runtime_us=950000;/proc/sys/kernel/sched_rt_period_us=1000000",
     "real-time throttling", DPC_VERDICT_OK, "95 %", "", false},
    {"/proc/sys/kernel/sched_rt_runtime_us=-1;/proc/sys/kernel/sched_rt_period_us=1000000",
     "real-time throttling", DPC_VERDICT_WARN, "off", "sysctl", false},
    {"/proc/sys/kernel/sched_rt_runtime_us=0;/proc/sys/kernel/sched_rt_period_us=1000000",
     "real-time throttling", DPC_VERDICT_FAIL, "no time", "sysctl", false},
    {"/proc/sys/kernel/sched_rt_runtime_us=soon;/proc/sys/kernel/sched_rt_period_us=1000000",
     "real-time throttling", DPC_VERDICT_UNKNOWN, "", "", false},
    {"/proc/version=Linux version 6.1 #1 SMP PREEMPT_DYNAMIC Debian", "kernel", DPC_VERDICT_WARN,
     "PREEMPT_DYNAMIC, not PREEMPT_RT", "linux-image-rt", false},
    {"/proc/version=Linux version 6.1 #1 SMP", "kernel", DPC_VERDICT_WARN, "no preemption", "",
     false},
    {"/proc/version=Linux version 6.1-rt #1 SMP PREEMPT_RT Debian", "kernel", DPC_VERDICT_OK,
     "PREEMPT_RT", "", false},
    {"/proc/version=Linux version 5.10;/sys/kernel/realtime=1", "kernel", DPC_VERDICT_OK,
     "PREEMPT_RT", "", false},
    {CPU "/isolated=;" CPU "/online=0-3", "isolated CPUs", DPC_VERDICT_WARN, "none", "isolcpus=3",
     false},
    {CPU "/isolated=2-3", "isolated CPUs", DPC_VERDICT_OK, "2-3", "run.control_cpu=3", false},
    {CPU "/online=0", "number of CPUs", DPC_VERDICT_WARN, "1", "two", false},
    {CPU "/online=0-1,4,6-7", "number of CPUs", DPC_VERDICT_OK, "5", "", false},
    {CPU "/cpu0/cpufreq/scaling_governor=performance;" CPU
         "/cpu1/cpufreq/scaling_governor=performance",
     "frequency governor", DPC_VERDICT_OK, "performance", "", false},
    {CPU "/cpu0/cpufreq/scaling_governor=performance;" CPU
         "/cpu1/cpufreq/scaling_governor=powersave",
     "frequency governor", DPC_VERDICT_WARN, "powersave", "cpupower", false},
    {SLEEP "0/latency=0;" SLEEP "0/name=POLL;" SLEEP "1/latency=133;" SLEEP "1/name=C6",
     "idle states", DPC_VERDICT_WARN, "C6 takes 133 us", "cpu_dma_latency", false},
    {SLEEP "0/latency=0;" SLEEP "0/name=POLL;" SLEEP "1/latency=133;" SLEEP "1/name=C6",
     "idle states", DPC_VERDICT_OK, "keeps CPUs out", "", true},
    {SLEEP "0/latency=2;" SLEEP "0/name=C1;" SLEEP "1/latency=133;" SLEEP "1/name=C6;" SLEEP
           "1/disable=1",
     "idle states", DPC_VERDICT_OK, "C1 takes 2 us", "", false},
    {"/sys/devices/system/clocksource/clocksource0/current_clocksource=tsc", "clock source",
     DPC_VERDICT_OK, "tsc", "", false},
    {"/sys/devices/system/clocksource/clocksource0/current_clocksource=hpet", "clock source",
     DPC_VERDICT_WARN, "hpet", "tsc", false},
    {"/proc/self/timerslack_ns=50000", "timer slack", DPC_VERDICT_OK, "50 us", "", false},
    {"/sys/kernel/mm/transparent_hugepage/enabled=always madvise [never]", "huge pages",
     DPC_VERDICT_WARN, "never", "madvise", false},
    {"/sys/kernel/mm/transparent_hugepage/enabled=always [madvise] never", "huge pages",
     DPC_VERDICT_OK, "where asked", "", false},
    {"/proc/swaps=Filename Type Size", "swap", DPC_VERDICT_OK, "none", "", false},
    {"/proc/swaps=Filename Type Size\n/dev/sda2 partition 100", "swap", DPC_VERDICT_WARN, "1",
     "swapoff", false},
};

static void make_system(const char* files) {
  assert_int_equal(shell("rm -rf root && mkdir root"), 0);
  char copy[1024], *rest = copy;
  (void)snprintf(copy, sizeof copy, "%s", files);
  for (char* file; (file = strsep(&rest, ";")) != NULL;) {
    char* text = strchr(file, '=');
    *text++ = '\0';
    assert_int_equal(
        shell("mkdir -p \"root$(dirname %s)\" && echo '%s' > root%s", file, text, file), 0);
  }
}

static const dpc_finding* find(const dpc_finding* findings, const char* what) {
  for (int i = 0; i < DPC_SYSTEM_FINDINGS; ++i) {
    if (strcmp(findings[i].what, what) == 0) return &findings[i];
  }
  fail_msg("nothing about '%s'", what);
  return NULL;
}

static void test_systems_are_read(void** state) {
  (void)state;
  char root[64];
  (void)snprintf(root, sizeof root, "%s/root", base);
  for (int i = 0; i < DPC_COUNT(systems); ++i) {
    const says* s = &systems[i];
    dpc_finding findings[DPC_SYSTEM_FINDINGS];
    make_system(s->files);
    dpc_system_findings(root, s->stays_awake, findings);
    const dpc_finding* f = find(findings, s->what);
    if (f->verdict != s->verdict || strstr(f->found, s->found) == NULL ||
        strstr(f->change, s->change) == NULL) {
      fail_msg("%s: %s: %s, %s. %s", s->files, s->what, dpc_verdict_names[f->verdict], f->found,
               f->change);
    }
  }
}

// A system that says nothing is not a bad one.
static void test_silence_is_unknown(void** state) {
  (void)state;
  dpc_finding findings[DPC_SYSTEM_FINDINGS];
  dpc_system_findings("/nowhere", false, findings);
  for (int i = 0; i < DPC_SYSTEM_FINDINGS; ++i) {
    assert_int_equal(findings[i].verdict, DPC_VERDICT_UNKNOWN);
    assert_string_equal(findings[i].change, "");
  }
}

// --- the program ---------------------------------------------------------------------------------

static dpc_json* examine(const char* before, int* code) {
  dpc_error error = {""};
  dpc_json* json = NULL;
  *code = shell("%s dpc-doctor -q --seconds 0.2 --json - 2> said", before);
  assert_ok(dpc_json_parse(output, strlen(output), "output", &json, &error), &error);
  return json;
}

// The verdict on `what`; every finding has words and one of the names.
static const char* verdict_on(const dpc_json* json, const char* what) {
  const char* found = NULL;
  const dpc_json* rows = dpc_json_get(json, "findings");
  for (int i = 0; i < dpc_json_count(rows); ++i) {
    const char* verdict = dpc_json_as_text(dpc_json_get(dpc_json_at(rows, i), "verdict"));
    int known = 0;
    while (dpc_verdict_names[known] != NULL && strcmp(dpc_verdict_names[known], verdict) != 0)
      ++known;
    assert_non_null(dpc_verdict_names[known]);
    assert_true(dpc_json_as_text(dpc_json_get(dpc_json_at(rows, i), "found"))[0] != '\0');
    if (strcmp(dpc_json_as_text(dpc_json_get(dpc_json_at(rows, i), "what")), what) == 0)
      found = verdict;
  }
  assert_non_null(found);
  return found;
}

static void check_wake_up(const dpc_json* json) {
  double p50, p999, max;
  assert_true(dpc_json_as_real(dpc_json_get(json, "p50"), &p50));
  assert_true(dpc_json_as_real(dpc_json_get(json, "p999"), &p999));
  assert_true(dpc_json_as_real(dpc_json_get(json, "max"), &max));
  assert_true(0 < p50 && p50 <= p999 && p999 <= max);
}

static void test_this_machine(void** state) {
  (void)state;
  int code;
  bool accepted;
  dpc_json* json = examine("", &code);
  assert_true(dpc_json_as_bool(dpc_json_get(json, "accepted"), &accepted));
  assert_int_equal(code, accepted ? 0 : 1);
  const bool granted = strcmp(verdict_on(json, "real-time priority"), "ok") == 0 &&
                       strcmp(verdict_on(json, "locked memory"), "ok") == 0;
  if (accepted) assert_true(granted);
  verdict_on(json, "instruction set");
  verdict_on(json, "/dev/cpu_dma_latency");
  const dpc_json* wake_up = dpc_json_get(json, "wake_up_us");
  check_wake_up(dpc_json_get(wake_up, "ordinary"));
  if (granted) check_wake_up(dpc_json_get(wake_up, "realtime"));
  dpc_json_free(json);
}

static void test_nobody_is_told_what_to_do(void** state) {
  (void)state;
  int code;
  bool accepted = true;
  dpc_json* json = examine(NOBODY, &code);
  assert_int_equal(code, 1);
  assert_true(dpc_json_as_bool(dpc_json_get(json, "accepted"), &accepted));
  assert_false(accepted);
  assert_string_equal(verdict_on(json, "real-time priority"), "fail");
  if (LOCKING_IS_REAL) assert_string_equal(verdict_on(json, "locked memory"), "fail");
  dpc_json_free(json);
  assert_int_equal(shell("grep -q 'would be refused' said"), 0);
  assert_int_equal(shell("%s dpc-doctor -q --seconds 0.1 2>&1", NOBODY), 1);
  static const char* const words[] = {"fail", "CAP_SYS_NICE", "rtprio 99"};
  for (int i = 0; i < DPC_COUNT(words); ++i) assert_non_null(strstr(output, words[i]));
  if (LOCKING_IS_REAL) assert_non_null(strstr(output, "memlock unlimited"));
}

static void test_bad_use_is_refused(void** state) {
  (void)state;
  assert_int_equal(shell("dpc-doctor --seconds 0 2>&1"), 2);
  assert_int_equal(shell("dpc-doctor more 2>&1"), 2);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_systems_are_read),   cmocka_unit_test(test_silence_is_unknown),
      cmocka_unit_test(test_this_machine),       cmocka_unit_test(test_nobody_is_told_what_to_do),
      cmocka_unit_test(test_bad_use_is_refused),
  };
  return cmocka_run_group_tests_name("doctor", tests, make_base, remove_base);
}
