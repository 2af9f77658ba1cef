// What a checkpoint says besides its weights: checked, and to and from metadata.
#include <string.h>

#include "policy/checkpoint.h"

static const dpc_field fields[] = {
    DPC_INT(dpc_policy_def, n_obs, "2", 1, 64, "rows", "observations that condition the policy"),
    DPC_INT(dpc_policy_def, n_actions, "8", 1, 1024, "rows",
            "rows of a chunk that are executed before the next plan"),
};
DPC_FIELD_TABLE(dpc_policy_fields, dpc_policy_def, "policy", "what a policy sees and does", fields);

dpc_policy_def dpc_policy_def_default(void) {
  dpc_policy_def def;
  dpc_fields_default(&dpc_policy_fields, &def);
  return def;
}

dpc_status dpc_policy_def_check(const dpc_policy_def* def, dpc_error* error) {
  return dpc_fields_check(&dpc_policy_fields, def, error);
}

// --- check ----------------------------------------------------------------------------------------

static dpc_status check_dims(const dpc_checkpoint_info* info, dpc_error* error) {
  const int obs_dim = dpc_layout_dim(&info->interface.obs);
  const int action_dim = dpc_layout_dim(&info->interface.action);
  if (info->unet.input_dim != action_dim) {
    return dpc_fail(error, DPC_ERR_INVALID, "the network has %d inputs, the action has dim %d",
                    info->unet.input_dim, action_dim);
  }
  if (info->unet.global_cond_dim != info->policy.n_obs * obs_dim) {
    return dpc_fail(error, DPC_ERR_INVALID,
                    "the network is conditioned on %d values, %d observations of dim %d are %d",
                    info->unet.global_cond_dim, info->policy.n_obs, obs_dim,
                    info->policy.n_obs * obs_dim);
  }
  if (info->obs_normalizer.dim != obs_dim || info->action_normalizer.dim != action_dim) {
    return dpc_fail(error, DPC_ERR_INVALID, "normalizers have dims %d and %d, expected %d and %d",
                    info->obs_normalizer.dim, info->action_normalizer.dim, obs_dim, action_dim);
  }
  return DPC_OK;
}

static dpc_status check_rows(const dpc_checkpoint_info* info, dpc_error* error) {
  const int executable = info->unet.horizon - info->policy.n_obs + 1;
  if (info->policy.n_actions > executable) {
    return dpc_fail(error, DPC_ERR_CONFIG,
                    "policy.n_actions: %d is more than unet.horizon - policy.n_obs + 1 = %d",
                    info->policy.n_actions, executable);
  }
  return DPC_OK;
}

static dpc_status check_prefix(const dpc_checkpoint_info* info, dpc_error* error) {
  const int most = info->unet.horizon - 1;
  if (info->prefix_max < 0 || info->prefix_max > most) {
    return dpc_fail(error, DPC_ERR_CONFIG, DPC_CHECKPOINT_PREFIX_MAX ": %d is not in [0, %d]",
                    info->prefix_max, most > 0 ? most : 0);
  }
  if (info->unet.mask_dim != (info->prefix_max > 0)) {
    return dpc_fail(error, DPC_ERR_INVALID, "the network has a mask of dim %d, with prefix_max %d",
                    info->unet.mask_dim, info->prefix_max);
  }
  return DPC_OK;
}

dpc_status dpc_checkpoint_shortcut_check(int shortcut_steps, const dpc_sampler_def* sampler,
                                         dpc_error* error) {
  const int steps = shortcut_steps;
  if (steps < 0 || steps == 1 || (steps & (steps - 1)) != 0) {
    return dpc_fail(error, DPC_ERR_CONFIG,
                    DPC_CHECKPOINT_SHORTCUT_STEPS ": %d is neither 0 nor a power of two", steps);
  }
  if (sampler->kind != DPC_SAMPLER_SHORTCUT || sampler->steps <= steps / 2) return DPC_OK;
  if (steps == 0) {
    return dpc_fail(error, DPC_ERR_CONFIG,
                    "sampler.kind: shortcut is for policies with " DPC_CHECKPOINT_SHORTCUT_STEPS);
  }
  return dpc_fail(error, DPC_ERR_CONFIG,
                  "sampler.steps: %d, but with " DPC_CHECKPOINT_SHORTCUT_STEPS
                  " %d shortcuts are taken in at most %d; ddim has no such limit",
                  sampler->steps, steps, steps / 2);
}

