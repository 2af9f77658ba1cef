#include "policy/schedule.h"

#include <math.h>

static const char* const kinds[] = {"linear", "scaled_linear", "squaredcos_cap_v2", NULL};
static const char* const predictions[] = {"epsilon", "sample", "v_prediction", NULL};

static const dpc_field fields[] = {
    DPC_CHOICE(dpc_schedule_def, kind, "squaredcos_cap_v2", kinds, "how beta grows"),
    DPC_INT(dpc_schedule_def, steps, "100", 1, 10000, "", "training timesteps T"),
    DPC_REAL(dpc_schedule_def, beta_start, "0.0001", 1e-9, 0.999, "", "linear kinds: first beta"),
    DPC_REAL(dpc_schedule_def, beta_end, "0.02", 1e-9, 0.999, "", "linear kinds: last beta"),
    DPC_CHOICE(dpc_schedule_def, prediction, "epsilon", predictions,
               "what the network predicts: the noise, the clean chunk, or v"),
};
DPC_FIELD_TABLE(dpc_schedule_fields, dpc_schedule_def, "schedule", "noise over training timesteps",
                fields);

dpc_schedule_def dpc_schedule_def_default(void) {
  dpc_schedule_def def;
  dpc_fields_default(&dpc_schedule_fields, &def);
  return def;
}

dpc_status dpc_schedule_def_check(const dpc_schedule_def* def, dpc_error* error) {
  DPC_TRY(dpc_fields_check(&dpc_schedule_fields, def, error));
  if (def->beta_start > def->beta_end) {
    return dpc_fail(error, DPC_ERR_CONFIG, "schedule.beta_start: %g is above beta_end, %g",
                    def->beta_start, def->beta_end);
  }
  return DPC_OK;
}

// Point i of count evenly spaced ones from first to last; a single point is the first.
static double even(double first, double last, int i, int count) {
  return count == 1 ? first : first + (last - first) * i / (count - 1);
}

// The cumulative alpha of the cosine schedule at time s in [0, 1], up to a factor.
static double cosine(double s) {
  const double half_pi = 1.570796326794896619231;
  const double c = cos((s + 0.008) / 1.008 * half_pi);
  return c * c;
}

static double beta_at(const dpc_schedule_def* def, int t) {
  const int count = def->steps;
  switch ((dpc_schedule_kind)def->kind) {
    case DPC_SCHEDULE_LINEAR:
      return even(def->beta_start, def->beta_end, t, count);
    case DPC_SCHEDULE_SCALED_LINEAR: {
      const double root = even(sqrt(def->beta_start), sqrt(def->beta_end), t, count);
      return root * root;
    }
    case DPC_SCHEDULE_SQUAREDCOS_CAP_V2:
      return fmin(1.0 - cosine((t + 1.0) / count) / cosine((double)t / count), 0.999);
  }
  return NAN;
}

dpc_status dpc_schedule_create(const dpc_schedule_def* def, dpc_arena* arena, dpc_schedule** out,
                               dpc_error* error) {
  DPC_TRY(dpc_schedule_def_check(def, error));
  const size_t mark = dpc_arena_mark(arena);
  dpc_schedule* schedule = DPC_TAKE(arena, dpc_schedule, 1);
  double* beta = DPC_TAKE(arena, double, def->steps);
  double* alpha_bar = DPC_TAKE(arena, double, def->steps);
  if (schedule == NULL || beta == NULL || alpha_bar == NULL) {
    dpc_arena_release(arena, mark);
    return dpc_arena_full(arena, "a noise schedule", error);
  }
  double product = 1.0;
  for (int t = 0; t < def->steps; ++t) {
    beta[t] = beta_at(def, t);
    product *= 1.0 - beta[t];
    alpha_bar[t] = product;
  }
  if (product < 1e-200) {
    dpc_arena_release(arena, mark);
    return dpc_fail(error, DPC_ERR_CONFIG,
                    "schedule: no signal is left at the last timestep (cumulative alpha %g): fewer "
                    "steps or smaller betas",
                    product);
  }
  *schedule = (dpc_schedule){.def = *def, .beta = beta, .alpha_bar = alpha_bar};
  *out = schedule;
  return DPC_OK;
}

void dpc_schedule_add_noise(const dpc_schedule* schedule, int t, const float* clean,
                            const float* noise, int n, float* noisy) {
  DPC_ASSERT(t >= 0 && t < schedule->def.steps);
  const float signal = (float)sqrt(schedule->alpha_bar[t]);
  const float spread = (float)sqrt(1.0 - schedule->alpha_bar[t]);
  for (int i = 0; i < n; ++i) noisy[i] = signal * clean[i] + spread * noise[i];
}

void dpc_schedule_target(const dpc_schedule* schedule, int t, const float* clean,
                         const float* noise, int n, float* target) {
  DPC_ASSERT(t >= 0 && t < schedule->def.steps);
  const float signal = (float)sqrt(schedule->alpha_bar[t]);
  const float spread = (float)sqrt(1.0 - schedule->alpha_bar[t]);
  switch ((dpc_prediction)schedule->def.prediction) {
    case DPC_PREDICT_EPSILON:
      for (int i = 0; i < n; ++i) target[i] = noise[i];
      return;
    case DPC_PREDICT_SAMPLE:
      for (int i = 0; i < n; ++i) target[i] = clean[i];
      return;
    case DPC_PREDICT_V:
      for (int i = 0; i < n; ++i) target[i] = signal * noise[i] - spread * clean[i];
      return;
  }
}
