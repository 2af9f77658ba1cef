#include "policy/unet.h"

#include <math.h>
#include <string.h>

#include "policy/gemm.h"
#include "policy/unet_plan.h"

// What the way back needs of one residual block.
typedef struct residual_work {
  float* pre1;    // [batch][time][out], first convolution
  float* act1;    // normalised, activated, modulated
  float* pre2;    // second convolution
  float* out;     // the block's output
  float* film;    // [batch][2 * out], scale and shift
  float* stats1;  // [batch][2 * groups]
  float* stats2;
} residual_work;

typedef struct level_work {
  residual_work residual[2];
  float* in;         // up: [batch][time][2 * channels], what came up beside the skip
  float* resampled;  // [batch][time'][channels]
  float* grad_skip;  // down: gradient that comes through the skip
} level_work;

struct dpc_unet_work {
  int batch_max;
  bool with_backward;
  float* embed;        // [batch][step_embed_dim], sines of the timestep
  float* hidden;       // [batch][4 * step_embed_dim]
  float* hidden_mish;  // likewise
  float* cond;         // [batch][cond_dim]
  float* cond_mish;    // likewise; what every FiLM layer reads
  float* grad_cond;    // likewise
  float* grad_hidden;  // like hidden
  float* grad_film;    // [batch][2 * widest]
  level_work down[DPC_UNET_LEVELS_MAX];
  residual_work mid[2];
  level_work up[DPC_UNET_LEVELS_MAX];
  float* last_pre;    // [batch][horizon][start]
  float* last_act;    // likewise
  float* last_stats;  // [batch][2 * groups]
  float* columns;     // windows of the widest convolution
  float* grad[4];     // each as large as the largest activation
};

// --- work area -----------------------------------------------------------------------------------

// Sizes are gathered first: the largest windows and activation of any convolution in the plan.
typedef struct widest {
  size_t columns, activation, film;
} widest;

static size_t larger(size_t a, size_t b) {
  return a > b ? a : b;
}

static void widen_conv(const dpc_unet_conv* conv, int batch, widest* w) {
  const int after = dpc_conv1d_time(&conv->conv, conv->time);
  w->columns = larger(w->columns, dpc_conv1d_columns(&conv->conv, batch, conv->time));
  w->activation = larger(w->activation, (size_t)batch * conv->time * conv->conv.in);
  w->activation = larger(w->activation, (size_t)batch * after * conv->conv.out);
}

static void widen_residual(const dpc_unet_residual* r, int batch, widest* w) {
  widen_conv(&r->first.conv, batch, w);
  widen_conv(&r->second.conv, batch, w);
  w->film = larger(w->film, (size_t)batch * 2 * r->out);
}

static void widen_level(const dpc_unet_level* level, int batch, widest* w) {
  for (int i = 0; i < 2; ++i) widen_residual(&level->residual[i], batch, w);
  if (level->resamples) widen_conv(&level->resample, batch, w);
}

static widest find_widest(const dpc_unet* u, int batch) {
  widest w = {0};
  for (int i = 0; i < u->levels; ++i) widen_level(&u->down[i], batch, &w);
  for (int i = 0; i < 2; ++i) widen_residual(&u->mid[i], batch, &w);
  for (int i = 0; i < u->levels - 1; ++i) widen_level(&u->up[i], batch, &w);
  widen_conv(&u->last_block.conv, batch, &w);
  widen_conv(&u->last, batch, &w);
  return w;
}

// Take floats, or note that the arena is full; checked once at the end.
static float* take(dpc_arena* arena, size_t count, bool* full) {
  float* taken = DPC_TAKE(arena, float, count);
  *full = *full || taken == NULL;
  return taken;
}

static void take_residual(const dpc_unet_residual* r, int batch, dpc_arena* arena, bool* full,
                          residual_work* out) {
  const size_t size = (size_t)batch * r->time * r->out;
  const size_t stats = (size_t)batch * 2 * r->first.norm.groups;
  out->pre1 = take(arena, size, full);
  out->act1 = take(arena, size, full);
  out->pre2 = take(arena, size, full);
  out->out = take(arena, size, full);
  out->film = take(arena, (size_t)batch * 2 * r->out, full);
  out->stats1 = take(arena, stats, full);
  out->stats2 = take(arena, stats, full);
}

