#include "policy/train/trainer.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "policy/gemm.h"
#include "policy/train/batch_loss.h"
#include "policy/train/first_weights.h"

// Parameters per piece of an update: the five arrays of it fit a core's cache.
enum { BLOCK = 16384 };

struct dpc_trainer {
  dpc_train_settings settings;
  const dpc_dataset* dataset;
  const dpc_teacher* teacher;  // NULL: learns from the dataset
  dpc_arena* arena;
  dpc_checkpoint_info info;
  dpc_unet* unet;
  dpc_schedule* schedule;
  dpc_workers* workers;
  dpc_distill* distill;    // NULL without a teacher, and where it learns shortcuts
  dpc_shortcut* shortcut;  // NULL where it does not
  dpc_batch_loss* loss;
  dpc_trainer_state state;
  dpc_rng_key key;
  int* order;           // [windows], the epoch's permutation
  int64_t order_epoch;  // which epoch's; -1 = none yet
  int* picks;           // [batch]
  // the current update, read by the threads
  double learning_rate;
  double decay;      // of the average
  float clip_scale;  // on the gradient
};

// --- making it ----------------------------------------------------------------------------------

static dpc_status describe(const dpc_train_settings* settings, const dpc_dataset* dataset,
                           dpc_checkpoint_info* info, dpc_error* error) {
  *info = (dpc_checkpoint_info){
      .policy = settings->policy,
      .unet = settings->unet,
      .schedule = settings->schedule,
      .sampler = settings->sampler,
      .interface = dataset->interface,
      .relative = dataset->relative,
      .obs_normalizer = dataset->obs_normalizer,
      .action_normalizer = dataset->action_normalizer,
      .prefix_max = settings->train.prefix_max,
      .shortcut_steps = settings->train.shortcut_steps,
  };
  info->unet.input_dim = dataset->action_dim;
  info->unet.global_cond_dim = settings->policy.n_obs * dataset->obs_dim;
  info->unet.mask_dim = info->prefix_max > 0;
  info->unet.step_size_dim = info->shortcut_steps > 0;
  memcpy(info->dataset_sha256, dataset->sha256, sizeof info->dataset_sha256);
  return dpc_checkpoint_info_check(info, error);
}

// What the sampler cuts off cannot be learned.
static dpc_status check_reach(const dpc_train_settings* settings, const dpc_dataset* dataset,
                              dpc_error* error) {
  const double clip = settings->sampler.clip;
  if (clip == 0 || dataset->action_reach <= clip + 1e-3) return DPC_OK;
  return dpc_fail(error, DPC_ERR_CONFIG,
                  "sampler.clip is %g, but normalised actions reach %.3g: scale them otherwise in "
                  "dataset.action, or set sampler.clip to 0 (off) or more than that",
                  clip, dataset->action_reach);
}

static dpc_status create_shortcut(dpc_trainer* trainer, dpc_arena* arena, dpc_error* error) {
  const dpc_train_settings* settings = &trainer->settings;
  const dpc_teacher* teacher = trainer->teacher;
  const dpc_shortcut_parts parts = {
      .unet = trainer->unet,
      .schedule = trainer->schedule,
      .steps = settings->train.shortcut_steps,
      .share = settings->train.shortcut_share,
      // a flow is learned in full; a teacher is asked what the student will be
      .temperature = teacher != NULL ? settings->sampler.temperature : 1.0,
      .teacher = teacher != NULL ? teacher->unet : NULL,
      .teacher_params = teacher != NULL ? teacher->params : NULL,
      .threads = dpc_workers_count(trainer->workers),
      .count_max = dpc_batch_loss_shard(&settings->train)};
  return dpc_shortcut_create(&parts, arena, &trainer->shortcut, error);
}

static dpc_status create_distill(dpc_trainer* trainer, dpc_arena* arena, dpc_error* error) {
  const dpc_distill_parts parts = {.def = &trainer->settings.distill,
                                   .teacher = trainer->teacher,
                                   .schedule = trainer->schedule,
                                   .sampler = &trainer->settings.sampler,
                                   .threads = dpc_workers_count(trainer->workers),
                                   .count_max = dpc_batch_loss_shard(&trainer->settings.train)};
  DPC_TRY(dpc_train_settings_match_teacher(&trainer->settings, trainer->teacher, error));
  DPC_TRY(dpc_teacher_match(trainer->teacher, &trainer->info, error));
  if (parts.def->method == DPC_DISTILL_SHORTCUT) return DPC_OK;
  return dpc_distill_create(&parts, arena, &trainer->distill, error);
}

