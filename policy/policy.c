#include "policy/policy.h"

#include <string.h>

#include "policy/engine.h"
#include "policy/gemm.h"
#include "policy/guide.h"
#include "policy/settled.h"

struct dpc_policy {
  dpc_checkpoint_info info;
  dpc_schedule* schedule;
  dpc_engine* engine;
  const dpc_unet* unet;  // what the engine is packed from
  const float* params;
};

struct dpc_policy_work {
  dpc_sampler* sampler;
  dpc_engine_work* engine;
  dpc_settled* settled;
  dpc_guide* guide;  // NULL: settled rows are held
  // dpc_guide_predict; by address, so that programs which never guide do not hold the way back
  void (*draw)(dpc_guide* guide, int at, float t, const float* cond, const float* x,
               float* prediction);
  int chunks_max;
  int cond_size;      // values of an observation history
  int size;           // values of a chunk
  float* cond;        // [chunks_max][cond_size], normalised
  float* x;           // [chunks_max][size], normalised; noise that becomes the chunk
  float* memory;      // like x, the sampler's
  float* prediction;  // like x
  float* noise;       // [size]
  float* newest;      // [chunks_max][observation dim], physical; what actions may be relative to
  int chunks;         // in hand
  dpc_rng_key* keys;  // [chunks_max]
  uint32_t* plans;    // likewise
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
  policy->unet = unet;
  policy->params = params;
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

// The engine's work area knows the timesteps of the sampler's grid, and what steps follow them.
static dpc_status create_engine_work(const dpc_policy* policy, dpc_arena* arena,
                                     dpc_policy_work* work, dpc_error* error) {
  const int steps = dpc_sampler_steps(work->sampler);
  float *timesteps = DPC_TAKE(arena, float, steps), *sizes = DPC_TAKE(arena, float, steps);
  if (timesteps == NULL || sizes == NULL) {
    return dpc_arena_full(arena, "a policy's work area", error);
  }
  for (int i = 0; i < steps; ++i) {
    timesteps[i] = dpc_sampler_timestep(work->sampler, i);
    sizes[i] = dpc_sampler_step_size(work->sampler, i);
  }
  return dpc_engine_work_create(policy->engine, timesteps, sizes, steps, work->chunks_max, arena,
                                &work->engine, error);
}

static dpc_status create_work(const dpc_policy* policy, const dpc_sampler_def* sampler,
                              int chunks_max, dpc_arena* arena, dpc_policy_work** out,
                              dpc_error* error) {
  const dpc_unet_def* unet = &policy->info.unet;
  const size_t chunks = (size_t)chunks_max, size = (size_t)unet->horizon * (size_t)unet->input_dim;
  const size_t obs_dim = (size_t)policy->info.obs_normalizer.dim;
  dpc_policy_work* work = DPC_TAKE(arena, dpc_policy_work, 1);
  if (work == NULL) return dpc_arena_full(arena, "a policy's work area", error);
  *work = (dpc_policy_work){.chunks_max = chunks_max,
                            .cond_size = unet->global_cond_dim,
                            .size = (int)size,
                            .cond = DPC_TAKE(arena, float, chunks*(size_t)unet->global_cond_dim),
                            .x = DPC_TAKE(arena, float, chunks* size),
                            .memory = DPC_TAKE(arena, float, chunks* size),
                            .prediction = DPC_TAKE(arena, float, chunks* size),
                            .noise = DPC_TAKE(arena, float, size),
                            .newest = DPC_TAKE(arena, float, chunks* obs_dim),
                            .keys = DPC_TAKE(arena, dpc_rng_key, chunks),
                            .plans = DPC_TAKE(arena, uint32_t, chunks)};
  if (work->cond == NULL || work->x == NULL || work->memory == NULL || work->prediction == NULL ||
      work->noise == NULL || work->newest == NULL || work->keys == NULL || work->plans == NULL) {
    return dpc_arena_full(arena, "a policy's work area", error);
  }
  const dpc_sampler_def* def = sampler != NULL ? sampler : &policy->info.sampler;
  DPC_TRY(dpc_checkpoint_shortcut_check(policy->info.shortcut_steps, def, error));
  DPC_TRY(dpc_sampler_create(def, policy->schedule, arena, &work->sampler, error));
  DPC_TRY(dpc_settled_create(policy->schedule, policy->info.prefix_max > 0, chunks_max, (int)size,
                             arena, &work->settled, error));
  DPC_TRY(create_engine_work(policy, arena, work, error));
  *out = work;
  return DPC_OK;
}

dpc_status dpc_policy_work_create(const dpc_policy* policy, const dpc_sampler_def* sampler,
                                  int chunks_max, dpc_arena* arena, dpc_policy_work** out,
                                  dpc_error* error) {
  DPC_ASSERT(chunks_max >= 1);
  const size_t mark = dpc_arena_mark(arena);
  const dpc_status status = create_work(policy, sampler, chunks_max, arena, out, error);
  if (status != DPC_OK) dpc_arena_release(arena, mark);
  return status;
}

void dpc_policy_work_destroy(dpc_policy_work* work) {
  if (work != NULL) dpc_engine_work_destroy(work->engine);
}

dpc_status dpc_policy_guide(const dpc_policy* policy, dpc_policy_work* work, dpc_arena* arena,
                            dpc_error* error) {
  if (dpc_sampler_step_size(work->sampler, 0) > 0) {
    return dpc_fail(error, DPC_ERR_CONFIG, "guidance: not of shortcuts; take ddim instead");
  }
  work->draw = dpc_guide_predict;
  return dpc_guide_create(policy->schedule, policy->unet, policy->params, work->chunks_max, arena,
                          &work->guide, error);
}

int dpc_policy_steps(const dpc_policy_work* work) {
  return dpc_sampler_steps(work->sampler);
}

// --- act ------------------------------------------------------------------------------------------

static dpc_status check_query(const dpc_checkpoint_info* info, const dpc_policy_query* query,
                              dpc_error* error) {
  DPC_TRY(dpc_layout_check_finite(&info->interface.obs, "observation", query->obs,
                                  info->policy.n_obs, error));
  return dpc_layout_check_finite(&info->interface.action, "settled action", query->fixed,
                                 query->fixed_count + query->near_count, error);
}

static float* newest_of(const dpc_policy* policy, const dpc_policy_work* work, int at) {
  return work->newest + (ptrdiff_t)at * policy->info.obs_normalizer.dim;
}

static void settle(const dpc_policy* policy, dpc_policy_work* work, int at,
                   const dpc_policy_query* query) {
  const dpc_checkpoint_info* info = &policy->info;
  const int settled = query->fixed_count, near = query->near_count, rows = settled + near;
  const int dim = info->unet.input_dim;
  float* values = work->prediction + (ptrdiff_t)at * work->size;  // not needed yet
  for (int i = 0; i < rows * dim; ++i) values[i] = query->fixed[i];
  dpc_relative_from_absolute(&info->relative, newest_of(policy, work, at), rows, dim, values);
  dpc_normalizer_apply(&info->action_normalizer, values, rows, values);
  if (work->guide != NULL) {
    dpc_guide_set(work->guide, at, settled, near, values);
    return;
  }
  dpc_settled_set(work->settled, at, settled * dim, values, work->x + (ptrdiff_t)at * work->size);
  if (info->unet.mask_dim > 0) dpc_engine_settle(policy->engine, work->engine, at, settled);
}

// A chunk that fails is computed with the others, from nothing.
static dpc_status begin_one(const dpc_policy* policy, dpc_policy_work* work, int at,
                            const dpc_policy_query* query, dpc_error* error) {
  const dpc_checkpoint_info* info = &policy->info;
  const int obs_dim = info->obs_normalizer.dim;
  DPC_ASSERT(query->fixed_count >= 0 && query->near_count >= 0);
  DPC_ASSERT(query->fixed_count + query->near_count <= info->unet.horizon);
  DPC_ASSERT(query->near_count == 0 || work->guide != NULL);
  float* cond = work->cond + (ptrdiff_t)at * work->cond_size;
  memcpy(newest_of(policy, work, at), query->obs + (ptrdiff_t)(info->policy.n_obs - 1) * obs_dim,
         sizeof(float) * (size_t)obs_dim);
  work->keys[at] = query->key;
  work->plans[at] = query->plan;
  float* x = work->x + (ptrdiff_t)at * work->size;
  dpc_rng_normal(query->key, DPC_STREAM_POLICY_NOISE, query->plan, 0, work->size, x);
  dpc_sampler_begin(work->sampler, work->size, x, work->memory + (ptrdiff_t)at * work->size);
  const dpc_status status = check_query(info, query, error);
  if (status == DPC_OK) {
    dpc_normalizer_apply(&info->obs_normalizer, query->obs, info->policy.n_obs, cond);
    settle(policy, work, at, query);
  } else {
    memset(cond, 0, sizeof(float) * (size_t)work->cond_size);
    settle(policy, work, at, &(dpc_policy_query){.fixed_count = 0});
  }
  return status;
}

dpc_status dpc_policy_begin(const dpc_policy* policy, dpc_policy_work* work, int count,
                            dpc_policy_query* queries, dpc_error* error) {
  DPC_ASSERT(count >= 1 && count <= work->chunks_max);
  dpc_status first = DPC_OK;
  for (int i = 0; i < count; ++i) {
    queries[i].status = begin_one(policy, work, i, &queries[i], first == DPC_OK ? error : NULL);
    if (first == DPC_OK) first = queries[i].status;
  }
  work->chunks = count;
  dpc_engine_observe(policy->engine, work->engine, count, work->cond);
  return first;
}

// One evaluation of the network, for all chunks.
static void predict(const dpc_policy* policy, dpc_policy_work* work, int i) {
  const float t = dpc_sampler_timestep(work->sampler, i);
  if (work->guide == NULL) {
    dpc_settled_show(work->settled, (double)t, work->chunks, work->x);
    dpc_engine_step(policy->engine, work->engine, i, work->chunks, work->x, work->prediction);
    return;
  }
  for (int c = 0; c < work->chunks; ++c) {
    const ptrdiff_t at = (ptrdiff_t)c * work->size;
    work->draw(work->guide, c, t, work->cond + (ptrdiff_t)c * work->cond_size, work->x + at,
               work->prediction + at);
  }
}

// Counter 0 of the noise is the start, i + 1 is what step i adds.
void dpc_policy_denoise(const dpc_policy* policy, dpc_policy_work* work, int i) {
  predict(policy, work, i);
  for (int c = 0; c < work->chunks; ++c) {
    const ptrdiff_t at = (ptrdiff_t)c * work->size;
    if (dpc_sampler_stochastic(work->sampler, i)) {
      dpc_rng_normal(work->keys[c], DPC_STREAM_POLICY_NOISE, work->plans[c], (uint32_t)i + 1,
                     work->size, work->noise);
    }
    dpc_sampler_step(work->sampler, i, work->prediction + at, work->noise, work->size, work->x + at,
                     work->memory + at);
  }
}

static dpc_status finish_one(const dpc_policy* policy, dpc_policy_work* work, int at,
                             const dpc_policy_query* query, dpc_error* error) {
  const dpc_checkpoint_info* info = &policy->info;
  float* physical = work->prediction + (ptrdiff_t)at * work->size;  // no longer needed
  dpc_normalizer_invert(&info->action_normalizer, work->x + (ptrdiff_t)at * work->size,
                        info->unet.horizon, physical);
  dpc_relative_to_absolute(&info->relative, newest_of(policy, work, at), info->unet.horizon,
                           info->unet.input_dim, physical);
  const int settled = query->fixed_count * info->unet.input_dim;
  for (int i = 0; i < settled; ++i) physical[i] = query->fixed[i];
  DPC_TRY(dpc_layout_check_finite(&info->interface.action, "action", physical, info->unet.horizon,
                                  error));
  memcpy(query->chunk, physical, sizeof(float) * (size_t)work->size);
  return DPC_OK;
}

dpc_status dpc_policy_finish(const dpc_policy* policy, dpc_policy_work* work,
                             dpc_policy_query* queries, dpc_error* error) {
  dpc_engine_rest(work->engine);
  dpc_status first = DPC_OK;
  for (int i = 0; i < work->chunks; ++i) {
    if (queries[i].status != DPC_OK) continue;
    queries[i].status = finish_one(policy, work, i, &queries[i], first == DPC_OK ? error : NULL);
    if (first == DPC_OK) first = queries[i].status;
  }
  return first;
}

void dpc_policy_elementwise(const dpc_policy* policy, dpc_policy_work* work, int i) {
  dpc_engine_elementwise(policy->engine, work->engine, i);
}

dpc_status dpc_policy_act_together(const dpc_policy* policy, dpc_policy_work* work, int count,
                                   dpc_policy_query* queries, dpc_error* error) {
  const dpc_status begun = dpc_policy_begin(policy, work, count, queries, error);
  for (int i = 0; i < dpc_policy_steps(work); ++i) dpc_policy_denoise(policy, work, i);
  const dpc_status finished =
      dpc_policy_finish(policy, work, queries, begun == DPC_OK ? error : NULL);
  return begun != DPC_OK ? begun : finished;
}

dpc_status dpc_policy_act(const dpc_policy* policy, dpc_policy_work* work, const float* obs,
                          dpc_rng_key key, uint32_t plan, float* chunk, dpc_error* error) {
  dpc_policy_query query = {.obs = obs, .key = key, .plan = plan, .chunk = chunk};
  return dpc_policy_act_together(policy, work, 1, &query, error);
}
