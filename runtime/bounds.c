#include "runtime/bounds.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

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

static dpc_status check(const dpc_bounds* b, dpc_error* error) {
  const dpc_limits* l = &b->limits;
  if (l->low >= l->high) {
    return dpc_fail(error, DPC_ERR_CONFIG, "low %g is not below high %g", l->low, l->high);
  }
  const int given = (l->speed > 0) + (l->acceleration > 0) + (l->jerk > 0);
  if (given % 3 != 0) {
    return dpc_fail(error, DPC_ERR_CONFIG, "speed, acceleration and jerk belong together");
  }
  // what was refused is taken up again from afar, and something must bound that way
  if (b->jump > 0 && given == 0) {
    return dpc_fail(error, DPC_ERR_CONFIG, "jump needs speed, acceleration and jerk");
  }
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
  return check(b, error);
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

dpc_status dpc_bounds_read(const dpc_text_list* list, const dpc_layout* action, double low,
                           double high, dpc_bounds* out, dpc_error* error) {
  const dpc_bounds all = {.limits = {.low = (double)(float)low, .high = (double)(float)high}};
  const int dim = dpc_layout_dim(action);
  for (int i = 0; i < dim; ++i) out[i] = all;
  for (int i = 0; i < list->count; ++i) {
    const dpc_status status = read_element(list->values[i], action, out, error);
    if (status != DPC_OK) {
      return dpc_fail_prefix(error, status, "controller.limits: '%s': ", list->values[i]);
    }
  }
  return DPC_OK;
}
