#include "policy/sampler.h"

#include <math.h>
#include <string.h>

// Every update rule here is linear once the clean chunk is clipped, so what follows an evaluation of
// the network is a handful of numbers, and the rules differ in nothing else:
//   clean  = clip(clean_from_x x + clean_from_prediction prediction)
//   x      = from_clean clean + from_x x + from_prediction prediction + from_memory memory
//            + from_noise noise
//   memory = memory_from_clean clean + memory_from_x x, of the same x as above
typedef struct sampler_step {
  double timestep, size;
  double clean_from_x, clean_from_prediction;
  double from_clean, from_x, from_prediction, from_memory, from_noise;
  double memory_from_clean, memory_from_x;
} sampler_step;

struct dpc_sampler {
  int count;  // evaluations
  double clip;
  float temperature;
  sampler_step* steps;  // [count], from noisy to clean
};

const char* const dpc_sampler_kind_names[] = {"ddim",        "ddpm",     "dpmpp_2m", "heun",
                                              "consistency", "shortcut", NULL};
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
    DPC_REAL_LATER(dpc_sampler_def, temperature, "1", 0, 10, "",
                   "scale of all noise: below 1 it keeps to what is likely, 0 is always the same"),
};
DPC_FIELD_TABLE(dpc_sampler_fields, dpc_sampler_def, "sampler", "from noise to an action chunk",
                fields);

dpc_sampler_def dpc_sampler_def_default(void) {
  dpc_sampler_def def;
  dpc_fields_default(&dpc_sampler_fields, &def);
  return def;
}

