/// What `dpc inspect` can look at: episode logs, safetensors files (checkpoints above all), the
/// folders of training runs, and recordings of dpc run.
#pragma once

#include "tools/cli.h"

/// Print what is in an episode log and report it. Every file is read and verified.
/// Allocates: heap, freed before it returns. Blocks: on the disk. Thread: main only.
DPC_NODISCARD dpc_status dpc_inspect_episodes(const dpc_cli* cli, const char* path,
                                              dpc_error* error);

/// Print what is in a safetensors file and report it. A checkpoint is loaded as a controller would,
/// so what is printed can be run.
/// Allocates: heap and mmap, freed before it returns. Blocks: on the disk. Thread: main only.
DPC_NODISCARD dpc_status dpc_inspect_safetensors(const dpc_cli* cli, const char* path,
                                                 dpc_error* error);

/// Print what happened in a recorded run and report it: ticks, modes, plans, and what went wrong.
/// Allocates: heap, freed before it returns. Blocks: on the disk. Thread: main only.
DPC_NODISCARD dpc_status dpc_inspect_recording(const dpc_cli* cli, const char* path,
                                               dpc_error* error);

/// Print how a training run went and report it: settings, losses, scores, best policies.
/// Allocates: heap, freed before it returns. Blocks: on the disk. Thread: main only.
DPC_NODISCARD dpc_status dpc_inspect_run(const dpc_cli* cli, const char* path, dpc_error* error);

/// Print several runs as a table and report it, with the settings in which they differ; of runs that
/// differ in their seed alone, mean and standard deviation too.
/// Allocates: heap, freed before it returns. Blocks: on the disk. Thread: main only.
DPC_NODISCARD dpc_status dpc_inspect_runs(const dpc_cli* cli, const char* const* paths, int count,
                                          dpc_error* error);
