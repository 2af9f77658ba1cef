// The fault matrix: a controller and a robot as processes, a bad network between them, one row for each
// thing that goes wrong. Each row has a seed, lasts some seconds, and is judged by what both ends report
// and by what the network did.
//
//     faults BINARIES POLICY [--long] [--json FILE] [ROW...]
//
// prints a line for each row, and ends with 1 when one does not hold.

#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/clock.h"
#include "tests/faults/scene.h"

enum { EXPECTED_MAX = 8, SETTINGS_MAX = 8, ROWS_MAX = 64 };

static const double NO_LIMIT = 1e300;

// Where a figure stands.
typedef enum source { RUN, SIM, NET_TO_ROBOT, NET_TO_CONTROLLER, RUN_CODE, SIM_CODE } source;

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
} row;

#define NONE(from, key) \
  { from, key, 0, 0 }
#define SOME(from, key) \
  { from, key, 1, NO_LIMIT }
#define AT_MOST(from, key, count) \
  { from, key, 0, count }
#define STOPS_IN_ORDER \
  { RUN_CODE, "exit", 0, 0 }

// --- what happens ---------------------------------------------------------------------------------

static void robot_is_killed(scene* s, double seconds) {
  scene_wait(seconds / 3);
  (void)kill(s->sim, SIGKILL);
  (void)scene_reap(&s->sim, 1);
  if (!scene_says(s, "run.log", "the robot is lost", 5)) {
    (void)snprintf(s->problem, sizeof s->problem, "the controller has not noticed");
  }
  scene_start_sim(s);
  const dpc_time restarted = dpc_clock_now();
  if (!scene_says(s, "run.log", "the robot is back", 5)) {
    (void)snprintf(s->problem, sizeof s->problem, "no connection to the new robot");
  }
  if (dpc_time_since(dpc_clock_now(), restarted).ns > INT64_C(2000000000)) {
    (void)snprintf(s->problem, sizeof s->problem, "more than 2 s until it was back");
  }
  scene_wait(seconds / 2);
}

static void robot_is_stopped(scene* s, double seconds) {
  scene_wait(seconds / 3);
  (void)kill(s->sim, SIGSTOP);
  scene_wait(1);
  (void)kill(s->sim, SIGCONT);
  scene_wait(seconds / 2);
}

static void controller_is_stopped(scene* s, double seconds) {
  for (double stopped = 0.05; stopped < 1.5; stopped *= 3) {
    scene_wait(seconds / 5);
    (void)kill(s->run, SIGSTOP);
    scene_wait(stopped);
    (void)kill(s->run, SIGCONT);
  }
  scene_wait(seconds / 5);
}

static void controller_is_killed(scene* s, double seconds) {
  scene_wait(seconds / 2);
  (void)kill(s->run, SIGKILL);
  (void)scene_reap(&s->run, 1);
  if (!scene_says(s, "sim.log", "lost", 5)) {
    (void)snprintf(s->problem, sizeof s->problem, "the robot's end has not noticed");
  }
  scene_wait(seconds / 2);
}

static void cable_is_cut(scene* s, double seconds) {
  for (double cut = 0.1; cut < 3; cut *= 5) {
    scene_wait(seconds / 4);
    proxy_cut(s->net, true);
    scene_wait(cut);
    proxy_cut(s->net, false);
  }
  scene_wait(seconds / 4 + 1);
}

static void second_controller_comes(scene* s, double seconds) {
  static const char* const impatient[] = {"link.connect_timeout=1", NULL};
  scene_wait(seconds / 4);
  pid_t second = scene_start_run(s, "second.json", impatient);
  const int code = scene_reap(&second, 10);
  if (code != 1) {
    (void)snprintf(s->problem, sizeof s->problem, "the second controller ended with %d", code);
  }
  if (!scene_says(s, "run.log", "another controller", 0)) {
    (void)snprintf(s->problem, sizeof s->problem, "the second controller does not say why");
  }
  scene_wait(seconds / 4);
}

