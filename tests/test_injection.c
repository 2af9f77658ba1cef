/// A million values that are not finite, put into everything that carries numbers: observations and
/// commands on the wire, observations before the controller, plans behind the policy. None reaches the
/// network or the wire.

#include "policy/rng.h"
#include "proto/wire.h"
#include "runtime/controller.h"
#include "runtime/planner.h"
#include "tests/small_policy.h"
#include "tests/test.h"

enum { WIRE_VALUES = 300000, TICK_VALUES = 400000 };

static dpc_arena arena, scratch;
static dpc_error error;

static int set_up(void** state) {
  (void)state;
  assert_ok(dpc_arena_map(&arena, (size_t)64 << 20, &error), &error);
  assert_ok(dpc_arena_map(&scratch, DPC_WIRE_SCRATCH_SIZE, &error), &error);
  return 0;
}

static int tear_down(void** state) {
  (void)state;
  dpc_arena_unmap(&arena);
  dpc_arena_unmap(&scratch);
  return 0;
}

static void draw(uint32_t stream, uint32_t trial, uint32_t bits[4]) {
  dpc_rng_bits((dpc_rng_key){17, stream}, trial, 0, 0, 0, bits);
}

// Infinities, and NaN of either kind and sign with any payload.
static float not_finite(uint32_t bits) {
  uint32_t pattern = UINT32_C(0x7f800000) | (bits & UINT32_C(0x80000000));
  if (bits % 8 != 0) pattern |= bits & UINT32_C(0x007fffff);
  float value;
  memcpy(&value, &pattern, sizeof value);
  return value;
}

// Put some into `values` at random, at least one; how many.
static int poison(uint32_t stream, uint32_t trial, float* values, int count) {
  uint32_t bits[4];
  int put = 0;
  draw(stream, trial, bits);
  const int first = (int)(bits[0] % (uint32_t)count), step = 1 + (int)(bits[1] % (uint32_t)count);
  for (int i = first; i < count; i += step) {
    uint32_t more[4];
    draw(stream + 1, trial * 64 + (uint32_t)i, more);
    values[i] = not_finite(more[0]);
    ++put;
  }
  return put;
}

static bool all_finite(const float* values, int count) {
  for (int i = 0; i < count; ++i) {
    if (!isfinite(values[i])) return false;
  }
  return true;
}

// --- the wire -------------------------------------------------------------------------------------

static dpc_message make_message(dpc_direction direction, const float* values, int count) {
  if (direction == DPC_FROM_ROBOT) {
    return (dpc_message){.kind = DPC_MESSAGE_OBSERVATION,
                         .observation = {.session = 1, .value_count = count, .values = values}};
  }
  return (dpc_message){.kind = DPC_MESSAGE_COMMAND,
                       .command = {.session = 1, .value_count = count, .values = values}};
}

// Nothing like it is encoded; forged into the bytes of a sound message, it is not decoded.
static void attack_wire(dpc_direction direction, int count) {
  float sound[SMALL_OBS];
  for (int i = 0; i < count; ++i) sound[i] = 1.5F + (float)i;
  uint8_t whole[1024], forged[1024];
  size_t size = 0;
  dpc_message message = make_message(direction, sound, count), decoded;
  assert_ok(dpc_wire_encode(direction, &message, whole, sizeof whole, &size, &error), &error);
  const uint8_t* at = memmem(whole, size, sound, sizeof(float) * (size_t)count);
  assert_non_null(at);
  for (uint32_t trial = 0, put = 0; put < WIRE_VALUES; ++trial) {
    float values[SMALL_OBS];
    memcpy(values, sound, sizeof values);
    put += (uint32_t)poison(direction == DPC_FROM_ROBOT ? 1 : 3, trial, values, count);
    message = make_message(direction, values, count);
    size_t unused;
    assert_int_equal(dpc_wire_encode(direction, &message, forged, sizeof forged, &unused, NULL),
                     DPC_ERR_INVALID);
    memcpy(forged, whole, size);
    memcpy(forged + (at - whole), values, sizeof(float) * (size_t)count);
    assert_int_equal(dpc_wire_decode(direction, forged, size, count, &scratch, &decoded, NULL),
                     DPC_ERR_INVALID);
  }
}

static void test_wire(void** state) {
  (void)state;
  attack_wire(DPC_FROM_ROBOT, SMALL_OBS);
  attack_wire(DPC_TO_ROBOT, SMALL_ACTION);
}

