/// The folder of a test of whole programs, with a small policy in it: p.safetensors.
#pragma once

#include "tests/shell.h"
#include "tests/small_policy.h"

static inline int make_base_with_policy(void** state) {
  char path[64];
  dpc_arena arena;
  dpc_error error = {""};
  if (make_base(state) != 0) return -1;
  (void)snprintf(path, sizeof path, "%s/p.safetensors", base);
  assert_ok(dpc_arena_map(&arena, (size_t)1 << 28, &error), &error);
  assert_ok(small_policy_save(path, &arena, &error), &error);
  dpc_arena_unmap(&arena);
  return 0;
}
