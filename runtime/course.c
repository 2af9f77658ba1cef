#include "runtime/course.h"

#include <math.h>
#include <string.h>

const char* const dpc_interpolation_names[] = {"hold", "cubic", NULL};
const char* const dpc_switching_names[] = {"wait",    "drop",   "blend", "prefix",
                                           "trained", "guided", NULL};

dpc_status dpc_course_create(dpc_interpolation interpolation, int horizon, int dim,
                             dpc_arena* arena, dpc_course* out, dpc_error* error) {
  const size_t mark = dpc_arena_mark(arena);
  dpc_course course = {.interpolation = interpolation};
  course.values = DPC_TAKE(arena, float, (size_t)horizon*(size_t)dim);
  course.between = DPC_TAKE(arena, float, dim);
  if (course.values == NULL || course.between == NULL) {
    dpc_arena_release(arena, mark);
    return dpc_arena_full(arena, "a course", error);
  }
  DPC_TRY(dpc_spline_create(horizon + 1, dim, arena, &course.spline, error));
  *out = course;
  return DPC_OK;
}

void dpc_course_clear(dpc_course* course) {
  course->chunk.values = NULL;
}

static void lay_spline(dpc_course* course, uint64_t tick, const float* position,
                       const float* velocity) {
  const dpc_chunk* chunk = &course->chunk;
  const double step = chunk->ticks_per_step;
  int row = dpc_chunk_row(chunk, tick);
  course->spline_begin = tick - 1;
  dpc_spline_begin(&course->spline, 0, position, velocity);
  for (; row >= 0 && row < chunk->horizon; ++row) {
    const int64_t due = (int64_t)(dpc_chunk_due(chunk, row) - course->spline_begin);
    const double time = (double)due + 0.5 * step;
    if (time < step && row < chunk->horizon - 1) continue;
    dpc_spline_add(&course->spline, fmax(time, step),
                   chunk->values + (size_t)row * (size_t)chunk->dim);
  }
  dpc_spline_end(&course->spline, NULL);
}

void dpc_course_follow(dpc_course* course, const dpc_chunk* next, uint64_t tick,
                       const float* position, const float* velocity) {
  course->chunk = *next;
  course->chunk.values = course->values;
  memcpy(course->values, next->values, sizeof(float) * (size_t)next->horizon * (size_t)next->dim);
  if (course->interpolation == DPC_INTERPOLATION_CUBIC) {
    lay_spline(course, tick, position, velocity);
  }
}

const float* dpc_course_at(dpc_course* course, uint64_t tick, float* velocity,
                           float* acceleration) {
  const float* row = dpc_chunk_at(&course->chunk, tick);
  if (row == NULL || course->interpolation == DPC_INTERPOLATION_HOLD) return row;
  dpc_spline_at(&course->spline, (double)(tick - course->spline_begin), course->between, velocity,
                acceleration);
  return course->between;
}
