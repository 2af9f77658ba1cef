/// What `dpc verify` measures: our network against a pair of files.
#pragma once

#include "tools/verify_pair.h"

/// The most that may differ and still be the same network.
#define DPC_VERIFY_OUTPUT_LIMIT 2e-5
#define DPC_VERIFY_GRAD_LIMIT   1e-8
#define DPC_VERIFY_LOSS_LIMIT   1e-4

/// Differences. A normalised mean squared error (nmse) is squared error over squared size.
typedef struct dpc_verify_result {
  double output_max_abs;
  double loss_abs;
  double grad_nmse_max;    // largest over the parameters' tensors
  double grad_nmse_raw;    // the same before any weight was adjusted (see below)
  const char* grad_worst;  // the tensor that has it
  int grad_step;           // the step whose gradients the file holds, 1 or the last
  int grad_adjusted;       // weights whose first update was read off the reference
  double grad_sample_nmse, grad_cond_nmse;  // of the inputs, first step
  double losses_abs;                        // largest over the AdamW steps
  double params_abs;                        // after the last step, of the tensors that the file has
} dpc_verify_result;

/// Run forward, backward and the AdamW steps, and compare.
///
/// A file's gradients may be those of the first step or, where its writer kept references that later
/// steps overwrote, of the last. On the way there AdamW divides each gradient by its own size, so that
/// one which is zero but for rounding decides by rounding which way its weight goes. Where the last
/// step's gradients are over their limit, the first update of the few most doubtful weights is
/// fitted to them, within the size of an update, and their number is reported.
///
/// The pair's parameters are updated. The message names file and tensor.
/// Allocates: from the arena. Blocks: no. Thread: start-up only.
DPC_NODISCARD dpc_status dpc_verify_run(dpc_verify_pair* pair, dpc_arena* arena,
                                        dpc_verify_result* out, dpc_error* error);
