#include "tools/plot.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/file.h"
#include "tools/plot_axes.h"

const dpc_color DPC_PLOT_BLUE = {0.043, 0.400, 0.690}, DPC_PLOT_ORANGE = {0.878, 0.486, 0.043},
                DPC_PLOT_GREEN = {0.102, 0.525, 0.369}, DPC_PLOT_RED = {0.776, 0.184, 0.235},
                DPC_PLOT_PURPLE = {0.478, 0.286, 0.612}, DPC_PLOT_GREY = {0.549, 0.561, 0.580},
                DPC_PLOT_INK = {0.184, 0.196, 0.220};
static const dpc_color PAPER = {1, 1, 1};

// px
static const double TEXT_SIZE = 12, LEGEND_ROW = 17, LEGEND_KEY = 20;
static const double WIDTH = 1.6;      // of lines, where nothing else is said
static const double STRAIGHT = 0.15;  // a point this near to the line past it is left out

enum { SCALE = 2, PATH_CAPACITY = 512 };

struct dpc_plot {
  char path[PATH_CAPACITY];
  dpc_plot_panel panel;
  dpc_canvas* canvas;  // or:
  FILE* csv;
  char* text;
  size_t size;
};

dpc_color dpc_plot_blend(dpc_color from, dpc_color to, double share) {
  return (dpc_color){from.red + share * (to.red - from.red),
                     from.green + share * (to.green - from.green),
                     from.blue + share * (to.blue - from.blue)};
}

// --- life -----------------------------------------------------------------------------------------

static bool ends_with(const char* path, const char* end) {
  const size_t length = strlen(path), wanted = strlen(end);
  return length > wanted && strcmp(path + length - wanted, end) == 0;
}

static dpc_status begin(dpc_plot* p, int width, int height, dpc_error* error) {
  if (ends_with(p->path, ".csv")) {
    p->csv = open_memstream(&p->text, &p->size);
    if (p->csv == NULL) return dpc_fail(error, DPC_ERR_NO_MEMORY, "no memory for a table");
    (void)fputs("panel,series,x,y\n", p->csv);
    return DPC_OK;
  }
  const bool svg = ends_with(p->path, ".svg");
  if (!svg && !ends_with(p->path, ".png")) {
    return dpc_fail(error, DPC_ERR_CONFIG, "%s: a figure's name ends with .svg, .png or .csv",
                    p->path);
  }
  DPC_TRY(dpc_canvas_create(svg ? DPC_CANVAS_SVG : DPC_CANVAS_PNG, width, height, SCALE, &p->canvas,
                            error));
  dpc_canvas_use(p->canvas, PAPER, 1);
  dpc_canvas_rectangle(p->canvas, 0, 0, width, height);
  dpc_canvas_fill(p->canvas, false);
  return DPC_OK;
}

dpc_status dpc_plot_create(const char* path, int width, int height, dpc_plot** out,
                           dpc_error* error) {
  dpc_plot* p = calloc(1, sizeof *p);
  if (p == NULL) return dpc_fail(error, DPC_ERR_NO_MEMORY, "no memory for a figure");
  dpc_status status = DPC_OK;
  if (snprintf(p->path, sizeof p->path, "%s", path) >= (int)sizeof p->path) {
    status = dpc_fail(error, DPC_ERR_CONFIG, "%.80s...: the name is too long", path);
  }
  if (status == DPC_OK) status = begin(p, width, height, error);
  if (status != DPC_OK) {
    dpc_plot_destroy(p);
    return status;
  }
  *out = p;
  return DPC_OK;
}

void dpc_plot_destroy(dpc_plot* plot) {
  if (plot == NULL) return;
  dpc_canvas_destroy(plot->canvas);
  if (plot->csv != NULL) (void)fclose(plot->csv);
  free(plot->text);
  free(plot);
}

dpc_status dpc_plot_save(dpc_plot* plot, dpc_error* error) {
  if (plot->csv == NULL) return dpc_canvas_save(plot->canvas, plot->path, error);
  if (fflush(plot->csv) != 0) return dpc_fail(error, DPC_ERR_NO_MEMORY, "no memory for a table");
  return dpc_file_save(plot->path, plot->text, plot->size, error);
}

// --- panels ---------------------------------------------------------------------------------------

void dpc_plot_panel_begin(dpc_plot* plot, const dpc_plot_panel* panel) {
  plot->panel = *panel;
  if (plot->canvas != NULL) dpc_plot_axes_draw(plot->canvas, panel, true);
}

