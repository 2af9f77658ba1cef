#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "proto/run_log.h"
#include "runtime/planner.h"
#include "runtime/tick_message.h"
#include "tools/replay.h"
#include "tools/replay_settings.h"

static const size_t ADDRESS_SPACE = (size_t)8 << 30;  // reserved; only what is touched is used

// Answers that may still come: one is in flight, others belong to epochs that are over.
enum { PLANS_KEPT = 64 };

typedef struct replay {
  const dpc_cli* cli;
  const char* path;
  dpc_run_log* log;
  const dpc_run_info* info;
  dpc_replay_settings settings;

  dpc_arena arena;
  dpc_policy* policy;
  dpc_planner* planner;
  dpc_controller* controller;
  dpc_tick_dims dims;
  dpc_plan plans[PLANS_KEPT];  // made, the newest last, around
  float* chunks;               // [PLANS_KEPT][dims.chunk], theirs
  size_t mark;                 // of the arena, before the controller

  // where we are
  uint64_t expected;  // sequence of the next tick
  bool lost;          // a gap has come, and no new epoch since
  bool seen;          // a tick since the gap, of:
  uint64_t epoch;     //
  bool sound;         // nothing at it outlasts its epoch: no fault, no stop, no failed plan

  // results
  uint64_t ticks, compared, made, gaps, missing;
  bool cut, differs;
  dpc_tick_record at;  // the tick that differs
  dpc_wire_difference difference;
} replay;

// --- the beginning ---------------------------------------------------------------------------------

// One that knows nothing yet.
static dpc_status make_controller(replay* r, dpc_error* error) {
  dpc_arena_release(&r->arena, r->mark);
  const dpc_status status =
      dpc_controller_create(&r->settings.controller, dpc_policy_info(r->policy), r->info->robot,
                            &r->arena, &r->controller, error);
  return status == DPC_OK ? DPC_OK : dpc_fail_prefix(error, DPC_ERR_MISMATCH, "%s: ", r->path);
}

static dpc_status set_up(replay* r, const char* policy, dpc_error* error) {
  DPC_TRY(dpc_run_log_open(r->path, &dpc_tick_table, &r->log, error));
  r->info = dpc_run_log_info(r->log);
  DPC_TRY(dpc_replay_take_settings(r->path, r->info, &r->settings, error));
  DPC_TRY(dpc_arena_map(&r->arena, ADDRESS_SPACE, error));
  DPC_TRY(dpc_replay_load_policy(policy != NULL ? policy : r->info->policy, r->info,
                                 &r->settings.engine, &r->arena, &r->policy, error));
  const dpc_checkpoint_info* info = dpc_policy_info(r->policy);
  const dpc_status status =
      dpc_planner_create(r->policy, &r->settings.sampler, 1, &r->arena, &r->planner, error);
  if (status != DPC_OK) return dpc_fail_prefix(error, DPC_ERR_MISMATCH, "%s: ", r->path);
  r->dims = (dpc_tick_dims){
      .obs = dpc_layout_dim(&r->info->robot->obs),
      .chunk = info->unet.horizon * dpc_layout_dim(&info->interface.action),
      .action = dpc_layout_dim(&info->interface.action),
  };
  r->chunks = DPC_TAKE(&r->arena, float, (size_t)PLANS_KEPT*(size_t)r->dims.chunk);
  if (r->chunks == NULL) return dpc_arena_full(&r->arena, "plans", error);
  r->mark = dpc_arena_mark(&r->arena);
  return make_controller(r, error);
}

// --- a tick ----------------------------------------------------------------------------------------

static void make_plan(replay* r, const dpc_plan_request* request) {
  const uint64_t slot = r->made++ % PLANS_KEPT;
  float* chunk = r->chunks + slot * (uint64_t)r->dims.chunk;
  dpc_plan* plan = &r->plans[slot];
  dpc_planner_make(r->planner, request, plan);
  if (!plan->failed) memcpy(chunk, plan->chunk, sizeof(float) * (size_t)r->dims.chunk);
  plan->chunk = chunk;
}

