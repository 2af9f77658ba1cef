/// What dpc-train and dpc-distill do alike, which is nearly all: settings, folder, loop, resuming.
#pragma once

#include "tools/cli.h"

typedef struct dpc_train_program {
  const char* name;
  const char* doc;
  const char* arguments;
  bool distills;  // TEACHER is its first argument, and `distill` a section of its settings
} dpc_train_program;

/// A program's main: its exit code.
/// Allocates: mapped memory, heap. Blocks: disk, and until it is done. Thread: main only.
int dpc_train_main(const dpc_train_program* what, int argc, char** argv);
