/// Learning: the batch in fixed shards, each forward and backward on one thread, their gradients
/// summed in a fixed order, clipped, and given to AdamW. So the number of threads changes how long
/// a step takes and not one bit of its result.
#pragma once

#include "policy/train/trainer_state.h"

typedef struct dpc_trainer dpc_trainer;

/// What one update did.
typedef struct dpc_train_report {
  int64_t step;          // number of the update, from 1
  double loss;           // mean over the batch of the weighted squared error, before the update
  double learning_rate;  // of this update
  double gradient_norm;  // before clipping
  double epoch;          // passes over the training windows since the beginning, with a fraction
} dpc_train_report;

/// Make network, work areas and threads, and draw the first weights. `dataset` is used until
/// `dpc_trainer_destroy`. The arena keeps being used for saving and loading. Returns
/// DPC_ERR_CONFIG for settings that do not fit, DPC_ERR_NO_MEMORY.
/// Allocates: from the arena, and thread stacks. Blocks: no. Thread: start-up only.
DPC_NODISCARD dpc_status dpc_trainer_create(const dpc_train_settings* settings,
                                            const dpc_dataset* dataset, dpc_arena* arena,
                                            dpc_trainer** out, dpc_error* error);

/// The same for a student: targets come from `teacher` as settings.distill says, weights begin as its
/// weights (dpc_unet_adopt), and settings, interface and normalisers of the dataset must be the
/// teacher's: DPC_ERR_MISMATCH names what is not. The teacher is used until `dpc_trainer_destroy`.
/// Allocates: as dpc_trainer_create. Blocks: no. Thread: start-up only.
DPC_NODISCARD dpc_status dpc_trainer_create_student(const dpc_train_settings* settings,
                                                    const dpc_teacher* teacher,
                                                    const dpc_dataset* dataset, dpc_arena* arena,
                                                    dpc_trainer** out, dpc_error* error);

/// Stop the threads. NULL is left alone.
/// Allocates: no. Blocks: until the threads have ended. Thread: the one that created it.
void dpc_trainer_destroy(dpc_trainer* trainer);

/// Make one update. Returns DPC_ERR_INVALID naming the step when loss or gradient is not finite;
/// the weights are then those from before.
/// Allocates: no. Blocks: until it is done. Thread: the one that created it.
DPC_NODISCARD dpc_status dpc_trainer_step(dpc_trainer* trainer, dpc_train_report* report,
                                          dpc_error* error);

/// The same mean of the averaged weights over all validation windows, without noise on observations,
/// and with the same noise and timesteps every time; NaN when there are none.
/// Allocates: no. Blocks: until it is done. Thread: the one that created it.
double dpc_trainer_validate(dpc_trainer* trainer);

/// Updates made so far.
/// Allocates: no. Blocks: no. Thread: the one that created it.
int64_t dpc_trainer_steps_done(const dpc_trainer* trainer);

/// Number of threads that share the work.
/// Allocates: no. Blocks: no. Thread: any.
int dpc_trainer_threads(const dpc_trainer* trainer);

/// Everything a policy with the trainer's weights says about itself.
/// Allocates: no. Blocks: no. Thread: any.
const dpc_checkpoint_info* dpc_trainer_info(const dpc_trainer* trainer);

/// The network's plan.
/// Allocates: no. Blocks: no. Thread: any.
const dpc_unet* dpc_trainer_unet(const dpc_trainer* trainer);

/// Step, weights, average and moments.
/// Allocates: no. Blocks: no. Thread: the one that created it.
const dpc_trainer_state* dpc_trainer_state_of(const dpc_trainer* trainer);

/// Save all that is needed to go on, as `dpc_trainer_state_save`.
/// Allocates: as there. Blocks: disk. Thread: the one that created it.
DPC_NODISCARD dpc_status dpc_trainer_save(dpc_trainer* trainer, const char* path, dpc_error* error);

/// Go on where the saved state was, as `dpc_trainer_state_load`: every later step has the bits it
/// would have had without the break. The trainer is unchanged on failure.
/// Allocates: as there. Blocks: disk. Thread: the one that created it.
DPC_NODISCARD dpc_status dpc_trainer_resume(dpc_trainer* trainer, const char* path,
                                            dpc_error* error);

/// Save the averaged weights as a policy, as `dpc_checkpoint_save`.
/// Allocates: as there. Blocks: disk. Thread: the one that created it.
DPC_NODISCARD dpc_status dpc_trainer_export(dpc_trainer* trainer, const char* path,
                                            dpc_error* error);
