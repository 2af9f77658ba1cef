/// FRONT DOOR: the control tick. From observations and plans to commands, as a pure function of its
/// state and the inputs of the tick: no clock, no I/O, no heap after create. Evaluation in process,
/// the loop over a link, and a replay all call these two functions with the same inputs and get the
/// same bits.
///
/// A tick has two halves, so that a plan may be made between them (delay 0) or elsewhere:
///
///     if (dpc_controller_observe(c, &input, &request)) …  // plan from request, now or in a thread
///     dpc_controller_tick(c, &input, plan_or_null, &output);
///
/// Time here is counted in ticks. A plan asked for at tick k, from what was observed up to tick k,
/// takes effect at tick k + delay, whenever it was ready: latency is a setting, not an accident. One
/// that is late is entered at the row that is due, and counted. One plan is in flight at a time.
/// Where no plan reaches, the robot is told to stay where it is; where none does for long, there is a
/// fault, so that someone is told.
///
/// How long ago the robot was last seen is an input, too. From what is too old no plan is made; when
/// it gets older the robot is held, and then there is a fault, which lasts until it is acknowledged
/// (runtime/lifecycle.h). What was missed by the controller itself, because it was not running, is no
/// fault: it goes on from where it finds the robot.
#pragma once

#include "policy/checkpoint.h"
#include "policy/rng.h"
#include "runtime/course.h"
#include "runtime/safety.h"
#include "runtime/watch.h"

enum { DPC_DELAY_AUTO = -1, DPC_DELAY_LIMIT = 10000 };

typedef struct dpc_controller_def {
  int delay;           // ticks from asking for a plan to its first action; DPC_DELAY_AUTO: measured
  int ticks_per_step;  // control ticks per policy step
  int n_actions;       // rows executed per plan; 0: as the policy was trained for, or as many of
                       // them as the delay leaves
  int interpolation;   // dpc_interpolation
  int switching;       // dpc_switching
  uint64_t seed;       // of the run; with the episode's it fixes the noise
  double action_min;   // bounds of every value of a command, physical units
  double action_max;
  dpc_text_list limits;  // bounds and limits of single signals, as dpc_bounds_read wants them; the
                         // robot's own hold, too
  int jump_recovery;     // commands in a row without a jump until they are followed again
  double plan_age;       // s; no plan from an older observation; 0: 2 policy steps + 20 ms
  double hold_age;       // s; hold when the newest is older; 0: 3 policy steps, at least 100 ms
  double fault_age;  // s; fault when it is older, or held so long beyond the delay for want of a
                     // plan; 0: 10 policy steps, at least 500 ms
} dpc_controller_def;

extern const dpc_field_table dpc_controller_fields;  // section "controller"

/// The settings' defaults.
/// Allocates: no. Blocks: no. Thread: any.
dpc_controller_def dpc_controller_def_default(void);

/// Ranges, action_min < action_max, and ticks between rows for a spline. Returns DPC_ERR_CONFIG naming
/// the field.
/// Allocates: no. Blocks: no. Thread: any.
DPC_NODISCARD dpc_status dpc_controller_def_check(const dpc_controller_def* def, dpc_error* error);

/// The rows that are executed per plan: n_actions, or, where that is 0, as many as the policy was
/// trained for and the delay leaves.
/// Allocates: no. Blocks: no. Thread: any.
int dpc_controller_rows(const dpc_controller_def* def, const dpc_checkpoint_info* policy);

/// The rows left for planning: the largest delay, in ticks, that a policy and these settings allow.
/// delay / ticks_per_step + rows <= horizon - n_obs + 1, and delay <= the ticks of these rows; and no
/// more rows are settled by then than a policy that was trained for it knows. A robot that stands
/// meanwhile may do so for any time.
/// Allocates: no. Blocks: no. Thread: any.
int dpc_controller_delay_max(const dpc_controller_def* def, const dpc_checkpoint_info* policy);

typedef struct dpc_controller dpc_controller;

/// What the world looks like at this tick.
typedef struct dpc_tick_input {
  uint64_t tick;   // rises within an epoch; gaps are missed ticks. The same again with `fresh`: the
                   // tick was made without its observation, which has now come
  uint64_t epoch;  // differs whenever what came before no longer counts: new episode, new session
  uint64_t seed;   // of the episode
  const float* obs;   // [robot's observation dim], the newest, physical units; NULL: none yet
  bool fresh;         // `obs` was not there at the tick before
  dpc_duration age;   // since `obs` was sampled; 0 in lock-step, where the robot waits for us
  bool stop;          // bring the robot to rest, for good; stays true
  bool acknowledged;  // by a person, since the tick before
} dpc_tick_input;