static dpc_status create_parts(dpc_trainer* trainer, dpc_arena* arena, dpc_error* error) {
  const dpc_train_def* def = &trainer->settings.train;
  DPC_TRY(describe(&trainer->settings, trainer->dataset, &trainer->info, error));
  DPC_TRY(dpc_unet_create(&trainer->info.unet, arena, &trainer->unet, error));
  DPC_TRY(dpc_schedule_create(&trainer->settings.schedule, arena, &trainer->schedule, error));
  DPC_TRY(
      dpc_trainer_state_create(dpc_unet_param_count(trainer->unet), arena, &trainer->state, error));
  trainer->order = DPC_TAKE(arena, int, trainer->dataset->train.count);
  trainer->picks = DPC_TAKE(arena, int, def->batch);
  if (trainer->order == NULL || trainer->picks == NULL) {
    return dpc_arena_full(arena, "the order of the windows", error);
  }
  DPC_TRY(dpc_workers_create(def->threads, arena, &trainer->workers, error));
  if (trainer->teacher != NULL) DPC_TRY(create_distill(trainer, arena, error));
  if (def->shortcut_steps > 0) DPC_TRY(create_shortcut(trainer, arena, error));
  const dpc_batch_loss_parts parts = {.dataset = trainer->dataset,
                                      .unet = trainer->unet,
                                      .schedule = trainer->schedule,
                                      .train = def,
                                      .distill = trainer->distill,
                                      .shortcut = trainer->shortcut,
                                      .workers = trainer->workers,
                                      .key = trainer->key};
  return dpc_batch_loss_create(&parts, arena, &trainer->loss, error);
}

static dpc_status create(const dpc_train_settings* settings, const dpc_teacher* teacher,
                         const dpc_dataset* dataset, dpc_arena* arena, dpc_trainer** out,
                         dpc_error* error) {
  DPC_TRY(dpc_train_settings_check(settings, error));
  if (teacher == NULL) DPC_TRY(check_reach(settings, dataset, error));
  DPC_TRY(dpc_gemm_start(error));
  DPC_ASSERT(dataset->window.horizon == settings->unet.horizon);
  DPC_ASSERT(dataset->window.n_obs == settings->policy.n_obs);
  dpc_trainer* trainer = DPC_TAKE(arena, dpc_trainer, 1);
  if (trainer == NULL) return dpc_arena_full(arena, "the trainer", error);
  trainer->settings = *settings;
  trainer->dataset = dataset;
  trainer->teacher = teacher;
  trainer->arena = arena;
  trainer->order_epoch = -1;
  trainer->key =
      (dpc_rng_key){(uint32_t)settings->train.seed, (uint32_t)(settings->train.seed >> 32)};
  dpc_status status = create_parts(trainer, arena, error);
  if (status == DPC_OK) {
    status = dpc_first_weights(trainer->unet, teacher, trainer->key, arena, trainer->state.params,
                               error);
  }
  if (status != DPC_OK) {
    dpc_trainer_destroy(trainer);
    return status;
  }
  memcpy(trainer->state.ema, trainer->state.params, sizeof(float) * trainer->state.count);
  *out = trainer;
  return DPC_OK;
}

dpc_status dpc_trainer_create(const dpc_train_settings* settings, const dpc_dataset* dataset,
                              dpc_arena* arena, dpc_trainer** out, dpc_error* error) {
  return create(settings, NULL, dataset, arena, out, error);
}

dpc_status dpc_trainer_create_student(const dpc_train_settings* settings,
                                      const dpc_teacher* teacher, const dpc_dataset* dataset,
                                      dpc_arena* arena, dpc_trainer** out, dpc_error* error) {
  DPC_ASSERT(settings->distill.method != DPC_DISTILL_NONE);
  return create(settings, teacher, dataset, arena, out, error);
}

void dpc_trainer_destroy(dpc_trainer* trainer) {
  if (trainer != NULL) dpc_workers_destroy(trainer->workers);
}

// --- one update ---------------------------------------------------------------------------------

// Clip, AdamW and the average on one range, while it is in the cache.
static void update_block(void* context, int item, int thread) {
  (void)thread;
  dpc_trainer* trainer = context;
  const dpc_trainer_state* state = &trainer->state;
  const size_t at = (size_t)item * BLOCK, rest = state->count - at;
  const size_t count = rest < BLOCK ? rest : BLOCK;
  float* grads = dpc_batch_loss_grads(trainer->loss) + at;
  if (trainer->clip_scale < 1) {
    for (size_t i = 0; i < count; ++i) grads[i] *= trainer->clip_scale;
  }
  dpc_adamw_step(&trainer->settings.adamw, state->step + 1, trainer->learning_rate, grads,
                 state->params + at, state->m + at, state->v + at, count);
  dpc_ema_update(trainer->decay, state->params + at, state->ema + at, count);
}

// Windows of update `step` (from 0): the next ones in the epoch's order; a batch may run over into
// the next epoch.
static void pick_windows(dpc_trainer* trainer, int64_t step) {
  const int windows = trainer->dataset->train.count, batch = trainer->settings.train.batch;
  for (int i = 0; i < batch; ++i) {
    const int64_t number = step * batch + i, epoch = number / windows;
    if (epoch != trainer->order_epoch) {
      dpc_rng_permutation(trainer->key, DPC_STREAM_SHUFFLE, (uint32_t)epoch, windows,
                          trainer->order);
      trainer->order_epoch = epoch;
    }
    trainer->picks[i] = trainer->order[number % windows];
  }
}

