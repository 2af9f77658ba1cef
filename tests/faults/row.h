/// The rows of the fault matrix: what goes wrong, and what must hold then.
#pragma once

#include "tests/faults/scene.h"

enum { EXPECTED_MAX = 8, SETTINGS_MAX = 8 };

// Where a figure stands.
typedef enum source {
  RUN,                // the controller's report
  SIM,                // the robot's
  REPLAY,             // that of computing the recording again
  NET_TO_ROBOT,       // what the network has done, as in proxy_counts
  NET_TO_CONTROLLER,  //
  STRETCHES,          // the recording's stretches: see tests/faults/stretches.h
  RUN_CODE,           // exit codes
  SIM_CODE,           //
  REPLAY_CODE,        //
} source;

typedef struct expected {
  source from;
  const char* key;  // of the report; parts with dots between them
  double at_least, at_most;
} expected;

typedef struct row {
  const char *name, *fault, *holds;  // for the command line, and in words
  double seconds;                    // in the short form
  const char* settings[SETTINGS_MAX];
  proxy_faults to_robot, to_controller;
  void (*play)(scene* s, double seconds);  // NULL: wait
  expected judged[EXPECTED_MAX];           // ends with a key that is NULL
  const char* preload;                     // a library of BINARIES; NULL: none
  long file_max;                           // bytes, of a file of the controller; 0: no limit
} row;

extern const row rows[];
extern const int row_count;
