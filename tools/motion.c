#include "tools/motion.h"

#include <math.h>
#include <string.h>

static const double DT = 1.0 / DPC_PUSH_PHYSICS_HZ;

// The size of weights[0] c[n] + weights[1] c[n-1] + …
static double difference(const dpc_motion_meter* m, int count, const double* weights) {
  double square = 0;
  for (int i = 0; i < DPC_PUSH_ACTION_DIM; ++i) {
    double sum = 0;
    for (int k = 0; k < count; ++k) sum += weights[k] * m->commands[k][i];
    square += sum * sum;
  }
  return sqrt(square);
}

static void measure(dpc_motion_meter* m) {
  const double step[] = {1, -2, 1}, jerk[] = {1, -3, 3, -1};
  dpc_motion_steps* motion = &m->motion;
  if (m->count >= 3) {
    motion->velocity_step = fmax(motion->velocity_step, difference(m, 3, step) / DT);
  }
  if (m->count >= 4) {
    motion->jerk = fmax(motion->jerk, difference(m, 4, jerk) / (DT * DT * DT));
  }
}

void dpc_motion_add(dpc_motion_meter* meter, const float* command, bool first) {
  dpc_motion_meter* m = meter;
  memmove(m->commands[1], m->commands[0], sizeof m->commands - sizeof m->commands[0]);
  for (int i = 0; i < DPC_PUSH_ACTION_DIM; ++i) m->commands[0][i] = (double)command[i];
  m->count += m->count < DPC_MOTION_BACK;
  if (first && m->begun) {
    m->left = DPC_PUSH_STEP_TICKS;
    m->motion.switches += 1;
  }
  m->begun |= first;
  if (m->left > 0) {
    measure(m);
    m->left -= 1;
  }
}
