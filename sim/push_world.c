#include "sim/push_world.h"

#include <chipmunk/chipmunk.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "sim/push_block.h"

// The agent is a kinematic disc whose velocity follows a spring and a damper to the target.
static const double STIFFNESS = 100, DAMPING = 20;
static const double WALL_NEAR = 5, WALL_FAR = 506, WALL_RADIUS = 2;

enum { WALLS = 4, SHAPES = WALLS + 3 };

struct dpc_push_world {
  cpSpace* space;
  cpBody* agent;
  cpBody* block;
  cpShape* shapes[SHAPES];  // walls, agent, bar, stem
};

// --- Chipmunk's banner ---------------------------------------------------------------------------

// Debian's Chipmunk is a debug build that prints two lines on standard output when the first space
// is made. They would end up in the middle of results.
static void swallow_banner(void) {
  fflush(stdout);
  const int kept = dup(STDOUT_FILENO);
  const int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
  if (kept >= 0 && nowhere >= 0) dup2(nowhere, STDOUT_FILENO);
  cpSpaceFree(cpSpaceNew());
  fflush(stdout);
  if (kept >= 0) {
    dup2(kept, STDOUT_FILENO);
    close(kept);
  }
  if (nowhere >= 0) close(nowhere);
}

// --- making a space ------------------------------------------------------------------------------

static cpShape* add_wall(cpSpace* space, cpVect from, cpVect to) {
  cpShape* wall = cpSegmentShapeNew(cpSpaceGetStaticBody(space), from, to, WALL_RADIUS);
  return cpSpaceAddShape(space, wall);
}

static cpShape* add_rectangle(cpSpace* space, cpBody* body, const dpc_rectangle* r) {
  const cpVect corners[4] = {cpv(r->x0, r->y1), cpv(r->x1, r->y1), cpv(r->x1, r->y0),
                             cpv(r->x0, r->y0)};
  cpShape* shape = cpPolyShapeNew(body, 4, corners, cpTransformIdentity, 0);
  return cpSpaceAddShape(space, shape);
}

// The block weighs 1. Its moment counts the bar twice and the stem never: the benchmark's own
// mistake, kept because the demonstrations were given under it.
static double block_moment(void) {
  const dpc_rectangle* r = &dpc_push_block[0];
  const cpVect corners[4] = {cpv(r->x0, r->y1), cpv(r->x1, r->y1), cpv(r->x1, r->y0),
                             cpv(r->x0, r->y0)};
  const double bar = cpMomentForPoly(1, 4, corners, cpvzero, 0);
  return bar + bar;
}

// The order in which bodies and shapes are added, and where they are at that moment, shape the tree
// of bounding boxes and so the order in which contacts are solved. Both are the benchmark's: with
// other places the recorded demonstrations no longer replay.
static void build_space(dpc_push_world* w) {
  const double n = WALL_NEAR, f = WALL_FAR;
  w->space = cpSpaceNew();
  cpSpaceSetGravity(w->space, cpvzero);
  cpSpaceSetDamping(w->space, 0);
  w->shapes[0] = add_wall(w->space, cpv(n, f), cpv(n, n));
  w->shapes[1] = add_wall(w->space, cpv(n, n), cpv(f, n));
  w->shapes[2] = add_wall(w->space, cpv(f, n), cpv(f, f));
  w->shapes[3] = add_wall(w->space, cpv(n, f), cpv(f, f));
  w->agent = cpSpaceAddBody(w->space, cpBodyNewKinematic());
  cpBodySetPosition(w->agent, cpv(256, 400));
  w->shapes[4] =
      cpSpaceAddShape(w->space, cpCircleShapeNew(w->agent, DPC_PUSH_AGENT_RADIUS, cpvzero));
  w->block = cpSpaceAddBody(w->space, cpBodyNew(1, block_moment()));
  cpBodySetCenterOfGravity(w->block, cpv(DPC_PUSH_BLOCK_COG_X, DPC_PUSH_BLOCK_COG_Y));
  cpBodySetPosition(w->block, cpv(256, 300));
  w->shapes[5] = add_rectangle(w->space, w->block, &dpc_push_block[0]);
  w->shapes[6] = add_rectangle(w->space, w->block, &dpc_push_block[1]);
}

static void free_space(dpc_push_world* w) {
  if (w->space == NULL) return;
  for (int i = SHAPES - 1; i >= 0; --i) {
    cpSpaceRemoveShape(w->space, w->shapes[i]);
    cpShapeFree(w->shapes[i]);
  }
  cpSpaceRemoveBody(w->space, w->block);
  cpBodyFree(w->block);
  cpSpaceRemoveBody(w->space, w->agent);
  cpBodyFree(w->agent);
  cpSpaceFree(w->space);
  w->space = NULL;
}

// --- the world -----------------------------------------------------------------------------------

dpc_status dpc_push_world_create(dpc_push_world** out, dpc_error* error) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, swallow_banner);
  dpc_push_world* world = calloc(1, sizeof *world);
  if (world == NULL) return dpc_fail(error, DPC_ERR_NO_MEMORY, "no memory for a push world");
  *out = world;
  return DPC_OK;
}

void dpc_push_world_destroy(dpc_push_world* world) {
  if (world == NULL) return;
  free_space(world);
  free(world);
}

void dpc_push_world_place(dpc_push_world* world, const dpc_push_state* state,
                          dpc_push_placing placing) {
  const cpVect block = cpv(state->block_x, state->block_y);
  free_space(world);
  build_space(world);
  cpBodySetPosition(world->agent, cpv(state->agent_x, state->agent_y));
  if (placing == DPC_PLACE_ANGLE_FIRST) cpBodySetAngle(world->block, state->block_angle);
  cpBodySetPosition(world->block, block);
  if (placing == DPC_PLACE_LEGACY) cpBodySetAngle(world->block, state->block_angle);
  cpSpaceStep(world->space, 1.0 / DPC_PUSH_PHYSICS_HZ);
}

void dpc_push_world_advance(dpc_push_world* world, double target_x, double target_y, int ticks) {
  const double dt = 1.0 / DPC_PUSH_PHYSICS_HZ;
  DPC_ASSERT(world->space != NULL);
  for (int i = 0; i < ticks; ++i) {
    const cpVect at = cpBodyGetPosition(world->agent), v = cpBodyGetVelocity(world->agent);
    const double ax = STIFFNESS * (target_x - at.x) + DAMPING * (0 - v.x);
    const double ay = STIFFNESS * (target_y - at.y) + DAMPING * (0 - v.y);
    cpBodySetVelocity(world->agent, cpv(v.x + ax * dt, v.y + ay * dt));
    cpSpaceStep(world->space, dt);
  }
}

void dpc_push_world_step(dpc_push_world* world, double target_x, double target_y) {
  dpc_push_world_advance(world, target_x, target_y, DPC_PUSH_STEP_TICKS);
}

dpc_push_state dpc_push_world_state(const dpc_push_world* world) {
  DPC_ASSERT(world->space != NULL);
  const cpVect agent = cpBodyGetPosition(world->agent), block = cpBodyGetPosition(world->block);
  return (dpc_push_state){agent.x, agent.y, block.x, block.y, cpBodyGetAngle(world->block)};
}
