#include "tools/json.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tools/file.h"

// `dpc_json` is jansson's type under another name; the two casts below are the only ones.
static json_t* to(const dpc_json* value) {
  return (json_t*)value;
}

static dpc_json* from(json_t* value) {
  DPC_ASSERT(value != NULL);
  return (dpc_json*)value;
}

// --- building ------------------------------------------------------------------------------------

dpc_json* dpc_json_object(void) {
  return from(json_object());
}

dpc_json* dpc_json_array(void) {
  return from(json_array());
}

void dpc_json_free(dpc_json* root) {
  json_decref(to(root));
}

dpc_json* dpc_json_set(dpc_json* object, const char* key, dpc_json* value) {
  const int failed = json_object_set_new(to(object), key, to(value));
  DPC_ASSERT(failed == 0);
  return value;
}

dpc_json* dpc_json_push(dpc_json* array, dpc_json* value) {
  const int failed = json_array_append_new(to(array), to(value));
  DPC_ASSERT(failed == 0);
  return value;
}

// JSON has no NaN and no infinity.
static dpc_json* real_value(double value) {
  return from(isfinite(value) ? json_real(value) : json_null());
}

// Text from files and peers may hold any byte; a report must not fail because of one.
static dpc_json* text_value(const char* text) {
  json_t* value = json_string(text);
  if (value != NULL) return from(value);
  char* cleaned = strdup(text);
  DPC_ASSERT(cleaned != NULL);
  for (char* at = cleaned; *at != '\0'; ++at) {
    if ((unsigned char)*at >= 0x80) *at = '?';
  }
  value = json_string(cleaned);
  free(cleaned);
  return from(value);
}

void dpc_json_set_int(dpc_json* object, const char* key, int64_t value) {
  dpc_json_set(object, key, from(json_integer(value)));
}

void dpc_json_set_real(dpc_json* object, const char* key, double value) {
  dpc_json_set(object, key, real_value(value));
}

void dpc_json_set_bool(dpc_json* object, const char* key, bool value) {
  dpc_json_set(object, key, from(json_boolean(value)));
}

void dpc_json_set_text(dpc_json* object, const char* key, const char* value) {
  dpc_json_set(object, key, text_value(value));
}

void dpc_json_push_int(dpc_json* array, int64_t value) {
  dpc_json_push(array, from(json_integer(value)));
}

void dpc_json_push_real(dpc_json* array, double value) {
  dpc_json_push(array, real_value(value));
}

void dpc_json_push_text(dpc_json* array, const char* value) {
  dpc_json_push(array, text_value(value));
}

// --- reading -------------------------------------------------------------------------------------

dpc_status dpc_json_parse(const char* text, size_t size, const char* name, dpc_json** out,
                          dpc_error* error) {
  json_error_t wrong;
  json_t* root = json_loadb(text, size, JSON_REJECT_DUPLICATES, &wrong);
  if (root == NULL) {
    return dpc_fail(error, DPC_ERR_FORMAT, "%s:%d:%d: %s", name, wrong.line, wrong.column,
                    wrong.text);
  }
  *out = from(root);
  return DPC_OK;
}

dpc_status dpc_json_read(const char* path, dpc_json** out, dpc_error* error) {
  enum { LIMIT = 64 << 20 };
  char* text = NULL;
  size_t size = 0;
  DPC_TRY(dpc_file_read(path, LIMIT, &text, &size, error));
  const dpc_status status = dpc_json_parse(text, size, path, out, error);
  free(text);
  return status;
}

const dpc_json* dpc_json_get(const dpc_json* object, const char* key) {
  return (const dpc_json*)json_object_get(to(object), key);
}

int dpc_json_count(const dpc_json* array) {
  if (json_is_array(to(array))) return (int)json_array_size(to(array));
  if (json_is_object(to(array))) return (int)json_object_size(to(array));
  return -1;
}

const dpc_json* dpc_json_at(const dpc_json* array, int i) {
  return i < 0 ? NULL : (const dpc_json*)json_array_get(to(array), (size_t)i);
}

bool dpc_json_as_int(const dpc_json* value, int64_t* out) {
  if (!json_is_integer(to(value))) return false;
  *out = json_integer_value(to(value));
  return true;
}

bool dpc_json_as_real(const dpc_json* value, double* out) {
  if (!json_is_number(to(value))) return false;
  *out = json_number_value(to(value));
  return true;
}

bool dpc_json_as_bool(const dpc_json* value, bool* out) {
  if (!json_is_boolean(to(value))) return false;
  *out = json_is_true(to(value));
  return true;
}

const char* dpc_json_as_text(const dpc_json* value) {
  return json_string_value(to(value));
}

