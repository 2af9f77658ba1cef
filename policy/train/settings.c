#include "policy/train/settings.h"

#include <string.h>

static const char* const lr_schedules[] = {"cosine", "constant", NULL};
static const char* const time_distributions[] = {"uniform", "beta", "logit_normal", NULL};
static const char* const loss_weightings[] = {"none", "min_snr", NULL};
static const char* const weights_types[] = {"bf16", "fp32", NULL};

static const dpc_field fields[] = {
    DPC_TEXT(dpc_train_def, output, "", "folder for everything that training writes"),
    DPC_INT(dpc_train_def, steps, "6000", 1, 1000000000, "steps", "updates of the weights"),
    DPC_INT(dpc_train_def, batch, "256", 1, 65536, "windows", "windows per update"),
    DPC_INT(
        dpc_train_def, shard, "64", 1, 4096, "windows",
        "windows per piece of a batch, at most half of it; pieces are shared out to the threads"),
    DPC_INT(dpc_train_def, threads, "0", 0, 1024, "threads", "0 = one per CPU"),
    DPC_REAL(dpc_train_def, learning_rate, "3e-4", 0, 10, "", "peak learning rate"),
    DPC_CHOICE(dpc_train_def, lr_schedule, "cosine", lr_schedules, "what follows the warm-up"),
    DPC_INT(dpc_train_def, warmup_steps, "300", 0, 1000000, "steps",
            "the learning rate rises from zero over these"),
    DPC_REAL(dpc_train_def, clip_norm, "1", 0, 1e9, "", "largest norm of a gradient; 0 = off"),
    DPC_CHOICE(dpc_train_def, time_distribution, "uniform", time_distributions,
               "flow: how times are drawn; beta favours noisy ones, logit_normal those between"),
    DPC_CHOICE(dpc_train_def, loss_weighting, "none", loss_weightings,
               "weight of a timestep's error; min_snr is not for flow"),
    DPC_REAL(dpc_train_def, min_snr_gamma, "5", 0.001, 1e9, "",
             "min_snr: where the signal-to-noise ratio is cut off"),
    DPC_REAL(dpc_train_def, obs_noise, "0", 0, 10, "normalised",
             "standard deviation of the noise on observations while learning"),
    DPC_INT(dpc_train_def, prefix_max, "0", 0, 1023, "rows",
            "go on from up to this many settled rows, those of the observations included; 0 = off"),
    DPC_INT_LATER(dpc_train_def, shortcut_steps, "0", 0, 1 << 20, "steps",
                  "flow: learn shortcuts, where two steps lead, down from this many steps of the "
                  "flow, a power of two such as 128; for sampler.kind shortcut; 0 = off"),
    DPC_REAL_LATER(dpc_train_def, shortcut_share, "0.25", 0, 1, "",
                   "of the windows that learn shortcuts; the others learn the flow"),
    DPC_UINT64(dpc_train_def, seed, "42", "first weights, shuffling, noise and timesteps"),
    DPC_INT(dpc_train_def, log_every, "10", 1, 1000000, "steps", "a line of metrics every"),
    DPC_INT(dpc_train_def, val_every, "500", 0, 1000000, "steps",
            "validation loss of the averaged weights every; 0 = never"),
    DPC_INT(dpc_train_def, checkpoint_every, "500", 0, 1000000, "steps",
            "save for resuming every; 0 = at the end only"),
    DPC_INT(dpc_train_def, rollout_every, "0", 0, 1000000, "steps",
            "score in the push world every; 0 = never"),
    DPC_INT(dpc_train_def, rollout_episodes, "50", 1, 100, "episodes",
            "episodes of a score, seeds from 200000"),
    DPC_INT(dpc_train_def, keep_best, "3", 0, 50, "policies",
            "keep the policies of the best scores; 0 = none"),
    DPC_CHOICE(dpc_train_def, weights, "bf16", weights_types, "how the policy's weights are kept"),
};
DPC_FIELD_TABLE(dpc_train_fields, dpc_train_def, "train", "How it is learned.", fields);

#define SECTION(table_, member) \
  { .table = &(table_), .offset = offsetof(dpc_train_settings, member) }
const dpc_train_section dpc_train_sections[DPC_TRAIN_SECTIONS] = {
    SECTION(dpc_dataset_fields, dataset), SECTION(dpc_policy_fields, policy),
    SECTION(dpc_unet_fields, unet),       SECTION(dpc_schedule_fields, schedule),
    SECTION(dpc_sampler_fields, sampler), SECTION(dpc_train_fields, train),
    SECTION(dpc_adamw_fields, adamw),     SECTION(dpc_ema_fields, ema),
    SECTION(dpc_distill_fields, distill),
};

