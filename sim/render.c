#include "sim/render.h"

#include <cairo.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "sim/push_block.h"

// --- how it looks --------------------------------------------------------------------------------

typedef struct color {
  double red, green, blue;
} color;

static const color PAPER = {1.000, 1.000, 1.000};       // around pictures
static const color WALL = {0.808, 0.796, 0.769};        // rim of the table
static const color TABLE = {0.969, 0.961, 0.941};       //
static const color GOAL = {0.745, 0.894, 0.737};        // light green
static const color GOAL_EDGE = {0.533, 0.757, 0.533};   //
static const color BLOCK = {0.439, 0.502, 0.565};       // slate grey
static const color BLOCK_EDGE = {0.267, 0.322, 0.380};  //
static const color AGENT = {0.231, 0.482, 0.875};       // blue
static const color AGENT_EDGE = {0.125, 0.329, 0.667};  //
static const color TARGET = {0.902, 0.341, 0.216};      // orange red
static const color TEXT = {0.333, 0.341, 0.361};        //
static const color FAINT_TEXT = {0.549, 0.541, 0.518};  // inside the table

static const double EDGE = 2.5, WALL_WIDTH = 7, LABEL_SIZE = 22;  // of 512

enum { GAP = 8, CAPTION_HEIGHT = 26, CAPTION_SIZE = 13 };  // px

static void use(cairo_t* cr, color c) {
  cairo_set_source_rgb(cr, c.red, c.green, c.blue);
}

// --- one moment, in the table's own coordinates --------------------------------------------------

// The outline of bar and stem together.
static void trace_block(cairo_t* cr, const dpc_push_state* state) {
  const dpc_rectangle bar = dpc_push_block[0], stem = dpc_push_block[1];
  const double corners[8][2] = {{bar.x0, bar.y0},  {bar.x1, bar.y0},   {bar.x1, bar.y1},
                                {stem.x1, bar.y1}, {stem.x1, stem.y1}, {stem.x0, stem.y1},
                                {stem.x0, bar.y1}, {bar.x0, bar.y1}};
  cairo_new_path(cr);
  for (int i = 0; i < 8; ++i) {
    double at[2];
    dpc_push_block_point(state, corners[i][0], corners[i][1], at);
    cairo_line_to(cr, at[0], at[1]);
  }
  cairo_close_path(cr);
}

static void fill_and_edge(cairo_t* cr, color fill, color edge) {
  use(cr, fill);
  cairo_fill_preserve(cr);
  use(cr, edge);
  cairo_set_line_width(cr, EDGE);
  cairo_stroke(cr);
}

static void draw_table(cairo_t* cr) {
  use(cr, WALL);
  cairo_rectangle(cr, 0, 0, DPC_PUSH_SIZE, DPC_PUSH_SIZE);
  cairo_fill(cr);
  use(cr, TABLE);
  const double inside = DPC_PUSH_SIZE - 2 * WALL_WIDTH;
  cairo_rectangle(cr, WALL_WIDTH, WALL_WIDTH, inside, inside);
  cairo_fill(cr);
}

// A line from the agent to where it should go, and a cross there.
static void draw_target(cairo_t* cr, const dpc_render_frame* frame) {
  static const double DASHES[2] = {5, 5};
  const double x = frame->target_x, y = frame->target_y, arm = 8;
  use(cr, TARGET);
  cairo_set_line_cap(cr, CAIRO_LINE_CAP_ROUND);
  cairo_set_line_width(cr, EDGE);
  cairo_set_dash(cr, DASHES, 2, 0);
  cairo_move_to(cr, frame->state.agent_x, frame->state.agent_y);
  cairo_line_to(cr, x, y);
  cairo_stroke(cr);
  cairo_set_dash(cr, NULL, 0, 0);
  cairo_set_line_width(cr, 2 * EDGE);
  cairo_move_to(cr, x - arm, y - arm);
  cairo_line_to(cr, x + arm, y + arm);
  cairo_move_to(cr, x - arm, y + arm);
  cairo_line_to(cr, x + arm, y - arm);
  cairo_stroke(cr);
}

static void draw_time(cairo_t* cr, double time_s) {
  char text[32];
  (void)snprintf(text, sizeof text, "%.1f s", time_s);
  use(cr, FAINT_TEXT);
  cairo_select_font_face(cr, "sans", CAIRO_FONT_SLANT_NORMAL, CAIRO_FONT_WEIGHT_NORMAL);
  cairo_set_font_size(cr, LABEL_SIZE);
  cairo_move_to(cr, 2.2 * WALL_WIDTH, DPC_PUSH_SIZE - 2.5 * WALL_WIDTH);
  cairo_show_text(cr, text);
}

static void draw_frame(cairo_t* cr, const dpc_render_frame* frame) {
  const dpc_push_state goal = {0, 0, DPC_PUSH_GOAL_X, DPC_PUSH_GOAL_Y, DPC_PUSH_GOAL_ANGLE};
  const double whole_turn = 6.283185307179586;
  draw_table(cr);
  cairo_set_line_join(cr, CAIRO_LINE_JOIN_ROUND);
  trace_block(cr, &goal);
  fill_and_edge(cr, GOAL, GOAL_EDGE);
  trace_block(cr, &frame->state);
  fill_and_edge(cr, BLOCK, BLOCK_EDGE);
  if (frame->time_s >= 0) draw_time(cr, frame->time_s);
  if (frame->has_target) draw_target(cr, frame);
  cairo_new_path(cr);
  cairo_arc(cr, frame->state.agent_x, frame->state.agent_y, DPC_PUSH_AGENT_RADIUS, 0, whole_turn);
  fill_and_edge(cr, AGENT, AGENT_EDGE);
}

