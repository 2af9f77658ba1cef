/// The axes of a panel: where values are, and what is drawn around them.
#pragma once

#include "tools/plot.h"

/// Where a value of the x axis is on the figure, px.
/// Allocates: no. Blocks: no. Thread: any.
double dpc_plot_at_x(const dpc_plot_panel* panel, double x);

/// Where a value of the y axis is on the figure, px.
/// Allocates: no. Blocks: no. Thread: any.
double dpc_plot_at_y(const dpc_plot_panel* panel, double y);

/// Draw frame, title, numbers and labels, and with `grid` a line at each number.
/// Allocates: heap, in cairo. Blocks: no. Thread: the canvas's owner.
void dpc_plot_axes_draw(dpc_canvas* canvas, const dpc_plot_panel* panel, bool grid);
