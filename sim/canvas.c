#include "sim/canvas.h"

#include <cairo-svg.h>
#include <cairo.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sim/canvas_svg.h"

struct dpc_canvas {
  dpc_canvas_kind kind;
  int width, height;
  cairo_surface_t* surface;
  cairo_t* cr;
  // the frame; cairo itself knows only px, so that an SVG's numbers are px, too
  double x, y, scale;

  // an SVG as cairo writes it
  FILE* stream;
  char* text;
  size_t size;
};

static dpc_status check(cairo_status_t status, dpc_error* error) {
  if (status == CAIRO_STATUS_SUCCESS) return DPC_OK;
  const dpc_status code = status == CAIRO_STATUS_NO_MEMORY ? DPC_ERR_NO_MEMORY : DPC_ERR_IO;
  return dpc_fail(error, code, "drawing: %s", cairo_status_to_string(status));
}

static cairo_status_t write_bytes(void* closure, const unsigned char* data, unsigned length) {
  return fwrite(data, 1, length, closure) == length ? CAIRO_STATUS_SUCCESS
                                                    : CAIRO_STATUS_WRITE_ERROR;
}

// Letters keep their shape and place whatever the resolution, so that SVG and PNG look alike.
static void set_font(cairo_t* cr) {
  cairo_font_options_t* options = cairo_font_options_create();
  cairo_font_options_set_hint_style(options, CAIRO_HINT_STYLE_NONE);
  cairo_font_options_set_hint_metrics(options, CAIRO_HINT_METRICS_OFF);
  cairo_font_options_set_antialias(options, CAIRO_ANTIALIAS_GRAY);
  cairo_set_font_options(cr, options);
  cairo_font_options_destroy(options);
  cairo_select_font_face(cr, "DejaVu Sans", CAIRO_FONT_SLANT_NORMAL, CAIRO_FONT_WEIGHT_NORMAL);
}

dpc_status dpc_canvas_create(dpc_canvas_kind kind, int width, int height, int scale,
                             dpc_canvas** out, dpc_error* error) {
  DPC_ASSERT(width >= 1 && width <= DPC_CANVAS_SIZE_MAX && scale >= 1);
  DPC_ASSERT(height >= 1 && height <= DPC_CANVAS_SIZE_MAX);
  dpc_canvas* c = calloc(1, sizeof *c);
  if (c == NULL) return dpc_fail(error, DPC_ERR_NO_MEMORY, "no memory for a picture");
  *c = (dpc_canvas){.kind = kind, .width = width, .height = height, .scale = 1};
  if (kind == DPC_CANVAS_SVG) {
    c->stream = open_memstream(&c->text, &c->size);
    if (c->stream == NULL) {
      free(c);
      return dpc_fail(error, DPC_ERR_NO_MEMORY, "no memory for a picture");
    }
    c->surface = cairo_svg_surface_create_for_stream(write_bytes, c->stream, width, height);
    cairo_svg_surface_set_document_unit(c->surface, CAIRO_SVG_UNIT_PX);
  } else {
    c->surface = cairo_image_surface_create(CAIRO_FORMAT_RGB24, width * scale, height * scale);
    cairo_surface_set_device_scale(c->surface, scale, scale);
  }
  c->cr = cairo_create(c->surface);
  set_font(c->cr);
  cairo_set_line_join(c->cr, CAIRO_LINE_JOIN_ROUND);
  cairo_set_line_cap(c->cr, CAIRO_LINE_CAP_ROUND);
  *out = c;
  return DPC_OK;
}

void dpc_canvas_destroy(dpc_canvas* canvas) {
  if (canvas == NULL) return;
  if (canvas->cr != NULL) cairo_destroy(canvas->cr);
  if (canvas->surface != NULL) cairo_surface_destroy(canvas->surface);
  if (canvas->stream != NULL) (void)fclose(canvas->stream);
  free(canvas->text);
  free(canvas);
}

// --- files ----------------------------------------------------------------------------------------

static cairo_status_t write_file(dpc_canvas* canvas, FILE* file) {
  if (canvas->kind == DPC_CANVAS_PNG) {
    return cairo_surface_write_to_png_stream(canvas->surface, write_bytes, file);
  }
  cairo_surface_finish(canvas->surface);
  const cairo_status_t status = cairo_surface_status(canvas->surface);
  if (status != CAIRO_STATUS_SUCCESS) return status;
  if (fflush(canvas->stream) != 0) return CAIRO_STATUS_NO_MEMORY;
  dpc_svg_shorten(canvas->text, file);
  return ferror(file) ? CAIRO_STATUS_WRITE_ERROR : CAIRO_STATUS_SUCCESS;
}

