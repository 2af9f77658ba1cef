#include "tools/verify_pair.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH_MAX = 4096, INPUT_DIM_MAX = 4096, COND_DIM_MAX = 65536, STEPS_MAX = 1000 };

// --- the network ---------------------------------------------------------------------------------

static dpc_status metadata_text(const dpc_safetensors* file, const char* key, const char** out,
                                dpc_error* error) {
  *out = dpc_safetensors_metadata(file, key);
  if (*out != NULL) return DPC_OK;
  return dpc_fail(error, DPC_ERR_FORMAT, "%s: its metadata lack '%s'", dpc_safetensors_path(file),
                  key);
}

static dpc_status metadata_int(const dpc_safetensors* file, const char* key, int min, int max,
                               int* out, dpc_error* error) {
  const char* text;
  DPC_TRY(metadata_text(file, key, &text, error));
  char* end;
  const long value = strtol(text, &end, 10);
  if (end == text || *end != '\0' || value < min || value > max) {
    return dpc_fail(error, DPC_ERR_FORMAT, "%s: %s is '%s', not an integer in [%d, %d]",
                    dpc_safetensors_path(file), key, text, min, max);
  }
  *out = (int)value;
  return DPC_OK;
}

// The reference's names for our settings.
static const struct {
  const char *key, *field;
} settings[] = {
    {"horizon", "horizon"},
    {"down_dims", "down_dims"},
    {"kernel_size", "kernel_size"},
    {"n_groups", "group_count"},
    {"diffusion_step_embed_dim", "step_embed_dim"},
};

static dpc_status read_settings(const dpc_safetensors* file, dpc_unet_def* out, dpc_error* error) {
  dpc_unet_def def = dpc_unet_def_default();
  for (int i = 0; i < DPC_COUNT(settings); ++i) {
    const char* text;
    DPC_TRY(metadata_text(file, settings[i].key, &text, error));
    const dpc_field* field = dpc_fields_find(&dpc_unet_fields, settings[i].field);
    const dpc_status status = dpc_field_parse(&dpc_unet_fields, field, text, &def, error);
    if (status != DPC_OK) {
      return dpc_fail_prefix(error, DPC_ERR_FORMAT, "%s: ", dpc_safetensors_path(file));
    }
  }
  DPC_TRY(metadata_int(file, "input_dim", 1, INPUT_DIM_MAX, &def.input_dim, error));
  DPC_TRY(metadata_int(file, "global_cond_dim", 0, COND_DIM_MAX, &def.global_cond_dim, error));
  if (dpc_safetensors_metadata(file, "step_size_dim") != NULL) {  // ours, beyond the reference
    DPC_TRY(metadata_int(file, "step_size_dim", 0, 1, &def.step_size_dim, error));
  }
  *out = def;
  return DPC_OK;
}

static dpc_status read_weights(dpc_verify_pair* pair, dpc_arena* arena, dpc_error* error) {
  const dpc_unet* unet = pair->unet;
  pair->params = DPC_TAKE(arena, float, dpc_unet_param_count(unet));
  float* reference = DPC_TAKE(arena, float, dpc_unet_param_count(unet));
  if (pair->params == NULL || reference == NULL) return dpc_arena_full(arena, "weights", error);
  const int count = dpc_unet_tensor_count(unet);
  for (int i = 0; i < count; ++i) {
    const dpc_unet_tensor* tensor = dpc_unet_tensor_at(unet, i);
    DPC_TRY(dpc_safetensors_read_f32(pair->weights, tensor->name, tensor->rank, tensor->shape,
                                     reference, error));
    dpc_unet_tensor_import(unet, i, reference, pair->params);
  }
  if (dpc_safetensors_count(pair->weights) == count) return DPC_OK;
  return dpc_fail(error, DPC_ERR_MISMATCH,
                  "%s: it holds %d tensors, the network it describes has %d",
                  dpc_safetensors_path(pair->weights), dpc_safetensors_count(pair->weights), count);
}

static dpc_status make_network(dpc_verify_pair* pair, dpc_arena* arena, dpc_error* error) {
  dpc_unet_def def;
  DPC_TRY(read_settings(pair->weights, &def, error));
  const dpc_status status = dpc_unet_create(&def, arena, &pair->unet, error);
  if (status == DPC_ERR_CONFIG) {
    return dpc_fail_prefix(error, DPC_ERR_FORMAT, "%s: ", dpc_safetensors_path(pair->weights));
  }
  if (status != DPC_OK) return status;
  return read_weights(pair, arena, error);
}

// --- the batch -----------------------------------------------------------------------------------

// A tensor of floats of this shape, from the arena.
static dpc_status read_tensor(const dpc_safetensors* file, const char* name, int rank,
                              const int* shape, dpc_arena* arena, float** out, dpc_error* error) {
  size_t count = 1;
  for (int i = 0; i < rank; ++i) count *= (size_t)shape[i];
  *out = DPC_TAKE(arena, float, count);
  if (*out == NULL) return dpc_arena_full(arena, name, error);
  return count == 0 ? DPC_OK : dpc_safetensors_read_f32(file, name, rank, shape, *out, error);
}