// Settings that may change between a run and its continuation: they do not touch the weights.
static const char* const free_settings[] = {
    "dataset.path",    "train.output",           "train.threads",       "train.log_every",
    "train.val_every", "train.checkpoint_every", "train.rollout_every", "train.rollout_episodes",
    "train.keep_best", "train.weights",          "distill.teacher",
};

static const void* section_of(const dpc_train_settings* settings, int i) {
  return (const char*)settings + dpc_train_sections[i].offset;
}

static void* section_in(dpc_train_settings* settings, int i) {
  return (char*)settings + dpc_train_sections[i].offset;
}

dpc_train_settings dpc_train_settings_default(void) {
  dpc_train_settings settings = {0};
  for (int i = 0; i < DPC_TRAIN_SECTIONS; ++i) {
    dpc_fields_default(dpc_train_sections[i].table, section_in(&settings, i));
  }
  return settings;
}

static dpc_status check_objective(const dpc_train_settings* settings, dpc_error* error) {
  const dpc_train_def* train = &settings->train;
  const bool flow = settings->schedule.kind == DPC_SCHEDULE_FLOW;
  if (!flow && train->time_distribution != DPC_TIME_UNIFORM) {
    return dpc_fail(error, DPC_ERR_CONFIG,
                    "train.time_distribution: %s goes with schedule.kind flow only",
                    time_distributions[train->time_distribution]);
  }
  // it weighs pure noise with nothing, and that is where a flow's first step begins
  if (flow && train->loss_weighting == DPC_WEIGHTING_MIN_SNR) {
    return dpc_fail(error, DPC_ERR_CONFIG,
                    "train.loss_weighting: min_snr does not go with schedule.kind flow");
  }
  return DPC_OK;
}

static dpc_status check_shortcuts(const dpc_train_settings* settings, dpc_error* error) {
  const dpc_train_def* train = &settings->train;
  const dpc_distill_method method = (dpc_distill_method)settings->distill.method;
  DPC_TRY(dpc_checkpoint_shortcut_check(train->shortcut_steps, &settings->sampler, error));
  if (train->shortcut_steps == 0) {
    if (method != DPC_DISTILL_SHORTCUT) return DPC_OK;
    return dpc_fail(error, DPC_ERR_CONFIG,
                    "train.shortcut_steps: 0, but distill.method shortcut needs a power of two");
  }
  if (method != DPC_DISTILL_SHORTCUT && method != DPC_DISTILL_NONE) {
    return dpc_fail(error, DPC_ERR_CONFIG,
                    "train.shortcut_steps: with a teacher it goes with distill.method shortcut");
  }
  if (settings->schedule.prediction != DPC_PREDICT_VELOCITY) {
    return dpc_fail(error, DPC_ERR_CONFIG,
                    "train.shortcut_steps goes with schedule.prediction velocity only");
  }
  if (train->prefix_max > 0) {
    return dpc_fail(error, DPC_ERR_CONFIG,
                    "train.shortcut_steps and train.prefix_max: one of the two");
  }
  return DPC_OK;
}

dpc_status dpc_train_settings_check(const dpc_train_settings* settings, dpc_error* error) {
  for (int i = 0; i < DPC_TRAIN_SECTIONS; ++i) {
    DPC_TRY(dpc_fields_check(dpc_train_sections[i].table, section_of(settings, i), error));
  }
  DPC_TRY(dpc_schedule_def_check(&settings->schedule, error));
  DPC_TRY(dpc_sampler_def_check(&settings->sampler, &settings->schedule, error));
  DPC_TRY(check_objective(settings, error));
  DPC_TRY(check_shortcuts(settings, error));
  if (settings->train.prefix_max >= settings->unet.horizon) {
    return dpc_fail(error, DPC_ERR_CONFIG,
                    "train.prefix_max: %d rows leave none to learn, unet.horizon is %d",
                    settings->train.prefix_max, settings->unet.horizon);
  }
  const int rows = settings->unet.horizon - settings->policy.n_obs + 1;
  if (settings->policy.n_actions > rows) {
    return dpc_fail(error, DPC_ERR_CONFIG,
                    "policy.n_actions is %d; with unet.horizon %d and policy.n_obs %d at most %d "
                    "rows can be executed",
                    settings->policy.n_actions, settings->unet.horizon, settings->policy.n_obs,
                    rows > 0 ? rows : 0);
  }
  return DPC_OK;
}

