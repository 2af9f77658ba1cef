/// The exponential moving average of the weights, which is what a policy runs with.
#pragma once

#include "policy/field.h"

typedef struct dpc_ema_def {
  double power;      // how fast the decay grows
  double inv_gamma;  // stretches the number of updates
  double max_decay;  // the decay is never larger
} dpc_ema_def;

extern const dpc_field_table dpc_ema_fields;  // section "ema"

/// The defaults: power 0.75, inv_gamma 1, at most 0.9999.
/// Allocates: no. Blocks: no. Thread: any.
dpc_ema_def dpc_ema_def_default(void);

/// Decay of update number `step` (from 1): 1 - (1 + n / inv_gamma)^-power with n = step - 2, and 0
/// for the first two updates, as the reference implementation counts.
/// Allocates: no. Blocks: no. Thread: any.
double dpc_ema_decay(const dpc_ema_def* def, int64_t step);

/// average = decay * average + (1 - decay) * params, over [count].
/// Allocates: no. Blocks: no. Thread: any, one range each.
void dpc_ema_update(double decay, const float* params, float* average, size_t count);