static dpc_status check_shortcuts(const dpc_checkpoint_info* info, dpc_error* error) {
  DPC_TRY(dpc_checkpoint_shortcut_check(info->shortcut_steps, &info->sampler, error));
  if (info->unet.step_size_dim != (info->shortcut_steps > 0)) {
    return dpc_fail(error, DPC_ERR_INVALID,
                    "the network has step sizes of dim %d, with shortcut_steps %d",
                    info->unet.step_size_dim, info->shortcut_steps);
  }
  return DPC_OK;
}

static dpc_status check_normalizers(const dpc_checkpoint_info* info, dpc_error* error) {
  dpc_status status = dpc_normalizer_check(&info->obs_normalizer, error);
  if (status != DPC_OK) return dpc_fail_prefix(error, status, "normalizer.obs: ");
  status = dpc_normalizer_check(&info->action_normalizer, error);
  if (status != DPC_OK) return dpc_fail_prefix(error, status, "normalizer.action: ");
  return DPC_OK;
}

dpc_status dpc_checkpoint_info_check(const dpc_checkpoint_info* info, dpc_error* error) {
  DPC_TRY(dpc_policy_def_check(&info->policy, error));
  DPC_TRY(dpc_schedule_def_check(&info->schedule, error));
  DPC_TRY(dpc_sampler_def_check(&info->sampler, &info->schedule, error));
  DPC_TRY(dpc_interface_check(&info->interface, error));
  DPC_TRY(check_dims(info, error));
  DPC_TRY(dpc_unet_def_check(&info->unet, error));
  DPC_TRY(check_rows(info, error));
  DPC_TRY(check_prefix(info, error));
  DPC_TRY(check_shortcuts(info, error));
  DPC_TRY(check_normalizers(info, error));
  const size_t digits = strspn(info->dataset_sha256, "0123456789abcdef");
  if (info->dataset_sha256[digits] != '\0' || (digits != 0 && digits != 64)) {
    return dpc_fail(error, DPC_ERR_INVALID, "dataset_sha256 is not 64 hexadecimal digits");
  }
  return DPC_OK;
}

// --- relative actions -----------------------------------------------------------------------------

// One number per action signal: 1 where the network makes it relative. Policies without any have none.
static const char relative_key[] = "interface.action.relative";

static void add_relative(const dpc_checkpoint_info* info, dpc_metadata* metadata) {
  float flags[DPC_SIGNAL_MAX] = {0};
  if (info->relative.count == 0) return;
  for (int i = 0, column = 0; i < info->interface.action.count; ++i) {
    flags[i] = dpc_relative_has(&info->relative, column);
    column += info->interface.action.signals[i].dim;
  }
  dpc_metadata_add_floats(metadata, relative_key, flags, info->interface.action.count);
}

static dpc_status read_relative(const dpc_safetensors* file, dpc_checkpoint_info* info,
                                dpc_error* error) {
  float flags[DPC_SIGNAL_MAX];
  const int count = info->interface.action.count;
  if (dpc_safetensors_metadata(file, relative_key) == NULL) return DPC_OK;
  DPC_TRY(dpc_metadata_read_floats(file, relative_key, count, flags, error));
  dpc_status status = dpc_interface_check(&info->interface, error);
  for (int i = 0; i < count && status == DPC_OK; ++i) {
    if (flags[i] != 0) {
      status = dpc_relative_add(&info->relative, &info->interface, i, error);
    }
  }
  if (status == DPC_OK) return DPC_OK;
  return dpc_fail_prefix(error, DPC_ERR_FORMAT, "%s: %s: ", dpc_safetensors_path(file),
                         relative_key);
}

