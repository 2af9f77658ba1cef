// Settings as YAML text: the reference that --help-config shows, and a run's own resolved settings.
#include <stdlib.h>
#include <string.h>

#include "tools/config.h"
#include "tools/file.h"

enum { VALUE_MAX = DPC_LIST_MAX * (DPC_LIST_TEXT_MAX + 2) + 8 };

// Text in double quotes, as YAML and JSON both read it.
static void print_quoted(FILE* out, const char* text, size_t length) {
  (void)fputc('"', out);
  for (size_t i = 0; i < length; ++i) {
    const unsigned char c = (unsigned char)text[i];
    if (c == '"' || c == '\\') (void)fputc('\\', out);
    if (c < 0x20 || c == 0x7f) {
      (void)fprintf(out, "\\x%02x", c);
    } else {
      (void)fputc(c, out);
    }
  }
  (void)fputc('"', out);
}

static void print_texts(FILE* out, const dpc_text_list* list) {
  (void)fputc('[', out);
  for (int i = 0; i < list->count; ++i) {
    if (i > 0) (void)fputs(", ", out);
    print_quoted(out, list->values[i], strlen(list->values[i]));
  }
  (void)fputc(']', out);
}

static void print_value(FILE* out, const dpc_field* field, const void* def) {
  char text[VALUE_MAX];
  if (field->type == DPC_FIELD_TEXT_LIST) {
    print_texts(out, (const dpc_text_list*)((const char*)def + field->offset));
    return;
  }
  const dpc_status status = dpc_field_print(field, def, text, sizeof text);
  DPC_ASSERT(status == DPC_OK);
  if (field->type == DPC_FIELD_TEXT) {
    print_quoted(out, text, strlen(text));
  } else {
    (void)fputs(text, out);
  }
}

// `explain` puts what a key means and allows above it.
static void print_section(FILE* out, const dpc_field_table* table, const void* def, bool explain) {
  const bool top = table->section[0] == '\0';
  const char* indent = top ? "" : "  ";
  if (explain) (void)fprintf(out, "# %s\n", table->doc);
  if (!top) (void)fprintf(out, "%s:\n", table->section);
  for (int i = 0; i < table->count; ++i) {
    const dpc_field* field = &table->fields[i];
    if (explain) {
      char allowed[256];
      dpc_field_allowed(field, allowed, sizeof allowed);
      (void)fprintf(out, "%s# %s; %s%s%s\n", indent, field->doc, allowed,
                    field->unit[0] != '\0' ? ", " : "", field->unit);
    }
    (void)fprintf(out, "%s%s: ", indent, field->key);
    print_value(out, field, def);
    (void)fputc('\n', out);
  }
}

void dpc_config_print_reference(FILE* stream, const dpc_config_section* sections,
                                int section_count) {
  for (int i = 0; i < section_count; ++i) {
    const dpc_field_table* table = sections[i].table;
    void* def = malloc(table->struct_size);
    DPC_ASSERT(def != NULL);
    dpc_fields_default(table, def);
    if (i > 0) (void)fputc('\n', stream);
    print_section(stream, table, def, true);
    free(def);
  }
}

dpc_status dpc_config_save(const char* path, const char* comment,
                           const dpc_config_section* sections, int section_count,
                           dpc_error* error) {
  char* text = NULL;
  size_t size = 0;
  FILE* out = open_memstream(&text, &size);
  if (out == NULL) return dpc_fail(error, DPC_ERR_NO_MEMORY, "%s: no memory", path);
  if (comment != NULL) (void)fprintf(out, "# %s\n", comment);
  for (int i = 0; i < section_count; ++i) {
    print_section(out, sections[i].table, sections[i].def, false);
  }
  const bool printed = fclose(out) == 0;
  const dpc_status status = printed ? dpc_file_save(path, text, size, error)
                                    : dpc_fail(error, DPC_ERR_NO_MEMORY, "%s: no memory", path);
  free(text);
  return status;
}
