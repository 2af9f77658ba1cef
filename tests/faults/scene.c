#include "tests/faults/scene.h"

#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/clock.h"

enum { ARGUMENTS_MAX = 32, LOG_SIZE = 1 << 18 };

// Until what was done to the network before has no effect any more, s.
static const double FADE = 0.1;

void scene_fail(scene* s, const char* what) {
  if (s->problem[0] == '\0') (void)snprintf(s->problem, sizeof s->problem, "%s", what);
}

void scene_wait(double seconds) {
  dpc_clock_sleep_until(dpc_time_after(dpc_clock_now(), dpc_seconds(seconds)));
}

void scene_pass(scene* s, double seconds, const proxy_faults* faults) {
  static const proxy_faults none;
  if (s->stretch_count == SCENE_STRETCHES_MAX) return;
  scene_stretch* stretch = &s->stretches[s->stretch_count++];
  proxy_set(s->net, TO_CONTROLLER, faults != NULL ? faults : &none);
  scene_wait(FADE);
  const uint64_t before = proxy_counted(s->net, TO_CONTROLLER).passed;
  *stretch = (scene_stretch){.start = dpc_clock_now(), .disturbed = faults != NULL};
  scene_wait(seconds);
  stretch->end = dpc_clock_now();
  stretch->passed = proxy_counted(s->net, TO_CONTROLLER).passed - before;
}

static void path_in(const scene* s, const char* name, char out[SCENE_PATH]) {
  (void)snprintf(out, SCENE_PATH, "%s/%s", s->folder, name);
}

// --- processes ------------------------------------------------------------------------------------

static pid_t spawn(const scene* s, const char* log_name, const char* const* arguments,
                   const scene_def* faults) {
  char log[SCENE_PATH];
  path_in(s, log_name, log);
  const pid_t child = fork();
  if (child != 0) return child;
  const int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
  (void)dup2(fd, STDOUT_FILENO);
  (void)dup2(fd, STDERR_FILENO);
  if (faults != NULL && faults->preload != NULL) (void)setenv("LD_PRELOAD", faults->preload, 1);
  if (faults != NULL && faults->file_max > 0) {
    const struct rlimit limit = {(rlim_t)faults->file_max, (rlim_t)faults->file_max};
    (void)setrlimit(RLIMIT_FSIZE, &limit);
  }
  // what a fault leaves behind is in the folder, too; the paths are whole
  if (chdir(s->folder) == 0) (void)execv(arguments[0], (char* const*)arguments);
  _exit(127);
}

int scene_reap(pid_t* child, double seconds) {
  int status = 0;
  for (double waited = 0; *child > 0 && waited <= seconds; waited += 0.01) {
    if (waitpid(*child, &status, WNOHANG) == *child) {
      *child = 0;
      return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    }
    scene_wait(0.01);
  }
  return -1;
}

static void kill_now(pid_t* child) {
  if (*child <= 0) return;
  (void)kill(*child, SIGKILL);
  (void)waitpid(*child, NULL, 0);
  *child = 0;
}

bool scene_says(const scene* s, const char* name, const char* words, double seconds) {
  static char text[LOG_SIZE];
  char path[SCENE_PATH];
  path_in(s, name, path);
  for (double waited = 0;; waited += 0.01) {
    FILE* file = fopen(path, "r");
    if (file != NULL) {
      text[fread(text, 1, sizeof text - 1, file)] = '\0';
      (void)fclose(file);
      if (strstr(text, words) != NULL) return true;
    }
    if (waited > seconds) return false;
    scene_wait(0.01);
  }
}

void scene_start_sim(scene* s) {
  char program[SCENE_PATH], report[SCENE_PATH], name[32];
  (void)snprintf(program, sizeof program, "%s/dpc-sim", s->def.binaries);
  (void)snprintf(name, sizeof name, "sim%d.json", s->sim_count++);
  path_in(s, name, report);
  const char* arguments[] = {program, "--pace", "realtime", "--endpoint",
                             s->back, "--json", report,     NULL};
  s->sim = spawn(s, "sim.log", arguments, NULL);
}

