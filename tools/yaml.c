#include "tools/yaml.h"

#include <libfyaml.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/yaml_brackets.h"

enum { ENTRY_MAX = 1024 };

typedef struct reader {
  const char* name;
  struct fy_diag* diag;
  struct fy_parser* parser;
  struct fy_event* event;  // the current one
  int line, column;        // where it begins, from 1
  dpc_yaml* out;
  dpc_error* error;
} reader;

// --- places and events ---------------------------------------------------------------------------

static dpc_status fail_here(const reader* r, const char* format, ...) DPC_PRINTF(2, 3);

static dpc_status fail_here(const reader* r, const char* format, ...) {
  char words[256];
  va_list args;
  va_start(args, format);
  (void)vsnprintf(words, sizeof words, format, args);
  va_end(args);
  return dpc_fail(r->error, DPC_ERR_CONFIG, "%s:%d:%d: %s", r->name, r->line, r->column, words);
}

static dpc_status fail_syntax(reader* r) {
  void* at = NULL;
  const struct fy_diag_error* first = fy_diag_errors_iterate(r->diag, &at);
  if (first == NULL) return fail_here(r, "not YAML");
  if (first->line > 0) {
    r->line = first->line;
    r->column = first->column;
  }
  return fail_here(r, "not YAML: %.200s", first->msg);
}

// What an event carries: its own token, and whether an anchor or a tag is attached.
static struct fy_token* event_token(const struct fy_event* event, bool* marked) {
  switch (event->type) {
    case FYET_SCALAR:
      *marked = event->scalar.anchor != NULL || event->scalar.tag != NULL;
      return event->scalar.value;
    case FYET_SEQUENCE_START:
      *marked = event->sequence_start.anchor != NULL || event->sequence_start.tag != NULL;
      return event->sequence_start.sequence_start;
    case FYET_MAPPING_START:
      *marked = event->mapping_start.anchor != NULL || event->mapping_start.tag != NULL;
      return event->mapping_start.mapping_start;
    case FYET_ALIAS:
      *marked = true;
      return event->alias.anchor;
    case FYET_DOCUMENT_START:
      return event->document_start.document_start;
    default:
      return NULL;
  }
}

// Go on to the next event.
static dpc_status next(reader* r) {
  fy_parser_event_free(r->parser, r->event);
  r->event = fy_parser_parse(r->parser);
  if (r->event == NULL) return fail_syntax(r);
  bool marked = false;
  struct fy_token* token = event_token(r->event, &marked);
  const struct fy_mark* mark = token == NULL ? NULL : fy_token_start_mark(token);
  if (mark != NULL) {
    r->line = mark->line + 1;
    r->column = mark->column + 1;
  }
  return marked ? fail_here(r, "anchors, aliases and tags are not read") : DPC_OK;
}

static bool is(const reader* r, enum fy_event_type type) {
  return r->event->type == type;
}

// --- scalars and lists ---------------------------------------------------------------------------

static bool scalar_is_quoted(const reader* r) {
  struct fy_token* token = r->event->scalar.value;
  return token != NULL && fy_token_scalar_style(token) != FYSS_PLAIN;
}

// The current scalar, owned by its event. "\0" in quotes would end the text early.
static dpc_status scalar_text(const reader* r, const char** text) {
  struct fy_token* token = r->event->scalar.value;
  *text = token == NULL ? "" : fy_token_get_text0(token);
  if (*text == NULL) return dpc_fail(r->error, DPC_ERR_NO_MEMORY, "%s: no memory", r->name);
  if (token != NULL && fy_token_get_text_length(token) != strlen(*text)) {
    return fail_here(r, "text with a zero byte in it");
  }
  return DPC_OK;
}

static bool is_null(const char* plain) {
  return *plain == '\0' || strcmp(plain, "~") == 0 || strcmp(plain, "null") == 0;
}

// A list is passed on as text, so its elements must stay apart in it.
static bool fits_in_list(const char* element) {
  int depth = 0;
  for (const char* c = element; *c != '\0' && depth >= 0; ++c) {
    depth += (*c == '[') - (*c == ']');
    if (*c == ',') return false;
  }
  return depth == 0 && *element != '\0';
}

