#include "runtime/controller.h"

#include <math.h>
#include <string.h>

// --- settings ------------------------------------------------------------------------------------

static const dpc_field controller_rows[] = {
    DPC_INT(
        dpc_controller_def, delay, "-1", DPC_DELAY_AUTO, 10000, "ticks",
        "from asking for a plan to its first action; -1: chosen at start from the measured time"),
    DPC_INT(dpc_controller_def, ticks_per_step, "1", 1, 1000, "ticks",
            "control ticks per policy step"),
    DPC_INT(dpc_controller_def, n_actions, "0", 0, 1024, "rows",
            "rows executed per plan; 0: as the policy was trained for"),
    DPC_UINT64(dpc_controller_def, seed, "0",
               "of the run; with the episode's seed it fixes the policy's noise"),
    DPC_REAL(dpc_controller_def, action_min, "-1e6", -1e30, 1e30, "of the action",
             "no value of a command is below"),
    DPC_REAL(dpc_controller_def, action_max, "1e6", -1e30, 1e30, "of the action",
             "no value of a command is above"),
    DPC_TEXT_LIST(dpc_controller_def, limits, "[]",
                  "of single signals (*: all): NAME low= high= speed= acceleration= jerk= jump=, "
                  "the middle three together; a jump further than that is refused"),
    DPC_INT(dpc_controller_def, jump_recovery, "10", 1, 100000, "commands",
            "in a row without a jump until they are followed again"),
    DPC_REAL(dpc_controller_def, plan_age, "0", 0, 3600, "s",
             "no plan from an older observation; 0: two policy steps and 20 ms"),
    DPC_REAL(dpc_controller_def, hold_age, "0", 0, 3600, "s",
             "hold when the newest is older; 0: three policy steps, at least 100 ms"),
    DPC_REAL(dpc_controller_def, fault_age, "0", 0, 3600, "s",
             "fault when the newest is older; 0: ten policy steps, at least 500 ms"),
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
  return DPC_OK;
}

static int rows_per_plan(const dpc_controller_def* def, const dpc_checkpoint_info* policy) {
  return def->n_actions > 0 ? def->n_actions : policy->policy.n_actions;
}

int dpc_controller_delay_max(const dpc_controller_def* def, const dpc_checkpoint_info* policy) {
  const int rows = rows_per_plan(def, policy);
  const int spare = policy->unet.horizon - policy->policy.n_obs + 1 - rows;
  return (spare < rows ? spare : rows) * def->ticks_per_step;
}

// --- state ---------------------------------------------------------------------------------------

enum { NO_SOURCE = -1 };

// Grouped by what it is about.
// NOLINTNEXTLINE(clang-analyzer-optin.performance.Padding)
struct dpc_controller {
  dpc_controller_def def;
  int n_obs, horizon, rows_per_plan;
  int obs_dim, action_dim;  // the policy's
  int* gather;              // [obs_dim], where the robot's observation holds what the policy wants
  int* hold_source;  // [action_dim], where it holds what the action tracks; NO_SOURCE: nowhere

  // observation
  float* history;  // ring of [history_length x obs_dim], one row per tick
  int history_length;
  uint64_t history_count;  // rows written in this epoch
  float* row;              // [obs_dim], the newest that was finite
  float* pose;             // [action_dim], and where it shows what the action tracks
  float* stacked;          // [n_obs x obs_dim], what a request shows
  uint64_t epoch, tick;
  bool seen;  // anything, in this epoch

  // plans
  bool in_flight;
  uint64_t asked_tick;
  uint32_t next_plan;
  uint64_t next_request;  // tick
  bool pending;           // answered, and waiting for its tick
  dpc_chunk active, waiting;
  uint32_t active_plan, waiting_plan;
  float* chunk_values[2];  // behind active and waiting

  // commands
  dpc_watch watch;
  dpc_gate* gate;
  bool anchored;   // the gate knows where the robot is
  uint64_t acted;  // tick of the last command
  bool holding;
  float* hold;    // [action_dim], where to stay
  float* action;  // [action_dim], the last command
  dpc_controller_counters counts;
};

