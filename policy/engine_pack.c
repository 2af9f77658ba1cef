#include <math.h>
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

// One group's weights in their order; `together` is the channels that lie beside each other.
typedef struct packer {
  const dpc_engine_conv* op;
  const float* params;
  int block, width;
  int together;
} packer;

static float packed_at(const packer* p, int c, int k, int j) {
  return weight_at(p->op, p->params, p->block * DPC_LANES + j / p->together, k,
                   c + j % p->together);
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

// A weight in its output channel's units; those of channels that are padding are 0.
static int8_t to_whole(float weight, float unit) {
  return unit > 0 ? (int8_t)lrintf(weight / unit) : 0;
}

static void pack_int8(const packer* p, int8_t* to) {
  const float* unit = p->op->unit + (ptrdiff_t)p->block * DPC_LANES;
  const int together = p->together;
  for (int c = 0; c < p->op->channels; c += together) {
    for (int k = 0; k < p->op->taps; ++k) {
      for (int j = 0; j < together * p->width * DPC_LANES; ++j) {
        *to++ = to_whole(packed_at(p, c, k, j), unit[j / together]);
      }
    }
  }
}

// Elements, of whatever size, that `blocks` of an operation take.
static size_t packed_count(const dpc_engine_conv* op, int blocks) {
  return (size_t)op->taps * (size_t)op->channels * (size_t)blocks * DPC_LANES;
}

// Where a group's weights go, `at` elements behind the part's first.
static void pack_group(const packer* p, const dpc_engine_part* part, size_t at) {
  switch (p->op->storage) {
    case DPC_STORAGE_FP32:
      pack_fp32(p, (float*)part->packed + at);
      return;
    case DPC_STORAGE_WIDENED:
    case DPC_STORAGE_BF16:
      pack_bf16(p, (uint16_t*)part->packed + at);
      return;
    case DPC_STORAGE_INT8:
      pack_int8(p, (int8_t*)part->packed + at);
      return;
  }
}

static size_t element_size(dpc_storage storage) {
  if (storage == DPC_STORAGE_FP32) return sizeof(float);
  return storage == DPC_STORAGE_INT8 ? sizeof(int8_t) : sizeof(uint16_t);
}

// Weights of a thread's share, group after group.
static bool pack_part(dpc_engine* e, const dpc_engine_conv* op, dpc_engine_part* part,
                      dpc_arena* arena) {
  const size_t bytes = packed_count(op, part->blocks) * element_size(op->storage);
  const int widest = e->kernels->group(op->positions);
  part->packed = dpc_arena_take(arena, bytes);
  if (part->packed == NULL) return false;
  e->weight_bytes += bytes;
  for (int b = 0; b < part->blocks;) {
    const packer p = {.op = op,
                      .params = e->params,
                      .block = part->first + b,
                      .width = dpc_group_width(widest, part->blocks - b),
                      .together = dpc_engine_together(e, op->storage)};
    pack_group(&p, part, packed_count(op, b));
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

// What a unit of an output channel's weights stands for, so that the largest is 127.
static float* weight_units(const dpc_engine_conv* op, const float* params, dpc_arena* arena) {
  const int out = op->conv->conv.out;
  float* unit = DPC_TAKE(arena, float, dpc_lanes_up(out));
  for (int n = 0; unit != NULL && n < out; ++n) {
    float most = 0;
    for (int k = 0; k < op->taps; ++k) {
      for (int c = 0; c < op->channels; ++c) {
        most = fmaxf(most, fabsf(weight_at(op, params, n, k, c)));
      }
    }
    unit[n] = most / DPC_INT8_MAX;
  }
  return unit;
}

// What the whole weights of all taps before add up to, [taps + 1] rows.
static float* sum_taps(const dpc_engine_conv* op, const float* params, dpc_arena* arena) {
  const int out = op->conv->conv.out, row = dpc_lanes_up(out);
  float* sums = DPC_TAKE(arena, float, (op->taps + 1) * row);
  for (int k = 0; sums != NULL && k < op->taps; ++k) {
    for (int n = 0; n < out; ++n) {
      int sum = 0;
      for (int c = 0; c < op->channels; ++c) {
        sum += to_whole(weight_at(op, params, n, k, c), op->unit[n]);
      }
      sums[(k + 1) * row + n] = sums[k * row + n] + (float)sum;
    }
  }
  return sums;
}

static bool pack_wholes(dpc_engine_conv* op, const float* params, dpc_arena* arena) {
  op->unit = weight_units(op, params, arena);
  op->tap_sums = op->unit != NULL ? sum_taps(op, params, arena) : NULL;
  return op->tap_sums != NULL;
}

static bool pack_vectors(const dpc_engine* e, dpc_engine_op* op, dpc_arena* arena) {
  if (op->kind == DPC_ENGINE_CONV) {
    op->conv.bias = pad_copy(arena, e->params + op->conv.conv->bias, op->conv.conv->conv.out);
    if (op->conv.bias == NULL) return false;
    return op->conv.storage != DPC_STORAGE_INT8 || pack_wholes(&op->conv, e->params, arena);
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
