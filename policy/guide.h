/// Guidance towards rows of an older plan, for comparison with the other ways to go on from settled
/// rows: real-time chunking (Black et al. 2025, arXiv 2506.07339), with the pseudo-inverse guidance of
/// Song et al. 2023 (ICLR). At each step the clean chunk that the prediction stands for is drawn
/// towards the older rows, through the gradient of what the network makes of x: settled rows with
/// all weight, those behind them with less and less.
///
/// It runs the plain network forward and backward, which takes many times as long as the engine: for
/// evaluation, not for robots.
#pragma once

#include "policy/schedule.h"
#include "policy/unet.h"

/// The plain network with its way back, and what the chunks in hand are drawn to.
typedef struct dpc_guide dpc_guide;

/// For up to `chunks_max` chunks. All but the arena is kept and must outlive the guide. DPC_ERR_CONFIG
/// for a network with a mask, which needs no guide; DPC_ERR_NO_MEMORY.
/// Allocates: from the arena. Blocks: no. Thread: start-up only.
DPC_NODISCARD dpc_status dpc_guide_create(const dpc_schedule* schedule, const dpc_unet* unet,
                                          const float* params, int chunks_max, dpc_arena* arena,
                                          dpc_guide** out, dpc_error* error);

/// Weight of a row, of `settled` rows and `near` ones behind them: 1, then falling to 0 (equation 5).
/// Allocates: no. Blocks: no. Thread: any.
double dpc_guide_weight(int settled, int near, int row);

/// Chunk `at` is drawn to `rows` [(settled + near) x input_dim], normalised; copied.
/// Allocates: no. Blocks: no. Thread: the owner's.
void dpc_guide_set(dpc_guide* guide, int at, int settled, int near, const float* rows);

/// What the network predicts for chunk `at`, x [horizon x input_dim], at timestep t, changed so that
/// the clean chunk it stands for is drawn to the rows; cond [global_cond_dim], normalised.
/// Allocates: no. Blocks: no. Thread: the owner's.
void dpc_guide_predict(dpc_guide* guide, int at, float t, const float* cond, const float* x,
                       float* prediction);
