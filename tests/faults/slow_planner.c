// Loaded before the C library: each time that the planner's thread is woken by a request it stands still
// for a while, as if its plan took that much longer.

#define _GNU_SOURCE
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static const time_t PAUSE_S = 3;

int ppoll(struct pollfd* watched, nfds_t count, const struct timespec* timeout,
          const sigset_t* signals) {
  struct timespec left = {0};  // the kernel writes what is left
  if (timeout != NULL) left = *timeout;
  const long ready =
      syscall(SYS_ppoll, watched, count, timeout != NULL ? &left : NULL, signals, _NSIG / 8);
  char name[16] = "";
  (void)prctl(PR_GET_NAME, name);
  if (strcmp(name, "dpc-planner") == 0) {
    const struct timespec pause = {.tv_sec = PAUSE_S};
    (void)nanosleep(&pause, NULL);
  }
  return (int)ready;
}