void dpc_plot_panel_resume(dpc_plot* plot, const dpc_plot_panel* panel) {
  plot->panel = *panel;
}

void dpc_plot_world_begin(dpc_plot* plot, const char* title, double left, double top, double size,
                          bool bare, const dpc_render_frame* frame) {
  plot->panel = (dpc_plot_panel){.title = title,
                                 .left = left,
                                 .top = top,
                                 .width = size,
                                 .height = size,
                                 .x = {.label = "x (px)", .last = DPC_PUSH_SIZE, .bare = bare},
                                 .y = {.label = "y (px)", .first = DPC_PUSH_SIZE, .bare = bare}};
  if (plot->canvas == NULL) return;
  dpc_render_draw(frame, plot->canvas, left, top, size);
  dpc_plot_axes_draw(plot->canvas, &plot->panel, false);
}

// --- what is shown --------------------------------------------------------------------------------

static void write_rows(const dpc_plot* plot, const char* series, int count, const double* x,
                       const double* y) {
  for (int i = 0; i < count; ++i) {
    (void)fprintf(plot->csv, "\"%s\",\"%s\",%.9g,%.9g\n", plot->panel.title, series, x[i], y[i]);
  }
}

// From the panel's upper left corner, px. Far outside of it, cairo's numbers end.
typedef struct place {
  double x, y;
} place;

static double near_panel(double value, double length) {
  return fmin(fmax(value, -3 * length), 4 * length);
}

static place place_of(const dpc_plot_panel* p, double x, double y) {
  return (place){near_panel(dpc_plot_at_x(p, x) - p->left, p->width),
                 near_panel(dpc_plot_at_y(p, y) - p->top, p->height)};
}

static bool is_inside(const dpc_plot_panel* p, place at) {
  return at.x >= 0 && at.x <= p->width && at.y >= 0 && at.y <= p->height;
}

// Distance of `at` from the line between two others, px.
static double bend(place from, place at, place to) {
  const double x = to.x - from.x, y = to.y - from.y, length = hypot(x, y);
  if (length < 1e-9) return hypot(at.x - from.x, at.y - from.y);
  return fabs(x * (at.y - from.y) - y * (at.x - from.x)) / length;
}

// Can the points between the last that was drawn and point `to` be left out?
static bool is_straight(const dpc_plot_panel* p, const double* x, const double* y, int from,
                        int to) {
  const place a = place_of(p, x[from], y[from]), b = place_of(p, x[to], y[to]);
  for (int i = from + 1; i < to; ++i) {
    if (bend(a, place_of(p, x[i], y[i]), b) > STRAIGHT) return false;
  }
  return true;
}

static void trace(dpc_plot* plot, int count, const double* x, const double* y) {
  const dpc_plot_panel* p = &plot->panel;
  int drawn = 0;
  for (int i = 0; i < count; ++i) {
    const bool on_the_way =
        i > 0 && i + 1 < count && i + 1 - drawn < 200 && is_straight(p, x, y, drawn, i + 1);
    if (on_the_way) continue;
    const place at = place_of(p, x[i], y[i]);
    if (i == 0) {
      dpc_canvas_move(plot->canvas, at.x, at.y);
    } else {
      dpc_canvas_line(plot->canvas, at.x, at.y);
    }
    drawn = i;
  }
}

static void enter(dpc_plot* plot, const dpc_plot_style* style) {
  const dpc_plot_panel* p = &plot->panel;
  dpc_canvas_enter(plot->canvas, p->left, p->top, 1, p->width, p->height);
  dpc_canvas_use(plot->canvas, style->color, style->opacity > 0 ? style->opacity : 1);
  dpc_canvas_pen(plot->canvas, style->width > 0 ? style->width : WIDTH, style->dash);
}

void dpc_plot_line(dpc_plot* plot, const char* series, const dpc_plot_style* style, int count,
                   const double* x, const double* y) {
  if (plot->csv != NULL) write_rows(plot, series, count, x, y);
  if (plot->canvas == NULL || count < 1) return;
  enter(plot, style);
  trace(plot, count, x, y);
  dpc_canvas_stroke(plot->canvas);
  dpc_canvas_leave(plot->canvas);
}

// Dots that share a color. A line without length has round ends.
static void draw_dots(dpc_plot* plot, int count, const double* x, const double* y) {
  for (int i = 0; i < count; ++i) {
    const place at = place_of(&plot->panel, x[i], y[i]);
    if (!is_inside(&plot->panel, at)) continue;
    dpc_canvas_move(plot->canvas, at.x, at.y);
    dpc_canvas_line(plot->canvas, at.x, at.y);
  }
  dpc_canvas_stroke(plot->canvas);
}

