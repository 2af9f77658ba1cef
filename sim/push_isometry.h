/// Moves of the plane that the push world does not notice. Pushing has no preferred place or direction,
/// so a demonstration that is turned and shifted as a whole is another demonstration; what the task has
/// are the goal and the walls. Two moves are of use: the mirror that leaves the goal where it is, and
/// the one that takes the block from one place to another.
#pragma once

#include "sim/push_block.h"

/// A point p goes to turn * p + shift, a block's angle a to sense * a + angle.
typedef struct dpc_push_isometry {
  double turn[2][2], shift[2];
  double sense, angle;  // sense: -1 for a mirror, else 1
} dpc_push_isometry;

/// The mirror image in the line along the goal's stem, which goes from the table's corner to corner.
/// Table, goal and block are their own images in it, so the image of a push is another push, with the
/// same coverage and reward. Only the walls are not quite: they are a pixel nearer on one side.
/// Allocates: no. Blocks: no. Thread: any.
dpc_push_isometry dpc_push_mirror(void);

/// The turn and shift that take the block's pose in `from` to its pose in `to`. All else moves along,
/// so what touched the block still does; the walls do not move.
/// Allocates: no. Blocks: no. Thread: any.
dpc_push_isometry dpc_push_motion(const dpc_push_state* from, const dpc_push_state* to);

/// Where a point goes. `out` may be `in`.
/// Allocates: no. Blocks: no. Thread: any.
void dpc_push_move_point(const dpc_push_isometry* move, const double in[2], double out[2]);

/// Where the block's angle goes; not wrapped.
/// Allocates: no. Blocks: no. Thread: any.
double dpc_push_move_angle(const dpc_push_isometry* move, double angle);

/// Where agent and block go.
/// Allocates: no. Blocks: no. Thread: any.
dpc_push_state dpc_push_move_state(const dpc_push_isometry* move, const dpc_push_state* state);

/// The pose of the block whose `dpc_push_keypoints` are nearest to `points`, in the sense of least
/// squares. Writes the block's members of `block` and no others, the angle in [-pi, pi]; returns the
/// largest distance of a point from where that pose has it, px.
/// Allocates: no. Blocks: no. Thread: any.
double dpc_push_fit_keypoints(const float points[2 * DPC_PUSH_KEYPOINTS], dpc_push_state* block);

/// Keypoints of the block that has the keypoints `points`, after the move. They are not symmetric on the
/// block, so this goes by the block's pose; returns the distance of `dpc_push_fit_keypoints`, which is
/// large when `points` are not of the block. `out` may be `points`.
/// Allocates: no. Blocks: no. Thread: any.
double dpc_push_move_keypoints(const dpc_push_isometry* move,
                               const float points[2 * DPC_PUSH_KEYPOINTS],
                               float out[2 * DPC_PUSH_KEYPOINTS]);
