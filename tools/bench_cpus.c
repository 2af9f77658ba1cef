#include "tools/bench_cpus.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void read_model(char* model, size_t size) {
  FILE* file = fopen("/proc/cpuinfo", "re");
  if (file == NULL) return;
  char line[256];
  while (fgets(line, sizeof line, file) != NULL) {
    const char* text = strstr(line, ": ");
    if (strncmp(line, "model name", 10) != 0 || text == NULL) continue;
    (void)snprintf(model, size, "%.*s", (int)strcspn(text + 2, "\n"), text + 2);
    break;
  }
  (void)fclose(file);
}

dpc_status dpc_cpus_read(dpc_cpus* out, dpc_error* error) {
  dpc_cpus cpus = {.last = -1};
  if (sched_getaffinity(0, sizeof cpus.allowed, &cpus.allowed) != 0) {
    return dpc_fail(error, DPC_ERR_IO, "cannot read the processors allowed: %s", strerror(errno));
  }
  cpus.count = CPU_COUNT(&cpus.allowed);
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &cpus.allowed)) cpus.last = cpu;
  }
  read_model(cpus.model, sizeof cpus.model);
  *out = cpus;
  return DPC_OK;
}

dpc_status dpc_cpus_use(const dpc_cpus* cpus, int count, dpc_error* error) {
  cpu_set_t used;
  CPU_ZERO(&used);
  for (int cpu = cpus->last; cpu >= 0 && count > 0; --cpu) {
    if (!CPU_ISSET(cpu, &cpus->allowed)) continue;
    CPU_SET(cpu, &used);
    count -= 1;
  }
  const struct sched_param ordinary = {.sched_priority = 0};
  if (sched_setaffinity(0, sizeof used, &used) != 0 ||
      sched_setscheduler(0, SCHED_OTHER, &ordinary) != 0) {
    return dpc_fail(error, DPC_ERR_IO, "cannot choose the processor: %s", strerror(errno));
  }
  return DPC_OK;
}