static const dpc_plan* find_plan(const replay* r, const dpc_plan* answer) {
  const uint64_t oldest = r->made > PLANS_KEPT ? r->made - PLANS_KEPT : 0;
  for (uint64_t i = r->made; i > oldest; --i) {
    const dpc_plan* plan = &r->plans[(i - 1) % PLANS_KEPT];
    if (plan->tick == answer->tick && plan->epoch == answer->epoch && plan->plan == answer->plan) {
      return plan;
    }
  }
  return NULL;
}

static void keep_difference(replay* r, const dpc_tick_record* record) {
  r->differs = true;
  r->at = *record;
}

// The plan was taken in because it was recorded so, when it came is not ours to find out; what was in
// it is.
static void replay_tick(replay* r, const dpc_tick_record* record) {
  dpc_tick_record computed = *record;
  dpc_plan_request request;
  if (dpc_controller_observe(r->controller, &record->input, &request)) make_plan(r, &request);
  const dpc_plan* ready = NULL;
  if (record->answered) {
    ready = find_plan(r, &record->plan);
    // asked for in a gap, it came after its epoch: the controller discards it
    const bool discarded = r->gaps > 0 && record->plan.epoch != record->input.epoch;
    const bool whole = record->plan.failed || record->chunk_count == r->dims.chunk;
    if (ready == NULL && discarded && whole) ready = &record->plan;
    if (ready == NULL) {
      r->difference = (dpc_wire_difference){.field = "plan", .b = "not asked for"};
      (void)snprintf(r->difference.a, sizeof r->difference.a, "%" PRIu32 " of tick %" PRIu64,
                     record->plan.plan, record->plan.tick);
      keep_difference(r, record);
      return;
    }
    computed.plan = *ready;
    computed.chunk_count = ready->failed ? 0 : r->dims.chunk;
  }
  dpc_controller_tick(r->controller, &record->input, ready, &computed.output);
  computed.action_count = computed.output.action != NULL ? r->dims.action : 0;
  ++r->compared;
  if (dpc_wire_differs(&dpc_tick_table, DPC_TICK_OUTPUT, record, &computed, &r->difference)) {
    keep_difference(r, record);
  }
}

// --- the whole -------------------------------------------------------------------------------------

static void note_gap(replay* r, uint64_t count) {
  ++r->gaps;
  r->missing += count;
  r->lost = true;
  r->seen = r->sound = false;
}

// After a gap the controller's state is unknown until it begins anew, with the next epoch; whether a
// tick is an epoch's first, only the one before it tells, and whether something outlasts the old one.
static dpc_status find_the_way_back(replay* r, const dpc_tick_record* record, dpc_error* error) {
  const bool begins = r->seen && r->sound && record->input.epoch != r->epoch;
  const dpc_state state = record->output.state;
  r->seen = true;
  r->epoch = record->input.epoch;
  if (record->answered) r->sound = !record->plan.failed;
  r->sound &= state == DPC_STATE_HOLD || state == DPC_STATE_ACTIVE;
  if (!r->lost || !begins) return DPC_OK;
  r->lost = false;
  return make_controller(r, error);
}

static dpc_status take_tick(replay* r, const dpc_tick_record* record, dpc_error* error) {
  if (record->obs_count != 0 && record->obs_count != r->dims.obs) {
    return dpc_fail(error, DPC_ERR_FORMAT, "%s: a tick with %d observed values, the robot has %d",
                    r->path, record->obs_count, r->dims.obs);
  }
  if (record->sequence < r->expected) {
    return dpc_fail(error, DPC_ERR_FORMAT, "%s: tick %" PRIu64 " comes after %" PRIu64, r->path,
                    record->sequence, r->expected - 1);
  }
  if (record->sequence > r->expected) note_gap(r, record->sequence - r->expected);
  r->expected = record->sequence + 1;
  ++r->ticks;
  DPC_TRY(find_the_way_back(r, record, error));
  if (!r->lost) replay_tick(r, record);
  return DPC_OK;
}