static void signals_come_twice(scene* s, double seconds) {
  scene_wait(seconds / 2);
  (void)kill(s->run, SIGTERM);
  (void)kill(s->run, SIGINT);
  scene_wait(0.01);
  (void)kill(s->run, SIGTERM);
  s->run_code = scene_reap(&s->run, 5);
}

// --- the rows -------------------------------------------------------------------------------------

static const row rows[] = {
    {.name = "nothing",
     .fault = "nothing",
     .holds = "no tick is missed, nothing is held",
     .seconds = 4,
     .judged = {SOME(RUN, "ticks"), NONE(RUN, "robot_lost"), NONE(RUN, "failed_plans"),
                NONE(RUN, "stale_ticks"), NONE(RUN, "faults"), NONE(SIM, "expired_leases"),
                STOPS_IN_ORDER}},
    {.name = "drop-1",
     .fault = "1 % of messages lost in both ways",
     .holds = "runs on",
     .seconds = 4,
     .to_robot = {.drop = 0.01},
     .to_controller = {.drop = 0.01},
     .judged = {SOME(RUN, "ticks"), NONE(RUN, "robot_lost"), STOPS_IN_ORDER}},
    {.name = "drop-10",
     .fault = "10 % of messages lost in both ways",
     .holds = "runs on, each loss is counted",
     .seconds = 5,
     .to_robot = {.drop = 0.1},
     .to_controller = {.drop = 0.1},
     .judged = {SOME(RUN, "ticks"), SOME(NET_TO_CONTROLLER, "dropped"), NONE(RUN, "robot_lost"),
                NONE(RUN, "faults"), STOPS_IN_ORDER}},
    {.name = "drop-50",
     .fault = "50 % of messages lost in both ways",
     .holds = "runs on or holds",
     .seconds = 5,
     .to_robot = {.drop = 0.5},
     .to_controller = {.drop = 0.5},
     .judged = {SOME(RUN, "ticks"), STOPS_IN_ORDER}},
    {.name = "duplicate",
     .fault = "each message comes twice",
     .holds = "the second is ignored",
     .seconds = 4,
     .to_robot = {.duplicate = 1},
     .to_controller = {.duplicate = 1},
     .judged = {SOME(RUN, "ticks"), NONE(RUN, "robot_lost"), SOME(NET_TO_ROBOT, "duplicated"),
                STOPS_IN_ORDER}},
    {.name = "reorder",
     .fault = "20 % of messages overtaken",
     .holds = "never goes back in time",
     .seconds = 4,
     .to_robot = {.reorder = 0.2},
     .to_controller = {.reorder = 0.2},
     .judged = {SOME(RUN, "ticks"), NONE(RUN, "robot_lost"), SOME(NET_TO_ROBOT, "reordered"),
                STOPS_IN_ORDER}},
    {.name = "late",
     .fault = "messages up to 0.3 s late",
     .holds = "no plan from old observations",
     .seconds = 5,
     .to_controller = {.delay_max = 0.3},
     .judged = {SOME(RUN, "ticks"), STOPS_IN_ORDER}},
    {.name = "corrupt",
     .fault = "20 % of messages with one wrong bit",
     .holds = "what is no message is refused",
     .seconds = 5,
     .to_robot = {.corrupt = 0.2},
     .to_controller = {.corrupt = 0.2},
     .judged = {SOME(RUN, "ticks"), NONE(RUN, "rejected_commands"),
                SOME(NET_TO_CONTROLLER, "corrupted"), STOPS_IN_ORDER}},
    {.name = "truncate",
     .fault = "20 % of messages cut short",
     .holds = "refused",
     .seconds = 4,
     .to_robot = {.truncate = 0.2},
     .to_controller = {.truncate = 0.2},
     .judged = {SOME(RUN, "ticks"), SOME(NET_TO_CONTROLLER, "truncated"), STOPS_IN_ORDER}},
    {.name = "replay",
     .fault = "old messages come again beside each",
     .holds = "refused by session, episode and tick",
     .seconds = 4,
     .to_robot = {.replay = 1},
     .to_controller = {.replay = 1},
     .judged = {SOME(RUN, "ticks"), NONE(RUN, "robot_lost"), SOME(NET_TO_CONTROLLER, "replayed"),
                STOPS_IN_ORDER}},
    {.name = "garbage",
     .fault = "1,000 random messages a second",
     .holds = "refused, no one is kept alive by them",
     .seconds = 4,
     .to_robot = {.garbage = 1000},
     .to_controller = {.garbage = 1000},
     .judged = {SOME(RUN, "ticks"), SOME(NET_TO_CONTROLLER, "added"), STOPS_IN_ORDER}},
    {.name = "oversize",
     .fault = "messages of 1 MB, ten a second",
     .holds = "the connection is closed and made anew",
     .seconds = 4,
     .to_controller = {.oversize = 10},
     .judged = {SOME(NET_TO_CONTROLLER, "added"), STOPS_IN_ORDER}},
    {.name = "flood",
     .fault = "100,000 copies of observations a second",
     .holds = "no tick is missed",
     .seconds = 4,
     .settings = {"run.pace=timer", "controller.delay=1"},
     .to_controller = {.flood = 100000},
     .judged = {SOME(RUN, "ticks"), SOME(NET_TO_CONTROLLER, "added"), STOPS_IN_ORDER}},
    {.name = "cut",
     .fault = "the cable is cut for 0.1, 0.5 and 2.5 s",
     .holds = "holds, then connects again",
     .seconds = 4,
     .play = cable_is_cut,
     .judged = {SOME(RUN, "ticks"), SOME(RUN, "robot_lost"), STOPS_IN_ORDER}},
    {.name = "robot-killed",
     .fault = "the robot's end is killed and starts anew",
     .holds = "noticed, and connected again within 2 s",
     .seconds = 4,
     .play = robot_is_killed,
     .judged = {SOME(RUN, "ticks"), SOME(RUN, "robot_lost"), STOPS_IN_ORDER}},
    {.name = "robot-stopped",
     .fault = "the robot's end stands still for 1 s",
     .holds = "holds; what it missed is not played",
     .seconds = 4,
     .play = robot_is_stopped,
     .judged = {SOME(RUN, "ticks"), SOME(RUN, "stale_ticks"), STOPS_IN_ORDER}},
    {.name = "controller-killed",
     .fault = "the controller is killed",
     .holds = "the robot's end stops by itself",
     .seconds = 4,
     .play = controller_is_killed,
     .judged = {SOME(SIM, "expired_leases"), {SIM_CODE, "exit", 0, 0}}},
    {.name = "controller-stopped",
     .fault = "the controller stands still for 0.05 to 1.4 s",
     .holds = "no backlog is played",
     .seconds = 5,
     .play = controller_is_stopped,
     .judged = {SOME(RUN, "ticks"), SOME(RUN, "gaps"), STOPS_IN_ORDER}},
    {.name = "second-controller",
     .fault = "a second controller connects",
     .holds = "refused, the first goes on",
     .seconds = 4,
     .play = second_controller_comes,
     .judged = {SOME(RUN, "ticks"), NONE(RUN, "robot_lost"), STOPS_IN_ORDER}},
    {.name = "signals",
     .fault = "SIGTERM, SIGINT and SIGTERM at once",
     .holds = "one controlled stop",
     .seconds = 2,
     .play = signals_come_twice,
     .judged = {STOPS_IN_ORDER, SOME(RUN, "ticks")}},
    {.name = "slow-plans",
     .fault = "plans that take several ticks too long",
     .holds = "late plans are counted, the robot holds meanwhile",
     .seconds = 4,
     .settings = {"run.pace=timer", "controller.ticks_per_step=50", "controller.delay=1",
                  "sampler.steps=100", "engine.precision=fp32"},
     .judged = {SOME(RUN, "late_plans"), NONE(RUN, "failed_plans"), NONE(RUN, "faults"),
                STOPS_IN_ORDER}},
    {.name = "clock",
     .fault = "the time of day jumps by an hour, both ways",
     .holds = "nothing changes",
     .seconds = 4,
     .preload = "libclock_jumps.so",
     .judged = {SOME(RUN, "ticks"), NONE(RUN, "robot_lost"), NONE(RUN, "failed_plans"),
                STOPS_IN_ORDER}},
};