static void take_level(const dpc_unet_level* level, int batch, bool up, dpc_arena* arena,
                       bool* full, level_work* out) {
  const dpc_unet_residual* r = level->residual;
  for (int i = 0; i < 2; ++i) take_residual(&r[i], batch, arena, full, &out->residual[i]);
  if (up) out->in = take(arena, (size_t)batch * r[0].time * r[0].in, full);
  if (!up) out->grad_skip = take(arena, (size_t)batch * r[1].time * r[1].out, full);
  if (!level->resamples) return;
  const int after = dpc_conv1d_time(&level->resample.conv, level->resample.time);
  out->resampled = take(arena, (size_t)batch * after * level->resample.conv.out, full);
}

static void take_condition(const dpc_unet* u, int batch, dpc_arena* arena, bool* full,
                           dpc_unet_work* w) {
  const size_t embed = (size_t)batch * u->def.step_embed_dim;
  const size_t cond = (size_t)batch * u->cond_dim;
  w->embed = take(arena, embed, full);
  w->hidden = take(arena, 4 * embed, full);
  w->hidden_mish = take(arena, 4 * embed, full);
  w->grad_hidden = take(arena, 4 * embed, full);
  w->cond = take(arena, cond, full);
  w->cond_mish = take(arena, cond, full);
  w->grad_cond = take(arena, cond, full);
}

static void take_layers(const dpc_unet* u, int batch, dpc_arena* arena, bool* full,
                        dpc_unet_work* w) {
  for (int i = 0; i < u->levels; ++i) {
    take_level(&u->down[i], batch, false, arena, full, &w->down[i]);
  }
  for (int i = 0; i < 2; ++i) take_residual(&u->mid[i], batch, arena, full, &w->mid[i]);
  for (int i = 0; i < u->levels - 1; ++i) {
    take_level(&u->up[i], batch, true, arena, full, &w->up[i]);
  }
  const size_t last = (size_t)batch * u->def.horizon * u->last_block.norm.channels;
  w->last_pre = take(arena, last, full);
  w->last_act = take(arena, last, full);
  w->last_stats = take(arena, (size_t)batch * 2 * u->last_block.norm.groups, full);
}

dpc_status dpc_unet_work_create(const dpc_unet* unet, int batch_max, bool with_backward,
                                dpc_arena* arena, dpc_unet_work** out, dpc_error* error) {
  DPC_ASSERT(batch_max >= 1);
  const size_t mark = dpc_arena_mark(arena);
  const widest w = find_widest(unet, batch_max);
  bool full = false;
  dpc_unet_work* work = DPC_TAKE(arena, dpc_unet_work, 1);
  if (work == NULL) return dpc_arena_full(arena, "the network's work area", error);
  work->batch_max = batch_max;
  work->with_backward = with_backward;
  take_condition(unet, batch_max, arena, &full, work);
  take_layers(unet, batch_max, arena, &full, work);
  work->columns = take(arena, w.columns, &full);
  work->grad[0] = take(arena, w.activation, &full);
  if (with_backward) {
    for (int i = 1; i < 4; ++i) work->grad[i] = take(arena, w.activation, &full);
    work->grad_film = take(arena, w.film, &full);
  }
  if (full) {
    dpc_arena_release(arena, mark);
    return dpc_arena_full(arena, "the network's work area", error);
  }
  *out = work;
  return DPC_OK;
}

// --- forward -------------------------------------------------------------------------------------

// What every part of a pass needs.
typedef struct pass {
  const dpc_unet* unet;
  const float* params;
  float* grads;
  dpc_unet_work* work;
  int batch;
} pass;

static void conv_forward(const pass* p, const dpc_unet_conv* c, const float* in, float* out) {
  dpc_conv1d_forward(&c->conv, p->batch, c->time, in, p->params + c->weight, p->params + c->bias,
                     p->work->columns, out);
}

static void norm_forward(const pass* p, const dpc_unet_conv_block* block, const float* pre,
                         const float* film, float* stats, float* out) {
  dpc_norm_mish_forward(&block->norm, p->batch, block->conv.time, pre, p->params + block->gamma,
                        p->params + block->beta, film, stats, out);
}

