/// What one window of a batch is asked: how noisy its chunk is, how much of it settled, how clear its
/// observation, and what its error weighs. Everything is drawn by (key, plan, sample), whoever draws it.
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

/// How many leading rows of a window are settled: given clean, marked, and not asked for. Any number
/// from 0 to `def->prefix_max` is as likely as any other (Black et al. 2025, arXiv 2512.05964).
/// Allocates: no. Blocks: no. Thread: any.
int dpc_objective_prefix(const dpc_train_def* def, dpc_rng_key key, uint32_t plan, uint32_t sample);

/// What the network is given of a window whose first `settled` rows are: `rows` of `dim` values of
/// `noisy`, the settled ones from `clean`, each with its mark behind it. `given` is
/// [rows][dim + 1]. Allocates: no. Blocks: no. Thread: any.
void dpc_objective_mark(int settled, int rows, int dim, const float* clean, const float* noisy,
                        float* given);

/// Weight of a window's squared error at this level.
/// Allocates: no. Blocks: no. Thread: any.
double dpc_objective_weight(const dpc_train_def* def, const dpc_schedule* schedule,
                            dpc_noise_level level);
