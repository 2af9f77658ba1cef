#include "runtime/controller.h"

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
  dpc_gate gate;
  int* gather;       // [obs_dim], where the robot's observation holds what the policy wants
  int* hold_source;  // [action_dim], where it holds what the action tracks; NO_SOURCE: nowhere

  // observation
  float* history;  // ring of [history_length x obs_dim], one row per tick
  int history_length;
  uint64_t history_count;  // rows written in this epoch
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
  c->hold = DPC_TAKE(arena, float, c->action_dim);
  c->action = DPC_TAKE(arena, float, c->action_dim);
  for (int i = 0; i < 2; ++i) c->chunk_values[i] = DPC_TAKE(arena, float, chunk);
  const bool observing = c->gather && c->hold_source && c->history && c->stacked;
  if (!observing || !c->hold || !c->action || !c->chunk_values[0] || !c->chunk_values[1]) {
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
  c->gate = (dpc_gate){(float)def->action_min, (float)def->action_max};
  const dpc_status status = take_buffers(c, arena, error);
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

static void begin_epoch(dpc_controller* c, const dpc_tick_input* input) {
  c->epoch = input->epoch;
  c->seen = true;
  c->history_count = 0;
  c->in_flight = c->pending = c->holding = false;
  c->next_plan = 0;
  c->next_request = input->tick;
  c->active.values = c->waiting.values = NULL;
}

static void push_history(dpc_controller* c, const float* obs) {
  const uint64_t row = c->history_count++ % (uint64_t)c->history_length;
  float* to = c->history + row * (uint64_t)c->obs_dim;
  for (int i = 0; i < c->obs_dim; ++i) to[i] = obs[c->gather[i]];
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

bool dpc_controller_observe(dpc_controller* controller, const dpc_tick_input* input,
                            dpc_plan_request* request) {
  dpc_controller* c = controller;
  ++c->counts.ticks;
  c->counts.unseen += !input->fresh;
  if (input->obs == NULL) return false;

  // each tick since the last adds a row, so that rows stay a policy step apart over missed ticks
  if (!c->seen || input->epoch != c->epoch) {
    begin_epoch(c, input);
    push_history(c, input->obs);
  } else if (input->tick <= c->tick) {
    // the tick was made without its observation, which came late: it takes that row
    --c->history_count;
    push_history(c, input->obs);
  } else {
    const uint64_t passed = input->tick - c->tick;
    const uint64_t rows =
        passed < (uint64_t)c->history_length ? passed : (uint64_t)c->history_length;
    for (uint64_t i = 0; i < rows; ++i) push_history(c, input->obs);
  }
  c->tick = input->tick;

  if (c->in_flight || c->pending || !input->fresh || input->tick < c->next_request) return false;
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

// Where the robot was when the plan ran out; a value that nothing tracks stays as last commanded.
static void begin_hold(dpc_controller* c, const float* obs) {
  for (int i = 0; i < c->action_dim; ++i) {
    c->hold[i] = c->hold_source[i] == NO_SOURCE ? c->action[i] : obs[c->hold_source[i]];
  }
  c->holding = true;
}

void dpc_controller_tick(dpc_controller* controller, const dpc_tick_input* input,
                         const dpc_plan* ready, dpc_tick_output* output) {
  dpc_controller* c = controller;
  *output = (dpc_tick_output){.mode = DPC_MODE_IDLE, .row = -1};
  if (ready != NULL) receive_plan(c, ready);
  if (input->obs == NULL || !c->seen) return;
  adopt_plan(c, input->tick, output);

  const float* wanted = dpc_chunk_at(&c->active, input->tick);
  if (wanted != NULL) {
    output->mode = DPC_MODE_ACTIVE;
    output->plan = c->active_plan;
    output->row = dpc_chunk_row(&c->active, input->tick);
    c->holding = false;
  } else {
    output->mode = DPC_MODE_HOLD;
    if (!c->holding) begin_hold(c, input->obs);
    wanted = c->hold;
    ++c->counts.holds;
  }
  output->gate = dpc_gate_pass(&c->gate, wanted, c->action, c->action_dim, c->action);
  output->action = c->action;
  c->counts.rejected += output->gate.rejected;
  c->counts.clamped += (uint64_t)output->gate.clamped;
}

const dpc_controller_counters* dpc_controller_counts(const dpc_controller* controller) {
  return &controller->counts;
}
