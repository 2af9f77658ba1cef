#include "policy/sampler.h"

#include <math.h>

// Every update rule here is linear once the clean chunk is clipped, so a step is six numbers:
//   clean = clip(clean_from_x x + clean_from_prediction prediction)
//   x     = from_clean clean + from_x x + from_prediction prediction + from_noise noise
typedef struct sampler_step {
  int timestep;
  double clean_from_x, clean_from_prediction;
  double from_clean, from_x, from_prediction, from_noise;
} sampler_step;

struct dpc_sampler {
  int count;
  double clip;
  sampler_step* steps;  // [count], from noisy to clean
};

const char* const dpc_sampler_kind_names[] = {"ddim", "ddpm", NULL};
const char* const dpc_grid_names[] = {"leading", "linspace", "trailing", NULL};
static const char* const variances[] = {"fixed_small", "fixed_large", NULL};

static const dpc_field fields[] = {
    DPC_CHOICE(dpc_sampler_def, kind, "ddim", dpc_sampler_kind_names, "the update rule"),
    DPC_INT(dpc_sampler_def, steps, "10", 1, 10000, "",
            "denoising steps per chunk, at most schedule.steps"),
    DPC_REAL(dpc_sampler_def, eta, "0", 0, 1, "", "ddim: 0 deterministic, 1 as random as ddpm"),
    DPC_CHOICE(dpc_sampler_def, grid, "leading", dpc_grid_names,
               "which training timesteps are visited; trailing for few steps"),
    DPC_REAL(dpc_sampler_def, clip, "1", 0, 1000, "normalised",
             "limit of the predicted clean chunk; 0 is off"),
    DPC_CHOICE(dpc_sampler_def, variance, "fixed_small", variances, "ddpm: noise that is added"),
    DPC_BOOL(dpc_sampler_def, recompute_epsilon, "false",
             "ddim: recompute epsilon from the clipped clean chunk"),
};
DPC_FIELD_TABLE(dpc_sampler_fields, dpc_sampler_def, "sampler", "from noise to an action chunk",
                fields);

dpc_sampler_def dpc_sampler_def_default(void) {
  dpc_sampler_def def;
  dpc_fields_default(&dpc_sampler_fields, &def);
  return def;
}

dpc_status dpc_sampler_def_check(const dpc_sampler_def* def, dpc_error* error) {
  return dpc_fields_check(&dpc_sampler_fields, def, error);
}

// --- grid -----------------------------------------------------------------------------------------

// Timestep i of count, noisy first. The arithmetic is numpy's (arange and linspace in doubles, round
// half to even), so that ties fall as they do in diffusers.
static int grid_timestep(dpc_grid grid, int total, int count, int i) {
  const int from_end = count - 1 - i;
  switch (grid) {
    case DPC_GRID_LEADING:
      return from_end * (total / count);
    case DPC_GRID_LINSPACE:
      if (count == 1) return 0;
      if (i == 0) return total - 1;
      return (int)rint(from_end * ((total - 1.0) / (count - 1.0)));
    case DPC_GRID_TRAILING: {
      const double second = total - (double)total / count;
      return (int)rint(total + i * (second - total)) - 1;
    }
  }
  return 0;
}

// --- coefficients ---------------------------------------------------------------------------------

// A prediction p of noisy x means: clean = clean_x x + clean_p p, epsilon = epsilon_x x + epsilon_p p.
typedef struct meaning {
  double clean_x, clean_p, epsilon_x, epsilon_p;
} meaning;

static meaning meaning_of(dpc_prediction prediction, double alpha_bar) {
  const double signal = sqrt(alpha_bar), noise = sqrt(1.0 - alpha_bar);
  switch (prediction) {
    case DPC_PREDICT_EPSILON:
      return (meaning){1.0 / signal, -noise / signal, 0.0, 1.0};
    case DPC_PREDICT_SAMPLE:
      return (meaning){0.0, 1.0, 1.0 / noise, -signal / noise};
    case DPC_PREDICT_V:
      return (meaning){signal, -noise, noise, signal};
  }
  return (meaning){0};
}

// Song et al. 2020, eq. 12 and 16; `next` is the cumulative alpha that the step leads to.
static void set_ddim(const dpc_sampler_def* def, const meaning* m, double now, double next,
                     sampler_step* step) {
  const double variance = (1.0 - next) / (1.0 - now) * (1.0 - now / next);
  const double sigma = def->eta * sqrt(variance);
  const double direction = sqrt(fmax(1.0 - next - sigma * sigma, 0.0));
  step->from_clean = sqrt(next);
  step->from_noise = sigma;
  if (def->recompute_epsilon) {
    step->from_x = direction / sqrt(1.0 - now);
    step->from_clean -= step->from_x * sqrt(now);
  } else {
    step->from_x = direction * m->epsilon_x;
    step->from_prediction = direction * m->epsilon_p;
  }
}

