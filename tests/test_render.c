// Pictures: everything is where it is, the same each time, and a file appears whole or not at all.

#include "sim/render.h"

#include <stdio.h>
#include <unistd.h>

#include "sim/push_block.h"
#include "tests/test.h"

enum { SIZE = 256, PATH_SIZE = 256 };

static char base[] = "/tmp/dpc-test-render-XXXXXX";
static dpc_error error;

// Agent, block and goal apart from each other; no label, as fonts differ.
static const dpc_render_frame scene = {.state = {400, 80, 120, 100, 0.3},
                                       .has_target = true,
                                       .target_x = 440,
                                       .target_y = 420,
                                       .time_s = -1};

static void draw(const dpc_render_frame* frame, int size, uint32_t* pixels) {
  memset(pixels, 0x5a, sizeof *pixels * (size_t)size * (size_t)size);
  assert_ok(dpc_render_pixels(frame, size, pixels, &error), &error);
}

/// The color at a place of the table.
static uint32_t at(const uint32_t* pixels, int size, double x, double y) {
  const int column = (int)(x * size / DPC_PUSH_SIZE), row = (int)(y * size / DPC_PUSH_SIZE);
  return pixels[row * size + column];
}

static void everything_is_where_it_is(void** state) {
  (void)state;
  static uint32_t pixels[512 * 512];
  for (int size = 128; size <= 512; size *= 2) {
    const dpc_push_state goal = {0, 0, DPC_PUSH_GOAL_X, DPC_PUSH_GOAL_Y, DPC_PUSH_GOAL_ANGLE};
    draw(&scene, size, pixels);
    const uint32_t table = at(pixels, size, 60, 440), wall = at(pixels, size, 2, 256);
    const uint32_t agent = at(pixels, size, 400, 80), target = at(pixels, size, 440, 420);
    double p[2];
    dpc_push_block_point(&scene.state, 0, 15, p);
    const uint32_t block = at(pixels, size, p[0], p[1]);
    dpc_push_block_point(&goal, 0, 15, p);
    const uint32_t on_goal = at(pixels, size, p[0], p[1]);
    const uint32_t colors[] = {table, wall, agent, target, block, on_goal};
    for (int i = 0; i < DPC_COUNT(colors); ++i) {
      assert_int_equal(colors[i] >> 24, 0xff);
      for (int j = 0; j < i; ++j) assert_int_not_equal(colors[i], colors[j]);
    }
    // well inside the two rectangles, and well outside beside the stem
    static const double inside[][2] = {{-52, 8}, {52, 8}, {-52, 22}, {52, 22}, {0, 60}, {0, 110}};
    static const double outside[][2] = {{-30, 45}, {30, 45}, {0, 132}, {0, -12}, {75, 15}};
    for (int i = 0; i < DPC_COUNT(inside); ++i) {
      dpc_push_block_point(&scene.state, inside[i][0], inside[i][1], p);
      assert_int_equal(at(pixels, size, p[0], p[1]), block);
      dpc_push_block_point(&goal, inside[i][0], inside[i][1], p);
      assert_int_equal(at(pixels, size, p[0], p[1]), on_goal);
    }
    for (int i = 0; i < DPC_COUNT(outside); ++i) {
      dpc_push_block_point(&scene.state, outside[i][0], outside[i][1], p);
      assert_int_equal(at(pixels, size, p[0], p[1]), table);
      dpc_push_block_point(&goal, outside[i][0], outside[i][1], p);
      assert_int_equal(at(pixels, size, p[0], p[1]), table);
    }
  }
}

static void the_target_is_drawn_only_when_there_is_one(void** state) {
  (void)state;
  static uint32_t with[SIZE * SIZE], without[SIZE * SIZE];
  dpc_render_frame frame = scene;
  draw(&frame, SIZE, with);
  frame.has_target = false;
  draw(&frame, SIZE, without);
  assert_int_not_equal(at(with, SIZE, 440, 420), at(without, SIZE, 440, 420));
  assert_int_equal(at(without, SIZE, 440, 420), at(without, SIZE, 60, 440));
}

