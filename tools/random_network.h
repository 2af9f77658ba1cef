/// Networks of usual sizes with random weights: for measuring and exporting without a policy. The
/// same size has the same weights in every program.
#pragma once

#include "policy/unet.h"

/// Names of the sizes: "small", "medium", "large"; ends with NULL.
extern const char* const dpc_random_network_names[];

/// What size `size` (an index of the names) is made from.
/// Allocates: no. Blocks: no. Thread: any.
dpc_unet_def dpc_random_network_def(int size);

/// Make the plan of size `size` and draw its weights with dpc_unet_init and
/// key {1, 0}. Everything but the channels is Push-T's: 2 values of action, 40 of observation.
/// Allocates: from the arena. Blocks: no. Thread: start-up only.
DPC_NODISCARD dpc_status dpc_random_network_create(int size, dpc_arena* arena, dpc_unet** unet,
                                                   float** params, dpc_error* error);