static dpc_status replay_all(replay* r, dpc_error* error) {
  dpc_tick_record record = {0};
  while (!r->differs) {
    dpc_run_log_event event = {0};
    if (dpc_cli_interrupted()) return dpc_fail(error, DPC_ERR_INTERRUPTED, "interrupted");
    DPC_TRY(dpc_run_log_read(r->log, &record, &event, error));
    switch (event.kind) {
      case DPC_RUN_LOG_TICK:
        DPC_TRY(take_tick(r, &record, error));
        break;
      case DPC_RUN_LOG_GAP:  // the next tick's sequence says so too; the last gap has none
        break;
      case DPC_RUN_LOG_DONE:
        r->cut = event.cut;
        if (!event.cut && event.end.ticks > r->expected) note_gap(r, event.end.ticks - r->expected);
        return DPC_OK;
    }
    dpc_cli_progress(r->cli, "tick %" PRIu64, r->ticks);
  }
  return DPC_OK;
}

// --- results ---------------------------------------------------------------------------------------

static dpc_json* difference_json(const replay* r) {
  dpc_json* json = dpc_json_object();
  dpc_json_set_int(json, "sequence", (int64_t)r->at.sequence);
  dpc_json_set_int(json, "epoch", (int64_t)r->at.input.epoch);
  dpc_json_set_int(json, "tick", (int64_t)r->at.input.tick);
  dpc_json_set_text(json, "field", r->difference.field);
  dpc_json_set_text(json, "recorded", r->difference.a);
  dpc_json_set_text(json, "replayed", r->difference.b);
  return json;
}

static dpc_status report(const replay* r, dpc_error* error) {
  dpc_json* json = dpc_json_object();
  dpc_json_set_bool(json, "equal", !r->differs && r->compared > 0);
  dpc_json_set_int(json, "ticks", (int64_t)r->ticks);
  dpc_json_set_int(json, "compared", (int64_t)r->compared);
  dpc_json_set_int(json, "plans", (int64_t)r->made);
  dpc_json_set_int(json, "gaps", (int64_t)r->gaps);
  dpc_json_set_int(json, "missing_ticks", (int64_t)r->missing);
  dpc_json_set_bool(json, "cut", r->cut);
  if (r->differs) dpc_json_set(json, "first_difference", difference_json(r));
  DPC_TRY(dpc_cli_report(r->cli, json, error));
  if (r->gaps > 0) {
    dpc_cli_print(r->cli,
                  "%" PRIu64 " ticks are missing in %" PRIu64
                  " places; after each, the next "
                  "epoch is where comparing goes on\n",
                  r->missing, r->gaps);
  }
  if (r->cut)
    dpc_cli_print(r->cli, "the recording was cut off after %" PRIu64 " ticks\n", r->ticks);
  if (r->differs) {
    return dpc_fail(error, DPC_ERR_MISMATCH,
                    "%s: tick %" PRIu64 " of epoch %" PRIu64 " (number %" PRIu64
                    " of the run): %s was %s, is %s",
                    r->path, r->at.input.tick, r->at.input.epoch, r->at.sequence,
                    r->difference.field, r->difference.a, r->difference.b);
  }
  if (r->compared == 0) {
    return dpc_fail(error, DPC_ERR_MISMATCH, "%s: no tick can be compared", r->path);
  }
  dpc_cli_print(r->cli,
                "%" PRIu64 " of %" PRIu64 " ticks and %" PRIu64 " plans computed again: equal\n",
                r->compared, r->ticks, r->made);
  return DPC_OK;
}

dpc_status dpc_replay_run(const dpc_cli* cli, const char* path, const char* policy,
                          dpc_error* error) {
  static replay r;
  r = (replay){.cli = cli, .path = path};
  dpc_status status = set_up(&r, policy, error);
  if (status == DPC_OK) status = replay_all(&r, error);
  dpc_cli_progress_end(cli);
  if (status == DPC_OK) status = report(&r, error);
  dpc_planner_destroy(r.planner);
  dpc_run_log_free(r.log);
  dpc_arena_unmap(&r.arena);
  return status;
}