static void residual_forward(const pass* p, const dpc_unet_residual* r, residual_work* w,
                             const float* in) {
  const int size = p->batch * r->time * r->out;
  dpc_linear_forward(p->batch, p->unet->cond_dim, 2 * r->out, p->work->cond_mish,
                     p->params + r->film_weight, p->params + r->film_bias, w->film);
  conv_forward(p, &r->first.conv, in, w->pre1);
  norm_forward(p, &r->first, w->pre1, w->film, w->stats1, w->act1);
  conv_forward(p, &r->second.conv, w->act1, w->pre2);
  norm_forward(p, &r->second, w->pre2, NULL, w->stats2, w->out);
  const float* around = in;
  if (r->projects) {
    conv_forward(p, &r->projection, in, p->work->grad[0]);
    around = p->work->grad[0];
  }
  for (int i = 0; i < size; ++i) w->out[i] += around[i];
}

// [cos-sin embedding of the timestep] -> linear, mish, linear; beside it the observations.
static void condition_forward(const pass* p, const float* timestep, const float* cond) {
  const dpc_unet* u = p->unet;
  dpc_unet_work* w = p->work;
  const int embed = u->def.step_embed_dim, half = embed / 2, given = u->def.global_cond_dim;
  for (int b = 0; b < p->batch; ++b) {
    for (int i = 0; i < half; ++i) {
      const double rate = exp(-log(10000.0) / (half - 1) * i);
      const float angle = timestep[b] * (float)rate;
      w->embed[b * embed + i] = sinf(angle);
      w->embed[b * embed + half + i] = cosf(angle);
    }
  }
  dpc_linear_forward(p->batch, embed, 4 * embed, w->embed, p->params + u->step_weight1,
                     p->params + u->step_bias1, w->hidden);
  dpc_mish_forward(p->batch * 4 * embed, w->hidden, w->hidden_mish);
  // the second linear layer writes its rows in place, cond_dim apart
  for (int b = 0; b < p->batch; ++b) {
    float* row = w->cond + (size_t)b * u->cond_dim;
    memcpy(row, p->params + u->step_bias2, sizeof(float) * (size_t)embed);
    memcpy(row + embed, cond + (size_t)b * given, sizeof(float) * (size_t)given);
  }
  dpc_gemm_nt(p->batch, embed, 4 * embed, w->hidden_mish, 4 * embed, p->params + u->step_weight2,
              4 * embed, 1, w->cond, u->cond_dim);
  dpc_mish_forward(p->batch * u->cond_dim, w->cond, w->cond_mish);
}

// Two activations side by side in each row.
static void join(int rows, int n, const float* a, const float* b, float* out) {
  for (int i = 0; i < rows; ++i, out += 2 * n) {
    memcpy(out, a + (size_t)i * n, sizeof(float) * (size_t)n);
    memcpy(out + n, b + (size_t)i * n, sizeof(float) * (size_t)n);
  }
}

static const float* level_forward(const pass* p, const dpc_unet_level* level, level_work* w,
                                  const float* in) {
  residual_forward(p, &level->residual[0], &w->residual[0], in);
  residual_forward(p, &level->residual[1], &w->residual[1], w->residual[0].out);
  if (!level->resamples) return w->residual[1].out;
  conv_forward(p, &level->resample, w->residual[1].out, w->resampled);
  return w->resampled;
}

void dpc_unet_forward(const dpc_unet* unet, const float* params, dpc_unet_work* work, int batch,
                      const float* sample, const float* timestep, const float* cond, float* out) {
  DPC_ASSERT(batch >= 1 && batch <= work->batch_max);
  const pass p = {.unet = unet, .params = params, .work = work, .batch = batch};
  condition_forward(&p, timestep, cond);

  const float* x = sample;
  for (int i = 0; i < unet->levels; ++i) x = level_forward(&p, &unet->down[i], &work->down[i], x);
  for (int i = 0; i < 2; ++i) {
    residual_forward(&p, &unet->mid[i], &work->mid[i], x);
    x = work->mid[i].out;
  }
  for (int i = 0; i < unet->levels - 1; ++i) {
    const dpc_unet_residual* first = &unet->up[i].residual[0];
    const float* skip = work->down[unet->levels - 1 - i].residual[1].out;
    join(batch * first->time, first->in / 2, x, skip, work->up[i].in);
    x = level_forward(&p, &unet->up[i], &work->up[i], work->up[i].in);
  }
  conv_forward(&p, &unet->last_block.conv, x, work->last_pre);
  norm_forward(&p, &unet->last_block, work->last_pre, NULL, work->last_stats, work->last_act);
  conv_forward(&p, &unet->last, work->last_act, out);
}

