#include <string.h>

#include "policy/engine_plan.h"

// Channel of the reference that a row's channel `c` holds, or -1 for padding.
static int channel_of(const dpc_engine_conv* op, int c) {
  if (op->split == 0) return c < op->conv->conv.in ? c : -1;
  const int skip = dpc_lanes_up(op->split);
  if (c >= skip)
    c += op->split - skip;
  else if (c >= op->split)
    return -1;
  return c < op->conv->conv.in ? c : -1;
}

// Weight of output `n`, tap `k` of the operation and channel `c` of its rows.
static float weight_at(const dpc_engine_conv* op, const float* params, int n, int k, int c) {
  const dpc_conv1d* shape = &op->conv->conv;
  const int channel = channel_of(op, c);
  if (n >= shape->out || channel < 0) return 0;
  const float* weight = params + op->conv->weight;
  const size_t in = (size_t)shape->in;
  if (shape->transposed) {
    const size_t tap = (size_t)op->tap_of[k];
    return weight[(tap * (size_t)shape->out + (size_t)n) * in + (size_t)channel];
  }
  return weight[((size_t)n * (size_t)shape->kernel + (size_t)k) * in + (size_t)channel];
}

// Values in one group's order; `pair` is the channels that lie beside each other.
static void pack_group(const dpc_engine_conv* op, const float* params, int block, int width,
                       int pair, float* f32, uint16_t* bf16) {
  const int outputs = width * DPC_LANES;
  for (int k = 0; k < op->taps; ++k) {
    for (int c = 0; c < op->channels; ++c) {
      for (int j = 0; j < outputs; ++j) {
        const float value = weight_at(op, params, block * DPC_LANES + j, k, c);
        const size_t row = ((size_t)k * (size_t)op->channels + (size_t)(c - c % pair));
        const size_t at = row * (size_t)outputs + (size_t)(j * pair + c % pair);
        if (bf16 != NULL)
          bf16[at] = dpc_bf16(value);
        else
          f32[at] = value;
      }
    }
  }
}

static float* pad_copy(dpc_arena* arena, const float* values, int count) {
  float* padded = DPC_TAKE(arena, float, dpc_lanes_up(count));
  if (padded != NULL) memcpy(padded, values, sizeof(float) * (size_t)count);
  return padded;
}

static bool pack_conv(dpc_engine* e, dpc_engine_conv* op, dpc_arena* arena) {
  const int blocks = dpc_lanes_up(op->conv->conv.out) / DPC_LANES;
  const size_t block_size = (size_t)op->taps * (size_t)op->channels * DPC_LANES;
  const size_t count = block_size * (size_t)blocks;
  float* f32 = op->bf16 ? NULL : DPC_TAKE(arena, float, count);
  uint16_t* bf16 = op->bf16 ? DPC_TAKE(arena, uint16_t, count) : NULL;
  op->bias = pad_copy(arena, e->params + op->conv->bias, op->conv->conv.out);
  if ((f32 == NULL && bf16 == NULL) || op->bias == NULL) return false;
  e->weight_bytes += count * (op->bf16 ? sizeof *bf16 : sizeof *f32);
  const int most =
      op->bf16 ? e->kernels->group_bf16(op->positions) : e->kernels->group(op->positions);
  for (int b = 0; b < blocks;) {
    const int width = dpc_group_width(most, blocks - b);
    const size_t at = block_size * (size_t)b;
    pack_group(op, e->params, b, width, op->bf16 ? 2 : 1, f32 != NULL ? f32 + at : NULL,
               bf16 != NULL ? bf16 + at : NULL);
    b += width;
  }
  op->weights = f32;
  op->weights_bf16 = bf16;
  return true;
}

static bool pack_norm(const dpc_engine* e, dpc_engine_norm* op, dpc_arena* arena) {
  op->gamma = pad_copy(arena, e->params + op->block->gamma, op->block->norm.channels);
  op->beta = pad_copy(arena, e->params + op->block->beta, op->block->norm.channels);
  return op->gamma != NULL && op->beta != NULL;
}

dpc_status dpc_engine_pack(dpc_engine* e, dpc_arena* arena, dpc_error* error) {
  for (int i = 0; i < e->op_count; ++i) {
    dpc_engine_op* op = &e->ops[i];
    bool fits = true;
    if (op->kind == DPC_ENGINE_CONV) fits = pack_conv(e, &op->conv, arena);
    if (op->kind == DPC_ENGINE_NORM) fits = pack_norm(e, &op->norm, arena);
    if (!fits) return dpc_arena_full(arena, "the network's packed weights", error);
  }
  return DPC_OK;
}
