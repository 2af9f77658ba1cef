#include "policy/engine.h"

#include <string.h>

#include "policy/engine_plan.h"
#include "policy/norm_mish.h"

const char* const dpc_precision_names[] = {"auto", "fp32", "bf16", NULL};

static const dpc_field fields[] = {
    DPC_CHOICE(dpc_engine_def, precision, "auto", dpc_precision_names,
               "arithmetic of the network; auto is fp32"),
};
DPC_FIELD_TABLE(dpc_engine_fields, dpc_engine_def, "engine", "how the network is computed", fields);

dpc_engine_def dpc_engine_def_default(void) {
  dpc_engine_def def;
  dpc_fields_default(&dpc_engine_fields, &def);
  return def;
}

dpc_status dpc_engine_def_check(const dpc_engine_def* def, dpc_error* error) {
  return dpc_fields_check(&dpc_engine_fields, def, error);
}

// --- create --------------------------------------------------------------------------------------

dpc_status dpc_engine_create(const dpc_engine_def* def, const dpc_unet* unet, const float* params,
                             dpc_arena* arena, dpc_engine** out, dpc_error* error) {
  const dpc_kernels* kernels = NULL;
  DPC_TRY(dpc_engine_def_check(def, error));
  DPC_TRY(dpc_kernels_pick(&kernels, error));
  const size_t mark = dpc_arena_mark(arena);
  dpc_engine* engine = DPC_TAKE(arena, dpc_engine, 1);
  if (engine == NULL) return dpc_arena_full(arena, "the engine", error);
  engine->unet = unet;
  engine->params = params;
  engine->kernels = kernels;
  engine->bf16 = def->precision == DPC_PRECISION_BF16;
  dpc_engine_plan(engine);
  dpc_status status = dpc_engine_pack(engine, arena, error);
  if (status == DPC_OK) status = dpc_engine_film_pack(engine, arena, error);
  if (status != DPC_OK) {
    dpc_arena_release(arena, mark);
    return status;
  }
  *out = engine;
  return DPC_OK;
}

// Pairs of a position and a tap that meet a row.
static int meetings(const dpc_engine_conv* op) {
  int count = 0;
  for (int p = 0; p < op->positions; ++p) {
    for (int k = 0; k < op->taps; ++k) {
      const int row = op->first + p * op->step + k;
      count += row >= 0 && row < op->conv->time;
    }
  }
  return count;
}

dpc_engine_info dpc_engine_describe(const dpc_engine* e) {
  dpc_engine_info info = {.isa = e->kernels->name,
                          .precision = e->bf16 ? "bf16" : "fp32",
                          .weight_bytes = e->weight_bytes};
  for (int i = 0; i < e->op_count; ++i) {
    if (e->ops[i].kind != DPC_ENGINE_CONV) continue;
    const dpc_engine_conv* op = &e->ops[i].conv;
    info.macs += (double)meetings(op) * op->conv->conv.in * op->conv->conv.out;
  }
  return info;
}

static dpc_status create_work(const dpc_engine* e, const float* timesteps, int count,
                              dpc_arena* arena, dpc_engine_work** out, dpc_error* error) {
  const size_t film = (size_t)e->film_size;
  dpc_engine_work* work = DPC_TAKE(arena, dpc_engine_work, 1);
  if (work == NULL) return dpc_arena_full(arena, "the engine's work area", error);
  work->count = count;
  work->values = DPC_TAKE(arena, float, e->values);
  work->values_bf16 = DPC_TAKE(arena, uint16_t, e->bf16 ? e->values : 1);
  work->film_steps = DPC_TAKE(arena, float, film*(size_t)count);
  work->film_obs = DPC_TAKE(arena, float, film);
  work->cond_mish = DPC_TAKE(arena, float, e->unet->def.global_cond_dim + 1);
  if (work->values == NULL || work->values_bf16 == NULL || work->film_steps == NULL ||
      work->film_obs == NULL || work->cond_mish == NULL) {
    return dpc_arena_full(arena, "the engine's work area", error);
  }
  const size_t mark = dpc_arena_mark(arena);
  dpc_unet_work* scratch = NULL;
  DPC_TRY(dpc_unet_work_create(e->unet, 1, false, arena, &scratch, error));
  for (int i = 0; i < count; ++i) {
    dpc_engine_film_step(e, scratch, timesteps[i], work->film_steps + film * (size_t)i);
  }
  dpc_arena_release(arena, mark);
  *out = work;
  return DPC_OK;
}

dpc_status dpc_engine_work_create(const dpc_engine* engine, const float* timesteps, int count,
                                  dpc_arena* arena, dpc_engine_work** out, dpc_error* error) {
  DPC_ASSERT(count >= 1);
  const size_t mark = dpc_arena_mark(arena);
  const dpc_status status = create_work(engine, timesteps, count, arena, out, error);
  if (status != DPC_OK) dpc_arena_release(arena, mark);
  return status;
}

// --- run -----------------------------------------------------------------------------------------

