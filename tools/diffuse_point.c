// The forward process of numbers, and of points of a plane.

#include <math.h>
#include <string.h>

#include "sim/push_block.h"
#include "tools/diffuse.h"

enum { FAN_EVERY = 20, FAN_POINTS = 181, WALKS = 6, SIGMAS = 2, BAND_POINTS = 101 };

static const double LEGEND_TOP = 386;   // px
static const double DENSITY_MAX = 1.2;  // of the axis; the first ones are higher and cut off

// --- the fan of densities -------------------------------------------------------------------------

// In a color from blue at 0 to orange at the end.
static dpc_plot_style style_at(double share) {
  return (dpc_plot_style){.color = dpc_plot_blend(DPC_PLOT_BLUE, DPC_PLOT_ORANGE, share),
                          .width = 1.1};
}

// The mean density of Gaussians around all the points.
static double density(const dpc_diffuse* d, dpc_noise_level level, double x) {
  const double root_two_pi = 2.5066282746310002;
  double sum = 0;
  for (int i = 0; i < d->at_count; ++i) {
    const double z = (x - level.signal * d->at[i]) / level.noise;
    sum += exp(-0.5 * z * z) / (root_two_pi * level.noise);
  }
  return sum / d->at_count;
}

static dpc_plot_axis value_axis(const dpc_diffuse* d, const char* label) {
  dpc_plot_axis axis = {.label = label, .first = -3.5, .last = 3.5};
  for (int i = 0; i < d->at_count; ++i) {
    axis.first = fmin(axis.first, d->at[i] - 1);
    axis.last = fmax(axis.last, d->at[i] + 1);
  }
  return axis;
}

// Every 20th step of the textbook's thousand; about fifty densities of any other number.
static int fan_every(int steps) {
  return steps >= 1000 ? steps / 1000 * FAN_EVERY : (steps + 49) / 50;
}

static void draw_fan(const dpc_diffuse* d, dpc_plot* plot, const dpc_plot_panel* panel) {
  const int steps = d->schedule->def.steps;
  const int every = fan_every(steps) * (d->at_count > 1 ? 2 : 1);
  dpc_plot_panel_begin(plot, panel);
  for (int t = every; t <= steps; t += every) {
    double x[FAN_POINTS], y[FAN_POINTS];
    char name[32];
    const dpc_noise_level level = dpc_diffuse_level(d->schedule, t);
    const dpc_plot_style style = style_at((double)t / steps);
    for (int i = 0; i < FAN_POINTS; ++i) {
      x[i] = panel->x.first + (panel->x.last - panel->x.first) * i / (FAN_POINTS - 1);
      y[i] = density(d, level, x[i]);
    }
    (void)snprintf(name, sizeof name, "t = %d", t);
    dpc_plot_line(plot, name, &style, FAN_POINTS, x, y);
  }
  for (int i = 0; i <= 4; ++i) {
    char name[32];
    const int t = i == 0 ? every : steps * i / 4;
    dpc_plot_style style = style_at((double)t / steps);
    style.width = 2.5;
    (void)snprintf(name, sizeof name, "t = %d", t);
    dpc_plot_legend(plot, 24 + 78.0 * i, LEGEND_TOP, 0, &style, false, name);
  }
}

// --- random walks ---------------------------------------------------------------------------------

// One step at a time, as training would not do it: x_t = sqrt(1 - b) x_{t-1} + sqrt(b) e. A flow has no
// such steps; there the same noise is used all the way.
static double walk_on(const dpc_schedule* schedule, int t, double x, double start, float noise,
                      float first) {
  if (schedule->def.kind == DPC_SCHEDULE_FLOW) {
    const dpc_noise_level level = dpc_schedule_level(schedule, t);
    return level.signal * start + level.noise * (double)first;
  }
  const double beta = schedule->beta[t - 1];
  return sqrt(1 - beta) * x + sqrt(beta) * (double)noise;
}

