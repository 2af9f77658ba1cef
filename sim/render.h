/// Pictures of the push world: one moment, or moments of an episode side by side.
#pragma once

#include "sim/canvas.h"
#include "sim/push_world.h"

enum {
  DPC_RENDER_SIZE_MAX = 2048,   // px, width and height of one picture
  DPC_RENDER_FRAMES_MAX = 100,  // pictures in a strip
};

/// One moment.
typedef struct dpc_render_frame {
  dpc_push_state state;
  bool has_target;  // whether to mark where the agent is told to go
  double target_x, target_y;
  double time_s;  // since the episode began, written into the corner; negative: not written
} dpc_render_frame;

/// Draw one moment as a square of a canvas, from (x, y) to (x + size, y + size).
/// Allocates: heap, in cairo. Blocks: no. Thread: the canvas's owner.
void dpc_render_draw(const dpc_render_frame* frame, dpc_canvas* canvas, double x, double y,
                     double size);

/// Draw one moment. `pixels`, out, [size x size], is 0xAARRGGBB, opaque, top row first; size in
/// [16, DPC_RENDER_SIZE_MAX] (asserts). Same frame, same size, no label: same bits.
/// Allocates: heap, in cairo. Blocks: no. Thread: any.
DPC_NODISCARD dpc_status dpc_render_pixels(const dpc_render_frame* frame, int size,
                                           uint32_t* pixels, dpc_error* error);

/// Draw one moment into a PNG file of size x size pixels, which appears whole or not at all.
/// Allocates: heap, in cairo. Blocks: disk. Thread: any.
DPC_NODISCARD dpc_status dpc_render_png(const dpc_render_frame* frame, int size, const char* path,
                                        dpc_error* error);

/// Draw `count` moments side by side, in [1, DPC_RENDER_FRAMES_MAX], each `size` pixels wide and
/// high, with one line of text below, into a PNG file that appears whole or not at all.
/// Allocates: heap, in cairo. Blocks: disk. Thread: any.
DPC_NODISCARD dpc_status dpc_render_strip(const dpc_render_frame* frames, int count, int size,
                                          const char* caption, const char* path, dpc_error* error);
