#include "sim/render.h"

#include <stdio.h>

#include "sim/push_block.h"

// --- how it looks --------------------------------------------------------------------------------

static const dpc_color PAPER = {1.000, 1.000, 1.000};       // around pictures
static const dpc_color WALL = {0.808, 0.796, 0.769};        // rim of the table
static const dpc_color TABLE = {0.969, 0.961, 0.941};       //
static const dpc_color GOAL = {0.745, 0.894, 0.737};        // light green
static const dpc_color GOAL_EDGE = {0.533, 0.757, 0.533};   //
static const dpc_color BLOCK = {0.439, 0.502, 0.565};       // slate grey
static const dpc_color BLOCK_EDGE = {0.267, 0.322, 0.380};  //
static const dpc_color AGENT = {0.231, 0.482, 0.875};       // blue
static const dpc_color AGENT_EDGE = {0.125, 0.329, 0.667};  //
static const dpc_color TARGET = {0.902, 0.341, 0.216};      // orange red
static const dpc_color TEXT = {0.333, 0.341, 0.361};        //
static const dpc_color FAINT_TEXT = {0.549, 0.541, 0.518};  // inside the table

static const double EDGE = 2.5, WALL_WIDTH = 7, LABEL_SIZE = 22;  // of 512

enum { GAP = 8, CAPTION_HEIGHT = 26, CAPTION_SIZE = 13 };  // px

// --- one moment, in the table's own coordinates --------------------------------------------------

// The outline of bar and stem together.
static void trace_block(dpc_canvas* canvas, const dpc_push_state* state) {
  const dpc_rectangle bar = dpc_push_block[0], stem = dpc_push_block[1];
  const double corners[8][2] = {{bar.x0, bar.y0},  {bar.x1, bar.y0},   {bar.x1, bar.y1},
                                {stem.x1, bar.y1}, {stem.x1, stem.y1}, {stem.x0, stem.y1},
                                {stem.x0, bar.y1}, {bar.x0, bar.y1}};
  for (int i = 0; i < 8; ++i) {
    double at[2];
    dpc_push_block_point(state, corners[i][0], corners[i][1], at);
    if (i == 0) {
      dpc_canvas_move(canvas, at[0], at[1]);
    } else {
      dpc_canvas_line(canvas, at[0], at[1]);
    }
  }
  dpc_canvas_close(canvas);
}

static void fill_and_edge(dpc_canvas* canvas, dpc_color fill, dpc_color edge) {
  dpc_canvas_use(canvas, fill, 1);
  dpc_canvas_fill(canvas, true);
  dpc_canvas_use(canvas, edge, 1);
  dpc_canvas_pen(canvas, EDGE, 0);
  dpc_canvas_stroke(canvas);
}

static void fill_rectangle(dpc_canvas* canvas, dpc_color color, double at, double size) {
  dpc_canvas_use(canvas, color, 1);
  dpc_canvas_rectangle(canvas, at, at, size, size);
  dpc_canvas_fill(canvas, false);
}

// A line from the agent to where it should go, and a cross there.
static void draw_target(dpc_canvas* canvas, const dpc_render_frame* frame) {
  const double x = frame->target_x, y = frame->target_y, arm = 8;
  dpc_canvas_use(canvas, TARGET, 1);
  dpc_canvas_pen(canvas, EDGE, 5);
  dpc_canvas_move(canvas, frame->state.agent_x, frame->state.agent_y);
  dpc_canvas_line(canvas, x, y);
  dpc_canvas_stroke(canvas);
  dpc_canvas_pen(canvas, 2 * EDGE, 0);
  dpc_canvas_move(canvas, x - arm, y - arm);
  dpc_canvas_line(canvas, x + arm, y + arm);
  dpc_canvas_move(canvas, x - arm, y + arm);
  dpc_canvas_line(canvas, x + arm, y - arm);
  dpc_canvas_stroke(canvas);
}

static void draw_time(dpc_canvas* canvas, double time_s) {
  char text[32];
  (void)snprintf(text, sizeof text, "%.1f s", time_s);
  dpc_canvas_use(canvas, FAINT_TEXT, 1);
  dpc_canvas_text(canvas, 2.2 * WALL_WIDTH, DPC_PUSH_SIZE - 2.5 * WALL_WIDTH, LABEL_SIZE,
                  DPC_TEXT_LEFT, false, text);
}

