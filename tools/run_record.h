/// What a recording of dpc-run begins with: everything that a replay needs besides the policy's file.
#pragma once

#include "policy/policy.h"
#include "runtime/recorder.h"
#include "tools/config.h"

typedef struct dpc_run_record_def {
  const char* path;    // run.record; "" = no file
  const char* policy;  // path of its file
  const dpc_policy* loaded;
  const dpc_config_section*
      sections;  // [section_count], as they are used: nothing is `auto` any more
  int section_count;
  const dpc_interface* robot;
  dpc_duration period;  // of a tick
} dpc_run_record_def;

/// Make the recorder of a run. Errors are those of dpc_recorder_create; DPC_ERR_NO_MEMORY.
/// Allocates: from the arena; heap for the file. Blocks: disk. Thread: start-up only.
DPC_NODISCARD dpc_status dpc_run_record_create(const dpc_run_record_def* def, dpc_arena* arena,
                                               dpc_recorder** out, dpc_error* error);