static double learning_rate(const dpc_train_def* def, int64_t step) {
  const int64_t steps = def->lr_schedule == DPC_LR_CONSTANT ? INT64_MAX / 4 : def->steps;
  return def->learning_rate * dpc_cosine_schedule(step, def->warmup_steps, steps);
}

dpc_status dpc_trainer_step(dpc_trainer* trainer, dpc_train_report* report, dpc_error* error) {
  const dpc_train_def* def = &trainer->settings.train;
  const int64_t step = trainer->state.step + 1;
  pick_windows(trainer, step - 1);
  const dpc_batch batch = {.windows = &trainer->dataset->train,
                           .picks = trainer->picks,
                           .count = def->batch,
                           .plan = (uint32_t)step,
                           .average = trainer->state.ema};
  double norm = 0;
  const double loss = dpc_batch_loss_gradient(trainer->loss, &batch, trainer->state.params, &norm);
  if (!isfinite(loss) || !isfinite(norm)) {
    return dpc_fail(error, DPC_ERR_INVALID,
                    "step %" PRId64
                    ": the %s is not finite; a smaller train.learning_rate or "
                    "train.clip_norm may help",
                    step, isfinite(loss) ? "gradient" : "loss");
  }

  trainer->clip_scale = dpc_clip_scale(norm, def->clip_norm);
  trainer->learning_rate = learning_rate(def, step);
  trainer->decay = dpc_ema_decay(&trainer->settings.ema, step);
  dpc_workers_run(trainer->workers, update_block, trainer,
                  (int)((trainer->state.count + BLOCK - 1) / BLOCK));
  trainer->state.step = step;
  *report = (dpc_train_report){
      .step = step,
      .loss = loss,
      .learning_rate = trainer->learning_rate,
      .gradient_norm = norm,
      .epoch = (double)step * def->batch / trainer->dataset->train.count,
  };
  return DPC_OK;
}

double dpc_trainer_validate(dpc_trainer* trainer) {
  const dpc_window_list* windows = &trainer->dataset->validation;
  const int batch = trainer->settings.train.batch;
  if (windows->count == 0) return NAN;
  double sum = 0;
  for (int first = 0; first < windows->count; first += batch) {
    const int rest = windows->count - first, count = rest < batch ? rest : batch;
    for (int i = 0; i < count; ++i) trainer->picks[i] = first + i;
    const dpc_batch part = {.windows = windows,
                            .picks = trainer->picks,
                            .count = count,
                            .sample = (uint32_t)first,
                            .average = trainer->state.ema};
    sum += count * dpc_batch_loss_forward(trainer->loss, &part, trainer->state.ema);
  }
  return sum / windows->count;
}

// --- looking, saving, going on ------------------------------------------------------------------

int64_t dpc_trainer_steps_done(const dpc_trainer* trainer) {
  return trainer->state.step;
}

int dpc_trainer_threads(const dpc_trainer* trainer) {
  return dpc_workers_count(trainer->workers);
}

const dpc_checkpoint_info* dpc_trainer_info(const dpc_trainer* trainer) {
  return &trainer->info;
}

const dpc_unet* dpc_trainer_unet(const dpc_trainer* trainer) {
  return trainer->unet;
}

const dpc_trainer_state* dpc_trainer_state_of(const dpc_trainer* trainer) {
  return &trainer->state;
}

dpc_status dpc_trainer_save(dpc_trainer* trainer, const char* path, dpc_error* error) {
  return dpc_trainer_state_save(path, &trainer->state, &trainer->settings, &trainer->info,
                                trainer->unet, trainer->arena, error);
}

dpc_status dpc_trainer_resume(dpc_trainer* trainer, const char* path, dpc_error* error) {
  return dpc_trainer_state_load(path, &trainer->settings, &trainer->info, trainer->unet,
                                trainer->arena, &trainer->state, error);
}

dpc_status dpc_trainer_export(dpc_trainer* trainer, const char* path, dpc_error* error) {
  char steps[24], seed[24], batch[24], evaluations[24];
  const dpc_train_settings* settings = &trainer->settings;
  const dpc_distill_def* distill = &settings->distill;
  (void)snprintf(steps, sizeof steps, "%" PRId64, trainer->state.step);
  (void)snprintf(seed, sizeof seed, "%" PRIu64, settings->train.seed);
  (void)snprintf(batch, sizeof batch, "%d", settings->train.batch);
  (void)snprintf(evaluations, sizeof evaluations, "%d", settings->sampler.steps);
  const dpc_metadata_entry notes[] = {{"train.steps", steps},
                                      {"train.seed", seed},
                                      {"train.batch", batch},
                                      {"distill.method", dpc_distill_method_names[distill->method]},
                                      {"distill.teacher_sha256", distill->teacher_sha256},
                                      {"distill.evaluations", evaluations}};
  const bool distills = distill->method != DPC_DISTILL_NONE;
  return dpc_checkpoint_save(path, &trainer->info, trainer->unet, trainer->state.ema,
                             settings->train.weights == DPC_WEIGHTS_BF16, notes,
                             distills ? DPC_COUNT(notes) : 3, error);
}
