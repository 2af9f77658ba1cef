/// Two kinds of time in one run, compared by its recording: with a disturbance and without it.
#pragma once

#include "tests/faults/scene.h"

/// What the recording says, and the network.
typedef struct stretches {
  uint64_t ticks, missed;              // while it was disturbed
  uint64_t quiet_ticks, quiet_missed;  // while it was not
  double per_second;                   // messages to the controller while it was disturbed
} stretches;

/// Look through the recording of a scene that has ended. Ticks that a timer skipped are missed ones.
/// False when it has no stretches, or cannot be read.
bool stretches_read(const scene* s, stretches* out);

/// Ticks missed while it was disturbed beyond what chance makes of the quiet time, which is as long:
/// quiet + 3 sqrt(quiet + 1).
double stretches_extra(const stretches* s);
