#include "tools/plot_axes.h"

#include <math.h>
#include <stdio.h>

enum { TICK_MAX = 32 };  // bytes of a number

static const dpc_color GRID = {0.898, 0.906, 0.914}, FRAME = {0.6, 0.612, 0.631};

// px
static const double TEXT_SIZE = 12, NUMBER_GAP = 5, LABEL_GAP = 33, UPRIGHT_GAP = 38;

double dpc_plot_at_x(const dpc_plot_panel* p, double x) {
  return p->left + p->width * (x - p->x.first) / (p->x.last - p->x.first);
}

double dpc_plot_at_y(const dpc_plot_panel* p, double y) {
  return p->top + p->height * (p->y.last - y) / (p->y.last - p->y.first);
}

// 1, 2 or 5 times a power of ten: the least of them that leaves room for the numbers.
static double tick_step(const dpc_plot_axis* axis, double length, double room) {
  const double least = fabs(axis->last - axis->first) * room / length;
  const double decade = pow(10, floor(log10(least)));
  static const double factors[] = {1, 2, 5, 10};
  int i = 0;
  while (i < 3 && factors[i] * decade < least * 0.999) ++i;
  return axis->whole ? fmax(1, factors[i] * decade) : factors[i] * decade;
}

static void print_tick(double value, char text[TICK_MAX]) {
  char plain[24];
  (void)snprintf(plain, sizeof plain, "%.6g", value);
  const bool minus = plain[0] == '-';
  (void)snprintf(text, TICK_MAX, "%s%s", minus ? "\u2212" : "", plain + (minus ? 1 : 0));
}

typedef struct ticks {
  double first, step;
  int count;
} ticks;

static ticks ticks_of(const dpc_plot_axis* axis, double length, double room) {
  const double step = tick_step(axis, length, room);
  const double low = fmin(axis->first, axis->last), high = fmax(axis->first, axis->last);
  const double first = ceil(low / step - 1e-9);
  return (ticks){first * step, step, (int)(floor(high / step + 1e-9) - first) + 1};
}

static void line(dpc_canvas* c, double x0, double y0, double x1, double y1) {
  dpc_canvas_move(c, x0, y0);
  dpc_canvas_line(c, x1, y1);
  dpc_canvas_stroke(c);
}

// Grid line and number at each tick; 1e-9 and + 0.0 take rounding and a minus away from 0.
static void draw_x_axis(dpc_canvas* c, const dpc_plot_panel* p, bool grid) {
  const ticks t = ticks_of(&p->x, p->width, 45);
  const double bottom = p->top + p->height;
  for (int i = 0; i < t.count; ++i) {
    const double value = t.first + i * t.step, x = dpc_plot_at_x(p, value);
    char text[TICK_MAX];
    print_tick(fabs(value) < 1e-9 ? 0 : value, text);
    dpc_canvas_use(c, GRID, 1);
    if (grid) line(c, x, p->top, x, bottom);
    if (p->x.bare) continue;
    dpc_canvas_use(c, DPC_PLOT_INK, 1);
    dpc_canvas_text(c, x, bottom + NUMBER_GAP + TEXT_SIZE * 0.8, TEXT_SIZE, DPC_TEXT_CENTER, false,
                    text);
  }
  if (p->x.bare) return;
  dpc_canvas_text(c, p->left + p->width / 2, bottom + LABEL_GAP, TEXT_SIZE, DPC_TEXT_CENTER, false,
                  p->x.label);
}

static void draw_y_axis(dpc_canvas* c, const dpc_plot_panel* p, bool grid) {
  const ticks t = ticks_of(&p->y, p->height, 32);
  for (int i = 0; i < t.count; ++i) {
    const double value = t.first + i * t.step, y = dpc_plot_at_y(p, value);
    char text[TICK_MAX];
    print_tick(fabs(value) < 1e-9 ? 0 : value, text);
    dpc_canvas_use(c, GRID, 1);
    if (grid) line(c, p->left, y, p->left + p->width, y);
    if (p->y.bare) continue;
    dpc_canvas_use(c, DPC_PLOT_INK, 1);
    dpc_canvas_text(c, p->left - NUMBER_GAP, y + TEXT_SIZE * 0.36, TEXT_SIZE, DPC_TEXT_RIGHT, false,
                    text);
  }
  if (p->y.bare) return;
  dpc_canvas_text(c, p->left - UPRIGHT_GAP, p->top + p->height / 2, TEXT_SIZE, DPC_TEXT_CENTER,
                  true, p->y.label);
}

void dpc_plot_axes_draw(dpc_canvas* c, const dpc_plot_panel* p, bool grid) {
  dpc_canvas_pen(c, 1, 0);
  draw_x_axis(c, p, grid);
  draw_y_axis(c, p, grid);
  dpc_canvas_use(c, FRAME, 1);
  dpc_canvas_rectangle(c, p->left, p->top, p->width, p->height);
  dpc_canvas_stroke(c);
  dpc_canvas_use(c, DPC_PLOT_INK, 1);
  dpc_canvas_text(c, p->left, p->top - 8, TEXT_SIZE, DPC_TEXT_LEFT, false, p->title);
}
