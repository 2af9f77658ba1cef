/// What `dpc inspect` can look at: episode logs and safetensors files, checkpoints above all.
#pragma once

#include "policy/layout.h"
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

/// The smallest, largest and average of some values.
typedef struct dpc_range {
  double min, max, mean;
} dpc_range;

/// Print the title line of a table of signals: `what` is in it, and what its three numbers are.
/// Allocates: no. Blocks: on the stream. Thread: main only.
void dpc_inspect_print_title(const dpc_cli* cli, const char* what, const char* const titles[3]);

/// Print the line of one signal, or of one of its values when `index` is not -1. A number that is
/// not finite is left blank.
/// Allocates: no. Blocks: on the stream. Thread: main only.
void dpc_inspect_print_signal(const dpc_cli* cli, const dpc_signal* signal, int index,
                              const double numbers[3]);
