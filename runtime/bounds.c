#include "runtime/bounds.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// --- the settings ---------------------------------------------------------------------------------

// The part of a bound that "key=" means; NULL when there is none of this name.
static double* find_part(dpc_bounds* b, const char* key, size_t length) {
  const struct {
    const char* key;
    double* part;
  } parts[] = {
      {"low", &b->limits.low},     {"high", &b->limits.high},
      {"speed", &b->limits.speed}, {"acceleration", &b->limits.acceleration},
      {"jerk", &b->limits.jerk},   {"jump", &b->jump},
  };
  for (int i = 0; i < DPC_COUNT(parts); ++i) {
    if (strlen(parts[i].key) == length && strncmp(parts[i].key, key, length) == 0) {
      return parts[i].part;
    }
  }
  return NULL;
}

static dpc_status read_part(const char* word, size_t length, dpc_bounds* b, dpc_error* error) {
  const char* equals = memchr(word, '=', length);
  double* part = equals == NULL ? NULL : find_part(b, word, (size_t)(equals - word));
  if (part == NULL) {
    return dpc_fail(
        error, DPC_ERR_CONFIG,
        "'%.*s' is not one of low=, high=, speed=, acceleration=, jerk=, jump=", (int)length, word);
  }
  char* end;
  const double value = strtod(equals + 1, &end);
  const bool is_range = part == &b->limits.low || part == &b->limits.high;
  if (end != word + length || end == equals + 1 || !(fabs(value) <= 1e30) ||
      !(is_range || value > 0)) {
    return dpc_fail(error, DPC_ERR_CONFIG, "'%.*s' needs a number%s", (int)length, word,
                    is_range ? "" : " above 0");
  }
  *part = value;
  return DPC_OK;
}

static dpc_status read_value(const char* parts, dpc_bounds* b, dpc_error* error) {
  for (const char* at = parts + strspn(parts, " "); *at != '\0'; at += strspn(at, " ")) {
    const size_t length = strcspn(at, " ");
    DPC_TRY(read_part(at, length, b, error));
    at += length;
  }
  // a command is made of floats, and none may be beyond
  b->limits.low = (double)(float)b->limits.low;
  b->limits.high = (double)(float)b->limits.high;
  if (b->limits.low < b->limits.high) return DPC_OK;
  return dpc_fail(error, DPC_ERR_CONFIG, "low %g is not below high %g", b->limits.low,
                  b->limits.high);
}

static dpc_status read_element(const char* element, const dpc_layout* action, dpc_bounds* out,
                               dpc_error* error) {
  const size_t length = strcspn(element, " ");
  bool found = false;
  int at = 0;
  for (int i = 0; i < action->count; ++i) {
    const dpc_signal* signal = &action->signals[i];
    const bool meant =
        (length == 1 && element[0] == '*') ||
        (strlen(signal->name) == length && strncmp(signal->name, element, length) == 0);
    found |= meant;
    for (int j = 0; j < signal->dim; ++j, ++at) {
      if (meant) DPC_TRY(read_value(element + length, &out[at], error));
    }
  }
  if (found) return DPC_OK;
  return dpc_fail(error, DPC_ERR_CONFIG, "no action signal has this name");
}

// --- and the robot --------------------------------------------------------------------------------

// A value of a command, and where it is in the robot's interface.
typedef struct place {
  const dpc_interface* robot;
  int signal, element;
  int at;
} place;

// What the robot says of it; where it says nothing, what bounds nothing.
static dpc_limits own_limits(const place* p) {
  const bool* given = p->robot->limits.given[p->signal];
  double said[DPC_LIMIT_COUNT] = {[DPC_LIMIT_LOW] = -INFINITY, [DPC_LIMIT_HIGH] = INFINITY};
  for (int k = 0; k < DPC_LIMIT_COUNT; ++k) {
    if (given[k]) said[k] = (double)p->robot->limits.values[k][p->at];
  }
  return (dpc_limits){said[DPC_LIMIT_LOW], said[DPC_LIMIT_HIGH], said[DPC_LIMIT_SPEED],
                      said[DPC_LIMIT_ACCELERATION], said[DPC_LIMIT_JERK]};
}

// 0 is none.
static double tighter(double a, double b) {
  return a > 0 && (b <= 0 || a < b) ? a : b;
}

