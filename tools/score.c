#include "tools/score.h"

#include <math.h>
#include <stdlib.h>

enum { RESAMPLES = 2000 };

static const size_t POLICY_SIZE = (size_t)4 << 30;  // address space

void dpc_score_wilson(int successes, int count, double interval[2]) {
  const double z = 1.959963984540054, n = count, p = successes / n;
  const double scale = 1 / (1 + z * z / n);
  const double middle = (p + z * z / (2 * n)) * scale;
  const double half = z * scale * sqrt(p * (1 - p) / n + z * z / (4 * n * n));
  interval[0] = successes == 0 ? 0 : middle - half;
  interval[1] = successes == count ? 1 : middle + half;
}

static int compare(const void* a, const void* b) {
  const double x = *(const double*)a, y = *(const double*)b;
  return (x > y) - (x < y);
}

// The percentile bootstrap (Efron 1979): means of values drawn with replacement. `means` [RESAMPLES] is
// scratch.
static void resample(const double* values, int count, uint32_t seed, double* means,
                     double interval[2]) {
  const dpc_rng_key key = {.run = seed};
  for (uint32_t b = 0; b < RESAMPLES; ++b) {
    double sum = 0;
    for (uint32_t i = 0; i < (uint32_t)count; ++i) {
      sum += values[dpc_rng_below(key, DPC_STREAM_BOOTSTRAP, b, 0, i, (uint32_t)count)];
    }
    means[b] = sum / count;
  }
  qsort(means, RESAMPLES, sizeof *means, compare);
  interval[0] = means[RESAMPLES * 25 / 1000];
  interval[1] = means[RESAMPLES * 975 / 1000 - 1];
}

// Mean and interval of the scores, or, with `others`, of what these lose.
static dpc_status estimate(const dpc_rollout_result* results, const dpc_rollout_result* others,
                           int count, uint32_t seed, double* mean, double interval[2],
                           dpc_error* error) {
  double* means = malloc((RESAMPLES + (size_t)count) * sizeof *means);
  if (means == NULL) return dpc_fail(error, DPC_ERR_NO_MEMORY, "no memory for the bootstrap");
  double *values = means + RESAMPLES, sum = 0;
  for (int i = 0; i < count; ++i) {
    values[i] = results[i].score - (others == NULL ? 0 : others[i].score);
    sum += values[i] / count;
  }
  resample(values, count, seed, means, interval);
  *mean = sum;
  free(means);
  return DPC_OK;
}

dpc_status dpc_score_loss(const dpc_rollout_result* results, const dpc_rollout_result* others,
                          int count, uint32_t seed, double* mean, double interval[2],
                          dpc_error* error) {
  DPC_ASSERT(count >= 1);
  return estimate(results, others, count, seed, mean, interval, error);
}

static void sum_up_motion(const dpc_rollout_result* results, int count, dpc_score* score) {
  int with = 0;
  for (int i = 0; i < count; ++i) {
    const dpc_motion_steps* motion = &results[i].motion;
    with += motion->switches > 0;
    score->velocity_step_mean += motion->velocity_step;
    score->velocity_step_max = fmax(score->velocity_step_max, motion->velocity_step);
    score->jerk_mean += motion->jerk;
    score->jerk_max = fmax(score->jerk_max, motion->jerk);
  }
  if (with == 0) return;
  score->velocity_step_mean /= with;
  score->jerk_mean /= with;
}

dpc_status dpc_score_of(const dpc_rollout_result* results, int count, uint32_t seed, dpc_score* out,
                        dpc_error* error) {
  DPC_ASSERT(count >= 1);
  dpc_score score = {.episodes = count};
  int successes = 0;
  for (int i = 0; i < count; ++i) successes += results[i].success;
  score.success = (double)successes / count;
  dpc_score_wilson(successes, count, score.success_ci95);
  sum_up_motion(results, count, &score);
  DPC_TRY(estimate(results, NULL, count, seed, &score.mean, score.mean_ci95, error));
  *out = score;
  return DPC_OK;
}

static dpc_status score_policy(const char* path, uint32_t first_seed, int count, int threads,
                               dpc_arena* arena, dpc_score* out, dpc_error* error) {
  dpc_policy* policy = NULL;
  dpc_engine_def engine = dpc_engine_def_default();
  engine.threads = 1;  // the processors have episodes to work on
  DPC_TRY(dpc_policy_load_for(path, &engine, arena, &policy, error));
  const dpc_rollouts_def def = {.rollout = dpc_rollout_def_default(dpc_policy_info(policy)),
                                .first_seed = first_seed,
                                .count = count,
                                .threads = threads};
  dpc_rollout_result* results = calloc((size_t)count, sizeof *results);
  if (results == NULL) return dpc_fail(error, DPC_ERR_NO_MEMORY, "no memory for %d results", count);
  dpc_status status = dpc_rollouts_run(&def, policy, results, error);
  if (status == DPC_OK) status = dpc_score_of(results, count, 0, out, error);
  free(results);
  return status;
}

dpc_status dpc_score_checkpoint(const char* path, uint32_t first_seed, int count, int threads,
                                dpc_score* out, dpc_error* error) {
  dpc_arena arena;
  DPC_TRY(dpc_arena_map(&arena, POLICY_SIZE, error));
  const dpc_status status = score_policy(path, first_seed, count, threads, &arena, out, error);
  dpc_arena_unmap(&arena);
  return status;
}
