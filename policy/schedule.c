#include "policy/schedule.h"

#include <math.h>

static const char* const kinds[] = {"linear", "scaled_linear", "squaredcos_cap_v2", "flow", NULL};
static const char* const predictions[] = {"epsilon", "sample", "v_prediction", "velocity", NULL};

static const dpc_field fields[] = {
    DPC_CHOICE(dpc_schedule_def, kind, "squaredcos_cap_v2", kinds,
               "how beta grows; flow: no betas, straight from noise to clean"),
    DPC_INT(dpc_schedule_def, steps, "100", 1, 10000, "",
            "training timesteps T; flow: any real time between 0 and T"),
    DPC_REAL(dpc_schedule_def, beta_start, "0.0001", 1e-9, 0.999, "", "linear kinds: first beta"),
    DPC_REAL(dpc_schedule_def, beta_end, "0.02", 1e-9, 0.999, "", "linear kinds: last beta"),
    DPC_CHOICE(dpc_schedule_def, prediction, "epsilon", predictions,
               "what the network predicts: the noise, the clean chunk, v, or (flow) clean - noise"),
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
  const bool flow = def->kind == DPC_SCHEDULE_FLOW;
  const bool velocity = def->prediction == DPC_PREDICT_VELOCITY;
  const bool fits = flow ? velocity || def->prediction == DPC_PREDICT_SAMPLE : !velocity;
  if (!fits) {
    return dpc_fail(error, DPC_ERR_CONFIG, "schedule.prediction: %s does not go with kind %s, %s",
                    predictions[def->prediction], kinds[def->kind],
                    flow ? "which takes velocity or sample" : "only with flow");
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

// Of the kinds that have betas.
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
    case DPC_SCHEDULE_FLOW:
      break;
  }
  return NAN;
}

static dpc_status create_tables(dpc_schedule* schedule, dpc_arena* arena, dpc_error* error) {
  const int steps = schedule->def.steps;
  schedule->beta = DPC_TAKE(arena, double, steps);
  schedule->levels = DPC_TAKE(arena, dpc_noise_level, steps);
  if (schedule->beta == NULL || schedule->levels == NULL) {
    return dpc_arena_full(arena, "a noise schedule", error);
  }
  double product = 1.0;
  for (int t = 0; t < steps; ++t) {
    schedule->beta[t] = beta_at(&schedule->def, t);
    product *= 1.0 - schedule->beta[t];
    schedule->levels[t] = (dpc_noise_level){sqrt(product), sqrt(1.0 - product)};
  }
  if (product < 1e-200) {
    return dpc_fail(error, DPC_ERR_CONFIG,
                    "schedule: no signal is left at the last timestep (cumulative alpha %g): fewer "
                    "steps or smaller betas",
                    product);
  }
  return DPC_OK;
}

dpc_status dpc_schedule_create(const dpc_schedule_def* def, dpc_arena* arena, dpc_schedule** out,
                               dpc_error* error) {
  DPC_TRY(dpc_schedule_def_check(def, error));
  const size_t mark = dpc_arena_mark(arena);
  dpc_schedule* schedule = DPC_TAKE(arena, dpc_schedule, 1);
  if (schedule == NULL) return dpc_arena_full(arena, "a noise schedule", error);
  *schedule = (dpc_schedule){.def = *def};
  if (def->kind != DPC_SCHEDULE_FLOW) {
    const dpc_status status = create_tables(schedule, arena, error);
    if (status != DPC_OK) {
      dpc_arena_release(arena, mark);
      return status;
    }
  }
  *out = schedule;
  return DPC_OK;
}

// --- what the network sees and says ---------------------------------------------------------------

dpc_noise_level dpc_schedule_level(const dpc_schedule* schedule, double t) {
  const int steps = schedule->def.steps;
  if (schedule->def.kind == DPC_SCHEDULE_FLOW) {
    DPC_ASSERT(t >= 0.0 && t <= steps);
    return (dpc_noise_level){.signal = 1.0 - t / steps, .noise = t / steps};
  }
  DPC_ASSERT(t >= 0.0 && t < steps && t == (int)t);
  return schedule->levels[(int)t];
}

// The target and x_t = signal x_0 + noise e, solved for x_0 and e.
dpc_reading dpc_schedule_reading(const dpc_schedule* schedule, dpc_noise_level level) {
  const double signal = level.signal, noise = level.noise;
  switch ((dpc_prediction)schedule->def.prediction) {
    case DPC_PREDICT_EPSILON:
      return (dpc_reading){1.0 / signal, -noise / signal, 0.0, 1.0};
    case DPC_PREDICT_SAMPLE:
      return (dpc_reading){0.0, 1.0, 1.0 / noise, -signal / noise};
    case DPC_PREDICT_V:  // signal^2 + noise^2 = 1
      return (dpc_reading){signal, -noise, noise, signal};
    case DPC_PREDICT_VELOCITY:  // signal + noise = 1
      return (dpc_reading){1.0, noise, 1.0, -signal};
  }
  return (dpc_reading){0};
}

void dpc_schedule_add_noise(dpc_noise_level level, const float* clean, const float* noise, int n,
                            float* noisy) {
  const float signal = (float)level.signal, spread = (float)level.noise;
  for (int i = 0; i < n; ++i) noisy[i] = signal * clean[i] + spread * noise[i];
}

void dpc_schedule_target(const dpc_schedule* schedule, dpc_noise_level level, const float* clean,
                         const float* noise, int n, float* target) {
  const float signal = (float)level.signal, spread = (float)level.noise;
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
    case DPC_PREDICT_VELOCITY:
      for (int i = 0; i < n; ++i) target[i] = clean[i] - noise[i];
      return;
  }
}

double dpc_schedule_min_snr(const dpc_schedule* schedule, dpc_noise_level level, double gamma) {
  const double ratio = level.signal / level.noise;
  const double clean_p = dpc_schedule_reading(schedule, level).clean_p;
  return fmin(ratio * ratio, gamma) * clean_p * clean_p;
}
