/// Distillation: a student that takes few evaluations of the network learns from a teacher, a trained
/// policy, what the teacher's many come to. It begins with the teacher's weights, and meets the
/// teacher's observations at the timesteps of a sampler with few steps.
///
///   endpoint     from the teacher's own way, noise to clean, each point with where the way ends (as in
///                Luhman & Luhman 2021, arXiv 2101.02388, with every point of the way)
///   consistency  from a noised chunk, with what the student's average says after one step of the
///                teacher (Song et al. 2023, arXiv 2303.01469)
///   shortcut     from a noised chunk, to take two steps as one, and those as one again
///                (policy/train/shortcut.h)
///
/// But for shortcuts, targets are clean chunks, and errors are weighed as errors of the clean chunk,
/// whatever is predicted.
/// Noise is scaled by the student's temperature, so that it learns what it will be asked.
#pragma once

#include "policy/checkpoint.h"
#include "policy/engine.h"
#include "policy/train/lesson.h"

typedef enum dpc_distill_method {
  DPC_DISTILL_NONE,
  DPC_DISTILL_ENDPOINT,
  DPC_DISTILL_CONSISTENCY,
  DPC_DISTILL_SHORTCUT
} dpc_distill_method;

/// Names of the methods, in order; ends with NULL.
extern const char* const dpc_distill_method_names[];

typedef struct dpc_distill_def {
  int method;  // dpc_distill_method
  char teacher[256];
  char teacher_sha256[DPC_SHA256_TEXT];
  int teacher_sampler;  // dpc_sampler_kind
  int teacher_steps;
  int rollouts;
} dpc_distill_def;

extern const dpc_field_table dpc_distill_fields;  // section "distill"

/// A policy to learn from.
typedef struct dpc_teacher {
  dpc_checkpoint_info info;
  dpc_unet* unet;
  float* params;  // [parameters]
} dpc_teacher;

/// Load a teacher, as dpc_checkpoint_load.
/// Allocates: as there. Blocks: disk. Thread: start-up only.
DPC_NODISCARD dpc_status dpc_teacher_load(const char* path, dpc_arena* arena, dpc_teacher** out,
                                          dpc_error* error);

/// That a student observes and commands what its teacher does, its actions relative where the
/// teacher's are: DPC_ERR_MISMATCH says what is different. DPC_ERR_CONFIG when either goes on from
/// settled rows, or when the teacher has shortcuts.
/// Allocates: no. Blocks: no. Thread: any.
DPC_NODISCARD dpc_status dpc_teacher_match(const dpc_teacher* teacher,
                                           const dpc_checkpoint_info* student, dpc_error* error);

/// The sampler that the teacher goes with, on a grid and at a temperature like the student's.
/// Allocates: no. Blocks: no. Thread: any.
dpc_sampler_def dpc_distill_teacher_sampler(const dpc_distill_def* def, const dpc_teacher* teacher,
                                            const dpc_sampler_def* student);

typedef struct dpc_distill dpc_distill;

/// What it is made of; all const, and used as long as it is.
typedef struct dpc_distill_parts {
  const dpc_distill_def* def;
  const dpc_teacher* teacher;
  const dpc_schedule* schedule;    // the teacher's, and the student's
  const dpc_sampler_def* sampler;  // the student's
  int threads;                     // that ask for targets
  int count_max;                   // windows at once
} dpc_distill_parts;

/// Make the teacher's engine, and a work area for each thread; not for shortcuts, which ask the teacher
/// themselves. DPC_ERR_CONFIG when the student's
/// timesteps are not among the teacher's, when the teacher adds noise or when it predicts the noise,
/// which says nothing of the clean chunk where there is nothing else; DPC_ERR_NO_MEMORY.
/// Allocates: from the arena. Blocks: no. Thread: start-up only.
DPC_NODISCARD dpc_status dpc_distill_create(const dpc_distill_parts* parts, dpc_arena* arena,
                                            dpc_distill** out, dpc_error* error);

/// Prepare a lesson in the work area of `thread`. The same lesson, the same bits, on any thread.
/// Allocates: no. Blocks: no. Thread: `thread`'s.
void dpc_distill_prepare(const dpc_distill* distill, int thread, const dpc_lesson* lesson);