// --- to metadata ----------------------------------------------------------------------------------

void dpc_checkpoint_info_add(const dpc_checkpoint_info* info, dpc_metadata* metadata) {
  dpc_metadata_add(metadata, "format", "pt");
  dpc_metadata_add(metadata, "dpc_format", "%d", info->relative.count > 0 ? 2 : 1);
  dpc_metadata_add(metadata, "dpc_version", "%s", DPC_VERSION);
  dpc_metadata_add(metadata, "dataset_sha256", "%s", info->dataset_sha256);
  dpc_metadata_add_fields(metadata, &dpc_policy_fields, &info->policy);
  dpc_metadata_add_fields(metadata, &dpc_unet_fields, &info->unet);
  dpc_metadata_add_fields(metadata, &dpc_schedule_fields, &info->schedule);
  dpc_metadata_add_fields(metadata, &dpc_sampler_fields, &info->sampler);
  dpc_metadata_add_layout(metadata, "interface.obs", &info->interface.obs);
  dpc_metadata_add_layout(metadata, "interface.action", &info->interface.action);
  add_relative(info, metadata);
  dpc_metadata_add(metadata, "interface.period_ns", "%lld", (long long)info->interface.period_ns);
  const dpc_normalizer *obs = &info->obs_normalizer, *action = &info->action_normalizer;
  dpc_metadata_add_floats(metadata, "normalizer.obs.scale", obs->scale, obs->dim);
  dpc_metadata_add_floats(metadata, "normalizer.obs.offset", obs->offset, obs->dim);
  dpc_metadata_add_floats(metadata, "normalizer.action.scale", action->scale, action->dim);
  dpc_metadata_add_floats(metadata, "normalizer.action.offset", action->offset, action->dim);
}

// --- from metadata --------------------------------------------------------------------------------

static dpc_status read_version(const dpc_safetensors* file, dpc_error* error) {
  const char* path = dpc_safetensors_path(file);
  int64_t version = 0;
  if (dpc_safetensors_metadata(file, "dpc_format") == NULL) {
    return dpc_fail(error, DPC_ERR_FORMAT, "%s: not a dpc checkpoint: dpc_format is missing", path);
  }
  DPC_TRY(dpc_metadata_read_integer(file, "dpc_format", 0, INT64_MAX, &version, error));
  if (version >= 1 && version <= DPC_CHECKPOINT_FORMAT) return DPC_OK;
  return dpc_fail(error, DPC_ERR_FORMAT, "%s: dpc_format %lld is not known, only 1 to %d", path,
                  (long long)version, DPC_CHECKPOINT_FORMAT);
}

static dpc_status read_normalizer(const dpc_safetensors* file, const char* scale_key,
                                  const char* offset_key, int dim, dpc_arena* arena,
                                  dpc_normalizer* out, dpc_error* error) {
  *out = (dpc_normalizer){
      .dim = dim, .scale = DPC_TAKE(arena, float, dim), .offset = DPC_TAKE(arena, float, dim)};
  if (out->scale == NULL || out->offset == NULL) {
    return dpc_arena_full(arena, "a normalizer", error);
  }
  DPC_TRY(dpc_metadata_read_floats(file, scale_key, dim, out->scale, error));
  return dpc_metadata_read_floats(file, offset_key, dim, out->offset, error);
}

static dpc_status read_dataset(const dpc_safetensors* file, dpc_checkpoint_info* info,
                               dpc_error* error) {
  const char* text = "";
  DPC_TRY(dpc_metadata_read_text(file, "dataset_sha256", &text, error));
  const size_t length = strlen(text);
  if (length >= sizeof info->dataset_sha256) {
    return dpc_fail(error, DPC_ERR_FORMAT, "%s: dataset_sha256 is too long",
                    dpc_safetensors_path(file));
  }
  memcpy(info->dataset_sha256, text, length);
  return DPC_OK;
}

