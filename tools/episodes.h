/// An episode log as the plain arrays that training takes. They are mapped from a file (see
/// tools/spool.h), so a log may be larger than memory; one episode at a time has to fit.
#pragma once

#include "policy/train/dataset.h"
#include "proto/episode_log.h"
#include "tools/spool.h"

/// Episodes as they come in, one at a time; all zero in the beginning.
typedef struct dpc_episodes_loader {
  dpc_episode_source source;  // what is known of all: interface, dims and how many
  int capacity;               // episodes that lengths and groups have room for
  int* lengths;
  int* groups;
  dpc_spool obs, action;
} dpc_episodes_loader;

/// Add a copy of an episode, which has the interface of those before (DPC_ERR_MISMATCH). `name` is its
/// file's, or words for messages. On failure, free with dpc_episodes_drop.
/// Allocates: heap. Blocks: disk. Thread: the loader's.
DPC_NODISCARD dpc_status dpc_episodes_add(dpc_episodes_loader* loader, const dpc_episode* episode,
                                          const char* name, dpc_error* error);

/// What was added, at least one episode, as a source; the loader is empty again, also on failure.
/// Allocates: mmap. Blocks: disk. Thread: the loader's.
DPC_NODISCARD dpc_status dpc_episodes_take(dpc_episodes_loader* loader, dpc_episode_source* source,
                                           dpc_error* error);

/// Free what was added. An all-zero loader is left alone.
/// Allocates: no. Blocks: no. Thread: the loader's.
void dpc_episodes_drop(dpc_episodes_loader* loader);

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