static void enter_for_dots(dpc_plot* plot, const dpc_plot_style* style) {
  enter(plot, style);
  dpc_canvas_pen(plot->canvas, 2 * (style->width > 0 ? style->width : WIDTH), 0);
}

void dpc_plot_dots(dpc_plot* plot, const char* series, const dpc_plot_style* style, int count,
                   const double* x, const double* y) {
  if (plot->csv != NULL) write_rows(plot, series, count, x, y);
  if (plot->canvas == NULL) return;
  enter_for_dots(plot, style);
  draw_dots(plot, count, x, y);
  dpc_canvas_leave(plot->canvas);
}

void dpc_plot_shaded_dots(dpc_plot* plot, const char* series, const dpc_plot_style* style,
                          dpc_color last, int count, const double* x, const double* y) {
  if (plot->csv != NULL) write_rows(plot, series, count, x, y);
  if (plot->canvas == NULL) return;
  enter_for_dots(plot, style);
  for (int i = 0; i < count; ++i) {
    const double share = count == 1 ? 0 : (double)i / (count - 1);
    dpc_canvas_use(plot->canvas, dpc_plot_blend(style->color, last, share), 1);
    draw_dots(plot, 1, &x[i], &y[i]);
  }
  dpc_canvas_leave(plot->canvas);
}

void dpc_plot_area(dpc_plot* plot, const dpc_plot_style* style, double base, int count,
                   const double* x, const double* y) {
  if (plot->canvas == NULL || count < 1) return;
  enter(plot, style);
  trace(plot, count, x, y);
  const place end = place_of(&plot->panel, x[count - 1], base);
  const place start = place_of(&plot->panel, x[0], base);
  dpc_canvas_line(plot->canvas, end.x, end.y);
  dpc_canvas_line(plot->canvas, start.x, start.y);
  dpc_canvas_close(plot->canvas);
  dpc_canvas_fill(plot->canvas, false);
  dpc_canvas_leave(plot->canvas);
}

void dpc_plot_words(dpc_plot* plot, double x, double y, dpc_text_align align, dpc_color color,
                    const char* words) {
  if (plot->canvas == NULL) return;
  dpc_canvas_use(plot->canvas, color, 1);
  dpc_canvas_text(plot->canvas, dpc_plot_at_x(&plot->panel, x), dpc_plot_at_y(&plot->panel, y),
                  TEXT_SIZE, align, false, words);
}

void dpc_plot_legend(dpc_plot* plot, double left, double top, int row, const dpc_plot_style* style,
                     bool dot, const char* words) {
  dpc_canvas* c = plot->canvas;
  if (c == NULL) return;
  const double y = top + LEGEND_ROW * row, width = style->width > 0 ? style->width : WIDTH;
  dpc_canvas_use(c, style->color, style->opacity > 0 ? style->opacity : 1);
  dpc_canvas_pen(c, width, style->dash);
  if (dot) {
    dpc_canvas_circle(c, left + LEGEND_KEY / 2, y, width);
    dpc_canvas_fill(c, false);
  } else {
    dpc_canvas_move(c, left, y);
    dpc_canvas_line(c, left + LEGEND_KEY, y);
    dpc_canvas_stroke(c);
  }
  dpc_canvas_use(c, DPC_PLOT_INK, 1);
  dpc_canvas_text(c, left + LEGEND_KEY + 5 + width / 2, y + TEXT_SIZE * 0.36, TEXT_SIZE,
                  DPC_TEXT_LEFT, false, words);
}

// A pixel's grey value: the weights with which television sees colors (ITU-R BT.601).
static double grey(uint32_t pixel) {
  return 0.299 * (pixel >> 16 & 255) + 0.587 * (pixel >> 8 & 255) + 0.114 * (pixel & 255);
}

void dpc_plot_picture(dpc_plot* plot, const char* title, double left, double top, double size,
                      const uint32_t* pixels, int columns, int rows) {
  for (int i = 0; plot->csv != NULL && i < columns * rows; ++i) {
    (void)fprintf(plot->csv, "\"%s\",\"grey\",%d,%.5g\n", title, i, grey(pixels[i]));
  }
  if (plot->canvas == NULL) return;
  dpc_canvas_picture(plot->canvas, left, top, size / columns, pixels, columns, rows);
  dpc_canvas_use(plot->canvas, DPC_PLOT_INK, 1);
  dpc_canvas_text(plot->canvas, left, top - 6, TEXT_SIZE, DPC_TEXT_LEFT, false, title);
}