// Under another name first, so that a full disk leaves no half picture.
dpc_status dpc_canvas_save(dpc_canvas* canvas, const char* path, dpc_error* error) {
  DPC_TRY(check(cairo_status(canvas->cr), error));
  char part[PATH_MAX];
  if (snprintf(part, sizeof part, "%s.part", path) >= (int)sizeof part) {
    return dpc_fail(error, DPC_ERR_INVALID, "%s: the name is too long", path);
  }
  FILE* file = fopen(part, "wbe");
  if (file == NULL) return dpc_fail(error, DPC_ERR_IO, "%s: %s", part, strerror(errno));
  const cairo_status_t drawn = write_file(canvas, file);
  const bool closed = fclose(file) == 0;
  if (drawn == CAIRO_STATUS_SUCCESS && closed && rename(part, path) == 0) return DPC_OK;
  const int reason = errno;
  (void)unlink(part);
  return dpc_fail(error, DPC_ERR_IO, "%s: the picture cannot be written: %s", path,
                  drawn == CAIRO_STATUS_SUCCESS || drawn == CAIRO_STATUS_WRITE_ERROR
                      ? strerror(reason)
                      : cairo_status_to_string(drawn));
}

dpc_status dpc_canvas_pixels(dpc_canvas* canvas, uint32_t* pixels, dpc_error* error) {
  DPC_TRY(check(cairo_status(canvas->cr), error));
  cairo_surface_flush(canvas->surface);
  const unsigned char* data = cairo_image_surface_get_data(canvas->surface);
  const size_t stride = (size_t)cairo_image_surface_get_stride(canvas->surface);
  const size_t row = (size_t)canvas->width;
  for (size_t y = 0; y < (size_t)canvas->height; ++y) {
    memcpy(pixels + y * row, data + y * stride, 4 * row);
    for (size_t x = 0; x < row; ++x) pixels[y * row + x] |= 0xff000000U;
  }
  return DPC_OK;
}

// --- what is drawn with ---------------------------------------------------------------------------

void dpc_canvas_use(dpc_canvas* canvas, dpc_color color, double opacity) {
  cairo_set_source_rgba(canvas->cr, color.red, color.green, color.blue, opacity);
}

void dpc_canvas_pen(dpc_canvas* canvas, double width, double dash) {
  const double length = dash * canvas->scale;
  cairo_set_line_width(canvas->cr, width * canvas->scale);
  cairo_set_dash(canvas->cr, &length, dash > 0 ? 1 : 0, 0);
}

void dpc_canvas_enter(dpc_canvas* canvas, double x, double y, double scale, double width,
                      double height) {
  cairo_save(canvas->cr);
  cairo_rectangle(canvas->cr, x, y, width * scale, height * scale);
  cairo_clip(canvas->cr);
  canvas->x = x;
  canvas->y = y;
  canvas->scale = scale;
}

void dpc_canvas_leave(dpc_canvas* canvas) {
  cairo_restore(canvas->cr);
  canvas->x = canvas->y = 0;
  canvas->scale = 1;
}

static double at_x(const dpc_canvas* c, double x) {
  return c->x + c->scale * x;
}

static double at_y(const dpc_canvas* c, double y) {
  return c->y + c->scale * y;
}

// --- shapes ---------------------------------------------------------------------------------------

void dpc_canvas_move(dpc_canvas* canvas, double x, double y) {
  cairo_move_to(canvas->cr, at_x(canvas, x), at_y(canvas, y));
}

void dpc_canvas_line(dpc_canvas* canvas, double x, double y) {
  cairo_line_to(canvas->cr, at_x(canvas, x), at_y(canvas, y));
}

void dpc_canvas_close(dpc_canvas* canvas) {
  cairo_close_path(canvas->cr);
}

void dpc_canvas_circle(dpc_canvas* canvas, double x, double y, double radius) {
  const double whole_turn = 6.283185307179586;
  cairo_new_sub_path(canvas->cr);
  cairo_arc(canvas->cr, at_x(canvas, x), at_y(canvas, y), radius * canvas->scale, 0, whole_turn);
}

void dpc_canvas_rectangle(dpc_canvas* canvas, double x, double y, double width, double height) {
  cairo_rectangle(canvas->cr, at_x(canvas, x), at_y(canvas, y), width * canvas->scale,
                  height * canvas->scale);
}

void dpc_canvas_fill(dpc_canvas* canvas, bool keep) {
  if (keep) {
    cairo_fill_preserve(canvas->cr);
  } else {
    cairo_fill(canvas->cr);
  }
}

