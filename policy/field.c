#include "policy/field.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// --- reading and writing one value ---------------------------------------------------------------

// A parsed value of any type, kept apart from the struct until it is known to be good.
typedef union value {
  bool boolean;
  int integer;
  uint64_t uint64;
  double real;
  dpc_int_list ints;
  dpc_text_list texts;
} value;

static bool parse_integer(const char* text, double min, double max, int* out) {
  char* end = NULL;
  errno = 0;
  const long parsed = strtol(text, &end, 10);
  if (end == text || *end != '\0' || errno != 0) return false;
  if (!((double)parsed >= min && (double)parsed <= max)) return false;
  *out = (int)parsed;
  return true;
}

static bool parse_uint64(const char* text, uint64_t* out) {
  char* end = NULL;
  errno = 0;
  *out = strtoull(text, &end, 10);
  return end != text && *end == '\0' && errno == 0 && strchr(text, '-') == NULL;
}

// Written !(in range) so that NaN fails; hexadecimal floats and "inf" are not settings.
static bool parse_real(const char* text, double min, double max, double* out) {
  char* end = NULL;
  if (strspn(text, "+-.0123456789eE") != strlen(text)) return false;
  *out = strtod(text, &end);
  return end != text && *end == '\0' && *out >= min && *out <= max;
}

static bool parse_boolean(const char* text, bool* out) {
  *out = strcmp(text, "true") == 0;
  return *out || strcmp(text, "false") == 0;
}

static bool parse_choice(const char* text, const char* const* names, int* out) {
  for (*out = 0; names[*out] != NULL; ++*out) {
    if (strcmp(names[*out], text) == 0) return true;
  }
  return false;
}

// Length of an element: up to a comma, or to the bracket that closes the list rather than the
// element.
static size_t element_length(const char* at) {
  size_t length = 0;
  for (int depth = 0; at[length] != '\0'; ++length) {
    if (at[length] == ',' || (at[length] == ']' && depth == 0)) break;
    depth += (at[length] == '[') - (at[length] == ']');
  }
  return length;
}

// Copy the next element of "[a, b]" and return where to go on; NULL at the end or when malformed.
static const char* next_element(const char* at, char* element, size_t capacity) {
  at += strspn(at, " ");
  const size_t length = element_length(at);
  size_t trimmed = length;
  while (trimmed > 0 && at[trimmed - 1] == ' ') --trimmed;
  if (at[length] == '\0' || trimmed == 0 || trimmed >= capacity) return NULL;
  memcpy(element, at, trimmed);
  element[trimmed] = '\0';
  return at + length + 1;
}

static bool parse_list(const dpc_field* field, const char* text, value* out) {
  if (*text == '\0' || strcmp(text, "[]") == 0) return true;
  if (*text++ != '[') return false;
  for (int count = 1; count <= DPC_LIST_MAX; ++count) {
    char element[DPC_LIST_TEXT_MAX] = {0};
    text = next_element(text, element, sizeof element);
    if (text == NULL) return false;
    if (field->type == DPC_FIELD_INT_LIST) {
      if (!parse_integer(element, field->min, field->max, &out->ints.values[count - 1]))
        return false;
      out->ints.count = count;
    } else {
      memcpy(out->texts.values[count - 1], element, sizeof element);
      out->texts.count = count;
    }
    if (text[-1] == ']') return *text == '\0';
  }
  return false;
}

static bool parse_value(const dpc_field* field, const char* text, value* out) {
  memset(out, 0, sizeof *out);
  switch (field->type) {
    case DPC_FIELD_BOOL:
      return parse_boolean(text, &out->boolean);
    case DPC_FIELD_INT:
      return parse_integer(text, field->min, field->max, &out->integer);
    case DPC_FIELD_UINT64:
      return parse_uint64(text, &out->uint64);
    case DPC_FIELD_REAL:
      return parse_real(text, field->min, field->max, &out->real);
    case DPC_FIELD_CHOICE:
      return parse_choice(text, field->names, &out->integer);
    case DPC_FIELD_TEXT:
      return strlen(text) < field->size;
    case DPC_FIELD_INT_LIST:
    case DPC_FIELD_TEXT_LIST:
      return parse_list(field, text, out);
  }
  return false;
}

