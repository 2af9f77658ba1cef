#include "tools/allocations.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)

int64_t dpc_allocations(void) {
  return -1;
}

int64_t dpc_allocations_here(void) {
  return -1;
}

#else

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

// The C library's own, under the names by which it can be reached from a malloc that hides it.
// NOLINTBEGIN(bugprone-reserved-identifier)
void* __libc_malloc(size_t size);
void* __libc_calloc(size_t count, size_t size);
void* __libc_realloc(void* block, size_t size);
void* __libc_memalign(size_t alignment, size_t size);
void __libc_free(void* block);
// NOLINTEND(bugprone-reserved-identifier)

#define FRONT __attribute__((visibility("default"), noinline))

static _Atomic int64_t calls;
static _Thread_local int64_t calls_here;

static void note_call(void) {
  atomic_fetch_add_explicit(&calls, 1, memory_order_relaxed);
  ++calls_here;
}

int64_t dpc_allocations(void) {
  return atomic_load(&calls);
}

int64_t dpc_allocations_here(void) {
  return calls_here;
}

FRONT void* malloc(size_t size) {
  note_call();
  return __libc_malloc(size);
}

FRONT void* calloc(size_t count, size_t size) {
  note_call();
  return __libc_calloc(count, size);
}

FRONT void* realloc(void* block, size_t size) {
  note_call();
  return __libc_realloc(block, size);
}

FRONT void* aligned_alloc(size_t alignment, size_t size) {
  note_call();
  return __libc_memalign(alignment, size);
}

FRONT int posix_memalign(void** out, size_t alignment, size_t size) {
  note_call();
  void* block = __libc_memalign(alignment, size);
  if (block == NULL) return ENOMEM;
  *out = block;
  return 0;
}

FRONT void free(void* block) {
  note_call();
  __libc_free(block);
}

#endif
