#include "policy/train/distill.h"

#include <string.h>

const char* const dpc_distill_method_names[] = {"none", "endpoint", "consistency", "shortcut",
                                                NULL};

static const dpc_field fields[] = {
    DPC_CHOICE(dpc_distill_def, method, "none", dpc_distill_method_names,
               "what is learned from a teacher: where its way from noise ends, a student that "
               "agrees with itself along it, or steps that double (train.shortcut_steps)"),
    DPC_TEXT(dpc_distill_def, teacher, "", "the policy that is learned from"),
    DPC_TEXT(dpc_distill_def, teacher_sha256, "",
             "of its weights; another teacher is refused. Empty: filled in"),
    DPC_CHOICE(
        dpc_distill_def, teacher_sampler, "ddim", dpc_sampler_kind_names,
        "how the teacher goes from noise to clean, one that adds no noise; where the method is "
        "shortcut, in rollouts only"),
    DPC_INT(dpc_distill_def, teacher_steps, "10", 1, 1000, "", "and in how many steps"),
    DPC_INT(dpc_distill_def, rollouts, "0", 0, 100000, "episodes",
            "observe the teacher in the push world, seeds from 300000, instead of dataset.path"),
};
DPC_FIELD_TABLE(dpc_distill_fields, dpc_distill_def, "distill", "From many evaluations to few.",
                fields);

dpc_status dpc_teacher_load(const char* path, dpc_arena* arena, dpc_teacher** out,
                            dpc_error* error) {
  dpc_teacher* teacher = DPC_TAKE(arena, dpc_teacher, 1);
  if (teacher == NULL) return dpc_arena_full(arena, "a teacher", error);
  DPC_TRY(
      dpc_checkpoint_load(path, arena, &teacher->info, &teacher->unet, &teacher->params, error));
  *out = teacher;
  return DPC_OK;
}

dpc_status dpc_teacher_match(const dpc_teacher* teacher, const dpc_checkpoint_info* student,
                             dpc_error* error) {
  const dpc_checkpoint_info* info = &teacher->info;
  if (info->prefix_max > 0 || student->prefix_max > 0) {
    return dpc_fail(error, DPC_ERR_CONFIG,
                    "train.prefix_max: a policy that goes on from settled rows is not distilled");
  }
  if (info->shortcut_steps > 0) {
    return dpc_fail(error, DPC_ERR_CONFIG,
                    "the teacher has shortcuts (train.shortcut_steps %d): a plain flow is wanted",
                    info->shortcut_steps);
  }
  const dpc_status status = dpc_interface_match(&info->interface, &student->interface, error);
  if (status != DPC_OK) return dpc_fail_prefix(error, status, "teacher and dataset: ");
  if (memcmp(&info->relative, &student->relative, sizeof info->relative) == 0) return DPC_OK;
  return dpc_fail(error, DPC_ERR_MISMATCH,
                  "teacher and dataset: not the same actions are relative; see dataset.action");
}

// --- making it ------------------------------------------------------------------------------------

// What one thread needs.
typedef struct thread_work {
  dpc_engine_work* engine;  // endpoint
  dpc_unet_work* unet;      // consistency: teacher and student are asked at mixed timesteps
  float* x;                 // [count_max x chunk]
  float* memory;            // likewise
  float* prediction;        // likewise
  float* timestep;          // [count_max], consistency
  int* level;               // [count_max], which of the student's timesteps, or the teacher's
} thread_work;

struct dpc_distill {
  dpc_distill_parts parts;
  int cond_dim, chunk_dim;
  dpc_sampler* teacher;  // deterministic
  dpc_engine* engine;
  int level_count;
  float* levels;  // [level_count], timesteps to learn at, from noisy to clean
  thread_work* works;
};

