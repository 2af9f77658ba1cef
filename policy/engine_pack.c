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
  for (int c = 0; c < op->channels; ++c) {
    for (int k = 0; k < op->taps; ++k) {
      const size_t row = (size_t)(c / pair * op->taps + k) * (size_t)(outputs * pair);
      for (int j = 0; j < outputs; ++j) {
        const float value = weight_at(op, params, block * DPC_LANES + j, k, c);
        const size_t at = row + (size_t)(j * pair + c % pair);
        if (bf16 != NULL)
          bf16[at] = dpc_bf16(value);
        else
          f32[at] = value;
      }
    }
  }
}

// Weights of a thread's share, group after group.
static bool pack_part(dpc_engine* e, const dpc_engine_conv* op, dpc_engine_part* part,
                      dpc_arena* arena) {
  const size_t block_size = (size_t)op->taps * (size_t)op->channels * DPC_LANES;
  const size_t count = block_size * (size_t)part->blocks;
  float* f32 = op->bf16 ? NULL : DPC_TAKE(arena, float, count);
  uint16_t* bf16 = op->bf16 ? DPC_TAKE(arena, uint16_t, count) : NULL;
  if (f32 == NULL && bf16 == NULL) return false;
  const int most =
      op->bf16 ? e->kernels->group_bf16(op->positions) : e->kernels->group(op->positions);
  for (int b = 0; b < part->blocks;) {
    const int width = dpc_group_width(most, part->blocks - b);
    const size_t at = block_size * (size_t)b;
    pack_group(op, e->params, part->first + b, width, op->bf16 ? 2 : 1,
               f32 != NULL ? f32 + at : NULL, bf16 != NULL ? bf16 + at : NULL);
    b += width;
  }
  part->weights = f32;
  part->weights_bf16 = bf16;
  e->weight_bytes += count * (op->bf16 ? sizeof *bf16 : sizeof *f32);
  return true;
}

// Share the blocks out, whole units to each thread.
static bool share_out(const dpc_engine* e, dpc_engine_op* op, dpc_arena* arena) {
  op->parts = DPC_TAKE(arena, dpc_engine_part, e->threads);
  if (op->parts == NULL) return false;
  const int units = (op->blocks + op->unit - 1) / op->unit;
  for (int rank = 0; rank < e->threads; ++rank) {
    const int first = units * rank / e->threads * op->unit;
    const int end = units * (rank + 1) / e->threads * op->unit;
    op->parts[rank].first = first;
    op->parts[rank].blocks = (end < op->blocks ? end : op->blocks) - first;
  }
  return true;
}

static float* pad_copy(dpc_arena* arena, const float* values, int count) {
  float* padded = DPC_TAKE(arena, float, dpc_lanes_up(count));
  if (padded != NULL) memcpy(padded, values, sizeof(float) * (size_t)count);
  return padded;
}

static bool pack_vectors(const dpc_engine* e, dpc_engine_op* op, dpc_arena* arena) {
  if (op->kind == DPC_ENGINE_CONV) {
    op->conv.bias = pad_copy(arena, e->params + op->conv.conv->bias, op->conv.conv->conv.out);
    return op->conv.bias != NULL;
  }
  if (op->kind == DPC_ENGINE_NORM) {
    const dpc_unet_conv_block* block = op->norm.block;
    op->norm.gamma = pad_copy(arena, e->params + block->gamma, block->norm.channels);
    op->norm.beta = pad_copy(arena, e->params + block->beta, block->norm.channels);
    return op->norm.gamma != NULL && op->norm.beta != NULL;
  }
  return true;
}

// Each thread's weights lie in one piece, in the order of the operations: what is fetched ahead of
// the end of one is the beginning of the next.
dpc_status dpc_engine_pack(dpc_engine* e, dpc_arena* arena, dpc_error* error) {
  bool fits = true;
  for (int i = 0; fits && i < e->op_count; ++i) {
    fits = share_out(e, &e->ops[i], arena) && pack_vectors(e, &e->ops[i], arena);
  }
  for (int rank = 0; fits && rank < e->threads; ++rank) {
    for (int i = 0; fits && i < e->op_count; ++i) {
      dpc_engine_op* op = &e->ops[i];
      if (op->kind == DPC_ENGINE_CONV) fits = pack_part(e, &op->conv, &op->parts[rank], arena);
    }
  }
  return fits ? DPC_OK : dpc_arena_full(arena, "the network's packed weights", error);
}
