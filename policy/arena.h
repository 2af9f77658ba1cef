/// Bump memory over one block. Everything a controller needs is taken from arenas before the first
/// tick; after that the tick only moves a pointer inside one. A full arena is an error, never a
/// reason to go to the heap.
#pragma once

#include "policy/base.h"

/// Alignment of everything taken: a cache line, and the widest vector load.
#define DPC_ARENA_ALIGN ((size_t)64)

typedef struct dpc_arena {
  char* base;   // start of the block, aligned to DPC_ARENA_ALIGN
  size_t size;  // bytes in the block
  size_t used;  // bytes taken, padding included
  size_t peak;  // the most `used` has been
} dpc_arena;

/// Use the caller's block of `size` bytes; the caller keeps owning it.
/// Allocates: no. Blocks: no. Thread: any, one arena each.
void dpc_arena_init(dpc_arena* arena, void* block, size_t size);

/// Reserve `size` bytes of address space from the system. Pages cost memory only once touched, so
/// a generous size is cheap. Release with `dpc_arena_unmap`.
/// Allocates: yes (mmap). Blocks: no. Thread: start-up only.
DPC_NODISCARD dpc_status dpc_arena_map(dpc_arena* arena, size_t size, dpc_error* error);

/// Give a mapped block back. What was taken from it is gone. An all-zero arena is left alone.
/// Allocates: no. Blocks: no. Thread: shutdown only.
void dpc_arena_unmap(dpc_arena* arena);

/// Give back the address space of a mapped block beyond what has been taken and `spare` more bytes,
/// rounded up to a huge page: locking memory would make all of it real.
/// Allocates: no. Blocks: no. Thread: start-up only.
void dpc_arena_trim(dpc_arena* arena, size_t spare);

/// Take `size` bytes, zeroed and aligned to DPC_ARENA_ALIGN. NULL when the arena is full.
/// Allocates: no. Blocks: no. Thread: the arena's owner.
DPC_NODISCARD void* dpc_arena_take(dpc_arena* arena, size_t size);

/// Take `count` objects of `type`, zeroed: `float* x = DPC_TAKE(arena, float, n);`
#define DPC_TAKE(arena, type, count) \
  ((type*)dpc_arena_take((arena), sizeof(type) * (size_t)(count)))

/// The status for a full arena: names what was being made and how large the arena is.
/// Allocates: no. Blocks: no. Thread: any.
dpc_status dpc_arena_full(const dpc_arena* arena, const char* what, dpc_error* error);

/// Remember the current level, to return to it with `dpc_arena_release`.
/// Allocates: no. Blocks: no. Thread: the arena's owner.
size_t dpc_arena_mark(const dpc_arena* arena);

/// Forget everything taken since `mark`.
/// Allocates: no. Blocks: no. Thread: the arena's owner.
void dpc_arena_release(dpc_arena* arena, size_t mark);
