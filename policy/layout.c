#include "policy/layout.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

// --- one layout -----------------------------------------------------------------------------------

static void set_text(char* out, size_t capacity, const char* text) {
  const size_t length = text == NULL ? 0 : strlen(text);
  DPC_ASSERT(length < capacity);
  memset(out, 0, capacity);
  if (length > 0) memcpy(out, text, length + 1);
}

void dpc_layout_add(dpc_layout* layout, const char* name, int dim, const char* unit,
                    const char* tracks) {
  DPC_ASSERT(layout->count < DPC_SIGNAL_MAX);
  dpc_signal* signal = &layout->signals[layout->count++];
  signal->dim = dim;
  set_text(signal->name, sizeof signal->name, name);
  set_text(signal->unit, sizeof signal->unit, unit);
  set_text(signal->tracks, sizeof signal->tracks, tracks);
}

int dpc_layout_dim(const dpc_layout* layout) {
  int dim = 0;
  for (int i = 0; i < layout->count; ++i) dim += layout->signals[i].dim;
  return dim;
}

const dpc_signal* dpc_layout_find(const dpc_layout* layout, const char* name, int* offset) {
  int before = 0;
  for (int i = 0; i < layout->count; ++i) {
    const dpc_signal* signal = &layout->signals[i];
    if (strcmp(signal->name, name) == 0) {
      if (offset != NULL) *offset = before;
      return signal;
    }
    before += signal->dim;
  }
  return NULL;
}

// Terminated, and plain ASCII, so that it can stand in messages and files as it is.
static bool is_plain(const char* text, size_t capacity) {
  for (size_t i = 0; i < capacity; ++i) {
    if (text[i] == '\0') return true;
    if (text[i] < ' ' || text[i] > '~') return false;
  }
  return false;
}

static dpc_status check_signal(const dpc_layout* layout, int index, dpc_error* error) {
  const dpc_signal* signal = &layout->signals[index];
  if (!is_plain(signal->name, sizeof signal->name) || signal->name[0] == '\0') {
    return dpc_fail(error, DPC_ERR_INVALID,
                    "signal %d: the name must be 1 to %d plain ASCII characters", index,
                    DPC_NAME_MAX - 1);
  }
  if (!is_plain(signal->unit, sizeof signal->unit) ||
      !is_plain(signal->tracks, sizeof signal->tracks)) {
    return dpc_fail(error, DPC_ERR_INVALID, "signal '%s': unit and tracks must be plain ASCII",
                    signal->name);
  }
  if (signal->dim < 1 || signal->dim > DPC_SIGNAL_DIM_MAX) {
    return dpc_fail(error, DPC_ERR_INVALID, "signal '%s': dim %d is not in [1, %d]", signal->name,
                    signal->dim, DPC_SIGNAL_DIM_MAX);
  }
  for (int i = 0; i < index; ++i) {
    if (strcmp(layout->signals[i].name, signal->name) == 0) {
      return dpc_fail(error, DPC_ERR_INVALID, "signal '%s' comes twice", signal->name);
    }
  }
  return DPC_OK;
}

dpc_status dpc_layout_check(const dpc_layout* layout, dpc_error* error) {
  if (layout->count < 1 || layout->count > DPC_SIGNAL_MAX) {
    return dpc_fail(error, DPC_ERR_INVALID, "%d signals: must be 1 to %d", layout->count,
                    DPC_SIGNAL_MAX);
  }
  for (int i = 0; i < layout->count; ++i) DPC_TRY(check_signal(layout, i, error));
  if (dpc_layout_dim(layout) > DPC_LAYOUT_DIM_MAX) {
    return dpc_fail(error, DPC_ERR_INVALID, "%d values in all: at most %d", dpc_layout_dim(layout),
                    DPC_LAYOUT_DIM_MAX);
  }
  return DPC_OK;
}

void dpc_layout_gather(const dpc_layout* need, const dpc_layout* have, int* gather) {
  int filled = 0;
  for (int i = 0; i < need->count; ++i) {
    int offset = 0;
    const dpc_signal* found = dpc_layout_find(have, need->signals[i].name, &offset);
    DPC_ASSERT(found != NULL && found->dim == need->signals[i].dim);
    for (int j = 0; j < found->dim; ++j) gather[filled++] = offset + j;
  }
}

