/// Inside the engine: the network as a list of operations on buffers. Shared by the files engine*.c
/// and nobody else.
#pragma once

#include "policy/engine.h"
#include "policy/kernels/kernels.h"
#include "policy/team.h"
#include "policy/unet_plan.h"

/// Rows of activations in the work area, channels padded to whole blocks, with zeros before and
/// after. Padding and borders are never written, so they stay zero. Each sample has all buffers.
typedef struct dpc_engine_buffer {
  int rows, row;  // `row` values from one to the next
  size_t offset;  // of row 0 among the sample's values
} dpc_engine_buffer;

/// Some of a buffer's channels.
typedef struct dpc_engine_view {
  int buffer, channel;
} dpc_engine_view;

/// One thread's share of an operation: some of its output channels, in blocks.
typedef struct dpc_engine_part {
  int first, blocks;
  void* packed;  // weights of a convolution, as its storage says
} dpc_engine_part;

/// A convolution, or one phase of a transposed one.
typedef struct dpc_engine_conv {
  const dpc_unet_conv* conv;
  dpc_engine_view in, out;
  int split;     // channels before the skip's, where the input is joined; 0 where it is not
  int channels;  // that the input's rows hold, padding between the joined parts included
  int first, step, taps, tap_of[2];  // of a phase: the reference's taps
  int positions;
  int out_first, out_step;  // rows of the output
  dpc_storage storage;
  const float* bias;
  const float* unit;      // of weights in 8 bits
  const float* tap_sums;  // of them
} dpc_engine_conv;

/// Normalisation and what follows it.
typedef struct dpc_engine_norm {
  const dpc_unet_conv_block* block;
  dpc_engine_view in, out, around;  // around.buffer < 0 for none
  int film;                         // offset of the scale, or -1
  bool wants_float, wants_bf16;
  const float *gamma, *beta;
} dpc_engine_norm;

typedef enum dpc_engine_kind {
  DPC_ENGINE_CONV,
  DPC_ENGINE_NORM,
  DPC_ENGINE_ROUND,  // to bfloat16, each thread its part
  DPC_ENGINE_WHOLE,  // to 8 bits, each thread all for itself: the unit is one for all channels
} dpc_engine_kind;

typedef struct dpc_engine_op {
  dpc_engine_kind kind;
  union {
    dpc_engine_conv conv;
    dpc_engine_norm norm;
    dpc_engine_view round, whole;  // rows of this view's buffer, from its channel on
  };
  int blocks;              // of output channels
  int unit;                // blocks that one thread has to do together
  bool meets;              // others read what this writes: threads wait for each other after it
  dpc_engine_part* parts;  // [threads]
} dpc_engine_op;

enum { DPC_ENGINE_OPS_MAX = 32 * DPC_UNET_LEVELS_MAX, DPC_ENGINE_BUFFERS_MAX = 128 };

struct dpc_engine {
  const dpc_unet* unet;
  const float* params;
  const dpc_kernels* kernels;
  dpc_precision precision;  // not auto
  int threads;
  ptrdiff_t prefetch;  // bytes
  dpc_engine_op ops[DPC_ENGINE_OPS_MAX];
  int op_count;
  dpc_engine_buffer buffers[DPC_ENGINE_BUFFERS_MAX];
  int buffer_count;
  int border;                 // rows before and after each buffer's
  size_t values;              // in all buffers, of one sample
  int film_size;              // values of all FiLM layers
  int input, output;          // buffers
  const float* film_weights;  // packed, the observations' columns
  const float* film_bias;     // [film_size]
  size_t weight_bytes;
};

struct dpc_engine_work {
  dpc_team* team;
  int samples_max;
  float* values;            // [samples_max][values]
  uint16_t* values_bf16;    // likewise
  char* wholes;             // [threads][samples_max][values], of dpc_engine_whole_size
  dpc_whole_scale* scales;  // [threads][samples_max][buffers]
  float* film_steps;        // [count][film_size]
  float* film_obs;          // [samples_max][film_size]
  float* cond_mish;         // [samples_max][global_cond_dim]
  int count;                // timesteps
};

/// Convolutions read what is rounded to bfloat16, and not fp32.
static inline bool dpc_engine_rounds(const dpc_engine* engine) {
  return engine->precision == DPC_PRECISION_BF16 && engine->kernels->bf16_dot;
}

/// Channels that lie together where weights are kept so.
static inline int dpc_engine_together(const dpc_engine* engine, dpc_storage storage) {
  if (storage == DPC_STORAGE_FP32) return 1;
  return storage == DPC_STORAGE_INT8 ? engine->kernels->int8_together : 2;
}

/// Bytes of an input's whole number.
static inline size_t dpc_engine_whole_size(const dpc_engine* engine) {
  return engine->kernels->int8_together == 4 ? sizeof(uint8_t) : sizeof(int16_t);
}

/// Convolutions read whole numbers.
static inline bool dpc_engine_wholes(const dpc_engine* engine) {
  return engine->precision == DPC_PRECISION_INT8;
}

/// List the operations; no weights yet.
/// Allocates: no. Blocks: no. Thread: start-up only.
void dpc_engine_plan(dpc_engine* engine);

/// Pack what the operations read.
/// Allocates: from the arena. Blocks: no. Thread: start-up only.
DPC_NODISCARD dpc_status dpc_engine_pack(dpc_engine* engine, dpc_arena* arena, dpc_error* error);

/// Pack FiLM's columns of the observations.
/// Allocates: from the arena. Blocks: no. Thread: start-up only.
DPC_NODISCARD dpc_status dpc_engine_film_pack(dpc_engine* engine, dpc_arena* arena,
                                              dpc_error* error);

/// Write film [film_size]: what `timestep` and `step_size` add to FiLM, without the bias. `scratch`
/// is a work area of the network.
/// Allocates: no. Blocks: no. Thread: any, one scratch each.
void dpc_engine_film_step(const dpc_engine* engine, dpc_unet_work* scratch, float timestep,
                          float step_size, float* film);
