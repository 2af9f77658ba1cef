// The forward process of a picture: its pixels are numbers like any other.

#include <math.h>
#include <stdlib.h>

#include "tools/diffuse.h"

// Of the push world, where no picture is given: coarse, so that pixels are seen and files stay small.
enum { OWN_SIZE = 30, PICTURES = 11, PER_ROW = 6 };

static dpc_status draw_own(uint32_t** pixels, dpc_error* error) {
  const dpc_render_frame frame = {.state = {400, 120, 150, 320, 3.9}, .time_s = -1};
  *pixels = malloc(sizeof(uint32_t) * OWN_SIZE * OWN_SIZE);
  if (*pixels == NULL) return dpc_fail(error, DPC_ERR_NO_MEMORY, "no memory for a picture");
  const dpc_status status = dpc_render_pixels(&frame, OWN_SIZE, *pixels, error);
  if (status != DPC_OK) free(*pixels);
  return status;
}

static uint32_t to_byte(double normalised) {
  return (uint32_t)lrint(fmin(fmax((normalised + 1) * 127.5, 0), 255));
}

// Each color of each pixel by itself, from 0 … 255 to -1 … 1 and back; what is beyond is cut off.
static void add_noise(const uint32_t* clean, int count, dpc_noise_level level, int number,
                      float* noise, uint32_t* noisy) {
  dpc_rng_normal((dpc_rng_key){0, 3}, DPC_STREAM_TRAIN_NOISE, 0, (uint32_t)number, 3 * count,
                 noise);
  for (int i = 0; i < count; ++i) {
    noisy[i] = 0xff000000U;
    for (int color = 0; color < 3; ++color) {
      const double value = (clean[i] >> 8 * color & 255) / 127.5 - 1;
      const double mixed = level.signal * value + level.noise * (double)noise[3 * i + color];
      noisy[i] |= to_byte(mixed) << 8 * color;
    }
  }
}

static dpc_status draw(dpc_diffuse* d, dpc_plot* plot, const uint32_t* pixels, int columns,
                       int rows, dpc_error* error) {
  const int count = columns * rows;
  uint32_t* noisy = DPC_TAKE(&d->arena, uint32_t, count);
  float* noise = DPC_TAKE(&d->arena, float, 3 * (size_t)count);
  if (noisy == NULL || noise == NULL) return dpc_arena_full(&d->arena, "a picture", error);
  for (int i = 0; i < PICTURES; ++i) {
    const int t = (int)((long)d->schedule->def.steps * i / (PICTURES - 1));
    char title[32];
    add_noise(pixels, count, dpc_diffuse_level(d->schedule, t), i, noise, noisy);
    (void)snprintf(title, sizeof title, "t = %d", t);
    dpc_plot_picture(plot, title, 10 + 131.0 * (i % PER_ROW), 26 + 150.0 * (i / PER_ROW), 120,
                     noisy, columns, rows);
  }
  return DPC_OK;
}

dpc_status dpc_diffuse_image(dpc_diffuse* d, const char* path, dpc_error* error) {
  uint32_t* pixels = NULL;
  int columns = OWN_SIZE, rows = OWN_SIZE;
  dpc_plot* plot = NULL;
  DPC_TRY(d->image != NULL ? dpc_picture_read(d->image, &pixels, &columns, &rows, error)
                           : draw_own(&pixels, error));
  const double height = 26 + 150.0 + 120.0 * rows / columns + 8;
  dpc_status status = dpc_plot_create(path, DPC_DIFFUSE_WIDTH, (int)height, &plot, error);
  if (status == DPC_OK) status = draw(d, plot, pixels, columns, rows, error);
  free(pixels);
  if (status == DPC_OK) return dpc_diffuse_finish(plot, error);
  dpc_plot_destroy(plot);
  return status;
}
