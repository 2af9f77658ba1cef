#include "policy/train/shortcut.h"

#include <math.h>
#include <string.h>

// What is drawn of a window, by index.
enum { DRAW_SIZE, DRAW_PLACE };

// What one thread needs; rows are windows in the order of `window`.
typedef struct thread_work {
  dpc_unet_work* unet;     // the student's
  dpc_unet_work* teacher;  // NULL without one
  int* window;             // [count_max], of the lesson
  float* x;                // [count_max x chunk]
  float* cond;             // [count_max x condition]
  float* timestep;         // [count_max]
  float* half;             // [count_max], size of the steps that a target is made of; 0: the flow's
  float* velocity;         // [count_max x chunk]
} thread_work;

struct dpc_shortcut {
  dpc_shortcut_parts parts;
  int cond_dim, chunk_dim;
  int sizes;  // of shortcuts: half of the whole way's finest steps, a quarter, ..., one
  thread_work* works;
};

// --- making it ------------------------------------------------------------------------------------

static dpc_status create_work(const dpc_shortcut* s, dpc_arena* arena, thread_work* out,
                              dpc_error* error) {
  const dpc_shortcut_parts* p = &s->parts;
  const size_t count = (size_t)p->count_max, size = count * (size_t)s->chunk_dim;
  *out = (thread_work){.window = DPC_TAKE(arena, int, count),
                       .x = DPC_TAKE(arena, float, size),
                       .cond = DPC_TAKE(arena, float, count*(size_t)s->cond_dim + 1),
                       .timestep = DPC_TAKE(arena, float, count),
                       .half = DPC_TAKE(arena, float, count),
                       .velocity = DPC_TAKE(arena, float, size)};
  if (!out->window || !out->x || !out->cond || !out->timestep || !out->half || !out->velocity) {
    return dpc_arena_full(arena, "a thread's shortcuts", error);
  }
  DPC_TRY(dpc_unet_work_create(p->unet, p->count_max, false, arena, &out->unet, error));
  if (p->teacher == NULL) return DPC_OK;
  return dpc_unet_work_create(p->teacher, p->count_max, false, arena, &out->teacher, error);
}

dpc_status dpc_shortcut_create(const dpc_shortcut_parts* parts, dpc_arena* arena,
                               dpc_shortcut** out, dpc_error* error) {
  const dpc_unet_def* unet = dpc_unet_settings(parts->unet);
  DPC_ASSERT(unet->step_size_dim == 1 && unet->mask_dim == 0 && parts->steps >= 2);
  DPC_ASSERT(parts->schedule->def.prediction == DPC_PREDICT_VELOCITY);
  dpc_shortcut* s = DPC_TAKE(arena, dpc_shortcut, 1);
  if (s == NULL) return dpc_arena_full(arena, "shortcuts", error);
  *s = (dpc_shortcut){.parts = *parts,
                      .cond_dim = unet->global_cond_dim,
                      .chunk_dim = unet->horizon * unet->input_dim,
                      .works = DPC_TAKE(arena, thread_work, parts->threads)};
  if (s->works == NULL) return dpc_arena_full(arena, "shortcuts", error);
  while (1 << (s->sizes + 1) <= parts->steps) ++s->sizes;
  for (int i = 0; i < parts->threads; ++i) DPC_TRY(create_work(s, arena, &s->works[i], error));
  *out = s;
  return DPC_OK;
}

// --- lessons --------------------------------------------------------------------------------------

int dpc_shortcut_count(const dpc_shortcut* shortcut, int count) {
  return (int)lrint(shortcut->parts.share * count);
}

// A step size, each as likely as any other, and one of the places on its grid from which it ends
// at the clean chunk or before.
static void draw(const dpc_shortcut* s, const dpc_lesson* lesson, int i) {
  const uint32_t sample = lesson->sample + (uint32_t)i;
  const int halvings = (int)dpc_rng_below(lesson->key, DPC_STREAM_TRAIN_SHORTCUT, lesson->plan,
                                          sample, DRAW_SIZE, (uint32_t)s->sizes);
  const uint32_t place = dpc_rng_below(lesson->key, DPC_STREAM_TRAIN_SHORTCUT, lesson->plan, sample,
                                       DRAW_PLACE, 1u << halvings);
  lesson->step_size[i] = ldexpf((float)s->parts.schedule->def.steps, -halvings);
  lesson->timestep[i] = lesson->step_size[i] * (float)(place + 1);
}

// Mix chunk and noise, which may be cooler than in training.
static void mix(const dpc_shortcut* s, const dpc_lesson* lesson, int i) {
  const size_t at = (size_t)i * (size_t)s->chunk_dim;
  dpc_noise_level level = dpc_schedule_level(s->parts.schedule, (double)lesson->timestep[i]);
  level.noise *= s->parts.temperature;
  dpc_schedule_add_noise(level, lesson->chunk + at, lesson->noise + at, s->chunk_dim,
                         lesson->noisy + at);
  lesson->weight[i] = 1.0;
}