static dpc_status draw_walk(dpc_diffuse* d, dpc_plot* plot, int walk, dpc_error* error) {
  const int steps = d->schedule->def.steps;
  const double start = d->at[walk % d->at_count];
  double* t = DPC_TAKE(&d->arena, double, steps + 1);
  double* x = DPC_TAKE(&d->arena, double, steps + 1);
  float* noise = DPC_TAKE(&d->arena, float, steps);
  if (t == NULL || x == NULL || noise == NULL) return dpc_arena_full(&d->arena, "a walk", error);
  dpc_rng_normal((dpc_rng_key){0, 0}, DPC_STREAM_TRAIN_NOISE, (uint32_t)walk, 0, steps, noise);
  x[0] = start;
  for (int i = 1; i <= steps; ++i) {
    t[i] = i;
    x[i] = walk_on(d->schedule, i, x[i - 1], start, noise[i - 1], noise[0]);
  }
  const dpc_plot_style style = {.color = DPC_PLOT_GREY, .width = 0.7};
  // every few steps, which is finer than a pixel
  const int every = (steps + 99) / 100;
  int count = 0;
  for (int i = 0; i <= steps; i += every, ++count) {
    t[count] = t[i];
    x[count] = x[i];
  }
  char name[32];
  (void)snprintf(name, sizeof name, "walk %d", walk + 1);
  dpc_plot_line(plot, name, &style, count, t, x);
  return DPC_OK;
}

// Mean, and two standard deviations to both sides.
static void draw_band(const dpc_diffuse* d, dpc_plot* plot, double start) {
  const int steps = d->schedule->def.steps;
  double t[BAND_POINTS], y[2 * SIGMAS + 1][BAND_POINTS];
  for (int i = 0; i < BAND_POINTS; ++i) {
    t[i] = (int)((long)steps * i / (BAND_POINTS - 1));
    const dpc_noise_level level = dpc_diffuse_level(d->schedule, t[i]);
    for (int k = -SIGMAS; k <= SIGMAS; ++k) {
      y[k + SIGMAS][i] = level.signal * start + k * level.noise;
    }
  }
  const dpc_plot_style mean = {.color = DPC_PLOT_BLUE, .width = 2.2};
  const dpc_plot_style edge = {.color = DPC_PLOT_ORANGE, .width = 1.6, .dash = 5};
  dpc_plot_line(plot, "mean", &mean, BAND_POINTS, t, y[SIGMAS]);
  dpc_plot_line(plot, "mean - 2 sigma", &edge, BAND_POINTS, t, y[0]);
  dpc_plot_line(plot, "mean + 2 sigma", &edge, BAND_POINTS, t, y[2 * SIGMAS]);
}

static dpc_status draw_walks(dpc_diffuse* d, dpc_plot* plot, const dpc_plot_panel* panel,
                             dpc_error* error) {
  dpc_plot_panel_begin(plot, panel);
  for (int i = 0; i < WALKS; ++i) DPC_TRY(draw_walk(d, plot, i, error));
  for (int i = 0; i < d->at_count; ++i) draw_band(d, plot, d->at[i]);
  static const dpc_plot_style key[] = {{.color = {0.043, 0.400, 0.690}, .width = 2.2},
                                       {.color = {0.878, 0.486, 0.043}, .dash = 5},
                                       {.color = {0.549, 0.561, 0.580}, .width = 0.8}};
  static const char* const words[] = {"mean", "mean \u00b1 2\u03c3", "random walks"};
  static const double lefts[] = {14, 92, 198};
  for (int i = 0; i < 3; ++i) {
    dpc_plot_legend(plot, panel->left + lefts[i], LEGEND_TOP, 0, &key[i], false, words[i]);
  }
  return DPC_OK;
}

