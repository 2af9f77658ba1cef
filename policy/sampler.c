#include "policy/sampler.h"

#include <math.h>

// Every update rule here is linear once the clean chunk is clipped, so a step is six numbers:
//   clean = clip(clean_from_x x + clean_from_prediction prediction)
//   x     = from_clean clean + from_x x + from_prediction prediction + from_noise noise
typedef struct sampler_step {
  double timestep;
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
    DPC_INT(dpc_sampler_def, steps, "10", DPC_STEPS_AUTO, 10000, "",
            "denoising steps per chunk, at most schedule.steps; -1 (dpc run): as many of the "
            "policy's own as fit in the delay"),
    DPC_REAL(dpc_sampler_def, eta, "0", 0, 1, "", "ddim: 0 deterministic, 1 as random as ddpm"),
    DPC_CHOICE(dpc_sampler_def, grid, "leading", dpc_grid_names,
               "which training timesteps are visited; trailing for few steps; flow has its own"),
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

dpc_status dpc_sampler_def_check(const dpc_sampler_def* def, const dpc_schedule_def* schedule,
                                 dpc_error* error) {
  DPC_TRY(dpc_fields_check(&dpc_sampler_fields, def, error));
  if (def->steps < 1) {
    return dpc_fail(error, DPC_ERR_CONFIG,
                    "sampler.steps: %d, but at least 1 is needed; -1 is for dpc run to choose",
                    def->steps);
  }
  if (def->steps > schedule->steps) {
    return dpc_fail(error, DPC_ERR_CONFIG, "sampler.steps: %d is more than schedule.steps, %d",
                    def->steps, schedule->steps);
  }
  if (def->kind == DPC_SAMPLER_DDPM && schedule->kind == DPC_SCHEDULE_FLOW) {
    return dpc_fail(error, DPC_ERR_CONFIG,
                    "sampler.kind: ddpm does not go with schedule.kind flow; ddim is Euler's "
                    "method there");
  }
  return DPC_OK;
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

static double timestep_at(const dpc_sampler_def* def, const dpc_schedule_def* schedule, int i) {
  if (schedule->kind == DPC_SCHEDULE_FLOW) {
    return (double)schedule->steps * (def->steps - i) / def->steps;
  }
  return grid_timestep((dpc_grid)def->grid, schedule->steps, def->steps, i);
}

// --- coefficients ---------------------------------------------------------------------------------

// Song et al. 2020, eq. 12 and 16, written for any two factors. `ratio` compares signal to noise now
// with what it will be; the noise that eta draws anew takes the place of old noise.
static void set_ddim(const dpc_sampler_def* def, const dpc_reading* reading, dpc_noise_level now,
                     dpc_noise_level next, sampler_step* step) {
  const double ratio = now.signal * next.noise / (now.noise * next.signal);
  const double sigma = def->eta * next.noise * sqrt(1.0 - ratio * ratio);
  const double direction = sqrt(fmax(next.noise * next.noise - sigma * sigma, 0.0));
  step->from_clean = next.signal;
  step->from_noise = sigma;
  if (def->recompute_epsilon) {
    step->from_x = direction / now.noise;
    step->from_clean -= step->from_x * now.signal;
  } else {
    step->from_x = direction * reading->epsilon_x;
    step->from_prediction = direction * reading->epsilon_p;
  }
}

// Ho et al. 2020, eq. 6 and 7, over the alphas between two grid entries. diffusers keeps the
// variance from reaching 0, and so do we.
static void set_ddpm(const dpc_sampler_def* def, dpc_noise_level now, dpc_noise_level next,
                     sampler_step* step) {
  const double root_alpha = now.signal / next.signal, beta = 1.0 - root_alpha * root_alpha;
  const double root_kept = next.noise / now.noise, kept = root_kept * root_kept;
  step->from_clean = next.signal * beta / (now.noise * now.noise);
  step->from_x = root_alpha * kept;
  step->from_noise =
      sqrt(def->variance == DPC_VARIANCE_FIXED_SMALL ? fmax(kept * beta, 1e-20) : beta);
}

static void set_steps(const dpc_sampler_def* def, const dpc_schedule* schedule,
                      sampler_step* steps) {
  for (int i = 0; i < def->steps; ++i) {
    steps[i].timestep = timestep_at(def, &schedule->def, i);
    DPC_ASSERT(i == 0 || steps[i].timestep < steps[i - 1].timestep);
  }
  for (int i = 0; i < def->steps; ++i) {
    const bool last = i == def->steps - 1;
    const dpc_noise_level clean = {.signal = 1.0, .noise = 0.0};
    const dpc_noise_level now = dpc_schedule_level(schedule, steps[i].timestep);
    const dpc_noise_level next = last ? clean : dpc_schedule_level(schedule, steps[i + 1].timestep);
    const dpc_reading reading = dpc_schedule_reading(schedule, now);
    steps[i].clean_from_x = reading.clean_x;
    steps[i].clean_from_prediction = reading.clean_p;
    if (def->kind == DPC_SAMPLER_DDIM) {
      set_ddim(def, &reading, now, next, &steps[i]);
    } else {
      set_ddpm(def, now, next, &steps[i]);
    }
    if (last) steps[i].from_noise = 0.0;
  }
}

dpc_status dpc_sampler_create(const dpc_sampler_def* def, const dpc_schedule* schedule,
                              dpc_arena* arena, dpc_sampler** out, dpc_error* error) {
  DPC_TRY(dpc_sampler_def_check(def, &schedule->def, error));
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

float dpc_sampler_timestep(const dpc_sampler* sampler, int i) {
  DPC_ASSERT(i >= 0 && i < sampler->count);
  return (float)sampler->steps[i].timestep;
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
    // one after the other, so that neither is a branch; NaN stays NaN
    clean = clean < -limit ? -limit : clean;
    clean = clean > limit ? limit : clean;
    x[j] = (float)(s.from_clean * clean + s.from_x * now + s.from_prediction * predicted +
                   (stochastic ? s.from_noise * noise[j] : 0.0));
  }
}
