/// Windows of the small policy for whoever prepares lessons of them (policy/train/lesson.h).
#pragma once

#include <string.h>

#include "policy/train/lesson.h"
#include "tests/small_policy.h"

enum {
  LESSON_MAX = 24,
  LESSON_CHUNK = SMALL_HORIZON * SMALL_ACTION,
  LESSON_COND = SMALL_N_OBS * SMALL_OBS,
};

typedef struct lesson_data {
  float cond[LESSON_MAX * LESSON_COND], noise[LESSON_MAX * LESSON_CHUNK];
  float recorded[LESSON_MAX * LESSON_CHUNK], chunk[LESSON_MAX * LESSON_CHUNK];
  float noisy[LESSON_MAX * LESSON_CHUNK], timestep[LESSON_MAX], step_size[LESSON_MAX];
  double weight[LESSON_MAX];
} lesson_data;

/// A lesson of `count` windows that are drawn into `data`.
static inline dpc_lesson make_lesson(int count, dpc_rng_key key, const float* average,
                                     lesson_data* data) {
  memset(data, 0, sizeof *data);
  dpc_rng_normal(key, DPC_STREAM_TEST, 0, 0, count * LESSON_COND, data->cond);
  dpc_rng_normal(key, DPC_STREAM_TEST, 0, 1, count * LESSON_CHUNK, data->noise);
  dpc_rng_uniform(key, DPC_STREAM_TEST, 0, 2, count * LESSON_CHUNK, data->recorded);
  memcpy(data->chunk, data->recorded, sizeof data->chunk);
  return (dpc_lesson){.count = count,
                      .key = key,
                      .plan = 4,
                      .sample = 100,
                      .average = average,
                      .cond = data->cond,
                      .noise = data->noise,
                      .chunk = data->chunk,
                      .noisy = data->noisy,
                      .timestep = data->timestep,
                      .step_size = data->step_size,
                      .weight = data->weight};
}
