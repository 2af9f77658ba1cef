#include "policy/unet_plan.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

// --- settings ------------------------------------------------------------------------------------

// On the way up two levels lie side by side.
enum { DOWN_DIM_MAX = DPC_CHANNELS_MAX / 2 };

static const dpc_field unet_rows[] = {
    DPC_INT(dpc_unet_def, horizon, "16", 1, 1024, "rows", "rows in a chunk of actions"),
    DPC_INT_LIST(dpc_unet_def, down_dims, "[64, 128, 256]", 1, DOWN_DIM_MAX, "channels",
                 "channels of each level; small is [64, 128, 256], large [256, 512, 1024]"),
    DPC_INT(dpc_unet_def, kernel_size, "5", 1, 31, "rows", "taps of a convolution, odd"),
    DPC_INT(dpc_unet_def, group_count, "8", 1, 256, "", "groups of the group normalisation"),
    DPC_INT(dpc_unet_def, step_embed_dim, "256", 4, 4096, "", "size of the timestep's embedding"),
};
DPC_FIELD_TABLE(dpc_unet_fields, dpc_unet_def, "unet", "The network that denoises.", unet_rows);

dpc_unet_def dpc_unet_def_default(void) {
  dpc_unet_def def;
  dpc_fields_default(&dpc_unet_fields, &def);
  return def;
}

dpc_status dpc_unet_def_check(const dpc_unet_def* def, dpc_error* error) {
  DPC_TRY(dpc_fields_check(&dpc_unet_fields, def, error));
  const int levels = def->down_dims.count;
  if (levels < 1 || levels > DPC_UNET_LEVELS_MAX) {
    return dpc_fail(error, DPC_ERR_CONFIG, "unet.down_dims: %d levels are not in [1, %d]", levels,
                    DPC_UNET_LEVELS_MAX);
  }
  for (int i = 0; i < levels; ++i) {
    if (def->down_dims.values[i] % def->group_count == 0) continue;
    return dpc_fail(error, DPC_ERR_CONFIG,
                    "unet.down_dims: %d channels are not divisible by group_count %d",
                    def->down_dims.values[i], def->group_count);
  }
  if (def->horizon % (1 << (levels - 1)) != 0) {
    return dpc_fail(error, DPC_ERR_CONFIG,
                    "unet.horizon: %d is not divisible by %d, which %d levels need", def->horizon,
                    1 << (levels - 1), levels);
  }
  if (def->kernel_size % 2 == 0) {
    return dpc_fail(error, DPC_ERR_CONFIG, "unet.kernel_size: %d is not odd", def->kernel_size);
  }
  if (def->step_embed_dim % 2 != 0) {
    return dpc_fail(error, DPC_ERR_CONFIG, "unet.step_embed_dim: %d is not even",
                    def->step_embed_dim);
  }
  return DPC_OK;
}

// --- planning ------------------------------------------------------------------------------------

// Tensors are added in the reference's order; with `tensors` NULL they are only counted.
typedef struct planner {
  dpc_unet* unet;
  dpc_unet_tensor* tensors;
  int count;
  size_t offset;
} planner;

static size_t add_tensor(planner* p, const char* module, const char* suffix,
                         dpc_unet_tensor tensor) {
  const size_t offset = p->offset;
  tensor.offset = offset;
  tensor.count = 1;
  for (int i = 0; i < tensor.rank; ++i) tensor.count *= (size_t)tensor.shape[i];
  snprintf(tensor.name, sizeof tensor.name, "%s.%s", module, suffix);
  if (p->tensors != NULL) p->tensors[p->count] = tensor;
  ++p->count;
  // every tensor begins on a cache line
  p->offset += (tensor.count + 15) & ~(size_t)15;
  return offset;
}

static void plan_linear(planner* p, const char* module, int in, int out, size_t* weight,
                        size_t* bias) {
  *weight = add_tensor(p, module, "weight",
                       (dpc_unet_tensor){.rank = 2, .shape = {out, in}, .fan_in = in});
  *bias = add_tensor(p, module, "bias", (dpc_unet_tensor){.rank = 1, .shape = {out}, .fan_in = in});
}

static dpc_unet_conv plan_conv(planner* p, const char* module, dpc_conv1d conv, int time) {
  dpc_unet_conv planned = {.conv = conv, .time = time};
  const int fan_in = (conv.transposed ? conv.out : conv.in) * conv.kernel;
  dpc_unet_tensor weight = {
      .rank = 3,
      .shape = {conv.out, conv.in, conv.kernel},
      .fan_in = fan_in,
      .storage = conv.transposed ? DPC_UNET_CONV_TRANSPOSED : DPC_UNET_CONV,
  };
  if (conv.transposed) weight.shape[0] = conv.in, weight.shape[1] = conv.out;
  planned.weight = add_tensor(p, module, "weight", weight);
  planned.bias = add_tensor(p, module, "bias",
                            (dpc_unet_tensor){.rank = 1, .shape = {conv.out}, .fan_in = fan_in});
  return planned;
}

