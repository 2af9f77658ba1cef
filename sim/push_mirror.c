#include "sim/push_mirror.h"

#include <math.h>

// The line goes through the goal and, like the goal's stem, from the table's corner to corner.
void dpc_push_mirror_point(const double in[2], double out[2]) {
  const double x = in[0], y = in[1];
  out[0] = DPC_PUSH_GOAL_X + DPC_PUSH_GOAL_Y - y;
  out[1] = DPC_PUSH_GOAL_X + DPC_PUSH_GOAL_Y - x;
}

double dpc_push_mirror_angle(double angle) {
  return 2 * DPC_PUSH_GOAL_ANGLE - angle;
}

dpc_push_state dpc_push_mirror_state(const dpc_push_state* state) {
  double agent[2], block[2];
  dpc_push_mirror_point((const double[2]){state->agent_x, state->agent_y}, agent);
  dpc_push_mirror_point((const double[2]){state->block_x, state->block_y}, block);
  return (dpc_push_state){agent[0], agent[1], block[0], block[1],
                          dpc_push_mirror_angle(state->block_angle)};
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

double dpc_push_mirror_keypoints(const float points[2 * DPC_PUSH_KEYPOINTS],
                                 float out[2 * DPC_PUSH_KEYPOINTS]) {
  dpc_push_state block = {0};
  const double distance = dpc_push_fit_keypoints(points, &block);
  const dpc_push_state image = dpc_push_mirror_state(&block);
  for (size_t i = 0; i < DPC_PUSH_KEYPOINTS; ++i) {
    double at[2];
    dpc_push_block_point(&image, dpc_push_keypoints[i][0], dpc_push_keypoints[i][1], at);
    out[2 * i] = (float)at[0];
    out[2 * i + 1] = (float)at[1];
  }
  return distance;
}