// A count that only some files have; `out` is left alone where it is missing.
static dpc_status read_count(const dpc_safetensors* file, const char* key, int* out,
                             dpc_error* error) {
  int64_t count = 0;
  if (dpc_safetensors_metadata(file, key) == NULL) return DPC_OK;
  DPC_TRY(dpc_metadata_read_integer(file, key, 0, INT32_MAX, &count, error));
  *out = (int)count;
  return DPC_OK;
}

// What the network is told besides, which is from how it was trained.
static dpc_status read_training(const dpc_safetensors* file, dpc_checkpoint_info* info,
                                dpc_error* error) {
  DPC_TRY(read_count(file, DPC_CHECKPOINT_PREFIX_MAX, &info->prefix_max, error));
  DPC_TRY(read_count(file, DPC_CHECKPOINT_SHORTCUT_STEPS, &info->shortcut_steps, error));
  info->unet.mask_dim = info->prefix_max > 0;
  info->unet.step_size_dim = info->shortcut_steps > 0;
  return DPC_OK;
}

// Opening has compared it with the data.
static void read_weights_sha256(const dpc_safetensors* file, dpc_checkpoint_info* info) {
  const char* text = dpc_safetensors_metadata(file, DPC_SAFETENSORS_SHA256);
  if (text != NULL && strlen(text) < sizeof info->weights_sha256) {
    memcpy(info->weights_sha256, text, strlen(text));
  }
}

static dpc_status read_parts(const dpc_safetensors* file, dpc_arena* arena,
                             dpc_checkpoint_info* info, dpc_error* error) {
  dpc_interface* interface = &info->interface;
  DPC_TRY(read_version(file, error));
  DPC_TRY(read_dataset(file, info, error));
  read_weights_sha256(file, info);
  DPC_TRY(dpc_metadata_read_fields(file, &dpc_policy_fields, &info->policy, error));
  DPC_TRY(dpc_metadata_read_fields(file, &dpc_unet_fields, &info->unet, error));
  DPC_TRY(dpc_metadata_read_fields(file, &dpc_schedule_fields, &info->schedule, error));
  DPC_TRY(dpc_metadata_read_fields(file, &dpc_sampler_fields, &info->sampler, error));
  DPC_TRY(dpc_metadata_read_layout(file, "interface.obs", &interface->obs, error));
  DPC_TRY(dpc_metadata_read_layout(file, "interface.action", &interface->action, error));
  DPC_TRY(dpc_metadata_read_integer(file, "interface.period_ns", 1, INT64_MAX,
                                    &interface->period_ns, error));
  DPC_TRY(read_relative(file, info, error));
  DPC_TRY(read_training(file, info, error));
  const int obs_dim = dpc_layout_dim(&interface->obs);
  const int action_dim = dpc_layout_dim(&interface->action);
  info->unet.input_dim = action_dim;
  info->unet.global_cond_dim = info->policy.n_obs * obs_dim;
  DPC_TRY(read_normalizer(file, "normalizer.obs.scale", "normalizer.obs.offset", obs_dim, arena,
                          &info->obs_normalizer, error));
  return read_normalizer(file, "normalizer.action.scale", "normalizer.action.offset", action_dim,
                         arena, &info->action_normalizer, error);
}

dpc_status dpc_checkpoint_info_read(const dpc_safetensors* file, dpc_arena* arena,
                                    dpc_checkpoint_info* info, dpc_error* error) {
  const size_t mark = dpc_arena_mark(arena);
  dpc_checkpoint_info read = {0};
  dpc_status status = read_parts(file, arena, &read, error);
  if (status == DPC_OK && dpc_checkpoint_info_check(&read, error) != DPC_OK) {
    status = dpc_fail_prefix(error, DPC_ERR_FORMAT, "%s: ", dpc_safetensors_path(file));
  }
  if (status != DPC_OK) {
    dpc_arena_release(arena, mark);
    return status;
  }
  *info = read;
  return DPC_OK;
}
