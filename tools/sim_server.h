/// The push world as a robot on the link: one episode after the other, for one controller at a
/// time.
#pragma once

#include "runtime/link_def.h"
#include "sim/push_task.h"
#include "sim/render.h"

typedef enum dpc_sim_pace {
  DPC_SIM_REALTIME,  // a step every 0.1 s, with the newest command or, without one, holding still
  DPC_SIM_LOCKSTEP,  // a step when the command for this tick has come
} dpc_sim_pace;

typedef struct dpc_sim_def {
  int pace;             // dpc_sim_pace
  uint64_t first_seed;  // of the first episode; each that follows has the next one
  int episodes;         // then end with Bye; 0: go on until stopped
} dpc_sim_def;

/// Section "sim".
extern const dpc_field_table dpc_sim_fields;

/// The fields' ranges, and seeds below 2^32.
/// Allocates: no. Blocks: no. Thread: any.
DPC_NODISCARD dpc_status dpc_sim_def_check(const dpc_sim_def* def, dpc_error* error);

/// A finished episode.
typedef struct dpc_sim_episode {
  uint32_t seed;
  int steps;
  int held;  // steps without a valid command
  double score;
  bool success;
} dpc_sim_episode;

typedef struct dpc_sim_result {
  int count;
  dpc_sim_episode* episodes;  // [count], in the order in which they ended
  uint64_t late;              // steps that were due and skipped, in real time
  dpc_link_counters link;
  int frame_count;
  dpc_render_frame frames[DPC_PUSH_STEPS_MAX + 1];  // of the last episode that ended
} dpc_sim_result;

/// Serve until the episodes are done, or a signal came (dpc_cli_catch_signals), and say Bye.
/// `result` is zeroed by the caller and freed with dpc_sim_result_free, also on failure: it holds
/// what was done until then. DPC_ERR_IO when another process listens at the endpoint.
/// Allocates: heap. Blocks: until done. Thread: main.
DPC_NODISCARD dpc_status dpc_sim_serve(const dpc_sim_def* def, const dpc_link_def* link,
                                       dpc_sim_result* result, dpc_error* error);

/// Free what a result holds.
/// Allocates: no. Blocks: no. Thread: any.
void dpc_sim_result_free(dpc_sim_result* result);
