/// What a network weighs before it has learned anything.
#pragma once

#include "policy/train/distill.h"

/// Write params [parameters of `unet`]: those of a teacher, or random ones where it is NULL. A network
/// that is told step sizes begins as one that is not, which gives every step the velocity of the
/// flow: that is not far from what it is to learn of shortcuts, and the same for all. DPC_ERR_NO_MEMORY.
/// Allocates: from the scratch arena, given back. Blocks: no. Thread: start-up only.
DPC_NODISCARD dpc_status dpc_first_weights(const dpc_unet* unet, const dpc_teacher* teacher,
                                           dpc_rng_key key, dpc_arena* scratch, float* params,
                                           dpc_error* error);
