/// Counts instructions by single-stepping: a trap before each, in this process, so no tracer and no
/// counter of the processor is needed. A trap may cost 20 microseconds on a virtual machine. x86-64 on
/// Linux; not under sanitizers, whose instructions would be counted too.
#pragma once

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <ucontext.h>

typedef struct span {
  int64_t instructions, system_calls;
} span;

typedef void counted_work(void* context);

// What the handler writes.
static volatile int64_t instructions, system_calls;
static volatile bool counting;

static inline void mark(void) {
  __asm__ volatile("int3" ::: "memory");
}

// syscall, sysenter, int 0x80
static inline bool is_system_call(const uint8_t* at) {
  return (at[0] == 0x0F && (at[1] == 0x05 || at[1] == 0x34)) || (at[0] == 0xCD && at[1] == 0x80);
}

// Called at the first mark, which it leaves with the trap flag set, then before each instruction, up
// to the second mark, which it steps over.
static inline void on_trap(int signal, siginfo_t* info, void* context) {
  (void)signal;
  (void)info;
  enum { TRAP_FLAG = 0x100, MARK = 0xCC };
  greg_t* registers = ((ucontext_t*)context)->uc_mcontext.gregs;
  const uint8_t* at = (const uint8_t*)registers[REG_RIP];  // NOLINT(performance-no-int-to-ptr)
  if (counting && at[0] == MARK) {
    counting = false;
    registers[REG_RIP]++;
    registers[REG_EFL] &= ~TRAP_FLAG;
    return;
  }
  counting = true;
  registers[REG_EFL] |= TRAP_FLAG;
  instructions = instructions + 1;
  if (is_system_call(at)) system_calls = system_calls + 1;
}

/// From now on this process can count.
static inline bool catch_traps(void) {
  static char stack[1 << 16];  // of its own: what is counted must not find it in the way
  const stack_t own = {.ss_sp = stack, .ss_size = sizeof stack};
  struct sigaction action = {.sa_sigaction = on_trap, .sa_flags = SA_SIGINFO | SA_ONSTACK};
  sigemptyset(&action.sa_mask);
  return sigaltstack(&own, NULL) == 0 && sigaction(SIGTRAP, &action, NULL) == 0;
}

/// What work(context) comes to, the call of it included.
static inline span count(counted_work* work, void* context) {
  counted_work* volatile called = work;  // not inlined: something must stand between the marks
  instructions = system_calls = 0;
  mark();
  called(context);
  mark();
  return (span){instructions, system_calls};
}
