#include "sim/canvas_svg.h"

#include <stdlib.h>
#include <string.h>

// A number of an SVG's path with two decimals: a hundredth of a px is less than anyone sees, and cairo
// writes six. Returns how many characters of `text` it was.
static size_t shorten_number(const char* text, FILE* file) {
  char* end;
  const double value = strtod(text, &end);
  char digits[48];
  int length = snprintf(digits, sizeof digits, "%.2f", value);
  if (memchr(text, '.', (size_t)(end - text)) != NULL) {
    while (digits[length - 1] == '0') --length;
    if (digits[length - 1] == '.') --length;
    (void)fwrite(digits, 1, (size_t)length, file);
  } else {
    (void)fwrite(text, 1, (size_t)(end - text), file);
  }
  return (size_t)(end - text);
}

// Only what stands in the quotes of d="…", where paths are.
static size_t shorten_path(const char* text, FILE* file) {
  size_t at = 0;
  while (text[at] != '"' && text[at] != '\0') {
    if (strchr("-0123456789", text[at]) != NULL) {
      at += shorten_number(text + at, file);
    } else {
      (void)fputc(text[at++], file);
    }
  }
  return at;
}

// cairo numbers surfaces over the whole life of a process; here there is one.
static size_t drop_surface_number(const char* text, FILE* file) {
  (void)fputs("<g id=\"picture\"", file);
  const char* end = strchr(text + strlen("<g id=\""), '"');
  return end == NULL ? strlen(text) : (size_t)(end + 1 - text);
}

void dpc_svg_shorten(const char* text, FILE* file) {
  static const char path[] = " d=\"", surface[] = "<g id=\"surface";
  for (size_t at = 0; text[at] != '\0';) {
    if (strncmp(text + at, path, sizeof path - 1) == 0) {
      (void)fputs(path, file);
      at += sizeof path - 1;
      at += shorten_path(text + at, file);
    } else if (strncmp(text + at, surface, sizeof surface - 1) == 0) {
      at += drop_surface_number(text + at, file);
    } else {
      (void)fputc(text[at++], file);
    }
  }
}
