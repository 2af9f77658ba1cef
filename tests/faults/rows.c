#include <signal.h>
#include <stdio.h>

#include "runtime/clock.h"
#include "tests/faults/row.h"

static const double NO_LIMIT = 1e300;

// Messages a second that are a flood even where the machine is busy with something else; the table says how
// many they were.
static const double FLOOD_MIN = 5e4;

#define NONE(from, key) \
  { from, key, 0, 0 }
#define SOME(from, key) \
  { from, key, 1, NO_LIMIT }
#define STOPS_IN_ORDER \
  { RUN_CODE, "exit", 0, 0 }

// --- what happens ---------------------------------------------------------------------------------

static void robot_is_killed(scene* s, double seconds) {
  scene_wait(seconds / 3);
  (void)kill(s->sim, SIGKILL);
  (void)scene_reap(&s->sim, 1);
  if (!scene_says(s, "run.log", "the robot is lost", 5)) {
    scene_fail(s, "the controller has not noticed");
  }
  scene_start_sim(s);
  const dpc_time restarted = dpc_clock_now();
  if (!scene_says(s, "run.log", "the robot is back", 5)) {
    scene_fail(s, "no connection to the new robot");
  }
  if (dpc_time_since(dpc_clock_now(), restarted).ns > INT64_C(2000000000)) {
    scene_fail(s, "more than 2 s until it was back");
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
    scene_fail(s, "the robot's end has not noticed");
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
    scene_fail(s, "the second controller does not say why");
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

// Each kind of time in turn, so that what else the machine does falls on both.
static void flood_comes_and_goes(scene* s, double seconds) {
  static const proxy_faults flood = {.flood = 110000};
  enum { TURNS = 8 };
  for (int i = 0; i < TURNS; ++i) scene_pass(s, seconds / TURNS, i % 2 == 0 ? NULL : &flood);
}

static void time_of_day_jumps(scene* s, double seconds) {
  if (!scene_says(s, "run.log", "the time of day jumps", 1)) {
    scene_fail(s, "nobody has looked at the time of day");
  }
  scene_wait(seconds);
}

static void plans_do_not_come(scene* s, double seconds) {
  if (!scene_says(s, "run.log", "fault: no plan has come in time", 10)) {
    scene_fail(s, "the controller does not say that plans are missing");
  }
  scene_wait(seconds / 4);
  if (!scene_acknowledge(s) || !scene_says(s, "run.log", "the fault is acknowledged", 5)) {
    scene_fail(s, "the fault cannot be acknowledged");
  }
  scene_wait(seconds / 2);
}

// --- the rows -------------------------------------------------------------------------------------

const row rows[] = {
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
     .fault = "at times 100,000 copies of observations a second",
     .holds = "no more ticks of 10 ms are missed than without",
     .seconds = 4,
     .settings = {"run.pace=timer", "controller.ticks_per_step=10", "controller.delay=1"},
     .play = flood_comes_and_goes,
     .judged = {{STRETCHES, "per_second", FLOOD_MIN, NO_LIMIT},
                {STRETCHES, "extra_missed", -NO_LIMIT, 0},
                SOME(STRETCHES, "ticks"),
                SOME(STRETCHES, "quiet_ticks"),
                SOME(NET_TO_CONTROLLER, "added"),
                STOPS_IN_ORDER}},
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
    {.name = "no-plans",
     .fault = "plans that take 3 s",
     .holds = "held; a fault says so until it is acknowledged",
     .seconds = 4,
     .settings = {"run.pace=timer", "controller.delay=1"},
     .play = plans_do_not_come,
     .judged = {SOME(RUN, "faults"), SOME(RUN, "holds"), NONE(RUN, "failed_plans"),
                NONE(RUN, "robot_lost"), STOPS_IN_ORDER},
     .preload = "libslow_planner.so"},
    {.name = "disk-full",
     .fault = "no file of the controller may grow beyond 64 kB",
     .holds = "the run goes on, and says what is not recorded",
     .seconds = 4,
     .settings = {"run.pace=timer", "controller.ticks_per_step=50", "controller.delay=5"},
     .judged = {SOME(RUN, "record.unwritten"), NONE(RUN, "record.complete"),
                NONE(RUN, "record.dropped"), NONE(RUN, "stale_ticks"), NONE(RUN, "faults"),
                SOME(REPLAY, "cut"), STOPS_IN_ORDER},
     .file_max = 65536},
    {.name = "clock",
     .fault = "the time of day jumps by an hour, both ways",
     .holds = "nothing changes",
     .seconds = 4,
     .play = time_of_day_jumps,
     .preload = "libclock_jumps.so",
     .judged = {SOME(RUN, "ticks"), NONE(RUN, "robot_lost"), NONE(RUN, "failed_plans"),
                STOPS_IN_ORDER}},
};

const int row_count = DPC_COUNT(rows);
