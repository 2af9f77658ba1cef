#include "runtime/rt.h"

#include <alloca.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>
#if defined(__SSE2__)
#include <xmmintrin.h>
#endif

const char* const dpc_rt_mode_names[] = {"required", "preferred", "off", NULL};

// --- numbers -------------------------------------------------------------------------------------

unsigned dpc_denormals_flush(void) {
#if defined(__SSE2__)
  enum { FLUSH_TO_ZERO = 0x8000, DENORMALS_ARE_ZERO = 0x0040 };
  const unsigned before = _mm_getcsr();
  _mm_setcsr(before | FLUSH_TO_ZERO | DENORMALS_ARE_ZERO);
  return before;
#elif defined(__aarch64__)
  static const uint64_t FLUSH_TO_ZERO = (uint64_t)1 << 24;  // of the operands, too
  uint64_t before = 0;
  __asm__ volatile("mrs %0, fpcr" : "=r"(before));
  __asm__ volatile("msr fpcr, %0" : : "r"(before | FLUSH_TO_ZERO));
  return (unsigned)before;
#else
  return 0;
#endif
}

void dpc_denormals_restore(unsigned before) {
#if defined(__SSE2__)
  _mm_setcsr(before);
#elif defined(__aarch64__)
  __asm__ volatile("msr fpcr, %0" : : "r"((uint64_t)before));
#else
  (void)before;
#endif
}

// --- the process ---------------------------------------------------------------------------------

// Grants both to the shell that it is typed into, until that ends; `dpc doctor` knows the lasting way.
static const char GRANT[] = "sudo prlimit --pid $$ --rtprio=99 --memlock=unlimited";

dpc_status dpc_rt_try_priority(int priority, dpc_error* error) {
  int before;
  struct sched_param parameters;
  if (pthread_getschedparam(pthread_self(), &before, &parameters) == 0) {
    const struct sched_param wanted = {.sched_priority = priority};
    if (pthread_setschedparam(pthread_self(), SCHED_FIFO, &wanted) == 0) {
      (void)pthread_setschedparam(pthread_self(), before, &parameters);
      return DPC_OK;
    }
  }
  return dpc_fail(
      error, DPC_ERR_UNSUPPORTED,
      "no real-time priority: SCHED_FIFO %d needs CAP_SYS_NICE, or a limit 'rtprio' that "
      "is as high",
      priority);
}

dpc_status dpc_rt_lock_memory(dpc_error* error) {
  // what is freed stays, and large blocks come from there too: no page comes or goes
  (void)mallopt(M_TRIM_THRESHOLD, -1);
  (void)mallopt(M_MMAP_MAX, 0);
  if (mlockall(MCL_CURRENT | MCL_FUTURE) != 0) {
    return dpc_fail(error, DPC_ERR_UNSUPPORTED,
                    "no locked memory (%s): it needs CAP_IPC_LOCK, or 'memlock' unlimited",
                    strerror(errno));
  }
  (void)prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
  return DPC_OK;
}

// For as long as the file is open no CPU goes into an idle state that it takes time to come back from.
static void stay_awake(void) {
  const int fd = open("/dev/cpu_dma_latency", O_WRONLY | O_CLOEXEC);
  if (fd < 0) return;
  const int32_t latency_us = 0;
  if (write(fd, &latency_us, sizeof latency_us) != (ssize_t)sizeof latency_us) close(fd);
}

dpc_status dpc_rt_prepare(dpc_rt_mode mode, int priority, dpc_rt_granted* granted,
                          dpc_error* error) {
  *granted = (dpc_rt_granted){false, false};
  if (mode == DPC_RT_OFF) return DPC_OK;
  dpc_error no_priority = {""}, no_memory = {""};
  granted->priority = dpc_rt_try_priority(priority, &no_priority) == DPC_OK;
  granted->memory = dpc_rt_lock_memory(&no_memory) == DPC_OK;
  stay_awake();
  if (granted->priority && granted->memory) return DPC_OK;
  const char* const between = granted->priority || granted->memory ? "" : "; ";
  if (mode == DPC_RT_REQUIRED) {
    return dpc_fail(error, DPC_ERR_UNSUPPORTED, "rt: required, but %.170s%s%.170s. To grant it: %s",
                    no_priority.text, between, no_memory.text, GRANT);
  }
  dpc_log(DPC_LOG_WARNING, "%.170s%s%.170s. Going on without; to grant it: %s", no_priority.text,
          between, no_memory.text, GRANT);
  return DPC_OK;
}

int dpc_rt_cpu(int index) {
  cpu_set_t allowed;
  if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) return -1;
  if (index < 0) index += CPU_COUNT(&allowed);
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &allowed) && index-- == 0) return cpu;
  }
  return -1;
}

// --- threads -------------------------------------------------------------------------------------

static int64_t (*count_heap)(void);

