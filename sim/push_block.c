#include "sim/push_block.h"

#include <math.h>

const dpc_rectangle dpc_push_block[2] = {{-60, 0, 60, 30}, {-15, 30, 15, 120}};

const double dpc_push_keypoints[DPC_PUSH_KEYPOINTS][2] = {
    {9.270, 90.041},  {-60.983, -1.187}, {60.913, -1.393},  {-0.270, 25.544}, {-14.065, 122.816},
    {39.003, 32.858}, {-39.966, 32.730}, {-16.824, 62.863}, {23.542, -1.700}};

void dpc_push_block_point(const dpc_push_state* state, double x, double y, double out[2]) {
  const double c = cos(state->block_angle), s = sin(state->block_angle);
  out[0] = state->block_x + c * x - s * y;
  out[1] = state->block_y + s * x + c * y;
}
