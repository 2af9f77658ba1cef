// The way back of a trained policy, over the push world.

#include <math.h>
#include <string.h>

#include "sim/push_task.h"
#include "tools/diffuse.h"

// A policy and the moment it looks at.
typedef struct scene {
  dpc_policy* policy;
  dpc_policy_work* work;
  dpc_push_task* task;
  int n_obs, obs_dim, horizon, size;  // size: values of a chunk
  int* gather;                        // of the world's observation, what the policy wants
  float* obs;                         // [n_obs x obs_dim], oldest row first
  float* trace;                       // [steps + 1][samples][size], px: noise, then after each step
  float* chunk;                       // [size]
  dpc_policy_query* queries;          // [samples]
} scene;

// --- the moment -----------------------------------------------------------------------------------

// What is seen now becomes the newest row; at the start it is all there is.
static void look(scene* s, bool at_start) {
  float seen[DPC_PUSH_OBS_DIM];
  const int rows = s->n_obs, dim = s->obs_dim;
  dpc_push_task_observe(s->task, seen);
  for (int row = 0; row < rows; ++row) {
    float* to = s->obs + (ptrdiff_t)row * dim;
    if (row + 1 < rows && !at_start) {
      memcpy(to, to + dim, sizeof(float) * (size_t)dim);
    } else {
      for (int i = 0; i < dim; ++i) to[i] = seen[s->gather[i]];
    }
  }
}

// The policy drives up to the plan that is asked for.
static dpc_status drive(const dpc_diffuse* d, scene* s, dpc_error* error) {
  const int n_actions = dpc_policy_info(s->policy)->policy.n_actions;
  dpc_push_task_reset(s->task, d->seed);
  look(s, true);
  for (int plan = 0; plan < d->plan; ++plan) {
    DPC_TRY(dpc_policy_act(s->policy, s->work, s->obs, (dpc_rng_key){0, d->seed}, (uint32_t)plan,
                           s->chunk, error));
    for (int i = 0; i < n_actions; ++i) {
      if (dpc_push_task_progress(s->task).done) {
        return dpc_fail(error, DPC_ERR_CONFIG, "--plan %d: the episode is over after plan %d",
                        d->plan, plan);
      }
      const float* action = s->chunk + (ptrdiff_t)2 * (s->n_obs - 1 + i);
      DPC_TRY(dpc_push_task_step(s->task, action, error));
      look(s, false);
    }
  }
  return DPC_OK;
}

static dpc_status take_memory(dpc_diffuse* d, scene* s, int samples, dpc_error* error) {
  const size_t size = (size_t)s->size, steps = (size_t)dpc_policy_steps(s->work);
  s->gather = DPC_TAKE(&d->arena, int, s->obs_dim);
  s->obs = DPC_TAKE(&d->arena, float, (size_t)s->n_obs*(size_t)s->obs_dim);
  s->chunk = DPC_TAKE(&d->arena, float, size);
  s->trace = DPC_TAKE(&d->arena, float, (steps + 1) * (size_t)samples * size);
  s->queries = DPC_TAKE(&d->arena, dpc_policy_query, samples);
  if (s->gather == NULL || s->obs == NULL || s->chunk == NULL || s->trace == NULL ||
      s->queries == NULL) {
    return dpc_arena_full(&d->arena, "a policy's plans", error);
  }
  return DPC_OK;
}

static dpc_status open_scene(dpc_diffuse* d, int samples, scene* s, dpc_error* error) {
  DPC_TRY(dpc_policy_load(d->policy, &d->arena, &s->policy, error));
  const dpc_checkpoint_info* info = dpc_policy_info(s->policy);
  const dpc_interface* world = dpc_push_task_interface();
  const dpc_status match = dpc_interface_match(&info->interface, world, error);
  if (match != DPC_OK) return dpc_fail_prefix(error, match, "%s: ", d->policy);
  dpc_sampler_def sampler = info->sampler;
  dpc_sampler_options_apply(&d->sampler, &sampler);
  DPC_TRY(dpc_policy_work_create(s->policy, &sampler, samples, &d->arena, &s->work, error));
  s->n_obs = info->policy.n_obs;
  s->obs_dim = dpc_layout_dim(&info->interface.obs);
  s->horizon = info->unet.horizon;
  s->size = s->horizon * info->unet.input_dim;
  if (s->horizon > DPC_DIFFUSE_ROWS_MAX) {
    return dpc_fail(error, DPC_ERR_UNSUPPORTED, "%s: plans of %d rows; up to %d are drawn",
                    d->policy, s->horizon, DPC_DIFFUSE_ROWS_MAX);
  }
  DPC_TRY(take_memory(d, s, samples, error));
  dpc_layout_gather(&info->interface.obs, &world->obs, s->gather);
  DPC_TRY(dpc_push_task_create(&s->task, error));
  return drive(d, s, error);
}

static void close_scene(scene* s) {
  dpc_push_task_destroy(s->task);
  dpc_policy_work_destroy(s->work);
}

// --- the plans ------------------------------------------------------------------------------------

static float* trace_at(const scene* s, int step, int samples, int sample) {
  return s->trace + ((ptrdiff_t)step * samples + sample) * s->size;
}

// Samples 0, 1, … of plan 0 in a run of their own: other noise for each.
static dpc_status plan(const dpc_diffuse* d, scene* s, int samples, dpc_error* error) {
  for (int i = 0; i < samples; ++i) {
    s->queries[i] =
        (dpc_policy_query){.obs = s->obs, .key = {(uint32_t)i, d->seed}, .plan = (uint32_t)d->plan};
  }
  DPC_TRY(dpc_policy_begin(s->policy, s->work, samples, s->queries, error));
  for (int step = 0; step <= dpc_policy_steps(s->work); ++step) {
    if (step > 0) dpc_policy_denoise(s->policy, s->work, step - 1);
    for (int i = 0; i < samples; ++i) s->queries[i].chunk = trace_at(s, step, samples, i);
    DPC_TRY(dpc_policy_finish(s->policy, s->work, s->queries, error));
  }
  return DPC_OK;
}