static void same_frame_same_bits(void** state) {
  (void)state;
  static uint32_t first[SIZE * SIZE], again[SIZE * SIZE];
  draw(&scene, SIZE, first);
  draw(&scene, SIZE, again);
  assert_memory_equal(first, again, sizeof first);
}

// What lies outside of the table is cut off, not drawn over the neighbour.
static void wild_states_are_drawn(void** state) {
  (void)state;
  static uint32_t pixels[SIZE * SIZE];
  const dpc_render_frame wild = {.state = {1e6, -1e6, 1e7, 1e7, 1e5},
                                 .has_target = true,
                                 .target_x = -1e6,
                                 .target_y = 1e6,
                                 .time_s = 1e6};
  draw(&wild, SIZE, pixels);
  draw(&scene, 16, pixels);
}

// --- files -----------------------------------------------------------------------------------------

/// Width and height of a PNG file, from its header.
static void png_size(const char* path, uint32_t size[2]) {
  static const uint8_t start[16] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n',
                                    0,    0,   0,   13,  'I',  'H',  'D',  'R'};
  uint8_t head[24];
  FILE* file = fopen(path, "rb");
  assert_non_null(file);
  assert_int_equal(fread(head, 1, sizeof head, file), sizeof head);
  (void)fclose(file);
  assert_memory_equal(head, start, sizeof start);
  for (int i = 0; i < 2; ++i) {
    const uint8_t* b = head + 16 + (ptrdiff_t)4 * i;
    size[i] = (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
  }
}

static void files_have_the_right_size(void** state) {
  (void)state;
  char path[PATH_SIZE], part[PATH_SIZE + 8];
  uint32_t one[2], strip[2];
  (void)snprintf(path, sizeof path, "%s/one.png", base);
  assert_ok(dpc_render_png(&scene, 96, path, &error), &error);
  png_size(path, one);
  assert_int_equal(one[0], 96);
  assert_int_equal(one[1], 96);

  dpc_render_frame frames[5];
  for (int i = 0; i < 5; ++i) {
    frames[i] = scene;
    frames[i].state.block_angle += 0.3 * i;
    frames[i].time_s = 0.8 * i;
  }
  assert_ok(dpc_render_strip(frames, 5, 96, "seed 100000   score 0.97", path, &error), &error);
  png_size(path, strip);  // in place of the first
  assert_true(strip[0] >= 5 * 96 && strip[0] < 5 * 120);
  assert_true(strip[1] > 96 && strip[1] < 150);
  (void)snprintf(part, sizeof part, "%s.part", path);
  assert_int_not_equal(access(part, F_OK), 0);
}

static void what_cannot_be_written_is_said(void** state) {
  (void)state;
  char path[PATH_SIZE];
  (void)snprintf(path, sizeof path, "%s/missing/one.png", base);
  assert_fails(dpc_render_png(&scene, 96, path, &error), DPC_ERR_IO, &error, path);
  assert_fails(dpc_render_strip(&scene, 1, 96, "", path, &error), DPC_ERR_IO, &error, path);
  // a folder is in the way: nothing is left beside it
  char part[PATH_SIZE + 8];
  (void)snprintf(path, sizeof path, "%s", base);
  (void)snprintf(part, sizeof part, "%s.part", path);
  assert_fails(dpc_render_png(&scene, 96, path, &error), DPC_ERR_IO, &error, path);
  assert_int_not_equal(access(part, F_OK), 0);
}

static int make_folder(void** state) {
  (void)state;
  return mkdtemp(base) == NULL ? -1 : 0;
}

static int remove_folder(void** state) {
  (void)state;
  char path[PATH_SIZE];
  (void)snprintf(path, sizeof path, "%s/one.png", base);
  (void)unlink(path);
  return rmdir(base);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(everything_is_where_it_is),
      cmocka_unit_test(the_target_is_drawn_only_when_there_is_one),
      cmocka_unit_test(same_frame_same_bits),
      cmocka_unit_test(wild_states_are_drawn),
      cmocka_unit_test(files_have_the_right_size),
      cmocka_unit_test(what_cannot_be_written_is_said),
  };
  return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
