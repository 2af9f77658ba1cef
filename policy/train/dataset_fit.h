/// What a dataset's values are like, for its normalisers; a part of `dpc_dataset_create`.
#pragma once

#include "policy/train/dataset.h"

/// Go through all rows of the listed episodes: check that every value is finite, fit the normalisers,
/// and set `action_reach`. Errors are those of `dpc_dataset_create`.
/// Allocates: from the arena. Blocks: disk, where a mapped recording is not in memory. Thread: start-up
/// only.
DPC_NODISCARD dpc_status dpc_dataset_fit(dpc_dataset* dataset, dpc_arena* arena, dpc_error* error);
