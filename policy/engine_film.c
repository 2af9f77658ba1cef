// FiLM's linear layers, all residual blocks as one: the timestep's part and the observations'.
#include <string.h>

#include "policy/engine_plan.h"
#include "policy/gemm.h"
#include "policy/unet_pass.h"

// The residual blocks in the plan's order are those whose first normalisation has FiLM.
static const dpc_unet_residual* residual_of(const dpc_unet_conv_block* block) {
  const char* first = (const char*)block - offsetof(dpc_unet_residual, first);
  return (const dpc_unet_residual*)(const void*)first;
}

static const dpc_engine_norm* film_at(const dpc_engine* e, int i) {
  const dpc_engine_op* op = &e->ops[i];
  return op->kind == DPC_ENGINE_NORM && op->norm.film >= 0 ? &op->norm : NULL;
}

// Where row `n` of a residual's layer, scale rows before shift rows, lies in the padded whole.
static int film_index(const dpc_engine_norm* op, const dpc_unet_residual* r, int n) {
  return op->film + (n < r->out ? n : dpc_lanes_up(r->out) + n - r->out);
}

static void pack_residual(const dpc_engine* e, const dpc_engine_norm* op, float* weights,
                          float* bias) {
  const dpc_unet_residual* r = residual_of(op->block);
  const int given = e->unet->def.global_cond_dim, embed = e->unet->def.step_embed_dim;
  const int most = e->kernels->group(1), blocks = e->film_size / DPC_LANES;
  for (int n = 0; n < 2 * r->out; ++n) {
    const int at = film_index(op, r, n);
    // the group that holds block at / 16
    int first = 0, width = dpc_group_width(most, blocks);
    while (first + width <= at / DPC_LANES) {
      first += width;
      width = dpc_group_width(most, blocks - first);
    }
    float* group = weights + (size_t)first * (size_t)given * DPC_LANES;
    const float* row = e->params + r->film_weight + (size_t)n * (size_t)e->unet->cond_dim + embed;
    for (int c = 0; c < given; ++c) {
      group[(size_t)c * (size_t)(width * DPC_LANES) + (size_t)(at - first * DPC_LANES)] = row[c];
    }
    bias[at] = e->params[r->film_bias + (size_t)n];
  }
}

dpc_status dpc_engine_film_pack(dpc_engine* e, dpc_arena* arena, dpc_error* error) {
  const size_t given = (size_t)e->unet->def.global_cond_dim;
  float* weights = DPC_TAKE(arena, float, given*(size_t)e->film_size + 1);
  float* bias = DPC_TAKE(arena, float, e->film_size);
  if (weights == NULL || bias == NULL) return dpc_arena_full(arena, "FiLM's weights", error);
  for (int i = 0; i < e->op_count; ++i) {
    const dpc_engine_norm* op = film_at(e, i);
    if (op != NULL) pack_residual(e, op, weights, bias);
  }
  e->film_weights = weights;
  e->film_bias = bias;
  return DPC_OK;
}

void dpc_engine_film_step(const dpc_engine* e, dpc_unet_work* scratch, float timestep,
                          float step_size, float* film) {
  const dpc_unet* u = e->unet;
  const dpc_unet_pass pass = {.unet = u, .params = e->params, .work = scratch, .batch = 1};
  dpc_unet_embed_forward(&pass, &timestep, &step_size);
  float rows[2 * DPC_CHANNELS_MAX];
  for (int i = 0; i < e->op_count; ++i) {
    const dpc_engine_norm* op = film_at(e, i);
    if (op == NULL) continue;
    const dpc_unet_residual* r = residual_of(op->block);
    dpc_gemm_nt(1, 2 * r->out, u->def.step_embed_dim, scratch->cond_mish, u->cond_dim,
                e->params + r->film_weight, u->cond_dim, 0, rows, 2 * r->out);
    for (int n = 0; n < 2 * r->out; ++n) film[film_index(op, r, n)] = rows[n];
  }
}
