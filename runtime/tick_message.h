/// A tick as a message of a recording (dpc.Tick in proto/dpc.proto).
///
/// The one place that follows dpc_tick_input, dpc_plan and dpc_tick_output. Who adds a member to one
/// of them adds a field to dpc.Tick and a row to the table in tick_message.c: then it is recorded,
/// read, injected into a replay and compared. A member that has no row fails to compile, a field
/// that has none asserts with the first tick. (What a pointer leads to is copied in tick_ring.c.)
///
/// What timing or another thread decided belongs into dpc_tick_input or dpc_plan, never into the
/// controller by another way: else a replay cannot know it.
#pragma once

#include "proto/wire_table.h"
#include "runtime/tick_ring.h"

/// What the rows are, to compare only some.
enum {
  DPC_TICK_INPUT = 1,   // given to the tick
  DPC_TICK_OUTPUT = 2,  // computed, by the policy or by the controller
  DPC_TICK_TIME = 4,    // when things happened
};

/// The table; its struct is dpc_tick_record.
extern const dpc_wire_table dpc_tick_table;
