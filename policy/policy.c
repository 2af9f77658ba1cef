#include "policy/policy.h"

#include <math.h>
#include <string.h>

#include "policy/engine.h"
#include "policy/gemm.h"

struct dpc_policy {
  dpc_checkpoint_info info;
  dpc_schedule* schedule;
  dpc_engine* engine;
};

struct dpc_policy_work {
  dpc_sampler* sampler;
  dpc_engine_work* engine;
  int count;          // values in a chunk
  float* cond;        // [n_obs x observation dim], normalised
  float* x;           // [horizon x action dim], normalised; noise that becomes the chunk
  float* prediction;  // like x
  float* noise;       // like x
  dpc_rng_key key;    // of the chunk in hand
  uint32_t plan;
};

// --- load -----------------------------------------------------------------------------------------

dpc_status dpc_policy_load(const char* path, dpc_arena* arena, dpc_policy** out, dpc_error* error) {
  const dpc_engine_def engine = dpc_engine_def_default();
  return dpc_policy_load_for(path, &engine, arena, out, error);
}

dpc_status dpc_policy_load_for(const char* path, const dpc_engine_def* engine, dpc_arena* arena,
                               dpc_policy** out, dpc_error* error) {
  const size_t mark = dpc_arena_mark(arena);
  dpc_checkpoint_info info;
  dpc_unet* unet = NULL;
  float* params = NULL;
  dpc_status status = dpc_checkpoint_load(path, arena, &info, &unet, &params, error);
  if (status == DPC_OK) {
    status = dpc_policy_create(&info, unet, params, engine, arena, out, error);
  }
  if (status != DPC_OK) dpc_arena_release(arena, mark);
  return status;
}

dpc_status dpc_policy_create(const dpc_checkpoint_info* info, const dpc_unet* unet,
                             const float* params, const dpc_engine_def* engine, dpc_arena* arena,
                             dpc_policy** out, dpc_error* error) {
  // the network must find its matrix library single-threaded, whoever makes a policy
  DPC_TRY(dpc_gemm_start(error));
  const size_t mark = dpc_arena_mark(arena);
  dpc_policy* policy = DPC_TAKE(arena, dpc_policy, 1);
  if (policy == NULL) return dpc_arena_full(arena, "a policy", error);
  policy->info = *info;
  dpc_status status = dpc_schedule_create(&info->schedule, arena, &policy->schedule, error);
  if (status == DPC_OK) {
    status = dpc_engine_create(engine, unet, params, arena, &policy->engine, error);
  }
  if (status != DPC_OK) {
    dpc_arena_release(arena, mark);
    return status;
  }
  *out = policy;
  return DPC_OK;
}

const dpc_engine* dpc_policy_engine(const dpc_policy* policy) {
  return policy->engine;
}

const dpc_checkpoint_info* dpc_policy_info(const dpc_policy* policy) {
  return &policy->info;
}

// The engine's work area knows the timesteps of the sampler's grid.
static dpc_status create_engine_work(const dpc_policy* policy, dpc_arena* arena,
                                     dpc_policy_work* work, dpc_error* error) {
  const int steps = dpc_sampler_steps(work->sampler);
  float* timesteps = DPC_TAKE(arena, float, steps);
  if (timesteps == NULL) return dpc_arena_full(arena, "a policy's work area", error);
  for (int i = 0; i < steps; ++i) timesteps[i] = dpc_sampler_timestep(work->sampler, i);
  return dpc_engine_work_create(policy->engine, timesteps, steps, arena, &work->engine, error);
}

static dpc_status create_work(const dpc_policy* policy, const dpc_sampler_def* sampler,
                              dpc_arena* arena, dpc_policy_work** out, dpc_error* error) {
  const dpc_unet_def* unet = &policy->info.unet;
  const size_t count = (size_t)unet->horizon * (size_t)unet->input_dim;
  dpc_policy_work* work = DPC_TAKE(arena, dpc_policy_work, 1);
  float* cond = DPC_TAKE(arena, float, unet->global_cond_dim);
  float* chunks = DPC_TAKE(arena, float, 3 * count);
  if (work == NULL || cond == NULL || chunks == NULL) {
    return dpc_arena_full(arena, "a policy's work area", error);
  }
  *work = (dpc_policy_work){.count = (int)count,
                            .cond = cond,
                            .x = chunks,
                            .prediction = chunks + count,
                            .noise = chunks + 2 * count};
  const dpc_sampler_def* def = sampler != NULL ? sampler : &policy->info.sampler;
  DPC_TRY(dpc_sampler_create(def, policy->schedule, arena, &work->sampler, error));
  DPC_TRY(create_engine_work(policy, arena, work, error));
  *out = work;
  return DPC_OK;
}

