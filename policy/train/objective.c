#include "policy/train/objective.h"

#include <math.h>

// The noise factor of a flow, in (0, 1].
static double draw_noise_factor(dpc_time_distribution distribution, dpc_rng_key key, uint32_t plan,
                                uint32_t sample) {
  float drawn;
  if (distribution == DPC_TIME_LOGIT_NORMAL) {
    dpc_rng_normal(key, DPC_STREAM_TRAIN_TIMESTEP, plan, sample, 1, &drawn);
    return 1.0 / (1.0 + exp(-(double)drawn));
  }
  dpc_rng_uniform(key, DPC_STREAM_TRAIN_TIMESTEP, plan, sample, 1, &drawn);
  // Beta(1.5, 1) has the distribution function x^1.5
  return distribution == DPC_TIME_BETA ? pow((double)drawn, 1.0 / 1.5) : (double)drawn;
}

float dpc_objective_timestep(const dpc_train_def* def, const dpc_schedule_def* schedule,
                             dpc_rng_key key, uint32_t plan, uint32_t sample) {
  if (schedule->kind == DPC_SCHEDULE_FLOW) {
    const dpc_time_distribution distribution = (dpc_time_distribution)def->time_distribution;
    return (float)(schedule->steps * draw_noise_factor(distribution, key, plan, sample));
  }
  return (float)dpc_rng_below(key, DPC_STREAM_TRAIN_TIMESTEP, plan, sample, 0,
                              (uint32_t)schedule->steps);
}

void dpc_objective_blur(const dpc_train_def* def, dpc_rng_key key, uint32_t plan, uint32_t sample,
                        int n, float* noise, float* cond) {
  if (def->obs_noise == 0.0) return;
  const float deviation = (float)def->obs_noise;
  dpc_rng_normal(key, DPC_STREAM_TRAIN_OBS_NOISE, plan, sample, n, noise);
  for (int i = 0; i < n; ++i) cond[i] += deviation * noise[i];
}

int dpc_objective_prefix(const dpc_train_def* def, dpc_rng_key key, uint32_t plan,
                         uint32_t sample) {
  if (def->prefix_max == 0) return 0;
  const uint32_t lengths = (uint32_t)def->prefix_max + 1;
  return (int)dpc_rng_below(key, DPC_STREAM_TRAIN_PREFIX, plan, sample, 0, lengths);
}

void dpc_objective_mark(int settled, int rows, int dim, const float* clean, const float* noisy,
                        float* given) {
  for (int row = 0; row < rows; ++row) {
    const float* from = (row < settled ? clean : noisy) + (ptrdiff_t)row * dim;
    for (int i = 0; i < dim; ++i) *given++ = from[i];
    *given++ = row < settled ? 1 : 0;
  }
}

double dpc_objective_weight(const dpc_train_def* def, const dpc_schedule* schedule,
                            dpc_noise_level level) {
  if (def->loss_weighting == DPC_WEIGHTING_NONE) return 1.0;
  return dpc_schedule_min_snr(schedule, level, def->min_snr_gamma);
}