bool dpc_json_is_null(const dpc_json* value) {
  return json_is_null(to(value));
}

// --- writing -------------------------------------------------------------------------------------
//
// jansson prints reals with a fixed number of digits: 0.95 becomes 0.94999999999999996 where all
// bits matter. So values are written here, and texts alone are left to jansson.

static void write_value(FILE* out, const json_t* value, int indent);

// The fewest digits that read back to the same bits, and always something that says "real".
static void write_real(FILE* out, double value) {
  char text[40];
  for (int digits = 15; digits <= 17; ++digits) {
    (void)snprintf(text, sizeof text, "%.*g", digits, value);
    if (strtod(text, NULL) == value) break;
  }
  (void)fprintf(out, "%s%s", text, strpbrk(text, ".e") == NULL ? ".0" : "");
}

static void write_text(FILE* out, const char* text) {
  json_t* value = json_string(text);
  (void)json_dumpf(value, out, JSON_ENCODE_ANY);
  json_decref(value);
}

static void new_line(FILE* out, int indent) {
  if (indent >= 0) (void)fprintf(out, "\n%*s", 2 * indent, "");
}

static void write_object(FILE* out, json_t* object, int indent) {
  const int inner = indent < 0 ? -1 : indent + 1;
  const char* key = NULL;
  json_t* member = NULL;
  bool first = true;
  (void)fputc('{', out);
  json_object_foreach(object, key, member) {
    if (!first) (void)fputs(indent < 0 ? ", " : ",", out);
    first = false;
    new_line(out, inner);
    write_text(out, key);
    (void)fputs(": ", out);
    write_value(out, member, inner);
  }
  if (!first) new_line(out, indent);
  (void)fputc('}', out);
}

// An array of plain values stays on its line; one that holds arrays or objects has a line for each.
static void write_array(FILE* out, const json_t* array, int indent) {
  const size_t count = json_array_size(array);
  bool nested = false;
  for (size_t i = 0; i < count && !nested; ++i) {
    const json_t* element = json_array_get(array, i);
    nested = json_is_array(element) || json_is_object(element);
  }
  const int inner = indent < 0 || !nested ? -1 : indent + 1;
  (void)fputc('[', out);
  for (size_t i = 0; i < count; ++i) {
    if (i > 0) (void)fputs(inner < 0 ? ", " : ",", out);
    new_line(out, inner);
    write_value(out, json_array_get(array, i), inner);
  }
  if (inner >= 0) new_line(out, indent);
  (void)fputc(']', out);
}

// `indent` is the depth of the line that the value begins on; -1 keeps it on that line.
static void write_value(FILE* out, const json_t* value, int indent) {
  switch (json_typeof(value)) {
    case JSON_OBJECT:
      write_object(out, (json_t*)value, indent);
      break;
    case JSON_ARRAY:
      write_array(out, value, indent);
      break;
    case JSON_STRING:
      write_text(out, json_string_value(value));
      break;
    case JSON_INTEGER:
      (void)fprintf(out, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
      break;
    case JSON_REAL:
      write_real(out, json_real_value(value));
      break;
    case JSON_TRUE:
      (void)fputs("true", out);
      break;
    case JSON_FALSE:
      (void)fputs("false", out);
      break;
    case JSON_NULL:
      (void)fputs("null", out);
      break;
  }
}

char* dpc_json_print(const dpc_json* value, bool one_line) {
  char* text = NULL;
  size_t size = 0;
  FILE* out = open_memstream(&text, &size);
  DPC_ASSERT(out != NULL);
  write_value(out, to(value), one_line ? -1 : 0);
  const int failed = fclose(out);
  DPC_ASSERT(failed == 0);
  return text;
}

dpc_status dpc_json_write_line(const dpc_json* value, FILE* stream, dpc_error* error) {
  char* text = dpc_json_print(value, true);
  const bool written = fprintf(stream, "%s\n", text) >= 0 && fflush(stream) == 0;
  free(text);
  return written ? DPC_OK : dpc_fail(error, DPC_ERR_IO, "%s", strerror(errno));
}

dpc_status dpc_json_save(const dpc_json* value, const char* path, dpc_error* error) {
  char* text = dpc_json_print(value, false);
  const size_t length = strlen(text);
  text[length] = '\n';  // in place of the NUL: the size is given below
  dpc_status status = DPC_OK;
  if (strcmp(path, "-") != 0) {
    status = dpc_file_save(path, text, length + 1, error);
  } else if (fwrite(text, 1, length + 1, stdout) != length + 1 || fflush(stdout) != 0) {
    status = dpc_fail(error, DPC_ERR_IO, "standard output: %s", strerror(errno));
  }
  free(text);
  return status;
}
