/// The metrics of a training run: one JSON object per line, followed live and read by plots.
#pragma once

#include <stdio.h>

#include "policy/train/trainer.h"

typedef struct dpc_train_metrics {
  FILE* stream;
  bool failed;  // a line could not be written; said once
} dpc_train_metrics;

/// Open `path` to add lines to. Lines of steps after `step` are dropped first, and so is a last line
/// that was torn by a crash: a run that goes on from `step` writes them again.
/// Allocates: heap. Blocks: disk. Thread: main only.
DPC_NODISCARD dpc_status dpc_train_metrics_open(const char* path, int64_t step,
                                                dpc_train_metrics* metrics, dpc_error* error);

/// Close the file. An all-zero struct is left alone.
/// Allocates: no. Blocks: disk. Thread: main only.
void dpc_train_metrics_close(dpc_train_metrics* metrics);

/// A line {"step", "epoch", "loss", "lr", "gradient_norm", "samples_per_second"}; `loss` is the
/// mean since the last line. A line that cannot be written (a full disk) is said once and does not
/// stop training.
/// Allocates: heap. Blocks: disk. Thread: main only.
void dpc_train_metrics_step(dpc_train_metrics* metrics, const dpc_train_report* report, double loss,
                            double samples_per_second);

/// A line {"step", name: value}, for what is measured now and then.
/// Allocates: heap. Blocks: disk. Thread: main only.
void dpc_train_metrics_value(dpc_train_metrics* metrics, int64_t step, const char* name,
                             double value);