// --- judging --------------------------------------------------------------------------------------

static const dpc_json* find(const dpc_json* json, const char* key) {
  char part[64];
  while (json != NULL) {
    const size_t length = strcspn(key, ".");
    (void)snprintf(part, sizeof part, "%.*s", (int)length, key);
    json = dpc_json_get(json, part);
    if (key[length] == '\0') return json;
    key += length + 1;
  }
  return NULL;
}

static bool counted(const proxy_counts* counts, const char* key, double* out) {
  const struct {
    const char* key;
    uint64_t value;
  } all[] = {{"passed", counts->passed},         {"dropped", counts->dropped},
             {"duplicated", counts->duplicated}, {"reordered", counts->reordered},
             {"corrupted", counts->corrupted},   {"truncated", counts->truncated},
             {"replayed", counts->replayed},     {"added", counts->added}};
  for (size_t i = 0; i < sizeof all / sizeof *all; ++i) {
    if (strcmp(all[i].key, key) != 0) continue;
    *out = (double)all[i].value;
    return true;
  }
  return false;
}

typedef struct played {
  const row* row;
  proxy_counts net[PROXY_WAYS];
  bool holds;
  char why[512];  // not
} played;

static bool look_up(const scene* s, const played* p, const expected* e, double* out) {
  switch (e->from) {
    case RUN:
    case SIM: {
      const dpc_json* value = find(e->from == RUN ? s->run_report : s->sim_report, e->key);
      return value != NULL && dpc_json_as_real(value, out);
    }
    case NET_TO_ROBOT:
      return counted(&p->net[TO_ROBOT], e->key, out);
    case NET_TO_CONTROLLER:
      return counted(&p->net[TO_CONTROLLER], e->key, out);
    default:
      *out = e->from == RUN_CODE ? s->run_code : s->sim_code;
      return true;
  }
}