static void take_row(const dpc_shortcut* s, const dpc_lesson* lesson, int i, int row,
                     thread_work* work) {
  const size_t size = (size_t)s->chunk_dim, given = (size_t)s->cond_dim;
  work->window[row] = i;
  work->timestep[row] = lesson->timestep[i];
  memcpy(work->x + (size_t)row * size, lesson->noisy + (size_t)i * size, sizeof(float) * size);
  memcpy(work->cond + (size_t)row * given, lesson->cond + (size_t)i * given, sizeof(float) * given);
}

// Windows in two groups: those whose target is made of the flow's steps, which are counted, come first.
static int take_rows(const dpc_shortcut* s, const dpc_lesson* lesson, int count,
                     thread_work* work) {
  const float finest = (float)s->parts.schedule->def.steps / (float)s->parts.steps;
  int rows = 0, flows = 0;
  for (int group = 0; group < 2; ++group) {
    for (int i = 0; i < count; ++i) {
      const float half = lesson->step_size[i] / 2;
      if ((half > finest) != (group == 1)) continue;
      work->half[rows] = group == 0 ? 0.0f : half;
      take_row(s, lesson, i, rows++, work);
    }
    if (group == 0) flows = rows;
  }
  return flows;
}

// The velocities of rows [first, end), by the teacher or by the student's average.
static void ask(const dpc_shortcut* s, const dpc_lesson* lesson, bool teacher, int first, int end,
                thread_work* work) {
  const size_t at = (size_t)first * (size_t)s->chunk_dim;
  if (first == end) return;
  dpc_unet_forward(teacher ? s->parts.teacher : s->parts.unet,
                   teacher ? s->parts.teacher_params : lesson->average,
                   teacher ? work->teacher : work->unet, end - first, work->x + at,
                   work->timestep + first, work->half + first,
                   work->cond + (size_t)first * (size_t)s->cond_dim, work->velocity + at);
}

static void ask_all(const dpc_shortcut* s, const dpc_lesson* lesson, int flows, int count,
                    thread_work* work) {
  const int taught = s->parts.teacher != NULL ? flows : 0;
  ask(s, lesson, true, 0, taught, work);
  ask(s, lesson, false, taught, count, work);
}

// Half a step of every row, with its velocity noted as the target.
static void go_half(const dpc_shortcut* s, const dpc_lesson* lesson, int count, thread_work* work) {
  const int size = s->chunk_dim;
  for (int row = 0; row < count; ++row) {
    const int i = work->window[row];
    const float half = lesson->step_size[i] / 2;
    const float length = half / (float)s->parts.schedule->def.steps;
    float* x = work->x + (ptrdiff_t)row * size;
    const float* velocity = work->velocity + (ptrdiff_t)row * size;
    for (int k = 0; k < size; ++k) x[k] += length * velocity[k];
    memcpy(lesson->chunk + (ptrdiff_t)i * size, velocity, sizeof(float) * (size_t)size);
    work->timestep[row] -= half;
  }
}

// The target is the mean of both halves' velocities.
static void average_halves(const dpc_shortcut* s, const dpc_lesson* lesson, int count,
                           const thread_work* work) {
  const int size = s->chunk_dim;
  for (int row = 0; row < count; ++row) {
    const float* velocity = work->velocity + (ptrdiff_t)row * size;
    float* target = lesson->chunk + (ptrdiff_t)work->window[row] * size;
    for (int k = 0; k < size; ++k) target[k] = 0.5f * (target[k] + velocity[k]);
  }
}

static void prepare_shortcuts(const dpc_shortcut* s, const dpc_lesson* lesson, int count,
                              thread_work* work) {
  for (int i = 0; i < count; ++i) {
    draw(s, lesson, i);
    mix(s, lesson, i);
  }
  const int flows = take_rows(s, lesson, count, work);
  ask_all(s, lesson, flows, count, work);
  go_half(s, lesson, count, work);
  ask_all(s, lesson, flows, count, work);
  average_halves(s, lesson, count, work);
}

// The teacher's own velocities, at any time, so that the student remains a flow beside its shortcuts.
static void prepare_flow(const dpc_shortcut* s, const dpc_lesson* lesson, int first,
                         thread_work* work) {
  const int count = lesson->count - first;
  for (int i = first; i < lesson->count; ++i) {
    float drawn;
    dpc_rng_uniform(lesson->key, DPC_STREAM_TRAIN_TIMESTEP, lesson->plan,
                    lesson->sample + (uint32_t)i, 1, &drawn);
    lesson->timestep[i] = drawn * (float)s->parts.schedule->def.steps;
    lesson->step_size[i] = 0;
    mix(s, lesson, i);
    take_row(s, lesson, i, i - first, work);
  }
  ask(s, lesson, true, 0, count, work);
  memcpy(lesson->chunk + (ptrdiff_t)first * s->chunk_dim, work->velocity,
         sizeof(float) * (size_t)count * (size_t)s->chunk_dim);
}

void dpc_shortcut_prepare(const dpc_shortcut* shortcut, int thread, const dpc_lesson* lesson) {
  thread_work* work = &shortcut->works[thread];
  const int count = dpc_shortcut_count(shortcut, lesson->count);
  prepare_shortcuts(shortcut, lesson, count, work);
  if (shortcut->parts.teacher != NULL) prepare_flow(shortcut, lesson, count, work);
}
