#include "tools/replay_episode.h"

#include <math.h>

#include "sim/push_task.h"

// --- where an episode keeps the world's state ----------------------------------------------------

typedef struct state_columns {
  int agent, block, angle;
} state_columns;

static bool find(const dpc_layout* layout, const char* name, int dim, int* offset) {
  const dpc_signal* signal = dpc_layout_find(layout, name, offset);
  return signal != NULL && signal->dim == dim;
}

// Ours have a signal for each; the public demonstrations have all in "state".
static dpc_status find_state(const dpc_episode* episode, const char* path, state_columns* out,
                             dpc_error* error) {
  const dpc_layout* obs = &episode->interface.obs;
  state_columns at = {0};
  if (find(obs, "state", 5, &at.agent)) {
    at.block = at.agent + 2;
    at.angle = at.agent + 4;
  } else if (!find(obs, "agent_pos", 2, &at.agent) || !find(obs, "block_pos", 2, &at.block) ||
             !find(obs, "block_angle", 1, &at.angle)) {
    return dpc_fail(error, DPC_ERR_MISMATCH,
                    "%s: not of the push world: it observes neither 'state' with dim 5 nor "
                    "'agent_pos', 'block_pos' and 'block_angle' with dims 2, 2 and 1",
                    path);
  }
  const dpc_interface* world = dpc_push_task_interface();
  if (dpc_layout_dim(&episode->interface.action) != DPC_PUSH_ACTION_DIM) {
    return dpc_fail(error, DPC_ERR_MISMATCH, "%s: actions have dim %d, those of the push world %d",
                    path, dpc_layout_dim(&episode->interface.action), DPC_PUSH_ACTION_DIM);
  }
  if (episode->interface.period_ns != world->period_ns) {
    return dpc_fail(error, DPC_ERR_MISMATCH, "%s: steps of %g s, those of the push world are %g s",
                    path, (double)episode->interface.period_ns * 1e-9,
                    (double)world->period_ns * 1e-9);
  }
  *out = at;
  return DPC_OK;
}

static dpc_push_state read_state(const float* row, const state_columns* at) {
  return (dpc_push_state){(double)row[at->agent], (double)row[at->agent + 1],
                          (double)row[at->block], (double)row[at->block + 1],
                          (double)row[at->angle]};
}

static double block_distance(const dpc_push_state* a, const dpc_push_state* b) {
  return hypot(a->block_x - b->block_x, a->block_y - b->block_y);
}

// --- replaying -----------------------------------------------------------------------------------

// Numbers far outside of the table are data of something else, and more than the physics can stand.
static bool in_reach(double value) {
  return fabs(value) <= DPC_PUSH_TARGET_MAX;
}

static dpc_status check_reach(const dpc_episode* episode, const dpc_push_state* start,
                              const char* path, dpc_error* error) {
  if (!in_reach(start->agent_x) || !in_reach(start->agent_y) || !in_reach(start->block_x) ||
      !in_reach(start->block_y) || !in_reach(start->block_angle)) {
    return dpc_fail(
        error, DPC_ERR_INVALID, "%s: step 0: agent at (%g, %g), block at (%g, %g), turned by %g",
        path, start->agent_x, start->agent_y, start->block_x, start->block_y, start->block_angle);
  }
  for (int i = 0; i < episode->length * DPC_PUSH_ACTION_DIM; ++i) {
    if (!in_reach((double)episode->action[i])) {
      return dpc_fail(error, DPC_ERR_INVALID, "%s: step %d: an action of %g px", path,
                      i / DPC_PUSH_ACTION_DIM, (double)episode->action[i]);
    }
  }
  return DPC_OK;
}

static bool same_place(const dpc_push_state* a, const dpc_push_state* b) {
  const double rounding = 1e-3;  // of floats up to 512, and room for another C library
  return block_distance(a, b) < rounding && fabs(a->agent_x - b->agent_x) < rounding &&
         fabs(a->agent_y - b->agent_y) < rounding &&
         fabs(a->block_angle - b->block_angle) < rounding;
}

// Where the recorded state is what the episode's seed gives, it began with that: then an agent that
// starts inside the block is pushed out in the same way as it was, which rounded numbers of where
// things were after the first physics step do not tell. Anything else is placed as recorded: angle
// first, which leaves the position as it is given.
static void place_start(dpc_push_world* world, const dpc_push_state* recorded, uint64_t seed) {
  if (seed <= UINT32_MAX) {
    const dpc_push_state drawn = dpc_push_reset_state((uint32_t)seed);
    dpc_push_world_place(world, &drawn, DPC_PLACE_LEGACY);
    const dpc_push_state placed = dpc_push_world_state(world);
    if (same_place(&placed, recorded)) return;
  }
  dpc_push_world_place(world, recorded, DPC_PLACE_ANGLE_FIRST);
}

// Row t was observed before action t; the last has no action.
dpc_status dpc_replay_episode(dpc_push_world* world, const dpc_episode* episode, const char* path,
                              dpc_replayed* out, dpc_error* error) {
  const int obs_dim = dpc_layout_dim(&episode->interface.obs);
  state_columns at = {0};
  DPC_TRY(find_state(episode, path, &at, error));
  const dpc_push_state start = read_state(episode->obs, &at);
  DPC_TRY(check_reach(episode, &start, path, error));
  place_start(world, &start, episode->seed);
  double worst = 0;
  for (int t = 0; t <= episode->length; ++t) {
    const float* row =
        t < episode->length ? episode->obs + (size_t)t * (size_t)obs_dim : episode->last_obs;
    if (row != NULL) {
      const dpc_push_state recorded = read_state(row, &at), here = dpc_push_world_state(world);
      worst = fmax(worst, block_distance(&recorded, &here));
    }
    if (t == episode->length) break;
    const float* action = episode->action + (size_t)t * DPC_PUSH_ACTION_DIM;
    dpc_push_world_step(world, (double)action[0], (double)action[1]);
  }
  *out = (dpc_replayed){.worst = worst, .end = dpc_push_world_state(world)};
  return DPC_OK;
}
