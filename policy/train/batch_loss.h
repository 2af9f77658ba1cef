/// The loss of a batch and its gradient, on all threads. The batch is cut into shards of a fixed
/// size; each goes forward and backward on one thread into a gradient of its own, and those are
/// summed in the order of the shards, whoever made them.
#pragma once

#include "policy/train/objective.h"
#include "policy/train/shortcut.h"
#include "policy/train/workers.h"

typedef struct dpc_batch_loss dpc_batch_loss;

/// What a batch loss is made of; all const, and used as long as it is.
typedef struct dpc_batch_loss_parts {
  const dpc_dataset* dataset;
  const dpc_unet* unet;
  const dpc_schedule* schedule;
  const dpc_train_def* train;    // batch, shard, and the objective
  const dpc_distill* distill;    // where targets come from; NULL: the windows themselves
  const dpc_shortcut* shortcut;  // whose windows are not of the flow alone; NULL: there are none
  dpc_workers* workers;
  dpc_rng_key key;  // of noise, timesteps and settled rows
} dpc_batch_loss_parts;

/// Some windows, and the numbers that their noise and timesteps are drawn with.
typedef struct dpc_batch {
  const dpc_window_list* windows;
  const int* picks;  // [count], indices into `windows`
  int count;
  uint32_t plan;         // the update's number from 1; 0 for validation
  uint32_t sample;       // number of the first pick
  const float* average;  // [parameters], for targets that the student makes itself
} dpc_batch;

/// Windows of a shard. A batch makes two at least, so that two threads have work; how many threads
/// there are must not matter to the sums. Allocates: no. Blocks: no. Thread: any.
int dpc_batch_loss_shard(const dpc_train_def* train);

/// Take work areas and gradients. DPC_ERR_NO_MEMORY.
/// Allocates: from the arena. Blocks: no. Thread: start-up only.
DPC_NODISCARD dpc_status dpc_batch_loss_create(const dpc_batch_loss_parts* parts, dpc_arena* arena,
                                               dpc_batch_loss** out, dpc_error* error);

/// Mean over the batch of the weighted squared error of what the network predicts, settled rows left
/// out; forward only.
/// Allocates: no. Blocks: until it is done. Thread: the one that created the workers.
double dpc_batch_loss_forward(dpc_batch_loss* loss, const dpc_batch* batch, const float* params);

/// The same, and its gradient by `params` with the gradient's norm.
/// Allocates: no. Blocks: until it is done. Thread: the one that created the workers.
double dpc_batch_loss_gradient(dpc_batch_loss* loss, const dpc_batch* batch, const float* params,
                               double* norm);

/// The last gradient, [parameters]; may be changed until the next one.
/// Allocates: no. Blocks: no. Thread: the one that created the workers.
float* dpc_batch_loss_grads(const dpc_batch_loss* loss);
