/// dpc-run: drive a robot with a policy.
///
/// Five threads at most: control and planner (runtime/loop.h), link (tools/run_link.h), recorder
/// (runtime/recorder.h), and this one, which starts them in order, supervises them
/// (tools/run_supervisor.h) and stops them in order.

#include <stdlib.h>
#include <unistd.h>

#include "runtime/acknowledge.h"
#include "tools/allocations.h"
#include "tools/cli.h"
#include "tools/run_latency.h"
#include "tools/run_record.h"
#include "tools/run_supervisor.h"

static const size_t ADDRESS_SPACE = (size_t)8 << 30;  // reserved; only what is touched is used
static const size_t SPARE = (size_t)64 << 20;         // for what is made after the policy

typedef struct run {
  dpc_cli cli;
  dpc_run_def def;
  dpc_link_def link_def;
  dpc_controller_def controller_def;
  dpc_engine_def engine;
  dpc_sampler_def sampler;
  dpc_rt_granted granted;
  dpc_thread_place control_place, planner_place, link_place;

  dpc_arena arena;
  dpc_policy* policy;
  dpc_planner* planner;
  dpc_link* link;
  dpc_controller* controller;
  dpc_recorder* recorder;
  dpc_loop* loop;
  dpc_run_link carrier;

  int signal_fd, ack_fd;
  dpc_run_result result;
} run;

enum { SECTIONS = 5, SAMPLER = 4 };

static void list_sections(run* r, dpc_config_section sections[SECTIONS]) {
  sections[0] = (dpc_config_section){.table = &dpc_run_fields, .def = &r->def};
  sections[1] = (dpc_config_section){.table = &dpc_link_fields, .def = &r->link_def};
  sections[2] = (dpc_config_section){.table = &dpc_controller_fields, .def = &r->controller_def};
  sections[3] = (dpc_config_section){.table = &dpc_engine_fields, .def = &r->engine};
  sections[SAMPLER] = (dpc_config_section){.table = &dpc_sampler_fields, .def = &r->sampler};
}

// The sampler's defaults are in the policy's file, and which that is says the config: read twice.
static dpc_status load(run* r, dpc_config_section* sections, dpc_error* error) {
  DPC_TRY(dpc_cli_read_config(&r->cli, error));
  DPC_TRY(dpc_link_def_check(&r->link_def, error));
  DPC_TRY(dpc_controller_def_check(&r->controller_def, error));
  if (r->controller_def.switching == DPC_SWITCHING_GUIDED) {
    return dpc_fail(
        error, DPC_ERR_CONFIG,
        "controller.switching: guided takes many times as long as other plans do and is "
        "for dpc eval only; prefix goes on from settled rows, too");
  }
  if (r->def.policy[0] == '\0') {
    return dpc_fail(error, DPC_ERR_CONFIG, "run.policy: which file? (run.policy=FILE)");
  }
  DPC_TRY(dpc_arena_map(&r->arena, ADDRESS_SPACE, error));
  DPC_TRY(dpc_policy_load_for(r->def.policy, &r->engine, &r->arena, &r->policy, error));
  r->sampler = dpc_policy_info(r->policy)->sampler;
  sections[SAMPLER].keep = true;
  return dpc_cli_read_config(&r->cli, error);
}

// Planner, memory and latency, in this order: what is measured is what will run.
static dpc_status prepare(run* r, dpc_error* error) {
  dpc_run_latency latency = {.def = &r->def,
                             .policy = r->policy,
                             .controller = &r->controller_def,
                             .sampler = &r->sampler,
                             .arena = &r->arena,
                             .mark = dpc_arena_mark(&r->arena),
                             .planner = &r->planner};
  const bool choose_steps = r->sampler.steps == DPC_STEPS_AUTO;
  if (choose_steps) r->sampler.steps = dpc_policy_info(r->policy)->sampler.steps;
  DPC_TRY(dpc_run_make_planner(&latency, error));
  dpc_arena_trim(&r->arena, SPARE);
  DPC_TRY(dpc_rt_prepare(dpc_run_rt(&r->def), r->def.priority, &r->granted, error));
  dpc_run_place(&r->def, &r->granted, &r->control_place, &r->planner_place, &r->link_place);
  latency.place = r->planner_place;
  return dpc_run_settle(&latency, choose_steps, error);
}

// --- start ----------------------------------------------------------------------------------------

static dpc_status connect_robot(run* r, dpc_error* error) {
  const dpc_checkpoint_info* info = dpc_policy_info(r->policy);
  DPC_TRY(dpc_link_create(&r->link_def, &info->interface, "dpc run " DPC_VERSION, &r->arena,
                          &r->link, error));
  dpc_log(DPC_LOG_INFO, "waiting for the robot at %s", r->link_def.endpoint);
  DPC_TRY(dpc_link_handshake(r->link, r->signal_fd, error));
  dpc_log(DPC_LOG_INFO, "connected");
  return DPC_OK;
}

static dpc_status make_controller(run* r, dpc_error* error) {
  const dpc_checkpoint_info* info = dpc_policy_info(r->policy);
  const dpc_interface* robot = dpc_link_robot(r->link);
  DPC_TRY(dpc_controller_create(&r->controller_def, info, robot, &r->arena, &r->controller, error));
  dpc_bounds_log(dpc_controller_bounds(r->controller), robot);
  return DPC_OK;
}

static dpc_status make_recorder(run* r, const dpc_config_section* sections, dpc_error* error) {
  const dpc_run_record_def def = {
      .path = r->def.record,
      .policy = r->def.policy,
      .loaded = r->policy,
      .sections = sections,
      .section_count = SECTIONS,
      .robot = dpc_link_robot(r->link),
      .period = dpc_run_period(r->policy, &r->controller_def),
  };
  DPC_TRY(dpc_run_record_create(&def, &r->arena, &r->recorder, error));
  return dpc_recorder_start(r->recorder, error);
}

