/// Figures with axes, as SVG, PNG or CSV: what is drawn is told once, in the data's own units, and the
/// name of the file decides what becomes of it. A CSV has one line for each point that is drawn:
/// panel, series, x, y.
///
///     dpc_plot* plot = dpc_plot_create("fan.svg", 800, 400, error);
///     dpc_plot_panel_begin(plot, &(dpc_plot_panel){.title = …, .x = {"t", "", 0, 1000}, …});
///     dpc_plot_line(plot, "closed form", &style, count, xs, ys);
///     dpc_plot_save(plot, error);
///     dpc_plot_destroy(plot);
///
/// Paper is white, so that figures are read alike on light and on dark pages.
#pragma once

#include "sim/render.h"

/// Colors that are told apart by people who see red and green alike, and on white.
extern const dpc_color DPC_PLOT_BLUE, DPC_PLOT_ORANGE, DPC_PLOT_GREEN, DPC_PLOT_RED,
    DPC_PLOT_PURPLE, DPC_PLOT_GREY, DPC_PLOT_INK;

/// The color a share of the way from one to another.
/// Allocates: no. Blocks: no. Thread: any.
dpc_color dpc_plot_blend(dpc_color from, dpc_color to, double share);

typedef struct dpc_plot dpc_plot;

typedef struct dpc_plot_axis {
  const char* label;  // with its unit: "action x (px)"
  double first, last;
  bool bare;   // neither numbers nor label
  bool whole;  // only whole numbers
} dpc_plot_axis;

/// A pair of axes, and where the plane between them lies on the figure.
typedef struct dpc_plot_panel {
  const char* title;  // above it, and its name in a CSV
  double left, top, width, height;
  dpc_plot_axis x, y;  // y grows upwards, unless first > last
} dpc_plot_panel;

typedef struct dpc_plot_style {
  dpc_color color;
  double opacity;  // 0 stands for 1
  double width;    // of lines, or radius of dots, px; 0 stands for 1.6
  double dash;     // length of dashes, px; 0: no gaps
} dpc_plot_style;

/// A figure of width x height px for the file `path`, which ends with .svg, .png or .csv;
/// DPC_ERR_CONFIG when it does not. A PNG has two pixels for each px. DPC_ERR_NO_MEMORY.
/// Allocates: heap. Blocks: no. Thread: any, one plot each.
DPC_NODISCARD dpc_status dpc_plot_create(const char* path, int width, int height, dpc_plot** out,
                                         dpc_error* error);

/// Free it. NULL is left alone.
/// Allocates: no. Blocks: no. Thread: the plot's owner.
void dpc_plot_destroy(dpc_plot* plot);

/// Write the file, which appears whole or not at all.
/// Allocates: heap. Blocks: disk. Thread: the plot's owner.
DPC_NODISCARD dpc_status dpc_plot_save(dpc_plot* plot, dpc_error* error);

/// Draw axes with numbers, labels and grid. What follows belongs to this panel.
/// Allocates: heap. Blocks: no. Thread: the plot's owner.
void dpc_plot_panel_begin(dpc_plot* plot, const dpc_plot_panel* panel);

/// Go back to a panel that was begun before; nothing is drawn.
/// Allocates: no. Blocks: no. Thread: the plot's owner.
void dpc_plot_panel_resume(dpc_plot* plot, const dpc_plot_panel* panel);

/// A panel in which the push world is drawn, with axes in px; `size` is its width and height, and
/// `bare` leaves numbers and labels away. Panels side by side share them.
/// Allocates: heap. Blocks: no. Thread: the plot's owner.
void dpc_plot_world_begin(dpc_plot* plot, const char* title, double left, double top, double size,
                          bool bare, const dpc_render_frame* frame);

/// A line through points; what is outside of the panel is cut off. Points that are on the way are left
/// out of the drawing, not of the CSV.
/// Allocates: heap. Blocks: no. Thread: the plot's owner.
void dpc_plot_line(dpc_plot* plot, const char* series, const dpc_plot_style* style, int count,
                   const double* x, const double* y);

/// A dot at each point; those outside of the panel are not drawn.
/// Allocates: heap. Blocks: no. Thread: the plot's owner.
void dpc_plot_dots(dpc_plot* plot, const char* series, const dpc_plot_style* style, int count,
                   const double* x, const double* y);

/// The same, with colors that go from the style's at the first point to `last` at the last.
/// Allocates: heap. Blocks: no. Thread: the plot's owner.
void dpc_plot_shaded_dots(dpc_plot* plot, const char* series, const dpc_plot_style* style,
                          dpc_color last, int count, const double* x, const double* y);

/// The area between a line and y = base, in a light tone.
/// Allocates: heap. Blocks: no. Thread: the plot's owner.
void dpc_plot_area(dpc_plot* plot, const dpc_plot_style* style, double base, int count,
                   const double* x, const double* y);

/// Words at a point of the panel, which may be outside of its plane. Not in a CSV.
/// Allocates: heap. Blocks: no. Thread: the plot's owner.
void dpc_plot_words(dpc_plot* plot, double x, double y, dpc_text_align align, dpc_color color,
                    const char* words);

/// One entry of a legend: `row` counts from the upper left corner at (left, top) px of the figure. With
/// `dot`, a dot stands for the series, otherwise a line.
/// Allocates: heap. Blocks: no. Thread: the plot's owner.
void dpc_plot_legend(dpc_plot* plot, double left, double top, int row, const dpc_plot_style* style,
                     bool dot, const char* words);

/// A picture with its title above; [rows x columns] 0xAARRGGBB, as wide as `size` px. In a CSV, a line
/// for each pixel: its number, and its grey value from 0 to 255.
/// Allocates: heap. Blocks: no. Thread: the plot's owner.
void dpc_plot_picture(dpc_plot* plot, const char* title, double left, double top, double size,
                      const uint32_t* pixels, int columns, int rows);
