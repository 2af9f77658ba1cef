/// Whether a row of the matrix holds: what it is judged by, and the figures for its table.
#pragma once

#include "tests/faults/row.h"
#include "tests/faults/stretches.h"

/// A row that has been played.
typedef struct played {
  const row* row;
  proxy_counts net[PROXY_WAYS];
  bool has_stretches;
  stretches stretches;
  bool holds;
  char why[512];  // not
} played;

/// Judge a scene that has ended; `row` and `net` are filled already. Besides what the row says, the
/// recording must be equal to the bit when it is computed again, each tick of it.
void judge(const scene* s, played* p);

/// A figure of the scene into `*out`; truth values are 0 and 1. False when there is none.
bool judge_look_up(const scene* s, const played* p, source from, const char* key, double* out);

/// Messages that were disturbed, and messages that passed.
uint64_t judge_disturbed(const played* p);
uint64_t judge_passed(const played* p);