dpc_sampler_def dpc_distill_teacher_sampler(const dpc_distill_def* def, const dpc_teacher* teacher,
                                            const dpc_sampler_def* student) {
  dpc_sampler_def sampler = teacher->info.sampler;
  sampler.kind = def->teacher_sampler;
  sampler.steps = def->teacher_steps;
  sampler.grid = student->grid;
  sampler.temperature = student->temperature;
  return sampler;
}

static dpc_status create_teacher(dpc_distill* d, dpc_arena* arena, dpc_error* error) {
  const dpc_distill_def* def = d->parts.def;
  const dpc_sampler_def sampler =
      dpc_distill_teacher_sampler(def, d->parts.teacher, d->parts.sampler);
  if (d->parts.schedule->def.prediction == DPC_PREDICT_EPSILON) {
    return dpc_fail(error, DPC_ERR_CONFIG,
                    "the teacher's schedule.prediction is epsilon, which says nothing of the clean "
                    "chunk where all is noise: few steps want velocity, v_prediction or sample");
  }
  if (def->method == DPC_DISTILL_CONSISTENCY && sampler.kind != DPC_SAMPLER_DDIM) {
    return dpc_fail(error, DPC_ERR_CONFIG,
                    "distill.teacher_sampler: consistency takes single steps, of ddim");
  }
  DPC_TRY(dpc_checkpoint_shortcut_check(d->parts.teacher->info.shortcut_steps, &sampler, error));
  DPC_TRY(dpc_sampler_create(&sampler, d->parts.schedule, arena, &d->teacher, error));
  for (int i = 0; i < dpc_sampler_steps(d->teacher); ++i) {
    if (dpc_sampler_stochastic(d->teacher, i)) {
      return dpc_fail(
          error, DPC_ERR_CONFIG,
          "distill.teacher_sampler: it adds noise, so that its way has no end to learn");
    }
  }
  return DPC_OK;
}

static bool is_level(const dpc_sampler* sampler, float timestep) {
  for (int i = 0; i < dpc_sampler_steps(sampler); ++i) {
    if (dpc_sampler_timestep(sampler, i) == timestep) return true;
  }
  return false;
}

// The student's own timesteps, or for consistency all of the teacher's.
static dpc_status create_levels(dpc_distill* d, dpc_arena* arena, dpc_error* error) {
  dpc_sampler* student = NULL;
  DPC_TRY(dpc_sampler_create(d->parts.sampler, d->parts.schedule, arena, &student, error));
  for (int i = 0; i < dpc_sampler_steps(student); ++i) {
    const float timestep = dpc_sampler_timestep(student, i);
    if (is_level(d->teacher, timestep)) continue;
    return dpc_fail(error, DPC_ERR_CONFIG,
                    "distill.teacher_steps: %d steps of the teacher do not pass the student's "
                    "timestep %g (sampler.steps %d)",
                    d->parts.def->teacher_steps, (double)timestep, d->parts.sampler->steps);
  }
  const dpc_sampler* from = d->parts.def->method == DPC_DISTILL_CONSISTENCY ? d->teacher : student;
  d->level_count = dpc_sampler_steps(from);
  d->levels = DPC_TAKE(arena, float, d->level_count);
  if (d->levels == NULL) return dpc_arena_full(arena, "a student's timesteps", error);
  for (int i = 0; i < d->level_count; ++i) d->levels[i] = dpc_sampler_timestep(from, i);
  return DPC_OK;
}

