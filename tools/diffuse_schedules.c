// Schedules beside each other, and data that are not normalised.

#include <math.h>
#include <string.h>

#include "policy/schedule_end.h"
#include "tools/diffuse.h"

enum { CURVE_POINTS = 151, WALKS = 4000, DOTS = 16, CURVES_MAX = 6 };

// --- mean and variance over t ---------------------------------------------------------------------

static const double LEGEND_LEFT = 58, LEGEND_TOP = 352, LEGEND_COLUMN = 270;  // px

typedef struct curve {
  const char* name;
  dpc_schedule_def def;
  dpc_color color;
} curve;

static bool is_same(const dpc_schedule_def* a, const dpc_schedule_def* b) {
  return a->kind == b->kind && a->steps == b->steps && a->beta_start == b->beta_start &&
         a->beta_end == b->beta_end;
}

// The textbook's, and what goes wrong around it.
static int list_curves(const dpc_diffuse* d, curve* curves) {
  const curve usual[CURVES_MAX] = {
      {"linear, T = 1000, \u03b2 = 0.0001 to 0.02",
       {DPC_SCHEDULE_LINEAR, 1000, 1e-4, 0.02, 0},
       DPC_PLOT_BLUE},
      {"more steps: T = 1500", {DPC_SCHEDULE_LINEAR, 1500, 1e-4, 0.02, 0}, DPC_PLOT_PURPLE},
      {"too few steps: T = 100", {DPC_SCHEDULE_LINEAR, 100, 1e-4, 0.02, 0}, DPC_PLOT_RED},
      {"\u03b2 too large: 0.001 to 0.2",
       {DPC_SCHEDULE_LINEAR, 1000, 1e-3, 0.2, 0},
       DPC_PLOT_ORANGE},
      {"squaredcos, T = 1000",
       {DPC_SCHEDULE_SQUAREDCOS_CAP_V2, 1000, 1e-4, 0.02, 0},
       DPC_PLOT_GREEN},
      {"squaredcos, T = 100", {DPC_SCHEDULE_SQUAREDCOS_CAP_V2, 100, 1e-4, 0.02, 0}, DPC_PLOT_GREY}};
  const dpc_schedule_def* def = &d->schedule->def;
  const bool asked = !is_same(def, &usual[0].def);
  if (asked) curves[0] = (curve){"the schedule given", *def, DPC_PLOT_INK};
  memcpy(curves + (asked ? 1 : 0), usual, sizeof usual);
  return CURVES_MAX + (asked ? 1 : 0);
}

// Mean factor and variance, by the closed form or measured on walks that began at 1.
typedef struct moments {
  int count;
  double *t, *mean, *variance;
} moments;

static dpc_status take_moments(dpc_diffuse* d, int count, moments* m, dpc_error* error) {
  *m = (moments){count, DPC_TAKE(&d->arena, double, count), DPC_TAKE(&d->arena, double, count),
                 DPC_TAKE(&d->arena, double, count)};
  if (m->variance == NULL) return dpc_arena_full(&d->arena, "a curve", error);
  return DPC_OK;
}

static void fill_closed_form(const dpc_schedule* schedule, moments* m) {
  for (int i = 0; i < m->count; ++i) {
    m->t[i] = (int)((long)schedule->def.steps * i / (m->count - 1));
    const dpc_noise_level level = dpc_diffuse_level(schedule, m->t[i]);
    m->mean[i] = level.signal;
    m->variance[i] = level.noise * level.noise;
  }
}

static void measure(const float* walks, double* mean, double* variance) {
  *mean = *variance = 0;
  for (int i = 0; i < WALKS; ++i) *mean += (double)walks[i] / WALKS;
  for (int i = 0; i < WALKS; ++i) {
    *variance += ((double)walks[i] - *mean) * ((double)walks[i] - *mean) / (WALKS - 1);
  }
}

// Step by step, as if there were no closed form.
static void fill_walks(const dpc_schedule* schedule, int curve_number, moments* m) {
  float walks[WALKS], noise[WALKS];
  for (int i = 0; i < WALKS; ++i) walks[i] = 1;
  m->count = 0;
  for (int t = 1; t <= schedule->def.steps; ++t) {
    const double beta = schedule->beta[t - 1];
    const dpc_noise_level step = {sqrt(1 - beta), sqrt(beta)};
    dpc_rng_normal((dpc_rng_key){1, (uint32_t)curve_number}, DPC_STREAM_TRAIN_NOISE, 0, (uint32_t)t,
                   WALKS, noise);
    dpc_schedule_add_noise(step, walks, noise, WALKS, walks);
    if (t != schedule->def.steps * (m->count + 1) / DOTS) continue;
    m->t[m->count] = t;
    measure(walks, &m->mean[m->count], &m->variance[m->count]);
    ++m->count;
  }
}