static dpc_unet_conv_block plan_conv_block(planner* p, const char* module, int in, int out,
                                           int time) {
  char name[64];
  const int kernel = p->unet->def.kernel_size;
  dpc_unet_conv_block block = {.norm = {.channels = out, .groups = p->unet->def.group_count}};
  snprintf(name, sizeof name, "%s.block.0", module);
  block.conv = plan_conv(p, name, (dpc_conv1d){in, out, kernel, 1, kernel / 2, false}, time);
  snprintf(name, sizeof name, "%s.block.1", module);
  block.gamma = add_tensor(p, name, "weight", (dpc_unet_tensor){.rank = 1, .shape = {out}});
  block.beta = add_tensor(p, name, "bias", (dpc_unet_tensor){.rank = 1, .shape = {out}});
  return block;
}

static dpc_unet_residual plan_residual(planner* p, const char* module, int in, int out, int time) {
  char name[48];
  dpc_unet_residual r = {.in = in, .out = out, .time = time, .projects = in != out};
  snprintf(name, sizeof name, "%s.blocks.0", module);
  r.first = plan_conv_block(p, name, in, out, time);
  snprintf(name, sizeof name, "%s.blocks.1", module);
  r.second = plan_conv_block(p, name, out, out, time);
  snprintf(name, sizeof name, "%s.cond_encoder.1", module);
  plan_linear(p, name, p->unet->cond_dim, 2 * out, &r.film_weight, &r.film_bias);
  if (r.projects) {
    snprintf(name, sizeof name, "%s.residual_conv", module);
    r.projection = plan_conv(p, name, (dpc_conv1d){in, out, 1, 1, 0, false}, time);
  }
  return r;
}

static dpc_unet_level plan_level(planner* p, const char* list, int index, int in, int out, int time,
                                 const dpc_conv1d* resample) {
  char name[32];
  dpc_unet_level level = {.resamples = resample != NULL};
  for (int i = 0; i < 2; ++i) {
    snprintf(name, sizeof name, "%s.%d.%d", list, index, i);
    level.residual[i] = plan_residual(p, name, i == 0 ? in : out, out, time);
  }
  if (resample != NULL) {
    snprintf(name, sizeof name, "%s.%d.2.conv", list, index);
    level.resample = plan_conv(p, name, *resample, time);
  }
  return level;
}

static void plan_up(planner* p) {
  dpc_unet* u = p->unet;
  const int* dims = u->def.down_dims.values;
  for (int i = 0; i < u->levels - 1; ++i) {
    const int from = dims[u->levels - 1 - i], to = dims[u->levels - 2 - i];
    const dpc_conv1d grow = {to, to, 4, 2, 1, true};
    u->up[i] =
        plan_level(p, "up_modules", i, 2 * from, to, u->def.horizon >> (u->levels - 1 - i), &grow);
  }
}

static void plan_down(planner* p) {
  dpc_unet* u = p->unet;
  const int* dims = u->def.down_dims.values;
  for (int i = 0; i < u->levels; ++i) {
    const dpc_conv1d shrink = {dims[i], dims[i], 3, 2, 1, false};
    u->down[i] = plan_level(p, "down_modules", i, i == 0 ? dpc_unet_row(&u->def) : dims[i - 1],
                            dims[i], u->def.horizon >> i, i + 1 < u->levels ? &shrink : NULL);
  }
}

static void plan_network(planner* p) {
  dpc_unet* u = p->unet;
  const int embed = u->def.step_embed_dim, start = u->def.down_dims.values[0];
  const int deepest = u->def.down_dims.values[u->levels - 1];
  for (int i = 0; i < 2; ++i) {
    char name[32];
    snprintf(name, sizeof name, "mid_modules.%d", i);
    u->mid[i] = plan_residual(p, name, deepest, deepest, u->def.horizon >> (u->levels - 1));
  }
  plan_linear(p, "diffusion_step_encoder.1", dpc_unet_embed_dim(&u->def), 4 * embed,
              &u->step_weight1, &u->step_bias1);
  plan_linear(p, "diffusion_step_encoder.3", 4 * embed, embed, &u->step_weight2, &u->step_bias2);
  plan_up(p);
  plan_down(p);
  u->last_block = plan_conv_block(p, "final_conv.0", start, start, u->def.horizon);
  const dpc_conv1d pointwise = {start, u->def.input_dim, 1, 1, 0, false};
  u->last = plan_conv(p, "final_conv.1", pointwise, u->def.horizon);
}

dpc_status dpc_unet_create(const dpc_unet_def* def, dpc_arena* arena, dpc_unet** out,
                           dpc_error* error) {
  DPC_TRY(dpc_unet_def_check(def, error));
  DPC_ASSERT(def->input_dim >= 1 && def->global_cond_dim >= 0);
  DPC_ASSERT(def->mask_dim == 0 || def->mask_dim == 1);
  DPC_ASSERT(def->step_size_dim == 0 || def->step_size_dim == 1);
  const size_t mark = dpc_arena_mark(arena);
  dpc_unet* unet = DPC_TAKE(arena, dpc_unet, 1);
  if (unet == NULL) return dpc_arena_full(arena, "the network's plan", error);
  unet->def = *def;
  unet->levels = def->down_dims.count;
  unet->cond_dim = def->step_embed_dim + def->global_cond_dim;
  planner counting = {.unet = unet};
  plan_network(&counting);
  unet->tensors = DPC_TAKE(arena, dpc_unet_tensor, counting.count);
  if (unet->tensors == NULL) {
    dpc_arena_release(arena, mark);
    return dpc_arena_full(arena, "the network's plan", error);
  }
  planner planning = {.unet = unet, .tensors = unet->tensors};
  plan_network(&planning);
  unet->tensor_count = planning.count;
  unet->param_count = planning.offset;
  *out = unet;
  return DPC_OK;
}

