#include "policy/engine_plan.h"

#include <math.h>

// --- buffers -------------------------------------------------------------------------------------

static int add_buffer(dpc_engine* e, int rows, int channels) {
  DPC_ASSERT(e->buffer_count < DPC_ENGINE_BUFFERS_MAX);
  const int row = dpc_lanes_up(channels);
  e->buffers[e->buffer_count] = (dpc_engine_buffer){
      .rows = rows, .row = row, .offset = e->values + (size_t)e->border * (size_t)row};
  e->values += (size_t)(e->border + rows + e->border) * (size_t)row;
  return e->buffer_count++;
}

static dpc_engine_view add_view(dpc_engine* e, int rows, int channels) {
  return (dpc_engine_view){add_buffer(e, rows, channels), 0};
}

// --- operations ----------------------------------------------------------------------------------

static dpc_engine_op* add_op(dpc_engine* e, dpc_engine_kind kind, int channels) {
  DPC_ASSERT(e->op_count < DPC_ENGINE_OPS_MAX);
  dpc_engine_op* op = &e->ops[e->op_count++];
  op->kind = kind;
  op->blocks = dpc_lanes_up(channels) / DPC_LANES;
  op->unit = 1;
  return op;
}

// What was written last is read by others.
static void meet(dpc_engine* e) {
  e->ops[e->op_count - 1].meets = true;
}

// Fewest blocks that hold whole groups.
static int whole_groups(const dpc_norm_mish* norm) {
  const int width = norm->channels / norm->groups;
  int blocks = 1;
  while (blocks * DPC_LANES % width != 0) ++blocks;
  return blocks;
}

static size_t weight_count(const dpc_unet_conv* conv) {
  return (size_t)conv->conv.out * (size_t)conv->conv.in * (size_t)conv->conv.kernel;
}

// Policies are saved in bfloat16: their weights lose nothing by it.
static bool is_exact(const dpc_engine* e, const dpc_unet_conv* conv) {
  for (size_t i = 0; i < weight_count(conv); ++i) {
    const float weight = e->params[conv->weight + i];
    if (dpc_from_bf16(dpc_bf16(weight)) != weight) return false;
  }
  return true;
}

static dpc_storage choose_storage(const dpc_engine* e, const dpc_unet_conv* conv) {
  if (e->precision == DPC_PRECISION_FP32) {
    return e->kernels->widens && is_exact(e, conv) ? DPC_STORAGE_WIDENED : DPC_STORAGE_FP32;
  }
  if (e->precision == DPC_PRECISION_INT8) return DPC_STORAGE_INT8;
  return e->kernels->bf16_dot ? DPC_STORAGE_BF16 : DPC_STORAGE_WIDENED;
}

static dpc_engine_conv* add_conv(dpc_engine* e, const dpc_unet_conv* conv, dpc_engine_view in,
                                 int split, dpc_engine_view out) {
  const dpc_conv1d* shape = &conv->conv;
  dpc_engine_conv* op = &add_op(e, DPC_ENGINE_CONV, shape->out)->conv;
  *op = (dpc_engine_conv){.conv = conv,
                          .in = in,
                          .out = out,
                          .split = split,
                          .channels = shape->in,
                          .first = -shape->pad,
                          .step = shape->stride,
                          .taps = shape->kernel,
                          .positions = dpc_conv1d_time(shape, conv->time),
                          .out_step = 1,
                          .storage = choose_storage(e, conv)};
  if (split > 0) op->channels = dpc_lanes_up(split) + shape->in - split;
  // what lies together is whole; what is too many meets zeros
  const int together = dpc_engine_together(e, op->storage);
  op->channels = (op->channels + together - 1) / together * together;
  return op;
}

// Where few weights are at stake, in fp32.
static void read_in_full(dpc_engine_conv* op, int channels) {
  op->storage = DPC_STORAGE_FP32;
  op->channels = channels;
}

// What is read as whole numbers is made so by each thread, once all have met.
static void add_whole(dpc_engine* e, dpc_engine_view view, int channels) {
  if (!dpc_engine_wholes(e)) return;
  add_op(e, DPC_ENGINE_WHOLE, channels)->whole = view;
}

// Every second row of the output reads the same two taps: rows 2j taps 3 and 1 of inputs j - 1 and
// j, rows 2j + 1 taps 2 and 0 of j and j + 1.
static void add_transposed(dpc_engine* e, const dpc_unet_conv* conv, dpc_engine_view in,
                           dpc_engine_view out) {
  DPC_ASSERT(conv->conv.kernel == 4 && conv->conv.stride == 2 && conv->conv.pad == 1);
  add_whole(e, in, conv->conv.in);
  for (int phase = 0; phase < 2; ++phase) {
    dpc_engine_conv* op = add_conv(e, conv, in, 0, out);
    op->first = phase - 1;
    op->step = 1;
    op->taps = 2;
    op->tap_of[0] = 3 - phase;
    op->tap_of[1] = 1 - phase;
    op->positions = conv->time;
    op->out_first = phase;
    op->out_step = 2;
  }
}

// What convolutions wrote and others read has to be rounded on the way.
static void add_round(dpc_engine* e, dpc_engine_view view, int channels) {
  if (!dpc_engine_rounds(e)) return;
  add_op(e, DPC_ENGINE_ROUND, channels)->round = view;
}

