/// How long something took, in words.
#pragma once

#include "policy/base.h"

typedef struct dpc_duration_text {
  char text[32];
} dpc_duration_text;

/// "2 h 05 min", "3 min 07 s" or "12 s"; "-" when it is not known (NaN).
/// Allocates: no. Blocks: no. Thread: any.
dpc_duration_text dpc_duration_print(double seconds);
