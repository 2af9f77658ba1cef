#include "tools/random_network.h"

static const dpc_int_list channels[] = {
    {3, {64, 128, 256}}, {3, {128, 256, 512}}, {3, {256, 512, 1024}}};

const char* const dpc_random_network_names[] = {"small", "medium", "large", NULL};

dpc_unet_def dpc_random_network_def(int size) {
  DPC_ASSERT(size >= 0 && size < DPC_COUNT(channels));
  dpc_unet_def def = dpc_unet_def_default();
  def.input_dim = 2;
  def.global_cond_dim = 40;
  def.down_dims = channels[size];
  return def;
}

dpc_status dpc_random_network_create(int size, dpc_arena* arena, dpc_unet** unet, float** params,
                                     dpc_error* error) {
  const dpc_unet_def def = dpc_random_network_def(size);
  dpc_unet* made = NULL;
  DPC_TRY(dpc_unet_create(&def, arena, &made, error));
  float* weights = DPC_TAKE(arena, float, dpc_unet_param_count(made));
  if (weights == NULL) return dpc_arena_full(arena, "random weights", error);
  dpc_unet_init(made, (dpc_rng_key){1, 0}, weights);
  *unet = made;
  *params = weights;
  return DPC_OK;
}
