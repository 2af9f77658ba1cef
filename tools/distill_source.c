#include "tools/distill_source.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/cli.h"
#include "tools/episodes.h"
#include "tools/rollout.h"

void dpc_distill_settings(const dpc_teacher* teacher, dpc_train_settings* settings) {
  settings->policy = teacher->info.policy;
  settings->unet = teacher->info.unet;
  settings->schedule = teacher->info.schedule;
  settings->sampler = teacher->info.sampler;
  settings->sampler.grid = DPC_GRID_TRAILING;  // the one for few steps
  settings->distill.method = DPC_DISTILL_ENDPOINT;
}

dpc_status dpc_distill_note_teacher(const dpc_teacher* teacher, const char* path,
                                    dpc_train_settings* settings, dpc_error* error) {
  dpc_distill_def* def = &settings->distill;
  if (def->method == DPC_DISTILL_NONE) {
    return dpc_fail(error, DPC_ERR_CONFIG, "distill.method: none learns nothing from a teacher");
  }
  if (strlen(path) >= sizeof def->teacher) {
    return dpc_fail(error, DPC_ERR_CONFIG, "TEACHER: the name is too long");
  }
  if (path != def->teacher) (void)snprintf(def->teacher, sizeof def->teacher, "%s", path);
  if (def->teacher_sha256[0] == '\0') {
    (void)snprintf(def->teacher_sha256, sizeof def->teacher_sha256, "%s",
                   teacher->info.weights_sha256);
  }
  return dpc_train_settings_match_teacher(settings, teacher, error);
}

// --- observing the teacher ------------------------------------------------------------------------

static dpc_status add_episode(void* user, const dpc_rollout_result* result,
                              const dpc_episode* episode, dpc_error* error) {
  (void)result;
  return dpc_episodes_add(user, episode, "a rollout", error);
}

// Episodes of consecutive seeds, after those that are there.
static dpc_status drive(const dpc_train_settings* settings, const dpc_policy* policy,
                        const dpc_sampler_def* sampler, int count, dpc_episodes_loader* loader,
                        dpc_error* error) {
  dpc_rollouts_def def = {
      .rollout = dpc_rollout_def_default(dpc_policy_info(policy)),
      .first_seed = DPC_DISTILL_ROLLOUT_SEED + (uint32_t)loader->source.episode_count,
      .count = count,
      .threads = settings->train.threads,
      .record = true,
      .visit = add_episode,
      .user = loader,
      .interrupted = dpc_cli_interrupted};
  def.rollout.sampler = *sampler;
  dpc_rollout_result* results = calloc((size_t)count, sizeof *results);
  if (results == NULL) return dpc_fail(error, DPC_ERR_NO_MEMORY, "no memory for the rollouts");
  const dpc_status status = dpc_rollouts_run(&def, policy, results, error);
  double score = 0, success = 0;
  for (int i = 0; i < count; ++i) {
    score += results[i].score / count;
    success += (double)results[i].success / count;
  }
  free(results);
  if (status != DPC_OK) return status;
  dpc_log(DPC_LOG_INFO, "the teacher with %s, %d steps: score %.3f, success %.3f in %d rollouts",
          dpc_sampler_kind_names[sampler->kind], sampler->steps, score, success, count);
  return DPC_OK;
}

// Half as the teacher does, and half in as few steps as the student will, so that the student is told
// the way out of the mistakes that it will make.
static dpc_status drive_both_ways(const dpc_train_settings* settings, const dpc_teacher* teacher,
                                  const dpc_policy* policy, dpc_episodes_loader* loader,
                                  dpc_error* error) {
  const int count = settings->distill.rollouts, half = count / 2;
  const dpc_sampler_def sampler =
      dpc_distill_teacher_sampler(&settings->distill, teacher, &settings->sampler);
  DPC_TRY(drive(settings, policy, &sampler, count - half, loader, error));
  if (half == 0) return DPC_OK;
  dpc_sampler_def few = settings->sampler;
  if (few.kind == DPC_SAMPLER_SHORTCUT) few.kind = DPC_SAMPLER_DDIM;  // a plain flow has none
  return drive(settings, policy, &few, half, loader, error);
}

dpc_status dpc_distill_observe(const dpc_train_settings* settings, const dpc_teacher* teacher,
                               dpc_arena* arena, dpc_episode_source* source, dpc_error* error) {
  if (settings->dataset.path[0] != '\0') {
    return dpc_fail(error, DPC_ERR_CONFIG, "dataset.path and distill.rollouts: one of the two");
  }
  const dpc_engine_def engine = {.precision = DPC_PRECISION_AUTO, .threads = 1};
  dpc_policy* policy = NULL;
  DPC_TRY(dpc_policy_create(&teacher->info, teacher->unet, teacher->params, &engine, arena, &policy,
                            error));
  dpc_episodes_loader loader = {.capacity = 0};
  const dpc_status status = drive_both_ways(settings, teacher, policy, &loader, error);
  if (status != DPC_OK) {
    dpc_episodes_drop(&loader);
    return status;
  }
  return dpc_episodes_take(&loader, source, error);
}

dpc_status dpc_distill_renormalize(const dpc_teacher* teacher, dpc_dataset* dataset,
                                   dpc_error* error) {
  const dpc_checkpoint_info* info = &teacher->info;
  const dpc_status status = dpc_interface_match(&info->interface, &dataset->interface, error);
  if (status != DPC_OK) return dpc_fail_prefix(error, status, "teacher and dataset: ");
  dpc_dataset_renormalize(dataset, &info->obs_normalizer, &info->action_normalizer);
  return DPC_OK;
}
