/// A training run read back from its folder: settings, what was measured, and what was kept.
#pragma once

#include "policy/train/settings.h"
#include "tools/train_best.h"
#include "tools/train_history.h"

typedef struct dpc_train_run {
  const char* path;  // the caller's
  dpc_train_settings settings;
  dpc_train_history history;
  dpc_train_summary summary;
  dpc_train_best_list best;
  int64_t saved;  // step of the state to resume from; -1 without one
  int64_t steps;  // made, as far as can be seen
} dpc_train_run;

/// One setting of a run, as text.
typedef struct dpc_setting_text {
  char text[(DPC_LIST_TEXT_MAX + 2) * DPC_LIST_MAX + 3];
} dpc_setting_text;

/// True for a folder that `dpc train` has written to.
/// Allocates: no. Blocks: disk. Thread: any.
bool dpc_train_run_is(const char* path);

/// Read the run in a folder, also one that is going on. The state and its checksum are verified.
/// `out` is freed with `dpc_train_run_free`.
/// Allocates: heap. Blocks: disk. Thread: any.
DPC_NODISCARD dpc_status dpc_train_run_read(const char* path, dpc_train_run* out, dpc_error* error);

/// Free what was read. An all-zero run is left alone.
/// Allocates: no. Blocks: no. Thread: the run's owner.
void dpc_train_run_free(dpc_train_run* run);

/// True when all steps were made.
/// Allocates: no. Blocks: no. Thread: any.
bool dpc_train_run_finished(const dpc_train_run* run);

/// The setting `field` of section `section`, an index in dpc_train_sections.
/// Allocates: no. Blocks: no. Thread: any.
dpc_setting_text dpc_train_setting(const dpc_train_settings* settings, int section, int field);

/// True when the two differ in that setting.
/// Allocates: no. Blocks: no. Thread: any.
bool dpc_train_setting_differs(const dpc_train_settings* a, const dpc_train_settings* b,
                               int section, int field);
