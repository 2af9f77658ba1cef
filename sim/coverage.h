/// How well the block lies on its goal.
#pragma once

#include "sim/push_reset.h"

/// How much of the goal the block covers: area(block and goal) / area(goal), in [0, 1].
/// Allocates: no. Blocks: no. Thread: any.
double dpc_push_coverage(const dpc_push_state* state);
