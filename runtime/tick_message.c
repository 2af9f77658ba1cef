#include "runtime/tick_message.h"

#define INPUT(field, member)  DPC_WIRE_NUMBER(DPC_TICK_INPUT, field, dpc_tick_record, member)
#define OUTPUT(field, member) DPC_WIRE_NUMBER(DPC_TICK_OUTPUT, field, dpc_tick_record, member)
#define TIME(field, member)   DPC_WIRE_NUMBER(DPC_TICK_TIME, field, dpc_tick_record, member)
#define VALUES(role, field, member, count) \
  DPC_WIRE_VALUES(role, field, dpc_tick_record, member, count)

static const dpc_wire_member members[] = {
    INPUT("sequence", sequence),

    // dpc_tick_input
    INPUT("tick", input.tick),
    INPUT("epoch", input.epoch),
    INPUT("seed", input.seed),
    INPUT("fresh", input.fresh),
    INPUT("age_ns", input.age.ns),
    INPUT("stop", input.stop),
    INPUT("acknowledged", input.acknowledged),
    VALUES(DPC_TICK_INPUT, "observation", input.obs, obs_count),

    // dpc_plan
    INPUT("answered", answered),
    INPUT("asked_tick", plan.tick),
    INPUT("asked_epoch", plan.epoch),
    INPUT("plan", plan.plan),
    OUTPUT("plan_failed", plan.failed),
    VALUES(DPC_TICK_OUTPUT, "chunk", plan.chunk, chunk_count),

    // dpc_tick_output
    OUTPUT("mode", output.mode),
    OUTPUT("active_plan", output.plan),
    OUTPUT("row", output.row),
    OUTPUT("adopted", output.adopted),
    OUTPUT("late", output.late),
    OUTPUT("rejected", output.gate.rejected),
    OUTPUT("jumped", output.gate.jumped),
    OUTPUT("clamped", output.gate.clamped),
    OUTPUT("limited", output.gate.limited),
    OUTPUT("state", output.state),
    OUTPUT("fault", output.fault),
    VALUES(DPC_TICK_OUTPUT, "command", output.action, action_count),

    // dpc_tick_times
    TIME("received_ns", times.received.ns),
    TIME("sampled_ns", times.sampled.ns),
    TIME("start_ns", times.start.ns),
    TIME("done_ns", times.done.ns),
};

const dpc_wire_table dpc_tick_table = {"dpc.Tick", members, DPC_COUNT(members)};

// A member is new when one of these fails: give it a row above, and its struct's new size here.
_Static_assert(sizeof(dpc_tick_input) == 56, "every member of dpc_tick_input has a row");
_Static_assert(sizeof(dpc_plan) == 32, "every member of dpc_plan has a row");
_Static_assert(sizeof(dpc_tick_output) == 48, "every member of dpc_tick_output has a row");
_Static_assert(sizeof(dpc_gate_report) == 12, "every member of dpc_gate_report has a row");
_Static_assert(sizeof(dpc_tick_times) == 32, "every member of dpc_tick_times has a row");
