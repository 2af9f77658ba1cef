#include "tools/config.h"

#include <stdlib.h>
#include <string.h>

#include "tools/file.h"
#include "tools/yaml.h"

enum { FILE_LIMIT = 1 << 20, NAME_MAX_AT_TOP = 128 };

// --- where values go -----------------------------------------------------------------------------

// The sections' structs are filled as copies, so that a failure changes none of them.
typedef struct staging {
  const dpc_config_section* sections;
  int count;
  void** defs;
} staging;

static void stage_free(staging* stage) {
  for (int i = 0; i < stage->count; ++i) free(stage->defs[i]);
  free(stage->defs);
}

static bool stage_create(const dpc_config_section* sections, int count, staging* stage) {
  *stage = (staging){.sections = sections, .defs = calloc((size_t)count + 1, sizeof(void*))};
  if (stage->defs == NULL) return false;
  for (; stage->count < count; ++stage->count) {
    const dpc_config_section* section = &sections[stage->count];
    void* def = malloc(section->table->struct_size);
    if (def == NULL) return false;
    stage->defs[stage->count] = def;
    if (section->keep) {
      memcpy(def, section->def, section->table->struct_size);
    } else {
      dpc_fields_default(section->table, def);
    }
  }
  return true;
}

static void stage_commit(const staging* stage) {
  for (int i = 0; i < stage->count; ++i) {
    memcpy(stage->sections[i].def, stage->defs[i], stage->sections[i].table->struct_size);
  }
}

// --- names ---------------------------------------------------------------------------------------

// The index of the section, or -1.
static int find_section(const staging* stage, const char* name) {
  for (int i = 0; i < stage->count; ++i) {
    if (strcmp(stage->sections[i].table->section, name) == 0) return i;
  }
  return -1;
}

// What may stand at the top of a file and is near to `name`, in the shape dpc_fields_nearest takes.
static const char* nearest_at_top(const staging* stage, const char* name) {
  dpc_field fields[NAME_MAX_AT_TOP];
  int count = 0;
  for (int i = 0; i < stage->count && count < NAME_MAX_AT_TOP; ++i) {
    const dpc_field_table* table = stage->sections[i].table;
    if (table->section[0] != '\0') fields[count++] = (dpc_field){.key = table->section};
    for (int k = 0; table->section[0] == '\0' && k < table->count && count < NAME_MAX_AT_TOP; ++k) {
      fields[count++] = table->fields[k];
    }
  }
  const dpc_field_table names = {.fields = fields, .count = count};
  return dpc_fields_nearest(&names, name);
}

static dpc_status fail_unknown(const char* what, const char* name, const char* nearest,
                               dpc_error* error) {
  if (nearest != NULL) {
    return dpc_fail(error, DPC_ERR_CONFIG, "unknown %s '%.80s', did you mean '%s'?", what, name,
                    nearest);
  }
  return dpc_fail(error, DPC_ERR_CONFIG, "unknown %s '%.80s'; --help-config shows all settings",
                  what, name);
}

static dpc_status find_field(const staging* stage, const char* section, const char* key, int* index,
                             const dpc_field** field, dpc_error* error) {
  *index = find_section(stage, section);
  if (*index < 0 && section[0] != '\0') {
    return fail_unknown("section", section, nearest_at_top(stage, section), error);
  }
  *field = *index < 0 ? NULL : dpc_fields_find(stage->sections[*index].table, key);
  if (*field != NULL) return DPC_OK;
  if (section[0] == '\0') return fail_unknown("key", key, nearest_at_top(stage, key), error);
  char what[64];
  (void)snprintf(what, sizeof what, "key of '%.40s':", section);
  return fail_unknown(what, key, dpc_fields_nearest(stage->sections[*index].table, key), error);
}

// --- values --------------------------------------------------------------------------------------

static bool wants_text(const dpc_field* field) {
  return field->type == DPC_FIELD_TEXT || field->type == DPC_FIELD_CHOICE ||
         field->type == DPC_FIELD_TEXT_LIST;
}

static bool wants_list(const dpc_field* field) {
  return field->type == DPC_FIELD_INT_LIST || field->type == DPC_FIELD_TEXT_LIST;
}

// "section.key", or the key alone at the top level.
static void field_name(const char* section, const char* key, char* name, size_t capacity) {
  (void)snprintf(name, capacity, "%s%s%s", section, section[0] != '\0' ? "." : "", key);
}

// What is wrong with an entry before its value is parsed; NULL when nothing is.
static const char* wrong_kind(const dpc_field* field, const dpc_yaml_entry* entry) {
  switch (entry->kind) {
    case DPC_YAML_NULL:
      return "has no value";
    case DPC_YAML_SECTION:
      return "is a single value, not a section";
    case DPC_YAML_LIST:
      if (!wants_list(field)) return "is a single value, not a list";
      return entry->quoted_element && !wants_text(field) ? "has an element in quotes" : NULL;
    case DPC_YAML_QUOTED:
      if (wants_list(field)) return "is a list, not text";
      return wants_text(field) ? NULL : "is not a text in quotes";
    case DPC_YAML_PLAIN:
      return wants_list(field) ? "is a list" : NULL;
  }
  return NULL;
}

static dpc_status set_field(const staging* stage, int index, const dpc_field* field,
                            const char* text, dpc_error* error) {
  const dpc_status status =
      dpc_field_parse(stage->sections[index].table, field, text, stage->defs[index], error);
  // at the top level there is no section to stand before the dot
  if (status != DPC_OK && error != NULL && error->text[0] == '.') {
    memmove(error->text, error->text + 1, strlen(error->text));
  }
  return status;
}

