/// The push world: a disc pushes a T-shaped block on a table, physics and numbers those of the
/// public Push-T benchmark, so that scores compare. Pixels, seconds and radians; the table is 512
/// wide and high, y as the benchmark has it (down on the screen).
#pragma once

#include "sim/push_reset.h"

/// The order in which a block is given its place. Setting the angle turns the block about its centre
/// of gravity, so the two orders put its origin at different points.
typedef enum dpc_push_placing {
  DPC_PLACE_LEGACY,       // position, then angle: what the benchmark's evaluation does
  DPC_PLACE_ANGLE_FIRST,  // angle, then position: the state is taken at its word
} dpc_push_placing;

enum {
  DPC_PUSH_SIZE = 512,  // width and height of the table, px
  DPC_PUSH_PHYSICS_HZ = 100,
  DPC_PUSH_CONTROL_HZ = 10,
  DPC_PUSH_STEP_TICKS = DPC_PUSH_PHYSICS_HZ / DPC_PUSH_CONTROL_HZ,  // physics in a control step
  DPC_PUSH_AGENT_RADIUS = 15,                                       // px
};

typedef struct dpc_push_world dpc_push_world;

/// Make a world; place something before stepping it. The first world of a process is made with
/// standard output turned away for a moment (Chipmunk prints a banner there): make one before
/// starting threads that print.
/// Allocates: heap, here and in Chipmunk. Blocks: no. Thread: any, one world each.
DPC_NODISCARD dpc_status dpc_push_world_create(dpc_push_world** out, dpc_error* error);

/// Free a world. NULL is left alone.
/// Allocates: no. Blocks: no. Thread: the world's owner.
void dpc_push_world_destroy(dpc_push_world* world);

/// Start anew from a state: everything at rest, then one physics step, which also pushes apart what
/// overlaps. Nothing is left of what happened before.
/// Allocates: heap, in Chipmunk. Blocks: no. Thread: the world's owner.
void dpc_push_world_place(dpc_push_world* world, const dpc_push_state* state,
                          dpc_push_placing placing);

/// `ticks` physics steps of 0.01 s with the agent drawn to (target_x, target_y), which must be
/// finite. Same calls, same build: same bits; ten calls for one tick each are one call for ten.
/// Allocates: heap, in Chipmunk. Blocks: no. Thread: the world's owner.
void dpc_push_world_advance(dpc_push_world* world, double target_x, double target_y, int ticks);

/// One control step of 0.1 s: ten physics steps.
/// Allocates: heap, in Chipmunk. Blocks: no. Thread: the world's owner.
void dpc_push_world_step(dpc_push_world* world, double target_x, double target_y);

/// Where everything is now.
/// Allocates: no. Blocks: no. Thread: the world's owner.
dpc_push_state dpc_push_world_state(const dpc_push_world* world);