// --- backward ------------------------------------------------------------------------------------

static void conv_backward(const pass* p, const dpc_unet_conv* c, const float* in,
                          const float* grad_out, float* grad_in) {
  dpc_conv1d_backward(&c->conv, p->batch, c->time, in, p->params + c->weight, grad_out,
                      p->work->columns, p->grads + c->weight, p->grads + c->bias, grad_in);
}

static void norm_backward(const pass* p, const dpc_unet_conv_block* block, const float* pre,
                          const float* film, const float* stats, const float* grad_out,
                          float* grad_film, float* grad_pre) {
  dpc_norm_mish_backward(&block->norm, p->batch, block->conv.time, pre, p->params + block->gamma,
                         p->params + block->beta, film, stats, grad_out, p->grads + block->gamma,
                         p->grads + block->beta, grad_film, grad_pre);
}

// grad_out is kept; grad_in is one of the other buffers, or NULL where nobody needs it.
static void residual_backward(const pass* p, const dpc_unet_residual* r, const residual_work* w,
                              const float* in, const float* grad_out, float* grad_in) {
  float *a = p->work->grad[2], *b = p->work->grad[3];
  const int cond = p->unet->cond_dim;
  norm_backward(p, &r->second, w->pre2, NULL, w->stats2, grad_out, NULL, a);
  conv_backward(p, &r->second.conv, w->act1, a, b);
  norm_backward(p, &r->first, w->pre1, w->film, w->stats1, b, p->work->grad_film, b);
  dpc_linear_backward(p->batch, cond, 2 * r->out, p->work->cond_mish, p->params + r->film_weight,
                      p->work->grad_film, p->grads + r->film_weight, p->grads + r->film_bias,
                      p->work->grad_cond, true);
  conv_backward(p, &r->first.conv, in, b, grad_in);
  const float* around = grad_out;
  if (r->projects) {
    conv_backward(p, &r->projection, in, grad_out, grad_in == NULL ? NULL : a);
    around = a;
  }
  if (grad_in == NULL) return;
  const int size = p->batch * r->time * r->in;
  for (int i = 0; i < size; ++i) grad_in[i] += around[i];
}

// The gradient is in grad[0], before and after; with `grad_in` it goes there instead.
static void level_backward(const pass* p, const dpc_unet_level* level, const level_work* w,
                           const float* in, const float* grad_skip, bool wanted) {
  float *x = p->work->grad[0], *y = p->work->grad[1];
  const dpc_unet_residual* r = level->residual;
  if (level->resamples) {
    conv_backward(p, &level->resample, w->residual[1].out, x, y);
    x = p->work->grad[1];
    y = p->work->grad[0];
  }
  if (grad_skip != NULL) {
    const int size = p->batch * r[1].time * r[1].out;
    for (int i = 0; i < size; ++i) x[i] += grad_skip[i];
  }
  residual_backward(p, &r[1], &w->residual[1], w->residual[0].out, x, y);
  residual_backward(p, &r[0], &w->residual[0], in, y, wanted ? x : NULL);
  if (x != p->work->grad[0]) {
    p->work->grad[1] = p->work->grad[0];
    p->work->grad[0] = x;
  }
}

