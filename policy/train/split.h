/// Which episodes are learned from, and which are for validation.
#pragma once

#include "policy/train/dataset.h"

/// Episodes of a recording, by number: those for training first, then those for validation.
typedef struct dpc_split {
  int* episodes;  // [train_count + val_count]
  int train_count, val_count;
} dpc_split;

/// Draw by `def->seed`. Validation takes round(val_ratio * count) episodes, at least one when
/// val_ratio > 0, and with an episode all others of its group (`groups` [count], NULL when each is its
/// own), as long as there are some left to learn from. DPC_ERR_NO_MEMORY.
/// Allocates: from the arena. Blocks: no. Thread: start-up only.
DPC_NODISCARD dpc_status dpc_split_make(const dpc_dataset_def* def, int count, const int* groups,
                                        dpc_arena* arena, dpc_split* out, dpc_error* error);
