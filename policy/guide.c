#include "policy/guide.h"

#include <math.h>
#include <string.h>

// The most that a step draws, as in the paper: with few steps more than this overshoots.
static const double STRENGTH_MAX = 5.0;

// What one chunk is drawn to.
typedef struct wanted {
  int settled, near;
  float* rows;  // [horizon x input_dim]
} wanted;

struct dpc_guide {
  const dpc_schedule* schedule;
  const dpc_unet* unet;
  const float* params;
  int chunks_max;
  wanted* chunks;  // [chunks_max]
  dpc_unet_work* work;
  float* error;     // [horizon x input_dim], weighted, of the clean chunk
  float* by_out;    // likewise, gradient by the prediction
  float* by_x;      // likewise, by x
  float* by_param;  // not wanted, but the way back writes it
};

static int size_of(const dpc_guide* guide) {
  const dpc_unet_def* def = dpc_unet_settings(guide->unet);
  return def->horizon * def->input_dim;
}

static dpc_status create(dpc_guide* guide, dpc_arena* arena, dpc_error* error) {
  const int size = size_of(guide);
  guide->chunks = DPC_TAKE(arena, wanted, guide->chunks_max);
  guide->error = DPC_TAKE(arena, float, size);
  guide->by_out = DPC_TAKE(arena, float, size);
  guide->by_x = DPC_TAKE(arena, float, size);
  guide->by_param = DPC_TAKE(arena, float, dpc_unet_param_count(guide->unet));
  bool fits = guide->chunks && guide->error && guide->by_out && guide->by_x && guide->by_param;
  for (int i = 0; fits && i < guide->chunks_max; ++i) {
    guide->chunks[i].rows = DPC_TAKE(arena, float, size);
    fits = guide->chunks[i].rows != NULL;
  }
  if (!fits) return dpc_arena_full(arena, "guidance", error);
  return dpc_unet_work_create(guide->unet, 1, true, arena, &guide->work, error);
}

dpc_status dpc_guide_create(const dpc_schedule* schedule, const dpc_unet* unet, const float* params,
                            int chunks_max, dpc_arena* arena, dpc_guide** out, dpc_error* error) {
  if (dpc_unet_settings(unet)->mask_dim > 0) {
    return dpc_fail(error, DPC_ERR_CONFIG,
                    "guidance: the policy was trained to go on from settled rows and needs none");
  }
  const size_t mark = dpc_arena_mark(arena);
  dpc_guide* guide = DPC_TAKE(arena, dpc_guide, 1);
  if (guide == NULL) return dpc_arena_full(arena, "guidance", error);
  *guide =
      (dpc_guide){.schedule = schedule, .unet = unet, .params = params, .chunks_max = chunks_max};
  const dpc_status status = create(guide, arena, error);
  if (status != DPC_OK) {
    dpc_arena_release(arena, mark);
    return status;
  }
  *out = guide;
  return DPC_OK;
}

double dpc_guide_weight(int settled, int near, int row) {
  if (row < settled) return 1.0;
  if (row >= settled + near) return 0.0;
  const double left = (double)(settled + near - row) / (near + 1);
  return left * expm1(left) / expm1(1.0);
}

void dpc_guide_set(dpc_guide* guide, int at, int settled, int near, const float* rows) {
  const dpc_unet_def* def = dpc_unet_settings(guide->unet);
  DPC_ASSERT(at >= 0 && at < guide->chunks_max);
  DPC_ASSERT(settled >= 0 && near >= 0 && settled + near <= def->horizon);
  wanted* w = &guide->chunks[at];
  w->settled = settled;
  w->near = near;
  const size_t count = (size_t)(settled + near) * (size_t)def->input_dim;
  if (count > 0) memcpy(w->rows, rows, sizeof(float) * count);
}

// error = weights (wanted - clean), with clean = clean_x x + clean_p prediction.
static void weigh_error(const dpc_guide* guide, const wanted* w, const dpc_reading* reading,
                        const float* x, const float* prediction) {
  const dpc_unet_def* def = dpc_unet_settings(guide->unet);
  for (int row = 0, i = 0; row < def->horizon; ++row) {
    const double weight = dpc_guide_weight(w->settled, w->near, row);
    for (int k = 0; k < def->input_dim; ++k, ++i) {
      const double clean =
          reading->clean_x * (double)x[i] + reading->clean_p * (double)prediction[i];
      guide->error[i] = weight > 0.0 ? (float)(weight * ((double)w->rows[i] - clean)) : 0.0f;
      guide->by_out[i] = (float)(reading->clean_p * (double)guide->error[i]);
    }
  }
}

// In the paper a flow's velocity gets min(STRENGTH_MAX, (1 - t) / (t r^2)) times the gradient, with
// r^2 = (1 - t)^2 / (t^2 + (1 - t)^2), so the clean chunk gets 1 - t times that. With signal and
// noise for t and 1 - t the same holds for any schedule: scaling x changes neither their ratio nor
// noise times gradient.
void dpc_guide_predict(dpc_guide* guide, int at, float t, const float* cond, const float* x,
                       float* prediction) {
  DPC_ASSERT(at >= 0 && at < guide->chunks_max);
  const wanted* w = &guide->chunks[at];
  dpc_unet_forward(guide->unet, guide->params, guide->work, 1, x, &t, NULL, cond, prediction);
  if (w->settled + w->near == 0) return;
  const dpc_noise_level level = dpc_schedule_level(guide->schedule, (double)t);
  const dpc_reading reading = dpc_schedule_reading(guide->schedule, level);
  const double s = level.signal, n = level.noise;
  weigh_error(guide, w, &reading, x, prediction);
  dpc_unet_backward(guide->unet, guide->params, guide->work, 1, x, cond, guide->by_out,
                    guide->by_param, guide->by_x, NULL);
  const double strength = fmin(STRENGTH_MAX, (s * s + n * n) / (s * n));
  const double factor = n * strength / reading.clean_p;
  for (int i = 0; i < size_of(guide); ++i) {
    const double gradient = reading.clean_x * (double)guide->error[i] + (double)guide->by_x[i];
    prediction[i] = (float)((double)prediction[i] + factor * gradient);
  }
}
