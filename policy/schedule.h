/// How noisy a chunk is at each training timestep: x_t = signal x_0 + noise e, with two factors
/// that go from almost (1, 0) at t = 0 to almost (0, 1) at the last one.
///
/// The variance-preserving kinds have signal = sqrt(A_t) and noise = sqrt(1 - A_t), A_t being the
/// product of (1 - beta) up to t (Ho et al. 2020, arXiv 2006.11239), at whole t from 0 to T - 1.
/// Flow matching goes straight from noise to clean (Lipman et al. 2022, arXiv 2210.02747; Liu et
/// al. 2022, arXiv 2209.03003): noise = t / T and signal = 1 - t / T, at any real t from 0 to T.
#pragma once

#include "policy/arena.h"
#include "policy/field.h"

typedef enum dpc_schedule_kind {
  DPC_SCHEDULE_LINEAR,             // beta linear
  DPC_SCHEDULE_SCALED_LINEAR,      // sqrt(beta) linear
  DPC_SCHEDULE_SQUAREDCOS_CAP_V2,  // A a squared cosine (Nichol & Dhariwal 2021, arXiv 2102.09672)
  DPC_SCHEDULE_FLOW                // no betas: a straight line
} dpc_schedule_kind;

/// What the network is asked for, given x_t.
typedef enum dpc_prediction {
  DPC_PREDICT_EPSILON,  // e, the noise; not with flow, where the first x_t is all noise anyway
  DPC_PREDICT_SAMPLE,   // x_0, the clean chunk
  DPC_PREDICT_V,        // signal e - noise x_0 (Salimans & Ho 2022, arXiv 2202.00512); no flow
  DPC_PREDICT_VELOCITY  // x_0 - e; flow only
} dpc_prediction;

typedef struct dpc_schedule_def {
  int kind;           // dpc_schedule_kind
  int steps;          // training timesteps T; flow: the timestep at which all is noise
  double beta_start;  // linear kinds: beta at t = 0
  double beta_end;    // linear kinds: beta at t = T - 1
  int prediction;     // dpc_prediction
} dpc_schedule_def;

/// Section "schedule".
extern const dpc_field_table dpc_schedule_fields;

/// The two factors at one timestep.
typedef struct dpc_noise_level {
  double signal;
  double noise;
} dpc_noise_level;

/// What a prediction p of x_t says, both by the schedule's prediction kind:
/// clean = clean_x x_t + clean_p p, epsilon = epsilon_x x_t + epsilon_p p.
typedef struct dpc_reading {
  double clean_x, clean_p;
  double epsilon_x, epsilon_p;
} dpc_reading;

/// The tables, const after create; flow needs none.
typedef struct dpc_schedule {
  dpc_schedule_def def;
  double* beta;             // [steps]
  dpc_noise_level* levels;  // [steps]
} dpc_schedule;

/// Defaults of the field table.
/// Allocates: no. Blocks: no. Thread: any.
dpc_schedule_def dpc_schedule_def_default(void);

/// Ranges, beta_start <= beta_end, and a prediction that goes with the kind. DPC_ERR_CONFIG names
/// the field.
/// Allocates: no. Blocks: no. Thread: any.
DPC_NODISCARD dpc_status dpc_schedule_def_check(const dpc_schedule_def* def, dpc_error* error);

/// Check `def` and make the tables in the arena. DPC_ERR_CONFIG, also when A underflows at the last
/// timestep; DPC_ERR_NO_MEMORY.
/// Allocates: from the arena. Blocks: no. Thread: start-up only.
DPC_NODISCARD dpc_status dpc_schedule_create(const dpc_schedule_def* def, dpc_arena* arena,
                                             dpc_schedule** out, dpc_error* error);

/// The factors at timestep t: flow, any real in [0, steps]; else a whole number in [0, steps).
/// Allocates: no. Blocks: no. Thread: any.
dpc_noise_level dpc_schedule_level(const dpc_schedule* schedule, double t);

/// How to read a prediction at this level.
/// Allocates: no. Blocks: no. Thread: any.
dpc_reading dpc_schedule_reading(const dpc_schedule* schedule, dpc_noise_level level);

/// noisy = signal clean + noise e at this level; all [n]. `noisy` may be `clean` or `noise`.
/// Allocates: no. Blocks: no. Thread: any.
void dpc_schedule_add_noise(dpc_noise_level level, const float* clean, const float* noise, int n,
                            float* noisy);

/// What the network should answer at this level, by the schedule's prediction kind; all [n].
/// `target` may be `clean` or `noise`.
/// Allocates: no. Blocks: no. Thread: any.
void dpc_schedule_target(const dpc_schedule* schedule, dpc_noise_level level, const float* clean,
                         const float* noise, int n, float* target);

/// Weight of the squared error of a prediction at this level: that of the clean chunk it stands for,
/// times the signal-to-noise ratio cut off at `gamma` (min-SNR, Hang et al. 2023, arXiv 2303.09556).
/// With r = signal^2 / noise^2 that is min(r, gamma) for sample, min(r, gamma) / r for epsilon and
/// min(r, gamma) / (r + 1) for v. Allocates: no. Blocks: no. Thread: any.
double dpc_schedule_min_snr(const dpc_schedule* schedule, dpc_noise_level level, double gamma);