dpc_status dpc_policy_work_create(const dpc_policy* policy, const dpc_sampler_def* sampler,
                                  dpc_arena* arena, dpc_policy_work** out, dpc_error* error) {
  const size_t mark = dpc_arena_mark(arena);
  const dpc_status status = create_work(policy, sampler, arena, out, error);
  if (status != DPC_OK) dpc_arena_release(arena, mark);
  return status;
}

int dpc_policy_steps(const dpc_policy_work* work) {
  return dpc_sampler_steps(work->sampler);
}

// --- act ------------------------------------------------------------------------------------------

// Words for values that are not finite: the signal, row and element of the first.
static dpc_status check_finite(const dpc_layout* layout, const char* kind, const float* values,
                               int rows, dpc_error* error) {
  for (int row = 0; row < rows; ++row) {
    for (int s = 0; s < layout->count; ++s) {
      for (int i = 0; i < layout->signals[s].dim; ++i, ++values) {
        if (!isfinite(*values)) {
          return dpc_fail(error, DPC_ERR_INVALID, "%s '%s': row %d, element %d is not finite", kind,
                          layout->signals[s].name, row, i);
        }
      }
    }
  }
  return DPC_OK;
}

dpc_status dpc_policy_begin(const dpc_policy* policy, dpc_policy_work* work, const float* obs,
                            dpc_rng_key key, uint32_t plan, dpc_error* error) {
  const dpc_checkpoint_info* info = &policy->info;
  DPC_TRY(check_finite(&info->interface.obs, "observation", obs, info->policy.n_obs, error));
  dpc_normalizer_apply(&info->obs_normalizer, obs, info->policy.n_obs, work->cond);
  dpc_engine_observe(policy->engine, work->engine, work->cond);
  work->key = key;
  work->plan = plan;
  dpc_rng_normal(key, DPC_STREAM_POLICY_NOISE, plan, 0, work->count, work->x);
  return DPC_OK;
}

// Counter 0 of the noise is the start, i + 1 is what step i adds.
void dpc_policy_denoise(const dpc_policy* policy, dpc_policy_work* work, int i) {
  dpc_engine_step(policy->engine, work->engine, i, work->x, work->prediction);
  if (dpc_sampler_stochastic(work->sampler, i)) {
    dpc_rng_normal(work->key, DPC_STREAM_POLICY_NOISE, work->plan, (uint32_t)i + 1, work->count,
                   work->noise);
  }
  dpc_sampler_step(work->sampler, i, work->prediction, work->noise, work->count, work->x);
}

void dpc_policy_elementwise(const dpc_policy* policy, dpc_policy_work* work, int i) {
  dpc_engine_elementwise(policy->engine, work->engine, i);
}

dpc_status dpc_policy_finish(const dpc_policy* policy, const dpc_policy_work* work, float* chunk,
                             dpc_error* error) {
  const dpc_checkpoint_info* info = &policy->info;
  float* physical = work->prediction;  // no longer needed
  dpc_normalizer_invert(&info->action_normalizer, work->x, info->unet.horizon, physical);
  DPC_TRY(check_finite(&info->interface.action, "action", physical, info->unet.horizon, error));
  memcpy(chunk, physical, sizeof(float) * (size_t)work->count);
  return DPC_OK;
}

dpc_status dpc_policy_act(const dpc_policy* policy, dpc_policy_work* work, const float* obs,
                          dpc_rng_key key, uint32_t plan, float* chunk, dpc_error* error) {
  DPC_TRY(dpc_policy_begin(policy, work, obs, key, plan, error));
  for (int i = 0; i < dpc_policy_steps(work); ++i) dpc_policy_denoise(policy, work, i);
  return dpc_policy_finish(policy, work, chunk, error);
}
