/// What runs while the robot moves, and what it needs of the system: threads with a priority, a CPU and
/// a stack of their own, memory that stays where it is, and no denormal numbers where a network is
/// evaluated.
///
///     dpc_rt_prepare(mode, priority, &granted, error);  // once all memory is taken
///     dpc_thread_start(&thread, &def, run, context, error);
#pragma once

#include <pthread.h>

#include "policy/base.h"

// --- the process ---------------------------------------------------------------------------------

typedef enum dpc_rt_mode {
  DPC_RT_REQUIRED,   // SCHED_FIFO and locked memory, or no start
  DPC_RT_PREFERRED,  // what of it the system grants
  DPC_RT_OFF,        // ordinary threads, memory as it comes
} dpc_rt_mode;

/// Names of the modes, in order; ends with NULL. For DPC_CHOICE.
extern const char* const dpc_rt_mode_names[];

/// What the system has granted.
typedef struct dpc_rt_granted {
  bool priority, memory;
} dpc_rt_granted;

/// Make the process fit for real time, as far as `mode` asks for it: may its threads have SCHED_FIFO
/// `priority`, is its memory locked (dpc_rt_lock_memory), and do CPUs keep out of deep idle states
/// (where /dev/cpu_dma_latency can be opened, which stays so until the process ends). Required:
/// DPC_ERR_UNSUPPORTED names the privilege that is missing and the command that grants it. Preferred:
/// a warning says the same, once.
/// Allocates: no. Blocks: until all pages are there. Thread: start-up only, before the threads.
DPC_NODISCARD dpc_status dpc_rt_prepare(dpc_rt_mode mode, int priority, dpc_rt_granted* granted,
                                        dpc_error* error);

/// May this process have threads with SCHED_FIFO `priority`? The calling thread tries it.
/// DPC_ERR_UNSUPPORTED, naming the privilege.
/// Allocates: no. Blocks: no. Thread: start-up only.
DPC_NODISCARD dpc_status dpc_rt_try_priority(int priority, dpc_error* error);

/// Make every page that the process has, or will have, present and keep it so; the heap never gives
/// pages back, and the system no longer rearranges small pages into huge ones. Address space that is
/// only reserved must be given back before (dpc_arena_trim). DPC_ERR_UNSUPPORTED, naming the privilege.
/// Allocates: no. Blocks: until all pages are there. Thread: start-up only.
DPC_NODISCARD dpc_status dpc_rt_lock_memory(dpc_error* error);

/// The CPU with this index among those that the calling thread may use, from the end where `index` is
/// negative; -1 when there is none.
/// Allocates: no. Blocks: no. Thread: any.
int dpc_rt_cpu(int index);

// --- threads -------------------------------------------------------------------------------------

/// Where and how urgently a thread runs. Zeroed: an ordinary thread, on any CPU.
typedef struct dpc_thread_place {
  int priority;  // SCHED_FIFO priority, 1 to 99; 0 = an ordinary thread
  bool pinned;   // to
  int cpu;       // this one
} dpc_thread_place;

typedef struct dpc_thread_def {
  const char* name;        // at most 15 bytes: what the kernel keeps
  size_t stack_size;       // bytes; 0 = DPC_THREAD_STACK
  dpc_thread_place place;  // with a priority, the stack is also touched before `run` begins
} dpc_thread_def;

#define DPC_THREAD_STACK ((size_t)256 * 1024)

/// What disturbed a thread between the begin and the end of its `run`.
typedef struct dpc_thread_usage {
  int64_t minor_faults, major_faults;  // of pages
  int64_t involuntary_switches;        // it was made to wait while it had work
  int64_t heap_calls;                  // -1: not counted
} dpc_thread_usage;

/// What counts the calling thread's calls to the heap, for dpc_thread_usage. Set once, before threads
/// start; without it they are not counted.
/// Allocates: no. Blocks: no. Thread: start-up only.
void dpc_thread_count_heap(int64_t (*calls)(void));

/// A running thread; the memory is the caller's and stays until `dpc_thread_join`.
typedef struct dpc_thread {
  pthread_t handle;
  bool running;
  bool realtime;           // it has the priority that was asked for
  dpc_thread_usage usage;  // once it has been joined
  bool exact;              // it was asked for, so that waking up late matters
  void (*run)(void* context);
  void* context;
} dpc_thread;

/// Start `run(context)`. Without the permission for its priority it starts as an ordinary thread and
/// `realtime` says so. All signals are blocked in it: the supervisor alone receives them.
/// DPC_ERR_CONFIG for a CPU that it may not use, DPC_ERR_NO_MEMORY or DPC_ERR_IO when the system refuses
/// a thread.
/// Allocates: the thread's stack (mmap). Blocks: no. Thread: start-up only.
DPC_NODISCARD dpc_status dpc_thread_start(dpc_thread* thread, const dpc_thread_def* def,
                                          void (*run)(void* context), void* context,
                                          dpc_error* error);

/// Wait until the thread has returned, and fill in `usage`; nothing when it is not running.
/// Allocates: no. Blocks: until it returns. Thread: the one that started it.
void dpc_thread_join(dpc_thread* thread);

// --- numbers -------------------------------------------------------------------------------------

/// From now on, in this thread, numbers too small for full precision are zero, in results and as
/// operands (FTZ and DAZ on x86, FZ on ARM; nothing elsewhere): they can cost a hundred times the time of
/// others. Returns what dpc_denormals_restore wants. What has to give the same bits must run under
/// the same setting.
/// Allocates: no. Blocks: no. Thread: any, for itself.
unsigned dpc_denormals_flush(void);

/// Set this thread back to how it was before dpc_denormals_flush.
/// Allocates: no. Blocks: no. Thread: any, for itself.
void dpc_denormals_restore(unsigned before);
