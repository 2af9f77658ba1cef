#include "tools/move_episode.h"

#include <math.h>
#include <string.h>

// Keypoints that are further from those of the block are of something else, px.
static const double FIT_MAX = 0.5;

// --- signals and where they go --------------------------------------------------------------------
// Each moves the signal's values, and returns by how much they are not of the block, px.

static double move_nothing(const dpc_push_isometry* move, float* values) {
  (void)move;
  (void)values;
  return 0;
}

static double move_point(const dpc_push_isometry* move, float* values) {
  double point[2] = {(double)values[0], (double)values[1]};
  dpc_push_move_point(move, point, point);
  values[0] = (float)point[0];
  values[1] = (float)point[1];
  return 0;
}

static double move_angle(const dpc_push_isometry* move, float* values) {
  values[0] = (float)dpc_push_move_angle(move, (double)values[0]);
  return 0;
}

// Agent, block and angle as the public demonstrations have them: the angle in one turn from 0.
static double move_state(const dpc_push_isometry* move, float* values) {
  const double turn = 8 * DPC_PUSH_GOAL_ANGLE;
  (void)move_point(move, values);
  (void)move_point(move, values + 2);
  const double angle = fmod(dpc_push_move_angle(move, (double)values[4]), turn);
  values[4] = (float)(angle < 0 ? angle + turn : angle);
  return 0;
}

static double move_keypoints(const dpc_push_isometry* move, float* values) {
  return dpc_push_move_keypoints(move, values, values);
}

typedef struct movable {
  const char* name;
  int dim;
  double (*move)(const dpc_push_isometry* move, float* values);
} movable;

static const movable observations[] = {
    {"keypoint", 2 * DPC_PUSH_KEYPOINTS, move_keypoints},
    {"agent_pos", 2, move_point},
    {"block_pos", 2, move_point},
    {"block_angle", 1, move_angle},
    {"state", 5, move_state},
    {"n_contacts", 1, move_nothing},
};
static const movable actions[] = {{"action", 2, move_point}};

// --- rows -----------------------------------------------------------------------------------------

/// A layout's signals, in its order.
typedef struct movable_list {
  int count;
  const movable* of[DPC_SIGNAL_MAX];  // [count]
} movable_list;

static dpc_status find_movables(const char* path, const char* what, const dpc_layout* layout,
                                const movable* known, int known_count, movable_list* out,
                                dpc_error* error) {
  out->count = 0;
  for (int i = 0; i < layout->count; ++i) {
    const dpc_signal* signal = &layout->signals[i];
    const movable* found = NULL;
    for (int k = 0; k < known_count; ++k) {
      if (strcmp(known[k].name, signal->name) == 0) found = &known[k];
    }
    if (found == NULL) {
      return dpc_fail(error, DPC_ERR_MISMATCH,
                      "%s: %s '%s' is not known; only what the push world observes and is "
                      "commanded with can be moved",
                      path, what, signal->name);
    }
    if (found->dim != signal->dim) {
      return dpc_fail(error, DPC_ERR_MISMATCH, "%s: %s '%s' has dim %d, in the push world %d", path,
                      what, signal->name, signal->dim, found->dim);
    }
    out->of[out->count++] = found;
  }
  return DPC_OK;
}

static double move_row(const dpc_push_isometry* move, const movable_list* list, float* row) {
  double fit = 0;
  for (int i = 0; i < list->count; ++i) {
    fit = fmax(fit, list->of[i]->move(move, row));
    row += list->of[i]->dim;
  }
  return fit;
}

dpc_status dpc_move_episode(const char* path, const dpc_push_isometry* move, dpc_episode* episode,
                            double* fit, dpc_error* error) {
  const dpc_layout *obs = &episode->interface.obs, *action = &episode->interface.action;
  const size_t obs_dim = (size_t)dpc_layout_dim(obs), action_dim = (size_t)dpc_layout_dim(action);
  movable_list of_obs, of_action;
  DPC_TRY(find_movables(path, "observation", obs, observations, DPC_COUNT(observations), &of_obs,
                        error));
  DPC_TRY(find_movables(path, "action", action, actions, DPC_COUNT(actions), &of_action, error));
  for (int t = 0; t < episode->length; ++t) {
    (void)move_row(move, &of_action, episode->action + (size_t)t * action_dim);
  }
  // the last observation is a row behind the others
  const int rows = episode->length + (episode->last_obs == NULL ? 0 : 1);
  for (int t = 0; t < rows; ++t) {
    const double here = move_row(move, &of_obs, episode->obs + (size_t)t * obs_dim);
    if (here > FIT_MAX) {
      return dpc_fail(error, DPC_ERR_INVALID,
                      "%s: step %d: keypoint: up to %.3g px from where the push world's block has "
                      "its points",
                      path, t, here);
    }
    *fit = fmax(*fit, here);
  }
  return DPC_OK;
}