static dpc_status read_elements(reader* r, dpc_yaml_entry* entry, FILE* list) {
  for (int count = 0;; ++count) {
    DPC_TRY(next(r));
    if (is(r, FYET_SEQUENCE_END)) return DPC_OK;
    if (!is(r, FYET_SCALAR)) return fail_here(r, "a list holds only single values");
    const char* element = NULL;
    DPC_TRY(scalar_text(r, &element));
    if (!fits_in_list(element)) {
      return fail_here(r, "'%.80s' cannot be an element of a list", element);
    }
    entry->quoted_element |= scalar_is_quoted(r);
    (void)fprintf(list, "%s%s", count > 0 ? ", " : "", element);
  }
}

// The elements of the current sequence as "[a, b]", owned by the caller also when this fails.
static dpc_status read_list(reader* r, dpc_yaml_entry* entry, char** value) {
  size_t size = 0;
  FILE* list = open_memstream(value, &size);
  if (list == NULL) return dpc_fail(r->error, DPC_ERR_NO_MEMORY, "%s: no memory", r->name);
  (void)fputc('[', list);
  const dpc_status status = read_elements(r, entry, list);
  (void)fputc(']', list);
  (void)fclose(list);
  return status;
}

// --- sections ------------------------------------------------------------------------------------

static dpc_status add_entry(const reader* r, const dpc_yaml_entry* entry) {
  for (int i = 0; i < r->out->count; ++i) {
    const dpc_yaml_entry* other = &r->out->entries[i];
    if (strcmp(other->section, entry->section) == 0 && strcmp(other->key, entry->key) == 0) {
      return dpc_fail(r->error, DPC_ERR_CONFIG,
                      "%s:%d:%d: '%.80s' is given twice, first in line %d", r->name,
                      entry->key_line, entry->key_column, entry->key, other->key_line);
    }
  }
  if (r->out->count == ENTRY_MAX) return fail_here(r, "more than %d entries", ENTRY_MAX);
  dpc_yaml_entry* added = &r->out->entries[r->out->count];
  *added = *entry;
  added->section = strdup(entry->section);
  added->key = strdup(entry->key);
  added->value = strdup(entry->value);
  ++r->out->count;
  if (added->section == NULL || added->key == NULL || added->value == NULL) {
    return dpc_fail(r->error, DPC_ERR_NO_MEMORY, "%s: no memory", r->name);
  }
  return DPC_OK;
}

static dpc_status add_list(reader* r, dpc_yaml_entry* entry) {
  char* value = NULL;
  entry->kind = DPC_YAML_LIST;
  dpc_status status = read_list(r, entry, &value);
  if (status == DPC_OK) {
    entry->value = value;
    status = add_entry(r, entry);
  }
  free(value);
  return status;
}

static dpc_status add_scalar(const reader* r, dpc_yaml_entry* entry) {
  DPC_TRY(scalar_text(r, &entry->value));
  entry->kind = scalar_is_quoted(r)     ? DPC_YAML_QUOTED
                : is_null(entry->value) ? DPC_YAML_NULL
                                        : DPC_YAML_PLAIN;
  return add_entry(r, entry);
}

static dpc_status read_mapping(reader* r, const char* section);

// A section begins: note it, and read what it holds.
static dpc_status add_section(reader* r, dpc_yaml_entry* entry) {
  if (entry->section[0] != '\0') {
    return fail_here(r, "'%.80s' is nested too deep: a section holds values and lists", entry->key);
  }
  entry->kind = DPC_YAML_SECTION;
  DPC_TRY(add_entry(r, entry));
  return read_mapping(r, entry->key);
}

static dpc_status read_entry(reader* r, const char* section, const char* key, int key_line,
                             int key_column) {
  dpc_yaml_entry entry = {.section = section, .key = key, .value = ""};
  entry.key_line = key_line;
  entry.key_column = key_column;
  DPC_TRY(next(r));
  entry.line = r->line;
  entry.column = r->column;
  if (is(r, FYET_MAPPING_START)) return add_section(r, &entry);
  if (is(r, FYET_SEQUENCE_START)) return add_list(r, &entry);
  return add_scalar(r, &entry);
}