// --- tensors -------------------------------------------------------------------------------------

const dpc_unet_def* dpc_unet_settings(const dpc_unet* unet) {
  return &unet->def;
}

size_t dpc_unet_param_count(const dpc_unet* unet) {
  return unet->param_count;
}

int dpc_unet_tensor_count(const dpc_unet* unet) {
  return unet->tensor_count;
}

const dpc_unet_tensor* dpc_unet_tensor_at(const dpc_unet* unet, int i) {
  DPC_ASSERT(i >= 0 && i < unet->tensor_count);
  return &unet->tensors[i];
}

// Where element (a, b, tap) of the reference's layout is kept.
static size_t stored_index(const dpc_unet_tensor* tensor, int a, int b, int tap) {
  const size_t rows = (size_t)tensor->shape[0], columns = (size_t)tensor->shape[1];
  const size_t taps = (size_t)tensor->shape[2];
  if (tensor->storage == DPC_UNET_CONV)
    return ((size_t)a * taps + (size_t)tap) * columns + (size_t)b;
  return ((size_t)tap * columns + (size_t)b) * rows + (size_t)a;
}

// Copy a tensor between the block and the reference's layout; exactly one direction is not NULL.
static void copy_tensor(const dpc_unet_tensor* tensor, const float* from_block, float* to_reference,
                        const float* from_reference, float* to_block) {
  if (tensor->storage == DPC_UNET_PLAIN) {
    if (from_block != NULL) memcpy(to_reference, from_block, tensor->count * sizeof(float));
    if (from_reference != NULL) memcpy(to_block, from_reference, tensor->count * sizeof(float));
    return;
  }
  size_t i = 0;
  for (int a = 0; a < tensor->shape[0]; ++a) {
    for (int b = 0; b < tensor->shape[1]; ++b) {
      for (int tap = 0; tap < tensor->shape[2]; ++tap, ++i) {
        const size_t at = stored_index(tensor, a, b, tap);
        if (from_block != NULL) to_reference[i] = from_block[at];
        if (from_reference != NULL) to_block[at] = from_reference[i];
      }
    }
  }
}

void dpc_unet_tensor_export(const dpc_unet* unet, int i, const float* params, float* reference) {
  const dpc_unet_tensor* tensor = dpc_unet_tensor_at(unet, i);
  copy_tensor(tensor, params + tensor->offset, reference, NULL, NULL);
}

void dpc_unet_tensor_import(const dpc_unet* unet, int i, const float* reference, float* params) {
  const dpc_unet_tensor* tensor = dpc_unet_tensor_at(unet, i);
  copy_tensor(tensor, NULL, NULL, reference, params + tensor->offset);
}

// Only the step encoder's first weights differ, by columns for what is told more: those become zero.
void dpc_unet_adopt(const dpc_unet* unet, const dpc_unet* from, const float* from_params,
                    float* params) {
  DPC_ASSERT(from->def.step_size_dim == 0 && from->tensor_count == unet->tensor_count);
  memset(params, 0, sizeof(float) * unet->param_count);
  for (int i = 0; i < unet->tensor_count; ++i) {
    const dpc_unet_tensor *to = &unet->tensors[i], *tensor = &from->tensors[i];
    DPC_ASSERT(to->storage == tensor->storage);
    const size_t rows = (size_t)tensor->shape[0];
    const size_t width = tensor->count / rows, wider = to->count / rows;
    DPC_ASSERT(width == wider || to->offset == unet->step_weight1);
    for (size_t row = 0; row < rows; ++row) {
      memcpy(params + to->offset + row * wider, from_params + tensor->offset + row * width,
             sizeof(float) * width);
    }
  }
}

void dpc_unet_init(const dpc_unet* unet, dpc_rng_key key, float* params) {
  memset(params, 0, sizeof(float) * unet->param_count);
  for (int i = 0; i < unet->tensor_count; ++i) {
    const dpc_unet_tensor* tensor = &unet->tensors[i];
    float* values = params + tensor->offset;
    if (tensor->fan_in > 0) {
      const float bound = 1 / sqrtf((float)tensor->fan_in);
      dpc_rng_uniform(key, DPC_STREAM_INIT, (uint32_t)i, 0, (int)tensor->count, values);
      for (size_t j = 0; j < tensor->count; ++j) values[j] = bound * (2 * values[j] - 1);
    } else if (strstr(tensor->name, ".weight") != NULL) {
      for (size_t j = 0; j < tensor->count; ++j) values[j] = 1;
    }
  }
}
