/// Both ends of the link over real sockets, driven in turns from one thread.
#pragma once

#include <stdio.h>
#include <unistd.h>

#include "runtime/clock.h"
#include "runtime/link.h"
#include "runtime/robot.h"
#include "tests/test.h"

enum { ARENA_SIZE = 2 << 20, PATIENCE_S = 20 };

static char folder[] = "/tmp/dpc_link_XXXXXX";
static dpc_error error;

typedef struct pair {
  dpc_link_def def;
  dpc_interface need, have;
  dpc_arena link_arena, robot_arena;
  dpc_link* link;
  dpc_robot* robot;
} pair;

static inline dpc_interface policy_interface(void) {
  dpc_interface interface = {.period_ns = 100000000};
  dpc_layout_add(&interface.obs, "keypoint", 3, "px", NULL);
  dpc_layout_add(&interface.obs, "agent_pos", 2, "px", NULL);
  dpc_layout_add(&interface.action, "action", 2, "px", "agent_pos");
  dpc_layout_add(&interface.action, "grip", 1, "", NULL);
  return interface;
}

/// The robot has one signal more, in front.
static inline dpc_interface robot_interface(void) {
  dpc_interface interface = {.period_ns = 100000000};
  dpc_layout_add(&interface.obs, "block_angle", 1, "rad", NULL);
  dpc_layout_add(&interface.obs, "agent_pos", 2, "px", NULL);
  dpc_layout_add(&interface.obs, "keypoint", 3, "px", NULL);
  dpc_layout_add(&interface.action, "action", 2, "px", "agent_pos");
  dpc_layout_add(&interface.action, "grip", 1, "", NULL);
  dpc_interface_limit(&interface, "grip", DPC_LIMIT_SPEED, &(float){2.5F});
  return interface;
}

static inline void prepare(pair* p, const char* endpoint, double dead_after) {
  *p = (pair){.def = dpc_link_def_default(), .need = policy_interface(), .have = robot_interface()};
  p->def.dead_after = dead_after;
  snprintf(p->def.endpoint, sizeof p->def.endpoint, "%s", endpoint);
  assert_ok(dpc_arena_map(&p->link_arena, ARENA_SIZE, &error), &error);
  assert_ok(dpc_arena_map(&p->robot_arena, ARENA_SIZE, &error), &error);
}

static inline void open_robot(pair* p) {
  assert_ok(dpc_robot_bind(&p->def, &p->have, "robot 1", &p->robot_arena, &p->robot, &error),
            &error);
  snprintf(p->def.endpoint, sizeof p->def.endpoint, "%s", dpc_robot_endpoint(p->robot));
}

static inline void open_link(pair* p) {
  assert_ok(dpc_link_create(&p->def, &p->need, "dpc 1", &p->link_arena, &p->link, &error), &error);
  assert_ok(dpc_link_connect(p->link, &error), &error);
}

static inline void close_pair(pair* p) {
  if (p->link != NULL) dpc_link_destroy(p->link);
  if (p->robot != NULL) dpc_robot_close(p->robot, "over");
  dpc_arena_unmap(&p->link_arena);
  dpc_arena_unmap(&p->robot_arena);
}

static inline dpc_time patience(void) {
  return dpc_time_after(dpc_clock_now(), dpc_seconds(PATIENCE_S));
}

/// Give both ends turns until both wanted events have come (NOTHING wants none); others are dropped.
static inline void turns(pair* p, dpc_link_event_kind link_kind, dpc_robot_event_kind robot_kind,
                         dpc_link_event* link_event, dpc_robot_event* robot_event) {
  bool link_done = link_kind == DPC_LINK_NOTHING, robot_done = robot_kind == DPC_ROBOT_NOTHING;
  const dpc_time end = patience();
  while (!link_done || !robot_done) {
    if (dpc_clock_now().ns > end.ns) fail_msg("no event %d, %d", link_kind, robot_kind);
    dpc_robot_event robot_now;
    dpc_link_event link_now;
    if (p->robot != NULL) {
      dpc_robot_poll(p->robot, dpc_seconds(0.001), -1, &robot_now);
      if (!robot_done && robot_now.kind == robot_kind) {
        robot_done = true;
        if (robot_event != NULL) *robot_event = robot_now;
      }
    }
    if (p->link != NULL && !(link_done && link_event != NULL)) {
      dpc_link_poll(p->link, dpc_seconds(0.001), -1, &link_now);
      if (!link_done && link_now.kind == link_kind) {
        link_done = true;
        if (link_event != NULL) *link_event = link_now;
      }
    }
  }
}

static inline void open_pair(pair* p, const char* endpoint, double dead_after) {
  prepare(p, endpoint, dead_after);
  open_robot(p);
  open_link(p);
  turns(p, DPC_LINK_CONNECTED, DPC_ROBOT_CONNECTED, NULL, NULL);
}

static inline void observe(pair* p, uint64_t seed, uint64_t tick, bool done) {
  const float row[6] = {0.5f, 1, 2, 3, 4, (float)tick};
  const dpc_observation observation = {.seed = seed,
                                       .tick = tick,
                                       .sample_time_ns = 1,
                                       .value_count = 6,
                                       .values = row,
                                       .reward = 0.25,
                                       .done = done};
  assert_ok(dpc_robot_send_observation(p->robot, &observation, &error), &error);
}

static inline dpc_status command(pair* p, uint32_t episode, uint64_t tick, float first,
                                 int64_t lease_ns) {
  const float row[3] = {first, -1, 1};
  const dpc_command sent = {
      .episode = episode, .tick = tick, .value_count = 3, .values = row, .lease_ns = lease_ns};
  return dpc_link_send_command(p->link, &sent, &error);
}

/// Let what has been sent arrive: nothing tells when, so wait for a heartbeat's worth of quiet.
static inline void settle(void) {
  usleep(60000);
}

static inline int make_folder(void** state) {
  (void)state;
  return mkdtemp(folder) == NULL;
}

static inline int remove_folder(void** state) {
  (void)state;
  // what killed robots left: their sockets and locks
  static const char* const names[] = {"killed", "killed.lock", "stopped", "stopped.lock"};
  for (int i = 0; i < DPC_COUNT(names); ++i) {
    char path[64];
    snprintf(path, sizeof path, "%s/%s", folder, names[i]);
    unlink(path);
  }
  return rmdir(folder);
}