static dpc_status check_motion(const dpc_bounds* b, const place* p, dpc_error* error) {
  const char* name = p->robot->action.signals[p->signal].name;
  const dpc_limits* l = &b->limits;
  const int given = (l->speed > 0) + (l->acceleration > 0) + (l->jerk > 0);
  if (given % 3 != 0) {
    const dpc_limit missing = l->speed <= 0          ? DPC_LIMIT_SPEED
                              : l->acceleration <= 0 ? DPC_LIMIT_ACCELERATION
                                                     : DPC_LIMIT_JERK;
    return dpc_fail(
        error, DPC_ERR_CONFIG,
        "controller.limits: action '%s', element %d: speed, acceleration and jerk belong "
        "together, and neither these settings nor the robot says %s",
        name, p->element, dpc_limit_name(missing));
  }
  // what was refused is taken up again from afar, and something must bound that way
  if (b->jump > 0 && given == 0) {
    return dpc_fail(
        error, DPC_ERR_CONFIG,
        "controller.limits: action '%s', element %d: jump needs speed, acceleration and jerk", name,
        p->element);
  }
  return DPC_OK;
}

// Of everything the tighter of what the settings and the robot say. `all` is what the settings say of
// every value.
static dpc_status join(const place* p, const dpc_limits* all, dpc_bounds* b, dpc_error* error) {
  const dpc_limits ours = b->limits, own = own_limits(p);
  b->limits = (dpc_limits){.low = fmax(ours.low, own.low),
                           .high = fmin(ours.high, own.high),
                           .speed = tighter(ours.speed, own.speed),
                           .acceleration = tighter(ours.acceleration, own.acceleration),
                           .jerk = tighter(ours.jerk, own.jerk)};
  if (b->limits.low < b->limits.high) return check_motion(b, p, error);
  const bool general = ours.low == all->low && ours.high == all->high;
  return dpc_fail(error, DPC_ERR_CONFIG,
                  "action '%s', element %d: %s allow %g to %g, and the robot takes %g to %g: "
                  "nothing is in both",
                  p->robot->action.signals[p->signal].name, p->element,
                  general ? "controller.action_min and action_max" : "controller.limits", ours.low,
                  ours.high, own.low, own.high);
}

dpc_status dpc_bounds_read(const dpc_text_list* list, const dpc_interface* robot, double low,
                           double high, dpc_bounds* out, dpc_error* error) {
  const dpc_layout* action = &robot->action;
  const dpc_bounds all = {.limits = {.low = (double)(float)low, .high = (double)(float)high}};
  const int dim = dpc_layout_dim(action);
  for (int i = 0; i < dim; ++i) out[i] = all;
  for (int i = 0; i < list->count; ++i) {
    const dpc_status status = read_element(list->values[i], action, out, error);
    if (status != DPC_OK) {
      return dpc_fail_prefix(error, status, "controller.limits: '%s': ", list->values[i]);
    }
  }
  place p = {.robot = robot};
  for (; p.signal < action->count; ++p.signal) {
    for (p.element = 0; p.element < action->signals[p.signal].dim; ++p.element, ++p.at) {
      DPC_TRY(join(&p, &all.limits, &out[p.at], error));
    }
  }
  return DPC_OK;
}

// --- in words -------------------------------------------------------------------------------------

enum { TEXT_MAX = 256 };

// "low 0 (robot), high 9 (settings)".
static void print(const dpc_bounds* b, const place* p, char text[TEXT_MAX]) {
  const dpc_limits own = own_limits(p), *l = &b->limits;
  const struct {
    const char* name;
    double value, own;
    bool in_force;
  } parts[] = {{"low", l->low, own.low, true},
               {"high", l->high, own.high, true},
               {"speed", l->speed, own.speed, l->speed > 0},
               {"acceleration", l->acceleration, own.acceleration, l->acceleration > 0},
               {"jerk", l->jerk, own.jerk, l->jerk > 0},
               {"jump", b->jump, 0, b->jump > 0}};
  int length = 0;
  for (int i = 0; i < DPC_COUNT(parts); ++i) {
    if (!parts[i].in_force) continue;
    length += snprintf(text + length, (size_t)(TEXT_MAX - length), "%s%s %g (%s)",
                       length > 0 ? ", " : "", parts[i].name, parts[i].value,
                       parts[i].value == parts[i].own ? "robot" : "settings");
  }
}

void dpc_bounds_log(const dpc_bounds* bounds, const dpc_interface* robot) {
  place p = {.robot = robot};
  for (; p.signal < robot->action.count; ++p.signal) {
    const dpc_signal* signal = &robot->action.signals[p.signal];
    for (p.element = 0; p.element < signal->dim;) {
      const int first = p.element;
      char text[TEXT_MAX], next[TEXT_MAX];
      print(&bounds[p.at], &p, text);
      // elements of which the same is to be said share a line
      do {
        ++p.element;
        ++p.at;
        if (p.element < signal->dim) print(&bounds[p.at], &p, next);
      } while (p.element < signal->dim && strcmp(text, next) == 0);
      dpc_log(DPC_LOG_INFO, "limits of %s[%d:%d]: %s", signal->name, first, p.element, text);
    }
  }
}
