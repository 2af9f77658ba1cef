#include "runtime/safety.h"

#include <math.h>
#include <string.h>

struct dpc_gate {
  int dim, recovery;
  double period;  // s
  dpc_bounds* bounds;
  dpc_motion* motion;  // [dim], as commanded; at rest where there are no limits
  float* last;         // [dim], wanted by the command before
  bool refusing;       // there was a jump,
  int sound;           // and so many since were none
};

dpc_status dpc_gate_create(const dpc_bounds* bounds, int dim, dpc_duration period, int recovery,
                           dpc_arena* arena, dpc_gate** out, dpc_error* error) {
  dpc_gate* gate = DPC_TAKE(arena, dpc_gate, 1);
  dpc_bounds* copy = DPC_TAKE(arena, dpc_bounds, dim);
  dpc_motion* motion = DPC_TAKE(arena, dpc_motion, dim);
  float* last = DPC_TAKE(arena, float, dim);
  if (gate == NULL || copy == NULL || motion == NULL || last == NULL) {
    return dpc_arena_full(arena, "the gate", error);
  }
  memcpy(copy, bounds, sizeof *bounds * (size_t)dim);
  *gate = (dpc_gate){.dim = dim,
                     .recovery = recovery,
                     .period = dpc_to_seconds(period),
                     .bounds = copy,
                     .motion = motion,
                     .last = last};
  *out = gate;
  return DPC_OK;
}

void dpc_gate_anchor(dpc_gate* gate, const float* pose) {
  for (int i = 0; i < gate->dim; ++i) {
    gate->motion[i] = (dpc_motion){.position = (double)pose[i]};
    gate->last[i] = pose[i];
  }
  gate->refusing = false;
}

// --- judging --------------------------------------------------------------------------------------

static bool all_finite(const float* values, int dim) {
  for (int i = 0; values != NULL && i < dim; ++i) {
    if (!isfinite(values[i])) return false;
  }
  return true;
}

static float into_range(const dpc_bounds* b, float value) {
  const float low = (float)b->limits.low, high = (float)b->limits.high;
  return value < low ? low : value > high ? high : value;
}

// Compared with what was wanted before, followed or not: a policy that stays where it jumped to means
// it.
static bool is_jump(dpc_gate* gate, const float* wanted) {
  bool far = false;
  for (int i = 0; i < gate->dim; ++i) {
    const double jump = gate->bounds[i].jump;
    far |= jump > 0 && fabs((double)wanted[i] - (double)gate->last[i]) > jump;
    gate->last[i] = wanted[i];
  }
  gate->sound = far ? 0 : gate->sound + 1;
  gate->refusing = far || (gate->refusing && gate->sound < gate->recovery);
  return gate->refusing;
}

// --- moving ---------------------------------------------------------------------------------------

static bool has_limits(const dpc_bounds* b) {
  return b->limits.speed > 0;
}

// A tick that comes early or late must not make the step much smaller or larger.
static double step_time(const dpc_gate* gate, uint64_t ticks) {
  return gate->period * (ticks < 2 ? (double)ticks : 2);
}

// `pose` NULL: what has no limits stays as it was commanded.
static void brake(dpc_gate* gate, const float* pose, uint64_t ticks, float* out) {
  for (int i = 0; i < gate->dim; ++i) {
    const dpc_bounds* b = &gate->bounds[i];
    dpc_motion* m = &gate->motion[i];
    if (has_limits(b)) {
      if (ticks > 0) *m = dpc_limiter_brake(&b->limits, m, step_time(gate, ticks));
    } else if (pose != NULL) {
      m->position = (double)into_range(b, pose[i]);
    }
    out[i] = (float)m->position;
  }
}

static double at(const float* values, int i) {
  return values == NULL ? 0 : (double)values[i];
}

static bool go(dpc_gate* gate, int i, const dpc_wanted* wanted, uint64_t ticks, float* out) {
  const dpc_bounds* b = &gate->bounds[i];
  dpc_motion* m = &gate->motion[i];
  const float position = into_range(b, wanted->position[i]);
  if (!has_limits(b)) {
    m->position = (double)position;
    out[i] = position;
    return false;
  }
  const double tick = gate->period;
  const dpc_motion target = {(double)wanted->position[i], at(wanted->velocity, i) / tick,
                             at(wanted->acceleration, i) / (tick * tick)};
  if (ticks > 0) *m = dpc_limiter_step(&b->limits, m, &target, step_time(gate, ticks));
  out[i] = (float)m->position;
  return out[i] != position;
}

dpc_gate_report dpc_gate_pass(dpc_gate* gate, const dpc_wanted* wanted, uint64_t ticks,
                              float* out) {
  dpc_gate_report report = {0};
  const int dim = gate->dim;
  report.rejected = !all_finite(wanted->position, dim) || !all_finite(wanted->velocity, dim) ||
                    !all_finite(wanted->acceleration, dim);
  if (!report.rejected) report.jumped = is_jump(gate, wanted->position);
  if (report.rejected || report.jumped) {
    brake(gate, NULL, ticks, out);
    return report;
  }
  for (int i = 0; i < dim; ++i) {
    report.clamped += into_range(&gate->bounds[i], wanted->position[i]) != wanted->position[i];
    report.limited += go(gate, i, wanted, ticks, out);
  }
  return report;
}

void dpc_gate_hold(dpc_gate* gate, const float* pose, uint64_t ticks, float* out) {
  brake(gate, pose, ticks, out);
  for (int i = 0; i < gate->dim; ++i) gate->last[i] = out[i];
}

const dpc_motion* dpc_gate_motion(const dpc_gate* gate, int i) {
  return has_limits(&gate->bounds[i]) ? &gate->motion[i] : NULL;
}

bool dpc_gate_at_rest(const dpc_gate* gate) {
  for (int i = 0; i < gate->dim; ++i) {
    if (gate->motion[i].velocity != 0 || gate->motion[i].acceleration != 0) return false;
  }
  return true;
}
