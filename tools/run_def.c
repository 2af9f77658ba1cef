#include "tools/run_def.h"

static const dpc_field rows[] = {
    DPC_TEXT(dpc_run_def, policy, "", "the policy's file"),
    DPC_CHOICE(dpc_run_def, pace, "timer", dpc_pace_names,
               "timer: a tick each period; robot: a tick for each observation, or when it is "
               "overdue; lockstep: robot and controller wait for each other"),
    DPC_INT(dpc_run_def, episodes, "0", 0, 100000000, "",
            "stop when so many have ended; 0: when the robot says Bye"),
    DPC_REAL(dpc_run_def, duration, "0", 0, 1e9, "s", "stop after this time; 0: no limit"),
    DPC_REAL(
        dpc_run_def, lease, "0", 0, 3600, "s",
        "how long the robot may follow a command when no other comes; 0: three ticks, at least "
        "20 ms; unused in lockstep"),
    DPC_CHOICE(dpc_run_def, rt, "preferred", dpc_rt_mode_names,
               "required: no start without real-time priority, locked memory and a delay that "
               "suffices; preferred: warns and goes on; off: ordinary threads; off in lockstep"),
    DPC_INT(dpc_run_def, priority, "80", 2, 98, "",
            "real-time priority (SCHED_FIFO) of the control thread; the planner's is one below"),
    DPC_INT(dpc_run_def, control_cpu, "-1", -1, 1023, "",
            "CPU of the control thread; -1: the last one, for a real-time thread"),
    DPC_INT(dpc_run_def, planner_cpu, "-1", -1, 1023, "",
            "CPU of the planner's thread; -1: the first one, for a real-time thread"),
    DPC_INT(dpc_run_def, link_cpu, "-1", -1, 1023, "", "CPU of the link's thread; -1: any"),
    DPC_INT(dpc_run_def, warm_up, "200", 1, 10000, "plans",
            "timed at the start, to choose delay and steps"),
    DPC_TEXT(
        dpc_run_def, record, "",
        "where every tick is recorded, for dpc replay: a file that ends with .mcap, or a folder "
        "that gets run_000000.mcap and so on; empty: nowhere"),
};
DPC_FIELD_TABLE(dpc_run_fields, dpc_run_def, "run", "Driving a robot.", rows);

dpc_rt_mode dpc_run_rt(const dpc_run_def* def) {
  return def->pace == DPC_PACE_LOCKSTEP ? DPC_RT_OFF : (dpc_rt_mode)def->rt;
}

static dpc_thread_place place(int priority, int wanted_cpu, int default_cpu) {
  const int cpu = wanted_cpu >= 0 ? wanted_cpu : default_cpu;
  return (dpc_thread_place){.priority = priority, .pinned = cpu >= 0, .cpu = cpu >= 0 ? cpu : 0};
}

void dpc_run_place(const dpc_run_def* def, const dpc_rt_granted* granted, dpc_thread_place* control,
                   dpc_thread_place* planner, dpc_thread_place* link) {
  const bool realtime = granted->priority;
  const bool several = dpc_rt_cpu(1) >= 0;
  const int first = realtime && several ? dpc_rt_cpu(0) : -1;
  const int last = realtime && several ? dpc_rt_cpu(-1) : -1;
  *control = place(realtime ? def->priority : 0, def->control_cpu, last);
  *planner = place(realtime ? def->priority - 1 : 0, def->planner_cpu, first);
  *link = place(0, def->link_cpu, -1);
}
