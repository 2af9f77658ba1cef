/// A recorded episode of the push world, played again through the physics.
#pragma once

#include "proto/episode_log.h"
#include "sim/push_world.h"

typedef struct dpc_replayed {
  double worst;        // largest distance between the block and where it was recorded, px
  dpc_push_state end;  // where everything is after the last action
} dpc_replayed;

/// Begin at the episode's first recorded state, at rest, and give `world` its actions.
/// DPC_ERR_MISMATCH for an episode that is not of the push world, DPC_ERR_INVALID for numbers far off
/// the table; messages name `path` and step.
/// Allocates: heap, in Chipmunk. Blocks: no. Thread: the world's owner.
DPC_NODISCARD dpc_status dpc_replay_episode(dpc_push_world* world, const dpc_episode* episode,
                                            const char* path, dpc_replayed* out, dpc_error* error);
