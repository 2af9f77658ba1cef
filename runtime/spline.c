#include "runtime/spline.h"

dpc_status dpc_spline_create(int capacity, int dim, dpc_arena* arena, dpc_spline* out,
                             dpc_error* error) {
  DPC_ASSERT(capacity >= 1 && dim >= 1);
  const size_t mark = dpc_arena_mark(arena);
  dpc_spline s = {.dim = dim, .capacity = capacity};
  s.times = DPC_TAKE(arena, double, capacity);
  s.points = DPC_TAKE(arena, double, (size_t)capacity*(size_t)dim);
  s.slopes = DPC_TAKE(arena, double, (size_t)capacity*(size_t)dim);
  s.ratios = DPC_TAKE(arena, double, capacity);
  if (!s.times || !s.points || !s.slopes || !s.ratios) {
    dpc_arena_release(arena, mark);
    return dpc_arena_full(arena, "a spline", error);
  }
  *out = s;
  return DPC_OK;
}

// --- points ---------------------------------------------------------------------------------------

static void append(dpc_spline* s, double time, const float* point) {
  DPC_ASSERT(s->count < s->capacity);
  double* to = s->points + (size_t)s->count * (size_t)s->dim;
  for (int i = 0; i < s->dim; ++i) to[i] = (double)point[i];
  s->times[s->count++] = time;
}

void dpc_spline_begin(dpc_spline* spline, double time, const float* point, const float* slope) {
  spline->count = 0;
  append(spline, time, point);
  for (int i = 0; i < spline->dim; ++i) spline->slopes[i] = (double)slope[i];
}

void dpc_spline_add(dpc_spline* spline, double time, const float* point) {
  DPC_ASSERT(spline->count >= 1 && time > spline->times[spline->count - 1]);
  append(spline, time, point);
}

// --- slopes ---------------------------------------------------------------------------------------

// Two cubics that meet at point k, with intervals a before and b after it, have the same second
// derivative there when (de Boor 1978, chapter IV)
//
//     b m[k-1] + 2 (a + b) m[k] + a m[k+1] = 3 (b (p[k] - p[k-1]) / a + a (p[k+1] - p[k]) / b)
//
// for the slopes m. The middle one outweighs the others, so elimination needs no pivots. All values
// share the left side.
void dpc_spline_end(dpc_spline* spline, const float* slope) {
  dpc_spline* s = spline;
  const int last = s->count - 1;
  const size_t dim = (size_t)s->dim;
  DPC_ASSERT(last >= 0);
  if (last == 0) return;
  for (size_t i = 0; i < dim; ++i) {
    s->slopes[(size_t)last * dim + i] = slope == NULL ? 0 : (double)slope[i];
  }
  // downwards: m[k] = slopes[k] - ratios[k] m[k+1], and m[0] is known
  s->ratios[0] = 0;
  for (int k = 1; k < last; ++k) {
    const double a = s->times[k] - s->times[k - 1], b = s->times[k + 1] - s->times[k];
    const double scale = 1 / (2 * (a + b) - b * s->ratios[k - 1]);
    const double* p = s->points + (size_t)k * dim;
    double* m = s->slopes + (size_t)k * dim;
    s->ratios[k] = a * scale;
    for (size_t i = 0; i < dim; ++i) {
      const double rising = b * (p[i] - p[i - dim]) / a + a * (p[i + dim] - p[i]) / b;
      m[i] = (3 * rising - b * m[i - dim]) * scale;
    }
  }
  for (int k = last - 1; k >= 1; --k) {
    double* m = s->slopes + (size_t)k * dim;
    for (size_t i = 0; i < dim; ++i) m[i] -= s->ratios[k] * m[i + dim];
  }
}

// --- looking up -----------------------------------------------------------------------------------

static void stand(const double* point, int dim, float* position, float* velocity,
                  float* acceleration) {
  for (int i = 0; i < dim; ++i) {
    position[i] = (float)point[i];
    velocity[i] = acceleration[i] = 0;
  }
}

void dpc_spline_at(const dpc_spline* spline, double time, float* position, float* velocity,
                   float* acceleration) {
  const dpc_spline* s = spline;
  const size_t dim = (size_t)s->dim, last = (size_t)s->count - 1;
  DPC_ASSERT(s->count >= 1);
  if (time < s->times[0]) {
    stand(s->points, s->dim, position, velocity, acceleration);
    return;
  }
  if (last == 0 || time > s->times[last]) {
    stand(s->points + last * dim, s->dim, position, velocity, acceleration);
    return;
  }
  size_t k = 0;
  while (k + 2 <= last && time >= s->times[k + 1]) ++k;
  // Hermite's form of the cubic, u from 0 to 1
  const double h = s->times[k + 1] - s->times[k], u = (time - s->times[k]) / h;
  const double *p = s->points + k * dim, *m = s->slopes + k * dim;
  for (size_t i = 0; i < dim; ++i) {
    const double rise = p[i + dim] - p[i], m0 = m[i] * h, m1 = m[i + dim] * h;
    const double c2 = 3 * rise - 2 * m0 - m1, c3 = m0 + m1 - 2 * rise;
    position[i] = (float)(p[i] + u * (m0 + u * (c2 + u * c3)));
    velocity[i] = (float)((m0 + u * (2 * c2 + u * 3 * c3)) / h);
    acceleration[i] = (float)((2 * c2 + u * 6 * c3) / (h * h));
  }
}