void dpc_thread_count_heap(int64_t (*calls)(void)) {
  count_heap = calls;
}

static dpc_thread_usage usage_so_far(void) {
  struct rusage usage;
  (void)getrusage(RUSAGE_THREAD, &usage);
  return (dpc_thread_usage){.minor_faults = usage.ru_minflt,
                            .major_faults = usage.ru_majflt,
                            .involuntary_switches = usage.ru_nivcsw,
                            .heap_calls = count_heap != NULL ? count_heap() : -1};
}

static dpc_thread_usage usage_since(const dpc_thread_usage* before) {
  dpc_thread_usage usage = usage_so_far();
  usage.minor_faults -= before->minor_faults;
  usage.major_faults -= before->major_faults;
  usage.involuntary_switches -= before->involuntary_switches;
  if (usage.heap_calls >= 0) usage.heap_calls -= before->heap_calls;
  return usage;
}

// A frame as large as what is left of the stack, for a moment: every page has been written then.
__attribute__((noinline)) static void touch_stack(void) {
  enum { LEFT = 8 << 10 };  // for what is called here
  pthread_attr_t attributes;
  void* lowest;
  size_t size;
  if (pthread_getattr_np(pthread_self(), &attributes) != 0) return;
  (void)pthread_attr_getstack(&attributes, &lowest, &size);
  pthread_attr_destroy(&attributes);
  const ptrdiff_t room = (char*)__builtin_frame_address(0) - (char*)lowest - LEFT;
  if (room <= 0) return;
  volatile char* frame = alloca((size_t)room);
  for (ptrdiff_t at = 0; at < room; at += 1024) frame[at] = 0;
}

static void* enter(void* context) {
  dpc_thread* thread = context;
  if (thread->exact) {
    touch_stack();
    // with SCHED_FIFO there is none; this is for when that was refused
    (void)prctl(PR_SET_TIMERSLACK, 1UL, 0, 0, 0);
  }
  const dpc_thread_usage before = usage_so_far();
  thread->run(thread->context);
  thread->usage = usage_since(&before);
  return NULL;
}

static void ask_for_place(pthread_attr_t* attributes, const dpc_thread_place* place) {
  const struct sched_param parameters = {.sched_priority = place->priority};
  pthread_attr_setinheritsched(attributes, PTHREAD_EXPLICIT_SCHED);
  pthread_attr_setschedpolicy(attributes, place->priority > 0 ? SCHED_FIFO : SCHED_OTHER);
  pthread_attr_setschedparam(attributes, &parameters);
  if (!place->pinned) return;
  cpu_set_t own;
  CPU_ZERO(&own);
  CPU_SET(place->cpu, &own);
  pthread_attr_setaffinity_np(attributes, sizeof own, &own);
}

static int create(dpc_thread* thread, const dpc_thread_def* def, const dpc_thread_place* place) {
  pthread_attr_t attributes;
  const int failed = pthread_attr_init(&attributes);
  if (failed != 0) return failed;
  pthread_attr_setstacksize(&attributes, def->stack_size > 0 ? def->stack_size : DPC_THREAD_STACK);
  ask_for_place(&attributes, place);
  // A thread inherits the mask of the one that starts it.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  const int result = pthread_create(&thread->handle, &attributes, enter, thread);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  pthread_attr_destroy(&attributes);
  return result;
}

static dpc_status refuse_thread(const dpc_thread_def* def, int result, dpc_error* error) {
  if (result == EINVAL && def->place.pinned) {
    return dpc_fail(error, DPC_ERR_CONFIG, "thread '%s': this process may not use CPU %d",
                    def->name, def->place.cpu);
  }
  return dpc_fail(error, result == EAGAIN ? DPC_ERR_NO_MEMORY : DPC_ERR_IO, "thread '%s': %s",
                  def->name, strerror(result));
}

dpc_status dpc_thread_start(dpc_thread* thread, const dpc_thread_def* def,
                            void (*run)(void* context), void* context, dpc_error* error) {
  DPC_ASSERT(def->place.cpu >= 0 && def->place.cpu < CPU_SETSIZE);
  dpc_thread_place place = def->place;
  *thread = (dpc_thread){.run = run, .context = context};
  // Written before the thread exists, so that it may read its own description.
  thread->realtime = place.priority > 0;
  thread->exact = place.priority > 0;
  int result = create(thread, def, &place);
  if (result == EPERM && place.priority > 0) {
    thread->realtime = false;
    place.priority = 0;
    result = create(thread, def, &place);
  }
  if (result != 0) return refuse_thread(def, result, error);
  thread->running = true;
  pthread_setname_np(thread->handle, def->name);
  return DPC_OK;
}

void dpc_thread_join(dpc_thread* thread) {
  if (!thread->running) return;
  pthread_join(thread->handle, NULL);
  thread->running = false;
}