// The first dimension of a tensor decides a size: how many there are.
static dpc_status count_rows(const dpc_safetensors* file, const char* name, int min, int max,
                             int* out, dpc_error* error) {
  const dpc_tensor_view* view = dpc_safetensors_find(file, name);
  const char* path = dpc_safetensors_path(file);
  if (view == NULL) return dpc_fail(error, DPC_ERR_NOT_FOUND, "%s: no tensor '%s'", path, name);
  if (view->rank < 1 || view->shape[0] < min || view->shape[0] > max) {
    return dpc_fail(error, DPC_ERR_FORMAT, "%s: the first dimension of '%s' is not in [%d, %d]",
                    path, name, min, max);
  }
  *out = (int)view->shape[0];
  return DPC_OK;
}

static dpc_status read_batch(dpc_verify_pair* pair, dpc_arena* arena, dpc_error* error) {
  const dpc_safetensors* io = pair->io;
  const dpc_unet_def* def = dpc_unet_settings(pair->unet);
  DPC_TRY(count_rows(io, "sample", 1, BATCH_MAX, &pair->batch, error));
  const int chunk[3] = {pair->batch, def->horizon, def->input_dim};
  const int cond[2] = {pair->batch, def->global_cond_dim};
  pair->size = (size_t)chunk[0] * (size_t)chunk[1] * (size_t)chunk[2];
  DPC_TRY(read_tensor(io, "sample", 3, chunk, arena, &pair->sample, error));
  DPC_TRY(read_tensor(io, "target", 3, chunk, arena, &pair->target, error));
  DPC_TRY(read_tensor(io, "output", 3, chunk, arena, &pair->output, error));
  DPC_TRY(read_tensor(io, "global_cond", 2, cond, arena, &pair->cond, error));

  if (def->step_size_dim > 0) {
    DPC_TRY(read_tensor(io, "step_size", 1, chunk, arena, &pair->step_size, error));
  }
  int64_t* timestep = DPC_TAKE(arena, int64_t, pair->batch);
  pair->timestep = DPC_TAKE(arena, float, pair->batch);
  if (timestep == NULL || pair->timestep == NULL) return dpc_arena_full(arena, "timestep", error);
  DPC_TRY(dpc_safetensors_read_i64(io, "timestep", 1, chunk, timestep, error));
  for (int i = 0; i < pair->batch; ++i) pair->timestep[i] = (float)timestep[i];
  return DPC_OK;
}

// "lr 1e-3 betas 0.95 0.999 eps 1e-8 weight_decay 1e-2, …"; without it, those numbers.
static dpc_status read_adamw(dpc_verify_pair* pair, dpc_error* error) {
  dpc_adamw_def def = {.beta1 = 0.95, .beta2 = 0.999, .epsilon = 1e-8, .weight_decay = 1e-2};
  double lr = 1e-3;
  const char* text = dpc_safetensors_metadata(pair->io, "adamw");
  // NOLINTNEXTLINE(cert-err34-c): a field that is missing or cut short is seen in the count
  if (text != NULL && sscanf(text, "lr %lf betas %lf %lf eps %lf weight_decay %lf", &lr, &def.beta1,
                             &def.beta2, &def.epsilon, &def.weight_decay) != 5) {
    return dpc_fail(error, DPC_ERR_FORMAT, "%s: metadata 'adamw' is '%s', not 'lr 1e-3 betas …'",
                    dpc_safetensors_path(pair->io), text);
  }
  if (dpc_adamw_def_check(&def, error) != DPC_OK || !(lr >= 0 && lr <= 1)) {
    return dpc_fail_prefix(error, DPC_ERR_FORMAT,
                           "%s: metadata 'adamw': ", dpc_safetensors_path(pair->io));
  }
  pair->adamw = def;
  pair->lr = lr;
  return DPC_OK;
}

static dpc_status read_losses(dpc_verify_pair* pair, dpc_arena* arena, dpc_error* error) {
  const int one = 1;
  float* loss;
  DPC_TRY(read_tensor(pair->io, "loss", 1, &one, arena, &loss, error));
  pair->loss = loss[0];
  int count = 0;
  DPC_TRY(count_rows(pair->io, "adamw_losses", 2, STEPS_MAX + 1, &count, error));
  pair->steps = count - 1;
  return read_tensor(pair->io, "adamw_losses", 1, &count, arena, &pair->losses, error);
}

dpc_status dpc_verify_pair_open(const char* weights, const char* io, dpc_arena* arena,
                                dpc_verify_pair* out, dpc_error* error) {
  DPC_TRY(dpc_safetensors_open(weights, &out->weights, error));
  DPC_TRY(dpc_safetensors_open(io, &out->io, error));
  DPC_TRY(make_network(out, arena, error));
  DPC_TRY(read_batch(out, arena, error));
  DPC_TRY(read_adamw(out, error));
  return read_losses(out, arena, error);
}

void dpc_verify_pair_close(dpc_verify_pair* pair) {
  dpc_safetensors_close(pair->weights);
  dpc_safetensors_close(pair->io);
  pair->weights = pair->io = NULL;
}
