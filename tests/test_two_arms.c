// Two arms of seven values each, from robomimic's HDF5 layout to a policy that acts, with the config of
// this repository: another rate, relative and absolute actions, several fields.

#include <unistd.h>

#include "policy/policy.h"
#include "proto/episode_log.h"
#include "tests/shell.h"

enum { OBS = 16, ACTION = 14, RECORDED = 30, STRIDE = 5, HORIZON = 16, N_OBS = 2, N_ACTIONS = 8 };

static dpc_error error;

static dpc_episode_log* open_log(void) {
  char dir[256];
  dpc_episode_log* log = NULL;
  (void)snprintf(dir, sizeof dir, "%s/out/two_arms", base);
  assert_ok(dpc_episode_log_open(dir, &log, &error), &error);
  return log;
}

// What the policy is to see at a recorded row: qpos(14), object(2) of object(2), qpos(14), qvel(14).
static void observe(const dpc_episode* e, int row, float* obs) {
  const float* recorded = e->obs + (ptrdiff_t)(row < 0 ? 0 : row) * RECORDED;
  memcpy(obs, recorded + 2, sizeof(float) * 14);
  memcpy(obs + 14, recorded, sizeof(float) * 2);
}

// Sum of distances of executed rows from what was commanded, and of standing still.
typedef struct distances {
  double policy, standing;
  int count;
} distances;

static void act(const dpc_policy* policy, dpc_policy_work* work, const dpc_episode* e, int row,
                distances* sum) {
  float obs[N_OBS * OBS], chunk[HORIZON * ACTION];
  observe(e, row - STRIDE, obs);
  observe(e, row, obs + OBS);
  assert_ok(dpc_policy_act(policy, work, obs, (dpc_rng_key){1, 2}, (uint32_t)row, chunk, &error),
            &error);
  for (int k = 0; k < N_ACTIONS && row + k * STRIDE < e->length; ++k) {
    const float* commanded = e->action + (ptrdiff_t)(row + k * STRIDE) * ACTION;
    for (int i = 0; i < ACTION; ++i) {
      sum->policy += fabs((double)(chunk[(N_OBS - 1 + k) * ACTION + i] - commanded[i]));
      sum->standing += fabs((double)(obs[OBS + i] - commanded[i]));
      ++sum->count;
    }
  }
}

static void assert_acts_as_shown(const char* path) {
  dpc_arena arena;
  dpc_policy* policy = NULL;
  dpc_policy_work* work = NULL;
  distances sum = {0};
  assert_ok(dpc_arena_map(&arena, (size_t)1 << 30, &error), &error);
  assert_ok(dpc_policy_load(path, &arena, &policy, &error), &error);
  const dpc_checkpoint_info* info = dpc_policy_info(policy);
  assert_int_equal(info->interface.period_ns, 100000000);
  assert_int_equal(info->interface.action.count, 4);
  assert_int_equal(info->relative.count, 2);
  assert_ok(dpc_policy_work_create(policy, NULL, 1, &arena, &work, &error), &error);
  dpc_episode_log* log = open_log();
  for (int i = 0; i < dpc_episode_log_count(log); ++i) {
    dpc_episode e = {0};
    assert_ok(dpc_episode_read(log, i, &e, &error), &error);
    assert_int_equal(dpc_layout_dim(&e.interface.obs), RECORDED);
    for (int row = 0; row < e.length; row += 40) act(policy, work, &e, row, &sum);
    dpc_episode_free(&e);
  }
  dpc_episode_log_close(log);
  print_message("mean distance from the demonstrations %.4f, of standing still %.4f\n",
                sum.policy / sum.count, sum.standing / sum.count);
  assert_true(sum.policy < sum.standing / 3);
  dpc_policy_work_destroy(work);
  dpc_arena_unmap(&arena);
}

static void two_arms_train_with_a_config_alone(void** state) {
  (void)state;
  if (shell("/usr/bin/python3 -c 'import h5py' 2>/dev/null") != 0) {
    print_message("skipped: no python3-h5py\n");
    skip();
  }
  if (shell("mkdir out && %s/tools/examples/two_arms.py out/two_arms.hdf5 12 2>&1 && "
            "dpc-import -q out/two_arms.hdf5 out/two_arms 2>&1",
            DPC_SOURCE_DIR) != 0) {
    fail_msg("%s", output);
  }
  assert_non_null(strstr(output, " 50 Hz "));  // as the file says
  // as it is, but for a smaller network, a shorter run, and a target that is soon learned
  if (shell("dpc-train -q %s/configs/train_two_arms.yaml unet.down_dims='[64, 128]' "
            "unet.step_embed_dim=64 schedule.prediction=sample train.steps=300 train.batch=64 "
            "train.learning_rate=3e-3 "
            "train.threads=1 2>&1",
            DPC_SOURCE_DIR) != 0) {
    fail_msg("%s", output);
  }
  char path[256];
  (void)snprintf(path, sizeof path, "%s/out/train_two_arms/policy.safetensors", base);
  assert_acts_as_shown(path);
  assert_int_equal(shell("dpc-inspect out/train_two_arms/policy.safetensors"), 0);
  assert_non_null(strstr(output, "relative to left_joints"));
  assert_non_null(strstr(output, "follows left_gripper"));
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(two_arms_train_with_a_config_alone)};
  return cmocka_run_group_tests_name("two arms", tests, make_base, remove_base);
}