/// A plan is wanted. `obs` and `fixed` belong to the controller and are good until the next observe.
typedef struct dpc_plan_request {
  uint64_t tick, epoch;
  uint32_t plan;  // counts from 0 in each epoch; part of the noise's counter
  dpc_rng_key key;
  const float* obs;  // [n_obs x policy's observation dim], oldest row first, physical units
  int fixed_count;   // leading rows of the chunk that are settled: they will have been commanded by
                     // then; 0: none
  int near_count;    // rows behind those that it is to stay near, for a guided planner; else 0
  const float* fixed;  // [(fixed_count + near_count) x action dim], physical units
} dpc_plan_request;

/// The answer to a request: the first three fields are the request's.
typedef struct dpc_plan {
  uint64_t tick, epoch;
  uint32_t plan;
  bool failed;         // no chunk came of it (something was not finite)
  const float* chunk;  // [horizon x action dim], physical units; copied by the tick
} dpc_plan;

typedef enum dpc_mode {
  DPC_MODE_IDLE,  // nothing observed yet, or for so long that no one knows where it is: no command
  DPC_MODE_HOLD,  // no plan reaches this tick, or none may be followed: stay
  DPC_MODE_ACTIVE,  // following a plan
} dpc_mode;

/// What to do, and how it came about.
typedef struct dpc_tick_output {
  dpc_mode mode;
  const float* action;  // [action dim], physical units, until the next tick; NULL when idle
  uint32_t plan;        // ACTIVE: which plan, and which of its rows
  int row;
  bool adopted;  // this tick is the plan's first
  bool late;     // and it should have been earlier
  dpc_gate_report gate;
  dpc_state state;  // after this tick
  dpc_fault fault;  // what has latched FAULT
} dpc_tick_output;

/// Everything that has happened since create.
typedef struct dpc_controller_counters {
  uint64_t ticks;
  uint64_t plans;      // adopted
  uint64_t late;       // of these, after their tick
  uint64_t failed;     // answered without a chunk
  uint64_t discarded;  // answered for another epoch
  uint64_t holds;      // ticks in HOLD
  uint64_t unseen;     // ticks without a fresh observation
  uint64_t rejected;   // commands that were not finite
  uint64_t jumped;     // commands refused for a jump
  uint64_t clamped;    // values moved to a bound
  uint64_t limited;    // values that the limiter changed
  uint64_t blind;      // observations refused: not finite
  uint64_t too_old;    // observations that were too old to plan from
  uint64_t stale;      // ticks in HOLD because the robot was not seen
  uint64_t gaps;       // times that our own ticks stayed away so long that we began anew
  uint64_t faults;     // times that FAULT was entered
} dpc_controller_counters;

/// Make a controller for a policy on a robot; the two interfaces must match (dpc_interface_match).
/// Commands keep to the settings' limits and to those that the robot states.
/// Returns DPC_ERR_CONFIG when the settings leave no time for the delay: delay / ticks_per_step +
/// n_actions must not exceed horizon - n_obs + 1; when more rows are settled than the policy was trained
/// for, or it was not trained where that is demanded; and for limits and ages that cannot be.
/// DPC_DELAY_AUTO must have been resolved before.
/// Allocates: from the arena. Blocks: no. Thread: start-up only.
DPC_NODISCARD dpc_status dpc_controller_create(const dpc_controller_def* def,
                                               const dpc_checkpoint_info* policy,
                                               const dpc_interface* robot, dpc_arena* arena,
                                               dpc_controller** out, dpc_error* error);

/// First half of a tick: take the observation in. True when a plan is due now; `request` is then
/// filled, and the controller counts on an answer, failed or not, in this tick or a later one.
/// Allocates: no. Blocks: no. Thread: the controller's owner.
bool dpc_controller_observe(dpc_controller* controller, const dpc_tick_input* input,
                            dpc_plan_request* request);

/// Second half of the same tick: take in a plan if one is `ready` (NULL: none), and say what to do.
/// Allocates: no. Blocks: no. Thread: the controller's owner.
void dpc_controller_tick(dpc_controller* controller, const dpc_tick_input* input,
                         const dpc_plan* ready, dpc_tick_output* output);

/// Counters since create.
/// Allocates: no. Blocks: no. Thread: the controller's owner.
const dpc_controller_counters* dpc_controller_counts(const dpc_controller* controller);

/// What commands are held to, [action dim], from the settings and the robot.
/// Allocates: no. Blocks: no. Thread: any.
const dpc_bounds* dpc_controller_bounds(const dpc_controller* controller);
