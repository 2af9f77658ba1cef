#include "tools/train_rollout.h"

#include <inttypes.h>

#include "sim/push_task.h"
#include "tools/score.h"
#include "tools/train_best.h"
#include "tools/train_output.h"

dpc_status dpc_train_rollouts_check(const dpc_train_def* def, const dpc_interface* interface,
                                    dpc_error* error) {
  if (def->rollout_every == 0) return DPC_OK;
  const dpc_status status = dpc_interface_match(interface, dpc_push_task_interface(), error);
  if (status == DPC_OK) return DPC_OK;
  return dpc_fail_prefix(error, DPC_ERR_CONFIG, "train.rollout_every: not in the push world: ");
}

// The better one is safely there before a worse one goes.
static dpc_status keep(const dpc_train_def* def, dpc_trainer* trainer, double score,
                       dpc_error* error) {
  const dpc_train_best policy = dpc_train_best_of(dpc_trainer_steps_done(trainer), score);
  dpc_train_best_list list = {.count = 0};
  DPC_TRY(dpc_train_best_read(def->output, &list, error));
  if (!dpc_train_best_belongs(&list, &policy, def->keep_best)) return DPC_OK;
  const dpc_train_path path = dpc_train_file(def->output, policy.name);
  DPC_TRY(dpc_trainer_export(trainer, path.text, error));
  return dpc_train_best_prune(def->output, def->keep_best, error);
}

static dpc_status score_now(const dpc_train_def* def, dpc_trainer* trainer, dpc_score* score,
                            dpc_error* error) {
  const dpc_train_path path = dpc_train_file(def->output, "policy.safetensors");
  DPC_TRY(dpc_trainer_export(trainer, path.text, error));
  return dpc_score_checkpoint(path.text, DPC_TRAIN_ROLLOUT_SEED, def->rollout_episodes,
                              def->threads, score, error);
}

int dpc_train_roll_out(const dpc_train_def* def, dpc_trainer* trainer, dpc_train_metrics* metrics) {
  const int64_t step = dpc_trainer_steps_done(trainer);
  dpc_error error = {""};
  dpc_score score;
  if (score_now(def, trainer, &score, &error) != DPC_OK) {
    dpc_log(DPC_LOG_WARNING, "no rollouts at step %" PRId64 ", training goes on: %s", step,
            error.text);
    return 1;
  }
  dpc_log(DPC_LOG_INFO, "step %" PRId64 ": score %.3f, success %.3f in %d rollouts", step,
          score.mean, score.success, score.episodes);
  dpc_train_metrics_rollouts(metrics, step, score.mean, score.success);
  if (keep(def, trainer, score.mean, &error) == DPC_OK) return 0;
  dpc_log(DPC_LOG_WARNING, "the best policies stay as they are at step %" PRId64 ": %s", step,
          error.text);
  return 1;
}