// --- both directions ------------------------------------------------------------------------------

static dpc_status check_tracks(const dpc_interface* interface, const dpc_signal* signal,
                               dpc_error* error) {
  if (signal->tracks[0] == '\0') return DPC_OK;
  const dpc_signal* tracked = dpc_layout_find(&interface->obs, signal->tracks, NULL);
  if (tracked == NULL) {
    return dpc_fail(error, DPC_ERR_INVALID, "action '%s' tracks '%s', which is not observed",
                    signal->name, signal->tracks);
  }
  if (tracked->dim != signal->dim) {
    return dpc_fail(error, DPC_ERR_INVALID, "action '%s' has dim %d and tracks '%s' of dim %d",
                    signal->name, signal->dim, tracked->name, tracked->dim);
  }
  return DPC_OK;
}

// --- a robot's own limits -------------------------------------------------------------------------

const char* dpc_limit_name(dpc_limit limit) {
  static const char* const names[DPC_LIMIT_COUNT] = {"low", "high", "speed", "acceleration",
                                                     "jerk"};
  return names[limit];
}

void dpc_interface_limit(dpc_interface* interface, const char* signal, dpc_limit limit,
                         const float* values) {
  int at = 0;
  const dpc_signal* found = dpc_layout_find(&interface->action, signal, &at);
  DPC_ASSERT(found != NULL && at + found->dim <= DPC_LIMITED_MAX);
  interface->limits.given[found - interface->action.signals][limit] = true;
  memcpy(interface->limits.values[limit] + at, values, sizeof(float) * (size_t)found->dim);
}

static dpc_status check_limit(const dpc_action_limits* limits, const bool* given,
                              const char* signal, int element, int at, dpc_error* error) {
  for (int k = 0; k < DPC_LIMIT_COUNT; ++k) {
    const double value = (double)limits->values[k][at];
    const bool is_position = k == DPC_LIMIT_LOW || k == DPC_LIMIT_HIGH;
    // written so that NaN fails, too
    if (!given[k] || (fabs(value) <= 1e30 && (is_position || value > 0))) continue;
    return dpc_fail(error, DPC_ERR_INVALID, "action '%s': limit %s of element %d is %g: must be %s",
                    signal, dpc_limit_name((dpc_limit)k), element, value,
                    is_position ? "within 1e30" : "above 0, and at most 1e30");
  }
  const float low = limits->values[DPC_LIMIT_LOW][at], high = limits->values[DPC_LIMIT_HIGH][at];
  if (!given[DPC_LIMIT_LOW] || !given[DPC_LIMIT_HIGH] || low < high) return DPC_OK;
  return dpc_fail(error, DPC_ERR_INVALID,
                  "action '%s': limit low of element %d is %g, which is not below high, %g", signal,
                  element, (double)low, (double)high);
}

static dpc_status check_limits(const dpc_interface* interface, dpc_error* error) {
  int at = 0;
  for (int i = 0; i < interface->action.count; ++i) {
    const dpc_signal* signal = &interface->action.signals[i];
    const bool* given = interface->limits.given[i];
    bool any = false;
    for (int k = 0; k < DPC_LIMIT_COUNT; ++k) any |= given[k];
    if (any && at + signal->dim > DPC_LIMITED_MAX) {
      return dpc_fail(error, DPC_ERR_INVALID,
                      "action '%s': has limits, but only the first %d values of an action may",
                      signal->name, DPC_LIMITED_MAX);
    }
    for (int j = 0; any && j < signal->dim; ++j) {
      DPC_TRY(check_limit(&interface->limits, given, signal->name, j, at + j, error));
    }
    at += signal->dim;
  }
  return DPC_OK;
}

