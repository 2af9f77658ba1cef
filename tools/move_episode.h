/// An episode of the push world seen from elsewhere, signal by signal.
#pragma once

#include "proto/episode_log.h"
#include "sim/push_isometry.h"

/// Put `episode` where `move` takes it: observations and actions, known by name and dim; rewards and
/// seed are left. `*fit` is raised to the largest distance of a keypoint from where the block has it,
/// px. DPC_ERR_MISMATCH for a signal that is not the push world's; DPC_ERR_INVALID for keypoints that
/// are not the block's. Messages name `path`, signal and step; on failure the episode is only good to
/// be freed.
/// Allocates: no. Blocks: no. Thread: any, one episode each.
DPC_NODISCARD dpc_status dpc_move_episode(const char* path, const dpc_push_isometry* move,
                                          dpc_episode* episode, double* fit, dpc_error* error);