// An entry at the top that names a section rather than a value. `*done` when that is all it says.
static dpc_status apply_section(const staging* stage, const dpc_yaml_entry* entry, bool* done,
                                dpc_error* error) {
  const int index = find_section(stage, "");
  *done = find_section(stage, entry->key) >= 0;
  if (*done) {
    if (entry->kind == DPC_YAML_SECTION || entry->kind == DPC_YAML_NULL) return DPC_OK;
    return dpc_fail(error, DPC_ERR_CONFIG, "'%s' is a section; its settings are indented below it",
                    entry->key);
  }
  const bool is_field = index >= 0 && dpc_fields_find(stage->sections[index].table, entry->key);
  if (entry->kind != DPC_YAML_SECTION || is_field) return DPC_OK;
  return fail_unknown("section", entry->key, nearest_at_top(stage, entry->key), error);
}

static dpc_status apply_value(const staging* stage, const dpc_yaml_entry* entry, int index,
                              const dpc_field* field, dpc_error* error) {
  const char* wrong = wrong_kind(field, entry);
  if (wrong == NULL) return set_field(stage, index, field, entry->value, error);
  char name[128], allowed[256];
  field_name(entry->section, entry->key, name, sizeof name);
  dpc_field_allowed(field, allowed, sizeof allowed);
  return dpc_fail(error, DPC_ERR_CONFIG, "%s %s: %s", name, wrong, allowed);
}

static dpc_status apply_entry(const staging* stage, const dpc_yaml_entry* entry, const char* path,
                              dpc_error* error) {
  bool done = false;
  int index = -1;
  const dpc_field* field = NULL;
  dpc_status status = DPC_OK;
  if (entry->section[0] == '\0') status = apply_section(stage, entry, &done, error);
  if (status == DPC_OK && done) return DPC_OK;
  if (status == DPC_OK) {
    status = find_field(stage, entry->section, entry->key, &index, &field, error);
  }
  if (status != DPC_OK) {
    return dpc_fail_prefix(error, status, "%s:%d:%d: ", path, entry->key_line, entry->key_column);
  }
  status = apply_value(stage, entry, index, field, error);
  if (status == DPC_OK) return DPC_OK;
  return dpc_fail_prefix(error, status, "%s:%d:%d: ", path, entry->line, entry->column);
}

// --- the file and the arguments ------------------------------------------------------------------

static dpc_status apply_text(const staging* stage, const char* text, const char* path,
                             dpc_error* error) {
  dpc_yaml yaml;
  DPC_TRY(dpc_yaml_parse(text, path, &yaml, error));
  dpc_status status = DPC_OK;
  for (int i = 0; i < yaml.count && status == DPC_OK; ++i) {
    status = apply_entry(stage, &yaml.entries[i], path, error);
  }
  dpc_yaml_free(&yaml);
  return status;
}

static dpc_status apply_file(const staging* stage, const char* path, dpc_error* error) {
  char* text = NULL;
  size_t size = 0;
  DPC_TRY(dpc_file_read(path, FILE_LIMIT, &text, &size, error));
  const dpc_status status = strlen(text) == size
                                ? apply_text(stage, text, path, error)
                                : dpc_fail(error, DPC_ERR_CONFIG, "%s: not a text file", path);
  free(text);
  return status;
}

// "section.key=value", or "key=value" for a key at the top level.
static dpc_status apply_override(const staging* stage, const char* override, dpc_error* error) {
  char section[64] = "";
  char key[64];
  const char* equals = strchr(override, '=');
  const size_t path_length = equals == NULL ? 0 : (size_t)(equals - override);
  const char* dot = memchr(override, '.', path_length);
  const char* key_start = dot == NULL ? override : dot + 1;
  const size_t section_length = dot == NULL ? 0 : (size_t)(dot - override);
  const size_t key_length = equals == NULL ? 0 : (size_t)(equals - key_start);
  if (key_length == 0 || key_length >= sizeof key || section_length >= sizeof section) {
    return dpc_fail(error, DPC_ERR_CONFIG, "not of the form section.key=value");
  }
  memcpy(section, override, section_length);
  section[section_length] = '\0';
  memcpy(key, key_start, key_length);
  key[key_length] = '\0';

  int index = -1;
  const dpc_field* field = NULL;
  DPC_TRY(find_field(stage, section, key, &index, &field, error));
  return set_field(stage, index, field, equals + 1, error);
}

static dpc_status apply_all(const staging* stage, const char* path, const char* const* overrides,
                            int override_count, dpc_error* error) {
  if (path != NULL) DPC_TRY(apply_file(stage, path, error));
  for (int i = 0; i < override_count; ++i) {
    const dpc_status status = apply_override(stage, overrides[i], error);
    if (status != DPC_OK)
      return dpc_fail_prefix(error, status, "argument '%.120s': ", overrides[i]);
  }
  return DPC_OK;
}

dpc_status dpc_config_read(const char* path, const char* const* overrides, int override_count,
                           const dpc_config_section* sections, int section_count,
                           dpc_error* error) {
  staging stage;
  dpc_status status = DPC_ERR_NO_MEMORY;
  if (stage_create(sections, section_count, &stage)) {
    status = apply_all(&stage, path, overrides, override_count, error);
  } else {
    (void)dpc_fail(error, status, "no memory for settings");
  }
  if (status == DPC_OK) stage_commit(&stage);
  stage_free(&stage);
  return status;
}
