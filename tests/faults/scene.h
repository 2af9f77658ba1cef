/// Both ends of the link as processes with a bad network between them, what they said at their end, and
/// the recording of the controller, computed again.
#pragma once

#include <sys/types.h>

#include "tests/faults/proxy.h"
#include "tools/json.h"

enum { SCENE_PATH = 160, SCENE_STRETCHES_MAX = 16 };

/// What a scene is made of.
typedef struct scene_def {
  const char* binaries;  // folder of the programs
  const char* policy;
  uint64_t seed;
  const char* const* settings;  // of the controller, KEY=VALUE; ends with NULL
  const char* preload;          // a library that it is started with; NULL: none
  long file_max;                // bytes that a file of its may have; 0: no limit
} scene_def;

/// Some time of a scene, of which there are two kinds to be compared.
typedef struct scene_stretch {
  dpc_time start, end;
  bool disturbed;
  uint64_t passed;  // messages to the controller meanwhile
} scene_stretch;

typedef struct scene {
  scene_def def;
  char folder[64];  // of this scene: sockets, configurations, logs, reports, recording
  char front[96];   // where controllers connect
  char back[96];    // where the robot listens
  proxy* net;
  pid_t sim, run;  // 0: not there
  int sim_count;   // how many have been started; each has a report of its own
  scene_stretch stretches[SCENE_STRETCHES_MAX];
  int stretch_count;

  // after scene_end; reports are NULL where a program was killed
  dpc_json *run_report, *sim_report, *replay_report;
  int run_code, sim_code, replay_code;  // exit codes; -1: killed, or had to be
  char recording[SCENE_PATH];           // "" when there is none
  char problem[256];                    // why the scene could not be played; "" when it could
} scene;

/// Make folder and network, and start both ends; the controller is recorded. Waits until they are
/// connected.
void scene_begin(scene* s, const scene_def* def);

/// Start a controller, or a robot, beside or instead of the one that there was.
pid_t scene_start_run(scene* s, const char* report, const char* const* settings);
void scene_start_sim(scene* s);

/// Let `seconds` pass.
void scene_wait(double seconds);

/// Let `seconds` pass while messages to the controller suffer `faults` (NULL: none), and remember when
/// that was. What was before has a moment to fade first.
void scene_pass(scene* s, double seconds, const proxy_faults* faults);

/// Acknowledge the controller's fault. False when that was not possible.
bool scene_acknowledge(scene* s);

/// True when `name` (run.log, sim.log) says `words`; waits up to `seconds` for that.
bool scene_says(const scene* s, const char* name, const char* words, double seconds);

/// Note what went wrong, unless something has before.
void scene_fail(scene* s, const char* what);

/// The exit code of a child that ends by itself within `seconds`; -1 when it does not, or was killed.
int scene_reap(pid_t* child, double seconds);

/// Stop the controller, then the robot, by SIGINT; read what they report, replay the recording; and
/// remove the folder.
void scene_end(scene* s);
void scene_free(scene* s);