static void judge(const scene* s, played* p) {
  static const char* const sources[] = {
      "controller", "robot", "network to robot", "network to controller", "controller", "robot"};
  p->holds = s->problem[0] == '\0';
  (void)snprintf(p->why, sizeof p->why, "%s", s->problem);
  for (const expected* e = p->row->judged; e->key != NULL && p->holds; ++e) {
    double value = 0;
    if (!look_up(s, p, e, &value)) {
      p->holds = false;
      (void)snprintf(p->why, sizeof p->why, "%s: no figure '%s'", sources[e->from], e->key);
    } else if (value < e->at_least || value > e->at_most) {
      p->holds = false;
      (void)snprintf(p->why, sizeof p->why, "%s: %s is %g, not in [%g, %g]", sources[e->from],
                     e->key, value, e->at_least, e->at_most);
    }
  }
}

// --- playing --------------------------------------------------------------------------------------

typedef struct runner {
  const char *binaries, *policy, *json_path;
  bool is_long;
  int name_count;
  char** names;  // of the rows that are wanted; none: all
  dpc_json* report;
} runner;

static uint64_t seed_of(const row* r) {
  uint64_t seed = 1469598103934665603u;
  for (const char* c = r->name; *c != '\0'; ++c) seed = (seed ^ (unsigned char)*c) * 1099511628211u;
  return seed;
}

static void print_log(const scene* s, const char* name) {
  char command[256];
  (void)snprintf(command, sizeof command, "tail -n 15 %s/%s | sed 's/^/    %s: /' >&2", s->folder,
                 name, name);
  (void)system(command);  // NOLINT(cert-env33-c): a file of our own
}

