/// What an evaluation keeps of its episodes besides numbers: recordings, and a picture.
#pragma once

#include "tools/rollout.h"

/// Write an episode as number `index` of the log in the folder `dir`, with notes about the policy in
/// the file `policy`.
/// Allocates: heap, given back. Blocks: disk. Thread: any.
DPC_NODISCARD dpc_status dpc_eval_record(const char* dir, int index, const char* policy,
                                         const dpc_rollout_result* result,
                                         const dpc_episode* episode, dpc_error* error);

/// Draw moments of an episode, evenly spaced from first to last, side by side into the PNG `path`.
/// Allocates: heap, in cairo. Blocks: disk. Thread: any.
DPC_NODISCARD dpc_status dpc_eval_draw(const char* path, const dpc_rollout_result* result,
                                       const dpc_episode* episode, dpc_error* error);
