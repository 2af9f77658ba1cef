/// From noise to an action chunk, one evaluation of the network and one update at a time.
///
///   ddim         Song et al. 2020, arXiv 2010.02502; on a flow schedule, without eta, Euler's method
///   ddpm         Ho et al. 2020, arXiv 2006.11239; both with the conventions of diffusers
///   dpmpp_2m     DPM-Solver++ (Lu et al. 2022, arXiv 2211.01095), order 2; the last step of order 1
///   heun         Heun's method on a flow, order 2: two evaluations a step, but one in the last
///   consistency  Song et al. 2023, arXiv 2303.01469: clean at once, then back to less noise
///   shortcut     Frans et al. 2024, arXiv 2410.12557: Euler's method in 1, 2, 4, 8, ... steps, of
///                which the network is told the size
///
///   dpc_sampler_begin(sampler, n, x, memory);
///   for (int i = 0; i < dpc_sampler_steps(sampler); ++i) {
///     prediction = network(x, dpc_sampler_timestep(sampler, i), dpc_sampler_step_size(sampler, i),
///                          obs);
///     dpc_sampler_step(sampler, i, prediction, noise, n, x, memory);
///   }
#pragma once

#include "policy/schedule.h"

typedef enum dpc_sampler_kind {
  DPC_SAMPLER_DDIM,
  DPC_SAMPLER_DDPM,
  DPC_SAMPLER_DPMPP_2M,
  DPC_SAMPLER_HEUN,
  DPC_SAMPLER_CONSISTENCY,
  DPC_SAMPLER_SHORTCUT
} dpc_sampler_kind;

/// Which K of the T training timesteps are visited, from noisy to clean. A flow schedule has one
/// grid of its own, T - i T / K: equal steps from all noise to clean, whatever is set here.
typedef enum dpc_grid {
  DPC_GRID_LEADING,   // i * floor(T / K): ends at 0. One step would evaluate t = 0 only
  DPC_GRID_LINSPACE,  // both 0 and T - 1, evenly between
  DPC_GRID_TRAILING   // T - i T / K - 1: begins at T - 1; the one for few steps
} dpc_grid;

/// Names of the kinds and grids, in order; both end with NULL. For DPC_CHOICE and for options.
extern const char* const dpc_sampler_kind_names[];
extern const char* const dpc_grid_names[];

typedef enum dpc_variance { DPC_VARIANCE_FIXED_SMALL, DPC_VARIANCE_FIXED_LARGE } dpc_variance;

enum { DPC_STEPS_AUTO = -1 };  // as many as there is time for: for who knows the time, to resolve

typedef struct dpc_sampler_def {
  int kind;                // dpc_sampler_kind
  int steps;               // denoising steps K, at most the schedule's T; DPC_STEPS_AUTO
  double eta;              // DDIM: 0 deterministic, 1 as random as DDPM
  int grid;                // dpc_grid
  double clip;             // limit of the predicted clean chunk, normalised units; 0 = off
  int variance;            // DDPM: dpc_variance
  bool recompute_epsilon;  // DDIM: epsilon from the clipped clean chunk; diffusers does not
  double temperature;      // scale of the noise that is begun with and of what is added
} dpc_sampler_def;

/// Section "sampler".
extern const dpc_field_table dpc_sampler_fields;

/// Grid and coefficients, const after create.
typedef struct dpc_sampler dpc_sampler;

/// Defaults of the field table: DDIM, 10 steps, leading grid, clip 1.
/// Allocates: no. Blocks: no. Thread: any.
dpc_sampler_def dpc_sampler_def_default(void);

/// Ranges of all fields, and that they go with the schedule: 1 <= steps <= T, no ddpm on flow, heun
/// only there; shortcut only for the velocity of a flow, and in a power of two of steps.
/// DPC_ERR_CONFIG names the field.
/// Allocates: no. Blocks: no. Thread: any.
DPC_NODISCARD dpc_status dpc_sampler_def_check(const dpc_sampler_def* def,
                                               const dpc_schedule_def* schedule, dpc_error* error);

/// Check `def` and compute grid and coefficients. The schedule is not kept. DPC_ERR_CONFIG,
/// DPC_ERR_NO_MEMORY.
/// Allocates: from the arena. Blocks: no. Thread: start-up only.
DPC_NODISCARD dpc_status dpc_sampler_create(const dpc_sampler_def* def,
                                            const dpc_schedule* schedule, dpc_arena* arena,
                                            dpc_sampler** out, dpc_error* error);

/// Evaluations of the network: K, with heun 2 K - 1.
/// Allocates: no. Blocks: no. Thread: any.
int dpc_sampler_steps(const dpc_sampler* sampler);

/// The training timestep of evaluation i; whole but for flow.
/// Allocates: no. Blocks: no. Thread: any.
float dpc_sampler_timestep(const dpc_sampler* sampler, int i);

/// How far the prediction of evaluation i is followed, in timesteps, for a network that is told
/// (dpc_unet_def): T / K with shortcut; 0 with others, which want the prediction at x itself.
/// Allocates: no. Blocks: no. Thread: any.
float dpc_sampler_step_size(const dpc_sampler* sampler, int i);

/// True when noise is added after evaluation i; never after the last.
/// Allocates: no. Blocks: no. Thread: any.
bool dpc_sampler_stochastic(const dpc_sampler* sampler, int i);

/// Begin: x [n], standard normals, becomes the noise to denoise; memory [n] is cleared.
/// Allocates: no. Blocks: no. Thread: any.
void dpc_sampler_begin(const dpc_sampler* sampler, int n, float* x, float* memory);

/// One update in place, given the network's prediction [n] of x at the timestep of evaluation i: x, [n],
/// becomes what evaluation i + 1 is asked about, or the clean chunk. `noise` [n], standard normals, is
/// read only where the step is stochastic; NULL is fine elsewhere. `memory` [n] is the rule's own,
/// from one evaluation to the next. Allocates: no. Blocks: no. Thread: any.
void dpc_sampler_step(const dpc_sampler* sampler, int i, const float* prediction,
                      const float* noise, int n, float* x, float* memory);
