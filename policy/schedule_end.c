#include "policy/schedule_end.h"

#include <math.h>
#include <stdio.h>

dpc_schedule_end dpc_schedule_end_of(const dpc_schedule* schedule) {
  const int steps = schedule->def.steps;
  const bool flow = schedule->def.kind == DPC_SCHEDULE_FLOW;
  const dpc_noise_level last = dpc_schedule_level(schedule, flow ? steps : steps - 1);
  return (dpc_schedule_end){.mean = last.signal, .variance = last.noise * last.noise};
}

bool dpc_schedule_end_check(const dpc_schedule* schedule, char* words, size_t capacity) {
  const dpc_schedule_end end = dpc_schedule_end_of(schedule);
  const bool reached = end.mean <= DPC_SCHEDULE_MEAN_TOLERANCE &&
                       fabs(end.variance - 1) <= DPC_SCHEDULE_VARIANCE_TOLERANCE;
  char kind[64];
  const dpc_field* field = dpc_fields_find(&dpc_schedule_fields, "kind");
  if (dpc_field_print(field, &schedule->def, kind, sizeof kind) != DPC_OK) kind[0] = '\0';
  (void)snprintf(
      words, capacity,
      "schedule %s, %d steps: ends with mean factor %.3g and variance %.4g, %s of the unit "
      "Gaussian's 0 (+%g) and 1 (+-%g)%s",
      kind, schedule->def.steps, end.mean, end.variance,
      reached ? "within the tolerance" : "not within the tolerance", DPC_SCHEDULE_MEAN_TOLERANCE,
      DPC_SCHEDULE_VARIANCE_TOLERANCE, reached ? "" : "; take more steps or larger betas");
  return reached;
}
