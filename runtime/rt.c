#include "runtime/rt.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#if defined(__SSE2__)
#include <xmmintrin.h>
#endif

unsigned dpc_denormals_flush(void) {
#if defined(__SSE2__)
  enum { FLUSH_TO_ZERO = 0x8000, DENORMALS_ARE_ZERO = 0x0040 };
  const unsigned before = _mm_getcsr();
  _mm_setcsr(before | FLUSH_TO_ZERO | DENORMALS_ARE_ZERO);
  return before;
#else
  return 0;
#endif
}

void dpc_denormals_restore(unsigned before) {
#if defined(__SSE2__)
  _mm_setcsr(before);
#else
  (void)before;
#endif
}

static void* enter(void* context) {
  const dpc_thread* thread = context;
  thread->run(thread->context);
  return NULL;
}

static void ask_for_priority(pthread_attr_t* attributes, int priority) {
  const struct sched_param parameters = {.sched_priority = priority};
  pthread_attr_setinheritsched(attributes, PTHREAD_EXPLICIT_SCHED);
  pthread_attr_setschedpolicy(attributes, priority > 0 ? SCHED_FIFO : SCHED_OTHER);
  pthread_attr_setschedparam(attributes, &parameters);
}

static int create(dpc_thread* thread, const dpc_thread_def* def, int priority) {
  pthread_attr_t attributes;
  const int failed = pthread_attr_init(&attributes);
  if (failed != 0) return failed;
  pthread_attr_setstacksize(&attributes, def->stack_size > 0 ? def->stack_size : DPC_THREAD_STACK);
  ask_for_priority(&attributes, priority);
  // A thread inherits the mask of the one that starts it.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  const int result = pthread_create(&thread->handle, &attributes, enter, thread);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  pthread_attr_destroy(&attributes);
  return result;
}

dpc_status dpc_thread_start(dpc_thread* thread, const dpc_thread_def* def,
                            void (*run)(void* context), void* context, dpc_error* error) {
  *thread = (dpc_thread){.run = run, .context = context};
  // Written before the thread exists, so that it may read its own description.
  thread->realtime = def->priority > 0;
  int result = create(thread, def, def->priority);
  if (result == EPERM && def->priority > 0) {
    thread->realtime = false;
    result = create(thread, def, 0);
  }
  if (result != 0) {
    return dpc_fail(error, result == EAGAIN ? DPC_ERR_NO_MEMORY : DPC_ERR_IO, "thread '%s': %s",
                    def->name, strerror(result));
  }
  thread->running = true;
  pthread_setname_np(thread->handle, def->name);
  return DPC_OK;
}

void dpc_thread_join(dpc_thread* thread) {
  if (!thread->running) return;
  pthread_join(thread->handle, NULL);
  thread->running = false;
}
