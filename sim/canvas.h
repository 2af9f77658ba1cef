/// Something to draw on, which becomes an SVG or a PNG file: the one door to cairo.
///
/// Coordinates are px from the upper left corner, or those of the frame that was entered last. A path is
/// begun with the first move, circle or rectangle, and is gone once it was filled or drawn. What goes
/// wrong while drawing is said when the canvas is saved.
#pragma once

#include "policy/base.h"

enum { DPC_CANVAS_SIZE_MAX = 1 << 18 };  // px, width and height

typedef enum dpc_canvas_kind {
  DPC_CANVAS_SVG,
  DPC_CANVAS_PNG,
} dpc_canvas_kind;

typedef struct dpc_color {
  double red, green, blue;
} dpc_color;

typedef enum dpc_text_align { DPC_TEXT_LEFT, DPC_TEXT_CENTER, DPC_TEXT_RIGHT } dpc_text_align;

typedef struct dpc_canvas dpc_canvas;

/// A canvas of width x height px. A PNG has `scale` pixels for each of them, so that small text stays
/// sharp; for an SVG it has no meaning. DPC_ERR_NO_MEMORY.
/// Allocates: heap, here and in cairo. Blocks: no. Thread: any, one canvas each.
DPC_NODISCARD dpc_status dpc_canvas_create(dpc_canvas_kind kind, int width, int height, int scale,
                                           dpc_canvas** out, dpc_error* error);

/// Free it. NULL is left alone.
/// Allocates: no. Blocks: no. Thread: the canvas's owner.
void dpc_canvas_destroy(dpc_canvas* canvas);

/// Write it to a file that appears whole or not at all. The same drawing gives the same bytes. Nothing
/// can be drawn afterwards. DPC_ERR_IO, DPC_ERR_NO_MEMORY.
/// Allocates: heap. Blocks: disk. Thread: the canvas's owner.
DPC_NODISCARD dpc_status dpc_canvas_save(dpc_canvas* canvas, const char* path, dpc_error* error);

/// The pixels of a PNG canvas of scale 1: [height x width], 0xAARRGGBB, top row first.
/// Allocates: no. Blocks: no. Thread: the canvas's owner.
DPC_NODISCARD dpc_status dpc_canvas_pixels(dpc_canvas* canvas, uint32_t* pixels, dpc_error* error);

// --- what is drawn with ---------------------------------------------------------------------------

/// Color of what follows, and how much of it, from 0 (nothing) to 1 (opaque).
/// Allocates: no. Blocks: no. Thread: the canvas's owner.
void dpc_canvas_use(dpc_canvas* canvas, dpc_color color, double opacity);

/// Width of lines, and the length of their dashes; 0 for lines without gaps.
/// Allocates: no. Blocks: no. Thread: the canvas's owner.
void dpc_canvas_pen(dpc_canvas* canvas, double width, double dash);

/// From now on, coordinates and lengths are those of a frame: (0, 0) is at (x, y), everything is `scale`
/// times as large, and what is outside of width x height (in the frame's own lengths) is cut off.
/// Frames are not nested.
/// Allocates: heap, in cairo. Blocks: no. Thread: the canvas's owner.
void dpc_canvas_enter(dpc_canvas* canvas, double x, double y, double scale, double width,
                      double height);

/// Back to the canvas itself.
/// Allocates: no. Blocks: no. Thread: the canvas's owner.
void dpc_canvas_leave(dpc_canvas* canvas);

// --- shapes ---------------------------------------------------------------------------------------

/// Begin a line at a point.
/// Allocates: heap, in cairo. Blocks: no. Thread: the canvas's owner.
void dpc_canvas_move(dpc_canvas* canvas, double x, double y);

/// Go on to a point.
/// Allocates: heap, in cairo. Blocks: no. Thread: the canvas's owner.
void dpc_canvas_line(dpc_canvas* canvas, double x, double y);

/// Go back to where the line began.
/// Allocates: heap, in cairo. Blocks: no. Thread: the canvas's owner.
void dpc_canvas_close(dpc_canvas* canvas);

/// A circle around a point.
/// Allocates: heap, in cairo. Blocks: no. Thread: the canvas's owner.
void dpc_canvas_circle(dpc_canvas* canvas, double x, double y, double radius);

/// A rectangle with one corner at a point.
/// Allocates: heap, in cairo. Blocks: no. Thread: the canvas's owner.
void dpc_canvas_rectangle(dpc_canvas* canvas, double x, double y, double width, double height);

/// Fill the path; with `keep` it stays, to be drawn as well.
/// Allocates: heap, in cairo. Blocks: no. Thread: the canvas's owner.
void dpc_canvas_fill(dpc_canvas* canvas, bool keep);

/// Draw the path's line.
/// Allocates: heap, in cairo. Blocks: no. Thread: the canvas's owner.
void dpc_canvas_stroke(dpc_canvas* canvas);

/// One line of text, `size` high, whose baseline begins, is centred or ends at a point. With `upright`
/// it is read from below.
/// Allocates: heap, in cairo. Blocks: no. Thread: the canvas's owner.
void dpc_canvas_text(dpc_canvas* canvas, double x, double y, double size, dpc_text_align align,
                     bool upright, const char* text);

/// Width of a text.
/// Allocates: heap, in cairo. Blocks: no. Thread: the canvas's owner.
double dpc_canvas_text_width(dpc_canvas* canvas, double size, const char* text);

/// A picture of columns x rows pixels (0xAARRGGBB, opaque) with its upper left corner at a point, each
/// pixel `pixel` wide and high.
/// Allocates: heap, in cairo. Blocks: no. Thread: the canvas's owner.
void dpc_canvas_picture(dpc_canvas* canvas, double x, double y, double pixel,
                        const uint32_t* pixels, int columns, int rows);

/// Read a PNG file of at most DPC_PICTURE_MAX pixels on a side: `*pixels`, [rows x columns], 0xAARRGGBB,
/// is freed by the caller with `free`. DPC_ERR_IO, DPC_ERR_FORMAT, DPC_ERR_NO_MEMORY name the file.
/// Allocates: heap. Blocks: disk. Thread: any.
DPC_NODISCARD dpc_status dpc_picture_read(const char* path, uint32_t** pixels, int* columns,
                                          int* rows, dpc_error* error);

enum { DPC_PICTURE_MAX = 512 };
