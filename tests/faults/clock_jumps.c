// Loaded before the C library: a time of day that jumps an hour ahead and back, every other second. The
// monotonic clock is left alone. Nothing that controls a robot may look at the time of day.

#define _GNU_SOURCE
#include <stdbool.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const long HOUR = 3600;

// So that the one who preloads it can see that it was found.
static void say_once(void) {
  static const char words[] = "the time of day jumps\n";
  static bool said;
  if (said) return;
  said = true;
  const ssize_t written = write(STDERR_FILENO, words, sizeof words - 1);
  (void)written;
}

int clock_gettime(clockid_t id, struct timespec* out) {
  const long result = syscall(SYS_clock_gettime, id, out);
  if (result == 0 && id == CLOCK_REALTIME) {
    out->tv_sec += out->tv_sec % 2 == 0 ? HOUR : -HOUR;
    say_once();
  }
  return (int)result;
}

int gettimeofday(struct timeval* out, void* zone) {
  (void)zone;
  struct timespec now;
  const int result = clock_gettime(CLOCK_REALTIME, &now);
  out->tv_sec = now.tv_sec;
  out->tv_usec = now.tv_nsec / 1000;
  return result;
}

time_t time(time_t* out) {
  struct timespec now;
  (void)clock_gettime(CLOCK_REALTIME, &now);
  if (out != NULL) *out = now.tv_sec;
  return now.tv_sec;
}