static dpc_status make_loop(run* r, dpc_error* error) {
  const dpc_interface* robot = dpc_link_robot(r->link);
  const dpc_loop_def def = {
      .pace = (dpc_pace)r->def.pace,
      .period = dpc_run_period(r->policy, &r->controller_def),
      // in lock-step the delay counts ticks, and whether a thread was quick must not matter
      .plan_in_thread = r->controller_def.delay > 0 && r->def.pace != DPC_PACE_LOCKSTEP,
      .control = r->control_place,
      .planner = r->planner_place,
      .records = dpc_recorder_ring(r->recorder),
  };
  return dpc_loop_create(&def, r->controller, r->planner, dpc_layout_dim(&robot->obs),
                         dpc_layout_dim(&robot->action), &r->arena, &r->loop, error);
}

static dpc_duration lease_time(const run* r) {
  if (r->def.pace == DPC_PACE_LOCKSTEP) return (dpc_duration){0};
  if (r->def.lease > 0) return dpc_seconds(r->def.lease);
  const dpc_duration least = dpc_seconds(0.02),
                     ticks = {3 * dpc_run_period(r->policy, &r->controller_def).ns};
  return ticks.ns > least.ns ? ticks : least;
}

static dpc_status start(run* r, dpc_config_section* sections, dpc_error* error) {
  DPC_TRY(load(r, sections, error));
  DPC_TRY(prepare(r, error));
  DPC_TRY(connect_robot(r, error));
  DPC_TRY(make_controller(r, error));
  DPC_TRY(dpc_ack_open(r->link_def.endpoint, &r->ack_fd, error));
  DPC_TRY(make_recorder(r, sections, error));
  DPC_TRY(make_loop(r, error));
  DPC_TRY(dpc_loop_start(r->loop, error));
  const dpc_run_link_def def = {.lease = lease_time(r),
                                // without this no other machine can be reached
                                .same_clock = !r->link_def.insecure,
                                .place = r->link_place};
  return dpc_run_link_start(&r->carrier, &def, r->link, r->loop, error);
}

// --- the end --------------------------------------------------------------------------------------

static dpc_status report(run* r, dpc_error* error) {
  r->result.pace = dpc_pace_names[r->def.pace];
  r->result.delay = r->controller_def.delay;
  r->result.steps = r->sampler.steps;
  r->result.rt = dpc_rt_mode_names[dpc_run_rt(&r->def)];
  r->result.memory_locked = r->granted.memory;
  r->result.control = dpc_loop_thread(r->loop);
  r->result.planner = dpc_planner_thread(r->planner);
  r->result.loop = dpc_loop_measured(r->loop);
  r->result.inference = dpc_planner_latency(r->planner);
  r->result.controller = dpc_controller_counts(r->controller);
  r->result.link = &r->carrier;
  r->result.link_counts = dpc_link_counts(r->link);
  r->result.record = dpc_recorder_result_of(r->recorder);
  return dpc_run_report(&r->cli, &r->result, error);
}

static dpc_status drive(run* r, dpc_config_section* sections, dpc_error* error) {
  DPC_TRY(dpc_run_open_signals(&r->signal_fd, error));
  const dpc_status status = start(r, sections, error);
  if (status == DPC_ERR_INTERRUPTED) {
    dpc_log(DPC_LOG_INFO, "interrupted before a robot answered");
    return DPC_OK;
  }
  if (status != DPC_OK) {
    if (r->link != NULL) dpc_link_bye(r->link, "the controller could not start");
    return status;
  }
  dpc_run_supervisor supervisor = {.def = &r->def,
                                   .endpoint = r->link_def.endpoint,
                                   .signal_fd = r->signal_fd,
                                   .ack_fd = r->ack_fd,
                                   .carrier = &r->carrier,
                                   .loop = r->loop,
                                   .recorder = r->recorder,
                                   .result = &r->result};
  dpc_run_supervise(&supervisor);
  dpc_run_bring_to_rest(&supervisor);
  dpc_loop_stop(r->loop);
  dpc_run_link_stop(&r->carrier);
  dpc_recorder_stop(r->recorder);
  return report(r, error);
}

int main(int argc, char** argv) {
  static run r = {.ack_fd = -1};
  dpc_config_section sections[SECTIONS];
  list_sections(&r, sections);
  const dpc_cli_program program = {
      .name = "run",
      .doc =
          "Drive a robot with a policy.\v"
          "Ends when the robot says Bye, after run.episodes or run.duration, or with Ctrl-C: the "
          "robot is brought to rest first. A robot that falls silent is waited for, and one that "
          "is "
          "held for a fault until `dpc ack`. Section sampler defaults to what the policy's "
          "file says.",
      .sections = sections,
      .section_count = SECTIONS,
      .config_required = true,
  };
  dpc_error error = {""};
  dpc_thread_count_heap(dpc_allocations_here);
  dpc_cli_start(&program, argc, argv, &r.cli, NULL);
  const dpc_status status = drive(&r, sections, &error);
  dpc_run_link_stop(&r.carrier);
  dpc_loop_destroy(r.loop);
  dpc_recorder_destroy(r.recorder);
  dpc_planner_destroy(r.planner);
  dpc_link_destroy(r.link);
  if (r.ack_fd >= 0) close(r.ack_fd);
  free(r.result.episodes);
  dpc_arena_unmap(&r.arena);
  return dpc_cli_finish(&r.cli, status, &error);
}
