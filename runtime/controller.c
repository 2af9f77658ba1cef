#include "runtime/controller.h"

#include <math.h>
#include <string.h>

// --- settings ------------------------------------------------------------------------------------

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
        "blend old rows with new ones, or have planned on from the prefix that is settled"),
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
  if (def->interpolation == DPC_INTERPOLATION_CUBIC && def->ticks_per_step == 1) {
    return dpc_fail(error, DPC_ERR_CONFIG,
                    "controller.interpolation: cubic is for ticks between rows, but "
                    "controller.ticks_per_step is 1");
  }
  return DPC_OK;
}

static int smaller(int a, int b) {
  return a < b ? a : b;
}

// Of a chunk: those from the newest observation on.
static int usable_rows(const dpc_checkpoint_info* policy) {
  return policy->unet.horizon - policy->policy.n_obs + 1;
}

// Whether the robot stands while a plan is made. Where that takes no time it need not.
static bool stands(const dpc_controller_def* def) {
  return def->switching == DPC_SWITCHING_WAIT && def->delay > 0;
}

// Rows that begin while a plan is made.
static int rows_meanwhile(const dpc_controller_def* def) {
  const int rate = def->ticks_per_step;
  return def->delay > 0 ? (def->delay + rate - 1) / rate : 0;
}

int dpc_controller_rows(const dpc_controller_def* def, const dpc_checkpoint_info* policy) {
  if (def->n_actions > 0) return def->n_actions;
  const int left = usable_rows(policy) - (stands(def) ? 0 : rows_meanwhile(def));
  return left < 1 ? 1 : smaller(left, policy->policy.n_actions);
}

int dpc_controller_delay_max(const dpc_controller_def* def, const dpc_checkpoint_info* policy) {
  if (def->switching == DPC_SWITCHING_WAIT) return DPC_DELAY_LIMIT;
  const int given = def->n_actions, usable = usable_rows(policy);
  // where the rows may be chosen, half of what there is can be over before the rest is executed
  const int spare = given > 0 ? usable - given : usable / 2;
  return smaller(spare, given > 0 ? given : policy->policy.n_actions) * def->ticks_per_step;
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
  dpc_chunk waiting;
  float* waiting_values;  // [horizon x action_dim], behind it
  dpc_course course;
  uint32_t active_plan, waiting_plan;
  float* fixed;  // [horizon x action_dim], what a request shows

  // commands
  dpc_watch watch;
  dpc_gate* gate;
  bool anchored;   // the gate knows where the robot is
  uint64_t acted;  // tick of the last command
  bool holding;
  float* hold;      // [action_dim], where to stay
  float* action;    // [action_dim], the last command
  float* velocity;  // [action_dim], and how fast it moves, per tick; of splines and within limits
  float* acceleration;  // [action_dim], wanted by a spline, per tick^2
  dpc_controller_counters counts;
};

