#include "sim/canvas_svg.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

// Letters are small and may be enlarged; of anything else nobody sees a twentieth of a px.
enum { LETTER_UNITS = 100, SHAPE_UNITS = 10 };  // of a px

// --- numbers --------------------------------------------------------------------------------------

static long to_units(double value, int units) {
  return lrint(value * units);
}

// The shortest way to write it: "12", "-.3".
static void write_units(long value, int units, FILE* file) {
  const long size = labs(value);
  char digits[32];
  int length = snprintf(digits, sizeof digits, "%.2f", (double)size / units);
  while (digits[length - 1] == '0') --length;
  if (digits[length - 1] == '.') --length;
  const int zero = length > 1 && digits[0] == '0' ? 1 : 0;
  (void)fprintf(file, "%s%.*s", value < 0 ? "-" : "", length - zero, digits + zero);
}

// --- paths ----------------------------------------------------------------------------------------

// Where a path is, in units; what is written is never far from what was meant.
typedef struct pen {
  long x, y;
  char command;
  int units;
  FILE* file;
} pen;

static const char* read_number(const char* text, int units, long* value) {
  char* end;
  *value = to_units(strtod(text, &end), units);
  return end;
}

// A minus keeps numbers apart as well as a space does.
static void write_pair(const pen* p, bool is_first, long x, long y) {
  if (!is_first && x >= 0) (void)fputc(' ', p->file);
  write_units(x, p->units, p->file);
  if (y >= 0) (void)fputc(' ', p->file);
  write_units(y, p->units, p->file);
}

// A point of the line: as a step from the one before, which has fewer digits than a place.
static void write_line_to(pen* p, long x, long y) {
  if (p->command != 'l') (void)fputc('l', p->file);
  write_pair(p, p->command != 'l', x - p->x, y - p->y);
  p->command = 'l';
}

static const char* read_point(const char* text, pen* p, long* x, long* y) {
  return read_number(read_number(text, p->units, x), p->units, y);
}

// One command with its numbers. cairo writes M, L, C and Z, each with a space behind it.
static const char* shorten_command(const char* text, pen* p) {
  const char command = *text++;
  long x = p->x, y = p->y;
  if (command == 'L') {
    text = read_point(text, p, &x, &y);
    write_line_to(p, x, y);
  } else {
    if (command != p->command || command != 'C') (void)fputc(command, p->file);
    const int points = command == 'C' ? 3 : command == 'M' ? 1 : 0;
    for (int i = 0; i < points; ++i) {
      text = read_point(text, p, &x, &y);
      write_pair(p, i == 0 && command != p->command, x, y);
    }
    p->command = command;
  }
  p->x = x;
  p->y = y;
  return text;
}

// cairo ends a closed path by moving to where it began: for nothing.
static bool is_last_move(const char* text, const pen* p) {
  return *text == 'M' && p->command == 'Z' && strpbrk(text + 1, "MLCZ\"") == strchr(text, '"');
}

// Up to the closing quotes. After Z there is always a move, so where a path was closed is of no concern.
static const char* shorten_path(const char* text, int units, FILE* file) {
  pen p = {.units = units, .file = file};
  while (*text != '"' && *text != '\0') {
    if (is_last_move(text, &p)) return strchr(text, '"');
    if (strchr("MLCZ", *text) != NULL) {
      text = shorten_command(text, &p);
    } else {
      ++text;
    }
  }
  return text;
}

// --- everything else ------------------------------------------------------------------------------

static bool is_at(const char* text, const char* words) {
  return strncmp(text, words, strlen(words)) == 0;
}

// What cairo writes that would hold anyway (joins are round here), or is longer than need be.
static const char* skip_ballast(const char* text) {
  static const char* const ballast[] = {" clip-rule=\"nonzero\"",
                                        "fill-rule:nonzero;",
                                        "fill-opacity:1;",
                                        "stroke-opacity:1;",
                                        "stroke-miterlimit:10;",
                                        "lyph",
                                        "\n  "};
  for (int i = 0; i < DPC_COUNT(ballast); ++i) {
    if (is_at(text, ballast[i])) return text + strlen(ballast[i]);
  }
  return text;
}

// Copy `begin` and shorten the numbers behind it, up to `end`.
static const char* shorten_numbers(const char* text, const char* begin, char end, FILE* file) {
  text += strlen(begin);
  (void)fputs(begin, file);
  while (*text != end && *text != '\0') {
    if (strchr("-0123456789", *text) != NULL) {
      long value;
      text = read_number(text, LETTER_UNITS, &value);
      write_units(value, LETTER_UNITS, file);
    } else {
      (void)fputc(*text++, file);
    }
  }
  return text;
}

typedef struct shortener {
  FILE* file;
  int units;         // of paths here
  long first_image;  // number of the first picture; 0 before there is one
} shortener;

// cairo numbers surfaces over the whole life of a process. Here they count from the first picture, which
// is met where pictures are defined; that of the page itself is used nowhere.
static const char* renumber(const char* text, shortener* s) {
  const bool is_page = is_at(text, "surface");
  const char* digits = text + strlen(is_page ? "surface" : "image");
  char* end;
  const long number = strtol(digits, &end, 10);
  if (!is_page && s->first_image == 0) s->first_image = number;
  (void)fwrite(text, 1, (size_t)(digits - text), s->file);
  (void)fprintf(s->file, "%ld", is_page ? 0 : number - s->first_image);
  return end;
}

static bool is_numbered(const char* text, const char* name) {
  return is_at(text, name) && strchr("0123456789", text[strlen(name)]) != NULL;
}

// One piece of the text; returns what is behind it.
static const char* shorten_piece(const char* text, shortener* s) {
  static const char image[] = "<image ";
  const char* rest = skip_ballast(text);
  if (rest != text) return rest;
  if (is_at(text, " d=\"")) {
    (void)fputs(" d=\"", s->file);
    return shorten_path(text + strlen(" d=\""), s->units, s->file);
  }
  if (is_numbered(text, "surface") || is_numbered(text, "image")) return renumber(text, s);
  if (is_at(text, "xlink:href=\"data:")) {  // a picture's bytes are letters without meaning
    const size_t length = strcspn(text, ">");
    (void)fwrite(text, 1, length, s->file);
    return text + length;
  }
  if (is_at(text, image)) {  // as in a PNG: pixels are squares
    (void)fputs("<image style=\"image-rendering:pixelated\" ", s->file);
    return text + strlen(image);
  }
  if (is_at(text, "rgb(")) return shorten_numbers(text, "rgb(", ')', s->file);
  if (is_at(text, " x=\"")) return shorten_numbers(text, " x=\"", '"', s->file);
  if (is_at(text, " y=\"")) return shorten_numbers(text, " y=\"", '"', s->file);
  (void)fputc(*text, s->file);
  return text + 1;
}

void dpc_svg_shorten(const char* text, FILE* file) {
  shortener s = {.file = file, .units = SHAPE_UNITS};
  while (*text != '\0') {
    if (is_at(text, "<symbol")) s.units = LETTER_UNITS;
    if (is_at(text, "</symbol")) s.units = SHAPE_UNITS;
    text = shorten_piece(text, &s);
  }
}
