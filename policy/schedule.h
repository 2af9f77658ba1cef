/// How much noise there is at each training timestep. x_t = sqrt(A_t) x_0 + sqrt(1 - A_t) e, with
/// A_t the product of (1 - beta) up to t (Ho et al. 2020, arXiv 2006.11239).
#pragma once

#include "policy/arena.h"
#include "policy/field.h"

typedef enum dpc_schedule_kind {
  DPC_SCHEDULE_LINEAR,            // beta linear
  DPC_SCHEDULE_SCALED_LINEAR,     // sqrt(beta) linear
  DPC_SCHEDULE_SQUAREDCOS_CAP_V2  // A a squared cosine (Nichol & Dhariwal 2021, arXiv 2102.09672)
} dpc_schedule_kind;

/// What the network is asked for, given x_t.
typedef enum dpc_prediction {
  DPC_PREDICT_EPSILON,  // e, the noise
  DPC_PREDICT_SAMPLE,   // x_0, the clean chunk
  DPC_PREDICT_V         // sqrt(A_t) e - sqrt(1 - A_t) x_0 (Salimans & Ho 2022, arXiv 2202.00512)
} dpc_prediction;

typedef struct dpc_schedule_def {
  int kind;           // dpc_schedule_kind
  int steps;          // training timesteps T
  double beta_start;  // linear kinds: beta at t = 0
  double beta_end;    // linear kinds: beta at t = T - 1
  int prediction;     // dpc_prediction
} dpc_schedule_def;

/// Section "schedule".
extern const dpc_field_table dpc_schedule_fields;

/// The tables, const after create.
typedef struct dpc_schedule {
  dpc_schedule_def def;
  double* beta;       // [steps]
  double* alpha_bar;  // [steps], A_t, falling
} dpc_schedule;

/// Defaults of the field table.
/// Allocates: no. Blocks: no. Thread: any.
dpc_schedule_def dpc_schedule_def_default(void);

/// Ranges, and beta_start <= beta_end. DPC_ERR_CONFIG names the field.
/// Allocates: no. Blocks: no. Thread: any.
DPC_NODISCARD dpc_status dpc_schedule_def_check(const dpc_schedule_def* def, dpc_error* error);

/// Check `def` and make the tables in the arena. DPC_ERR_CONFIG, also when A underflows at the last
/// timestep; DPC_ERR_NO_MEMORY.
/// Allocates: from the arena. Blocks: no. Thread: start-up only.
DPC_NODISCARD dpc_status dpc_schedule_create(const dpc_schedule_def* def, dpc_arena* arena,
                                             dpc_schedule** out, dpc_error* error);

/// Closed form of t + 1 forward steps: noisy = sqrt(A_t) clean + sqrt(1 - A_t) noise; all [n], t in
/// [0, steps). `noisy` may be `clean` or `noise`.
/// Allocates: no. Blocks: no. Thread: any.
void dpc_schedule_add_noise(const dpc_schedule* schedule, int t, const float* clean,
                            const float* noise, int n, float* noisy);

/// What the network should answer at t, by the schedule's prediction kind; all [n]. `target` may be
/// `clean` or `noise`.
/// Allocates: no. Blocks: no. Thread: any.
void dpc_schedule_target(const dpc_schedule* schedule, int t, const float* clean,
                         const float* noise, int n, float* target);
