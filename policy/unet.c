#include "policy/unet.h"

#include <string.h>

#include "policy/unet_pass.h"

// --- order of values -----------------------------------------------------------------------------

// From [rows][columns][n] to [columns][rows][n].
static void swap_axes(int rows, int columns, int n, const float* from, float* to) {
  for (int i = 0; i < rows; ++i) {
    for (int j = 0; j < columns; ++j) {
      memcpy(to + ((size_t)j * rows + i) * n, from + ((size_t)i * columns + j) * n,
             sizeof(float) * (size_t)n);
    }
  }
}

// Two activations side by side in each row.
static void join(int rows, int n, const float* a, const float* b, float* out) {
  const size_t width = (size_t)n;
  for (int i = 0; i < rows; ++i, a += width, b += width, out += 2 * width) {
    memcpy(out, a, sizeof(float) * width);
    memcpy(out + width, b, sizeof(float) * width);
  }
}

// The first half of each row goes on, the second half belongs to the skip.
static void split(int rows, int n, const float* joined, float* a, float* b) {
  const size_t width = (size_t)n;
  for (int i = 0; i < rows; ++i, joined += 2 * width, a += width, b += width) {
    memcpy(a, joined, sizeof(float) * width);
    memcpy(b, joined + width, sizeof(float) * width);
  }
}

// --- forward -------------------------------------------------------------------------------------

static const float* level_forward(const dpc_unet_pass* p, const dpc_unet_level* level,
                                  dpc_unet_level_work* w, const float* in) {
  dpc_unet_residual_forward(p, &level->residual[0], &w->residual[0], in);
  dpc_unet_residual_forward(p, &level->residual[1], &w->residual[1], w->residual[0].out);
  if (!level->resamples) return w->residual[1].out;
  dpc_unet_conv_forward(p, &level->resample, w->residual[1].out, w->resampled);
  return w->resampled;
}

void dpc_unet_forward(const dpc_unet* unet, const float* params, dpc_unet_work* work, int batch,
                      const float* sample, const float* timestep, const float* step_size,
                      const float* cond, float* out) {
  DPC_ASSERT(batch >= 1 && batch <= work->batch_max);
  const dpc_unet_pass p = {.unet = unet, .params = params, .work = work, .batch = batch};
  dpc_unet_condition_forward(&p, timestep, step_size, cond);

  const int horizon = unet->def.horizon;
  swap_axes(batch, horizon, dpc_unet_row(&unet->def), sample, work->sample);
  const float* x = work->sample;
  for (int i = 0; i < unet->levels; ++i) x = level_forward(&p, &unet->down[i], &work->down[i], x);
  for (int i = 0; i < 2; ++i) {
    dpc_unet_residual_forward(&p, &unet->mid[i], &work->mid[i], x);
    x = work->mid[i].out;
  }
  for (int i = 0; i < unet->levels - 1; ++i) {
    const dpc_unet_residual* first = &unet->up[i].residual[0];
    const float* skip = work->down[unet->levels - 1 - i].residual[1].out;
    join(batch * first->time, first->in / 2, x, skip, work->up[i].in);
    x = level_forward(&p, &unet->up[i], &work->up[i], work->up[i].in);
  }
  dpc_unet_conv_forward(&p, &unet->last_block.conv, x, work->last_pre);
  dpc_unet_norm_forward(&p, &unet->last_block, work->last_pre, NULL, work->last_stats,
                        work->last_act);
  dpc_unet_conv_forward(&p, &unet->last, work->last_act, work->out);
  swap_axes(horizon, batch, unet->def.input_dim, work->out, out);
}

// --- backward ------------------------------------------------------------------------------------

// The first two gradient buffers change places.
static void exchange(float** grad) {
  float* const first = grad[0];
  grad[0] = grad[1];
  grad[1] = first;
}

