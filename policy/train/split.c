#include "policy/train/split.h"

#include <math.h>

#include "policy/rng.h"

static int validation_count(const dpc_dataset_def* def, int episodes) {
  if (def->val_ratio <= 0) return 0;
  const int count = (int)lround(def->val_ratio * episodes);
  return count < 1 ? 1 : count;
}

static bool same_group(const int* groups, int a, int b) {
  return groups == NULL ? a == b : groups[a] == groups[b];
}

// Mark the group of `episode` as held out, unless that would leave nothing to learn from; returns how
// many episodes it has then, or 0.
static int hold_out(const int* groups, int count, int held, int episode, bool* is_held) {
  int size = 0;
  for (int i = 0; i < count; ++i) size += same_group(groups, i, episode);
  if (held + size >= count) return 0;
  for (int i = 0; i < count; ++i) {
    if (same_group(groups, i, episode)) is_held[i] = true;
  }
  return size;
}

dpc_status dpc_split_make(const dpc_dataset_def* def, int count, const int* groups,
                          dpc_arena* arena, dpc_split* out, dpc_error* error) {
  int* drawn = DPC_TAKE(arena, int, count);
  bool* is_held = DPC_TAKE(arena, bool, count);
  dpc_split split = {.episodes = DPC_TAKE(arena, int, count)};
  if (drawn == NULL || is_held == NULL || split.episodes == NULL) {
    return dpc_arena_full(arena, "the list of episodes", error);
  }
  const dpc_rng_key key = {(uint32_t)def->seed, (uint32_t)(def->seed >> 32)};
  dpc_rng_permutation(key, DPC_STREAM_SPLIT, 0, count, drawn);

  // groups from the front of the drawn order until there are enough
  const int wanted = validation_count(def, count);
  for (int i = 0; i < count && split.val_count < wanted; ++i) {
    if (is_held[drawn[i]]) continue;
    split.val_count += hold_out(groups, count, split.val_count, drawn[i], is_held);
  }
  const int limit = def->max_train_episodes, rest = count - split.val_count;
  split.train_count = limit > 0 && limit < rest ? limit : rest;
  int train = 0, validation = split.train_count;
  for (int i = 0; i < count; ++i) {
    if (is_held[drawn[i]]) {
      split.episodes[validation++] = drawn[i];
    } else if (train < split.train_count) {
      split.episodes[train++] = drawn[i];
    }
  }
  *out = split;
  return DPC_OK;
}
