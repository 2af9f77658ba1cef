/// Which recorded signals make a policy's observation and its action, and how.
///
/// One entry of a setting reads `NAME[a:b] as NEW in UNIT tracks SIGNAL relative scale HOW hold`;
/// everything after NAME may be left out, in this order:
///
///     [a:b]     keeps elements a to b - 1
///     as        renames
///     in        states the unit where the recording does not
///     tracks    of an action: the selected observation that it is a target for
///     relative  of an action: learned as the difference to that observation
///     scale     limits (the default: smallest value -1, largest 1), gaussian (mean 0, deviation 1),
///               none, or LOW:HIGH, which become -1 and 1
///     hold      of an observation: at another rate, the last value instead of one in between
///
///     obs:    [keypoint in px, state[0:2] as agent_pos in px]
///     action: [action in px tracks agent_pos]
#pragma once

#include "policy/field.h"
#include "policy/layout.h"
#include "policy/normalizer.h"

/// How a signal is normalised.
typedef struct dpc_scaling {
  dpc_normalizer_mode mode;
  bool is_given;     // by `low` and `high`, which become -1 and 1; not by what was recorded
  double low, high;  // low < high
} dpc_scaling;

/// Arrays have one element per selected signal.
typedef struct dpc_selection {
  dpc_layout layout;            // what was selected, in order
  int columns[DPC_SIGNAL_MAX];  // first column in a recorded row
  dpc_scaling scaling[DPC_SIGNAL_MAX];
  bool relative[DPC_SIGNAL_MAX];
  bool hold[DPC_SIGNAL_MAX];
} dpc_selection;

/// Find each entry of `entries` in `recorded`. Returns DPC_ERR_CONFIG for an entry that cannot be
/// read, DPC_ERR_NOT_FOUND for a name that was not recorded (the message lists those that were),
/// DPC_ERR_MISMATCH for a unit other than the recorded one. Messages begin with `setting`, such as
/// "dataset.obs".
/// Allocates: no. Blocks: no. Thread: any.
DPC_NODISCARD dpc_status dpc_selection_make(const char* setting, const dpc_text_list* entries,
                                            const dpc_layout* recorded, dpc_selection* selection,
                                            dpc_error* error);

/// Forget what an action tracked in the recording when that observation was not selected under the
/// same name and size; what a setting names stays, for `dpc_interface_check` to judge.
/// Allocates: no. Blocks: no. Thread: any.
void dpc_selection_drop_tracks(const dpc_text_list* entries, const dpc_selection* obs,
                               dpc_selection* action);

/// Copy the selected columns of a recorded row to `selected`, [dpc_layout_dim(&selection->layout)].
/// Allocates: no. Blocks: no. Thread: any.
void dpc_selection_apply(const dpc_selection* selection, const float* recorded, float* selected);
