/// The conditional one-dimensional temporal U-Net that predicts the noise in a chunk of actions:
/// ConditionalUnet1D of Diffusion Policy (Chi et al. 2023, arXiv 2303.04137), layer for layer, so
/// that weights travel both ways.
///
/// Levels of residual blocks go down in time and up in channels, and back, with skips between. Each
/// block is modulated (FiLM) by the condition: the embedded timestep and the observation history.
///
/// A `dpc_unet` is the plan: shapes and where each tensor lies in one flat block of parameters. It
/// holds no weights and never changes. A `dpc_unet_work` holds the activations of one thread.
/// This is the plain implementation: the one that trains, and the oracle of the faster engine.
#pragma once

#include "policy/arena.h"
#include "policy/field.h"
#include "policy/rng.h"

typedef struct dpc_unet_def {
  int input_dim;           // values in a row of a chunk; from the data, not a setting
  int global_cond_dim;     // values of the observation history; from the data, not a setting
  int horizon;             // rows in a chunk
  dpc_int_list down_dims;  // channels of each level
  int kernel_size;         // taps, odd
  int group_count;         // of the group normalisation
  int step_embed_dim;      // of the timestep's embedding, even
  int mask_dim;       // 1: a row that goes in ends with whether it is settled, 1 or 0; from how
                      // it was trained, not a setting
  int step_size_dim;  // 1: it is also told how far its answer will be followed (shortcut models,
                      // Frans et al. 2024, arXiv 2410.12557); from how it was trained, too
} dpc_unet_def;

/// Values in a row that goes in. What comes out has input_dim.
/// Allocates: no. Blocks: no. Thread: any.
static inline int dpc_unet_row(const dpc_unet_def* def) {
  return def->input_dim + def->mask_dim;
}

extern const dpc_field_table dpc_unet_fields;  // section "unet"

/// The settings' defaults; what is no setting is left 0.
/// Allocates: no. Blocks: no. Thread: any.
dpc_unet_def dpc_unet_def_default(void);

/// Check ranges and relations: levels divide the horizon, groups divide the channels, the kernel is
/// odd. Returns DPC_ERR_CONFIG naming the field.
/// Allocates: no. Blocks: no. Thread: any.
DPC_NODISCARD dpc_status dpc_unet_def_check(const dpc_unet_def* def, dpc_error* error);

/// How a tensor is kept, against the reference's layout.
typedef enum dpc_unet_storage {
  DPC_UNET_PLAIN,            // as the reference keeps it
  DPC_UNET_CONV,             // (out, in, tap) kept as [out][tap][in]
  DPC_UNET_CONV_TRANSPOSED,  // (in, out, tap) kept as [tap][out][in]
} dpc_unet_storage;

/// One tensor of the network.
typedef struct dpc_unet_tensor {
  char name[80];  // of the reference's state_dict
  int rank;
  int shape[3];   // the reference's
  size_t offset;  // of its first value in the block of parameters
  size_t count;   // values
  int fan_in;     // values that each output sums; 0 for normalisation tensors
  dpc_unet_storage storage;
} dpc_unet_tensor;

typedef struct dpc_unet dpc_unet;
typedef struct dpc_unet_work dpc_unet_work;

/// Make the plan of a network.
/// Allocates: from the arena. Blocks: no. Thread: start-up only.
DPC_NODISCARD dpc_status dpc_unet_create(const dpc_unet_def* def, dpc_arena* arena, dpc_unet** out,
                                         dpc_error* error);

/// The settings it was made from.
/// Allocates: no. Blocks: no. Thread: any.
const dpc_unet_def* dpc_unet_settings(const dpc_unet* unet);

/// Floats in the block of parameters.
/// Allocates: no. Blocks: no. Thread: any.
size_t dpc_unet_param_count(const dpc_unet* unet);

/// Number of tensors.
/// Allocates: no. Blocks: no. Thread: any.
int dpc_unet_tensor_count(const dpc_unet* unet);

/// Tensor `i`, in the order of the block.
/// Allocates: no. Blocks: no. Thread: any.
const dpc_unet_tensor* dpc_unet_tensor_at(const dpc_unet* unet, int i);

/// Copy tensor `i` out of the block `params` into the reference's layout, [tensor count].
/// Allocates: no. Blocks: no. Thread: any.
void dpc_unet_tensor_export(const dpc_unet* unet, int i, const float* params, float* reference);

/// Copy tensor `i` from the reference's layout into the block `params`.
/// Allocates: no. Blocks: no. Thread: any.
void dpc_unet_tensor_import(const dpc_unet* unet, int i, const float* reference, float* params);

/// Copy the parameters of `from`, which is not told step sizes, into those of `unet`, its twin that
/// may be: it then answers as `from` does, whatever the step size.
/// Allocates: no. Blocks: no. Thread: any.
void dpc_unet_adopt(const dpc_unet* unet, const dpc_unet* from, const float* from_params,
                    float* params);

/// Draw initial parameters from the distributions PyTorch uses: weights and biases uniform within
/// 1 / sqrt(fan in), normalisations 1 and 0.
/// Allocates: no. Blocks: no. Thread: any.
void dpc_unet_init(const dpc_unet* unet, dpc_rng_key key, float* params);

/// Make a work area for up to `batch_max` samples. Without `with_backward` it is smaller, and
/// dpc_unet_backward must not be called on it.
/// Allocates: from the arena. Blocks: no. Thread: start-up only.
DPC_NODISCARD dpc_status dpc_unet_work_create(const dpc_unet* unet, int batch_max,
                                              bool with_backward, dpc_arena* arena,
                                              dpc_unet_work** out, dpc_error* error);

/// Predict.
///
/// params    [dpc_unet_param_count]
/// batch     1 .. batch_max
/// sample    [batch][horizon][dpc_unet_row], noisy chunks, normalised
/// timestep  [batch], of the noise schedule
/// step_size [batch], in timesteps; NULL: 0, which is the answer at x_t itself. Read only by a
///           network that is told
/// cond      [batch][global_cond_dim], normalised observation histories
/// out       [batch][horizon][input_dim]
/// Same inputs, same build, same CPU type: same bits.
/// Allocates: no. Blocks: no. Thread: any, one work area each.
void dpc_unet_forward(const dpc_unet* unet, const float* params, dpc_unet_work* work, int batch,
                      const float* sample, const float* timestep, const float* step_size,
                      const float* cond, float* out);

/// The way back, after a forward with the same params, batch, sample and cond.
///
/// grad_out     [batch][horizon][input_dim]
/// grads        [dpc_unet_param_count], added into
/// grad_sample  [batch][horizon][dpc_unet_row], written; NULL when not wanted
/// grad_cond    [batch][global_cond_dim], written; NULL when not wanted
/// Allocates: no. Blocks: no. Thread: any, one work area each.
void dpc_unet_backward(const dpc_unet* unet, const float* params, dpc_unet_work* work, int batch,
                       const float* sample, const float* cond, const float* grad_out, float* grads,
                       float* grad_sample, float* grad_cond);
