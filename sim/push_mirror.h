/// The push world seen in a mirror that changes nothing: the line along the goal's stem. Table, goal
/// and block are their own images in it, so the image of a push is another push, with the same
/// coverage and reward. Only the walls are not quite: they are a pixel nearer on one side.
#pragma once

#include "sim/push_block.h"

/// Image of a point: (x, y) becomes (512 - y, 512 - x). `out` may be `in`.
/// Allocates: no. Blocks: no. Thread: any.
void dpc_push_mirror_point(const double in[2], double out[2]);

/// Image of the block's angle: as far from the goal's, to the other side; not wrapped.
/// Allocates: no. Blocks: no. Thread: any.
double dpc_push_mirror_angle(double angle);

/// Image of agent and block.
/// Allocates: no. Blocks: no. Thread: any.
dpc_push_state dpc_push_mirror_state(const dpc_push_state* state);

/// The pose of the block whose `dpc_push_keypoints` are nearest to `points`, in the sense of least
/// squares. Writes the block's members of `block` and no others, the angle in [-pi, pi]; returns the
/// largest distance of a point from where that pose has it, px.
/// Allocates: no. Blocks: no. Thread: any.
double dpc_push_fit_keypoints(const float points[2 * DPC_PUSH_KEYPOINTS], dpc_push_state* block);

/// Keypoints of the image of the block that has the keypoints `points`. They are not symmetric on the
/// block, so this goes by the block's pose; returns the distance of `dpc_push_fit_keypoints`, which is
/// large when `points` are not of the block. `out` may be `points`.
/// Allocates: no. Blocks: no. Thread: any.
double dpc_push_mirror_keypoints(const float points[2 * DPC_PUSH_KEYPOINTS],
                                 float out[2 * DPC_PUSH_KEYPOINTS]);