void dpc_render_draw(const dpc_render_frame* frame, dpc_canvas* canvas, double x, double y,
                     double size) {
  const dpc_push_state goal = {0, 0, DPC_PUSH_GOAL_X, DPC_PUSH_GOAL_Y, DPC_PUSH_GOAL_ANGLE};
  dpc_canvas_enter(canvas, x, y, size / DPC_PUSH_SIZE, DPC_PUSH_SIZE, DPC_PUSH_SIZE);
  fill_rectangle(canvas, WALL, 0, DPC_PUSH_SIZE);
  fill_rectangle(canvas, TABLE, WALL_WIDTH, DPC_PUSH_SIZE - 2 * WALL_WIDTH);
  trace_block(canvas, &goal);
  fill_and_edge(canvas, GOAL, GOAL_EDGE);
  trace_block(canvas, &frame->state);
  fill_and_edge(canvas, BLOCK, BLOCK_EDGE);
  if (frame->time_s >= 0) draw_time(canvas, frame->time_s);
  if (frame->has_target) draw_target(canvas, frame);
  dpc_canvas_circle(canvas, frame->state.agent_x, frame->state.agent_y, DPC_PUSH_AGENT_RADIUS);
  fill_and_edge(canvas, AGENT, AGENT_EDGE);
  dpc_canvas_leave(canvas);
}

// --- pictures and files --------------------------------------------------------------------------

static dpc_status draw_one(const dpc_render_frame* frame, int size, dpc_canvas** out,
                           dpc_error* error) {
  DPC_ASSERT(size >= 16 && size <= DPC_RENDER_SIZE_MAX);
  DPC_TRY(dpc_canvas_create(DPC_CANVAS_PNG, size, size, 1, out, error));
  dpc_render_draw(frame, *out, 0, 0, size);
  return DPC_OK;
}

dpc_status dpc_render_pixels(const dpc_render_frame* frame, int size, uint32_t* pixels,
                             dpc_error* error) {
  dpc_canvas* canvas = NULL;
  DPC_TRY(draw_one(frame, size, &canvas, error));
  const dpc_status status = dpc_canvas_pixels(canvas, pixels, error);
  dpc_canvas_destroy(canvas);
  return status;
}

dpc_status dpc_render_png(const dpc_render_frame* frame, int size, const char* path,
                          dpc_error* error) {
  dpc_canvas* canvas = NULL;
  DPC_TRY(draw_one(frame, size, &canvas, error));
  const dpc_status status = dpc_canvas_save(canvas, path, error);
  dpc_canvas_destroy(canvas);
  return status;
}

dpc_status dpc_render_strip(const dpc_render_frame* frames, int count, int size,
                            const char* caption, const char* path, dpc_error* error) {
  DPC_ASSERT(count >= 1 && count <= DPC_RENDER_FRAMES_MAX);
  DPC_ASSERT(size >= 16 && size <= DPC_RENDER_SIZE_MAX);
  const int width = GAP + count * (size + GAP), height = GAP + size + CAPTION_HEIGHT;
  dpc_canvas* canvas = NULL;
  DPC_TRY(dpc_canvas_create(DPC_CANVAS_PNG, width, height, 1, &canvas, error));
  dpc_canvas_use(canvas, PAPER, 1);
  dpc_canvas_rectangle(canvas, 0, 0, width, height);
  dpc_canvas_fill(canvas, false);
  for (int i = 0; i < count; ++i) {
    dpc_render_draw(&frames[i], canvas, GAP + i * (size + GAP), GAP, size);
  }
  dpc_canvas_use(canvas, TEXT, 1);
  dpc_canvas_text(canvas, GAP + 1, height - 0.35 * CAPTION_HEIGHT, CAPTION_SIZE, DPC_TEXT_LEFT,
                  false, caption);
  const dpc_status status = dpc_canvas_save(canvas, path, error);
  dpc_canvas_destroy(canvas);
  return status;
}
