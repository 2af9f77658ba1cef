/// When to say that we live, and when to believe that the other end does not. Pure functions of
/// the time that they are given.
#pragma once

#include "policy/base.h"

/// How often each end sends a heartbeat. Half of the shortest dead_after at most.
#define DPC_HEARTBEAT_PERIOD ((dpc_duration){INT64_C(50000000)})

typedef struct dpc_liveness {
  dpc_duration dead_after;
  dpc_time heard;    // last sign of life
  dpc_time spoken;   // last heartbeat sent
  dpc_time updated;  // last call of dpc_liveness_update
  bool excused;      // this silence was ours once already
} dpc_liveness;

/// Begin: the other end has just been heard, and a heartbeat is due one period from now.
/// Allocates: no. Blocks: no. Thread: any.
void dpc_liveness_start(dpc_liveness* liveness, dpc_duration dead_after, dpc_time now);

/// A message came.
/// Allocates: no. Blocks: no. Thread: any.
void dpc_liveness_heard(dpc_liveness* liveness, dpc_time now);

/// Time passes; call it each time that the socket has been emptied. True when the other end counts
/// as dead. When the last call is longer ago than four heartbeats (the process was stopped, or busy
/// elsewhere), the silence may be ours: then it is given two heartbeats more, once.
/// Allocates: no. Blocks: no. Thread: any.
bool dpc_liveness_update(dpc_liveness* liveness, dpc_time now);

/// True when a heartbeat is due; the next is due one period later.
/// Allocates: no. Blocks: no. Thread: any.
bool dpc_liveness_speak(dpc_liveness* liveness, dpc_time now);
