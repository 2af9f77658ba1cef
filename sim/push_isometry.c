#include "sim/push_isometry.h"

#include <math.h>

dpc_push_isometry dpc_push_mirror(void) {
  const double corner = DPC_PUSH_GOAL_X + DPC_PUSH_GOAL_Y;
  return (dpc_push_isometry){
      .turn = {{0, -1}, {-1, 0}},
      .shift = {corner, corner},
      .sense = -1,
      .angle = 2 * DPC_PUSH_GOAL_ANGLE,
  };
}

dpc_push_isometry dpc_push_motion(const dpc_push_state* from, const dpc_push_state* to) {
  const double angle = to->block_angle - from->block_angle, c = cos(angle), s = sin(angle);
  return (dpc_push_isometry){
      .turn = {{c, -s}, {s, c}},
      .shift = {to->block_x - (c * from->block_x - s * from->block_y),
                to->block_y - (s * from->block_x + c * from->block_y)},
      .sense = 1,
      .angle = angle,
  };
}

void dpc_push_move_point(const dpc_push_isometry* move, const double in[2], double out[2]) {
  const double x = in[0], y = in[1];
  for (size_t i = 0; i < 2; ++i) {
    out[i] = move->turn[i][0] * x + move->turn[i][1] * y + move->shift[i];
  }
}

double dpc_push_move_angle(const dpc_push_isometry* move, double angle) {
  return move->sense * angle + move->angle;
}

dpc_push_state dpc_push_move_state(const dpc_push_isometry* move, const dpc_push_state* state) {
  double agent[2], block[2];
  dpc_push_move_point(move, (const double[2]){state->agent_x, state->agent_y}, agent);
  dpc_push_move_point(move, (const double[2]){state->block_x, state->block_y}, block);
  return (dpc_push_state){agent[0], agent[1], block[0], block[1],
                          dpc_push_move_angle(move, state->block_angle)};
}

// --- keypoints -----------------------------------------------------------------------------------

static double largest_distance(const float* points, const dpc_push_state* block) {
  double largest = 0;
  for (size_t i = 0; i < DPC_PUSH_KEYPOINTS; ++i) {
    double at[2];
    dpc_push_block_point(block, dpc_push_keypoints[i][0], dpc_push_keypoints[i][1], at);
    largest =
        fmax(largest, hypot((double)points[2 * i] - at[0], (double)points[2 * i + 1] - at[1]));
  }
  return largest;
}

// The two sets of points have their centres on each other; the best turn about them is that of the
// summed products of their arms, as complex numbers.
double dpc_push_fit_keypoints(const float points[2 * DPC_PUSH_KEYPOINTS], dpc_push_state* block) {
  double own[2] = {0}, seen[2] = {0}, along = 0, across = 0;
  for (size_t i = 0; i < DPC_PUSH_KEYPOINTS; ++i) {
    for (size_t k = 0; k < 2; ++k) {
      own[k] += dpc_push_keypoints[i][k] / DPC_PUSH_KEYPOINTS;
      seen[k] += (double)points[2 * i + k] / DPC_PUSH_KEYPOINTS;
    }
  }
  for (size_t i = 0; i < DPC_PUSH_KEYPOINTS; ++i) {
    const double ax = dpc_push_keypoints[i][0] - own[0], ay = dpc_push_keypoints[i][1] - own[1];
    const double bx = (double)points[2 * i] - seen[0], by = (double)points[2 * i + 1] - seen[1];
    along += ax * bx + ay * by;
    across += ax * by - ay * bx;
  }
  const double angle = atan2(across, along), c = cos(angle), s = sin(angle);
  block->block_x = seen[0] - (c * own[0] - s * own[1]);
  block->block_y = seen[1] - (s * own[0] + c * own[1]);
  block->block_angle = angle;
  return largest_distance(points, block);
}

double dpc_push_move_keypoints(const dpc_push_isometry* move,
                               const float points[2 * DPC_PUSH_KEYPOINTS],
                               float out[2 * DPC_PUSH_KEYPOINTS]) {
  dpc_push_state block = {0};
  const double distance = dpc_push_fit_keypoints(points, &block);
  const dpc_push_state moved = dpc_push_move_state(move, &block);
  for (size_t i = 0; i < DPC_PUSH_KEYPOINTS; ++i) {
    double at[2];
    dpc_push_block_point(&moved, dpc_push_keypoints[i][0], dpc_push_keypoints[i][1], at);
    out[2 * i] = (float)at[0];
    out[2 * i + 1] = (float)at[1];
  }
  return distance;
}
