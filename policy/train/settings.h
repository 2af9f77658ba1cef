/// All settings of a training run, section by section.
#pragma once

#include "policy/checkpoint.h"
#include "policy/train/dataset.h"
#include "policy/train/distill.h"
#include "policy/train/ema.h"
#include "policy/train/optimizer.h"

typedef enum dpc_lr_schedule { DPC_LR_COSINE, DPC_LR_CONSTANT } dpc_lr_schedule;
typedef enum dpc_loss_weighting { DPC_WEIGHTING_NONE, DPC_WEIGHTING_MIN_SNR } dpc_loss_weighting;
typedef enum dpc_weights_type { DPC_WEIGHTS_BF16, DPC_WEIGHTS_FP32 } dpc_weights_type;

/// How a flow's times are drawn for training, as noise factors in (0, 1).
typedef enum dpc_time_distribution {
  DPC_TIME_UNIFORM,
  DPC_TIME_BETA,  // Beta(1.5, 1), noisy ones more often (Black et al. 2024, arXiv 2410.24164)
  DPC_TIME_LOGIT_NORMAL  // 1 / (1 + exp(-z)), middle ones (Esser et al. 2024, arXiv 2403.03206)
} dpc_time_distribution;

typedef struct dpc_train_def {
  char output[256];
  int steps;
  int batch;
  int shard;
  int threads;
  double learning_rate;
  int lr_schedule;  // dpc_lr_schedule
  int warmup_steps;
  double clip_norm;
  int time_distribution;  // dpc_time_distribution
  int loss_weighting;     // dpc_loss_weighting
  double min_snr_gamma;
  double obs_noise;
  int prefix_max;
  int shortcut_steps;
  double shortcut_share;
  uint64_t seed;
  int log_every;
  int val_every;
  int checkpoint_every;
  int rollout_every;
  int rollout_episodes;
  int keep_best;
  int weights;  // dpc_weights_type
} dpc_train_def;

extern const dpc_field_table dpc_train_fields;  // section "train"

typedef struct dpc_train_settings {
  dpc_dataset_def dataset;
  dpc_policy_def policy;
  dpc_unet_def unet;
  dpc_schedule_def schedule;
  dpc_sampler_def sampler;
  dpc_train_def train;
  dpc_adamw_def adamw;
  dpc_ema_def ema;
  dpc_distill_def distill;  // of dpc distill; its method is none in other runs
} dpc_train_settings;

/// One section: its table, and where its struct lies in dpc_train_settings.
typedef struct dpc_train_section {
  const dpc_field_table* table;
  size_t offset;
} dpc_train_section;

enum { DPC_TRAIN_SECTIONS = 9 };

/// The sections in the order of the struct; distill is the last.
extern const dpc_train_section dpc_train_sections[DPC_TRAIN_SECTIONS];

/// Every section's defaults.
/// Allocates: no. Blocks: no. Thread: any.
dpc_train_settings dpc_train_settings_default(void);

/// Every section by itself, then together: the rows fit the horizon, sampler and objective fit the
/// schedule. Returns DPC_ERR_CONFIG naming the setting.
/// Allocates: no. Blocks: no. Thread: any.
DPC_NODISCARD dpc_status dpc_train_settings_check(const dpc_train_settings* settings,
                                                  dpc_error* error);

/// Add every setting to a list of metadata as "section.key", but for the sections a checkpoint's
/// own metadata holds already (policy, unet, schedule, sampler); distill where there is a method.
/// Allocates: from the list's arena. Blocks: no. Thread: the arena's owner.
void dpc_train_settings_add(const dpc_train_settings* settings, dpc_metadata* metadata);

/// Read all settings from the metadata of a trainer's file. DPC_ERR_FORMAT names file and setting.
/// Allocates: no. Blocks: no. Thread: any.
DPC_NODISCARD dpc_status dpc_train_settings_read(const dpc_safetensors* file,
                                                 dpc_train_settings* settings, dpc_error* error);

/// Refuse to go on with other settings than training began with: DPC_ERR_MISMATCH names the first
/// one that differs, and both values. Settings that do not change the weights (threads, folders,
/// how often something is written, the sampler) may differ.
/// Allocates: no. Blocks: no. Thread: any.
DPC_NODISCARD dpc_status dpc_train_settings_match(const dpc_train_settings* began,
                                                  const dpc_train_settings* now, dpc_error* error);

/// Refuse settings of a student that must be its teacher's and are not (policy, unet, schedule), and a
/// teacher that is not the one of distill.teacher_sha256: DPC_ERR_MISMATCH names the first.
/// Allocates: no. Blocks: no. Thread: any.
DPC_NODISCARD dpc_status dpc_train_settings_match_teacher(const dpc_train_settings* settings,
                                                          const dpc_teacher* teacher,
                                                          dpc_error* error);