// With the fewest digits that read back to the same bits: 0.1 and not 0.10000000000000001.
static int print_real(double real, char* text, size_t capacity) {
  char digits[32];
  int length = 0;
  for (int precision = 15; precision <= 17; ++precision) {
    length = snprintf(digits, sizeof digits, "%.*g", precision, real);
    if (strtod(digits, NULL) == real) break;
  }
  return capacity > 0 ? snprintf(text, capacity, "%s", digits) : length;
}

static int print_list(const dpc_field* field, const void* member, char* text, size_t capacity) {
  const bool ints = field->type == DPC_FIELD_INT_LIST;
  const int count =
      ints ? ((const dpc_int_list*)member)->count : ((const dpc_text_list*)member)->count;
  size_t used = 0;
  for (int i = 0; i <= count; ++i) {
    if (used >= capacity) return (int)used;
    const char* before = i == 0 ? "[" : i < count ? ", " : "";
    if (i == count) return (int)used + snprintf(text + used, capacity - used, count ? "]" : "[]");
    used += (size_t)(ints ? snprintf(text + used, capacity - used, "%s%d", before,
                                     ((const dpc_int_list*)member)->values[i])
                          : snprintf(text + used, capacity - used, "%s%s", before,
                                     ((const dpc_text_list*)member)->values[i]));
  }
  return (int)used;
}

dpc_status dpc_field_print(const dpc_field* field, const void* def, char* text, size_t capacity) {
  const void* member = (const char*)def + field->offset;
  int length = 0;
  switch (field->type) {
    case DPC_FIELD_BOOL:
      length = snprintf(text, capacity, "%s", *(const bool*)member ? "true" : "false");
      break;
    case DPC_FIELD_INT:
      length = snprintf(text, capacity, "%d", *(const int*)member);
      break;
    case DPC_FIELD_UINT64:
      length = snprintf(text, capacity, "%" PRIu64, *(const uint64_t*)member);
      break;
    case DPC_FIELD_REAL:
      length = print_real(*(const double*)member, text, capacity);
      break;
    case DPC_FIELD_CHOICE:
      length = snprintf(text, capacity, "%s", field->names[*(const int*)member]);
      break;
    case DPC_FIELD_TEXT:
      length = snprintf(text, capacity, "%s", (const char*)member);
      break;
    case DPC_FIELD_INT_LIST:
    case DPC_FIELD_TEXT_LIST:
      length = print_list(field, member, text, capacity);
      break;
  }
  return length >= 0 && (size_t)length < capacity ? DPC_OK : DPC_ERR_NO_MEMORY;
}

// --- tables --------------------------------------------------------------------------------------

void dpc_field_allowed(const dpc_field* field, char* text, size_t capacity) {
  switch (field->type) {
    case DPC_FIELD_BOOL:
      snprintf(text, capacity, "true or false");
      break;
    case DPC_FIELD_INT:
      snprintf(text, capacity, "an integer in [%.0f, %.0f]", field->min, field->max);
      break;
    case DPC_FIELD_UINT64:
      snprintf(text, capacity, "an integer in [0, 2^64 - 1]");
      break;
    case DPC_FIELD_REAL:
      snprintf(text, capacity, "a number in [%g, %g]", field->min, field->max);
      break;
    case DPC_FIELD_TEXT:
      snprintf(text, capacity, "text shorter than %zu bytes", field->size);
      break;
    case DPC_FIELD_INT_LIST:
      snprintf(text, capacity, "up to %d integers in [%.0f, %.0f]", DPC_LIST_MAX, field->min,
               field->max);
      break;
    case DPC_FIELD_TEXT_LIST:
      snprintf(text, capacity, "a list of up to %d texts", DPC_LIST_MAX);
      break;
    case DPC_FIELD_CHOICE: {
      size_t used = (size_t)snprintf(text, capacity, "one of");
      for (int i = 0; field->names[i] != NULL && used < capacity; ++i) {
        used +=
            (size_t)snprintf(text + used, capacity - used, "%s %s", i ? "," : "", field->names[i]);
      }
      break;
    }
  }
}