void dpc_canvas_stroke(dpc_canvas* canvas) {
  cairo_stroke(canvas->cr);
}

double dpc_canvas_text_width(dpc_canvas* canvas, double size, const char* text) {
  cairo_text_extents_t extents;
  cairo_set_font_size(canvas->cr, size);
  cairo_text_extents(canvas->cr, text, &extents);
  return extents.x_advance;
}

void dpc_canvas_text(dpc_canvas* canvas, double x, double y, double size, dpc_text_align align,
                     bool upright, const char* text) {
  const double quarter_turn = 1.5707963267948966;
  cairo_t* cr = canvas->cr;
  cairo_save(cr);
  cairo_translate(cr, at_x(canvas, x), at_y(canvas, y));
  if (upright) cairo_rotate(cr, -quarter_turn);
  const double width = dpc_canvas_text_width(canvas, size * canvas->scale, text);
  cairo_move_to(cr, -0.5 * align * width, 0);
  cairo_show_text(cr, text);
  cairo_new_path(cr);
  cairo_restore(cr);
}

// --- pictures -------------------------------------------------------------------------------------

void dpc_canvas_picture(dpc_canvas* canvas, double x, double y, double pixel,
                        const uint32_t* pixels, int columns, int rows) {
  cairo_surface_t* image = cairo_image_surface_create(CAIRO_FORMAT_RGB24, columns, rows);
  if (cairo_surface_status(image) == CAIRO_STATUS_SUCCESS) {
    unsigned char* data = cairo_image_surface_get_data(image);
    const size_t stride = (size_t)cairo_image_surface_get_stride(image), row = (size_t)columns;
    for (size_t i = 0; i < (size_t)rows; ++i) memcpy(data + i * stride, pixels + i * row, 4 * row);
    cairo_surface_mark_dirty(image);
  }
  cairo_save(canvas->cr);
  cairo_translate(canvas->cr, at_x(canvas, x), at_y(canvas, y));
  cairo_scale(canvas->cr, pixel * canvas->scale, pixel * canvas->scale);
  cairo_set_source_surface(canvas->cr, image, 0, 0);  // carries the error there was, if any
  cairo_pattern_set_filter(cairo_get_source(canvas->cr), CAIRO_FILTER_NEAREST);
  cairo_paint(canvas->cr);
  cairo_restore(canvas->cr);
  cairo_surface_destroy(image);
}

// Onto white where it is transparent.
static dpc_status copy_picture(cairo_surface_t* image, const char* path, uint32_t** pixels,
                               int columns, int rows, dpc_error* error) {
  if (columns < 1 || rows < 1 || columns > DPC_PICTURE_MAX || rows > DPC_PICTURE_MAX) {
    return dpc_fail(error, DPC_ERR_INVALID, "%s: %d x %d pixels; up to %d x %d are read", path,
                    columns, rows, DPC_PICTURE_MAX, DPC_PICTURE_MAX);
  }
  uint32_t* out = malloc(4 * (size_t)columns * (size_t)rows);
  if (out == NULL) return dpc_fail(error, DPC_ERR_NO_MEMORY, "%s: no memory for it", path);
  dpc_canvas* canvas = NULL;
  dpc_status status = dpc_canvas_create(DPC_CANVAS_PNG, columns, rows, 1, &canvas, error);
  if (status == DPC_OK) {
    cairo_set_source_rgb(canvas->cr, 1, 1, 1);
    cairo_paint(canvas->cr);
    cairo_set_source_surface(canvas->cr, image, 0, 0);
    cairo_paint(canvas->cr);
    status = dpc_canvas_pixels(canvas, out, error);
  }
  dpc_canvas_destroy(canvas);
  if (status == DPC_OK) {
    *pixels = out;
  } else {
    free(out);
  }
  return status;
}

dpc_status dpc_picture_read(const char* path, uint32_t** pixels, int* columns, int* rows,
                            dpc_error* error) {
  cairo_surface_t* image = cairo_image_surface_create_from_png(path);
  const cairo_status_t read = cairo_surface_status(image);
  dpc_status status;
  if (read == CAIRO_STATUS_SUCCESS) {
    *columns = cairo_image_surface_get_width(image);
    *rows = cairo_image_surface_get_height(image);
    status = copy_picture(image, path, pixels, *columns, *rows, error);
  } else {
    status =
        dpc_fail(error, read == CAIRO_STATUS_FILE_NOT_FOUND ? DPC_ERR_NOT_FOUND : DPC_ERR_FORMAT,
                 "%s: not read as a PNG: %s", path, cairo_status_to_string(read));
  }
  cairo_surface_destroy(image);
  return status;
}
