/// The options that choose how a policy denoises, shared by the programs that try policies out:
/// --sampler, --steps, --grid, --eta and --temperature.
///
/// A program hands dpc_sampler_argp over as its child, and on ARGP_KEY_INIT a dpc_sampler_options as
/// the child's input.
#pragma once

#include <argp.h>

#include "policy/sampler.h"

/// What was given; negative where nothing was.
typedef struct dpc_sampler_options {
  int kind, steps, grid;
  double eta, temperature;
} dpc_sampler_options;

extern const struct argp dpc_sampler_argp;

/// Change in `sampler`, which is the policy's own, what was given.
/// Allocates: no. Blocks: no. Thread: any.
void dpc_sampler_options_apply(const dpc_sampler_options* options, dpc_sampler_def* sampler);
