#include "policy/checkpoint.h"

#include <stdio.h>
#include <string.h>

// --- saving ---------------------------------------------------------------------------------------

// A note under a setting's section would be taken for a setting when the file is loaded.
static dpc_status check_notes(const char* path, const dpc_metadata_entry* notes, int count,
                              dpc_error* error) {
  const char* const sections[] = {dpc_policy_fields.section, dpc_unet_fields.section,
                                  dpc_schedule_fields.section, dpc_sampler_fields.section};
  for (int i = 0; i < count; ++i) {
    for (int s = 0; s < DPC_COUNT(sections); ++s) {
      const size_t length = strlen(sections[s]);
      if (strncmp(notes[i].key, sections[s], length) == 0 && notes[i].key[length] == '.') {
        return dpc_fail(error, DPC_ERR_INVALID, "%s: the note '%s' is named like a setting", path,
                        notes[i].key);
      }
    }
  }
  return DPC_OK;
}

static void export_tensors(const dpc_unet* unet, const float* params, bool bf16, float* values,
                           dpc_tensor_source* sources) {
  for (int i = 0; i < dpc_unet_tensor_count(unet); ++i) {
    const dpc_unet_tensor* tensor = dpc_unet_tensor_at(unet, i);
    dpc_unet_tensor_export(unet, i, params, values);
    sources[i] = (dpc_tensor_source){.name = tensor->name,
                                     .dtype = bf16 ? DPC_DTYPE_BF16 : DPC_DTYPE_F32,
                                     .rank = tensor->rank,
                                     .data = values};
    for (int j = 0; j < tensor->rank; ++j) sources[i].shape[j] = tensor->shape[j];
    values += tensor->count;
  }
}

static size_t value_count(const dpc_unet* unet) {
  size_t count = 0;
  for (int i = 0; i < dpc_unet_tensor_count(unet); ++i) {
    count += dpc_unet_tensor_at(unet, i)->count;
  }
  return count;
}

static dpc_status save(const char* path, const dpc_checkpoint_info* info, const dpc_unet* unet,
                       const float* params, bool bf16, const dpc_metadata_entry* notes,
                       int note_count, dpc_arena* scratch, dpc_error* error) {
  const int count = dpc_unet_tensor_count(unet);
  float* values = DPC_TAKE(scratch, float, value_count(unet));
  dpc_tensor_source* sources = DPC_TAKE(scratch, dpc_tensor_source, count);
  dpc_metadata metadata;
  dpc_metadata_init(&metadata, DPC_CHECKPOINT_ENTRIES + 2 + note_count, scratch);
  if (values == NULL || sources == NULL) {
    return dpc_arena_full(scratch, "a copy of the weights", error);
  }
  dpc_checkpoint_info_add(info, &metadata);
  if (info->prefix_max > 0) {
    dpc_metadata_add(&metadata, DPC_CHECKPOINT_PREFIX_MAX, "%d", info->prefix_max);
  }
  if (info->shortcut_steps > 0) {
    dpc_metadata_add(&metadata, DPC_CHECKPOINT_SHORTCUT_STEPS, "%d", info->shortcut_steps);
  }
  for (int i = 0; i < note_count; ++i) {
    dpc_metadata_add(&metadata, notes[i].key, "%s", notes[i].value);
  }
  DPC_TRY(dpc_metadata_check(&metadata, error));
  export_tensors(unet, params, bf16, values, sources);
  return dpc_safetensors_save(path, metadata.entries, metadata.count, sources, count, error);
}

