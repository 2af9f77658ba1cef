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

// One group's weights in their order, each as 32 bits or as bfloat16; `pair` is the channels that lie
// beside each other.
typedef struct packer {
  const dpc_engine_conv* op;
  const float* params;
  int block, width;
  int pair;
} packer;

static float packed_at(const packer* p, int c, int k, int j) {
  return weight_at(p->op, p->params, p->block * DPC_LANES + j / p->pair, k, c + j % p->pair);
}

static void pack_fp32(const packer* p, float* to) {
  for (int c = 0; c < p->op->channels; ++c) {
    for (int k = 0; k < p->op->taps; ++k) {
      for (int j = 0; j < p->width * DPC_LANES; ++j) *to++ = packed_at(p, c, k, j);
    }
  }
}

static void pack_bf16(const packer* p, uint16_t* to) {
  for (int c = 0; c < p->op->channels; c += 2) {
    for (int k = 0; k < p->op->taps; ++k) {
      for (int j = 0; j < 2 * p->width * DPC_LANES; ++j) *to++ = dpc_bf16(packed_at(p, c, k, j));
    }
  }
}

// Three blocks by themselves; of the fourth each has a third.
static void pack_bf12(const packer* p, uint16_t* to) {
  enum { VECTOR = 2 * DPC_LANES };
  for (int c = 0; c < p->op->channels; c += 2) {
    for (int k = 0; k < p->op->taps; ++k) {
      for (int j = 0; j < 3 * VECTOR; ++j) {
        const uint16_t fourth = dpc_bf12(packed_at(p, c, k, 3 * VECTOR + j % VECTOR));
        *to++ = dpc_bf12(packed_at(p, c, k, j)) | dpc_bf12_third(fourth, j / VECTOR);
      }
    }
  }
}

// Elements of 32 or 16 bits that `blocks` of an operation take.
static size_t packed_count(const dpc_engine_conv* op, int blocks) {
  const size_t count = (size_t)op->taps * (size_t)op->channels * (size_t)blocks * DPC_LANES;
  return op->storage == DPC_STORAGE_BF12 ? count / 4 * 3 : count;
}

static int widest_group(const dpc_engine* e, const dpc_engine_conv* op) {
  if (op->storage == DPC_STORAGE_BF16) return e->kernels->group_bf16(op->positions);
  if (op->storage == DPC_STORAGE_BF12) return DPC_BF12_BLOCKS;
  return e->kernels->group(op->positions);
}

// Weights of a thread's share, group after group.
static bool pack_part(dpc_engine* e, const dpc_engine_conv* op, dpc_engine_part* part,
                      dpc_arena* arena) {
  const bool wide = op->storage == DPC_STORAGE_FP32;
  const size_t bytes = packed_count(op, part->blocks) * (wide ? sizeof(float) : sizeof(uint16_t));
  void* taken = dpc_arena_take(arena, bytes);
  if (taken == NULL) return false;
  part->weights = wide ? taken : NULL;
  part->weights_bf16 = wide ? NULL : taken;
  e->weight_bytes += bytes;
  for (int b = 0; b < part->blocks;) {
    const packer p = {.op = op,
                      .params = e->params,
                      .block = part->first + b,
                      .width = dpc_group_width(widest_group(e, op), part->blocks - b),
                      .pair = wide ? 1 : 2};
    const size_t at = packed_count(op, b);
    if (wide) {
      pack_fp32(&p, (float*)taken + at);
    } else if (op->storage == DPC_STORAGE_BF12) {
      pack_bf12(&p, (uint16_t*)taken + at);
    } else {
      pack_bf16(&p, (uint16_t*)taken + at);
    }
    b += p.width;
  }
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