static dpc_status create_work(const dpc_distill* d, dpc_arena* arena, thread_work* out,
                              dpc_error* error) {
  const int count = d->parts.count_max, steps = dpc_sampler_steps(d->teacher);
  const size_t size = (size_t)count * (size_t)d->chunk_dim;
  float* timesteps = DPC_TAKE(arena, float, steps);
  *out = (thread_work){.x = DPC_TAKE(arena, float, size),
                       .memory = DPC_TAKE(arena, float, size),
                       .prediction = DPC_TAKE(arena, float, size),
                       .timestep = DPC_TAKE(arena, float, count),
                       .level = DPC_TAKE(arena, int, count)};
  if (!timesteps || !out->x || !out->memory || !out->prediction || !out->timestep || !out->level) {
    return dpc_arena_full(arena, "a thread's lessons", error);
  }
  if (d->parts.def->method == DPC_DISTILL_CONSISTENCY) {
    return dpc_unet_work_create(d->parts.teacher->unet, count, false, arena, &out->unet, error);
  }
  for (int i = 0; i < steps; ++i) timesteps[i] = dpc_sampler_timestep(d->teacher, i);
  return dpc_engine_work_create(d->engine, timesteps, NULL, steps, count, arena, &out->engine,
                                error);
}

dpc_status dpc_distill_create(const dpc_distill_parts* parts, dpc_arena* arena, dpc_distill** out,
                              dpc_error* error) {
  const dpc_unet_def* unet = &parts->teacher->info.unet;
  DPC_ASSERT(parts->def->method != DPC_DISTILL_SHORTCUT);
  dpc_distill* d = DPC_TAKE(arena, dpc_distill, 1);
  if (d == NULL) return dpc_arena_full(arena, "a distillation", error);
  *d = (dpc_distill){.parts = *parts,
                     .cond_dim = unet->global_cond_dim,
                     .chunk_dim = unet->horizon * unet->input_dim,
                     .works = DPC_TAKE(arena, thread_work, parts->threads)};
  if (d->works == NULL) return dpc_arena_full(arena, "a distillation", error);
  DPC_TRY(create_teacher(d, arena, error));
  DPC_TRY(create_levels(d, arena, error));
  dpc_engine_def engine = dpc_engine_def_default();
  engine.threads = 1;  // of which there is one for each shard
  DPC_TRY(dpc_engine_create(&engine, parts->teacher->unet, parts->teacher->params, arena,
                            &d->engine, error));
  for (int i = 0; i < parts->threads; ++i) DPC_TRY(create_work(d, arena, &d->works[i], error));
  *out = d;
  return DPC_OK;
}

// --- lessons --------------------------------------------------------------------------------------

// The network's answer that stands for a clean chunk.
static void set_answer(const dpc_distill* d, const dpc_lesson* lesson, int i, const float* clean) {
  const dpc_noise_level level = dpc_schedule_level(d->parts.schedule, (double)lesson->timestep[i]);
  const dpc_reading reading = dpc_schedule_reading(d->parts.schedule, level);
  const size_t at = (size_t)i * (size_t)d->chunk_dim;
  for (int k = 0; k < d->chunk_dim; ++k) {
    lesson->chunk[at + (size_t)k] =
        (float)(((double)clean[k] - reading.clean_x * (double)lesson->noisy[at + (size_t)k]) /
                reading.clean_p);
  }
  lesson->weight[i] = reading.clean_p * reading.clean_p;
}

static void draw_levels(const dpc_distill* d, const dpc_lesson* lesson, thread_work* work) {
  for (int i = 0; i < lesson->count; ++i) {
    work->level[i] = (int)dpc_rng_below(lesson->key, DPC_STREAM_TRAIN_TIMESTEP, lesson->plan,
                                        lesson->sample + (uint32_t)i, 0, (uint32_t)d->level_count);
    lesson->timestep[i] = d->levels[work->level[i]];
  }
}

// Keep the chunks of those windows whose way has come to their timestep.
static void keep_passing(const dpc_distill* d, const dpc_lesson* lesson, float timestep,
                         const float* x) {
  const size_t size = (size_t)d->chunk_dim;
  for (int i = 0; i < lesson->count; ++i) {
    if (lesson->timestep[i] != timestep) continue;
    memcpy(lesson->noisy + (size_t)i * size, x + (size_t)i * size, sizeof(float) * size);
  }
}

