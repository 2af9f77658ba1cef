/// Whole programs as people run them: shell commands in a folder of the test's own, which it makes with
/// mkdtemp(base), and what they print.
#pragma once

#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/test.h"

static char base[] = "/tmp/dpc-test-XXXXXX";
static char output[1 << 20];  // of the last command

/// Put before a command: it runs as nobody, without a right but to read the files wherever they are, and
/// without a claim to real time.
#define NOBODY                                                                             \
  (geteuid() == 0 ? "setpriv --reuid=65534 --regid=65534 --clear-groups "                  \
                    "--inh-caps=-all,+dac_override --ambient-caps=-all,+dac_override "     \
                    "--bounding-set=-all,+dac_override prlimit --rtprio=0 --memlock=65536" \
                  : "prlimit --rtprio=0 --memlock=65536")

/// The sanitizers answer for the system that memory is locked, to everyone.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { LOCKING_IS_REAL = false };
#else
enum { LOCKING_IS_REAL = true };
#endif

/// Run a shell command in the test's folder, with the programs that were built on its path; returns
/// its exit code.
static int shell(const char* format, ...) DPC_PRINTF(1, 2);
static int shell(const char* format, ...) {
  char command[2048], whole[2048 + 128];
  va_list list;
  va_start(list, format);
  (void)vsnprintf(command, sizeof command, format, list);  // NOLINT: the list was started
  va_end(list);
  (void)snprintf(whole, sizeof whole, "cd %s && PATH=%s:$PATH && { %s; }", base, DPC_BINARY_DIR,
                 command);
  FILE* pipe = popen(whole, "r");  // NOLINT(cert-env33-c): commands of our own
  assert_non_null(pipe);
  output[fread(output, 1, sizeof output - 1, pipe)] = '\0';
  const int status = pclose(pipe);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/// The test's folder, as the set-up and tear-down of its group.
static inline int make_base(void** state) {
  (void)state;
  return mkdtemp(base) == NULL ? -1 : 0;
}

static inline int remove_base(void** state) {
  (void)state;
  return shell("rm -rf %s", base);
}
