/// The block and its goal: a T of two rectangles, given in the block's own frame.
#pragma once

#include "sim/push_reset.h"

typedef struct dpc_rectangle {
  double x0, y0, x1, y1;
} dpc_rectangle;

enum { DPC_PUSH_KEYPOINTS = 9 };

/// Bar and stem; they touch along y = 30 and do not overlap.
extern const dpc_rectangle dpc_push_block[2];

/// Points of the block that a policy may observe, x and y.
extern const double dpc_push_keypoints[DPC_PUSH_KEYPOINTS][2];

/// The block's centre of gravity.
#define DPC_PUSH_BLOCK_COG_X 0.0
#define DPC_PUSH_BLOCK_COG_Y 45.0

/// Where the block should end up: position, and an eighth of a turn.
#define DPC_PUSH_GOAL_X     256.0
#define DPC_PUSH_GOAL_Y     256.0
#define DPC_PUSH_GOAL_ANGLE 0.78539816339744830962

/// A point of the block's frame, in the frame of the table, with the block as in `state`.
/// Allocates: no. Blocks: no. Thread: any.
void dpc_push_block_point(const dpc_push_state* state, double x, double y, double out[2]);
