/// The metrics of a training run: one JSON object per line, followed live and read by plots.
///
/// A line has "step" and what was measured there: every train.log_every steps "epoch", "loss" (the
/// mean since the last such line), "lr", "gradient_norm" and "samples_per_second"; now and then
/// "val_loss", or "rollout_score" and "rollout_success"; "seconds" of the run so far in each. The
/// last line of a run that has ended has its "summary".
#pragma once

#include <stdio.h>

#include "policy/train/trainer.h"
#include "tools/train_history.h"

typedef struct dpc_train_metrics {
  FILE* stream;
  bool failed;  // a line could not be written; said once
  int log_every, batch;
  dpc_train_history history;  // of the whole run
  int64_t first_step;         // steps made before this process
  dpc_time start;             // of this process
  double earlier;             // seconds spent before it
  dpc_time line_start;        // since the last line
  double line_loss;           // sum
  int line_steps;
} dpc_train_metrics;

/// Open `path` to add lines to, and read what it holds. Lines of steps after `step` are dropped
/// first, and so are a summary and a last line that was torn by a crash: a run that goes on from
/// `step` writes them again. The clock starts.
/// Allocates: heap. Blocks: disk. Thread: main only.
DPC_NODISCARD dpc_status dpc_train_metrics_open(const char* path, int64_t step,
                                                const dpc_train_def* def,
                                                dpc_train_metrics* metrics, dpc_error* error);

/// Close the file, free the history. An all-zero struct is left alone.
/// Allocates: no. Blocks: disk. Thread: main only.
void dpc_train_metrics_close(dpc_train_metrics* metrics);

/// Seconds spent on the run so far, earlier processes included.
/// Allocates: no. Blocks: no. Thread: main only.
double dpc_train_metrics_seconds(const dpc_train_metrics* metrics);

/// Take a step in; a line when one is due. A line that cannot be written (a full disk) is said once
/// and does not stop training.
/// Allocates: heap. Blocks: disk. Thread: main only.
void dpc_train_metrics_step(dpc_train_metrics* metrics, const dpc_train_report* report);

/// A line for a validation. NaN is none.
/// Allocates: heap. Blocks: disk. Thread: main only.
void dpc_train_metrics_validation(dpc_train_metrics* metrics, int64_t step, double val_loss);

/// A line for rollouts.
/// Allocates: heap. Blocks: disk. Thread: main only.
void dpc_train_metrics_rollouts(dpc_train_metrics* metrics, int64_t step, double score,
                                double success);

/// The last line: the summary of the run after `step`, which is returned.
/// Allocates: heap. Blocks: disk. Thread: main only.
dpc_train_summary dpc_train_metrics_end(dpc_train_metrics* metrics, int64_t step);
