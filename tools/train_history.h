/// What was measured in the course of a training run, from its metrics: kept by the trainer while it
/// runs, read back by `dpc inspect`.
#pragma once

#include "tools/cli.h"

/// What is known of one step; NaN for what was not measured there.
typedef struct dpc_train_point {
  int64_t step;
  double epoch;
  double loss;  // mean since the point before
  double learning_rate;
  double gradient_norm;
  double samples_per_second;
  double val_loss;
  double score, success;  // of rollouts on the selection seeds
  double seconds;         // spent on the run so far, earlier processes included
} dpc_train_point;

typedef struct dpc_train_history {
  int count, capacity;
  dpc_train_point* points;  // [count], each step once
  dpc_train_point latest;   // of each value
} dpc_train_history;

/// How many of the latest rollouts are averaged: one score on a few seeds is noise.
enum { DPC_TRAIN_LAST_ROLLOUTS = 10 };

/// A run in a few numbers, as papers report it. NaN for what there is not.
typedef struct dpc_train_summary {
  int rollouts;
  int last;                          // min(rollouts, DPC_TRAIN_LAST_ROLLOUTS)
  double score_max, score_last;      // of all rollouts, mean of the last ones
  double success_max, success_last;  // as above
  double loss, val_loss;             // latest
  double seconds, samples_per_second;
} dpc_train_summary;

/// A step of which nothing is known yet.
/// Allocates: no. Blocks: no. Thread: any.
dpc_train_point dpc_train_point_at(int64_t step);

/// Append a point. One of the same step as the last is taken into that.
/// Allocates: heap; asserts when there is none. Blocks: no. Thread: the history's owner.
void dpc_train_history_add(dpc_train_history* history, const dpc_train_point* point);

/// Read the metrics in `path`. A line that is torn is passed over; a file that is not there has
/// none. `out` is freed with `dpc_train_history_free`.
/// Allocates: heap. Blocks: disk. Thread: any.
DPC_NODISCARD dpc_status dpc_train_history_read(const char* path, dpc_train_history* out,
                                                dpc_error* error);

/// Free the points. An all-zero history is left alone.
/// Allocates: no. Blocks: no. Thread: the history's owner.
void dpc_train_history_free(dpc_train_history* history);

/// Sum up a run with this many windows per step.
/// Allocates: no. Blocks: no. Thread: any.
dpc_train_summary dpc_train_summarize(const dpc_train_history* history, int batch);

/// The summary as JSON, owned by the caller: what ends the metrics and is in every report.
/// Allocates: heap. Blocks: no. Thread: any.
dpc_json* dpc_train_summary_json(const dpc_train_summary* summary);

/// Print max and mean of the last rollouts, labelled as what they are: on the seeds that policies
/// are selected with. Nothing without rollouts.
/// Allocates: no. Blocks: on the stream. Thread: main only.
void dpc_train_summary_print(const dpc_cli* cli, const dpc_train_summary* summary);

/// What is known of a point as JSON, owned by the caller: a line of metrics.
/// Allocates: heap. Blocks: no. Thread: any.
dpc_json* dpc_train_point_json(const dpc_train_point* point);
