#include "policy/normalizer.h"

#include <math.h>

const char* const dpc_normalizer_modes[] = {"limits", "gaussian", "identity", NULL};

// What a dimension looks like over all rows.
typedef struct spread {
  double min, max, mean, deviation;
} spread;

// Two passes, so that a large mean costs no digits; the deviation divides by rows - 1.
static spread measure(const float* values, int rows, int dim, int column) {
  spread s = {.min = INFINITY, .max = -INFINITY};
  for (int i = 0; i < rows; ++i) {
    const double value = values[(size_t)i * dim + column];
    s.min = fmin(s.min, value);
    s.max = fmax(s.max, value);
    s.mean += value;
  }
  s.mean /= rows;
  for (int i = 0; i < rows; ++i) {
    const double distance = values[(size_t)i * dim + column] - s.mean;
    s.deviation += distance * distance;
  }
  s.deviation = rows > 1 ? sqrt(s.deviation / (rows - 1)) : 0.0;
  return s;
}

static void fit_column(dpc_normalizer_mode mode, const spread* s, float* scale, float* offset) {
  *scale = 1.0f;
  *offset = 0.0f;
  switch (mode) {
    case DPC_NORMALIZER_LIMITS: {
      const double range = s->max - s->min;
      const bool constant = range < DPC_NORMALIZER_CONSTANT;
      if (!constant) *scale = (float)(2.0 / range);
      *offset = (float)(constant ? -s->min : -1.0 - *scale * s->min);
      return;
    }
    case DPC_NORMALIZER_GAUSSIAN:
      if (s->deviation >= DPC_NORMALIZER_CONSTANT) *scale = (float)(1.0 / s->deviation);
      *offset = (float)(-s->mean * *scale);
      return;
    case DPC_NORMALIZER_IDENTITY:
      return;
  }
}

dpc_status dpc_normalizer_fit(dpc_normalizer_mode mode, const float* values, int rows, int dim,
                              dpc_arena* arena, dpc_normalizer* out, dpc_error* error) {
  DPC_ASSERT(rows >= 1 && dim >= 1);
  for (size_t i = 0; i < (size_t)rows * (size_t)dim; ++i) {
    if (!isfinite(values[i])) {
      return dpc_fail(error, DPC_ERR_INVALID, "row %zu, dimension %zu is not finite",
                      i / (size_t)dim, i % (size_t)dim);
    }
  }
  const size_t mark = dpc_arena_mark(arena);
  dpc_normalizer fitted = {
      .dim = dim, .scale = DPC_TAKE(arena, float, dim), .offset = DPC_TAKE(arena, float, dim)};
  if (fitted.scale == NULL || fitted.offset == NULL) {
    dpc_arena_release(arena, mark);
    return dpc_arena_full(arena, "a normalizer", error);
  }
  for (int column = 0; column < dim; ++column) {
    const spread s = measure(values, rows, dim, column);
    fit_column(mode, &s, &fitted.scale[column], &fitted.offset[column]);
  }
  const dpc_status status = dpc_normalizer_check(&fitted, error);
  if (status != DPC_OK) {
    dpc_arena_release(arena, mark);
    return status;
  }
  *out = fitted;
  return DPC_OK;
}

// A scale must be usable both ways, so its inverse counts as well.
dpc_status dpc_normalizer_check(const dpc_normalizer* normalizer, dpc_error* error) {
  for (int i = 0; i < normalizer->dim; ++i) {
    const float scale = normalizer->scale[i], offset = normalizer->offset[i];
    if (!isfinite(scale) || !isfinite(1.0f / scale) || !isfinite(offset)) {
      return dpc_fail(error, DPC_ERR_INVALID, "dimension %d: scale %g and offset %g cannot be used",
                      i, (double)scale, (double)offset);
    }
  }
  return DPC_OK;
}

void dpc_normalizer_apply(const dpc_normalizer* normalizer, const float* values, int rows,
                          float* out) {
  const int dim = normalizer->dim;
  for (int row = 0; row < rows; ++row, values += dim, out += dim) {
    for (int i = 0; i < dim; ++i) {
      out[i] = values[i] * normalizer->scale[i] + normalizer->offset[i];
    }
  }
}

void dpc_normalizer_invert(const dpc_normalizer* normalizer, const float* values, int rows,
                           float* out) {
  const int dim = normalizer->dim;
  for (int row = 0; row < rows; ++row, values += dim, out += dim) {
    for (int i = 0; i < dim; ++i) {
      out[i] = (values[i] - normalizer->offset[i]) / normalizer->scale[i];
    }
  }
}