static void condition_backward(const pass* p, float* grad_cond) {
  const dpc_unet* u = p->unet;
  dpc_unet_work* w = p->work;
  const int embed = u->def.step_embed_dim, given = u->def.global_cond_dim;
  dpc_mish_backward(p->batch * u->cond_dim, w->cond, w->grad_cond, w->grad_cond);
  for (int b = 0; b < p->batch; ++b) {
    const float* row = w->grad_cond + (size_t)b * u->cond_dim;
    float* bias = p->grads + u->step_bias2;
    for (int i = 0; i < embed; ++i) bias[i] += row[i];
    if (grad_cond != NULL) {
      memcpy(grad_cond + (size_t)b * given, row + embed, sizeof(float) * (size_t)given);
    }
  }
  dpc_gemm_tn(embed, 4 * embed, p->batch, w->grad_cond, u->cond_dim, w->hidden_mish, 4 * embed, 1,
              p->grads + u->step_weight2, 4 * embed);
  dpc_gemm_nn(p->batch, 4 * embed, embed, w->grad_cond, u->cond_dim, p->params + u->step_weight2,
              4 * embed, 0, w->grad_hidden, 4 * embed);
  dpc_mish_backward(p->batch * 4 * embed, w->hidden, w->grad_hidden, w->grad_hidden);
  dpc_linear_backward(p->batch, embed, 4 * embed, w->embed, p->params + u->step_weight1,
                      w->grad_hidden, p->grads + u->step_weight1, p->grads + u->step_bias1, NULL,
                      false);
}

// The first half of each row goes on, the second half belongs to the skip.
static void split(int rows, int n, const float* joined, float* a, float* b) {
  for (int i = 0; i < rows; ++i, joined += 2 * n) {
    memmove(a + (size_t)i * n, joined, sizeof(float) * (size_t)n);
    memcpy(b + (size_t)i * n, joined + n, sizeof(float) * (size_t)n);
  }
}

static void up_backward(const pass* p) {
  const dpc_unet* u = p->unet;
  dpc_unet_work* w = p->work;
  for (int i = u->levels - 2; i >= 0; --i) {
    const dpc_unet_residual* first = &u->up[i].residual[0];
    level_backward(p, &u->up[i], &w->up[i], w->up[i].in, NULL, true);
    split(p->batch * first->time, first->in / 2, w->grad[0], w->grad[1],
          w->down[u->levels - 1 - i].grad_skip);
    float* const joined = w->grad[0];
    w->grad[0] = w->grad[1];
    w->grad[1] = joined;
  }
}

static void down_backward(const pass* p, const float* sample, bool wanted) {
  const dpc_unet* u = p->unet;
  dpc_unet_work* w = p->work;
  const float* bottom = w->down[u->levels - 1].residual[1].out;
  residual_backward(p, &u->mid[1], &w->mid[1], w->mid[0].out, w->grad[0], w->grad[1]);
  residual_backward(p, &u->mid[0], &w->mid[0], bottom, w->grad[1], w->grad[0]);
  for (int i = u->levels - 1; i >= 0; --i) {
    const float* in = i == 0 ? sample : w->down[i - 1].resampled;
    // the reference collects a skip at the first level too, and never uses it
    level_backward(p, &u->down[i], &w->down[i], in, i > 0 ? w->down[i].grad_skip : NULL,
                   i > 0 || wanted);
  }
}

void dpc_unet_backward(const dpc_unet* unet, const float* params, dpc_unet_work* work, int batch,
                       const float* sample, const float* cond, const float* grad_out, float* grads,
                       float* grad_sample, float* grad_cond) {
  DPC_ASSERT(work->with_backward && batch >= 1 && batch <= work->batch_max);
  (void)cond;
  const pass p = {.unet = unet, .params = params, .grads = grads, .work = work, .batch = batch};
  const size_t cond_size = (size_t)batch * (size_t)unet->cond_dim;
  memset(work->grad_cond, 0, sizeof(float) * cond_size);

  const float* last_in = unet->levels > 1 ? work->up[unet->levels - 2].resampled : work->mid[1].out;
  conv_backward(&p, &unet->last, work->last_act, grad_out, work->grad[1]);
  norm_backward(&p, &unet->last_block, work->last_pre, NULL, work->last_stats, work->grad[1], NULL,
                work->grad[1]);
  conv_backward(&p, &unet->last_block.conv, last_in, work->grad[1], work->grad[0]);
  up_backward(&p);
  down_backward(&p, sample, grad_sample != NULL);
  condition_backward(&p, grad_cond);
  if (grad_sample != NULL) {
    const size_t size = (size_t)batch * (size_t)unet->def.horizon * (size_t)unet->def.input_dim;
    memcpy(grad_sample, work->grad[0], sizeof(float) * size);
  }
}
