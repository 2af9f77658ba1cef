#include "policy/normalizer.h"

#include <math.h>

const char* const dpc_normalizer_modes[] = {"limits", "gaussian", "none", NULL};

void dpc_spread_add(dpc_spread* spread, double value) {
  if (spread->count == 0) *spread = (dpc_spread){.min = INFINITY, .max = -INFINITY};
  const double distance = value - spread->mean;
  spread->count += 1;
  spread->min = fmin(spread->min, value);
  spread->max = fmax(spread->max, value);
  spread->mean += distance / (double)spread->count;
  spread->squares += distance * (value - spread->mean);
}

static double deviation_of(const dpc_spread* spread) {
  return spread->count > 1 ? sqrt(spread->squares / (double)(spread->count - 1)) : 0.0;
}

dpc_status dpc_normalizer_create(int dim, dpc_arena* arena, dpc_normalizer* out, dpc_error* error) {
  DPC_ASSERT(dim >= 1);
  const size_t mark = dpc_arena_mark(arena);
  const dpc_normalizer made = {
      .dim = dim, .scale = DPC_TAKE(arena, float, dim), .offset = DPC_TAKE(arena, float, dim)};
  if (made.scale == NULL || made.offset == NULL) {
    dpc_arena_release(arena, mark);
    return dpc_arena_full(arena, "a normalizer", error);
  }
  for (int i = 0; i < dim; ++i) made.scale[i] = 1.0f;
  *out = made;
  return DPC_OK;
}

void dpc_normalizer_fit_column(dpc_normalizer* normalizer, int column, dpc_normalizer_mode mode,
                               const dpc_spread* spread) {
  DPC_ASSERT(column >= 0 && column < normalizer->dim && spread->count >= 1);
  float *scale = &normalizer->scale[column], *offset = &normalizer->offset[column];
  *scale = 1.0f;
  *offset = 0.0f;
  switch (mode) {
    case DPC_NORMALIZER_LIMITS: {
      const double range = spread->max - spread->min;
      const bool constant = range < DPC_NORMALIZER_CONSTANT;
      if (!constant) *scale = (float)(2.0 / range);
      *offset = (float)(constant ? -spread->min : -1.0 - *scale * spread->min);
      return;
    }
    case DPC_NORMALIZER_GAUSSIAN: {
      const double deviation = deviation_of(spread);
      if (deviation >= DPC_NORMALIZER_CONSTANT) *scale = (float)(1.0 / deviation);
      *offset = (float)(-spread->mean * *scale);
      return;
    }
    case DPC_NORMALIZER_NONE:
      return;
  }
}

dpc_status dpc_normalizer_fit(dpc_normalizer_mode mode, const float* values, int rows, int dim,
                              dpc_arena* arena, dpc_normalizer* out, dpc_error* error) {
  DPC_ASSERT(rows >= 1);
  for (size_t i = 0; i < (size_t)rows * (size_t)dim; ++i) {
    if (!isfinite(values[i])) {
      return dpc_fail(error, DPC_ERR_INVALID, "row %zu, dimension %zu is not finite",
                      i / (size_t)dim, i % (size_t)dim);
    }
  }
  const size_t mark = dpc_arena_mark(arena);
  dpc_normalizer fitted = {0};
  DPC_TRY(dpc_normalizer_create(dim, arena, &fitted, error));
  for (int column = 0; column < dim; ++column) {
    dpc_spread spread = {0};
    for (int i = 0; i < rows; ++i)
      dpc_spread_add(&spread, (double)values[(size_t)i * dim + column]);
    dpc_normalizer_fit_column(&fitted, column, mode, &spread);
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