static dpc_status check_fit(const dpc_controller_def* def, const dpc_checkpoint_info* policy,
                            dpc_error* error) {
  const int rows = rows_per_plan(def, policy), horizon = policy->unet.horizon;
  const int n_obs = policy->policy.n_obs, usable = horizon - n_obs + 1;
  if (def->delay == DPC_DELAY_AUTO) {
    return dpc_fail(error, DPC_ERR_CONFIG, "controller.delay: has not been measured yet");
  }
  if (rows > usable) {
    return dpc_fail(error, DPC_ERR_CONFIG,
                    "controller.n_actions: %d rows, but a chunk of %d rows after %d observations "
                    "has %d to execute",
                    rows, horizon, n_obs, usable);
  }
  if (def->delay > dpc_controller_delay_max(def, policy)) {
    return dpc_fail(error, DPC_ERR_CONFIG,
                    "controller.delay: %d ticks are more than the %d that a horizon of %d rows "
                    "with %d executed and %d ticks a row leaves",
                    def->delay, dpc_controller_delay_max(def, policy), horizon, rows,
                    def->ticks_per_step);
  }
  return DPC_OK;
}

static dpc_status take_buffers(dpc_controller* c, dpc_arena* arena, dpc_error* error) {
  const size_t chunk = (size_t)c->horizon * (size_t)c->action_dim;
  c->gather = DPC_TAKE(arena, int, c->obs_dim);
  c->hold_source = DPC_TAKE(arena, int, c->action_dim);
  c->history = DPC_TAKE(arena, float, (size_t)c->history_length*(size_t)c->obs_dim);
  c->stacked = DPC_TAKE(arena, float, (size_t)c->n_obs*(size_t)c->obs_dim);
  c->row = DPC_TAKE(arena, float, c->obs_dim);
  c->pose = DPC_TAKE(arena, float, c->action_dim);
  c->hold = DPC_TAKE(arena, float, c->action_dim);
  c->action = DPC_TAKE(arena, float, c->action_dim);
  for (int i = 0; i < 2; ++i) c->chunk_values[i] = DPC_TAKE(arena, float, chunk);
  const bool observing = c->gather && c->hold_source && c->history && c->stacked;
  if (!observing || !c->row || !c->pose || !c->hold || !c->action || !c->chunk_values[0] ||
      !c->chunk_values[1]) {
    return dpc_arena_full(arena, "the controller", error);
  }
  return DPC_OK;
}

// For each value of a command, which observed value it moves.
static void find_hold_sources(const dpc_layout* action, const dpc_layout* obs, int* sources) {
  int at = 0;
  for (int i = 0; i < action->count; ++i) {
    const dpc_signal* signal = &action->signals[i];
    int offset = NO_SOURCE;
    const dpc_signal* tracked =
        signal->tracks[0] == '\0' ? NULL : dpc_layout_find(obs, signal->tracks, &offset);
    for (int j = 0; j < signal->dim; ++j, ++at) {
      sources[at] = tracked != NULL && tracked->dim == signal->dim ? offset + j : NO_SOURCE;
    }
  }
}

// An age in s, or where it is not given so many policy steps and so many ns.
static dpc_duration age_of(double given, int64_t period, int steps, int64_t more) {
  return given > 0 ? dpc_seconds(given) : (dpc_duration){steps * period + more};
}

static dpc_duration at_least(dpc_duration age, double given, double seconds) {
  const dpc_duration least = dpc_seconds(seconds);
  return given > 0 || age.ns > least.ns ? age : least;
}

static dpc_status start_watch(dpc_controller* c, int64_t period, dpc_error* error) {
  const dpc_controller_def* def = &c->def;
  const dpc_watch_def watch = {
      .tick = {period / def->ticks_per_step},
      .plan_age = age_of(def->plan_age, period, 2, 20000000),
      .hold_age = at_least(age_of(def->hold_age, period, 3, 0), def->hold_age, 0.1),
      .fault_age = at_least(age_of(def->fault_age, period, 10, 0), def->fault_age, 0.5),
  };
  if (watch.hold_age.ns >= watch.fault_age.ns) {
    return dpc_fail(error, DPC_ERR_CONFIG,
                    "controller.hold_age: %g s, which is not below controller.fault_age, %g s",
                    dpc_to_seconds(watch.hold_age), dpc_to_seconds(watch.fault_age));
  }
  c->watch = dpc_watch_start(&watch);
  return DPC_OK;
}

