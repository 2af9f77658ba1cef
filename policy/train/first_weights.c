#include "policy/train/first_weights.h"

static dpc_status draw_heedless(const dpc_unet* unet, dpc_rng_key key, dpc_arena* scratch,
                                float* params, dpc_error* error) {
  dpc_unet_def def = *dpc_unet_settings(unet);
  def.step_size_dim = 0;
  dpc_unet* plain = NULL;
  DPC_TRY(dpc_unet_create(&def, scratch, &plain, error));
  float* drawn = DPC_TAKE(scratch, float, dpc_unet_param_count(plain));
  if (drawn == NULL) return dpc_arena_full(scratch, "the first weights", error);
  dpc_unet_init(plain, key, drawn);
  dpc_unet_adopt(unet, plain, drawn, params);
  return DPC_OK;
}

dpc_status dpc_first_weights(const dpc_unet* unet, const dpc_teacher* teacher, dpc_rng_key key,
                             dpc_arena* scratch, float* params, dpc_error* error) {
  if (teacher != NULL) {
    dpc_unet_adopt(unet, teacher->unet, teacher->params, params);
    return DPC_OK;
  }
  if (dpc_unet_settings(unet)->step_size_dim == 0) {
    dpc_unet_init(unet, key, params);
    return DPC_OK;
  }
  const size_t mark = dpc_arena_mark(scratch);
  const dpc_status status = draw_heedless(unet, key, scratch, params, error);
  dpc_arena_release(scratch, mark);
  return status;
}
