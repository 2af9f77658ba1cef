/// The folder that a training run writes to, and what is in it.
#pragma once

#include "policy/base.h"

/// A file in the folder; both names fit.
typedef struct dpc_train_path {
  char text[320];
} dpc_train_path;

/// The path of a file in the folder of a run.
/// Allocates: no. Blocks: no. Thread: any.
dpc_train_path dpc_train_file(const char* folder, const char* name);

/// What is done with a run that is there already.
typedef enum dpc_train_there {
  DPC_TRAIN_REFUSE,
  DPC_TRAIN_RESUME,
  DPC_TRAIN_OVERWRITE
} dpc_train_there;

/// Make the folder, with those above it. A run that is in it is refused with DPC_ERR_CONFIG, left
/// as it is, or removed. Unfinished files of processes that were killed are removed.
/// Allocates: heap, freed before it returns. Blocks: disk. Thread: start-up only.
DPC_NODISCARD dpc_status dpc_train_output_prepare(const char* folder, dpc_train_there there,
                                                  dpc_error* error);
