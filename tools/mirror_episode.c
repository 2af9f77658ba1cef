#include "tools/mirror_episode.h"

#include <math.h>
#include <string.h>

#include "sim/push_mirror.h"

// Keypoints that are further from those of the block are of something else, px.
static const double FIT_MAX = 0.5;

// --- signals and their images ---------------------------------------------------------------------
// Each takes the signal's values to those of the image, and returns by how much they are not of the
// block, px.

static double mirror_nothing(float* values) {
  (void)values;
  return 0;
}

static double mirror_point(float* values) {
  double point[2] = {(double)values[0], (double)values[1]};
  dpc_push_mirror_point(point, point);
  values[0] = (float)point[0];
  values[1] = (float)point[1];
  return 0;
}

static double mirror_angle(float* values) {
  values[0] = (float)dpc_push_mirror_angle((double)values[0]);
  return 0;
}

// Agent, block and angle as the public demonstrations have them: the angle in one turn from 0.
static double mirror_state(float* values) {
  const double turn = 8 * DPC_PUSH_GOAL_ANGLE;
  (void)mirror_point(values);
  (void)mirror_point(values + 2);
  const double angle = fmod(dpc_push_mirror_angle((double)values[4]), turn);
  values[4] = (float)(angle < 0 ? angle + turn : angle);
  return 0;
}

static double mirror_keypoints(float* values) {
  return dpc_push_mirror_keypoints(values, values);
}

typedef struct image {
  const char* name;
  int dim;
  double (*mirror)(float* values);
} image;

static const image observations[] = {
    {"keypoint", 2 * DPC_PUSH_KEYPOINTS, mirror_keypoints},
    {"agent_pos", 2, mirror_point},
    {"block_pos", 2, mirror_point},
    {"block_angle", 1, mirror_angle},
    {"state", 5, mirror_state},
    {"n_contacts", 1, mirror_nothing},
};
static const image actions[] = {{"action", 2, mirror_point}};

// --- rows -----------------------------------------------------------------------------------------

/// The images of a layout's signals, in its order.
typedef struct image_list {
  int count;
  const image* of[DPC_SIGNAL_MAX];  // [count]
} image_list;

static dpc_status find_images(const char* path, const char* what, const dpc_layout* layout,
                              const image* known, int known_count, image_list* out,
                              dpc_error* error) {
  out->count = 0;
  for (int i = 0; i < layout->count; ++i) {
    const dpc_signal* signal = &layout->signals[i];
    const image* found = NULL;
    for (int k = 0; k < known_count; ++k) {
      if (strcmp(known[k].name, signal->name) == 0) found = &known[k];
    }
    if (found == NULL) {
      return dpc_fail(error, DPC_ERR_MISMATCH,
                      "%s: %s '%s' has no known mirror image; only what the push world observes "
                      "and is commanded with can be mirrored",
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

static double mirror_row(const image_list* images, float* row) {
  double fit = 0;
  for (int i = 0; i < images->count; ++i) {
    fit = fmax(fit, images->of[i]->mirror(row));
    row += images->of[i]->dim;
  }
  return fit;
}

dpc_status dpc_mirror_episode(const char* path, dpc_episode* episode, double* fit,
                              dpc_error* error) {
  const dpc_layout *obs = &episode->interface.obs, *action = &episode->interface.action;
  const size_t obs_dim = (size_t)dpc_layout_dim(obs), action_dim = (size_t)dpc_layout_dim(action);
  image_list of_obs, of_action;
  DPC_TRY(
      find_images(path, "observation", obs, observations, DPC_COUNT(observations), &of_obs, error));
  DPC_TRY(find_images(path, "action", action, actions, DPC_COUNT(actions), &of_action, error));
  for (int t = 0; t < episode->length; ++t) {
    (void)mirror_row(&of_action, episode->action + (size_t)t * action_dim);
  }
  // the last observation is a row behind the others
  const int rows = episode->length + (episode->last_obs == NULL ? 0 : 1);
  for (int t = 0; t < rows; ++t) {
    const double here = mirror_row(&of_obs, episode->obs + (size_t)t * obs_dim);
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
