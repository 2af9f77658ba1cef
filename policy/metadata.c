#include "policy/metadata.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// --- putting together -----------------------------------------------------------------------------

void dpc_metadata_init(dpc_metadata* metadata, int capacity, dpc_arena* arena) {
  *metadata = (dpc_metadata){.arena = arena,
                             .entries = DPC_TAKE(arena, dpc_metadata_entry, capacity),
                             .capacity = capacity};
  metadata->full = metadata->entries == NULL;
}

dpc_status dpc_metadata_check(const dpc_metadata* metadata, dpc_error* error) {
  return metadata->full ? dpc_fail(error, DPC_ERR_NO_MEMORY, "metadata do not fit") : DPC_OK;
}

// A new entry with room for `length` characters of text, or NULL.
static char* add_entry(dpc_metadata* metadata, const char* key, size_t length) {
  char* kept = dpc_arena_take(metadata->arena, strlen(key) + 1);
  char* text = dpc_arena_take(metadata->arena, length + 1);
  if (metadata->full || metadata->count == metadata->capacity || kept == NULL || text == NULL) {
    metadata->full = true;
    return NULL;
  }
  memcpy(kept, key, strlen(key) + 1);
  metadata->entries[metadata->count++] = (dpc_metadata_entry){kept, text};
  return text;
}

void dpc_metadata_add(dpc_metadata* metadata, const char* key, const char* format, ...) {
  va_list arguments, again;
  va_start(arguments, format);
  va_copy(again, arguments);
  const int length = vsnprintf(NULL, 0, format, arguments);
  DPC_ASSERT(length >= 0);
  char* text = add_entry(metadata, key, (size_t)length);
  if (text != NULL) vsnprintf(text, (size_t)length + 1, format, again);
  va_end(again);
  va_end(arguments);
}

enum { KEY_MAX = 128, SETTING_MAX = 4096 };

void dpc_metadata_add_fields(dpc_metadata* metadata, const dpc_field_table* table,
                             const void* def) {
  for (int i = 0; i < table->count; ++i) {
    char key[KEY_MAX], text[SETTING_MAX];
    snprintf(key, sizeof key, "%s.%s", table->section, table->fields[i].key);
    const dpc_status printed = dpc_field_print(&table->fields[i], def, text, sizeof text);
    DPC_ASSERT(printed == DPC_OK);
    dpc_metadata_add(metadata, key, "%s", text);
  }
}

void dpc_metadata_add_floats(dpc_metadata* metadata, const char* key, const float* values,
                             int count) {
  enum { LONGEST = 18 };  // "-1.23456789e-38, "
  const size_t capacity = (size_t)count * LONGEST + 3;
  char* text = add_entry(metadata, key, capacity);
  if (text == NULL) return;
  size_t used = 0;
  for (int i = 0; i < count; ++i) {
    used +=
        (size_t)snprintf(text + used, capacity - used, i ? ", %.9g" : "[%.9g", (double)values[i]);
  }
  snprintf(text + used, capacity - used, count ? "]" : "[]");
}

void dpc_metadata_add_layout(dpc_metadata* metadata, const char* key, const dpc_layout* layout) {
  json_t* array = json_array();
  for (int i = 0; i < layout->count; ++i) {
    const dpc_signal* signal = &layout->signals[i];
    json_array_append_new(
        array, json_pack("{s:s, s:i, s:s, s:s}", "name", signal->name, "dim", signal->dim, "unit",
                         signal->unit, "tracks", signal->tracks));
  }
  const size_t length = json_dumpb(array, NULL, 0, 0);
  char* text = add_entry(metadata, key, length);
  if (text != NULL) json_dumpb(array, text, length, 0);
  json_decref(array);
}

// --- taking apart ---------------------------------------------------------------------------------

static dpc_status bad_entry(const dpc_safetensors* file, const char* key, const char* what,
                            dpc_error* error) {
  return dpc_fail(error, DPC_ERR_FORMAT, "%s: %s: %s", dpc_safetensors_path(file), key, what);
}

// The text under this key, or NULL and words.
static const char* find_text(const dpc_safetensors* file, const char* key, dpc_error* error) {
  const char* text = dpc_safetensors_metadata(file, key);
  if (text == NULL) bad_entry(file, key, "missing from the metadata", error);
  return text;
}

dpc_status dpc_metadata_read_text(const dpc_safetensors* file, const char* key, const char** out,
                                  dpc_error* error) {
  const char* text = find_text(file, key, error);
  if (text == NULL) return DPC_ERR_FORMAT;
  *out = text;
  return DPC_OK;
}

dpc_status dpc_metadata_read_integer(const dpc_safetensors* file, const char* key, int64_t min,
                                     int64_t max, int64_t* out, dpc_error* error) {
  const char* text = find_text(file, key, error);
  if (text == NULL) return DPC_ERR_FORMAT;
  char* end = NULL;
  errno = 0;
  const long long value = strtoll(text, &end, 10);
  if (end == text || *end != '\0' || errno != 0 || value < min || value > max) {
    return dpc_fail(error, DPC_ERR_FORMAT,
                    "%s: %s: '%.40s' is not an integer in [%" PRId64 ", %" PRId64 "]",
                    dpc_safetensors_path(file), key, text, min, max);
  }
  *out = value;
  return DPC_OK;
}

