/// Rollouts in the course of training: how the policy does by now, and the best ones kept.
#pragma once

#include "tools/train_metrics.h"

/// First seed of rollouts while training: the selection seeds. Results are reported for others.
enum { DPC_TRAIN_ROLLOUT_SEED = 200000 };

/// Rollouts are episodes of the push world: DPC_ERR_CONFIG when they are asked for, and the policy
/// is not one for it.
/// Allocates: no. Blocks: no. Thread: any.
DPC_NODISCARD dpc_status dpc_train_rollouts_check(const dpc_train_def* def,
                                                  const dpc_interface* interface, dpc_error* error);

/// Let the policy as it is now drive the push world, note its score, and keep it if it is one of
/// train.keep_best. What fails is said and does not stop training; the policies that were kept
/// before are then all still there. Returns how many files could not be saved.
/// Allocates: heap and mapped memory, given back. Blocks: disk, and until it is done. Thread: the
/// trainer's.
int dpc_train_roll_out(const dpc_train_def* def, dpc_trainer* trainer, dpc_train_metrics* metrics);
