/// An episode log as the plain arrays that training takes. They are mapped from a file (see
/// tools/spool.h), so a log may be larger than memory; one episode at a time has to fit.
#pragma once

#include "policy/train/dataset.h"

/// Load every episode of the folder `path`, in the order of the log. All must have the interface of
/// the first (DPC_ERR_MISMATCH names the episode that differs); a damaged episode or a value that
/// is not finite fails as `dpc_episode_read` does, and DPC_ERR_IO is about the file. An episode and its
/// mirror image (see tools/augment.c) are a group. `source->sha256` covers names, dims, lengths and
/// values, but not how they are stored. Free with `dpc_episodes_free`.
/// Allocates: heap, mmap. Blocks: disk. Thread: start-up only.
DPC_NODISCARD dpc_status dpc_episodes_load(const char* path, dpc_episode_source* source,
                                           dpc_error* error);

/// Free the arrays. An all-zero source is left alone.
/// Allocates: no. Blocks: no. Thread: any.
void dpc_episodes_free(dpc_episode_source* source);
