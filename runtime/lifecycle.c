#include "runtime/lifecycle.h"

#define U DPC_STATE_UNCONFIGURED
#define I DPC_STATE_INACTIVE
#define H DPC_STATE_HOLD
#define A DPC_STATE_ACTIVE
#define S DPC_STATE_STOPPING
#define F DPC_STATE_FAULT
#define E DPC_STATE_FINALIZED

// A second stop cannot skip the first, and neither can anything else: from STOPPING only rest, or a
// robot that is gone, leads on. A fault outlives the episode in which it came.
static const uint8_t table[DPC_STATE_COUNT][DPC_EVENT_COUNT] = {
    // clang-format off
    //                           conf obs fol sta fau ack end sto rest
    [DPC_STATE_UNCONFIGURED] = { I,   U,  U,  U,  U,  U,  U,  E,  U },
    [DPC_STATE_INACTIVE]     = { I,   H,  I,  I,  F,  I,  I,  E,  I },
    [DPC_STATE_HOLD]         = { H,   H,  A,  H,  F,  H,  I,  S,  H },
    [DPC_STATE_ACTIVE]       = { A,   A,  A,  H,  F,  A,  I,  S,  A },
    [DPC_STATE_STOPPING]     = { S,   S,  S,  S,  S,  S,  E,  S,  E },
    [DPC_STATE_FAULT]        = { F,   F,  F,  F,  F,  I,  F,  S,  F },
    [DPC_STATE_FINALIZED]    = { E,   E,  E,  E,  E,  E,  E,  E,  E },
    // clang-format on
};

dpc_state dpc_lifecycle_next(dpc_state state, dpc_event event) {
  DPC_ASSERT((int)state >= 0 && state < DPC_STATE_COUNT);
  DPC_ASSERT((int)event >= 0 && event < DPC_EVENT_COUNT);
  return (dpc_state)table[state][event];
}

const char* dpc_state_name(dpc_state state) {
  static const char* const names[DPC_STATE_COUNT] = {
      "unconfigured", "inactive", "hold", "active", "stopping", "fault", "finalized"};
  DPC_ASSERT((int)state >= 0 && state < DPC_STATE_COUNT);
  return names[state];
}

const char* dpc_fault_text(dpc_fault fault) {
  switch (fault) {
    case DPC_FAULT_NONE:
      return "none";
    case DPC_FAULT_STALE:
      return "nothing has been observed for too long";
    case DPC_FAULT_PLANS:
      return "the policy's output was not finite, several times in a row";
    case DPC_FAULT_STARVED:
      return "no plan has come in time for too long";
  }
  return "unknown";
}