dpc_status dpc_diffuse_point(dpc_diffuse* d, const char* path, dpc_error* error) {
  dpc_plot* plot = NULL;
  DPC_TRY(dpc_plot_create(path, DPC_DIFFUSE_WIDTH, 400, &plot, error));
  const dpc_plot_panel fan = {.title = "Where the noisy value may be",
                              .left = 58,
                              .top = 32,
                              .width = 320,
                              .height = 300,
                              .x = value_axis(d, "noisy value x\u209c (normalised)"),
                              .y = {.label = "probability density", .last = DENSITY_MAX}};
  const dpc_plot_panel walks = {.title = "How it gets there, step by step",
                                .left = 450,
                                .top = 32,
                                .width = 330,
                                .height = 300,
                                .x = {.label = "timestep t", .last = d->schedule->def.steps},
                                .y = value_axis(d, "noisy value x\u209c (normalised)")};
  draw_fan(d, plot, &fan);
  const dpc_status status = draw_walks(d, plot, &walks, error);
  if (status == DPC_OK) return dpc_diffuse_finish(plot, error);
  dpc_plot_destroy(plot);
  return status;
}

// --- points of a plane ----------------------------------------------------------------------------

enum { OUTLINE = 120, MOMENTS = 6 };

// Evenly along the block's outline, brought to about unit range; the bar's points come first.
static int trace_outline(double points[OUTLINE][2]) {
  static const double corners[][2] = {{-15, 30}, {-60, 30}, {-60, 0},   {60, 0},  {60, 30},
                                      {15, 30},  {15, 120}, {-15, 120}, {-15, 30}};
  const double spacing = 480.0 / OUTLINE;  // px; the outline is that long
  double done = 0;
  int count = 0, bar = 0;
  for (int i = 0; i + 1 < DPC_COUNT(corners); ++i) {
    const double *a = corners[i], *b = corners[i + 1];
    const double length = hypot(b[0] - a[0], b[1] - a[1]);
    if (i < 5) bar = count;
    for (; count < OUTLINE && count * spacing < done + length - 1e-9; ++count) {
      const double share = (count * spacing - done) / length;
      points[count][0] = (a[0] + share * (b[0] - a[0])) / 60;
      points[count][1] = 1 - (a[1] + share * (b[1] - a[1])) / 60;
    }
    done += length;
    if (i < 5) bar = count;
  }
  return bar;
}

static void draw_moment(const dpc_diffuse* d, dpc_plot* plot, int moment, const float* noise) {
  static const double shares[MOMENTS] = {0, 0.05, 0.1, 0.2, 0.4, 1};
  const int t = (int)(shares[moment] * d->schedule->def.steps), column = moment % 3;
  const dpc_noise_level level = dpc_diffuse_level(d->schedule, t);
  char title[64];
  (void)snprintf(title, sizeof title, "t = %d", t);
  dpc_plot_panel_begin(
      plot, &(dpc_plot_panel){
                .title = title,
                .left = 50 + 254.0 * column,
                .top = 30 + 264.0 * (moment / 3),
                .width = 226,
                .height = 226,
                .x = {.label = "x (normalised)", .first = -3, .last = 3, .bare = moment < 3},
                .y = {.label = "y (normalised)", .first = -3, .last = 3, .bare = column > 0}});
  double clean[OUTLINE][2], x[OUTLINE], y[OUTLINE];
  const int bar = trace_outline(clean);
  for (int i = 0; i < OUTLINE; ++i) {
    x[i] = level.signal * clean[i][0] + level.noise * (double)noise[2 * i];
    y[i] = level.signal * clean[i][1] + level.noise * (double)noise[2 * i + 1];
  }
  const dpc_plot_style style[] = {{.color = DPC_PLOT_BLUE, .width = 2},
                                  {.color = DPC_PLOT_ORANGE, .width = 2}};
  dpc_plot_dots(plot, "bar", &style[0], bar, x, y);
  dpc_plot_dots(plot, "stem", &style[1], OUTLINE - bar, x + bar, y + bar);
}

dpc_status dpc_diffuse_plane(dpc_diffuse* d, const char* path, dpc_error* error) {
  dpc_plot* plot = NULL;
  float noise[2 * OUTLINE];
  DPC_TRY(dpc_plot_create(path, DPC_DIFFUSE_WIDTH, 564, &plot, error));
  dpc_rng_normal((dpc_rng_key){0, 1}, DPC_STREAM_TRAIN_NOISE, 0, 0, 2 * OUTLINE, noise);
  for (int moment = 0; moment < MOMENTS; ++moment) draw_moment(d, plot, moment, noise);
  return dpc_diffuse_finish(plot, error);
}