static void prepare_endpoint(const dpc_distill* d, const dpc_lesson* lesson, thread_work* work) {
  const int n = lesson->count * d->chunk_dim;
  memcpy(work->x, lesson->noise, sizeof(float) * (size_t)n);
  dpc_sampler_begin(d->teacher, n, work->x, work->memory);
  dpc_engine_observe(d->engine, work->engine, lesson->count, lesson->cond);
  for (int i = 0; i < dpc_sampler_steps(d->teacher); ++i) {
    keep_passing(d, lesson, dpc_sampler_timestep(d->teacher, i), work->x);
    dpc_engine_step(d->engine, work->engine, i, lesson->count, work->x, work->prediction);
    dpc_sampler_step(d->teacher, i, work->prediction, NULL, n, work->x, work->memory);
  }
  dpc_engine_rest(work->engine);
  for (int i = 0; i < lesson->count; ++i) {
    set_answer(d, lesson, i, work->x + (size_t)i * (size_t)d->chunk_dim);
  }
}

// What the student's average makes of the chunks in `x`, in their place: the clean ones.
static void clean_up(const dpc_distill* d, const dpc_lesson* lesson, thread_work* work) {
  dpc_unet_forward(d->parts.teacher->unet, lesson->average, work->unet, lesson->count, work->x,
                   work->timestep, NULL, lesson->cond, work->prediction);
  for (int i = 0; i < lesson->count; ++i) {
    if (work->level[i] == d->level_count - 1) continue;  // clean already
    const dpc_noise_level level = dpc_schedule_level(d->parts.schedule, (double)work->timestep[i]);
    const dpc_reading reading = dpc_schedule_reading(d->parts.schedule, level);
    float* x = work->x + (size_t)i * (size_t)d->chunk_dim;
    const float* prediction = work->prediction + (size_t)i * (size_t)d->chunk_dim;
    for (int k = 0; k < d->chunk_dim; ++k) {
      x[k] = (float)(reading.clean_x * (double)x[k] + reading.clean_p * (double)prediction[k]);
    }
  }
}

static void prepare_consistency(const dpc_distill* d, const dpc_lesson* lesson, thread_work* work) {
  const int size = d->chunk_dim;
  const double temperature = d->parts.sampler->temperature;
  for (int i = 0; i < lesson->count; ++i) {
    const size_t at = (size_t)i * (size_t)size;
    dpc_noise_level level = dpc_schedule_level(d->parts.schedule, (double)lesson->timestep[i]);
    level.noise *= temperature;
    dpc_schedule_add_noise(level, lesson->chunk + at, lesson->noise + at, size, lesson->noisy + at);
  }
  memcpy(work->x, lesson->noisy, sizeof(float) * (size_t)lesson->count * (size_t)size);
  dpc_unet_forward(d->parts.teacher->unet, d->parts.teacher->params, work->unet, lesson->count,
                   work->x, lesson->timestep, NULL, lesson->cond, work->prediction);
  for (int i = 0; i < lesson->count; ++i) {
    const size_t at = (size_t)i * (size_t)size;
    const int level = work->level[i], next = level + 1 < d->level_count ? level + 1 : level;
    memset(work->memory, 0, sizeof(float) * (size_t)size);
    dpc_sampler_step(d->teacher, level, work->prediction + at, NULL, size, work->x + at,
                     work->memory);
    work->timestep[i] = d->levels[next];
  }
  clean_up(d, lesson, work);
  for (int i = 0; i < lesson->count; ++i) {
    set_answer(d, lesson, i, work->x + (size_t)i * (size_t)size);
  }
}

void dpc_distill_prepare(const dpc_distill* distill, int thread, const dpc_lesson* lesson) {
  thread_work* work = &distill->works[thread];
  draw_levels(distill, lesson, work);
  if (distill->parts.def->method == DPC_DISTILL_CONSISTENCY) {
    prepare_consistency(distill, lesson, work);
  } else {
    prepare_endpoint(distill, lesson, work);
  }
}