static void draw_pair(dpc_plot* plot, const dpc_plot_panel* panel, const char* name,
                      dpc_color color, bool is_mean, const moments* closed, const moments* walks) {
  const dpc_plot_style line = {.color = color, .width = 1.8};
  const dpc_plot_style dot = {.color = color, .width = 2.4};
  char series[96];
  dpc_plot_panel_resume(plot, panel);
  dpc_plot_line(plot, name, &line, closed->count, closed->t,
                is_mean ? closed->mean : closed->variance);
  (void)snprintf(series, sizeof series, "%s, simulated", name);
  dpc_plot_dots(plot, series, &dot, walks->count, walks->t,
                is_mean ? walks->mean : walks->variance);
}

static dpc_status draw_curve(dpc_diffuse* d, dpc_plot* plot, const dpc_plot_panel panels[2],
                             const curve* c, int number, dpc_error* error) {
  moments closed, walks;
  dpc_schedule* schedule = NULL;
  DPC_TRY(dpc_schedule_create(&c->def, &d->arena, &schedule, error));
  DPC_TRY(take_moments(d, CURVE_POINTS, &closed, error));
  DPC_TRY(take_moments(d, DOTS + 1, &walks, error));
  fill_closed_form(schedule, &closed);
  walks.count = 0;
  if (c->def.kind != DPC_SCHEDULE_FLOW) fill_walks(schedule, number, &walks);
  draw_pair(plot, &panels[0], c->name, c->color, true, &closed, &walks);
  draw_pair(plot, &panels[1], c->name, c->color, false, &closed, &walks);
  const dpc_plot_style key = {.color = c->color, .width = 2.4};
  dpc_plot_legend(plot, LEGEND_LEFT + LEGEND_COLUMN * (number % 3), LEGEND_TOP, number / 3, &key,
                  false, c->name);
  return DPC_OK;
}

static void explain(dpc_plot* plot, int row) {
  const dpc_plot_style line = {.color = DPC_PLOT_INK, .width = 1.8};
  const dpc_plot_style dot = {.color = DPC_PLOT_INK, .width = 2.4};
  dpc_plot_legend(plot, LEGEND_LEFT, LEGEND_TOP, row, &line, false, "closed form");
  dpc_plot_legend(plot, LEGEND_LEFT + LEGEND_COLUMN, LEGEND_TOP, row, &dot, true,
                  "4000 random walks, step by step");
}

static dpc_status draw_curves(dpc_diffuse* d, dpc_plot* plot, const dpc_plot_panel panels[2],
                              dpc_error* error) {
  curve curves[CURVES_MAX + 1];
  const int count = list_curves(d, curves);
  for (int i = 0; i < count; ++i) DPC_TRY(draw_curve(d, plot, panels, &curves[i], i, error));
  explain(plot, (count + 2) / 3);
  return DPC_OK;
}

static double longest(const dpc_diffuse* d) {
  return fmax(1500, d->schedule->def.steps);
}

dpc_status dpc_diffuse_schedules(dpc_diffuse* d, const char* path, dpc_error* error) {
  dpc_plot* plot = NULL;
  const dpc_plot_panel panels[2] = {
      {.title = "What is left of the data: mean factor \u221aA\u209c",
       .left = 58,
       .top = 32,
       .width = 325,
       .height = 260,
       .x = {.label = "timestep t", .last = longest(d)},
       .y = {.label = "mean of x\u209c, for x\u2080 = 1", .last = 1.05}},
      {.title = "How much noise there is: variance 1 \u2212 A\u209c",
       .left = 455,
       .top = 32,
       .width = 325,
       .height = 260,
       .x = {.label = "timestep t", .last = longest(d)},
       .y = {.label = "variance of x\u209c", .last = 1.2}}};
  DPC_TRY(dpc_plot_create(path, DPC_DIFFUSE_WIDTH, 420, &plot, error));
  dpc_plot_panel_begin(plot, &panels[0]);
  dpc_plot_panel_begin(plot, &panels[1]);
  const dpc_status status = draw_curves(d, plot, panels, error);
  if (status == DPC_OK) return dpc_diffuse_finish(plot, error);
  dpc_plot_destroy(plot);
  return status;
}

// --- data that are not normalised -----------------------------------------------------------------

typedef struct data_set {
  const char* title;
  double mean, deviation;
} data_set;

static const data_set data_sets[] = {{"normalised: 0 \u00b1 0.5", 0, 0.5},
                                     {"centred, not scaled: 0 \u00b1 100 px", 0, 100},
                                     {"as recorded: 256 \u00b1 100 px", 256, 100}};

