/// Initial states of the push world, equal to those the benchmark draws with numpy's legacy
/// generator, so that a seed means the same episode here and there.
#pragma once

#include "policy/base.h"

/// Where everything is. Pixels and radians; the block's position is that of its body origin.
typedef struct dpc_push_state {
  double agent_x, agent_y;
  double block_x, block_y, block_angle;
} dpc_push_state;

/// The state numpy.random.RandomState(seed) draws: randint(50, 450) twice for the agent,
/// randint(100, 400) twice for the block, randn() * 2 pi - pi for its angle, which is not wrapped.
/// Allocates: no. Blocks: no. Thread: any.
dpc_push_state dpc_push_reset_state(uint32_t seed);
