/// One episode after another, each alone: what many at once must equal.
#pragma once

#include "tests/test.h"
#include "tools/rollout.h"

/// A rollout with a planner of its own.
typedef struct alone {
  dpc_rollout* rollout;
  dpc_planner* planner;
} alone;

static inline alone alone_make(const dpc_rollout_def* def, const dpc_policy* policy,
                               dpc_arena* arena) {
  alone a = {0};
  dpc_error error = {""};
  assert_ok(
      dpc_rollout_create(&def->controller, dpc_policy_info(policy), arena, &a.rollout, &error),
      &error);
  assert_ok(dpc_planner_create(policy, &def->sampler, 1, arena, &a.planner, &error), &error);
  if (def->controller.switching == DPC_SWITCHING_GUIDED) {
    assert_ok(dpc_planner_guide(a.planner, arena, &error), &error);
  }
  return a;
}

static inline void alone_free(alone* a) {
  dpc_rollout_destroy(a->rollout);
  dpc_planner_destroy(a->planner);
}

static inline dpc_rollout_result alone_run(alone* a, uint32_t seed, dpc_episode* episode) {
  dpc_error error = {""};
  dpc_rollout_result result;
  assert_ok(dpc_rollout_run(a->rollout, a->planner, seed, episode, &result, &error), &error);
  return result;
}

/// Everything recorded is the same, to the bit.
static inline bool same_episode(const dpc_episode* a, const dpc_episode* b) {
  const size_t rows = (size_t)a->length;
  return a->length == b->length &&
         memcmp(a->obs, b->obs, (rows + 1) * DPC_PUSH_OBS_DIM * sizeof(float)) == 0 &&
         memcmp(a->action, b->action, rows * DPC_PUSH_ACTION_DIM * sizeof(float)) == 0 &&
         memcmp(a->reward, b->reward, rows * sizeof(double)) == 0;
}