static void draw_frame_at(cairo_t* cr, const dpc_render_frame* frame, double x, double y,
                          int size) {
  cairo_save(cr);
  cairo_translate(cr, x, y);
  cairo_rectangle(cr, 0, 0, size, size);
  cairo_clip(cr);
  cairo_scale(cr, (double)size / DPC_PUSH_SIZE, (double)size / DPC_PUSH_SIZE);
  draw_frame(cr, frame);
  cairo_restore(cr);
}

// --- surfaces and files --------------------------------------------------------------------------

static dpc_status check(cairo_status_t status, dpc_error* error) {
  if (status == CAIRO_STATUS_SUCCESS) return DPC_OK;
  const dpc_status code = status == CAIRO_STATUS_NO_MEMORY ? DPC_ERR_NO_MEMORY : DPC_ERR_IO;
  return dpc_fail(error, code, "drawing: %s", cairo_status_to_string(status));
}

static cairo_status_t write_bytes(void* closure, const unsigned char* data, unsigned length) {
  return fwrite(data, 1, length, closure) == length ? CAIRO_STATUS_SUCCESS
                                                    : CAIRO_STATUS_WRITE_ERROR;
}

// Under another name first, so that a full disk leaves no half picture.
static dpc_status save_png(cairo_surface_t* surface, const char* path, dpc_error* error) {
  char part[PATH_MAX];
  if (snprintf(part, sizeof part, "%s.part", path) >= (int)sizeof part) {
    return dpc_fail(error, DPC_ERR_INVALID, "%s: the name is too long", path);
  }
  FILE* file = fopen(part, "wbe");
  if (file == NULL) return dpc_fail(error, DPC_ERR_IO, "%s: %s", part, strerror(errno));
  const cairo_status_t drawn = cairo_surface_write_to_png_stream(surface, write_bytes, file);
  const bool closed = fclose(file) == 0;
  if (drawn == CAIRO_STATUS_SUCCESS && closed && rename(part, path) == 0) return DPC_OK;
  const int reason = errno;
  (void)unlink(part);
  return dpc_fail(error, DPC_ERR_IO, "%s: the picture cannot be written: %s", path,
                  drawn == CAIRO_STATUS_SUCCESS || drawn == CAIRO_STATUS_WRITE_ERROR
                      ? strerror(reason)
                      : cairo_status_to_string(drawn));
}

dpc_status dpc_render_pixels(const dpc_render_frame* frame, int size, uint32_t* pixels,
                             dpc_error* error) {
  DPC_ASSERT(size >= 16 && size <= DPC_RENDER_SIZE_MAX);
  cairo_surface_t* surface = cairo_image_surface_create(CAIRO_FORMAT_ARGB32, size, size);
  cairo_t* cr = cairo_create(surface);
  draw_frame_at(cr, frame, 0, 0, size);
  const dpc_status status = check(cairo_status(cr), error);
  cairo_destroy(cr);
  if (status == DPC_OK) {
    cairo_surface_flush(surface);
    const unsigned char* data = cairo_image_surface_get_data(surface);
    const size_t stride = (size_t)cairo_image_surface_get_stride(surface), row = (size_t)size;
    for (size_t y = 0; y < row; ++y) memcpy(pixels + y * row, data + y * stride, 4 * row);
  }
  cairo_surface_destroy(surface);
  return status;
}

dpc_status dpc_render_png(const dpc_render_frame* frame, int size, const char* path,
                          dpc_error* error) {
  DPC_ASSERT(size >= 16 && size <= DPC_RENDER_SIZE_MAX);
  cairo_surface_t* surface = cairo_image_surface_create(CAIRO_FORMAT_RGB24, size, size);
  cairo_t* cr = cairo_create(surface);
  draw_frame_at(cr, frame, 0, 0, size);
  dpc_status status = check(cairo_status(cr), error);
  cairo_destroy(cr);
  if (status == DPC_OK) status = save_png(surface, path, error);
  cairo_surface_destroy(surface);
  return status;
}

dpc_status dpc_render_strip(const dpc_render_frame* frames, int count, int size,
                            const char* caption, const char* path, dpc_error* error) {
  DPC_ASSERT(count >= 1 && count <= DPC_RENDER_FRAMES_MAX);
  DPC_ASSERT(size >= 16 && size <= DPC_RENDER_SIZE_MAX);
  const int width = GAP + count * (size + GAP), height = GAP + size + CAPTION_HEIGHT;
  cairo_surface_t* surface = cairo_image_surface_create(CAIRO_FORMAT_RGB24, width, height);
  cairo_t* cr = cairo_create(surface);
  use(cr, PAPER);
  cairo_paint(cr);
  for (int i = 0; i < count; ++i) {
    draw_frame_at(cr, &frames[i], GAP + i * (size + GAP), GAP, size);
  }
  use(cr, TEXT);
  cairo_select_font_face(cr, "sans", CAIRO_FONT_SLANT_NORMAL, CAIRO_FONT_WEIGHT_NORMAL);
  cairo_set_font_size(cr, CAPTION_SIZE);
  cairo_move_to(cr, GAP + 1, height - 0.35 * CAPTION_HEIGHT);
  cairo_show_text(cr, caption);
  dpc_status status = check(cairo_status(cr), error);
  cairo_destroy(cr);
  if (status == DPC_OK) status = save_png(surface, path, error);
  cairo_surface_destroy(surface);
  return status;
}
