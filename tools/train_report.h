/// What `dpc train` says: a line while it runs, and what came out of it.
#pragma once

#include "tools/cli.h"
#include "tools/train_metrics.h"

/// A run at its end.
typedef struct dpc_train_result {
  const dpc_train_settings* settings;
  const dpc_trainer* trainer;
  const dpc_dataset* dataset;
  const dpc_train_summary* summary;
  int failed_saves;
} dpc_train_result;

/// Numbers in the network, without the padding that the flat block of them may have.
/// Allocates: no. Blocks: no. Thread: any.
size_t dpc_train_parameters(const dpc_trainer* trainer);

/// Show the progress line: step, time left, and the latest of everything.
/// Allocates: no. Blocks: on the stream. Thread: main only.
void dpc_train_show_progress(const dpc_cli* cli, const dpc_train_settings* settings,
                             const dpc_train_metrics* metrics, const dpc_train_report* report);

/// Print the result, and save it where `--json` says.
/// Allocates: heap, freed before it returns. Blocks: on the streams. Thread: main only.
DPC_NODISCARD dpc_status dpc_train_report_result(const dpc_cli* cli, const dpc_train_result* result,
                                                 dpc_error* error);