static dpc_render_frame frame_of(const scene* s) {
  return (dpc_render_frame){.state = dpc_push_task_state(s->task), .time_s = -1};
}

static void title_of(int step, int steps, char title[48]) {
  if (step == 0) {
    (void)snprintf(title, 48, "noise");
  } else {
    (void)snprintf(title, 48, step == steps ? "after step %d: the plan" : "after step %d", step);
  }
}

// --- one plan, step by step -----------------------------------------------------------------------

enum { PANELS = 12, PER_ROW = 4 };

static dpc_status draw_steps(const dpc_diffuse* d, const scene* s, const char* path,
                             dpc_error* error) {
  (void)d;
  dpc_plot* plot = NULL;
  const int steps = dpc_policy_steps(s->work);
  const int panels = steps + 1 < PANELS ? steps + 1 : PANELS;
  const dpc_render_frame frame = frame_of(s);
  const int rows = (panels + PER_ROW - 1) / PER_ROW;
  DPC_TRY(dpc_plot_create(path, DPC_DIFFUSE_WIDTH, 30 + 196 * rows + 22, &plot, error));
  for (int i = 0; i < panels; ++i) {
    const int step = panels == 1 ? 0 : (int)((long)steps * i / (panels - 1));
    char title[48];
    title_of(step, steps, title);
    dpc_plot_world_begin(plot, title, 50 + 187.0 * (i % PER_ROW), 26 + 196.0 * (i / PER_ROW), 170,
                         i != PER_ROW * (rows - 1), &frame);
    dpc_diffuse_draw_chunk(plot, s->horizon, trace_at(s, step, 1, 0));
  }
  const bool has_room = panels % PER_ROW != 0;
  if (has_room)
    dpc_diffuse_explain_chunk(plot, 50 + 187.0 * (PER_ROW - 1), 40 + 196.0 * (rows - 1), false);
  return dpc_diffuse_finish(plot, error);
}

// --- many plans -----------------------------------------------------------------------------------

enum {
  ON_THE_WAY = 8
};  // samples that are drawn of what is not done yet: more would be a grey fog

static void draw_sample(dpc_plot* plot, const scene* s, int sample, const float* chunk) {
  double x[DPC_DIFFUSE_ROWS_MAX] = {0}, y[DPC_DIFFUSE_ROWS_MAX] = {0};
  char name[32];
  for (int i = 0; i < s->horizon; ++i) {
    x[i] = (double)chunk[2 * i];
    y[i] = (double)chunk[2 * i + 1];
  }
  const dpc_plot_style line = {.color = DPC_PLOT_BLUE, .width = 0.9, .opacity = 0.35};
  const dpc_plot_style end = {.color = DPC_PLOT_ORANGE, .width = 2, .opacity = 0.8};
  (void)snprintf(name, sizeof name, "sample %d", sample);
  dpc_plot_line(plot, name, &line, s->horizon, x, y);
  dpc_plot_dots(plot, "end", &end, 1, &x[s->horizon - 1], &y[s->horizon - 1]);
}

static dpc_status draw_modes(const dpc_diffuse* d, const scene* s, const char* path,
                             dpc_error* error) {
  dpc_plot* plot = NULL;
  const int steps = dpc_policy_steps(s->work);
  const int shown[] = {0, (steps + 1) / 2, steps};
  const dpc_render_frame frame = frame_of(s);
  DPC_TRY(dpc_plot_create(path, DPC_DIFFUSE_WIDTH, 318, &plot, error));
  for (int i = 0; i < DPC_COUNT(shown); ++i) {
    char title[48];
    const int count = i + 1 < DPC_COUNT(shown) && d->samples > ON_THE_WAY ? ON_THE_WAY : d->samples;
    if (shown[i] == 0) {
      (void)snprintf(title, sizeof title, "noise: %d samples", count);
    } else {
      (void)snprintf(title, sizeof title, "after step %d: %d samples", shown[i], count);
    }
    dpc_plot_world_begin(plot, title, 52 + 250.0 * i, 28, 238, i != 0, &frame);
    for (int sample = 0; sample < count; ++sample) {
      draw_sample(plot, s, sample, trace_at(s, shown[i], d->samples, sample));
    }
  }
  const dpc_plot_style line = {.color = DPC_PLOT_BLUE},
                       end = {.color = DPC_PLOT_ORANGE, .width = 3};
  dpc_plot_legend(plot, 310, 300, 0, &line, false, "a sample: where the agent should go");
  dpc_plot_legend(plot, 590, 300, 0, &end, true, "its last row");
  return dpc_diffuse_finish(plot, error);
}

// --- both -----------------------------------------------------------------------------------------

static dpc_status draw(dpc_diffuse* d, int samples, const char* path, dpc_error* error) {
  scene s = {0};
  dpc_status status = open_scene(d, samples, &s, error);
  if (status == DPC_OK) status = plan(d, &s, samples, error);
  if (status == DPC_OK) {
    status = samples == 1 ? draw_steps(d, &s, path, error) : draw_modes(d, &s, path, error);
  }
  close_scene(&s);
  return status;
}

dpc_status dpc_diffuse_denoise(dpc_diffuse* d, const char* path, dpc_error* error) {
  return draw(d, 1, path, error);
}

dpc_status dpc_diffuse_modes(dpc_diffuse* d, const char* path, dpc_error* error) {
  return draw(d, d->samples, path, error);
}
