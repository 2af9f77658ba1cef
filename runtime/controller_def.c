#include "runtime/controller_state.h"

static const dpc_field controller_rows[] = {
    DPC_INT(
        dpc_controller_def, delay, "-1", DPC_DELAY_AUTO, DPC_DELAY_LIMIT, "ticks",
        "from asking for a plan to its first action; -1: chosen at start from the measured time"),
    DPC_INT(dpc_controller_def, ticks_per_step, "1", 1, 1000, "ticks",
            "control ticks per policy step"),
    DPC_INT(dpc_controller_def, n_actions, "0", 0, 1024, "rows",
            "rows executed per plan; 0: as the policy was trained for, or what the delay leaves"),
    DPC_CHOICE(dpc_controller_def, interpolation, "hold", dpc_interpolation_names,
               "between rows: hold the one that is due, or a cubic spline through them"),
    DPC_CHOICE(
        dpc_controller_def, switching, "drop", dpc_switching_names,
        "while a plan is made: wait at rest; or go on, and then drop the rows that are over, "
        "blend old rows with new ones, or have planned on from the prefix that is settled; "
        "trained: the same, and refuses a policy that was not; guided: in dpc eval only"),
    DPC_UINT64(dpc_controller_def, seed, "0",
               "of the run; with the episode's seed it fixes the policy's noise"),
    DPC_REAL(dpc_controller_def, action_min, "-1e6", -1e30, 1e30, "of the action",
             "no value of a command is below"),
    DPC_REAL(dpc_controller_def, action_max, "1e6", -1e30, 1e30, "of the action",
             "no value of a command is above"),
    DPC_TEXT_LIST(dpc_controller_def, limits, "[]",
                  "of single signals (*: all): NAME low= high= speed= acceleration= jerk= jump=, "
                  "the middle three together; a jump further than that is refused; what the robot "
                  "says of itself holds, too"),
    DPC_INT(dpc_controller_def, jump_recovery, "10", 1, 100000, "commands",
            "in a row without a jump until they are followed again"),
    DPC_REAL(dpc_controller_def, plan_age, "0", 0, 3600, "s",
             "no plan from an older observation; 0: two policy steps and 20 ms"),
    DPC_REAL(dpc_controller_def, hold_age, "0", 0, 3600, "s",
             "hold when the newest is older; 0: three policy steps, at least 100 ms"),
    DPC_REAL(dpc_controller_def, fault_age, "0", 0, 3600, "s",
             "fault when the newest is older, or when no plan has come in time for so long; 0: ten "
             "policy steps, at least 500 ms"),
};
DPC_FIELD_TABLE(dpc_controller_fields, dpc_controller_def, "controller",
                "From plans to commands, tick by tick.", controller_rows);

dpc_controller_def dpc_controller_def_default(void) {
  dpc_controller_def def;
  dpc_fields_default(&dpc_controller_fields, &def);
  return def;
}

dpc_status dpc_controller_def_check(const dpc_controller_def* def, dpc_error* error) {
  DPC_TRY(dpc_fields_check(&dpc_controller_fields, def, error));
  if (def->action_min >= def->action_max) {
    return dpc_fail(error, DPC_ERR_CONFIG,
                    "controller.action_min: %g is not below controller.action_max, %g",
                    def->action_min, def->action_max);
  }
  if (def->interpolation == DPC_INTERPOLATION_CUBIC && def->ticks_per_step == 1) {
    return dpc_fail(error, DPC_ERR_CONFIG,
                    "controller.interpolation: cubic is for ticks between rows, but "
                    "controller.ticks_per_step is 1");
  }
  return DPC_OK;
}

// --- what fits ---------------------------------------------------------------------------------

// Of a chunk: those from the newest observation on.
static int usable_rows(const dpc_checkpoint_info* policy) {
  return policy->unet.horizon - policy->policy.n_obs + 1;
}

bool dpc_controller_stands(const dpc_controller_def* def) {
  return def->switching == DPC_SWITCHING_WAIT && def->delay > 0;
}

int dpc_controller_rows_meanwhile(const dpc_controller_def* def) {
  const int rate = def->ticks_per_step;
  return def->delay > 0 ? (def->delay + rate - 1) / rate : 0;
}

bool dpc_controller_settles(const dpc_controller_def* def) {
  return def->switching >= DPC_SWITCHING_PREFIX;
}

int dpc_controller_rows(const dpc_controller_def* def, const dpc_checkpoint_info* policy) {
  if (def->n_actions > 0) return def->n_actions;
  const int left =
      usable_rows(policy) - (dpc_controller_stands(def) ? 0 : dpc_controller_rows_meanwhile(def));
  return left < 1 ? 1 : smaller(left, policy->policy.n_actions);
}

int dpc_controller_delay_max(const dpc_controller_def* def, const dpc_checkpoint_info* policy) {
  if (def->switching == DPC_SWITCHING_WAIT) return DPC_DELAY_LIMIT;
  const int given = def->n_actions, usable = usable_rows(policy);
  // where the rows may be chosen, half of what there is can be over before the rest is executed
  const int spare = given > 0 ? usable - given : usable / 2;
  const int most = smaller(spare, given > 0 ? given : policy->policy.n_actions);
  const bool learned = dpc_controller_settles(def) && policy->prefix_max > 0;
  const int steps = learned ? smaller(most, policy->prefix_max - (policy->policy.n_obs - 1)) : most;
  return steps * def->ticks_per_step;
}

// A policy that goes on from settled rows has to have learned it from so many.
static dpc_status check_prefix(const dpc_controller_def* def, const dpc_checkpoint_info* policy,
                               dpc_error* error) {
  const int settled = policy->policy.n_obs - 1 + dpc_controller_rows_meanwhile(def);
  if (!dpc_controller_settles(def)) return DPC_OK;
  if (policy->prefix_max == 0 && def->switching == DPC_SWITCHING_TRAINED) {
    return dpc_fail(
        error, DPC_ERR_CONFIG,
        "controller.switching: trained, but the policy was not (with train.prefix_max); "
        "prefix takes any policy");
  }
  if (policy->prefix_max > 0 && settled > policy->prefix_max) {
    return dpc_fail(
        error, DPC_ERR_CONFIG,
        "controller.delay: after %d ticks %d rows of a plan are settled, but the policy "
        "was trained to go on from %d at most (train.prefix_max)",
        def->delay, settled, policy->prefix_max);
  }
  return DPC_OK;
}

dpc_status dpc_controller_check_fit(const dpc_controller_def* def,
                                    const dpc_checkpoint_info* policy, dpc_error* error) {
  const int rows = dpc_controller_rows(def, policy), horizon = policy->unet.horizon;
  const int n_obs = policy->policy.n_obs, usable = usable_rows(policy);
  if (def->delay == DPC_DELAY_AUTO) {
    return dpc_fail(error, DPC_ERR_CONFIG, "controller.delay: has not been measured yet");
  }
  if (rows > usable) {
    return dpc_fail(error, DPC_ERR_CONFIG,
                    "controller.n_actions: %d rows, but a chunk of %d rows after %d observations "
                    "has %d to execute",
                    rows, horizon, n_obs, usable);
  }
  DPC_TRY(check_prefix(def, policy, error));
  if (def->delay > dpc_controller_delay_max(def, policy)) {
    return dpc_fail(error, DPC_ERR_CONFIG,
                    "controller.delay: %d ticks are more than the %d that a horizon of %d rows "
                    "with %d executed and %d ticks a row leaves",
                    def->delay, dpc_controller_delay_max(def, policy), horizon, rows,
                    def->ticks_per_step);
  }
  return DPC_OK;
}
