#include "policy/unet_pass.h"

// Sizes are gathered first: the largest activation and modulation in the plan.
typedef struct widest {
  size_t activation, film;
} widest;

static size_t larger(size_t a, size_t b) {
  return a > b ? a : b;
}

static void widen_conv(const dpc_unet_conv* conv, int batch, widest* w) {
  const int after = dpc_conv1d_time(&conv->conv, conv->time);
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
                          dpc_unet_residual_work* out) {
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
                       bool* full, dpc_unet_level_work* out) {
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
  const size_t embed = (size_t)batch * (size_t)u->def.step_embed_dim;
  const size_t cond = (size_t)batch * u->cond_dim;
  w->embed = take(arena, (size_t)batch * (size_t)dpc_unet_embed_dim(&u->def), full);
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
  const size_t rows = (size_t)batch_max * (size_t)unet->def.horizon;
  work->sample = take(arena, rows * (size_t)dpc_unet_row(&unet->def), &full);
  work->out = take(arena, rows * (size_t)unet->def.input_dim, &full);
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
