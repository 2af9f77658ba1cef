/// The mirror image of an episode of the push world, signal by signal.
#pragma once

#include "proto/episode_log.h"

/// Put the image of `episode` in its place: observations and actions, known by name and dim; rewards
/// and seed are left. `*fit` is raised to the largest distance of a keypoint from where the block has
/// it, px. DPC_ERR_MISMATCH for a signal whose image is not known; DPC_ERR_INVALID for keypoints that
/// are not the block's. Messages name `path`, signal and step; on failure the episode is only good to
/// be freed.
/// Allocates: no. Blocks: no. Thread: any, one episode each.
DPC_NODISCARD dpc_status dpc_mirror_episode(const char* path, dpc_episode* episode, double* fit,
                                            dpc_error* error);
