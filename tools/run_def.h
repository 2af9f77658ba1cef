/// Settings of dpc-run itself.
#pragma once

#include "runtime/loop.h"
#include "tools/config.h"

typedef struct dpc_run_def {
  char policy[512];
  int pace;          // dpc_pace
  int episodes;      // then stop; 0: until the robot says Bye
  double duration;   // s, then stop; 0: no limit
  double lease;      // s, of a command; 0: three ticks
  int rt;            // dpc_rt_mode
  int priority;      // SCHED_FIFO, of the control thread; the planner's is one below
  int control_cpu;   // -1: chosen, by dpc_run_place
  int planner_cpu;   //
  int link_cpu;      // -1: any
  int warm_up;       // plans that are timed before the start
  char record[512];  // path, or nothing
} dpc_run_def;

/// Section "run".
extern const dpc_field_table dpc_run_fields;

/// The mode that counts: in lock-step everybody waits for everybody, and real time would only keep
/// other programs waiting too.
/// Allocates: no. Blocks: no. Thread: any.
dpc_rt_mode dpc_run_rt(const dpc_run_def* def);

/// Where the threads go. Real-time ones that have not been given a CPU get two different ones, where
/// there are two: the control thread the last, which is the one that interrupts visit least, and the
/// planner the first, which is where its team begins. An ordinary thread is better off on any.
/// Allocates: no. Blocks: no. Thread: start-up only.
void dpc_run_place(const dpc_run_def* def, const dpc_rt_granted* granted, dpc_thread_place* control,
                   dpc_thread_place* planner, dpc_thread_place* link);
