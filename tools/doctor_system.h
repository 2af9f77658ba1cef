/// What the system says about itself under /proc and /sys, and what of it is in the way of real time.
#pragma once

#include "policy/base.h"

typedef enum dpc_verdict {
  DPC_VERDICT_OK,
  DPC_VERDICT_WARN,     // a robot can be driven, but later or less evenly than it could be
  DPC_VERDICT_FAIL,     // a run with rt: required is refused
  DPC_VERDICT_UNKNOWN,  // the system does not say, as virtual machines often do
} dpc_verdict;

/// Names of the verdicts, in order; ends with NULL.
extern const char* const dpc_verdict_names[];

/// One thing that has been looked at.
typedef struct dpc_finding {
  const char* what;
  dpc_verdict verdict;
  char found[160];   // how it is
  char change[200];  // how to make it better; "" where there is nothing to do
} dpc_finding;

/// Write a finding; `change` may be NULL.
/// Allocates: no. Blocks: no. Thread: any.
dpc_finding dpc_find(const char* what, dpc_verdict verdict, const char* change, const char* format,
                     ...) DPC_PRINTF(4, 5);

enum { DPC_SYSTEM_FINDINGS = 10 };

/// Look at the files below `root` ("" for this machine): throttling, kernel, isolated CPUs, number of
/// CPUs, governor, idle states, clock, timer slack, huge pages, swap. `stays_awake`: dpc run is able to
/// keep CPUs out of deep idle states. A file that is not there is DPC_VERDICT_UNKNOWN.
/// Allocates: no. Blocks: on the files. Thread: any.
void dpc_system_findings(const char* root, bool stays_awake, dpc_finding out[DPC_SYSTEM_FINDINGS]);
