// What is drawn becomes an SVG of a few short numbers, the same whatever a process drew before.

#include "sim/canvas.h"

#include <stdio.h>
#include <unistd.h>

#include "sim/canvas_svg.h"
#include "tests/test.h"

static char base[] = "/tmp/dpc-test-canvas-XXXXXX";
static dpc_error error;

/// What dpc_svg_shorten makes of a text; the caller frees it.
static char* shorten(const char* text) {
  static char* out;
  static size_t size;
  FILE* file = open_memstream(&out, &size);
  assert_non_null(file);
  dpc_svg_shorten(text, file);
  assert_int_equal(fclose(file), 0);
  return out;
}

static void check_shortened(const char* text, const char* expected) {
  char* out = shorten(text);
  assert_string_equal(out, expected);
  free(out);
}

static void paths_are_steps_of_short_numbers(void** state) {
  (void)state;
  check_shortened("<path d=\"M 10.123456 20 L 10.5 19.96 L 12 30 L 11 30.04 \"/>",
                  "<path d=\"M10.1 20l.4 0 1.5 10-1 0\"/>");
  check_shortened("<path d=\"M 1 2 L 3 2 Z M 1 2 \"/>", "<path d=\"M1 2l2 0Z\"/>");
  check_shortened("<path d=\"M 1 2 L 3 2 Z M 5 5 L 6 6 \"/>", "<path d=\"M1 2l2 0ZM5 5l1 1\"/>");
  check_shortened("<path d=\"M 0 0 C 1 2 -3.04 4 5 6 C 7 8 9 10 11 12 \"/>",
                  "<path d=\"M0 0C1 2-3 4 5 6 7 8 9 10 11 12\"/>");
  check_shortened("<symbol><path d=\"M 0.123 -0.456 \"/></symbol><path d=\"M 0.123 -0.456 \"/>",
                  "<symbol><path d=\"M.12-.46\"/></symbol><path d=\"M.1-.5\"/>");
}

static void steps_do_not_drift(void** state) {
  (void)state;
  char text[16384] = "<path d=\"M 0 0 ";
  for (int i = 1; i <= 500; ++i) {
    char point[32];
    (void)snprintf(point, sizeof point, "L %.6f %.6f ", i * 0.34, i * -0.26);
    strcat(text, point);
  }
  strcat(text, "\"/>");
  char* out = shorten(text);
  const char* at = strchr(out, 'l') + 1;
  double x = 0, y = 0;
  for (int i = 1; i <= 500; ++i) {
    char* end;
    x += strtod(at, &end);
    y += strtod(end, &end);
    at = end;
    assert_near(x, i * 0.34, 0.051);
    assert_near(y, i * -0.26, 0.051);
  }
  free(out);
}

static void numbers_of_a_process_are_left_out(void** state) {
  (void)state;
  check_shortened(
      "<image id=\"image17\"/><image id=\"image20\"/><g id=\"surface16\"><use href=\"#image20\"/>",
      "<image style=\"image-rendering:pixelated\" id=\"image0\"/>"
      "<image style=\"image-rendering:pixelated\" id=\"image3\"/>"
      "<g id=\"surface0\"><use href=\"#image3\"/>");
  // a picture's bytes may look like anything
  check_shortened("<a xlink:href=\"data:image/png;base64,lyphimage1surface2rgb(\"/>",
                  "<a xlink:href=\"data:image/png;base64,lyphimage1surface2rgb(\"/>");
}