static void play(const runner* u, const row* r, played* out) {
  char preload[256];
  scene s;
  (void)snprintf(preload, sizeof preload, "%s/tests/%s", u->binaries, r->preload);
  *out = (played){.row = r};
  scene_begin(&s, u->binaries, u->policy, seed_of(r), r->settings, r->preload ? preload : NULL);
  if (s.problem[0] == '\0') {
    const double seconds = r->seconds * (u->is_long ? 10 : 1);
    proxy_set(s.net, TO_ROBOT, &r->to_robot);
    proxy_set(s.net, TO_CONTROLLER, &r->to_controller);
    if (r->play != NULL) r->play(&s, seconds);
    if (r->play == NULL) scene_wait(seconds);
  }
  const proxy_faults none = {0};
  proxy_set(s.net, TO_ROBOT, &none);
  proxy_set(s.net, TO_CONTROLLER, &none);
  for (int way = 0; way < PROXY_WAYS; ++way) out->net[way] = proxy_counted(s.net, way);
  scene_end(&s);
  judge(&s, out);
  if (!out->holds) {
    print_log(&s, "run.log");
    print_log(&s, "sim.log");
  }
  scene_free(&s);
}

static uint64_t faults_of(const played* p) {
  uint64_t sum = 0;
  for (int way = 0; way < PROXY_WAYS; ++way) {
    const proxy_counts* c = &p->net[way];
    sum += c->dropped + c->duplicated + c->reordered + c->corrupted + c->truncated + c->replayed +
           c->added;
  }
  return sum;
}

static void show(const runner* u, const played* p) {
  const uint64_t passed = p->net[TO_ROBOT].passed + p->net[TO_CONTROLLER].passed;
  (void)printf("%-19s %-46s %7" PRIu64 " of %7" PRIu64 "  %s%s\n", p->row->name, p->row->fault,
               faults_of(p), passed,
               p->holds ? "" : "DOES NOT HOLD: ", p->holds ? p->row->holds : p->why);
  (void)fflush(stdout);
  dpc_json* json = dpc_json_push(u->report, dpc_json_object());
  dpc_json_set_text(json, "row", p->row->name);
  dpc_json_set_text(json, "fault", p->row->fault);
  dpc_json_set_text(json, "expected", p->row->holds);
  dpc_json_set_int(json, "faults", (int64_t)faults_of(p));
  dpc_json_set_int(json, "messages", (int64_t)passed);
  dpc_json_set_bool(json, "holds", p->holds);
  dpc_json_set_text(json, "why", p->why);
}

static bool wanted(const runner* u, const row* r) {
  for (int i = 0; i < u->name_count; ++i) {
    if (strcmp(u->names[i], r->name) == 0) return true;
  }
  return u->name_count == 0;
}

static int usage(void) {
  (void)fprintf(stderr, "usage: faults BINARIES POLICY [--long] [--json FILE] [ROW...]\n");
  return 2;
}

static bool read_arguments(runner* u, int argc, char** argv) {
  if (argc < 3) return false;
  // the programs are started in a folder of their own
  static char binaries[PATH_MAX], policy[PATH_MAX];
  u->binaries = realpath(argv[1], binaries);
  u->policy = realpath(argv[2], policy);
  if (u->binaries == NULL || u->policy == NULL) return false;
  int at = 3;
  for (; at < argc && strncmp(argv[at], "--", 2) == 0; ++at) {
    if (strcmp(argv[at], "--long") == 0) {
      u->is_long = true;
    } else if (strcmp(argv[at], "--json") == 0 && at + 1 < argc) {
      u->json_path = argv[++at];
    } else {
      return false;
    }
  }
  u->names = argv + at;
  u->name_count = argc - at;
  return true;
}

int main(int argc, char** argv) {
  runner u = {.report = NULL};
  if (!read_arguments(&u, argc, argv)) return usage();
  u.report = dpc_json_array();
  int count = 0, held = 0;
  for (size_t i = 0; i < sizeof rows / sizeof *rows; ++i) {
    if (!wanted(&u, &rows[i])) continue;
    played p;
    play(&u, &rows[i], &p);
    // a busy machine disturbs once; what is wrong is wrong twice
    if (!p.holds) play(&u, &rows[i], &p);
    show(&u, &p);
    ++count;
    held += p.holds;
  }
  (void)printf("%d of %d rows hold\n", held, count);
  dpc_error error;
  if (u.json_path != NULL && dpc_json_save(u.report, u.json_path, &error) != DPC_OK) {
    (void)fprintf(stderr, "faults: %s\n", error.text);
    held = -1;
  }
  dpc_json_free(u.report);
  return held == count && count > 0 ? 0 : 1;
}