dpc_status dpc_interface_check(const dpc_interface* interface, dpc_error* error) {
  const int64_t hour = INT64_C(3600000000000);
  dpc_status status = dpc_layout_check(&interface->obs, error);
  if (status != DPC_OK) return dpc_fail_prefix(error, status, "observation: ");
  status = dpc_layout_check(&interface->action, error);
  if (status != DPC_OK) return dpc_fail_prefix(error, status, "action: ");
  for (int i = 0; i < interface->action.count; ++i) {
    DPC_TRY(check_tracks(interface, &interface->action.signals[i], error));
  }
  if (interface->period_ns < 1 || interface->period_ns > hour) {
    return dpc_fail(error, DPC_ERR_INVALID, "period of %" PRId64 " ns: must be in [1, %" PRId64 "]",
                    interface->period_ns, hour);
  }
  return check_limits(interface, error);
}

// Two texts that are both known and differ.
static bool differ(const char* a, const char* b) {
  return a[0] != '\0' && b[0] != '\0' && strcmp(a, b) != 0;
}

static dpc_status match_signal(const char* kind, const dpc_signal* need, const dpc_signal* have,
                               dpc_error* error) {
  if (need->dim != have->dim) {
    return dpc_fail(error, DPC_ERR_MISMATCH, "%s '%s': policy has dim %d, robot has %d", kind,
                    need->name, need->dim, have->dim);
  }
  if (differ(need->unit, have->unit)) {
    return dpc_fail(error, DPC_ERR_MISMATCH, "%s '%s': policy has unit '%s', robot has '%s'", kind,
                    need->name, need->unit, have->unit);
  }
  if (differ(need->tracks, have->tracks)) {
    return dpc_fail(error, DPC_ERR_MISMATCH, "%s '%s': policy's tracks '%s', robot's '%s'", kind,
                    need->name, need->tracks, have->tracks);
  }
  return DPC_OK;
}

static dpc_status match_action(const dpc_layout* need, const dpc_layout* have, dpc_error* error) {
  for (int i = 0; i < need->count && i < have->count; ++i) {
    if (strcmp(need->signals[i].name, have->signals[i].name) != 0) {
      return dpc_fail(error, DPC_ERR_MISMATCH, "action %d: policy has '%s', robot has '%s'", i,
                      need->signals[i].name, have->signals[i].name);
    }
    DPC_TRY(match_signal("action", &need->signals[i], &have->signals[i], error));
  }
  if (need->count == have->count) return DPC_OK;
  const bool missing = need->count > have->count;
  const dpc_layout* longer = missing ? need : have;
  return dpc_fail(error, DPC_ERR_MISMATCH, "action '%s': %s has it, %s does not",
                  longer->signals[missing ? have->count : need->count].name,
                  missing ? "policy" : "robot", missing ? "robot" : "policy");
}

dpc_status dpc_interface_match(const dpc_interface* need, const dpc_interface* have,
                               dpc_error* error) {
  for (int i = 0; i < need->obs.count; ++i) {
    const dpc_signal* wanted = &need->obs.signals[i];
    const dpc_signal* found = dpc_layout_find(&have->obs, wanted->name, NULL);
    if (found == NULL) {
      return dpc_fail(error, DPC_ERR_MISMATCH, "observation '%s': policy needs it, robot has none",
                      wanted->name);
    }
    DPC_TRY(match_signal("observation", wanted, found, error));
  }
  DPC_TRY(match_action(&need->action, &have->action, error));
  if (need->period_ns != have->period_ns) {
    return dpc_fail(error, DPC_ERR_MISMATCH,
                    "period: policy has %" PRId64 " ns, robot has %" PRId64 " ns", need->period_ns,
                    have->period_ns);
  }
  return DPC_OK;
}

// --- values ---------------------------------------------------------------------------------------

dpc_status dpc_layout_check_finite(const dpc_layout* layout, const char* kind, const float* values,
                                   int rows, dpc_error* error) {
  for (int row = 0; row < rows; ++row) {
    for (int s = 0; s < layout->count; ++s) {
      for (int i = 0; i < layout->signals[s].dim; ++i, ++values) {
        if (!isfinite(*values)) {
          return dpc_fail(error, DPC_ERR_INVALID, "%s '%s': row %d, element %d is not finite", kind,
                          layout->signals[s].name, row, i);
        }
      }
    }
  }
  return DPC_OK;
}
