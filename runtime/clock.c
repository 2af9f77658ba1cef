#include "runtime/clock.h"

#include <errno.h>
#include <time.h>

enum { NS_PER_S = 1000000000 };

dpc_time dpc_clock_now(void) {
  struct timespec ts;
  clock_gettime(CLOCK_MONOTONIC, &ts);
  return (dpc_time){(int64_t)ts.tv_sec * NS_PER_S + ts.tv_nsec};
}

void dpc_clock_sleep_until(dpc_time time) {
  if (time.ns <= 0) return;
  const struct timespec ts = {.tv_sec = time.ns / NS_PER_S, .tv_nsec = time.ns % NS_PER_S};
  while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL) == EINTR) {
  }
}

uint64_t dpc_cadence_next(dpc_cadence* cadence, dpc_time now) {
  DPC_ASSERT(cadence->period.ns > 0);
  cadence->due.ns += cadence->period.ns;
  if (cadence->due.ns > now.ns) return 0;
  const int64_t skipped = (now.ns - cadence->due.ns) / cadence->period.ns + 1;
  cadence->due.ns += skipped * cadence->period.ns;
  return (uint64_t)skipped;
}
