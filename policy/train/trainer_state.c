#include "policy/train/trainer_state.h"

#include <stdio.h>
#include <string.h>

#define STATE_FORMAT  "dpc_train_format"
#define STATE_VERSION 1

enum { BLOCKS = 4 };
static const char* const prefixes[BLOCKS] = {"raw/", "ema/", "m/", "v/"};

static void list_blocks(const dpc_trainer_state* state, float* blocks[BLOCKS]) {
  blocks[0] = state->params;
  blocks[1] = state->ema;
  blocks[2] = state->m;
  blocks[3] = state->v;
}

dpc_status dpc_trainer_state_create(size_t count, dpc_arena* arena, dpc_trainer_state* out,
                                    dpc_error* error) {
  dpc_trainer_state state = {.count = count};
  state.params = DPC_TAKE(arena, float, count);
  state.ema = DPC_TAKE(arena, float, count);
  state.m = DPC_TAKE(arena, float, count);
  state.v = DPC_TAKE(arena, float, count);
  if (state.v == NULL || state.m == NULL || state.ema == NULL || state.params == NULL) {
    return dpc_arena_full(arena, "the trainer's state", error);
  }
  *out = state;
  return DPC_OK;
}

// --- saving -------------------------------------------------------------------------------------

typedef char tensor_name[128];

// Tensors of one block in the reference order: names, shapes and a copy of the values.
static dpc_status export_block(const dpc_unet* unet, const char* prefix, const float* block,
                               dpc_arena* scratch, dpc_tensor_source* sources, dpc_error* error) {
  const int count = dpc_unet_tensor_count(unet);
  float* values = DPC_TAKE(scratch, float, dpc_unet_param_count(unet));
  tensor_name* names = DPC_TAKE(scratch, tensor_name, count);
  if (values == NULL || names == NULL) return dpc_arena_full(scratch, "a copy to save", error);
  for (int i = 0; i < count; ++i) {
    const dpc_unet_tensor* tensor = dpc_unet_tensor_at(unet, i);
    (void)snprintf(names[i], sizeof names[i], "%s%s", prefix, tensor->name);
    sources[i] = (dpc_tensor_source){
        .name = names[i], .dtype = DPC_DTYPE_F32, .rank = tensor->rank, .data = values};
    for (int k = 0; k < tensor->rank; ++k) sources[i].shape[k] = tensor->shape[k];
    dpc_unet_tensor_export(unet, i, block, values);
    values += tensor->count;
  }
  return DPC_OK;
}

static dpc_status save_with(const char* path, const dpc_trainer_state* state,
                            const dpc_train_settings* settings, const dpc_checkpoint_info* info,
                            const dpc_unet* unet, dpc_arena* scratch, dpc_error* error) {
  dpc_metadata metadata;
  dpc_metadata_init(&metadata, DPC_CHECKPOINT_ENTRIES * 2, scratch);
  dpc_checkpoint_info_add(info, &metadata);
  dpc_train_settings_add(settings, &metadata);
  dpc_metadata_add(&metadata, STATE_FORMAT, "%d", STATE_VERSION);
  dpc_metadata_add(&metadata, "state.step", "%lld", (long long)state->step);
  DPC_TRY(dpc_metadata_check(&metadata, error));

  const int count = dpc_unet_tensor_count(unet);
  dpc_tensor_source* sources = DPC_TAKE(scratch, dpc_tensor_source, count * BLOCKS);
  if (sources == NULL) return dpc_arena_full(scratch, "the tensors to save", error);
  float* blocks[BLOCKS];
  list_blocks(state, blocks);
  for (int i = 0; i < BLOCKS; ++i) {
    dpc_tensor_source* block = sources + (size_t)i * (size_t)count;
    DPC_TRY(export_block(unet, prefixes[i], blocks[i], scratch, block, error));
  }
  return dpc_safetensors_save(path, metadata.entries, metadata.count, sources, count * BLOCKS,
                              error);
}