void dpc_train_settings_add(const dpc_train_settings* settings, dpc_metadata* metadata) {
  dpc_metadata_add_fields(metadata, &dpc_dataset_fields, &settings->dataset);
  dpc_metadata_add_fields(metadata, &dpc_train_fields, &settings->train);
  dpc_metadata_add_fields(metadata, &dpc_adamw_fields, &settings->adamw);
  dpc_metadata_add_fields(metadata, &dpc_ema_fields, &settings->ema);
  if (settings->distill.method == DPC_DISTILL_NONE) return;
  dpc_metadata_add_fields(metadata, &dpc_distill_fields, &settings->distill);
}

dpc_status dpc_train_settings_read(const dpc_safetensors* file, dpc_train_settings* settings,
                                   dpc_error* error) {
  dpc_train_settings read = {0};
  dpc_fields_default(&dpc_distill_fields, &read.distill);
  for (int i = 0; i < DPC_TRAIN_SECTIONS; ++i) {
    const dpc_field_table* table = dpc_train_sections[i].table;
    const bool distills = dpc_safetensors_metadata(file, "distill.method") != NULL;
    if (table == &dpc_distill_fields && !distills) continue;
    DPC_TRY(dpc_metadata_read_fields(file, table, section_in(&read, i), error));
  }
  *settings = read;
  return DPC_OK;
}

// --- resuming -----------------------------------------------------------------------------------

static bool may_differ(const dpc_field_table* table, const dpc_field* field, bool distills) {
  if (table == &dpc_sampler_fields) return !distills;
  const size_t length = strlen(table->section);
  for (int i = 0; i < DPC_COUNT(free_settings); ++i) {
    const char* name = free_settings[i];
    if (strncmp(name, table->section, length) == 0 && strcmp(name + length + 1, field->key) == 0) {
      return true;
    }
  }
  return false;
}

static dpc_status match_field(const dpc_field_table* table, const dpc_field* field,
                              const void* began, const void* now, const char* words,
                              dpc_error* error) {
  enum { TEXT_MAX = (DPC_LIST_TEXT_MAX + 2) * DPC_LIST_MAX + 3 };
  char before[TEXT_MAX], after[TEXT_MAX];
  DPC_TRY(dpc_field_print(field, began, before, sizeof before));
  DPC_TRY(dpc_field_print(field, now, after, sizeof after));
  if (strcmp(before, after) == 0) return DPC_OK;
  return dpc_fail(error, DPC_ERR_MISMATCH, "%s.%s is %.160s, but %s %.160s", table->section,
                  field->key, after, words, before);
}

dpc_status dpc_train_settings_match(const dpc_train_settings* began, const dpc_train_settings* now,
                                    dpc_error* error) {
  const bool distills = began->distill.method != DPC_DISTILL_NONE;
  for (int i = 0; i < DPC_TRAIN_SECTIONS; ++i) {
    const dpc_field_table* table = dpc_train_sections[i].table;
    for (int k = 0; k < table->count; ++k) {
      if (may_differ(table, &table->fields[k], distills)) continue;
      DPC_TRY(match_field(table, &table->fields[k], section_of(began, i), section_of(now, i),
                          "training began with", error));
    }
  }
  return DPC_OK;
}

dpc_status dpc_train_settings_match_teacher(const dpc_train_settings* settings,
                                            const dpc_teacher* teacher, dpc_error* error) {
  const dpc_checkpoint_info* info = &teacher->info;
  const struct {
    const dpc_field_table* table;
    const void *teacher, *student;
  } sections[] = {{&dpc_policy_fields, &info->policy, &settings->policy},
                  {&dpc_unet_fields, &info->unet, &settings->unet},
                  {&dpc_schedule_fields, &info->schedule, &settings->schedule}};
  for (int i = 0; i < DPC_COUNT(sections); ++i) {
    for (int k = 0; k < sections[i].table->count; ++k) {
      DPC_TRY(match_field(sections[i].table, &sections[i].table->fields[k], sections[i].teacher,
                          sections[i].student, "the teacher has", error));
    }
  }
  const char* wanted = settings->distill.teacher_sha256;
  if (strcmp(wanted, teacher->info.weights_sha256) == 0) return DPC_OK;
  return dpc_fail(error, DPC_ERR_MISMATCH,
                  "distill.teacher_sha256 is %.12s..., the teacher has %.12s...", wanted,
                  teacher->info.weights_sha256);
}
