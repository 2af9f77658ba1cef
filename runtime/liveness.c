#include "runtime/liveness.h"

void dpc_liveness_start(dpc_liveness* liveness, dpc_duration dead_after, dpc_time now) {
  *liveness = (dpc_liveness){.dead_after = dead_after, .heard = now, .spoken = now, .updated = now};
}

void dpc_liveness_heard(dpc_liveness* liveness, dpc_time now) {
  liveness->heard = now;
  liveness->excused = false;
}

bool dpc_liveness_update(dpc_liveness* liveness, dpc_time now) {
  const dpc_duration away = dpc_time_since(now, liveness->updated);
  const dpc_duration silence = dpc_time_since(now, liveness->heard);
  liveness->updated = now;
  if (silence.ns <= liveness->dead_after.ns) return false;
  if (away.ns <= 4 * DPC_HEARTBEAT_PERIOD.ns || liveness->excused) return true;
  liveness->excused = true;
  liveness->heard.ns = now.ns - liveness->dead_after.ns + 2 * DPC_HEARTBEAT_PERIOD.ns;
  return false;
}

bool dpc_liveness_speak(dpc_liveness* liveness, dpc_time now) {
  if (dpc_time_since(now, liveness->spoken).ns < DPC_HEARTBEAT_PERIOD.ns) return false;
  liveness->spoken = now;
  return true;
}