// Ho et al. 2020, eq. 6 and 7, over the alphas between two grid entries. diffusers keeps the
// variance from reaching 0, and so do we.
static void set_ddpm(const dpc_sampler_def* def, double now, double next, sampler_step* step) {
  const double alpha = now / next, beta = 1.0 - alpha;
  const double small = fmax((1.0 - next) / (1.0 - now) * beta, 1e-20);
  step->from_clean = sqrt(next) * beta / (1.0 - now);
  step->from_x = sqrt(alpha) * (1.0 - next) / (1.0 - now);
  step->from_noise = sqrt(def->variance == DPC_VARIANCE_FIXED_SMALL ? small : beta);
}

static void set_steps(const dpc_sampler_def* def, const dpc_schedule* schedule,
                      sampler_step* steps) {
  for (int i = 0; i < def->steps; ++i) {
    steps[i].timestep = grid_timestep((dpc_grid)def->grid, schedule->def.steps, def->steps, i);
    DPC_ASSERT(steps[i].timestep >= 0 && steps[i].timestep < schedule->def.steps);
    DPC_ASSERT(i == 0 || steps[i].timestep < steps[i - 1].timestep);
  }
  for (int i = 0; i < def->steps; ++i) {
    const bool last = i == def->steps - 1;
    const double now = schedule->alpha_bar[steps[i].timestep];
    const double next = last ? 1.0 : schedule->alpha_bar[steps[i + 1].timestep];
    const meaning m = meaning_of((dpc_prediction)schedule->def.prediction, now);
    steps[i].clean_from_x = m.clean_x;
    steps[i].clean_from_prediction = m.clean_p;
    if (def->kind == DPC_SAMPLER_DDIM) {
      set_ddim(def, &m, now, next, &steps[i]);
    } else {
      set_ddpm(def, now, next, &steps[i]);
    }
    if (last) steps[i].from_noise = 0.0;
  }
}

dpc_status dpc_sampler_create(const dpc_sampler_def* def, const dpc_schedule* schedule,
                              dpc_arena* arena, dpc_sampler** out, dpc_error* error) {
  DPC_TRY(dpc_sampler_def_check(def, error));
  if (def->steps > schedule->def.steps) {
    return dpc_fail(error, DPC_ERR_CONFIG, "sampler.steps: %d is more than schedule.steps, %d",
                    def->steps, schedule->def.steps);
  }
  const size_t mark = dpc_arena_mark(arena);
  dpc_sampler* sampler = DPC_TAKE(arena, dpc_sampler, 1);
  sampler_step* steps = DPC_TAKE(arena, sampler_step, def->steps);
  if (sampler == NULL || steps == NULL) {
    dpc_arena_release(arena, mark);
    return dpc_arena_full(arena, "a sampler", error);
  }
  set_steps(def, schedule, steps);
  *sampler = (dpc_sampler){.count = def->steps, .clip = def->clip, .steps = steps};
  *out = sampler;
  return DPC_OK;
}

// --- acting ---------------------------------------------------------------------------------------

int dpc_sampler_steps(const dpc_sampler* sampler) {
  return sampler->count;
}

int dpc_sampler_timestep(const dpc_sampler* sampler, int i) {
  DPC_ASSERT(i >= 0 && i < sampler->count);
  return sampler->steps[i].timestep;
}

bool dpc_sampler_stochastic(const dpc_sampler* sampler, int i) {
  DPC_ASSERT(i >= 0 && i < sampler->count);
  return sampler->steps[i].from_noise > 0.0;
}

// In doubles: near T the clean chunk is the difference of two numbers that were multiplied by
// thousands, and a chunk is too short for the width to cost time.
void dpc_sampler_step(const dpc_sampler* sampler, int i, const float* prediction,
                      const float* noise, int n, float* x) {
  const bool stochastic = dpc_sampler_stochastic(sampler, i);
  DPC_ASSERT(!stochastic || noise != NULL);
  const sampler_step s = sampler->steps[i];
  const double limit = sampler->clip > 0.0 ? sampler->clip : INFINITY;
  for (int j = 0; j < n; ++j) {
    const double now = x[j], predicted = prediction[j];
    double clean = s.clean_from_x * now + s.clean_from_prediction * predicted;
    clean = clean > limit ? limit : clean < -limit ? -limit : clean;  // NaN stays NaN
    x[j] = (float)(s.from_clean * clean + s.from_x * now + s.from_prediction * predicted +
                   (stochastic ? s.from_noise * noise[j] : 0.0));
  }
}
