#include "policy/train/optimizer.h"

#include <math.h>

// --- settings -----------------------------------------------------------------------------------

static const dpc_field adamw_fields[] = {
    DPC_REAL(dpc_adamw_def, beta1, "0.95", 0, 0.999999, "", "decay of the gradients' mean"),
    DPC_REAL(dpc_adamw_def, beta2, "0.999", 0, 0.999999999, "", "decay of their squares' mean"),
    DPC_REAL(dpc_adamw_def, epsilon, "1e-8", 1e-16, 1, "", "keeps the division finite"),
    DPC_REAL(dpc_adamw_def, weight_decay, "1e-6", 0, 1, "", "decoupled weight decay"),
};
DPC_FIELD_TABLE(dpc_adamw_fields, dpc_adamw_def, "adamw", "The optimiser.", adamw_fields);

dpc_adamw_def dpc_adamw_def_default(void) {
  dpc_adamw_def def;
  dpc_fields_default(&dpc_adamw_fields, &def);
  return def;
}

dpc_status dpc_adamw_def_check(const dpc_adamw_def* def, dpc_error* error) {
  return dpc_fields_check(&dpc_adamw_fields, def, error);
}

// --- the update ---------------------------------------------------------------------------------

void dpc_adamw_step(const dpc_adamw_def* def, int64_t step, double lr, const float* restrict grads,
                    float* restrict params, float* restrict m, float* restrict v, size_t count) {
  DPC_ASSERT(step >= 1);
  // scalars in double as in Python, rounded once, as PyTorch does where they meet a float tensor
  const double correction1 = 1 - pow(def->beta1, (double)step);
  const double correction2 = 1 - pow(def->beta2, (double)step);
  const float keep = (float)(1 - lr * def->weight_decay);
  const float step_size = (float)(-(lr / correction1));
  const float root = (float)sqrt(correction2);
  const float beta1 = (float)def->beta1, rest1 = (float)(1 - def->beta1);
  const float beta2 = (float)def->beta2, rest2 = (float)(1 - def->beta2);
  const float epsilon = (float)def->epsilon;

  for (size_t i = 0; i < count; ++i) {
    const float g = grads[i];
    const float mean = m[i] * beta1 + rest1 * g;
    const float square = v[i] * beta2 + rest2 * g * g;
    const float denominator = sqrtf(square) / root + epsilon;
    m[i] = mean;
    v[i] = square;
    params[i] = params[i] * keep + step_size * mean / denominator;
  }
}

double dpc_cosine_schedule(int64_t step, int64_t warmup_steps, int64_t steps) {
  const int64_t done = step - 1, rest = steps - warmup_steps;
  if (done < warmup_steps) return (double)done / (double)warmup_steps;
  const double progress = (double)(done - warmup_steps) / (double)(rest > 1 ? rest : 1);
  return progress >= 1 ? 0 : 0.5 * (1 + cos(M_PI * progress));
}

// Sixteen sums side by side, so that the compiler may use vectors without changing any order.
double dpc_sum_of_squares(const float* values, size_t count) {
  double sums[16] = {0};
  const size_t whole = count - count % 16;
  for (size_t i = 0; i < whole; i += 16) {
    for (size_t k = 0; k < 16; ++k) sums[k] += (double)values[i + k] * (double)values[i + k];
  }
  double total = 0;
  for (size_t k = 0; k < 16; ++k) total += sums[k];
  for (size_t i = whole; i < count; ++i) total += (double)values[i] * (double)values[i];
  return total;
}

float dpc_clip_scale(double norm, double clip_norm) {
  if (clip_norm <= 0) return 1;
  const double scale = clip_norm / (norm + 1e-6);
  return scale < 1 ? (float)scale : 1;
}