// The convolutions since `first` write channels that it reads: a thread keeps its own.
static void add_norm(dpc_engine* e, int first, const dpc_unet_conv_block* block, dpc_engine_view in,
                     int film, dpc_engine_view around, dpc_engine_view out, bool wants_float) {
  add_op(e, DPC_ENGINE_NORM, block->norm.channels)->norm =
      (dpc_engine_norm){.block = block,
                        .in = in,
                        .out = out,
                        .around = around,
                        .film = film,
                        .wants_float = wants_float || !dpc_engine_rounds(e),
                        .wants_bf16 = dpc_engine_rounds(e)};
  int least = 1;
  for (int i = first; i < e->op_count; ++i) {
    if (e->ops[i].unit > least) least = e->ops[i].unit;
  }
  int unit = least;
  while (unit % whole_groups(&block->norm) != 0) unit += least;
  for (int i = first; i < e->op_count; ++i) e->ops[i].unit = unit;
  meet(e);
}

// --- the network ---------------------------------------------------------------------------------

static const dpc_engine_view nothing = {-1, 0};

static void add_residual(dpc_engine* e, const dpc_unet_residual* r, dpc_engine_view in, int split,
                         dpc_engine_view out) {
  const dpc_engine_view pre = add_view(e, r->time, r->out), act = add_view(e, r->time, r->out);
  // the sample itself is read in full: it has few channels
  const bool exact = in.buffer == e->input;
  if (!exact) add_whole(e, in, split > 0 ? 2 * dpc_lanes_up(split) : r->in);
  int at = e->op_count;
  dpc_engine_conv* first = add_conv(e, &r->first.conv, in, split, pre);
  if (exact) read_in_full(first, r->in);
  add_norm(e, at, &r->first, pre, e->film_size, nothing, act, false);
  e->film_size += 2 * dpc_lanes_up(r->out);
  add_whole(e, act, r->out);
  at = e->op_count;
  add_conv(e, &r->second.conv, act, 0, pre);
  dpc_engine_view around = in;
  if (r->projects) {
    around = add_view(e, r->time, r->out);
    dpc_engine_conv* projection = add_conv(e, &r->projection, in, split, around);
    if (exact) read_in_full(projection, r->in);
  }
  add_norm(e, at, &r->second, pre, -1, around, out, true);
}

static dpc_engine_view add_down(dpc_engine* e, dpc_engine_view x, dpc_engine_view* up_in) {
  const dpc_unet* u = e->unet;
  for (int i = 0; i < u->levels; ++i) {
    const dpc_unet_level* level = &u->down[i];
    const dpc_unet_residual* r = level->residual;
    const dpc_engine_view middle = add_view(e, r[0].time, r[0].out);
    dpc_engine_view end;
    if (i > 0) {
      const int lanes = dpc_lanes_up(r[1].out);
      const dpc_engine_view both = add_view(e, r[1].time, 2 * lanes);
      up_in[u->levels - 1 - i] = both;
      end = (dpc_engine_view){both.buffer, lanes};
    } else {
      end = add_view(e, r[1].time, r[1].out);
    }
    add_residual(e, &r[0], x, 0, middle);
    add_residual(e, &r[1], middle, 0, end);
    x = end;
    if (!level->resamples) continue;
    x = add_view(e, r[1].time / 2, r[1].out);
    add_whole(e, end, r[1].out);
    add_conv(e, &level->resample, end, 0, x);
    add_round(e, x, r[1].out);
    meet(e);
  }
  return x;
}

static dpc_engine_view add_up(dpc_engine* e, const dpc_engine_view* up_in) {
  const dpc_unet* u = e->unet;
  dpc_engine_view x = up_in[0];
  for (int i = 0; i < u->levels - 1; ++i) {
    const dpc_unet_level* level = &u->up[i];
    const dpc_unet_residual* r = level->residual;
    const dpc_engine_view middle = add_view(e, r[0].time, r[0].out);
    const dpc_engine_view end = add_view(e, r[1].time, r[1].out);
    add_residual(e, &r[0], up_in[i], r[0].in / 2, middle);
    add_residual(e, &r[1], middle, 0, end);
    x = i + 2 < u->levels ? up_in[i + 1] : add_view(e, 2 * r[1].time, r[1].out);
    add_transposed(e, &level->resample, end, x);
    add_round(e, x, r[1].out);
    meet(e);
  }
  return x;
}

void dpc_engine_plan(dpc_engine* e) {
  const dpc_unet* u = e->unet;
  const int horizon = u->def.horizon, start = u->def.down_dims.values[0];
  e->border = u->def.kernel_size > 2 ? u->def.kernel_size / 2 : 1;
  dpc_engine_view up_in[DPC_UNET_LEVELS_MAX] = {{0}};
  e->input = add_buffer(e, horizon, dpc_unet_row(&u->def));
  dpc_engine_view x = add_down(e, (dpc_engine_view){e->input, 0}, up_in);
  const dpc_engine_view middle = add_view(e, u->mid[0].time, u->mid[0].out);
  const dpc_engine_view bottom =
      u->levels > 1 ? up_in[0] : add_view(e, u->mid[1].time, u->mid[1].out);
  add_residual(e, &u->mid[0], x, 0, middle);
  add_residual(e, &u->mid[1], middle, 0, bottom);
  x = u->levels > 1 ? add_up(e, up_in) : bottom;
  const dpc_engine_view pre = add_view(e, horizon, start), act = add_view(e, horizon, start);
  add_whole(e, x, u->last_block.conv.conv.in);
  const int at = e->op_count;
  add_conv(e, &u->last_block.conv, x, 0, pre);
  add_norm(e, at, &u->last_block, pre, -1, nothing, act, true);
  e->output = add_buffer(e, horizon, u->def.input_dim);
  dpc_engine_conv* last = add_conv(e, &u->last, act, 0, (dpc_engine_view){e->output, 0});
  read_in_full(last, start);
}
