// Put in front of a program (LD_PRELOAD): from the first tick on, whatever its threads "dpc-control" and
// "dpc-planner" ask of the system is written down. A seccomp filter traps every call but the two that
// wait; the trap's handler notes the call, makes it all the same, and the thread goes on. What comes
// after the last wait is the thread's end, and not counted.
//
// The list goes to the file that WATCH_THREADS names, a line for each: "dpc-control eventfd_write 400".

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#define EXPORTED __attribute__((visibility("default")))

enum { CALLS = 512, EVENTFD_WRITE = CALLS, EVENTFD_READ, KINDS };

typedef struct watched {
  const char* name;
  long pending[KINDS];  // since the last wait
  long counts[KINDS];   // by number of the system call
} watched;

static watched threads[] = {{.name = "dpc-control"}, {.name = "dpc-planner"}};
static __thread watched* mine;

// --- the one place from which calls pass the filter ----------------------------------------------

long watch_gate(long number, long a, long b, long c, long d, long e, long f);
extern const char watch_gate_passed[];
__asm__(
    ".text\n.globl watch_gate\n.hidden watch_gate\n.type watch_gate,@function\n"
    ".globl watch_gate_passed\n.hidden watch_gate_passed\n"
    "watch_gate:\n"
    "  mov %rdi, %rax\n  mov %rsi, %rdi\n  mov %rdx, %rsi\n  mov %rcx, %rdx\n"
    "  mov %r8, %r10\n  mov %r9, %r8\n  mov 8(%rsp), %r9\n"
    "  syscall\n"
    "watch_gate_passed:\n"
    "  ret\n");

// An eventfd that does not block?
static int is_eventfd(int fd) {
  static const char expected[] = "anon_inode:[eventfd]";
  char path[32], target[64];
  (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  const long got = watch_gate(SYS_readlink, (long)path, (long)target, sizeof target, 0, 0, 0);
  const long flags = watch_gate(SYS_fcntl, fd, F_GETFL, 0, 0, 0, 0);
  return got == (long)sizeof expected - 1 && memcmp(target, expected, (size_t)got) == 0 &&
         (flags & O_NONBLOCK) != 0;
}

static void heed(int signal_number, siginfo_t* info, void* context) {
  (void)signal_number;
  greg_t* const r = ((ucontext_t*)context)->uc_mcontext.gregs;
  int kind = info->si_syscall;
  if (kind == SYS_write && is_eventfd((int)r[REG_RDI])) kind = EVENTFD_WRITE;
  if (kind == SYS_read && is_eventfd((int)r[REG_RDI])) kind = EVENTFD_READ;
  if (kind >= 0 && kind < KINDS) ++mine->pending[kind];
  r[REG_RAX] = watch_gate(info->si_syscall, r[REG_RDI], r[REG_RSI], r[REG_RDX], r[REG_R10],
                          r[REG_R8], r[REG_R9]);
}

// --- the filter ----------------------------------------------------------------------------------

#define LOAD(member)          BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, member))
#define SKIP_UNLESS(value, n) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (value), 0, (n))
#define ALLOW                 BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

static int install(void) {
  const uint64_t gate = (uint64_t)(uintptr_t)watch_gate_passed;
  struct sock_filter code[] = {
      LOAD(instruction_pointer),
      SKIP_UNLESS((uint32_t)gate, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, instruction_pointer) + 4),
      SKIP_UNLESS((uint32_t)(gate >> 32), 1),
      ALLOW,
      LOAD(nr),
      SKIP_UNLESS(SYS_clock_nanosleep, 1),
      ALLOW,
      SKIP_UNLESS(SYS_ppoll, 1),
      ALLOW,
      SKIP_UNLESS(SYS_rt_sigreturn, 1),
      ALLOW,
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
  };
  const struct sock_fprog program = {.len = sizeof code / sizeof code[0], .filter = code};
  sigset_t trap;
  sigemptyset(&trap);
  sigaddset(&trap, SIGSYS);
  pthread_sigmask(SIG_UNBLOCK, &trap, NULL);
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

// A thread is about to wait: what it did since the last time counts.
static void waits(int call) {
  if (mine != NULL) {
    for (int i = 0; i < KINDS; ++i) {
      mine->counts[i] += mine->pending[i];
      mine->pending[i] = 0;
    }
    ++mine->counts[call];
    return;
  }
  char name[16] = "";
  prctl(PR_GET_NAME, name);
  for (size_t i = 0; i < sizeof threads / sizeof threads[0]; ++i) {
    if (strcmp(name, threads[i].name) == 0 && install()) mine = &threads[i];
  }
}

EXPORTED int clock_nanosleep(clockid_t clock, int flags, const struct timespec* time,
                             struct timespec* left) {
  waits(SYS_clock_nanosleep);
  return syscall(SYS_clock_nanosleep, clock, flags, time, left) == 0 ? 0 : errno;
}

EXPORTED int ppoll(struct pollfd* fds, nfds_t count, const struct timespec* timeout,
                   const sigset_t* mask) {
  waits(SYS_ppoll);
  struct timespec left = timeout != NULL ? *timeout : (struct timespec){0};
  return (int)syscall(SYS_ppoll, fds, count, timeout != NULL ? &left : NULL, mask, _NSIG / 8);
}

// --- begin and end -------------------------------------------------------------------------------

__attribute__((constructor)) static void begin(void) {
  struct sigaction action = {.sa_sigaction = heed, .sa_flags = SA_SIGINFO};
  sigemptyset(&action.sa_mask);
  sigaction(SIGSYS, &action, NULL);
}

static void print(FILE* file, const watched* w, int kind) {
  char number[16];
  (void)snprintf(number, sizeof number, "call_%d", kind);
  const char* name = kind == EVENTFD_WRITE         ? "eventfd_write"
                     : kind == EVENTFD_READ        ? "eventfd_read"
                     : kind == SYS_clock_nanosleep ? "clock_nanosleep"
                     : kind == SYS_ppoll           ? "ppoll"
                                                   : number;
  (void)fprintf(file, "%s %s %ld\n", w->name, name, w->counts[kind]);
}

__attribute__((destructor)) static void end(void) {
  const char* path = getenv("WATCH_THREADS");
  FILE* file = path != NULL ? fopen(path, "we") : NULL;
  if (file == NULL) return;
  for (size_t i = 0; i < sizeof threads / sizeof threads[0]; ++i) {
    for (int kind = 0; kind < KINDS; ++kind) {
      if (threads[i].counts[kind] > 0) print(file, &threads[i], kind);
    }
  }
  (void)fclose(file);
}
