#include "tools/sim_server.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/clock.h"
#include "runtime/robot.h"
#include "tools/cli.h"

static const size_t ARENA_SIZE = (size_t)4 << 20;

// --- settings -------------------------------------------------------------------------------------

static const char* const paces[] = {"realtime", "lockstep", NULL};

static const dpc_field fields[] = {
    DPC_CHOICE(dpc_sim_def, pace, "realtime", paces,
               "realtime: ten steps a second; lockstep: a step for each command"),
    DPC_UINT64(dpc_sim_def, first_seed, "100000", "seed of the first episode"),
    DPC_INT(dpc_sim_def, episodes, "0", 0, 100000000, "",
            "episodes to serve, with one seed after the other; 0: until stopped"),
};

DPC_FIELD_TABLE(dpc_sim_fields, dpc_sim_def, "sim", "The push world as a robot.", fields);

dpc_status dpc_sim_def_check(const dpc_sim_def* def, dpc_error* error) {
  DPC_TRY(dpc_fields_check(&dpc_sim_fields, def, error));
  if (def->first_seed <= UINT32_MAX && def->first_seed + (uint64_t)def->episodes <= 1ull << 32) {
    return DPC_OK;
  }
  return dpc_fail(error, DPC_ERR_CONFIG, "sim.first_seed: seeds must be below 4294967296");
}

void dpc_sim_result_free(dpc_sim_result* result) {
  free(result->episodes);
  *result = (dpc_sim_result){0};
}

// --- the server -----------------------------------------------------------------------------------

typedef struct server {
  const dpc_sim_def* def;
  dpc_sim_result* result;
  dpc_arena arena;
  dpc_robot* robot;
  dpc_push_task* task;
  uint32_t seed;     // of the episode that runs or comes next
  uint64_t ordered;  // seeds of the settings that have been used up
  uint64_t tick;
  bool has_command;
  uint64_t command_tick;
  float command[DPC_PUSH_ACTION_DIM];
  int held;
  int frame_count;
  dpc_render_frame frames[DPC_PUSH_STEPS_MAX + 1];
} server;

// How an episode, or a part of one, has ended.
typedef enum outcome {
  GOES_ON,
  DONE,
  AGAIN,        // the controller is gone or new: this seed once more
  RESET,        // the controller asked for another seed, which is in `seed`
  INTERRUPTED,  // by a signal
} outcome;

static outcome take_reset(server* s, uint64_t seed) {
  if (seed > UINT32_MAX) {
    dpc_log(DPC_LOG_WARNING, "reset to seed %" PRIu64 " ignored: seeds are below 4294967296", seed);
    return GOES_ON;
  }
  s->seed = (uint32_t)seed;
  return RESET;
}

static outcome take(server* s, const dpc_robot_event* event) {
  switch (event->kind) {
    case DPC_ROBOT_NOTHING:
      break;
    case DPC_ROBOT_CONNECTED:
      dpc_log(DPC_LOG_INFO, "connected: %s", event->reason);
      return AGAIN;
    case DPC_ROBOT_COMMAND:
      s->has_command = true;
      s->command_tick = event->command.tick;
      memcpy(s->command, event->command.values, sizeof s->command);
      break;
    case DPC_ROBOT_EXPIRED:
      // in lock-step the agent waits for each command as long as it takes
      if (s->def->pace == DPC_SIM_REALTIME) s->has_command = false;
      break;
    case DPC_ROBOT_RESET:
      return take_reset(s, event->seed);
    case DPC_ROBOT_LOST:
      dpc_log(DPC_LOG_WARNING, "controller lost: %s", event->reason);
      return AGAIN;
    case DPC_ROBOT_BYE:
      dpc_log(DPC_LOG_INFO, "controller has left: %s", event->reason);
      return AGAIN;
  }
  return dpc_cli_interrupted() ? INTERRUPTED : GOES_ON;
}

// Poll once, until `deadline` at most.
static outcome poll_until(server* s, dpc_time deadline) {
  dpc_robot_event event;
  dpc_robot_poll(s->robot, dpc_time_since(deadline, dpc_clock_now()), -1, &event);
  return take(s, &event);
}

// --- one step -------------------------------------------------------------------------------------

// An observation that begins or ends an episode must get through, and in lock-step each one; another
// may be skipped in real time, as the next is newer.
static outcome send_observation(server* s) {
  const dpc_push_progress progress = dpc_push_task_progress(s->task);
  float values[DPC_PUSH_OBS_DIM];
  dpc_push_task_observe(s->task, values);
  const dpc_observation observation = {.seed = s->seed,
                                       .tick = s->tick,
                                       .sample_time_ns = dpc_clock_now().ns,
                                       .value_count = DPC_PUSH_OBS_DIM,
                                       .values = values,
                                       .reward = progress.reward,
                                       .done = progress.done};
  const bool needed = s->def->pace == DPC_SIM_LOCKSTEP || s->tick == 0 || progress.done;
  while (dpc_robot_send_observation(s->robot, &observation, NULL) != DPC_OK && needed) {
    const outcome now = poll_until(s, dpc_time_after(dpc_clock_now(), dpc_seconds(0.005)));
    if (now != GOES_ON) return now;
  }
  return GOES_ON;
}

static outcome wait_for_command(server* s) {
  while (!s->has_command || s->command_tick != s->tick) {
    const outcome now = poll_until(s, dpc_time_after(dpc_clock_now(), dpc_seconds(1)));
    if (now != GOES_ON) return now;
  }
  return GOES_ON;
}