void dpc_engine_observe(const dpc_engine* e, dpc_engine_work* work, const float* cond) {
  const int given = e->unet->def.global_cond_dim;
  dpc_mish_forward(given, cond, work->cond_mish);
  const dpc_conv_call call = {.in = work->cond_mish,
                              .in_row = given,
                              .channels = given,
                              .rows = 1,
                              .step = 1,
                              .taps = 1,
                              .positions = 1,
                              .weights = e->film_weights,
                              .bias = e->film_bias,
                              .blocks = e->film_size / DPC_LANES,
                              .out = work->film_obs,
                              .out_row = e->film_size};
  e->kernels->conv(&call);
}

static size_t offset_of(const dpc_engine* e, dpc_engine_view view) {
  return e->buffers[view.buffer].offset + (size_t)view.channel;
}

static void run_conv(const dpc_engine* e, const dpc_engine_work* work, const dpc_engine_conv* op) {
  const size_t in = offset_of(e, op->in);
  const int row = e->buffers[op->out.buffer].row;
  const dpc_conv_call call = {
      .in = work->values + in,
      .in_bf16 = op->bf16 ? work->values_bf16 + in : NULL,
      .in_row = e->buffers[op->in.buffer].row,
      .channels = op->channels,
      .rows = op->conv->time,
      .first = op->first,
      .step = op->step,
      .taps = op->taps,
      .positions = op->positions,
      .weights = op->weights,
      .weights_bf16 = op->weights_bf16,
      .bias = op->bias,
      .blocks = dpc_lanes_up(op->conv->conv.out) / DPC_LANES,
      .out = work->values + offset_of(e, op->out) + (size_t)op->out_first * (size_t)row,
      .out_row = row * op->out_step};
  if (op->bf16)
    e->kernels->conv_bf16(&call);
  else
    e->kernels->conv(&call);
}

static void run_norm(const dpc_engine* e, const dpc_engine_work* work, const dpc_engine_norm* op,
                     const float* film) {
  const size_t out = offset_of(e, op->out);
  const int channels = dpc_lanes_up(op->block->norm.channels);
  dpc_norm_call call = {.x = work->values + offset_of(e, op->in),
                        .rows = op->block->conv.time,
                        .channels = channels,
                        .groups = op->block->norm.groups,
                        .width = op->block->norm.channels / op->block->norm.groups,
                        .gamma = op->gamma,
                        .beta = op->beta,
                        .out = op->wants_float ? work->values + out : NULL,
                        .out_row = e->buffers[op->out.buffer].row,
                        .out_bf16 = op->wants_bf16 ? work->values_bf16 + out : NULL};
  if (op->film >= 0) {
    call.film[0] = film + op->film;
    call.film[1] = work->film_obs + op->film;
  }
  if (op->around.buffer >= 0) {
    call.around = work->values + offset_of(e, op->around);
    call.around_row = e->buffers[op->around.buffer].row;
  }
  e->kernels->norm(&call);
}

static void run_round(const dpc_engine* e, const dpc_engine_work* work, const dpc_engine_op* op) {
  const dpc_engine_buffer* buffer = &e->buffers[op->round.buffer];
  for (int t = 0; t < buffer->rows; ++t) {
    const size_t at = offset_of(e, op->round) + (size_t)t * (size_t)buffer->row;
    e->kernels->to_bf16(op->round_channels, work->values + at, work->values_bf16 + at);
  }
}

// Rows of `n` values, `from_row` and `to_row` apart.
static void copy_rows(int rows, int n, const float* from, int from_row, float* to, int to_row) {
  for (int t = 0; t < rows; ++t, from += from_row, to += to_row) {
    for (int i = 0; i < n; ++i) to[i] = from[i];
  }
}

void dpc_engine_step(const dpc_engine* e, dpc_engine_work* work, int i, const float* sample,
                     float* out) {
  DPC_ASSERT(i >= 0 && i < work->count);
  const int dim = e->unet->def.input_dim, horizon = e->unet->def.horizon;
  const dpc_engine_buffer *input = &e->buffers[e->input], *output = &e->buffers[e->output];
  const float* film = work->film_steps + (size_t)e->film_size * (size_t)i;
  copy_rows(horizon, dim, sample, dim, work->values + input->offset, input->row);
  for (int o = 0; o < e->op_count; ++o) {
    const dpc_engine_op* op = &e->ops[o];
    if (op->kind == DPC_ENGINE_CONV) run_conv(e, work, &op->conv);
    if (op->kind == DPC_ENGINE_NORM) run_norm(e, work, &op->norm, film);
    if (op->kind == DPC_ENGINE_ROUND) run_round(e, work, op);
  }
  copy_rows(horizon, dim, work->values + output->offset, output->row, out, dim);
}

void dpc_engine_elementwise(const dpc_engine* e, dpc_engine_work* work, int i) {
  DPC_ASSERT(i >= 0 && i < work->count);
  const float* film = work->film_steps + (size_t)e->film_size * (size_t)i;
  for (int o = 0; o < e->op_count; ++o) {
    const dpc_engine_op* op = &e->ops[o];
    if (op->kind == DPC_ENGINE_NORM) run_norm(e, work, &op->norm, film);
    if (op->kind == DPC_ENGINE_ROUND) run_round(e, work, op);
  }
}