static dpc_status make_gate(dpc_controller* c, const dpc_layout* action, dpc_arena* arena,
                            dpc_error* error) {
  dpc_bounds* bounds = DPC_TAKE(arena, dpc_bounds, c->action_dim);
  if (bounds == NULL) return dpc_arena_full(arena, "the controller", error);
  DPC_TRY(
      dpc_bounds_read(&c->def.limits, action, c->def.action_min, c->def.action_max, bounds, error));
  return dpc_gate_create(bounds, c->action_dim, c->watch.def.tick, c->def.jump_recovery, arena,
                         &c->gate, error);
}

dpc_status dpc_controller_create(const dpc_controller_def* def, const dpc_checkpoint_info* policy,
                                 const dpc_interface* robot, dpc_arena* arena, dpc_controller** out,
                                 dpc_error* error) {
  DPC_TRY(dpc_controller_def_check(def, error));
  DPC_TRY(check_fit(def, policy, error));
  DPC_TRY(dpc_interface_match(&policy->interface, robot, error));
  const size_t mark = dpc_arena_mark(arena);
  dpc_controller* c = DPC_TAKE(arena, dpc_controller, 1);
  if (c == NULL) return dpc_arena_full(arena, "the controller", error);
  c->def = *def;
  c->n_obs = policy->policy.n_obs;
  c->horizon = policy->unet.horizon;
  c->rows_per_plan = rows_per_plan(def, policy);
  c->obs_dim = dpc_layout_dim(&policy->interface.obs);
  c->action_dim = dpc_layout_dim(&policy->interface.action);
  c->history_length = (c->n_obs - 1) * def->ticks_per_step + 1;
  dpc_status status = take_buffers(c, arena, error);
  if (status == DPC_OK) status = start_watch(c, policy->interface.period_ns, error);
  if (status == DPC_OK) status = make_gate(c, &policy->interface.action, arena, error);
  if (status != DPC_OK) {
    dpc_arena_release(arena, mark);
    return status;
  }
  dpc_layout_gather(&policy->interface.obs, &robot->obs, c->gather);
  find_hold_sources(&robot->action, &robot->obs, c->hold_source);
  *out = c;
  return DPC_OK;
}

// --- observing -----------------------------------------------------------------------------------

static void forget_plans(dpc_controller* c, uint64_t tick) {
  c->in_flight = c->pending = false;
  c->active.values = c->waiting.values = NULL;
  c->next_request = tick;
}

static void begin_epoch(dpc_controller* c, const dpc_tick_input* input) {
  c->epoch = input->epoch;
  c->seen = true;
  c->history_count = 0;
  c->holding = c->anchored = false;
  c->next_plan = 0;
  forget_plans(c, input->tick);
  dpc_watch_begin(&c->watch);
}

// What policy and hold need of an observation. False, and nothing is taken, when some of it is not
// finite.
static bool take_in(dpc_controller* c, const float* obs) {
  bool finite = true;
  for (int i = 0; i < c->obs_dim; ++i) finite &= isfinite(obs[c->gather[i]]) != 0;
  for (int i = 0; i < c->action_dim; ++i) {
    finite &= c->hold_source[i] == NO_SOURCE || isfinite(obs[c->hold_source[i]]);
  }
  if (!finite) {
    ++c->counts.blind;
    return false;
  }
  for (int i = 0; i < c->obs_dim; ++i) c->row[i] = obs[c->gather[i]];
  for (int i = 0; i < c->action_dim; ++i) {
    if (c->hold_source[i] != NO_SOURCE) c->pose[i] = obs[c->hold_source[i]];
  }
  return true;
}

static void push_history(dpc_controller* c) {
  const uint64_t row = c->history_count++ % (uint64_t)c->history_length;
  memcpy(c->history + row * (uint64_t)c->obs_dim, c->row, sizeof(float) * (size_t)c->obs_dim);
}