// Take commands until the step is due. The socket's wait has a grain of 1 ms, so the last two are
// slept through and what came meanwhile is taken at the end.
static outcome wait_for_time(server* s, dpc_cadence* cadence) {
  const dpc_time early = dpc_time_after(cadence->due, dpc_seconds(-0.002));
  outcome now = GOES_ON;
  while (now == GOES_ON && dpc_clock_now().ns < early.ns) now = poll_until(s, early);
  if (now != GOES_ON) return now;
  dpc_clock_sleep_until(cadence->due);
  now = poll_until(s, cadence->due);
  s->result->late += dpc_cadence_next(cadence, dpc_clock_now());
  return now;
}

// Where the agent should go: the command while its lease lasts, else where it is.
static void choose_target(server* s, float* target) {
  const dpc_push_state state = dpc_push_task_state(s->task);
  target[0] = s->has_command ? s->command[0] : (float)state.agent_x;
  target[1] = s->has_command ? s->command[1] : (float)state.agent_y;
  if (!s->has_command) ++s->held;
}

static void note_frame(server* s, const float* target) {
  s->frames[s->frame_count++] =
      (dpc_render_frame){.state = dpc_push_task_state(s->task),
                         .has_target = target != NULL,
                         .target_x = target == NULL ? 0 : (double)target[0],
                         .target_y = target == NULL ? 0 : (double)target[1],
                         .time_s = 0.1 * (double)s->tick};
}

static void step(server* s) {
  float target[DPC_PUSH_ACTION_DIM];
  dpc_error error = {""};
  choose_target(s, target);
  note_frame(s, target);
  if (dpc_push_task_step(s->task, target, &error) != DPC_OK) {
    // out of all reason: hold, which is always possible
    dpc_log(DPC_LOG_WARNING, "%s", error.text);
    s->has_command = false;
    choose_target(s, target);
    const dpc_status status = dpc_push_task_step(s->task, target, &error);
    DPC_ASSERT(status == DPC_OK);
  }
  ++s->tick;
}

// --- one episode ----------------------------------------------------------------------------------

static outcome run_episode(server* s) {
  dpc_push_task_reset(s->task, s->seed);
  s->tick = 0;
  s->has_command = false;
  s->held = 0;
  s->frame_count = 0;
  outcome now = send_observation(s);
  dpc_cadence cadence = {.period = {dpc_push_task_interface()->period_ns}};
  cadence.due = dpc_time_after(dpc_clock_now(), cadence.period);
  while (now == GOES_ON) {
    now = s->def->pace == DPC_SIM_LOCKSTEP ? wait_for_command(s) : wait_for_time(s, &cadence);
    if (now != GOES_ON) return now;
    step(s);
    now = send_observation(s);
    if (now == GOES_ON && dpc_push_task_progress(s->task).done) now = DONE;
  }
  return now;
}

static dpc_status keep_result(server* s, dpc_error* error) {
  dpc_sim_result* result = s->result;
  const dpc_push_progress progress = dpc_push_task_progress(s->task);
  dpc_sim_episode* more = realloc(result->episodes, sizeof *more * ((size_t)result->count + 1));
  if (more == NULL) return dpc_fail(error, DPC_ERR_NO_MEMORY, "no memory for one more result");
  result->episodes = more;
  result->episodes[result->count++] = (dpc_sim_episode){.seed = s->seed,
                                                        .steps = progress.steps,
                                                        .held = s->held,
                                                        .score = progress.score,
                                                        .success = progress.success};
  note_frame(s, NULL);
  memcpy(result->frames, s->frames, sizeof *s->frames * (size_t)s->frame_count);
  result->frame_count = s->frame_count;
  dpc_log(DPC_LOG_INFO, "seed %" PRIu32 ": score %.3f%s, %d steps, %d held", s->seed,
          progress.score, progress.success ? ", success" : "", progress.steps, s->held);
  return DPC_OK;
}

// Seeds wrap around in a server that runs for ever.
static uint32_t next_seed(const server* s) {
  return (uint32_t)(s->def->first_seed + s->ordered);
}

static dpc_status serve(server* s, dpc_error* error) {
  bool asked = false;  // this seed comes from a reset, not from the settings
  s->seed = next_seed(s);
  while (s->def->episodes == 0 || s->ordered < (uint64_t)s->def->episodes) {
    if (dpc_cli_interrupted()) return DPC_OK;
    const outcome now = dpc_robot_connected(s->robot)
                            ? run_episode(s)
                            : poll_until(s, dpc_time_after(dpc_clock_now(), dpc_seconds(1)));
    if (now == RESET) asked = true;
    if (now != DONE) continue;
    DPC_TRY(keep_result(s, error));
    if (!asked) ++s->ordered;
    asked = false;
    s->seed = next_seed(s);
  }
  return DPC_OK;
}

dpc_status dpc_sim_serve(const dpc_sim_def* def, const dpc_link_def* link, dpc_sim_result* result,
                         dpc_error* error) {
  server* s = calloc(1, sizeof *s);
  if (s == NULL) return dpc_fail(error, DPC_ERR_NO_MEMORY, "no memory for the server");
  s->def = def;
  s->result = result;
  dpc_status status = dpc_arena_map(&s->arena, ARENA_SIZE, error);
  if (status == DPC_OK) status = dpc_push_task_create(&s->task, error);
  if (status == DPC_OK) {
    status = dpc_robot_bind(link, dpc_push_task_interface(), "dpc sim " DPC_VERSION, &s->arena,
                            &s->robot, error);
  }
  if (status == DPC_OK) {
    dpc_log(DPC_LOG_INFO, "listening on %s", dpc_robot_endpoint(s->robot));
    status = serve(s, error);
    dpc_robot_close(s->robot, dpc_cli_interrupted() ? "the simulator was stopped" : "all done");
    result->link = *dpc_robot_counts(s->robot);
  }
  dpc_push_task_destroy(s->task);
  dpc_arena_unmap(&s->arena);
  free(s);
  return status;
}
