#include "policy/relative.h"

dpc_status dpc_relative_add(dpc_relative* relative, const dpc_interface* interface, int signal,
                            dpc_error* error) {
  const dpc_signal* action = &interface->action.signals[signal];
  dpc_relative_part part = {.dim = action->dim};
  if (action->tracks[0] == '\0') {
    return dpc_fail(error, DPC_ERR_INVALID,
                    "action '%s' is relative, but does not say which observation it tracks",
                    action->name);
  }
  (void)dpc_layout_find(&interface->action, action->name, &part.action);
  const dpc_signal* tracked = dpc_layout_find(&interface->obs, action->tracks, &part.obs);
  DPC_ASSERT(tracked != NULL && tracked->dim == action->dim && relative->count < DPC_SIGNAL_MAX);
  relative->parts[relative->count++] = part;
  return DPC_OK;
}

bool dpc_relative_has(const dpc_relative* relative, int column) {
  for (int i = 0; i < relative->count; ++i) {
    if (relative->parts[i].action == column) return true;
  }
  return false;
}

static void shift(const dpc_relative* relative, float sign, const float* obs, int rows,
                  int action_dim, float* actions) {
  for (int row = 0; row < rows; ++row, actions += action_dim) {
    for (int i = 0; i < relative->count; ++i) {
      const dpc_relative_part* part = &relative->parts[i];
      for (int k = 0; k < part->dim; ++k) actions[part->action + k] += sign * obs[part->obs + k];
    }
  }
}

void dpc_relative_from_absolute(const dpc_relative* relative, const float* obs, int rows,
                                int action_dim, float* actions) {
  shift(relative, -1, obs, rows, action_dim, actions);
}

void dpc_relative_to_absolute(const dpc_relative* relative, const float* obs, int rows,
                              int action_dim, float* actions) {
  shift(relative, 1, obs, rows, action_dim, actions);
}