// Rows one policy step apart, the newest last; before the epoch's first, the first.
static void stack_history(dpc_controller* c) {
  for (int i = 0; i < c->n_obs; ++i) {
    const uint64_t back = (uint64_t)(c->n_obs - 1 - i) * (uint64_t)c->def.ticks_per_step;
    const uint64_t newest = c->history_count - 1;
    const uint64_t row = (back <= newest ? newest - back : 0) % (uint64_t)c->history_length;
    memcpy(c->stacked + (size_t)i * (size_t)c->obs_dim, c->history + row * (uint64_t)c->obs_dim,
           sizeof(float) * (size_t)c->obs_dim);
  }
}

// Each tick since the last adds a row, so that rows stay a policy step apart over missed ticks.
static void extend_history(dpc_controller* c, uint64_t passed) {
  // the tick was made without its observation, which came late: it takes that row
  if (passed == 0) --c->history_count;
  const uint64_t most = (uint64_t)c->history_length;
  const uint64_t rows = passed == 0 ? 1 : passed < most ? passed : most;
  for (uint64_t i = 0; i < rows; ++i) push_history(c);
}

// Takes the observation in; true when it is new and sound.
static bool look(dpc_controller* c, const dpc_tick_input* input) {
  const bool begins = !c->seen || input->epoch != c->epoch;
  const bool sound = (input->fresh || begins) && take_in(c, input->obs);
  if (begins && !sound) return false;
  if (begins) begin_epoch(c, input);
  const uint64_t passed = begins ? 1 : input->tick > c->tick ? input->tick - c->tick : 0;
  extend_history(c, passed);
  c->tick = input->tick;
  dpc_watch_see(&c->watch, &(dpc_sight){passed, input->fresh, sound, input->age});
  return sound && input->fresh;
}

static bool wants_plan(dpc_controller* c, const dpc_tick_input* input) {
  if (c->in_flight || c->pending || input->tick < c->next_request) return false;
  if (dpc_watch_may_plan(&c->watch)) return true;
  c->counts.too_old += c->watch.age.ns > c->watch.def.plan_age.ns;
  return false;
}

bool dpc_controller_observe(dpc_controller* controller, const dpc_tick_input* input,
                            dpc_plan_request* request) {
  dpc_controller* c = controller;
  ++c->counts.ticks;
  c->counts.unseen += !input->fresh;
  dpc_watch_heed(&c->watch, input->acknowledged, input->stop);
  if (input->obs == NULL) return false;
  const bool fresh = look(c, input);
  if (!dpc_watch_may_follow(&c->watch)) forget_plans(c, input->tick);
  if (!fresh || !wants_plan(c, input)) return false;
  stack_history(c);
  c->in_flight = true;
  c->asked_tick = input->tick;
  *request = (dpc_plan_request){
      .tick = input->tick,
      .epoch = input->epoch,
      .plan = c->next_plan++,
      .key = {(uint32_t)c->def.seed, (uint32_t)input->seed},
      .obs = c->stacked,
  };
  return true;
}

// --- acting --------------------------------------------------------------------------------------

static void receive_plan(dpc_controller* c, const dpc_plan* plan) {
  if (!c->in_flight || plan->epoch != c->epoch || plan->tick != c->asked_tick) {
    ++c->counts.discarded;
    return;
  }
  c->in_flight = false;
  dpc_watch_answer(&c->watch, plan->failed);
  if (plan->failed) {
    ++c->counts.failed;
    return;
  }
  memcpy(c->chunk_values[1], plan->chunk,
         sizeof(float) * (size_t)c->horizon * (size_t)c->action_dim);
  c->pending = true;
  c->waiting_plan = plan->plan;
  c->waiting = (dpc_chunk){
      .tick = plan->tick,
      .ticks_per_step = c->def.ticks_per_step,
      .first_row = c->n_obs - 1,
      .horizon = c->horizon,
      .dim = c->action_dim,
      .values = c->chunk_values[1],
  };
}