dpc_status dpc_field_parse(const dpc_field_table* table, const dpc_field* field, const char* text,
                           void* def, dpc_error* error) {
  value parsed;
  if (!parse_value(field, text, &parsed)) {
    char allowed[256];
    dpc_field_allowed(field, allowed, sizeof allowed);
    return dpc_fail(error, DPC_ERR_CONFIG, "%s.%s: '%.80s' is not allowed: %s", table->section,
                    field->key, text, allowed);
  }
  char* member = (char*)def + field->offset;
  if (field->type == DPC_FIELD_TEXT) {
    memset(member, 0, field->size);
    memcpy(member, text, strlen(text) + 1);
  } else {
    memcpy(member, &parsed, field->size);
  }
  return DPC_OK;
}

void dpc_fields_default(const dpc_field_table* table, void* def) {
  memset(def, 0, table->struct_size);
  for (int i = 0; i < table->count; ++i) {
    const dpc_field* field = &table->fields[i];
    const dpc_status status = dpc_field_parse(table, field, field->fallback, def, NULL);
    DPC_ASSERT(status == DPC_OK);
  }
}

// A value that was set in C rather than read has not been through the parser: print it and parse it
// back, so that one rule decides what is allowed.
dpc_status dpc_fields_check(const dpc_field_table* table, const void* def, dpc_error* error) {
  for (int i = 0; i < table->count; ++i) {
    const dpc_field* field = &table->fields[i];
    if (field->type == DPC_FIELD_CHOICE) {
      int count = 0;
      while (field->names[count] != NULL) ++count;
      const int chosen = *(const int*)((const char*)def + field->offset);
      if (chosen < 0 || chosen >= count) {
        return dpc_fail(error, DPC_ERR_CONFIG, "%s.%s: %d names no choice", table->section,
                        field->key, chosen);
      }
    }
    char text[DPC_LIST_MAX * (DPC_LIST_TEXT_MAX + 2) + 4] = "";
    value parsed;
    const bool printed = dpc_field_print(field, def, text, sizeof text) == DPC_OK;
    if (!printed || !parse_value(field, text, &parsed)) {
      char allowed[256];
      dpc_field_allowed(field, allowed, sizeof allowed);
      return dpc_fail(error, DPC_ERR_CONFIG, "%s.%s: '%.80s' is not allowed: %s", table->section,
                      field->key, printed ? text : "?", allowed);
    }
  }
  return DPC_OK;
}

const dpc_field* dpc_fields_find(const dpc_field_table* table, const char* key) {
  for (int i = 0; i < table->count; ++i) {
    if (strcmp(table->fields[i].key, key) == 0) return &table->fields[i];
  }
  return NULL;
}

// Levenshtein distance of two short words.
static int word_distance(const char* a, const char* b) {
  enum { LONGEST = 63 };
  const size_t a_length = strlen(a), b_length = strlen(b);
  if (a_length > LONGEST || b_length > LONGEST) return LONGEST;
  int row[LONGEST + 1];
  for (size_t j = 0; j <= b_length; ++j) row[j] = (int)j;
  for (size_t i = 1; i <= a_length; ++i) {
    int diagonal = row[0];
    row[0] = (int)i;
    for (size_t j = 1; j <= b_length; ++j) {
      const int above = row[j];
      const int replaced = diagonal + (a[i - 1] != b[j - 1]);
      const int shifted = (above < row[j - 1] ? above : row[j - 1]) + 1;
      row[j] = replaced < shifted ? replaced : shifted;
      diagonal = above;
    }
  }
  return row[b_length];
}

const char* dpc_fields_nearest(const dpc_field_table* table, const char* key) {
  const char* nearest = NULL;
  int best = 3;
  for (int i = 0; i < table->count; ++i) {
    const int distance = word_distance(key, table->fields[i].key);
    if (distance < best) {
      best = distance;
      nearest = table->fields[i].key;
    }
  }
  return nearest;
}
