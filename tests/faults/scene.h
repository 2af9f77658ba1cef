/// Both ends of the link as processes with a bad network between them, and what they said at their end.
#pragma once

#include <sys/types.h>

#include "tests/faults/proxy.h"
#include "tools/json.h"

typedef struct scene {
  const char* binaries;  // folder of the programs
  const char* policy;
  char folder[64];  // of this scene: sockets, configurations, logs, reports
  char front[96];   // where controllers connect
  char back[96];    // where the robot listens
  uint64_t seed;
  proxy* net;
  pid_t sim, run;                     // 0: not there
  int sim_count;                      // how many have been started; each has a report of its own
  dpc_json *run_report, *sim_report;  // after scene_end; NULL where one was killed
  int run_code, sim_code;             // exit codes; -1: killed, or had to be
  char problem[256];                  // why the scene could not be played; "" when it could
} scene;

/// Make folder and network, and start both ends: `settings` (KEY=VALUE, ends with NULL) are the
/// controller's. Waits until they are connected.
void scene_begin(scene* s, const char* binaries, const char* policy, uint64_t seed,
                 const char* const* settings, const char* preload);

/// Start a controller, or a robot, beside or instead of the one that there was.
pid_t scene_start_run(scene* s, const char* report, const char* const* settings);
void scene_start_sim(scene* s);

/// Let `seconds` pass.
void scene_wait(double seconds);

/// True when `name` (run.log, sim.log) says `words`; waits up to `seconds` for that.
bool scene_says(const scene* s, const char* name, const char* words, double seconds);

/// The exit code of a child that ends by itself within `seconds`; -1 when it does not, or was killed.
int scene_reap(pid_t* child, double seconds);

/// Stop the controller, then the robot, by SIGINT; read what they report, and remove the folder.
void scene_end(scene* s);
void scene_free(scene* s);
