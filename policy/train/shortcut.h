/// Shortcuts of a flow (Frans et al. 2024, arXiv 2410.12557): a network that is told the size of the
/// step that its answer will be followed for learns that one step goes where two of half the size go,
/// and those where four go, down to the finest, which follow the flow itself. So its velocity for a
/// large step points past all bends to where they end, and one network samples in 1, 2, 4, ... steps.
///
/// The steps that a target is made of are taken by the student's average. Where it learns from a
/// teacher, a plain flow, the finest are the teacher's, and so is the flow.
#pragma once

#include "policy/schedule.h"
#include "policy/train/lesson.h"
#include "policy/unet.h"

typedef struct dpc_shortcut dpc_shortcut;

/// What it is made of; all const, and used as long as it is.
typedef struct dpc_shortcut_parts {
  const dpc_unet* unet;          // the student's, told step sizes
  const dpc_schedule* schedule;  // flow, with predictions of velocity
  int steps;                     // finest steps of the whole way, a power of two from 2
  double share;                  // of the windows that learn shortcuts; the others learn the flow
  double temperature;            // scale of the noise
  const dpc_unet* teacher;       // NULL: learns the flow from the windows
  const float* teacher_params;   // [its parameters]
  int threads;                   // that ask for targets
  int count_max;                 // windows at once
} dpc_shortcut_parts;

/// Take a work area for each thread. DPC_ERR_NO_MEMORY.
/// Allocates: from the arena. Blocks: no. Thread: start-up only.
DPC_NODISCARD dpc_status dpc_shortcut_create(const dpc_shortcut_parts* parts, dpc_arena* arena,
                                             dpc_shortcut** out, dpc_error* error);

/// How many of `count` windows learn shortcuts: the first ones, as windows come in random order.
/// Allocates: no. Blocks: no. Thread: any.
int dpc_shortcut_count(const dpc_shortcut* shortcut, int count);

/// Prepare a lesson in the work area of `thread`. Windows that learn the flow are the teacher's; without
/// one they are left as they are. The same lesson, the same bits, on any thread.
/// Allocates: no. Blocks: no. Thread: `thread`'s.
void dpc_shortcut_prepare(const dpc_shortcut* shortcut, int thread, const dpc_lesson* lesson);
