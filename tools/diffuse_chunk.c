// The forward process of what a policy learns to make: an action chunk of an episode log.

#include <math.h>
#include <string.h>

#include "sim/push_task.h"
#include "tools/diffuse.h"
#include "tools/episodes.h"

enum { ROWS = 16, MOMENTS = 6, DIM_MAX = 64 };

static const double shares[MOMENTS] = {0, 0.05, 0.1, 0.2, 0.4, 1};

typedef struct noisy_chunk {
  int dim;
  dpc_normalizer normalizer;  // of all actions of the log
  float clean[ROWS * DIM_MAX], noise[ROWS * DIM_MAX];
  bool has_world;
  dpc_render_frame frame;
} noisy_chunk;

// --- reading --------------------------------------------------------------------------------------

// Our own names, or the public demonstrations' "state". False when it is not of the push world.
static bool read_world(const dpc_interface* interface, const float* obs, dpc_push_state* state) {
  const dpc_layout* layout = &interface->obs;
  int agent = 0, block = 0, angle = 0;
  if (dpc_layout_dim(&interface->action) != DPC_PUSH_ACTION_DIM) return false;
  if (dpc_layout_find(layout, "state", &agent) != NULL) {
    if (dpc_layout_find(layout, "state", NULL)->dim != 5) return false;
    block = agent + 2;
    angle = agent + 4;
  } else if (dpc_layout_find(layout, "agent_pos", &agent) == NULL ||
             dpc_layout_find(layout, "block_pos", &block) == NULL ||
             dpc_layout_find(layout, "block_angle", &angle) == NULL) {
    return false;
  }
  *state = (dpc_push_state){(double)obs[agent], (double)obs[agent + 1], (double)obs[block],
                            (double)obs[block + 1], (double)obs[angle]};
  return true;
}

static dpc_status check_chunk(const dpc_diffuse* d, const dpc_episode_source* source,
                              dpc_error* error) {
  if (d->episode >= source->episode_count) {
    return dpc_fail(error, DPC_ERR_CONFIG, "--episode %d: %s has %d", d->episode, d->log,
                    source->episode_count);
  }
  const int length = source->lengths[d->episode];
  if (d->row + ROWS > length) {
    return dpc_fail(error, DPC_ERR_CONFIG, "--row %d: a chunk is %d steps, and episode %d has %d",
                    d->row, ROWS, d->episode, length);
  }
  if (source->action_dim <= DIM_MAX) return DPC_OK;
  return dpc_fail(error, DPC_ERR_UNSUPPORTED, "%s: actions of dim %d; up to %d are drawn", d->log,
                  source->action_dim, DIM_MAX);
}

static dpc_status read_chunk(dpc_diffuse* d, const dpc_episode_source* source, noisy_chunk* c,
                             dpc_error* error) {
  DPC_TRY(check_chunk(d, source, error));
  int rows = 0, first = 0;
  for (int i = 0; i < source->episode_count; ++i) {
    if (i == d->episode) first = rows + d->row;
    rows += source->lengths[i];
  }
  c->dim = source->action_dim;
  DPC_TRY(dpc_normalizer_fit(DPC_NORMALIZER_LIMITS, source->action, rows, c->dim, &d->arena,
                             &c->normalizer, error));
  const float* action = source->action + (size_t)first * (size_t)c->dim;
  const float* obs = source->obs + (size_t)first * (size_t)source->obs_dim;
  dpc_normalizer_apply(&c->normalizer, action, ROWS, c->clean);
  dpc_rng_normal((dpc_rng_key){0, 2}, DPC_STREAM_TRAIN_NOISE, 0, 0, ROWS * c->dim, c->noise);
  c->frame.time_s = -1;
  c->has_world = read_world(&source->interface, obs, &c->frame.state);
  return DPC_OK;
}

static dpc_status load_chunk(dpc_diffuse* d, noisy_chunk* c, dpc_error* error) {
  dpc_episode_source source = {0};
  DPC_TRY(dpc_episodes_load(d->log, &source, error));
  const dpc_status status = read_chunk(d, &source, c, error);
  dpc_episodes_free(&source);
  return status;
}

// --- drawing --------------------------------------------------------------------------------------