// A setting that this code does not know may change what the others mean: better not to guess.
static dpc_status check_known(const dpc_safetensors* file, const dpc_field_table* table,
                              dpc_error* error) {
  const size_t prefix = strlen(table->section);
  for (int i = 0; i < dpc_safetensors_metadata_count(file); ++i) {
    const char* key = dpc_safetensors_metadata_at(file, i).key;
    const bool ours = strncmp(key, table->section, prefix) == 0 && key[prefix] == '.';
    if (ours && dpc_fields_find(table, key + prefix + 1) == NULL) {
      return bad_entry(file, key, "unknown setting", error);
    }
  }
  return DPC_OK;
}

dpc_status dpc_metadata_read_fields(const dpc_safetensors* file, const dpc_field_table* table,
                                    void* def, dpc_error* error) {
  DPC_TRY(check_known(file, table, error));
  for (int i = 0; i < table->count; ++i) {
    const dpc_field* field = &table->fields[i];
    char key[KEY_MAX];
    snprintf(key, sizeof key, "%s.%s", table->section, field->key);
    const char* text = dpc_safetensors_metadata(file, key);
    if (text == NULL && field->later) text = field->fallback;
    if (text == NULL) text = find_text(file, key, error);
    if (text == NULL) return DPC_ERR_FORMAT;
    if (dpc_field_parse(table, field, text, def, error) != DPC_OK) {
      return dpc_fail_prefix(error, DPC_ERR_FORMAT, "%s: ", dpc_safetensors_path(file));
    }
  }
  return DPC_OK;
}

// The array under this key, to be released, or NULL.
static json_t* load_array(const dpc_safetensors* file, const char* key, dpc_error* error) {
  const char* text = find_text(file, key, error);
  if (text == NULL) return NULL;
  json_error_t reason;
  json_t* array = json_loads(text, JSON_REJECT_DUPLICATES, &reason);
  if (json_is_array(array)) return array;
  bad_entry(file, key, array ? "must be a JSON array" : reason.text, error);
  json_decref(array);
  return NULL;
}

static dpc_status parse_floats(const dpc_safetensors* file, const char* key, const json_t* array,
                               int count, float* out, dpc_error* error) {
  if (json_array_size(array) != (size_t)count) {
    return dpc_fail(error, DPC_ERR_FORMAT, "%s: %s: %zu numbers, expected %d",
                    dpc_safetensors_path(file), key, json_array_size(array), count);
  }
  for (int i = 0; i < count; ++i) {
    const json_t* number = json_array_get(array, (size_t)i);
    out[i] = (float)json_number_value(number);
    if (!json_is_number(number) || !isfinite(out[i])) {
      return dpc_fail(error, DPC_ERR_FORMAT, "%s: %s: element %d is not a finite number",
                      dpc_safetensors_path(file), key, i);
    }
  }
  return DPC_OK;
}

dpc_status dpc_metadata_read_floats(const dpc_safetensors* file, const char* key, int count,
                                    float* out, dpc_error* error) {
  json_t* array = load_array(file, key, error);
  if (array == NULL) return DPC_ERR_FORMAT;
  const dpc_status status = parse_floats(file, key, array, count, out, error);
  json_decref(array);
  return status;
}

static bool parse_signal(json_t* entry, dpc_layout* layout) {
  const char *name, *unit, *tracks;
  int dim;
  if (json_unpack(entry, "{s:s, s:i, s:s, s:s !}", "name", &name, "dim", &dim, "unit", &unit,
                  "tracks", &tracks) != 0) {
    return false;
  }
  if (layout->count == DPC_SIGNAL_MAX || strlen(name) >= DPC_NAME_MAX ||
      strlen(unit) >= DPC_UNIT_MAX || strlen(tracks) >= DPC_NAME_MAX) {
    return false;
  }
  dpc_layout_add(layout, name, dim, unit, tracks);
  return true;
}

static dpc_status parse_layout(const dpc_safetensors* file, const char* key, const json_t* array,
                               dpc_layout* out, dpc_error* error) {
  dpc_layout layout = {0};
  for (size_t i = 0; i < json_array_size(array); ++i) {
    if (!parse_signal(json_array_get(array, i), &layout)) {
      return dpc_fail(error, DPC_ERR_FORMAT,
                      "%s: %s: signal %zu must have a name, a dim, a unit and what it tracks, "
                      "all of them short, and be one of at most %d",
                      dpc_safetensors_path(file), key, i, DPC_SIGNAL_MAX);
    }
  }
  if (dpc_layout_check(&layout, error) != DPC_OK) {
    return dpc_fail_prefix(error, DPC_ERR_FORMAT, "%s: %s: ", dpc_safetensors_path(file), key);
  }
  *out = layout;
  return DPC_OK;
}

dpc_status dpc_metadata_read_layout(const dpc_safetensors* file, const char* key, dpc_layout* out,
                                    dpc_error* error) {
  json_t* array = load_array(file, key, error);
  if (array == NULL) return DPC_ERR_FORMAT;
  const dpc_status status = parse_layout(file, key, array, out, error);
  json_decref(array);
  return status;
}
