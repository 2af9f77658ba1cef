#include "tools/bench_network.h"

const char* const dpc_bench_size_names[] = {"small", "medium", "large", NULL};

dpc_status dpc_bench_network_load(const char* path, dpc_arena* arena, dpc_bench_network* out,
                                  dpc_error* error) {
  dpc_bench_network network = {.size = dpc_bench_size_names[DPC_BENCH_SMALL]};
  DPC_TRY(dpc_checkpoint_load(path, arena, &network.info, &network.unet, &network.params, error));
  *out = network;
  return DPC_OK;
}

static dpc_status make_identity(int dim, dpc_arena* arena, dpc_normalizer* out, dpc_error* error) {
  const float* row = DPC_TAKE(arena, float, dim);
  if (row == NULL) return dpc_arena_full(arena, "a normalizer", error);
  return dpc_normalizer_fit(DPC_NORMALIZER_NONE, row, 1, dim, arena, out, error);
}

dpc_status dpc_bench_network_draw(dpc_bench_size size, dpc_arena* arena, dpc_bench_network* out,
                                  dpc_error* error) {
  enum { OBS = 20, ACTION = 2, HORIZON = 16 };  // Push-T's
  dpc_bench_network network = {.size = dpc_bench_size_names[size],
                               .info = {.policy = dpc_policy_def_default(),
                                        .unet = dpc_unet_def_default(),
                                        .schedule = dpc_schedule_def_default(),
                                        .sampler = dpc_sampler_def_default(),
                                        .interface.period_ns = 100000000}};
  dpc_checkpoint_info* info = &network.info;
  const int channels = 64 << (int)size;
  dpc_layout_add(&info->interface.obs, "observation", OBS, NULL, NULL);
  dpc_layout_add(&info->interface.action, "action", ACTION, NULL, NULL);
  info->unet.input_dim = ACTION;
  info->unet.global_cond_dim = info->policy.n_obs * OBS;
  info->unet.horizon = HORIZON;
  info->unet.down_dims = (dpc_int_list){3, {channels, 2 * channels, 4 * channels}};
  DPC_TRY(make_identity(OBS, arena, &info->obs_normalizer, error));
  DPC_TRY(make_identity(ACTION, arena, &info->action_normalizer, error));
  DPC_TRY(dpc_checkpoint_info_check(info, error));
  DPC_TRY(dpc_unet_create(&info->unet, arena, &network.unet, error));
  network.params = DPC_TAKE(arena, float, dpc_unet_param_count(network.unet));
  if (network.params == NULL) return dpc_arena_full(arena, "random weights", error);
  dpc_unet_init(network.unet, (dpc_rng_key){1, 0}, network.params);
  *out = network;
  return DPC_OK;
}