/// Draw a bit of everything into DIR/name; the file's bytes, which the caller frees.
static char* draw(dpc_canvas_kind kind, const char* name, size_t* size) {
  char path[128];
  dpc_canvas* canvas = NULL;
  const uint32_t pixels[4] = {0xffff0000U, 0xff00ff00U, 0xff0000ffU, 0xffffffffU};
  assert_ok(dpc_canvas_create(kind, 200, 100, 2, &canvas, &error), &error);
  dpc_canvas_use(canvas, (dpc_color){0.1, 0.2, 0.3}, 0.5);
  dpc_canvas_enter(canvas, 20, 10, 0.5, 100, 100);
  dpc_canvas_circle(canvas, 50, 50, 20);
  dpc_canvas_fill(canvas, true);
  dpc_canvas_pen(canvas, 2, 5);
  dpc_canvas_stroke(canvas);
  dpc_canvas_leave(canvas);
  dpc_canvas_text(canvas, 100, 50, 12, DPC_TEXT_CENTER, true, "words");
  dpc_canvas_picture(canvas, 150, 20, 10, pixels, 2, 2);
  (void)snprintf(path, sizeof path, "%s/%s", base, name);
  assert_ok(dpc_canvas_save(canvas, path, &error), &error);
  dpc_canvas_destroy(canvas);
  FILE* file = fopen(path, "rb");
  assert_non_null(file);
  char* bytes = calloc(1, 1 << 20);
  *size = fread(bytes, 1, (1 << 20) - 1, file);
  (void)fclose(file);
  assert_int_equal(unlink(path), 0);
  return bytes;
}

static void the_same_drawing_gives_the_same_bytes(void** state) {
  (void)state;
  for (int kind = DPC_CANVAS_SVG; kind <= DPC_CANVAS_PNG; ++kind) {
    size_t sizes[2];
    char* first = draw((dpc_canvas_kind)kind, "one", &sizes[0]);
    char* again = draw((dpc_canvas_kind)kind, "two", &sizes[1]);
    assert_int_equal(sizes[0], sizes[1]);
    assert_memory_equal(first, again, sizes[0]);
    assert_true(sizes[0] > 200);
    free(first);
    free(again);
  }
}

static void pictures_are_read(void** state) {
  (void)state;
  char path[128];
  uint32_t* pixels = NULL;
  int columns = 0, rows = 0;
  dpc_canvas* canvas = NULL;
  const uint32_t drawn[2] = {0xff102030U, 0xff405060U};
  (void)snprintf(path, sizeof path, "%s/one.png", base);
  assert_ok(dpc_canvas_create(DPC_CANVAS_PNG, 2, 1, 1, &canvas, &error), &error);
  dpc_canvas_picture(canvas, 0, 0, 1, drawn, 2, 1);
  assert_ok(dpc_canvas_save(canvas, path, &error), &error);
  dpc_canvas_destroy(canvas);
  assert_ok(dpc_picture_read(path, &pixels, &columns, &rows, &error), &error);
  assert_int_equal(columns, 2);
  assert_int_equal(rows, 1);
  assert_memory_equal(pixels, drawn, sizeof drawn);
  free(pixels);
  assert_int_equal(unlink(path), 0);

  assert_ok(dpc_canvas_create(DPC_CANVAS_PNG, DPC_PICTURE_MAX + 1, 1, 1, &canvas, &error), &error);
  assert_ok(dpc_canvas_save(canvas, path, &error), &error);
  dpc_canvas_destroy(canvas);
  assert_fails(dpc_picture_read(path, &pixels, &columns, &rows, &error), DPC_ERR_INVALID, &error,
               "513 x 1");
  assert_int_equal(unlink(path), 0);
  assert_fails(dpc_picture_read(path, &pixels, &columns, &rows, &error), DPC_ERR_NOT_FOUND, &error,
               path);
}

static int make_folder(void** state) {
  (void)state;
  return mkdtemp(base) == NULL ? -1 : 0;
}

static int remove_folder(void** state) {
  (void)state;
  return rmdir(base);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(paths_are_steps_of_short_numbers),
      cmocka_unit_test(steps_do_not_drift),
      cmocka_unit_test(numbers_of_a_process_are_left_out),
      cmocka_unit_test(the_same_drawing_gives_the_same_bytes),
      cmocka_unit_test(pictures_are_read),
  };
  return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
