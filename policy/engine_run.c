// A step: the list of operations, each thread doing its part of each.
#include "policy/engine_plan.h"
#include "policy/norm_mish.h"

// One step, as all threads see it.
typedef struct step_call {
  const dpc_engine* engine;
  dpc_engine_work* work;
  const float* film;  // of the timestep
  int samples;
  bool elementwise;  // and nothing else
} step_call;

static size_t offset_of(const dpc_engine* e, dpc_engine_view view) {
  return e->buffers[view.buffer].offset + (size_t)view.channel;
}

// Where the whole numbers of a thread begin, and what belongs to them, of a sample.
typedef struct wholes {
  char* values;             // of dpc_engine_whole_size
  dpc_whole_scale* scales;  // [buffers]
} wholes;

static wholes wholes_of(const step_call* s, int rank, int sample) {
  const dpc_engine* e = s->engine;
  const size_t at = (size_t)rank * (size_t)s->work->samples_max + (size_t)sample;
  return (wholes){.values = s->work->wholes + at * e->values * dpc_engine_whole_size(e),
                  .scales = s->work->scales + at * (size_t)e->buffer_count};
}

static void run_conv(const step_call* s, const dpc_engine_op* any, const dpc_engine_part* part,
                     int rank) {
  const dpc_engine* e = s->engine;
  const dpc_engine_conv* op = &any->conv;
  const size_t in = offset_of(e, op->in);
  const wholes whole = wholes_of(s, rank, 0);
  const size_t out = offset_of(e, op->out) + (size_t)part->first * DPC_LANES;
  const int row = e->buffers[op->out.buffer].row;
  const dpc_conv_call call = {
      .in = s->work->values + in,
      .in_bf16 = s->work->values_bf16 + in,
      .in_whole = whole.values + in * dpc_engine_whole_size(e),
      .in_scale = whole.scales + op->in.buffer,
      .in_row = e->buffers[op->in.buffer].row,
      .channels = op->channels,
      .rows = op->conv->time,
      .first = op->first,
      .step = op->step,
      .taps = op->taps,
      .positions = op->positions,
      .weights = part->packed,
      .weights_bf16 = part->packed,
      .weights_int8 = part->packed,
      .unit = op->unit != NULL ? op->unit + (ptrdiff_t)part->first * DPC_LANES : NULL,
      .tap_sums = op->unit != NULL ? op->tap_sums + (ptrdiff_t)part->first * DPC_LANES : NULL,
      .tap_sums_row = any->blocks * DPC_LANES,
      .bias = op->bias + (ptrdiff_t)part->first * DPC_LANES,
      .blocks = part->blocks,
      .out = s->work->values + out + (ptrdiff_t)op->out_first * row,
      .out_row = row * op->out_step,
      .samples = s->samples,
      .in_sample = (ptrdiff_t)e->values,
      .out_sample = (ptrdiff_t)e->values,
      .in_scale_sample = e->buffer_count,
      .prefetch = e->prefetch};
  switch (op->storage) {
    case DPC_STORAGE_FP32:
      e->kernels->conv(&call);
      return;
    case DPC_STORAGE_WIDENED:
      e->kernels->conv_widened(&call);
      return;
    case DPC_STORAGE_BF16:
      e->kernels->conv_bf16(&call);
      return;
    case DPC_STORAGE_INT8:
      e->kernels->conv_int8(&call);
      return;
  }
}

// The channels of one part, of one sample.
static dpc_norm_call norm_call(const step_call* s, const dpc_engine_op* any,
                               const dpc_engine_part* part, int sample) {
  const dpc_engine* e = s->engine;
  const dpc_engine_norm* op = &any->norm;
  const int first = part->first * DPC_LANES, channels = part->blocks * DPC_LANES;
  const int width = op->block->norm.channels / op->block->norm.groups;
  const int rest = op->block->norm.channels - first;  // channels that are not padding
  const size_t base = (size_t)sample * e->values + (size_t)first;
  const size_t out = base + offset_of(e, op->out);
  dpc_norm_call call = {.x = s->work->values + base + offset_of(e, op->in),
                        .x_row = e->buffers[op->in.buffer].row,
                        .rows = op->block->conv.time,
                        .channels = channels,
                        .groups = (rest < channels ? rest : channels) / width,
                        .width = width,
                        .gamma = op->gamma + first,
                        .beta = op->beta + first,
                        .out = op->wants_float ? s->work->values + out : NULL,
                        .out_row = e->buffers[op->out.buffer].row,
                        .out_bf16 = op->wants_bf16 ? s->work->values_bf16 + out : NULL};
  if (op->film >= 0) {
    const int to_shift = any->blocks * DPC_LANES;
    call.scale[0] = s->film + op->film + first;
    call.scale[1] = s->work->film_obs + (size_t)sample * (size_t)e->film_size + op->film + first;
    call.shift[0] = call.scale[0] + to_shift;
    call.shift[1] = call.scale[1] + to_shift;
  }
  if (op->around.buffer >= 0) {
    call.around = s->work->values + base + offset_of(e, op->around);
    call.around_row = e->buffers[op->around.buffer].row;
  }
  return call;
}

static void run_norm(const step_call* s, const dpc_engine_op* op, const dpc_engine_part* part) {
  for (int sample = 0; sample < s->samples; ++sample) {
    const dpc_norm_call call = norm_call(s, op, part, sample);
    s->engine->kernels->norm(&call);
  }
}

