#include "policy/engine.h"

#include <string.h>

#include "policy/engine_plan.h"

const char* const dpc_precision_names[] = {"auto", "fp32", "bf16", "int8", NULL};

static const dpc_field fields[] = {
    DPC_CHOICE(
        dpc_engine_def, precision, "auto", dpc_precision_names,
        "arithmetic of the network; auto: bf16 on a processor with fast dot products of bfloat16, "
        "else fp32; int8 is the fastest, and the least exact"),
    DPC_INT(dpc_engine_def, threads, "1", 1, DPC_TEAM_MAX, "threads",
            "that share one inference; each keeps a CPU busy for its time"),
};
DPC_FIELD_TABLE(dpc_engine_fields, dpc_engine_def, "engine", "how the network is computed", fields);

dpc_engine_def dpc_engine_def_default(void) {
  dpc_engine_def def;
  dpc_fields_default(&dpc_engine_fields, &def);
  return def;
}

dpc_status dpc_engine_def_check(const dpc_engine_def* def, dpc_error* error) {
  return dpc_fields_check(&dpc_engine_fields, def, error);
}

// How far ahead of the weights in use others are fetched, bytes. Measured: the third-level cache answers
// soon; a stream that it holds in part wants most, and one from memory alone less again.
static ptrdiff_t prefetch_distance(size_t weight_bytes) {
  const size_t mib = (size_t)1 << 20;
  if (weight_bytes <= 20 * mib) return 4096;
  return weight_bytes <= 48 * mib ? 16384 : 8192;
}

static dpc_precision choose_precision(dpc_precision wanted, const dpc_kernels* kernels) {
  if (wanted != DPC_PRECISION_AUTO) return wanted;
  return kernels->bf16_dot ? DPC_PRECISION_BF16 : DPC_PRECISION_FP32;
}

// --- create --------------------------------------------------------------------------------------

dpc_status dpc_engine_create(const dpc_engine_def* def, const dpc_unet* unet, const float* params,
                             dpc_arena* arena, dpc_engine** out, dpc_error* error) {
  const dpc_kernels* kernels = NULL;
  DPC_TRY(dpc_engine_def_check(def, error));
  DPC_TRY(dpc_kernels_pick(&kernels, error));
  const size_t mark = dpc_arena_mark(arena);
  dpc_engine* engine = DPC_TAKE(arena, dpc_engine, 1);
  if (engine == NULL) return dpc_arena_full(arena, "the engine", error);
  engine->unet = unet;
  engine->params = params;
  engine->kernels = kernels;
  engine->threads = def->threads;
  engine->precision = choose_precision((dpc_precision)def->precision, kernels);
  dpc_engine_plan(engine);
  dpc_status status = dpc_engine_pack(engine, arena, error);
  if (status == DPC_OK) status = dpc_engine_film_pack(engine, arena, error);
  engine->prefetch = prefetch_distance(engine->weight_bytes);
  if (status != DPC_OK) {
    dpc_arena_release(arena, mark);
    return status;
  }
  *out = engine;
  return DPC_OK;
}

// Pairs of a position and a tap that meet a row.
static int meetings(const dpc_engine_conv* op) {
  int count = 0;
  for (int p = 0; p < op->positions; ++p) {
    for (int k = 0; k < op->taps; ++k) {
      const int row = op->first + p * op->step + k;
      count += row >= 0 && row < op->conv->time;
    }
  }
  return count;
}

dpc_engine_info dpc_engine_describe(const dpc_engine* e) {
  dpc_engine_info info = {.isa = e->kernels->name,
                          .precision = dpc_precision_names[e->precision],
                          .threads = e->threads,
                          .weight_bytes = e->weight_bytes};
  for (int i = 0; i < e->op_count; ++i) {
    if (e->ops[i].kind != DPC_ENGINE_CONV) continue;
    const dpc_engine_conv* op = &e->ops[i].conv;
    info.macs += (double)meetings(op) * op->conv->conv.in * op->conv->conv.out;
  }
  return info;
}

static dpc_status take_values(const dpc_engine* e, int samples_max, dpc_arena* arena,
                              dpc_engine_work* work, dpc_error* error) {
  const size_t samples = (size_t)samples_max, given = (size_t)e->unet->def.global_cond_dim;
  work->samples_max = samples_max;
  work->values = DPC_TAKE(arena, float, samples * e->values);
  work->values_bf16 = DPC_TAKE(arena, uint16_t, dpc_engine_rounds(e) ? samples * e->values : 1);
  const size_t wholes = dpc_engine_wholes(e) ? samples * (size_t)e->threads : 0;
  work->wholes = DPC_TAKE(arena, char, wholes * e->values * dpc_engine_whole_size(e) + 1);
  work->scales = DPC_TAKE(arena, dpc_whole_scale, wholes * (size_t)e->buffer_count + 1);
  work->film_obs = DPC_TAKE(arena, float, samples*(size_t)e->film_size);
  work->cond_mish = DPC_TAKE(arena, float, samples* given + 1);
  if (work->values == NULL || work->values_bf16 == NULL || work->wholes == NULL ||
      work->scales == NULL || work->film_obs == NULL || work->cond_mish == NULL) {
    return dpc_arena_full(arena, "the engine's work area", error);
  }
  return DPC_OK;
}

static dpc_status make_film_steps(const dpc_engine* e, const float* timesteps,
                                  const float* step_sizes, int count, dpc_arena* arena,
                                  dpc_engine_work* work, dpc_error* error) {
  const size_t film = (size_t)e->film_size;
  work->count = count;
  work->film_steps = DPC_TAKE(arena, float, film*(size_t)count);
  if (work->film_steps == NULL) return dpc_arena_full(arena, "the engine's work area", error);
  const size_t mark = dpc_arena_mark(arena);
  dpc_unet_work* scratch = NULL;
  DPC_TRY(dpc_unet_work_create(e->unet, 1, false, arena, &scratch, error));
  for (int i = 0; i < count; ++i) {
    dpc_engine_film_step(e, scratch, timesteps[i], step_sizes != NULL ? step_sizes[i] : 0.0f,
                         work->film_steps + film * (size_t)i);
  }
  dpc_arena_release(arena, mark);
  return DPC_OK;
}

dpc_status dpc_engine_work_create(const dpc_engine* engine, const float* timesteps,
                                  const float* step_sizes, int count, int samples_max,
                                  dpc_arena* arena, dpc_engine_work** out, dpc_error* error) {
  DPC_ASSERT(count >= 1 && samples_max >= 1);
  const size_t mark = dpc_arena_mark(arena);
  dpc_engine_work* work = DPC_TAKE(arena, dpc_engine_work, 1);
  if (work == NULL) return dpc_arena_full(arena, "the engine's work area", error);
  dpc_status status = take_values(engine, samples_max, arena, work, error);
  if (status == DPC_OK) {
    status = make_film_steps(engine, timesteps, step_sizes, count, arena, work, error);
  }
  if (status == DPC_OK) status = dpc_team_create(engine->threads, arena, &work->team, error);
  if (status != DPC_OK) {
    dpc_arena_release(arena, mark);
    return status;
  }
  *out = work;
  return DPC_OK;
}

void dpc_engine_work_destroy(dpc_engine_work* work) {
  if (work != NULL) dpc_team_destroy(work->team);
}