void dpc_diffuse_draw_chunk(dpc_plot* plot, int rows, const float* chunk) {
  double x[DPC_DIFFUSE_ROWS_MAX] = {0}, y[DPC_DIFFUSE_ROWS_MAX] = {0};
  DPC_ASSERT(rows >= 1 && rows <= DPC_DIFFUSE_ROWS_MAX);
  for (int i = 0; i < rows; ++i) {
    x[i] = (double)chunk[2 * i];
    y[i] = (double)chunk[2 * i + 1];
  }
  const dpc_plot_style line = {.color = DPC_PLOT_INK, .width = 1, .opacity = 0.6};
  dpc_plot_line(plot, "chunk", &line, rows, x, y);
  const dpc_plot_style dots = {.color = DPC_PLOT_BLUE, .width = 2.6};
  dpc_plot_shaded_dots(plot, "row", &dots, DPC_PLOT_ORANGE, rows, x, y);
}

void dpc_diffuse_explain_chunk(dpc_plot* plot, double left, double top, bool in_a_row) {
  static const char* const words[] = {"first row of the chunk", "last row", "agent"};
  static const double lefts[] = {0, 180, 270};
  const dpc_plot_style key[] = {{.color = DPC_PLOT_BLUE, .width = 3},
                                {.color = DPC_PLOT_ORANGE, .width = 3},
                                {.color = {0.231, 0.482, 0.875}, .width = 6}};
  for (int i = 0; i < DPC_COUNT(key); ++i) {
    dpc_plot_legend(plot, left + (in_a_row ? lefts[i] : 0), top, in_a_row ? 0 : i, &key[i], true,
                    words[i]);
  }
}

static void draw_over_world(dpc_plot* plot, const noisy_chunk* c, const float* noisy, int moment,
                            const char* title) {
  float physical[ROWS * DIM_MAX];
  dpc_normalizer_invert(&c->normalizer, noisy, ROWS, physical);
  dpc_plot_world_begin(plot, title, 52 + 252.0 * (moment % 3), 30 + 264.0 * (moment / 3), 226,
                       moment != 3, &c->frame);
  dpc_diffuse_draw_chunk(plot, ROWS, physical);
}

static void draw_over_time(dpc_plot* plot, const noisy_chunk* c, const float* noisy, int moment,
                           const char* title) {
  const int column = moment % 3;
  dpc_plot_panel_begin(
      plot, &(dpc_plot_panel){
                .title = title,
                .left = 52 + 252.0 * column,
                .top = 30 + 264.0 * (moment / 3),
                .width = 226,
                .height = 226,
                .x = {.label = "row of the chunk", .last = ROWS - 1, .bare = moment < 3},
                .y = {.label = "action (normalised)", .first = -3, .last = 3, .bare = column > 0}});
  for (int dim = 0; dim < c->dim; ++dim) {
    double x[ROWS], y[ROWS];
    char name[32];
    const double share = c->dim == 1 ? 0 : (double)dim / (c->dim - 1);
    const dpc_plot_style style = {.color = dpc_plot_blend(DPC_PLOT_BLUE, DPC_PLOT_ORANGE, share)};
    for (int i = 0; i < ROWS; ++i) {
      x[i] = i;
      y[i] = (double)noisy[i * c->dim + dim];
    }
    (void)snprintf(name, sizeof name, "value %d", dim);
    dpc_plot_line(plot, name, &style, ROWS, x, y);
  }
}

dpc_status dpc_diffuse_chunk(dpc_diffuse* d, const char* path, dpc_error* error) {
  noisy_chunk c = {0};
  dpc_plot* plot = NULL;
  DPC_TRY(load_chunk(d, &c, error));
  DPC_TRY(dpc_plot_create(path, DPC_DIFFUSE_WIDTH, 570, &plot, error));
  for (int moment = 0; moment < MOMENTS; ++moment) {
    const int t = (int)(shares[moment] * d->schedule->def.steps);
    float noisy[ROWS * DIM_MAX];
    char title[64];
    dpc_schedule_add_noise(dpc_diffuse_level(d->schedule, t), c.clean, c.noise, ROWS * c.dim,
                           noisy);
    (void)snprintf(title, sizeof title, "t = %d", t);
    if (c.has_world) {
      draw_over_world(plot, &c, noisy, moment, title);
    } else {
      draw_over_time(plot, &c, noisy, moment, title);
    }
  }
  if (c.has_world) dpc_diffuse_explain_chunk(plot, 306, 556, true);
  return dpc_diffuse_finish(plot, error);
}
