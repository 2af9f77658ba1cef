/// What the figures of dpc-diffuse share: what was asked for, and the figures themselves.
#pragma once

#include "policy/policy.h"
#include "tools/cli.h"
#include "tools/plot.h"
#include "tools/sampler_options.h"

enum {
  DPC_DIFFUSE_POINTS_MAX = 8,
  DPC_DIFFUSE_ROWS_MAX = 64,  // of an action chunk
  DPC_DIFFUSE_WIDTH = 800,    // px, a figure's width
};

/// What was asked for. Paths are NULL where nothing was given.
typedef struct dpc_diffuse {
  dpc_cli cli;
  dpc_arena arena;
  dpc_schedule* schedule;

  double at[DPC_DIFFUSE_POINTS_MAX];  // clean values
  int at_count;
  const char* log;  // episode log
  int episode, row;
  const char* image;
  const char* policy;
  dpc_sampler_options sampler;
  uint32_t seed;  // of the push world's episode
  int plan;       // that is looked at, from 0
  int samples;
} dpc_diffuse;

/// Make `d->schedule` of a kind's name, a file of settings or a policy, and of the KEY=VALUE arguments;
/// without `text` (NULL), of the textbook's. DPC_ERR_CONFIG, or why a file cannot be read.
/// Allocates: from the arena; heap, given back. Blocks: disk. Thread: main only.
DPC_NODISCARD dpc_status dpc_diffuse_read_schedule(dpc_diffuse* d, const char* text,
                                                   dpc_error* error);

/// The forward process of one value, or of several: densities as t grows, and random walks.
/// Allocates: heap; from the arena. Blocks: disk. Thread: main only.
DPC_NODISCARD dpc_status dpc_diffuse_point(dpc_diffuse* d, const char* path, dpc_error* error);

/// The same for points of a plane, which are the outline of the block.
/// Allocates: heap. Blocks: disk. Thread: main only.
DPC_NODISCARD dpc_status dpc_diffuse_plane(dpc_diffuse* d, const char* path, dpc_error* error);

/// Mean factor and variance of several schedules over t: closed form and random walks.
/// Allocates: heap; from the arena. Blocks: disk. Thread: main only.
DPC_NODISCARD dpc_status dpc_diffuse_schedules(dpc_diffuse* d, const char* path, dpc_error* error);

/// What becomes of data that are not normalised.
/// Allocates: heap; from the arena. Blocks: disk. Thread: main only.
DPC_NODISCARD dpc_status dpc_diffuse_centred(dpc_diffuse* d, const char* path, dpc_error* error);

/// A recorded action chunk that becomes noise.
/// Allocates: heap. Blocks: disk. Thread: main only.
DPC_NODISCARD dpc_status dpc_diffuse_chunk(dpc_diffuse* d, const char* path, dpc_error* error);

/// A picture that becomes noise.
/// Allocates: heap. Blocks: disk. Thread: main only.
DPC_NODISCARD dpc_status dpc_diffuse_image(dpc_diffuse* d, const char* path, dpc_error* error);

/// The way back, where the best prediction is known: samplers on a mixture of two Gaussians.
/// Allocates: heap; from the arena. Blocks: disk. Thread: main only.
DPC_NODISCARD dpc_status dpc_diffuse_samplers(dpc_diffuse* d, const char* path, dpc_error* error);

/// A policy's plan at each denoising step, over the push world.
/// Allocates: heap; from the arena. Blocks: disk. Thread: main only.
DPC_NODISCARD dpc_status dpc_diffuse_denoise(dpc_diffuse* d, const char* path, dpc_error* error);

/// Many plans for one observation, from noise to the end.
/// Allocates: heap; from the arena. Blocks: disk. Thread: main only.
DPC_NODISCARD dpc_status dpc_diffuse_modes(dpc_diffuse* d, const char* path, dpc_error* error);

// --- for the figures ------------------------------------------------------------------------------

/// Save the plot, and free it whatever happens.
/// Allocates: heap. Blocks: disk. Thread: main only.
DPC_NODISCARD dpc_status dpc_diffuse_finish(dpc_plot* plot, dpc_error* error);

/// Factors after `t` of the schedule's steps: (1, 0) for none, those of its end for all.
/// Allocates: no. Blocks: no. Thread: any.
dpc_noise_level dpc_diffuse_level(const dpc_schedule* schedule, double t);

/// Draw an action chunk of the push world, [rows x 2] px, from blue at its first row to orange at its
/// last.
/// Allocates: heap. Blocks: no. Thread: main only.
void dpc_diffuse_draw_chunk(dpc_plot* plot, int rows, const float* chunk);

/// Say what the colors of such a drawing mean, from (left, top) px on: below each other, or in a row.
/// Allocates: heap. Blocks: no. Thread: main only.
void dpc_diffuse_explain_chunk(dpc_plot* plot, double left, double top, bool in_a_row);
