/// Training runs side by side: the settings in which they differ, and mean and spread of those that
/// differ in their seed alone.
#pragma once

#include "tools/train_run.h"

enum { DPC_TRAIN_DIFFERENCE_MAX = 128 };

/// A setting that is not the same in all runs.
typedef struct dpc_train_difference {
  char name[64];  // "train.seed"
  int section, field;
  bool is_seed;
} dpc_train_difference;

typedef struct dpc_train_comparison {
  int count;
  dpc_train_run* runs;  // [count]
  int difference_count;
  dpc_train_difference differences[DPC_TRAIN_DIFFERENCE_MAX];
  int* groups;  // [count], for each run the first one with the same settings but for the seed
} dpc_train_comparison;

/// What runs are compared by.
typedef struct dpc_train_figure {
  const char* title;  // in a table
  const char* key;    // in JSON
  size_t offset;      // in dpc_train_summary
  int decimals;
} dpc_train_figure;

enum { DPC_TRAIN_FIGURES = 6 };
extern const dpc_train_figure dpc_train_figures[DPC_TRAIN_FIGURES];

/// Over the runs of a group; NaN when one of them lacks the figure.
typedef struct dpc_train_spread {
  double mean, deviation;  // of the sample, n - 1
  double min, max;
} dpc_train_spread;

/// Read the runs and compare their settings, but for those that change no result of a finished run
/// (folder, threads, how often something is written). `out` is freed with
/// `dpc_train_comparison_free`, also on failure.
/// Allocates: heap. Blocks: disk. Thread: any.
DPC_NODISCARD dpc_status dpc_train_compare(const char* const* paths, int count,
                                           dpc_train_comparison* out, dpc_error* error);

/// Free what was read. An all-zero struct is left alone.
/// Allocates: no. Blocks: no. Thread: the owner's.
void dpc_train_comparison_free(dpc_train_comparison* comparison);

/// Runs in the group of run `group`; 0 when it is not the first of one.
/// Allocates: no. Blocks: no. Thread: any.
int dpc_train_group_size(const dpc_train_comparison* comparison, int group);

/// A figure of one run.
/// Allocates: no. Blocks: no. Thread: any.
double dpc_train_figure_of(const dpc_train_run* run, int figure);

/// A figure over the runs of a group of two or more.
/// Allocates: no. Blocks: no. Thread: any.
dpc_train_spread dpc_train_spread_of(const dpc_train_comparison* comparison, int group, int figure);