static void adopt_plan(dpc_controller* c, uint64_t tick, dpc_tick_output* output) {
  const uint64_t due = c->waiting.tick + (uint64_t)c->def.delay;
  if (!c->pending || tick < due) return;
  float* const values = c->chunk_values[1];
  c->chunk_values[1] = c->chunk_values[0];
  c->chunk_values[0] = values;
  c->active = c->waiting;
  c->active_plan = c->waiting_plan;
  c->pending = false;
  c->next_request = due + (uint64_t)(c->rows_per_plan * c->def.ticks_per_step - c->def.delay);
  output->adopted = true;
  output->late = tick > due;
  ++c->counts.plans;
  c->counts.late += output->late;
}

// Where the robot is; a value that nothing tracks stays as last commanded.
static void find_pose(const dpc_controller* c, float* pose) {
  for (int i = 0; i < c->action_dim; ++i) {
    pose[i] = c->hold_source[i] == NO_SOURCE ? c->action[i] : c->pose[i];
  }
}

// Commands go on from the one before. At first, and where so many were missed that the robot has
// stopped by itself meanwhile, they go on from where the robot is seen now, if it is. False when no
// one knows.
static bool is_anchored(dpc_controller* c, const dpc_tick_input* input) {
  const dpc_watch_def* ages = &c->watch.def;
  const int64_t away = (int64_t)(input->tick - c->acted) * ages->tick.ns;
  if (c->anchored && away > ages->hold_age.ns) {
    c->anchored = c->holding = false;
    ++c->counts.gaps;
  }
  if (!c->anchored && input->fresh && !c->watch.blind && c->watch.stale_ticks == 0) {
    find_pose(c, c->action);
    dpc_gate_anchor(c->gate, c->action);
    c->anchored = true;
    c->acted = input->tick > 0 ? input->tick - 1 : 0;
  }
  return c->anchored;
}

static void follow(dpc_controller* c, const dpc_wanted* wanted, uint64_t ticks,
                   dpc_gate_report* report) {
  c->holding = false;
  *report = dpc_gate_pass(c->gate, wanted, ticks, c->action);
  c->counts.rejected += report->rejected;
  c->counts.jumped += report->jumped;
  c->counts.clamped += (uint64_t)report->clamped;
  c->counts.limited += (uint64_t)report->limited;
}

// Where the robot was when the hold began.
static void hold(dpc_controller* c, uint64_t ticks) {
  if (!c->holding) find_pose(c, c->hold);
  c->holding = true;
  dpc_gate_hold(c->gate, c->hold, ticks, c->action);
  ++c->counts.holds;
  c->counts.stale += c->watch.stale_ticks > 0;
}

static void command(dpc_controller* c, const dpc_tick_input* input, dpc_tick_output* output) {
  const uint64_t ticks = input->tick - c->acted;
  const bool may = dpc_watch_may_follow(&c->watch);
  const dpc_wanted wanted = {.position = may ? dpc_chunk_at(&c->active, input->tick) : NULL};
  const bool follows = wanted.position != NULL;
  if (follows) {
    output->mode = DPC_MODE_ACTIVE;
    output->plan = c->active_plan;
    output->row = dpc_chunk_row(&c->active, input->tick);
    follow(c, &wanted, ticks, &output->gate);
  } else {
    output->mode = DPC_MODE_HOLD;
    hold(c, ticks);
  }
  c->acted = input->tick;
  dpc_watch_end(&c->watch, follows, !follows && dpc_gate_at_rest(c->gate));
  output->action = c->action;
}

void dpc_controller_tick(dpc_controller* controller, const dpc_tick_input* input,
                         const dpc_plan* ready, dpc_tick_output* output) {
  dpc_controller* c = controller;
  *output = (dpc_tick_output){.mode = DPC_MODE_IDLE, .row = -1};
  if (ready != NULL) receive_plan(c, ready);
  const bool sees = input->obs != NULL && c->seen && input->epoch == c->epoch;
  if (sees && is_anchored(c, input)) {
    adopt_plan(c, input->tick, output);
    command(c, input, output);
  } else {
    // nothing is commanded, so nothing has to be brought to rest
    dpc_watch_end(&c->watch, false, true);
  }
  output->state = c->watch.state;
  output->fault = c->watch.fault;
  c->counts.faults = c->watch.faults;
}

const dpc_controller_counters* dpc_controller_counts(const dpc_controller* controller) {
  return &controller->counts;
}
