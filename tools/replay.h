/// What `dpc replay` can play again: recordings of runs, through controller and policy, and episode logs
/// of the push world, through the world.
#pragma once

#include "tools/cli.h"

/// Compute a recorded run again, with the policy at `policy` (NULL: where the recording says), and report
/// whether every bit is as recorded. DPC_ERR_MISMATCH names the first tick and field that differ.
/// Allocates: heap and mmap, given back. Blocks: disk. Thread: main only.
DPC_NODISCARD dpc_status dpc_replay_run(const dpc_cli* cli, const char* path, const char* policy,
                                        dpc_error* error);

/// Play an episode log's actions open loop through the push world, and report how far from where it was
/// recorded the block ends up. DPC_ERR_MISMATCH when that is more than 1 px in any episode.
/// Allocates: heap, freed before it returns. Blocks: disk. Thread: main only.
DPC_NODISCARD dpc_status dpc_replay_world(const dpc_cli* cli, const char* path, dpc_error* error);