// The gradient by the level's output is in grad[0]; the one by its input comes there, if wanted.
static void level_backward(const dpc_unet_pass* p, const dpc_unet_level* level,
                           const dpc_unet_level_work* w, const float* in, const float* grad_skip,
                           bool wanted) {
  float** grad = p->work->grad;
  const dpc_unet_residual* r = level->residual;
  if (level->resamples) {
    dpc_unet_conv_backward(p, &level->resample, w->residual[1].out, grad[0], grad[1]);
    exchange(grad);
  }
  if (grad_skip != NULL) {
    const int size = p->batch * r[1].time * r[1].out;
    float* restrict sum = grad[0];
    for (int i = 0; i < size; ++i) sum[i] += grad_skip[i];
  }
  dpc_unet_residual_backward(p, &r[1], &w->residual[1], w->residual[0].out, grad[0], grad[1]);
  dpc_unet_residual_backward(p, &r[0], &w->residual[0], in, grad[1], wanted ? grad[0] : NULL);
}

static void up_backward(const dpc_unet_pass* p) {
  const dpc_unet* u = p->unet;
  dpc_unet_work* w = p->work;
  for (int i = u->levels - 2; i >= 0; --i) {
    const dpc_unet_residual* first = &u->up[i].residual[0];
    level_backward(p, &u->up[i], &w->up[i], w->up[i].in, NULL, true);
    split(p->batch * first->time, first->in / 2, w->grad[0], w->grad[1],
          w->down[u->levels - 1 - i].grad_skip);
    exchange(w->grad);
  }
}

static void down_backward(const dpc_unet_pass* p, bool wanted) {
  const dpc_unet* u = p->unet;
  dpc_unet_work* w = p->work;
  const float* bottom = w->down[u->levels - 1].residual[1].out;
  dpc_unet_residual_backward(p, &u->mid[1], &w->mid[1], w->mid[0].out, w->grad[0], w->grad[1]);
  dpc_unet_residual_backward(p, &u->mid[0], &w->mid[0], bottom, w->grad[1], w->grad[0]);
  for (int i = u->levels - 1; i >= 0; --i) {
    const float* in = i == 0 ? w->sample : w->down[i - 1].resampled;
    // the reference collects a skip at the first level too, and never uses it
    level_backward(p, &u->down[i], &w->down[i], in, i > 0 ? w->down[i].grad_skip : NULL,
                   i > 0 || wanted);
  }
}

void dpc_unet_backward(const dpc_unet* unet, const float* params, dpc_unet_work* work, int batch,
                       const float* sample, const float* cond, const float* grad_out, float* grads,
                       float* grad_sample, float* grad_cond) {
  DPC_ASSERT(work->with_backward && batch >= 1 && batch <= work->batch_max);
  (void)sample, (void)cond;  // the work area has its own copies
  const dpc_unet_pass p = {
      .unet = unet, .params = params, .grads = grads, .work = work, .batch = batch};
  const int horizon = unet->def.horizon;
  const float* last_in = unet->levels > 1 ? work->up[unet->levels - 2].resampled : work->mid[1].out;
  memset(work->grad_cond, 0, sizeof(float) * (size_t)batch * (size_t)unet->cond_dim);

  swap_axes(batch, horizon, unet->def.input_dim, grad_out, work->out);
  dpc_unet_conv_backward(&p, &unet->last, work->last_act, work->out, work->grad[1]);
  dpc_unet_norm_backward(&p, &unet->last_block, work->last_pre, NULL, work->last_stats,
                         work->grad[1], NULL, work->grad[1]);
  dpc_unet_conv_backward(&p, &unet->last_block.conv, last_in, work->grad[1], work->grad[0]);
  up_backward(&p);
  down_backward(&p, grad_sample != NULL);
  dpc_unet_condition_backward(&p, grad_cond);
  if (grad_sample != NULL) {
    swap_axes(horizon, batch, dpc_unet_row(&unet->def), work->grad[0], grad_sample);
  }
}
