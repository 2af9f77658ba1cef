#include "policy/arena.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(address, size)   ((void)(address), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(address, size) ((void)(address), (void)(size))
#endif

static size_t align_up(size_t size) {
  return (size + DPC_ARENA_ALIGN - 1) & ~(DPC_ARENA_ALIGN - 1);
}

void dpc_arena_init(dpc_arena* arena, void* block, size_t size) {
  const size_t skip = align_up((uintptr_t)block) - (uintptr_t)block;
  *arena = (dpc_arena){.base = (char*)block + skip, .size = size > skip ? size - skip : 0};
  ASAN_POISON_MEMORY_REGION(arena->base, arena->size);
}

dpc_status dpc_arena_map(dpc_arena* arena, size_t size, dpc_error* error) {
  void* block =
      mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (block == MAP_FAILED) {
    return dpc_fail(error, DPC_ERR_NO_MEMORY, "cannot reserve %zu bytes: %s", size,
                    strerror(errno));
  }
  // Where the system has huge pages, a network's weights take ten of them instead of thousands.
  (void)madvise(block, size, MADV_HUGEPAGE);
  // not poisoned up front: of gigabytes that stay untouched, the sanitizer would mark every byte
  *arena = (dpc_arena){.base = block, .size = size};
  return DPC_OK;
}

void dpc_arena_unmap(dpc_arena* arena) {
  if (arena->base == NULL) return;
  ASAN_UNPOISON_MEMORY_REGION(arena->base, arena->size);
  munmap(arena->base, arena->size);
  *arena = (dpc_arena){0};
}

void dpc_arena_trim(dpc_arena* arena, size_t spare) {
  const uintptr_t page = (uintptr_t)2 << 20, base = (uintptr_t)arena->base;
  const size_t kept = ((base + arena->used + spare + page - 1) & ~(page - 1)) - base;
  if (kept >= arena->size) return;
  munmap(arena->base + kept, arena->size - kept);
  arena->size = kept;
}

void* dpc_arena_take(dpc_arena* arena, size_t size) {
  if (size > arena->size || align_up(size) > arena->size - arena->used) return NULL;
  void* taken = arena->base + arena->used;
  arena->used += align_up(size);
  if (arena->used > arena->peak) arena->peak = arena->used;
  ASAN_UNPOISON_MEMORY_REGION(taken, size);
  return memset(taken, 0, size);
}

dpc_status dpc_arena_full(const dpc_arena* arena, const char* what, dpc_error* error) {
  return dpc_fail(error, DPC_ERR_NO_MEMORY, "%s does not fit: the arena of %zu bytes has %zu left",
                  what, arena->size, arena->size - arena->used);
}

size_t dpc_arena_mark(const dpc_arena* arena) {
  return arena->used;
}

void dpc_arena_release(dpc_arena* arena, size_t mark) {
  DPC_ASSERT(mark <= arena->used);
  ASAN_POISON_MEMORY_REGION(arena->base + mark, arena->used - mark);
  arena->used = mark;
}