dpc_status dpc_checkpoint_save(const char* path, const dpc_checkpoint_info* info,
                               const dpc_unet* unet, const float* params, bool bf16,
                               const dpc_metadata_entry* notes, int note_count, dpc_error* error) {
  const dpc_status checked = dpc_checkpoint_info_check(info, error);
  if (checked != DPC_OK) return dpc_fail_prefix(error, checked, "%s: not saved: ", path);
  DPC_TRY(check_notes(path, notes, note_count, error));

  size_t size = (8 << 20) + value_count(unet) * sizeof(float);
  for (int i = 0; i < note_count; ++i) size += strlen(notes[i].key) + strlen(notes[i].value) + 256;
  dpc_arena scratch;
  DPC_TRY(dpc_arena_map(&scratch, size, error));
  const dpc_status status =
      save(path, info, unet, params, bf16, notes, note_count, &scratch, error);
  dpc_arena_unmap(&scratch);
  return status;
}

// --- loading --------------------------------------------------------------------------------------

dpc_status dpc_checkpoint_read_weights(const dpc_safetensors* file, const char* prefix,
                                       const dpc_unet* unet, dpc_arena* scratch, float* params,
                                       dpc_error* error) {
  const size_t mark = dpc_arena_mark(scratch);
  dpc_status status = DPC_OK;
  for (int i = 0; status == DPC_OK && i < dpc_unet_tensor_count(unet); ++i) {
    const dpc_unet_tensor* tensor = dpc_unet_tensor_at(unet, i);
    char name[256];
    snprintf(name, sizeof name, "%s%s", prefix, tensor->name);
    float* values = DPC_TAKE(scratch, float, tensor->count);
    if (values == NULL) {
      status = dpc_arena_full(scratch, "a tensor", error);
    } else {
      status = dpc_safetensors_read_f32(file, name, tensor->rank, tensor->shape, values, error);
    }
    if (status == DPC_OK) dpc_unet_tensor_import(unet, i, values, params);
    dpc_arena_release(scratch, mark);
  }
  return status;
}

// All tensors of the network have been found, so a greater number means that some are not its own.
static dpc_status check_all_known(const dpc_safetensors* file, const dpc_unet* unet,
                                  dpc_error* error) {
  for (int i = 0; i < dpc_safetensors_count(file); ++i) {
    const char* name = dpc_safetensors_at(file, i)->name;
    bool known = false;
    for (int j = 0; !known && j < dpc_unet_tensor_count(unet); ++j) {
      known = strcmp(name, dpc_unet_tensor_at(unet, j)->name) == 0;
    }
    if (!known) {
      return dpc_fail(error, DPC_ERR_FORMAT, "%s: tensor '%.96s' is not part of this network",
                      dpc_safetensors_path(file), name);
    }
  }
  return DPC_OK;
}

static dpc_status load(const dpc_safetensors* file, dpc_arena* arena, dpc_checkpoint_info* info,
                       dpc_unet** unet, float** params, dpc_error* error) {
  DPC_TRY(dpc_checkpoint_info_read(file, arena, info, error));
  const dpc_status created = dpc_unet_create(&info->unet, arena, unet, error);
  if (created != DPC_OK) {
    return dpc_fail_prefix(error, created, "%s: ", dpc_safetensors_path(file));
  }
  *params = DPC_TAKE(arena, float, dpc_unet_param_count(*unet));
  if (*params == NULL) return dpc_arena_full(arena, "the weights", error);
  DPC_TRY(dpc_checkpoint_read_weights(file, "", *unet, arena, *params, error));
  return check_all_known(file, *unet, error);
}

dpc_status dpc_checkpoint_load(const char* path, dpc_arena* arena, dpc_checkpoint_info* info,
                               dpc_unet** unet, float** params, dpc_error* error) {
  dpc_safetensors* file = NULL;
  DPC_TRY(dpc_safetensors_open(path, &file, error));
  const size_t mark = dpc_arena_mark(arena);
  dpc_checkpoint_info loaded_info;
  dpc_unet* loaded_unet = NULL;
  float* loaded_params = NULL;
  const dpc_status status = load(file, arena, &loaded_info, &loaded_unet, &loaded_params, error);
  dpc_safetensors_close(file);
  if (status != DPC_OK) {
    dpc_arena_release(arena, mark);
    return status;
  }
  *info = loaded_info;
  *unet = loaded_unet;
  *params = loaded_params;
  return DPC_OK;
}
