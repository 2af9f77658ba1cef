/// What a recording of dpc-run begins with, made ready for a replay: the settings it ran with, and its
/// policy.
#pragma once

#include "policy/policy.h"
#include "proto/run_log.h"
#include "runtime/controller.h"

typedef struct dpc_replay_settings {
  dpc_controller_def controller;
  dpc_engine_def engine;  // with the precision that `auto` was where it ran
  dpc_sampler_def sampler;
} dpc_replay_settings;

/// Take them from `info`, of the recording at `path`. DPC_ERR_FORMAT for what this version does not know.
/// Allocates: no. Blocks: no. Thread: any.
DPC_NODISCARD dpc_status dpc_replay_take_settings(const char* path, const dpc_run_info* info,
                                                  dpc_replay_settings* out, dpc_error* error);

/// Load the policy at `path`, which must have the weights of the recorded run: DPC_ERR_MISMATCH. Other
/// errors are those of dpc_policy_load_for. Where another instruction set was used then, it warns.
/// Allocates: from the arena. Blocks: disk. Thread: start-up only.
DPC_NODISCARD dpc_status dpc_replay_load_policy(const char* path, const dpc_run_info* info,
                                                const dpc_engine_def* engine, dpc_arena* arena,
                                                dpc_policy** out, dpc_error* error);
