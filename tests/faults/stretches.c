#include "tests/faults/stretches.h"

#include <math.h>

#include "proto/run_log.h"
#include "runtime/tick_message.h"

static const scene_stretch* stretch_at(const scene* s, dpc_time time) {
  for (int i = 0; i < s->stretch_count; ++i) {
    const scene_stretch* at = &s->stretches[i];
    if (time.ns >= at->start.ns && time.ns < at->end.ns) return at;
  }
  return NULL;
}

static void count(const scene* s, const dpc_tick_record* record, uint64_t missed, stretches* out) {
  const scene_stretch* at = stretch_at(s, record->times.start);
  if (at == NULL) return;
  *(at->disturbed ? &out->ticks : &out->quiet_ticks) += 1;
  *(at->disturbed ? &out->missed : &out->quiet_missed) += missed;
}

static double messages_per_second(const scene* s) {
  double seconds = 0, messages = 0;
  for (int i = 0; i < s->stretch_count; ++i) {
    const scene_stretch* at = &s->stretches[i];
    if (!at->disturbed) continue;
    seconds += dpc_to_seconds(dpc_time_since(at->end, at->start));
    messages += (double)at->passed;
  }
  return seconds > 0 ? messages / seconds : 0;
}

bool stretches_read(const scene* s, stretches* out) {
  dpc_error error;
  dpc_run_log* log = NULL;
  *out = (stretches){.per_second = messages_per_second(s)};
  if (s->stretch_count == 0 || s->recording[0] == '\0' ||
      dpc_run_log_open(s->recording, &dpc_tick_table, &log, &error) != DPC_OK) {
    return false;
  }
  dpc_tick_record record = {0};
  dpc_run_log_event event = {.kind = DPC_RUN_LOG_GAP};
  uint64_t expected = 0, epoch = 0;
  dpc_status status = DPC_OK;
  while (status == DPC_OK && event.kind != DPC_RUN_LOG_DONE) {
    status = dpc_run_log_read(log, &record, &event, &error);
    if (status != DPC_OK || event.kind != DPC_RUN_LOG_TICK) continue;
    const bool goes_on = record.input.epoch == epoch && record.input.tick >= expected;
    count(s, &record, goes_on ? record.input.tick - expected : 0, out);
    expected = record.input.tick + 1;
    epoch = record.input.epoch;
  }
  dpc_run_log_free(log);
  return status == DPC_OK;
}

double stretches_extra(const stretches* s) {
  const double quiet = (double)s->quiet_missed;
  return (double)s->missed - (quiet + 3 * sqrt(quiet + 1));
}
