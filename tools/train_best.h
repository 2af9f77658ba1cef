/// The policies of the best rollouts of a run, in its folder. Their names say step and score, and
/// are all that is known of them: whoever goes on with the run goes on with what is there.
///
/// What is ranked is the score as the name has it, in thousandths; of equal ones the earlier stays.
#pragma once

#include "tools/json.h"

enum { DPC_TRAIN_BEST_MAX = 64 };

typedef struct dpc_train_best {
  int64_t step;
  double score;   // as the name says
  char name[64];  // "best_step_007500_0.960.safetensors"
} dpc_train_best;

typedef struct dpc_train_best_list {
  int count;
  dpc_train_best items[DPC_TRAIN_BEST_MAX];  // best first
} dpc_train_best_list;

/// The policy of a step with a score in [0, 1].
/// Allocates: no. Blocks: no. Thread: any.
dpc_train_best dpc_train_best_of(int64_t step, double score);

/// List what is in a folder; of more than DPC_TRAIN_BEST_MAX, the best.
/// Allocates: heap, freed before it returns. Blocks: disk. Thread: any.
DPC_NODISCARD dpc_status dpc_train_best_read(const char* folder, dpc_train_best_list* out,
                                             dpc_error* error);

/// True when a policy belongs to the `keep` best together with those in the list.
/// Allocates: no. Blocks: no. Thread: any.
bool dpc_train_best_belongs(const dpc_train_best_list* list, const dpc_train_best* policy,
                            int keep);

/// Remove all but the `keep` best from the folder. Only once what replaces them is there.
/// Allocates: as `dpc_train_best_read`. Blocks: disk. Thread: the trainer's.
DPC_NODISCARD dpc_status dpc_train_best_prune(const char* folder, int keep, dpc_error* error);

/// Remove those of steps after `step`: a run that goes on from there makes them again.
/// Allocates: as `dpc_train_best_read`. Blocks: disk. Thread: the trainer's.
DPC_NODISCARD dpc_status dpc_train_best_drop_later(const char* folder, int64_t step,
                                                   dpc_error* error);

/// The list as a JSON array of paths, steps and scores, owned by the caller.
/// Allocates: heap. Blocks: no. Thread: any.
dpc_json* dpc_train_best_json(const char* folder, const dpc_train_best_list* list);