// Mean and two deviations of x_t; a Gaussian plus noise is a Gaussian.
static void draw_way(const dpc_diffuse* d, dpc_plot* plot, const data_set* data) {
  double t[CURVE_POINTS], low[CURVE_POINTS], mean[CURVE_POINTS], high[CURVE_POINTS];
  for (int i = 0; i < CURVE_POINTS; ++i) {
    t[i] = (int)((long)d->schedule->def.steps * i / (CURVE_POINTS - 1));
    const dpc_noise_level level = dpc_diffuse_level(d->schedule, t[i]);
    const double deviation = hypot(level.signal * data->deviation, level.noise);
    mean[i] = level.signal * data->mean;
    low[i] = mean[i] - 2 * deviation;
    high[i] = mean[i] + 2 * deviation;
  }
  const dpc_plot_style line = {.color = DPC_PLOT_BLUE, .width = 2.2};
  const dpc_plot_style edge = {.color = DPC_PLOT_BLUE, .width = 1.4, .dash = 5};
  dpc_plot_line(plot, "mean", &line, CURVE_POINTS, t, mean);
  dpc_plot_line(plot, "mean - 2 sigma", &edge, CURVE_POINTS, t, low);
  dpc_plot_line(plot, "mean + 2 sigma", &edge, CURVE_POINTS, t, high);
}

static void fill_gaussian(double mean, double deviation, double* x, double* y) {
  for (int i = 0; i < CURVE_POINTS; ++i) {
    x[i] = -4 + 8.0 * i / (CURVE_POINTS - 1);
    const double z = (x[i] - mean) / deviation;
    y[i] = 0.3989422804014327 / deviation * exp(-0.5 * z * z);
  }
}

static void draw_end(const dpc_diffuse* d, dpc_plot* plot, const data_set* data) {
  double x[CURVE_POINTS], y[CURVE_POINTS];
  const dpc_noise_level level = dpc_diffuse_level(d->schedule, d->schedule->def.steps);
  const dpc_plot_style unit = {.color = DPC_PLOT_GREY, .opacity = 0.35};
  const dpc_plot_style end = {.color = DPC_PLOT_ORANGE, .width = 2.2};
  fill_gaussian(0, 1, x, y);
  dpc_plot_area(plot, &unit, 0, CURVE_POINTS, x, y);
  fill_gaussian(level.signal * data->mean, hypot(level.signal * data->deviation, level.noise), x,
                y);
  dpc_plot_line(plot, "density at the end", &end, CURVE_POINTS, x, y);
}

static void draw_data_set(const dpc_diffuse* d, dpc_plot* plot, int column) {
  const data_set* data = &data_sets[column];
  const double left = 62 + 254.0 * column;
  const double reach = column == 0 ? 3 : 500;
  dpc_plot_panel_begin(
      plot, &(dpc_plot_panel){.title = data->title,
                              .left = left,
                              .top = 32,
                              .width = 200,
                              .height = 170,
                              .x = {.label = "timestep t", .last = d->schedule->def.steps},
                              .y = {.label = column == 0 ? "x\u209c, mean \u00b1 2\u03c3" : "",
                                    .first = -reach,
                                    .last = reach}});
  draw_way(d, plot, data);
  char title[64];
  const dpc_noise_level level = dpc_diffuse_level(d->schedule, d->schedule->def.steps);
  const double deviation = hypot(level.signal * data->deviation, level.noise);
  (void)snprintf(title, sizeof title, "its end: mean %.2f, variance %.2f",
                 level.signal * data->mean, deviation * deviation);
  dpc_plot_panel_begin(plot,
                       &(dpc_plot_panel){.title = title,
                                         .left = left,
                                         .top = 282,
                                         .width = 200,
                                         .height = 150,
                                         .x = {.label = "x\u209c at t = T", .first = -4, .last = 4},
                                         .y = {.label = column == 0 ? "probability density" : "",
                                               .last = 0.5,
                                               .bare = column > 0}});
  draw_end(d, plot, data);
}

dpc_status dpc_diffuse_centred(dpc_diffuse* d, const char* path, dpc_error* error) {
  dpc_plot* plot = NULL;
  DPC_TRY(dpc_plot_create(path, DPC_DIFFUSE_WIDTH, 504, &plot, error));
  for (int column = 0; column < DPC_COUNT(data_sets); ++column) draw_data_set(d, plot, column);
  const dpc_plot_style end = {.color = DPC_PLOT_ORANGE, .width = 2.2};
  const dpc_plot_style unit = {.color = DPC_PLOT_GREY, .opacity = 0.35, .width = 7};
  dpc_plot_legend(plot, 200, 488, 0, &end, false, "where training ends");
  dpc_plot_legend(plot, 400, 488, 0, &unit, false, "where sampling begins: the unit Gaussian");
  return dpc_diffuse_finish(plot, error);
}