dpc_status dpc_trainer_state_save(const char* path, const dpc_trainer_state* state,
                                  const dpc_train_settings* settings,
                                  const dpc_checkpoint_info* info, const dpc_unet* unet,
                                  dpc_arena* scratch, dpc_error* error) {
  const size_t mark = dpc_arena_mark(scratch);
  const dpc_status status = save_with(path, state, settings, info, unet, scratch, error);
  dpc_arena_release(scratch, mark);
  return status;
}

// --- loading ------------------------------------------------------------------------------------

static dpc_status check_format(const dpc_safetensors* file, dpc_error* error) {
  if (dpc_safetensors_metadata(file, STATE_FORMAT) == NULL) {
    return dpc_fail(error, DPC_ERR_FORMAT, "%s: not a file to resume training from",
                    dpc_safetensors_path(file));
  }
  int64_t version = 0;
  return dpc_metadata_read_integer(file, STATE_FORMAT, STATE_VERSION, STATE_VERSION, &version,
                                   error);
}

static dpc_status match_dataset(const dpc_safetensors* file, const dpc_checkpoint_info* info,
                                dpc_error* error) {
  const char* began = NULL;
  DPC_TRY(dpc_metadata_read_text(file, "dataset_sha256", &began, error));
  if (strcmp(began, info->dataset_sha256) == 0) return DPC_OK;
  return dpc_fail(error, DPC_ERR_MISMATCH,
                  "%s: training began on another dataset (SHA-256 %.12s..., not %.12s...)",
                  dpc_safetensors_path(file), began, info->dataset_sha256);
}

static dpc_status load_from(const dpc_safetensors* file, const dpc_train_settings* settings,
                            const dpc_checkpoint_info* info, const dpc_unet* unet,
                            dpc_arena* scratch, dpc_trainer_state* state, dpc_error* error) {
  DPC_TRY(check_format(file, error));
  dpc_train_settings began;
  DPC_TRY(dpc_train_settings_read(file, &began, error));
  const dpc_status status = dpc_train_settings_match(&began, settings, error);
  if (status != DPC_OK) {
    return dpc_fail_prefix(error, status, "%s: ", dpc_safetensors_path(file));
  }
  DPC_TRY(match_dataset(file, info, error));

  dpc_trainer_state loaded;
  DPC_TRY(dpc_metadata_read_integer(file, "state.step", 0, INT64_MAX / 2, &loaded.step, error));
  const int64_t step = loaded.step;
  DPC_TRY(dpc_trainer_state_create(state->count, scratch, &loaded, error));
  float *from[BLOCKS], *to[BLOCKS];
  list_blocks(&loaded, from);
  list_blocks(state, to);
  for (int i = 0; i < BLOCKS; ++i) {
    DPC_TRY(dpc_checkpoint_read_weights(file, prefixes[i], unet, scratch, from[i], error));
  }
  for (int i = 0; i < BLOCKS; ++i) memcpy(to[i], from[i], sizeof(float) * state->count);
  state->step = step;
  return DPC_OK;
}

dpc_status dpc_trainer_state_load(const char* path, const dpc_train_settings* settings,
                                  const dpc_checkpoint_info* info, const dpc_unet* unet,
                                  dpc_arena* scratch, dpc_trainer_state* state, dpc_error* error) {
  dpc_safetensors* file = NULL;
  DPC_TRY(dpc_safetensors_open(path, &file, error));
  const size_t mark = dpc_arena_mark(scratch);
  const dpc_status status = load_from(file, settings, info, unet, scratch, state, error);
  dpc_arena_release(scratch, mark);
  dpc_safetensors_close(file);
  return status;
}

dpc_status dpc_trainer_state_settings(const char* path, dpc_train_settings* settings,
                                      dpc_error* error) {
  dpc_safetensors* file = NULL;
  DPC_TRY(dpc_safetensors_open(path, &file, error));
  dpc_status status = check_format(file, error);
  if (status == DPC_OK) status = dpc_train_settings_read(file, settings, error);
  dpc_safetensors_close(file);
  return status;
}
