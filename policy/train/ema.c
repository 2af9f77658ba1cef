#include "policy/train/ema.h"

#include <math.h>

static const dpc_field fields[] = {
    DPC_REAL(dpc_ema_def, power, "0.75", 0, 10, "", "how fast the decay grows"),
    DPC_REAL(dpc_ema_def, inv_gamma, "1", 1e-6, 1e9, "", "stretches the number of updates"),
    DPC_REAL(dpc_ema_def, max_decay, "0.9999", 0, 1, "", "the decay is never larger"),
};
DPC_FIELD_TABLE(dpc_ema_fields, dpc_ema_def, "ema",
                "The moving average of the weights, which a policy runs with.", fields);

dpc_ema_def dpc_ema_def_default(void) {
  dpc_ema_def def;
  dpc_fields_default(&dpc_ema_fields, &def);
  return def;
}

double dpc_ema_decay(const dpc_ema_def* def, int64_t step) {
  const int64_t updates = step - 2;
  if (updates <= 0) return 0;
  const double decay = 1 - pow(1 + (double)updates / def->inv_gamma, -def->power);
  return decay < def->max_decay ? decay : def->max_decay;
}

void dpc_ema_update(double decay, const float* restrict params, float* restrict average,
                    size_t count) {
  const float keep = (float)decay, rest = (float)(1 - decay);
  for (size_t i = 0; i < count; ++i) average[i] = average[i] * keep + rest * params[i];
}
