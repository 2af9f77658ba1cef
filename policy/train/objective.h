/// What one window of a batch is asked: how noisy its chunk is, how clear its observation, and what
/// its error weighs. Everything is drawn by (key, plan, sample), whoever draws it.
#pragma once

#include "policy/rng.h"
#include "policy/train/settings.h"

/// A timestep to learn at. Any whole one is as likely as any other; a flow's are real numbers in
/// (0, T], by `def->time_distribution`.
/// Allocates: no. Blocks: no. Thread: any.
float dpc_objective_timestep(const dpc_train_def* def, const dpc_schedule_def* schedule,
                             dpc_rng_key key, uint32_t plan, uint32_t sample);

/// Add normals times `def->obs_noise` to an observation history, [n], normalised. `noise` [n] is
/// overwritten. Allocates: no. Blocks: no. Thread: any.
void dpc_objective_blur(const dpc_train_def* def, dpc_rng_key key, uint32_t plan, uint32_t sample,
                        int n, float* noise, float* cond);

/// Weight of a window's squared error at this level.
/// Allocates: no. Blocks: no. Thread: any.
double dpc_objective_weight(const dpc_train_def* def, const dpc_schedule* schedule,
                            dpc_noise_level level);