// --- the tick -------------------------------------------------------------------------------------

typedef struct bench {
  dpc_policy* policy;
  dpc_planner* planner;
  dpc_controller* controller;
  float poisoned[SMALL_HORIZON * SMALL_ACTION];
  uint32_t put, plans, commands;
} bench;

static void open_bench(bench* b, const char* limits) {
  assert_ok(small_policy_load(&arena, &b->policy, &error), &error);
  assert_ok(dpc_planner_create(b->policy, NULL, 1, &arena, &b->planner, &error), &error);
  const dpc_checkpoint_info* info = dpc_policy_info(b->policy);
  dpc_controller_def def = dpc_controller_def_default();
  def.delay = 0;
  def.limits = (dpc_text_list){.count = 1};
  strncpy(def.limits.values[0], limits, DPC_LIST_TEXT_MAX - 1);
  assert_ok(dpc_controller_create(&def, info, &info->interface, &arena, &b->controller, &error),
            &error);
}

// The real policy makes a plan of what the controller shows it; every other one is poisoned after.
static const dpc_plan* make_plan(bench* b, const dpc_plan_request* request, dpc_plan* plan) {
  assert_true(all_finite(request->obs, SMALL_N_OBS * SMALL_OBS));
  dpc_planner_make(b->planner, request, plan);
  assert_false(plan->failed);
  ++b->plans;
  if (b->plans % 2 == 0) return plan;
  memcpy(b->poisoned, plan->chunk, sizeof b->poisoned);
  b->put += (uint32_t)poison(5, b->plans, b->poisoned, SMALL_HORIZON * SMALL_ACTION);
  plan->chunk = b->poisoned;
  return plan;
}

static void send(bench* b, const float* action) {
  uint8_t frame[256];
  size_t size;
  const dpc_message message = make_message(DPC_TO_ROBOT, action, SMALL_ACTION);
  assert_ok(dpc_wire_encode(DPC_TO_ROBOT, &message, frame, sizeof frame, &size, &error), &error);
  ++b->commands;
}

// Nine observations of ten are poisoned; new episodes, faults and acknowledgements come in between.
static void attack_ticks(const char* limits) {
  bench b = {0};
  open_bench(&b, limits);
  for (uint32_t trial = 0, tick = 0; b.put < TICK_VALUES; ++trial, ++tick) {
    float obs[SMALL_OBS];
    uint32_t bits[4];
    draw(7, trial, bits);
    for (int i = 0; i < SMALL_OBS; ++i) obs[i] = 100 + 10 * (float)(bits[1] % 32);
    if (bits[0] % 10 != 0) b.put += (uint32_t)poison(9, trial, obs, SMALL_OBS);
    const dpc_tick_input input = {.tick = tick,
                                  .epoch = trial / 500,
                                  .obs = obs,
                                  .fresh = bits[2] % 4 != 0,
                                  .acknowledged = bits[3] % 16 == 0};
    dpc_plan_request request;
    dpc_tick_output out;
    dpc_plan plan;
    const bool due = dpc_controller_observe(b.controller, &input, &request);
    dpc_controller_tick(b.controller, &input, due ? make_plan(&b, &request, &plan) : NULL, &out);
    if (out.action != NULL) send(&b, out.action);
  }
  const dpc_controller_counters* counts = dpc_controller_counts(b.controller);
  assert_true(b.plans > 100 && b.commands > 10000 && counts->rejected > 100);
  dpc_planner_destroy(b.planner);
  dpc_arena_release(&arena, 0);
}

static void test_ticks(void** state) {
  (void)state;
  attack_ticks("* low=0 high=512");
  attack_ticks("* speed=500 acceleration=5000 jerk=100000 jump=200");
}

// Past the controller: the policy itself refuses what it is shown before the network sees it.
static void test_policy_refuses(void** state) {
  (void)state;
  bench b = {0};
  open_bench(&b, "* low=0 high=512");
  for (uint32_t trial = 0; trial < 20000; ++trial) {
    float obs[SMALL_N_OBS * SMALL_OBS] = {0};
    poison(11, trial, obs, SMALL_N_OBS * SMALL_OBS);
    dpc_plan plan;
    dpc_planner_make(b.planner, &(dpc_plan_request){.obs = obs}, &plan);
    assert_true(plan.failed);
  }
  dpc_planner_destroy(b.planner);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_wire, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_ticks, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_policy_refuses, set_up, tear_down),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