// The entries of the current mapping. Recursion ends one level down, at a section.
static dpc_status read_mapping(reader* r, const char* section) {
  for (;;) {
    DPC_TRY(next(r));
    if (is(r, FYET_MAPPING_END)) return DPC_OK;
    if (!is(r, FYET_SCALAR)) return fail_here(r, "a key is a single word");
    const char* text = NULL;
    DPC_TRY(scalar_text(r, &text));
    char* key = strdup(text);  // the event goes before the entry is complete
    if (key == NULL) return dpc_fail(r->error, DPC_ERR_NO_MEMORY, "%s: no memory", r->name);
    const dpc_status status = read_entry(r, section, key, r->line, r->column);
    free(key);
    DPC_TRY(status);
  }
}

// One document, whose root is a mapping or nothing at all.
static dpc_status read_stream(reader* r) {
  DPC_TRY(next(r));  // the stream's start
  DPC_TRY(next(r));
  if (is(r, FYET_STREAM_END)) return DPC_OK;
  DPC_TRY(next(r));
  if (is(r, FYET_MAPPING_START)) {
    DPC_TRY(read_mapping(r, ""));
  } else {
    const char* text = "?";
    if (is(r, FYET_SCALAR)) DPC_TRY(scalar_text(r, &text));
    if (!is_null(text)) return fail_here(r, "settings are 'key: value' lines");
  }
  DPC_TRY(next(r));  // the document's end
  DPC_TRY(next(r));
  return is(r, FYET_STREAM_END) ? DPC_OK : fail_here(r, "more than one document");
}

// --- the front -----------------------------------------------------------------------------------

static dpc_status parse_text(reader* r, const char* text) {
  // everything is collected: nothing is printed by the library
  struct fy_diag_cfg diag_cfg;
  fy_diag_cfg_default(&diag_cfg);
  r->diag = fy_diag_create(&diag_cfg);
  if (r->diag == NULL) return dpc_fail(r->error, DPC_ERR_NO_MEMORY, "%s: no memory", r->name);
  fy_diag_set_collect_errors(r->diag, true);
  const struct fy_parse_cfg cfg = {.search_path = "", .flags = FYPCF_QUIET, .diag = r->diag};
  r->parser = fy_parser_create(&cfg);
  if (r->parser == NULL || fy_parser_set_string(r->parser, text, strlen(text)) != 0) {
    return dpc_fail(r->error, DPC_ERR_NO_MEMORY, "%s: no memory", r->name);
  }
  return read_stream(r);
}

dpc_status dpc_yaml_parse(const char* text, const char* name, dpc_yaml* out, dpc_error* error) {
  dpc_yaml yaml = {.entries = calloc(ENTRY_MAX, sizeof(dpc_yaml_entry))};
  char* quoted = dpc_yaml_quote_brackets(text);
  reader r = {.name = name, .line = 1, .column = 1, .out = &yaml, .error = error};
  dpc_status status = DPC_ERR_NO_MEMORY;
  if (yaml.entries != NULL && quoted != NULL) {
    status = parse_text(&r, quoted);
    if (r.parser != NULL) {
      fy_parser_event_free(r.parser, r.event);
      fy_parser_destroy(r.parser);
    }
    if (r.diag != NULL) fy_diag_destroy(r.diag);
  } else {
    (void)dpc_fail(error, status, "%s: no memory", name);
  }
  free(quoted);
  if (status == DPC_OK) {
    *out = yaml;
  } else {
    dpc_yaml_free(&yaml);
  }
  return status;
}

void dpc_yaml_free(dpc_yaml* yaml) {
  for (int i = 0; i < yaml->count; ++i) {
    free((char*)yaml->entries[i].section);
    free((char*)yaml->entries[i].key);
    free((char*)yaml->entries[i].value);
  }
  free(yaml->entries);
  *yaml = (dpc_yaml){0};
}