static void run_round(const step_call* s, const dpc_engine_op* op, const dpc_engine_part* part) {
  const dpc_engine* e = s->engine;
  const dpc_engine_buffer* buffer = &e->buffers[op->round.buffer];
  const size_t first = offset_of(e, op->round) + (size_t)part->first * DPC_LANES;
  for (int sample = 0; sample < s->samples; ++sample) {
    for (int t = 0; t < buffer->rows; ++t) {
      const size_t at = (size_t)sample * e->values + first + (size_t)t * (size_t)buffer->row;
      e->kernels->to_bf16(part->blocks * DPC_LANES, s->work->values + at,
                          s->work->values_bf16 + at);
    }
  }
}

static void run_whole(const step_call* s, const dpc_engine_op* op, int rank) {
  const dpc_engine* e = s->engine;
  const dpc_engine_buffer* buffer = &e->buffers[op->whole.buffer];
  const size_t first = offset_of(e, op->whole);
  for (int sample = 0; sample < s->samples; ++sample) {
    const wholes whole = wholes_of(s, rank, sample);
    const dpc_int8_call call = {.x = s->work->values + (size_t)sample * e->values + first,
                                .x_row = buffer->row,
                                .rows = buffer->rows,
                                .border = e->border,
                                .channels = op->blocks * DPC_LANES,
                                .together = e->kernels->int8_together,
                                .out = whole.values + first * dpc_engine_whole_size(e),
                                .scale = whole.scales + op->whole.buffer};
    e->kernels->to_int8(&call);
  }
}

static void run_part(void* context, int rank) {
  const step_call* s = context;
  const dpc_engine* e = s->engine;
  for (int o = 0; o < e->op_count; ++o) {
    const dpc_engine_op* op = &e->ops[o];
    const dpc_engine_part* part = &op->parts[rank];
    if (part->blocks > 0) {
      if (op->kind == DPC_ENGINE_CONV && !s->elementwise) run_conv(s, op, part, rank);
      if (op->kind == DPC_ENGINE_NORM) run_norm(s, op, part);
      if (op->kind == DPC_ENGINE_ROUND) run_round(s, op, part);
    }
    if (op->kind == DPC_ENGINE_WHOLE) run_whole(s, op, rank);
    if (op->meets) dpc_team_meet(s->work->team);
  }
}

// --- the owner's side ----------------------------------------------------------------------------

void dpc_engine_observe(const dpc_engine* e, dpc_engine_work* work, int samples,
                        const float* cond) {
  DPC_ASSERT(samples >= 1 && samples <= work->samples_max);
  dpc_team_wake(work->team);
  const int given = e->unet->def.global_cond_dim;
  dpc_mish_forward(samples * given, cond, work->cond_mish);
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
                              .out_row = e->film_size,
                              .samples = samples,
                              .in_sample = given,
                              .out_sample = e->film_size,
                              .prefetch = e->prefetch};
  e->kernels->conv(&call);
}

// The mask lies behind the input's channels, where a step writes nothing.
void dpc_engine_settle(const dpc_engine* e, dpc_engine_work* work, int at, int rows) {
  const dpc_unet_def* def = &e->unet->def;
  DPC_ASSERT(def->mask_dim == 1 && at >= 0 && at < work->samples_max);
  DPC_ASSERT(rows >= 0 && rows <= def->horizon);
  const dpc_engine_buffer* input = &e->buffers[e->input];
  float* mask = work->values + (size_t)at * e->values + input->offset + def->input_dim;
  for (int t = 0; t < def->horizon; ++t, mask += input->row) *mask = t < rows ? 1 : 0;
}

// Rows of `n` values, `from_row` and `to_row` apart.
static void copy_rows(int rows, int n, const float* from, int from_row, float* to, int to_row) {
  for (int t = 0; t < rows; ++t, from += from_row, to += to_row) {
    for (int i = 0; i < n; ++i) to[i] = from[i];
  }
}

void dpc_engine_step(const dpc_engine* e, dpc_engine_work* work, int i, int samples,
                     const float* sample, float* out) {
  DPC_ASSERT(i >= 0 && i < work->count);
  DPC_ASSERT(samples >= 1 && samples <= work->samples_max);
  const int dim = e->unet->def.input_dim, horizon = e->unet->def.horizon;
  const dpc_engine_buffer *input = &e->buffers[e->input], *output = &e->buffers[e->output];
  step_call call = {.engine = e,
                    .work = work,
                    .film = work->film_steps + (size_t)e->film_size * (size_t)i,
                    .samples = samples};
  for (int s = 0; s < samples; ++s) {
    copy_rows(horizon, dim, sample + (ptrdiff_t)s * horizon * dim, dim,
              work->values + (size_t)s * e->values + input->offset, input->row);
  }
  dpc_team_run(work->team, run_part, &call);
  for (int s = 0; s < samples; ++s) {
    copy_rows(horizon, dim, work->values + (size_t)s * e->values + output->offset, output->row,
              out + (ptrdiff_t)s * horizon * dim, dim);
  }
}

void dpc_engine_rest(dpc_engine_work* work) {
  dpc_team_rest(work->team);
}

void dpc_engine_elementwise(const dpc_engine* e, dpc_engine_work* work, int i) {
  DPC_ASSERT(i >= 0 && i < work->count);
  step_call call = {.engine = e,
                    .work = work,
                    .film = work->film_steps + (size_t)e->film_size * (size_t)i,
                    .samples = 1,
                    .elementwise = true};
  dpc_team_run(work->team, run_part, &call);
}
