#include "runtime/lifecycle.h"

#include "tests/test.h"

enum { STAYS = -1 };

// Every pair that leads elsewhere; all others stay.
static const struct {
  dpc_state from;
  dpc_event event;
  dpc_state to;
} changes[] = {
    {DPC_STATE_UNCONFIGURED, DPC_EVENT_CONFIGURED, DPC_STATE_INACTIVE},
    {DPC_STATE_UNCONFIGURED, DPC_EVENT_STOP, DPC_STATE_FINALIZED},
    {DPC_STATE_INACTIVE, DPC_EVENT_OBSERVED, DPC_STATE_HOLD},
    {DPC_STATE_INACTIVE, DPC_EVENT_FAULT, DPC_STATE_FAULT},
    {DPC_STATE_INACTIVE, DPC_EVENT_STOP, DPC_STATE_FINALIZED},
    {DPC_STATE_HOLD, DPC_EVENT_FOLLOW, DPC_STATE_ACTIVE},
    {DPC_STATE_HOLD, DPC_EVENT_FAULT, DPC_STATE_FAULT},
    {DPC_STATE_HOLD, DPC_EVENT_ENDED, DPC_STATE_INACTIVE},
    {DPC_STATE_HOLD, DPC_EVENT_STOP, DPC_STATE_STOPPING},
    {DPC_STATE_ACTIVE, DPC_EVENT_STARVED, DPC_STATE_HOLD},
    {DPC_STATE_ACTIVE, DPC_EVENT_FAULT, DPC_STATE_FAULT},
    {DPC_STATE_ACTIVE, DPC_EVENT_ENDED, DPC_STATE_INACTIVE},
    {DPC_STATE_ACTIVE, DPC_EVENT_STOP, DPC_STATE_STOPPING},
    {DPC_STATE_STOPPING, DPC_EVENT_ENDED, DPC_STATE_FINALIZED},
    {DPC_STATE_STOPPING, DPC_EVENT_AT_REST, DPC_STATE_FINALIZED},
    {DPC_STATE_FAULT, DPC_EVENT_ACKNOWLEDGED, DPC_STATE_INACTIVE},
    {DPC_STATE_FAULT, DPC_EVENT_STOP, DPC_STATE_STOPPING},
};

static int expected(dpc_state from, dpc_event event) {
  for (int i = 0; i < DPC_COUNT(changes); ++i) {
    if (changes[i].from == from && changes[i].event == event) return (int)changes[i].to;
  }
  return STAYS;
}

static void test_every_pair(void** state) {
  (void)state;
  for (int from = 0; from < DPC_STATE_COUNT; ++from) {
    for (int event = 0; event < DPC_EVENT_COUNT; ++event) {
      const int to = expected((dpc_state)from, (dpc_event)event);
      assert_int_equal(dpc_lifecycle_next((dpc_state)from, (dpc_event)event),
                       to == STAYS ? from : to);
    }
  }
}

// Of all sequences of four events from every state: a fault ends by acknowledgement or stop alone, a
// stop by rest or the robot's end alone, and following needs a hold before it.
static void test_what_every_sequence_keeps(void** state) {
  (void)state;
  const int length = DPC_EVENT_COUNT * DPC_EVENT_COUNT * DPC_EVENT_COUNT * DPC_EVENT_COUNT;
  for (int from = 0; from < DPC_STATE_COUNT; ++from) {
    for (int sequence = 0; sequence < length; ++sequence) {
      dpc_state now = (dpc_state)from;
      for (int rest = sequence, i = 0; i < 4; ++i, rest /= DPC_EVENT_COUNT) {
        const dpc_event event = (dpc_event)(rest % DPC_EVENT_COUNT);
        const dpc_state next = dpc_lifecycle_next(now, event);
        assert_true(next < DPC_STATE_COUNT);
        if (now == DPC_STATE_FAULT && next != now) {
          assert_true(event == DPC_EVENT_ACKNOWLEDGED || event == DPC_EVENT_STOP);
        }
        if (now == DPC_STATE_STOPPING && next != now) {
          assert_true(event == DPC_EVENT_AT_REST || event == DPC_EVENT_ENDED);
          assert_int_equal(next, DPC_STATE_FINALIZED);
        }
        if (next == DPC_STATE_ACTIVE && next != now) assert_int_equal(now, DPC_STATE_HOLD);
        if (now == DPC_STATE_FINALIZED) assert_int_equal(next, now);
        now = next;
      }
    }
  }
}

static void test_names_differ(void** state) {
  (void)state;
  for (int i = 0; i < DPC_STATE_COUNT; ++i) {
    for (int j = 0; j < i; ++j) {
      assert_string_not_equal(dpc_state_name((dpc_state)i), dpc_state_name((dpc_state)j));
    }
  }
  for (int i = 0; i <= DPC_FAULT_STARVED; ++i) {
    assert_true(strcmp(dpc_fault_text((dpc_fault)i), "unknown") != 0);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_every_pair),
      cmocka_unit_test(test_what_every_sequence_keeps),
      cmocka_unit_test(test_names_differ),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
