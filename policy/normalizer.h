/// Physical units <-> the unit range that the network sees: normalised = x * scale + offset, per
/// dimension.
#pragma once

#include "policy/arena.h"

typedef enum dpc_normalizer_mode {
  DPC_NORMALIZER_LIMITS,    // smallest value -> -1, largest -> 1
  DPC_NORMALIZER_GAUSSIAN,  // mean 0, standard deviation 1
  DPC_NORMALIZER_NONE,      // unchanged
} dpc_normalizer_mode;

/// Names of the modes in order, NULL-terminated.
extern const char* const dpc_normalizer_modes[];

/// A dimension that varies less than this (range, or standard deviation) is constant.
#define DPC_NORMALIZER_CONSTANT 1e-4

/// What a dimension looks like over all rows; all-zero before the first.
typedef struct dpc_spread {
  int64_t count;
  double min, max, mean;
  double squares;  // of the distances from the mean, summed
} dpc_spread;

typedef struct dpc_normalizer {
  int dim;
  float* scale;   // [dim], finite, not 0
  float* offset;  // [dim], finite
} dpc_normalizer;

/// Take one more value in (Welford 1962, so that a large mean costs no digits).
/// Allocates: no. Blocks: no. Thread: any, one spread each.
void dpc_spread_add(dpc_spread* spread, double value);

/// Room for `dim` dimensions, each unchanged. DPC_ERR_NO_MEMORY.
/// Allocates: from the arena. Blocks: no. Thread: start-up only.
DPC_NODISCARD dpc_status dpc_normalizer_create(int dim, dpc_arena* arena, dpc_normalizer* out,
                                               dpc_error* error);

/// Fit dimension `column` to what `spread` took in. A constant dimension is shifted to 0 and keeps its
/// scale, so nothing is divided by zero.
/// Allocates: no. Blocks: no. Thread: start-up only.
void dpc_normalizer_fit_column(dpc_normalizer* normalizer, int column, dpc_normalizer_mode mode,
                               const dpc_spread* spread);

/// Fit to `rows` x `dim` values, row after row, rows >= 1. DPC_ERR_INVALID names the row and dimension of a
/// value that is not finite; DPC_ERR_NO_MEMORY.
/// Allocates: from the arena. Blocks: no. Thread: start-up only.
DPC_NODISCARD dpc_status dpc_normalizer_fit(dpc_normalizer_mode mode, const float* values, int rows,
                                            int dim, dpc_arena* arena, dpc_normalizer* out,
                                            dpc_error* error);

/// Scales finite and not 0, offsets finite. DPC_ERR_INVALID names the dimension.
/// Allocates: no. Blocks: no. Thread: any.
DPC_NODISCARD dpc_status dpc_normalizer_check(const dpc_normalizer* normalizer, dpc_error* error);

/// Physical -> normalised, [rows x dim]; `out` may be `values`.
/// Allocates: no. Blocks: no. Thread: any.
void dpc_normalizer_apply(const dpc_normalizer* normalizer, const float* values, int rows,
                          float* out);

/// Normalised -> physical, [rows x dim]; `out` may be `values`.
/// Allocates: no. Blocks: no. Thread: any.
void dpc_normalizer_invert(const dpc_normalizer* normalizer, const float* values, int rows,
                           float* out);