static dpc_status check_fit(const dpc_controller_def* def, const dpc_checkpoint_info* policy,
                            dpc_error* error) {
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
  c->velocity = DPC_TAKE(arena, float, c->action_dim);
  c->acceleration = DPC_TAKE(arena, float, c->action_dim);
  c->waiting_values = DPC_TAKE(arena, float, chunk);
  c->fixed = DPC_TAKE(arena, float, chunk);
  const bool observing = c->gather && c->hold_source && c->history && c->stacked;
  const bool commanding = c->row && c->pose && c->hold && c->action && c->velocity &&
                          c->acceleration && c->waiting_values && c->fixed;
  if (!observing || !commanding) return dpc_arena_full(arena, "the controller", error);
  return dpc_course_create((dpc_interpolation)c->def.interpolation, c->horizon, c->action_dim,
                           arena, &c->course, error);
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
  c->rows_per_plan = dpc_controller_rows(def, policy);
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

// Where the robot is; a value that nothing tracks stays as last commanded.
static void find_pose(const dpc_controller* c, float* pose) {
  for (int i = 0; i < c->action_dim; ++i) {
    pose[i] = c->hold_source[i] == NO_SOURCE ? c->action[i] : c->pose[i];
  }
}

// From now on the robot stays where it is, or where its commands are: these have come to rest, or
// what moves within limits soon does.
static void begin_hold(dpc_controller* c) {
  const bool rested = stands(&c->def) || c->def.interpolation == DPC_INTERPOLATION_CUBIC;
  find_pose(c, c->hold);
  for (int i = 0; i < c->action_dim; ++i) {
    if (rested || dpc_gate_motion(c->gate, i) != NULL) c->hold[i] = c->action[i];
    c->velocity[i] = 0;
  }
  c->holding = true;
}

// Commands begin where the robot is.
static void begin_at_pose(dpc_controller* c) {
  find_pose(c, c->action);
  begin_hold(c);
}

static void forget_plans(dpc_controller* c, uint64_t tick) {
  c->in_flight = c->pending = false;
  c->waiting.values = NULL;
  dpc_course_clear(&c->course);
  c->next_request = tick;
}

static void begin_epoch(dpc_controller* c, const dpc_tick_input* input) {
  c->epoch = input->epoch;
  c->seen = true;
  c->history_count = 0;
  c->anchored = false;
  c->next_plan = 0;
  forget_plans(c, input->tick);
  begin_at_pose(c);
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

// The rows of a plan asked for now that will have been commanded when it takes effect, from that of
// the oldest observation on. Behind the chunk in force nothing is settled; where there is none the
// robot is held, and will be.
static int settle_rows(dpc_controller* c, uint64_t tick) {
  const dpc_chunk* chunk = &c->course.chunk;
  const size_t dim = (size_t)c->action_dim;
  const bool following = dpc_chunk_row(chunk, tick) >= 0;
  const int count = smaller(c->n_obs - 1 + rows_meanwhile(&c->def), c->horizon);
  if (!following && !c->holding) begin_hold(c);
  for (int row = 0; row < count; ++row) {
    const int64_t ticks = (int64_t)(row - (c->n_obs - 1)) * c->def.ticks_per_step;
    const float* action = dpc_chunk_at(chunk, tick + (uint64_t)ticks);
    if (action == NULL && following) return row;
    memcpy(c->fixed + (size_t)row * dim, action != NULL ? action : c->hold, sizeof(float) * dim);
  }
  return count;
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
      .fixed_count = c->def.switching < DPC_SWITCHING_PREFIX ? 0 : settle_rows(c, input->tick),
      .fixed = c->fixed,
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
  memcpy(c->waiting_values, plan->chunk,
         sizeof(float) * (size_t)c->horizon * (size_t)c->action_dim);
  c->pending = true;
  c->waiting_plan = plan->plan;
  c->waiting = (dpc_chunk){
      .tick = plan->tick,
      .ticks_per_step = c->def.ticks_per_step,
      .first_row = c->n_obs - 1,
      .horizon = c->horizon,
      .dim = c->action_dim,
      .values = c->waiting_values,
  };
}

// A robot that has stood since the plan was asked for begins with its first row. Otherwise the rows
// have their ticks.
static void join_chunks(dpc_controller* c, uint64_t tick) {
  if (stands(&c->def)) {
    c->waiting.tick = tick;
    c->waiting.horizon = smaller(c->waiting.first_row + c->rows_per_plan, c->horizon);
  } else {
    const bool fade = c->def.switching == DPC_SWITCHING_BLEND;
    dpc_chunk_take_over(&c->course.chunk, tick, fade, c->hold, &c->waiting);
  }
  dpc_course_follow(&c->course, &c->waiting, tick, c->action, c->velocity);
}

static void adopt_plan(dpc_controller* c, uint64_t tick, dpc_tick_output* output) {
  const uint64_t due = c->waiting.tick + (uint64_t)c->def.delay;
  if (!c->pending || tick < due) return;
  join_chunks(c, tick);
  c->active_plan = c->waiting_plan;
  c->pending = false;
  c->next_request = c->waiting.tick + (uint64_t)c->rows_per_plan * (uint64_t)c->def.ticks_per_step;
  output->adopted = true;
  output->late = tick > due;
  ++c->counts.plans;
  c->counts.late += output->late;
}

// Commands go on from the one before. At first, and where so many were missed that the robot has
// stopped by itself meanwhile, they go on from where the robot is seen now, if it is. False when no
// one knows.
static bool is_anchored(dpc_controller* c, const dpc_tick_input* input) {
  const dpc_watch_def* ages = &c->watch.def;
  const int64_t away = (int64_t)(input->tick - c->acted) * ages->tick.ns;
  if (c->anchored && away > ages->hold_age.ns) {
    c->anchored = false;
    ++c->counts.gaps;
  }
  if (!c->anchored && input->fresh && !c->watch.blind && c->watch.stale_ticks == 0) {
    begin_at_pose(c);
    dpc_gate_anchor(c->gate, c->action);
    c->anchored = true;
    c->acted = input->tick > 0 ? input->tick - 1 : 0;
  }
  return c->anchored;
}

// How fast commands move after the gate: what has limits as they let it. What else the gate has changed
// is at a bound, or stays where it was.
static void find_velocity(dpc_controller* c, const float* wanted) {
  const double tick = dpc_to_seconds(c->watch.def.tick);
  for (int i = 0; i < c->action_dim; ++i) {
    const dpc_motion* motion = dpc_gate_motion(c->gate, i);
    if (motion != NULL) {
      c->velocity[i] = (float)(motion->velocity * tick);
    } else if (c->action[i] != wanted[i]) {
      c->velocity[i] = 0;
    }
  }
}

static void follow(dpc_controller* c, const dpc_wanted* wanted, uint64_t ticks,
                   dpc_gate_report* report) {
  c->holding = false;
  *report = dpc_gate_pass(c->gate, wanted, ticks, c->action);
  find_velocity(c, wanted->position);
  c->counts.rejected += report->rejected;
  c->counts.jumped += report->jumped;
  c->counts.clamped += (uint64_t)report->clamped;
  c->counts.limited += (uint64_t)report->limited;
}

// What has limits is braked first; where it is then is where it stays.
static void hold(dpc_controller* c, uint64_t ticks) {
  if (!c->holding) begin_hold(c);
  dpc_gate_hold(c->gate, c->hold, ticks, c->action);
  memcpy(c->hold, c->action, sizeof(float) * (size_t)c->action_dim);
  find_velocity(c, c->hold);
  ++c->counts.holds;
  c->counts.stale += c->watch.stale_ticks > 0;
}

// Only a spline says how it moves; rows that are held are targets at rest.
static dpc_wanted find_wanted(dpc_controller* c, uint64_t tick) {
  if (!dpc_watch_may_follow(&c->watch)) return (dpc_wanted){.position = NULL};
  const float* position = dpc_course_at(&c->course, tick, c->velocity, c->acceleration);
  if (c->def.interpolation == DPC_INTERPOLATION_HOLD) return (dpc_wanted){.position = position};
  return (dpc_wanted){position, c->velocity, c->acceleration};
}

static void command(dpc_controller* c, const dpc_tick_input* input, dpc_tick_output* output) {
  const uint64_t ticks = input->tick - c->acted;
  const dpc_wanted wanted = find_wanted(c, input->tick);
  const bool follows = wanted.position != NULL;
  if (follows) {
    output->mode = DPC_MODE_ACTIVE;
    output->plan = c->active_plan;
    output->row = dpc_chunk_row(&c->course.chunk, input->tick);
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
