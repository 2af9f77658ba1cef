// The way back, on data so simple that the best prediction is a formula: the samplers are seen alone,
// without what a network does not know.

#include <math.h>
#include <string.h>

#include "tools/diffuse.h"

// Two clusters: a robot that may pass on either side of something.
enum { CLUSTERS = 2, WAYS = 20, STEPS_MAX = 100 };

static const double centre[CLUSTERS] = {-0.8, 0.6}, share[CLUSTERS] = {0.4, 0.6}, DEVIATION = 0.06;

typedef struct side {
  const char* title;
  dpc_schedule_def schedule;
  dpc_sampler_def sampler;
} side;

static const dpc_schedule_def COSINE = {DPC_SCHEDULE_SQUAREDCOS_CAP_V2, 100, 1e-4, 0.02,
                                        DPC_PREDICT_EPSILON};
static const dpc_schedule_def FLOW = {DPC_SCHEDULE_FLOW, 100, 1e-4, 0.02, DPC_PREDICT_VELOCITY};

// What of x is expected to be clean: of each cluster, by how likely it is to be the one.
static double expect_clean(dpc_noise_level level, double x) {
  const double variance =
      level.signal * level.signal * DEVIATION * DEVIATION + level.noise * level.noise;
  double exponent[CLUSTERS], sum = 0, clean = 0, most = -INFINITY;
  for (int k = 0; k < CLUSTERS; ++k) {
    const double off = x - level.signal * centre[k];
    exponent[k] = log(share[k]) - 0.5 * off * off / variance;
    most = fmax(most, exponent[k]);
  }
  for (int k = 0; k < CLUSTERS; ++k) {
    const double weight = exp(exponent[k] - most), off = x - level.signal * centre[k];
    sum += weight;
    clean += weight * (centre[k] + level.signal * DEVIATION * DEVIATION * off / variance);
  }
  return clean / sum;
}

// What a perfect network would answer.
static float predict(const dpc_schedule* schedule, double t, double x) {
  const dpc_noise_level level = dpc_schedule_level(schedule, t);
  const double clean = expect_clean(level, x), epsilon = (x - level.signal * clean) / level.noise;
  return (float)(schedule->def.kind == DPC_SCHEDULE_FLOW ? clean - epsilon : epsilon);
}

static void sample(const dpc_schedule* schedule, const dpc_sampler* sampler, int way, double* x) {
  const dpc_rng_key key = {4, (uint32_t)way};
  float now, memory;
  dpc_rng_normal(key, DPC_STREAM_POLICY_NOISE, 0, 0, 1, &now);
  dpc_sampler_begin(sampler, 1, &now, &memory);
  x[0] = (double)now;
  for (int i = 0; i < dpc_sampler_steps(sampler); ++i) {
    float noise;
    const float prediction = predict(schedule, (double)dpc_sampler_timestep(sampler, i), x[i]);
    dpc_rng_normal(key, DPC_STREAM_POLICY_NOISE, 0, (uint32_t)i + 1, 1, &noise);
    dpc_sampler_step(sampler, i, &prediction, &noise, 1, &now, &memory);
    x[i + 1] = (double)now;
  }
}

static void draw_way(dpc_plot* plot, const dpc_schedule* schedule, const dpc_sampler* sampler,
                     int way) {
  double step[STEPS_MAX + 1], x[STEPS_MAX + 1];
  char name[32];
  const int count = dpc_sampler_steps(sampler);
  for (int i = 0; i <= count; ++i) step[i] = i;
  sample(schedule, sampler, way, x);
  const dpc_plot_style line = {
      .color = x[count] < 0 ? DPC_PLOT_BLUE : DPC_PLOT_ORANGE, .width = 0.9, .opacity = 0.75};
  (void)snprintf(name, sizeof name, "way %d", way + 1);
  dpc_plot_line(plot, name, &line, count + 1, step, x);
}

// The density of the data, as an area along the right edge.
static void draw_data(dpc_plot* plot, int steps, double room) {
  enum { POINTS = 161 };
  double x[POINTS], y[POINTS];
  for (int i = 0; i < POINTS; ++i) {
    y[i] = -2.6 + 5.2 * i / (POINTS - 1);
    double density = 0;
    for (int k = 0; k < CLUSTERS; ++k) {
      const double z = (y[i] - centre[k]) / DEVIATION;
      density += share[k] * exp(-0.5 * z * z);
    }
    x[i] = steps + room * density / 0.65;
  }
  const dpc_plot_style grey = {.color = DPC_PLOT_GREY, .width = 1.4};
  dpc_plot_line(plot, "data", &grey, POINTS, x, y);
}

static dpc_status draw_side(dpc_diffuse* d, dpc_plot* plot, const side* s, int number,
                            dpc_error* error) {
  dpc_schedule* schedule = NULL;
  dpc_sampler* sampler = NULL;
  DPC_TRY(dpc_schedule_create(&s->schedule, &d->arena, &schedule, error));
  DPC_TRY(dpc_sampler_create(&s->sampler, schedule, &d->arena, &sampler, error));
  const double room = 0.12 * s->sampler.steps;
  dpc_plot_panel_begin(
      plot,
      &(dpc_plot_panel){
          .title = s->title,
          .left = 56 + 380.0 * (number % 2),
          .top = 30 + 272.0 * (number / 2),
          .width = 345,
          .height = 206,
          .x = {.label = "denoising step", .last = s->sampler.steps + room, .whole = true},
          .y = {.label = number % 2 == 0 ? "x (normalised)" : "", .first = -2.6, .last = 2.6}});
  for (int way = 0; way < WAYS; ++way) draw_way(plot, schedule, sampler, way);
  draw_data(plot, s->sampler.steps, room);
  return DPC_OK;
}

static dpc_sampler_def without_clip(int kind, int steps) {
  dpc_sampler_def def = dpc_sampler_def_default();
  def.kind = kind;
  def.steps = steps;
  def.grid = DPC_GRID_TRAILING;
  def.clip = 0;
  return def;
}

dpc_status dpc_diffuse_samplers(dpc_diffuse* d, const char* path, dpc_error* error) {
  const side sides[] = {{"DDPM, 100 steps", COSINE, without_clip(DPC_SAMPLER_DDPM, 100)},
                        {"DDIM, 10 steps", COSINE, without_clip(DPC_SAMPLER_DDIM, 10)},
                        {"flow, 10 Euler steps", FLOW, without_clip(DPC_SAMPLER_DDIM, 10)},
                        {"flow, 2 Euler steps", FLOW, without_clip(DPC_SAMPLER_DDIM, 2)}};
  dpc_plot* plot = NULL;
  DPC_TRY(dpc_plot_create(path, DPC_DIFFUSE_WIDTH, 556, &plot, error));
  dpc_status status = DPC_OK;
  for (int i = 0; i < DPC_COUNT(sides) && status == DPC_OK; ++i) {
    status = draw_side(d, plot, &sides[i], i, error);
  }
  if (status == DPC_OK) return dpc_diffuse_finish(plot, error);
  dpc_plot_destroy(plot);
  return status;
}