// What the scene's own controller suffers, and that it is recorded, no other one shares.
static pid_t start_run(const scene* s, const char* report_name, const char* const* settings,
                       bool own) {
  char program[SCENE_PATH], config[SCENE_PATH], report[SCENE_PATH], policy[SCENE_PATH + 16],
      endpoint[SCENE_PATH];
  (void)snprintf(program, sizeof program, "%s/dpc-run", s->def.binaries);
  path_in(s, "run.yaml", config);
  path_in(s, report_name, report);
  (void)snprintf(policy, sizeof policy, "run.policy=%s", s->def.policy);
  (void)snprintf(endpoint, sizeof endpoint, "link.endpoint=%s", s->front);
  FILE* file = fopen(config, "w");
  if (file == NULL) return -1;
  (void)fprintf(file, "controller:\n  action_min: 0\n  action_max: 512\n");
  (void)fclose(file);
  const char* arguments[ARGUMENTS_MAX] = {program, config, policy, endpoint, "--json", report};
  int count = 6;
  if (own) arguments[count++] = "run.record=run.mcap";
  for (int i = 0; settings != NULL && settings[i] != NULL && count < ARGUMENTS_MAX - 1; ++i) {
    arguments[count++] = settings[i];
  }
  return spawn(s, "run.log", arguments, own ? &s->def : NULL);
}

pid_t scene_start_run(scene* s, const char* report, const char* const* settings) {
  return start_run(s, report, settings, false);
}

bool scene_acknowledge(scene* s) {
  char program[SCENE_PATH];
  (void)snprintf(program, sizeof program, "%s/dpc-ack", s->def.binaries);
  const char* arguments[] = {program, s->front, NULL};
  pid_t child = spawn(s, "ack.log", arguments, NULL);
  return scene_reap(&child, 5) == 0;
}

// --- a scene --------------------------------------------------------------------------------------

void scene_begin(scene* s, const scene_def* def) {
  *s = (scene){.def = *def, .run_code = -1, .sim_code = -1, .replay_code = -1};
  (void)snprintf(s->folder, sizeof s->folder, "/tmp/dpc_faults_XXXXXX");
  if (mkdtemp(s->folder) == NULL) {
    scene_fail(s, "no folder for its files");
    return;
  }
  (void)snprintf(s->front, sizeof s->front, "ipc://%s/front", s->folder);
  (void)snprintf(s->back, sizeof s->back, "ipc://%s/back", s->folder);
  s->net = proxy_start(s->front, s->back, def->seed);
  scene_start_sim(s);
  s->run = start_run(s, "run.json", def->settings, true);
  if (!scene_says(s, "run.log", "connected", 20)) {
    scene_fail(s, "the two ends have not connected");
  }
}

static dpc_json* read_report(const scene* s, const char* name) {
  char path[SCENE_PATH];
  dpc_error error;
  dpc_json* json = NULL;
  path_in(s, name, path);
  return dpc_json_read(path, &json, &error) == DPC_OK ? json : NULL;
}

// A process that was stopped must go on to hear of its end.
static int stop(pid_t* child) {
  if (*child <= 0) return -1;
  (void)kill(*child, SIGCONT);
  (void)kill(*child, SIGINT);
  const int code = scene_reap(child, 10);
  kill_now(child);
  return code;
}

// What a killed controller, or one whose disk was full, leaves is a `.part`.
static void replay(scene* s) {
  char program[SCENE_PATH], report[SCENE_PATH];
  path_in(s, "run.mcap", s->recording);
  if (access(s->recording, F_OK) != 0) path_in(s, "run.mcap.part", s->recording);
  if (access(s->recording, F_OK) != 0) {
    s->recording[0] = '\0';
    return;
  }
  (void)snprintf(program, sizeof program, "%s/dpc-replay", s->def.binaries);
  path_in(s, "replay.json", report);
  const char* arguments[] = {program, "-q", s->recording, "--json", report, NULL};
  pid_t child = spawn(s, "replay.log", arguments, NULL);
  s->replay_code = scene_reap(&child, 60);
  kill_now(&child);
  s->replay_report = read_report(s, "replay.json");
}

void scene_end(scene* s) {
  char name[32];
  if (s->run > 0) s->run_code = stop(&s->run);
  if (s->sim > 0) s->sim_code = stop(&s->sim);
  if (s->net != NULL) proxy_stop(s->net);
  s->net = NULL;
  s->run_report = read_report(s, "run.json");
  (void)snprintf(name, sizeof name, "sim%d.json", s->sim_count - 1);
  s->sim_report = read_report(s, name);
  replay(s);
}

void scene_free(scene* s) {
  char command[SCENE_PATH];
  dpc_json_free(s->run_report);
  dpc_json_free(s->sim_report);
  dpc_json_free(s->replay_report);
  (void)snprintf(command, sizeof command, "rm -rf %s", s->folder);
  (void)system(command);  // NOLINT(cert-env33-c): a folder of our own
}
