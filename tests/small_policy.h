/// A policy with random weights that is small enough to act in less than a millisecond, saved as a
/// checkpoint: for tests of what drives a policy, not of what it does.
#pragma once

#include <stdlib.h>
#include <unistd.h>

#include "policy/policy.h"

enum { SMALL_OBS = 20, SMALL_ACTION = 2, SMALL_HORIZON = 16, SMALL_N_OBS = 2, SMALL_N_ACTIONS = 8 };

/// What Push-T's policies need.
static inline void small_policy_info(dpc_checkpoint_info* info, float* scale, float* offset) {
  *info = (dpc_checkpoint_info){.policy = dpc_policy_def_default(),
                                .unet = dpc_unet_def_default(),
                                .schedule = dpc_schedule_def_default(),
                                .sampler = dpc_sampler_def_default(),
                                .interface.period_ns = 100000000,
                                .obs_normalizer = {SMALL_OBS, scale, offset},
                                .action_normalizer = {SMALL_ACTION, scale, offset}};
  for (int i = 0; i < SMALL_OBS; ++i) {
    scale[i] = 1.0f / 256;
    offset[i] = -1;
  }
  dpc_layout_add(&info->interface.obs, "keypoint", 18, "px", NULL);
  dpc_layout_add(&info->interface.obs, "agent_pos", 2, "px", NULL);
  dpc_layout_add(&info->interface.action, "action", 2, "px", "agent_pos");
  info->policy = (dpc_policy_def){.n_obs = SMALL_N_OBS, .n_actions = SMALL_N_ACTIONS};
  info->unet.input_dim = SMALL_ACTION;
  info->unet.global_cond_dim = SMALL_N_OBS * SMALL_OBS;
  info->unet.horizon = SMALL_HORIZON;
  info->unet.down_dims = (dpc_int_list){2, {16, 32}};
  info->unet.kernel_size = 3;
  info->unet.group_count = 4;
  info->unet.step_embed_dim = 16;
}

/// Save it at `path`; `scratch` is given back.
static inline dpc_status small_policy_save(const char* path, dpc_arena* scratch, dpc_error* error) {
  const size_t mark = dpc_arena_mark(scratch);
  dpc_checkpoint_info info;
  float scale[SMALL_OBS], offset[SMALL_OBS];
  small_policy_info(&info, scale, offset);
  dpc_unet* unet;
  DPC_TRY(dpc_unet_create(&info.unet, scratch, &unet, error));
  float* params = DPC_TAKE(scratch, float, dpc_unet_param_count(unet));
  DPC_ASSERT(params != NULL);
  dpc_unet_init(unet, (dpc_rng_key){1, 2}, params);
  const dpc_status status = dpc_checkpoint_save(path, &info, unet, params, false, NULL, 0, error);
  dpc_arena_release(scratch, mark);
  return status;
}

/// Save it under a temporary name, load it into `arena`, and remove the file.
static inline dpc_status small_policy_load(dpc_arena* arena, dpc_policy** out, dpc_error* error) {
  char path[] = "/tmp/dpc_small_XXXXXX";
  const int fd = mkstemp(path);
  DPC_ASSERT(fd >= 0);
  close(fd);
  dpc_status status = small_policy_save(path, arena, error);
  if (status == DPC_OK) status = dpc_policy_load(path, arena, out, error);
  unlink(path);
  return status;
}
