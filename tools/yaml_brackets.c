#include "tools/yaml_brackets.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

// Where the list of a line "key: [...]" begins; NULL for lines of any other kind, and for those
// that have quotes already.
static const char* list_in_line(const char* line, size_t length) {
  const char* colon = memchr(line, ':', length);
  if (colon == NULL || memchr(line, '"', length) != NULL || memchr(line, '\'', length) != NULL) {
    return NULL;
  }
  const char* at = colon + 1;
  while (at < line + length && *at == ' ') ++at;
  return at < line + length && *at == '[' && at > colon + 1 ? at : NULL;
}

// Copy one list element, in quotes when it has brackets after its first character.
static void copy_element(const char* from, size_t length, FILE* to) {
  size_t start = 0;
  while (start < length && from[start] == ' ') ++start;
  const bool quote =
      start < length && from[start] != '[' && memchr(from + start, '[', length - start) != NULL;
  (void)fprintf(to, quote ? "%.*s\"%.*s\"" : "%.*s%.*s", (int)start, from, (int)(length - start),
                from + start);
}

// YAML ends a plain scalar in a list at a bracket. Our own spelling of a slice of a field needs one.
static void copy_line(const char* line, size_t length, FILE* to) {
  const char* const end = line + length;
  const char* at = list_in_line(line, length);
  if (at == NULL) at = end;
  if (at < end) ++at;
  (void)fwrite(line, 1, (size_t)(at - line), to);
  for (const char* element = at; at < end; ++at) {
    int depth = 0;
    while (at < end && (depth > 0 || (*at != ',' && *at != ']'))) {
      depth += (*at == '[') - (*at == ']');
      ++at;
    }
    copy_element(element, (size_t)(at - element), to);
    element = at + 1;
    if (at < end && *at == ']') {
      (void)fwrite(at, 1, (size_t)(end - at), to);
      return;
    }
    if (at < end) (void)fputc(*at, to);
  }
}

char* dpc_yaml_quote_brackets(const char* text) {
  char* quoted = NULL;
  size_t size = 0;
  FILE* to = open_memstream(&quoted, &size);
  if (to == NULL) return NULL;
  while (*text != '\0') {
    const size_t length = strcspn(text, "\n");
    copy_line(text, length, to);
    text += length;
    if (*text == '\n') (void)fputc(*text++, to);
  }
  (void)fclose(to);
  return quoted;
}
