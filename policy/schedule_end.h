/// Does a noise schedule end in the unit Gaussian, which is where a sampler begins? If it does not, the
/// first thing that the network sees when it acts is something that it never saw in training.
#pragma once

#include "policy/schedule.h"

/// An end this near to the unit Gaussian is as good as one: the factor that is left of the data, and the
/// variance's distance from 1. Data in [-1, 1] then shift the end by a twentieth of its deviation.
#define DPC_SCHEDULE_MEAN_TOLERANCE     0.05
#define DPC_SCHEDULE_VARIANCE_TOLERANCE 0.01

/// What the last training timestep makes of a clean value x_0: a Gaussian with mean `mean` x_0 and this
/// variance.
typedef struct dpc_schedule_end {
  double mean;      // 0 is reached when nothing of the data is left
  double variance;  // 1 when all is noise
} dpc_schedule_end;

/// The end of `schedule`.
/// Allocates: no. Blocks: no. Thread: any.
dpc_schedule_end dpc_schedule_end_of(const dpc_schedule* schedule);

/// Whether that is the unit Gaussian, within the tolerances, and the same in words, one line:
/// "schedule linear, 100 steps: ends with …". `words` holds up to `capacity` characters.
/// Allocates: no. Blocks: no. Thread: any.
bool dpc_schedule_end_check(const dpc_schedule* schedule, char* words, size_t capacity);
