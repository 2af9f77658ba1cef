/// What an evaluation says in the end, to people and to programs.
#pragma once

#include "policy/policy.h"
#include "tools/cli.h"
#include "tools/score.h"

enum { DPC_EVAL_CASES_MAX = 64 };

/// One way to drive, over all seeds.
typedef struct dpc_eval_case {
  dpc_rollout_def def;
  dpc_rollout_result* results;  // [episodes]
  dpc_score score;
  double loss, loss_ci95[2];  // of score against the first case, seed by seed
  double seconds;
} dpc_eval_case;

/// All of an evaluation.
typedef struct dpc_eval_outcome {
  const char* policy_path;
  const dpc_policy* policy;
  dpc_seed_range seeds;
  int case_count;
  dpc_eval_case cases[DPC_EVAL_CASES_MAX];
} dpc_eval_outcome;

/// A table for people on standard output: of one case, or of several beside each other.
/// Allocates: no. Blocks: on the stream. Thread: any.
void dpc_eval_print(const dpc_cli* cli, const dpc_eval_outcome* outcome);

/// The same as JSON: the first case, and with several `comparison`, which has them all.
/// Allocates: heap; free with dpc_json_free. Blocks: no. Thread: any.
dpc_json* dpc_eval_json(const dpc_eval_outcome* outcome);