static dpc_status check_shortcut(const dpc_sampler_def* def, const dpc_schedule_def* schedule,
                                 dpc_error* error) {
  if (schedule->prediction != DPC_PREDICT_VELOCITY) {
    return dpc_fail(error, DPC_ERR_CONFIG,
                    "sampler.kind: shortcut goes with schedule.prediction velocity only");
  }
  if ((def->steps & (def->steps - 1)) == 0) return DPC_OK;
  return dpc_fail(error, DPC_ERR_CONFIG,
                  "sampler.steps: %d, but shortcuts are taken in 1, 2, 4, 8, ... steps",
                  def->steps);
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
  const bool flow = schedule->kind == DPC_SCHEDULE_FLOW;
  if (def->kind == DPC_SAMPLER_DDPM && flow) {
    return dpc_fail(error, DPC_ERR_CONFIG,
                    "sampler.kind: ddpm does not go with schedule.kind flow; ddim is Euler's "
                    "method there");
  }
  if (def->kind == DPC_SAMPLER_HEUN && !flow) {
    return dpc_fail(error, DPC_ERR_CONFIG,
                    "sampler.kind: heun goes with schedule.kind flow only; dpmpp_2m is of the same "
                    "order");
  }
  return def->kind == DPC_SAMPLER_SHORTCUT ? check_shortcut(def, schedule, error) : DPC_OK;
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

// --- update rules ---------------------------------------------------------------------------------

// One step of the grid, and what a rule needs to know of its neighbourhood.
typedef struct place {
  const dpc_sampler_def* def;
  const dpc_schedule* schedule;
  bool first, last;
  double timestep, next_timestep;
  dpc_noise_level before, now, next;  // `before` not for the first; after the last all is clean
} place;

// Writes what the step takes, one evaluation or two, and returns how many. All was zero.
typedef int set_rule(const place* at, sampler_step* steps);

static void set_reading(const place* at, double timestep, dpc_noise_level level,
                        sampler_step* step) {
  const dpc_reading reading = dpc_schedule_reading(at->schedule, level);
  step->timestep = timestep;
  step->clean_from_x = reading.clean_x;
  step->clean_from_prediction = reading.clean_p;
}

// Noise to signal after the step over that before it: exp(-h) of DPM-Solver's h, 0 in the last step.
static double noise_ratio(dpc_noise_level now, dpc_noise_level next) {
  return now.signal * next.noise / (now.noise * next.signal);
}

// Song et al. 2020, eq. 12 and 16, written for any two factors. The noise that eta draws anew takes
// the place of old noise.
static int set_ddim(const place* at, sampler_step* step) {
  const dpc_noise_level now = at->now, next = at->next;
  const double ratio = noise_ratio(now, next);
  const double sigma = at->def->eta * next.noise * sqrt(1.0 - ratio * ratio);
  const double direction = sqrt(fmax(next.noise * next.noise - sigma * sigma, 0.0));
  set_reading(at, at->timestep, now, step);
  step->from_clean = next.signal;
  step->from_noise = sigma;
  if (at->def->recompute_epsilon) {
    step->from_x = direction / now.noise;
    step->from_clean -= step->from_x * now.signal;
  } else {
    const dpc_reading reading = dpc_schedule_reading(at->schedule, now);
    step->from_x = direction * reading.epsilon_x;
    step->from_prediction = direction * reading.epsilon_p;
  }
  return 1;
}

// Ho et al. 2020, eq. 6 and 7, over the alphas between two grid entries. diffusers keeps the
// variance from reaching 0, and so do we.
static int set_ddpm(const place* at, sampler_step* step) {
  const dpc_noise_level now = at->now, next = at->next;
  const double root_alpha = now.signal / next.signal, beta = 1.0 - root_alpha * root_alpha;
  const double root_kept = next.noise / now.noise, kept = root_kept * root_kept;
  set_reading(at, at->timestep, now, step);
  step->from_clean = next.signal * beta / (now.noise * now.noise);
  step->from_x = root_alpha * kept;
  step->from_noise =
      sqrt(at->def->variance == DPC_VARIANCE_FIXED_SMALL ? fmax(kept * beta, 1e-20) : beta);
  return 1;
}

// Lu et al. 2022, algorithm 2: the clean chunk is extrapolated along the one before, which there is
// not in the first step; in the last, h is infinite. From pure noise the step before was.
static int set_dpmpp_2m(const place* at, sampler_step* step) {
  const double ratio = noise_ratio(at->now, at->next), factor = at->next.signal * (1.0 - ratio);
  double ahead = 0.0;  // 1 / (2 r)
  if (!at->first && !at->last) ahead = 0.5 * log(ratio) / log(noise_ratio(at->before, at->now));
  set_reading(at, at->timestep, at->now, step);
  step->from_x = at->next.noise / at->now.noise;
  step->from_clean = factor * (1.0 + ahead);
  step->from_memory = -factor * ahead;
  step->memory_from_clean = 1.0;
  return 1;
}

// Heun's method on a flow, whose velocity is (clean - x) / noise: Euler to the next time, then
// again from where the step began with the mean of both velocities. At the end of time there is no
// second one, and Euler's is the last step.
static int set_heun(const place* at, sampler_step* steps) {
  const double length = at->now.noise - at->next.noise;
  const double whole = length / at->now.noise;
  set_reading(at, at->timestep, at->now, &steps[0]);
  steps[0].from_x = 1.0 - whole;
  steps[0].from_clean = whole;
  if (at->last) return 1;
  steps[0].memory_from_x = 1.0 - whole / 2.0;
  steps[0].memory_from_clean = whole / 2.0;

  const double half = length / (2.0 * at->next.noise);
  set_reading(at, at->next_timestep, at->next, &steps[1]);
  steps[1].from_memory = 1.0;
  steps[1].from_x = -half;
  steps[1].from_clean = half;
  return 2;
}

// Song et al. 2023, algorithm 1: to the clean chunk at once, and back to the next noise level.
static int set_consistency(const place* at, sampler_step* step) {
  set_reading(at, at->timestep, at->now, step);
  step->from_clean = at->next.signal;
  step->from_noise = at->next.noise;
  return 1;
}

// The velocity is for a step of just this size, so there is no clean chunk to be read from it before
// the last one.
static int set_shortcut(const place* at, sampler_step* step) {
  set_reading(at, at->timestep, at->now, step);
  step->size = at->timestep - at->next_timestep;
  if (at->last) {
    step->from_clean = 1.0;
    return 1;
  }
  step->from_x = 1.0;
  step->from_prediction = at->now.noise - at->next.noise;
  return 1;
}

static set_rule* const rules[] = {
    [DPC_SAMPLER_DDIM] = set_ddim,
    [DPC_SAMPLER_DDPM] = set_ddpm,
    [DPC_SAMPLER_DPMPP_2M] = set_dpmpp_2m,
    [DPC_SAMPLER_HEUN] = set_heun,
    [DPC_SAMPLER_CONSISTENCY] = set_consistency,
    [DPC_SAMPLER_SHORTCUT] = set_shortcut,
};

// --- making it ------------------------------------------------------------------------------------

static int evaluations(const dpc_sampler_def* def) {
  return def->kind == DPC_SAMPLER_HEUN ? 2 * def->steps - 1 : def->steps;
}

static place place_at(const dpc_sampler_def* def, const dpc_schedule* schedule, int i) {
  place at = {.def = def,
              .schedule = schedule,
              .first = i == 0,
              .last = i == def->steps - 1,
              .timestep = timestep_at(def, &schedule->def, i)};
  at.now = dpc_schedule_level(schedule, at.timestep);
  at.next = (dpc_noise_level){.signal = 1.0, .noise = 0.0};
  if (!at.first) at.before = dpc_schedule_level(schedule, timestep_at(def, &schedule->def, i - 1));
  if (at.last) return at;
  at.next_timestep = timestep_at(def, &schedule->def, i + 1);
  at.next = dpc_schedule_level(schedule, at.next_timestep);
  DPC_ASSERT(at.next_timestep < at.timestep);
  return at;
}

static void set_steps(const dpc_sampler_def* def, const dpc_schedule* schedule,
                      sampler_step* steps) {
  int count = 0;
  for (int i = 0; i < def->steps; ++i) {
    const place at = place_at(def, schedule, i);
    sampler_step* step = &steps[count];
    count += rules[def->kind](&at, step);
    step->from_noise = at.last ? 0.0 : step->from_noise * def->temperature;
  }
  DPC_ASSERT(count == evaluations(def));
}

dpc_status dpc_sampler_create(const dpc_sampler_def* def, const dpc_schedule* schedule,
                              dpc_arena* arena, dpc_sampler** out, dpc_error* error) {
  DPC_TRY(dpc_sampler_def_check(def, &schedule->def, error));
  const size_t mark = dpc_arena_mark(arena);
  dpc_sampler* sampler = DPC_TAKE(arena, dpc_sampler, 1);
  sampler_step* steps = DPC_TAKE(arena, sampler_step, evaluations(def));
  if (sampler == NULL || steps == NULL) {
    dpc_arena_release(arena, mark);
    return dpc_arena_full(arena, "a sampler", error);
  }
  set_steps(def, schedule, steps);
  *sampler = (dpc_sampler){.count = evaluations(def),
                           .clip = def->clip,
                           .temperature = (float)def->temperature,
                           .steps = steps};
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

float dpc_sampler_step_size(const dpc_sampler* sampler, int i) {
  DPC_ASSERT(i >= 0 && i < sampler->count);
  return (float)sampler->steps[i].size;
}

bool dpc_sampler_stochastic(const dpc_sampler* sampler, int i) {
  DPC_ASSERT(i >= 0 && i < sampler->count);
  return sampler->steps[i].from_noise > 0.0;
}

void dpc_sampler_begin(const dpc_sampler* sampler, int n, float* x, float* memory) {
  for (int j = 0; j < n; ++j) x[j] *= sampler->temperature;
  memset(memory, 0, sizeof(float) * (size_t)n);
}

// In doubles: near T the clean chunk is the difference of two numbers that were multiplied by
// thousands, and a chunk is too short for the width to cost time.
void dpc_sampler_step(const dpc_sampler* sampler, int i, const float* prediction,
                      const float* noise, int n, float* x, float* memory) {
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
                   s.from_memory * memory[j] + (stochastic ? s.from_noise * noise[j] : 0.0));
    memory[j] = (float)(s.memory_from_clean * clean + s.memory_from_x * now);
  }
}
