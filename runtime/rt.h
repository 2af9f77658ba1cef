/// Threads that run while the robot moves: an explicit stack, a name that `top -H` shows, real-time
/// priority where the system permits it, and no denormal numbers where a network is evaluated.
#pragma once

#include <pthread.h>

#include "policy/base.h"

typedef struct dpc_thread_def {
  const char* name;   // at most 15 bytes: what the kernel keeps
  size_t stack_size;  // bytes; 0 = DPC_THREAD_STACK
  int priority;       // SCHED_FIFO priority, 1 to 99; 0 = an ordinary thread
} dpc_thread_def;

#define DPC_THREAD_STACK ((size_t)256 * 1024)

/// A running thread; the memory is the caller's and stays until `dpc_thread_join`.
typedef struct dpc_thread {
  pthread_t handle;
  bool running;
  bool realtime;  // it has the priority that was asked for
  void (*run)(void* context);
  void* context;
} dpc_thread;

/// Start `run(context)`. Without the permission for `priority` it starts as an ordinary thread and
/// `realtime` says so. All signals are blocked in it: the supervisor alone receives them.
/// DPC_ERR_NO_MEMORY or DPC_ERR_IO when the system refuses a thread.
/// Allocates: the thread's stack (mmap). Blocks: no. Thread: start-up only.
DPC_NODISCARD dpc_status dpc_thread_start(dpc_thread* thread, const dpc_thread_def* def,
                                          void (*run)(void* context), void* context,
                                          dpc_error* error);

/// Wait until the thread has returned; nothing when it is not running.
/// Allocates: no. Blocks: until it returns. Thread: the one that started it.
void dpc_thread_join(dpc_thread* thread);

/// From now on, in this thread, numbers too small for full precision are zero, in results and as
/// operands (FTZ and DAZ on x86; nothing elsewhere): they can cost a hundred times the time of
/// others. Returns what dpc_denormals_restore wants. What has to give the same bits must run under
/// the same setting.
/// Allocates: no. Blocks: no. Thread: any, for itself.
unsigned dpc_denormals_flush(void);

/// Set this thread back to how it was before dpc_denormals_flush.
/// Allocates: no. Blocks: no. Thread: any, for itself.
void dpc_denormals_restore(unsigned before);
