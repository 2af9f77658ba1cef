/// What a distillation takes from its teacher besides targets: settings, normalisers, observations.
#pragma once

#include "policy/train/settings.h"

/// First seed of the teacher's own episodes: seeds for learning, and nothing else.
enum { DPC_DISTILL_ROLLOUT_SEED = 300000 };

/// Fill in what is the teacher's, and the defaults that differ from those of dpc train.
/// Allocates: no. Blocks: no. Thread: any.
void dpc_distill_settings(const dpc_teacher* teacher, dpc_train_settings* settings);

/// Note path and SHA-256 of the teacher, once all settings are read. DPC_ERR_CONFIG without a method
/// or with a path that is too long; DPC_ERR_MISMATCH as dpc_train_settings_match_teacher.
/// Allocates: no. Blocks: no. Thread: any.
DPC_NODISCARD dpc_status dpc_distill_note_teacher(const dpc_teacher* teacher, const char* path,
                                                  dpc_train_settings* settings, dpc_error* error);

/// Let the teacher drive the push world for settings.distill.rollouts episodes, half of them with its own
/// sampler at the student's temperature and half with the student's, and take what it met. Free with
/// dpc_episodes_free.
/// Allocates: heap and mapped memory. Blocks: until they are over. Thread: start-up only.
DPC_NODISCARD dpc_status dpc_distill_observe(const dpc_train_settings* settings,
                                             const dpc_teacher* teacher, dpc_arena* arena,
                                             dpc_episode_source* source, dpc_error* error);

/// Give the dataset the teacher's normalisers. DPC_ERR_MISMATCH when it observes something else.
/// Allocates: no. Blocks: no. Thread: start-up only.
DPC_NODISCARD dpc_status dpc_distill_renormalize(const dpc_teacher* teacher, dpc_dataset* dataset,
                                                 dpc_error* error);
