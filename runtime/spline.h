/// A cubic spline through points in time: twice continuously differentiable, with given slopes at
/// both ends. A command that follows it has no step in velocity or acceleration on the way.
///
///     dpc_spline_begin(&spline, 0, position, velocity);
///     dpc_spline_add(&spline, 5, row); …          // rising times
///     dpc_spline_end(&spline, at_rest);
///     dpc_spline_at(&spline, 2.5, position, velocity);
#pragma once

#include "policy/arena.h"

typedef struct dpc_spline {
  int dim, capacity;
  int count;       // points; 0: empty
  double* times;   // [capacity]
  double* points;  // [capacity x dim]
  double* slopes;  // [capacity x dim], at the points, per unit of time
  double* ratios;  // [capacity], of the elimination
} dpc_spline;

/// A spline of up to `capacity` >= 1 points with `dim` values each; empty. DPC_ERR_NO_MEMORY.
/// Allocates: from the arena. Blocks: no. Thread: start-up only.
DPC_NODISCARD dpc_status dpc_spline_create(int capacity, int dim, dpc_arena* arena, dpc_spline* out,
                                           dpc_error* error);

/// Begin anew, at `point` with `slope`, both [dim]; what was there is forgotten.
/// Allocates: no. Blocks: no. Thread: the spline's owner.
void dpc_spline_begin(dpc_spline* spline, double time, const float* point, const float* slope);

/// Go on through `point` [dim] at a later time.
/// Allocates: no. Blocks: no. Thread: the spline's owner.
void dpc_spline_add(dpc_spline* spline, double time, const float* point);

/// Arrive at the last point with `slope` [dim]; NULL: at rest. Now the spline can be looked up. With
/// one point alone it is that point. The work depends on the number of points only.
/// Allocates: no. Blocks: no. Thread: the spline's owner.
void dpc_spline_end(dpc_spline* spline, const float* slope);

/// Where the spline is at `time`, and how it moves: `position`, `velocity` and `acceleration`, out,
/// [dim]. Outside its times it stands still at its ends.
/// Allocates: no. Blocks: no. Thread: the spline's owner.
void dpc_spline_at(const dpc_spline* spline, double time, float* position, float* velocity,
                   float* acceleration);
