// A program like those in tools/, for tests/test_cli.c to run: it says what it understood.
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/cli.h"

typedef struct world_def {
  int steps;
} world_def;

static const dpc_field world_fields[] = {
    DPC_INT(world_def, steps, "300", 1, 1000, "", "steps of an episode")};
static DPC_FIELD_TABLE(world_table, world_def, "world", "The world.", world_fields);

typedef struct args {
  dpc_cli cli;
  dpc_seed_range seeds;
  int count;
  double rate;
  int pace;
  const char* task;  // what to do: an exit status, or "signal", "progress", "full"
} args;

static const struct argp_option options[] = {
    {"seeds", 's', "A:B", 0, "Seeds", 0},      {"count", 'n', "N", 0, "A count", 0},
    {"rate", 'r', "X", 0, "A rate", 0},        {"pace", 'p', "PACE", 0, "A pace", 0},
    {"task", 't', "TASK", 0, "What to do", 0}, {0}};

static error_t parse(int key, char* text, struct argp_state* state) {
  static const char* const paces[] = {"realtime", "lockstep", NULL};
  args* a = state->input;
  switch (key) {
    case 's':
      a->seeds = dpc_cli_seeds(state, "--seeds", text);
      return 0;
    case 'n':
      a->count = dpc_cli_int(state, "--count", text, 0, 9);
      return 0;
    case 'r':
      a->rate = dpc_cli_real(state, "--rate", text, 0, 1);
      return 0;
    case 'p':
      a->pace = dpc_cli_choice(state, "--pace", text, paces);
      return 0;
    case 't':
      a->task = text;
      return 0;
    default:
      return ARGP_ERR_UNKNOWN;
  }
}

static dpc_status work(args* a, const world_def* world, dpc_error* error) {
  DPC_TRY(dpc_cli_read_config(&a->cli, error));
  const char* task = a->task == NULL ? "" : a->task;
  dpc_log(DPC_LOG_DEBUG, "a debug line");
  dpc_log(DPC_LOG_INFO, "an info line");
  dpc_log(DPC_LOG_WARNING, "a warning line");
  if (strcmp(task, "data") == 0) return dpc_fail(error, DPC_ERR_FORMAT, "a.bin: bad data");
  if (strcmp(task, "peer") == 0) return DPC_ERR_TIMEOUT;
  if (strcmp(task, "config") == 0) return dpc_fail(error, DPC_ERR_CONFIG, "a does not go with b");
  for (int i = 0; strcmp(task, "progress") == 0 && i < 3; ++i) {
    dpc_cli_progress(&a->cli, "step %d of 3", i);
  }
  if (strcmp(task, "signal") == 0) {
    dpc_cli_catch_signals();
    (void)raise(SIGTERM);
    if (!dpc_cli_interrupted()) return DPC_ERR_TIMEOUT;
  }
  dpc_cli_print(&a->cli, "steps %d, seeds %llu to %llu, count %d, rate %g, pace %d\n", world->steps,
                (unsigned long long)a->seeds.first, (unsigned long long)a->seeds.end, a->count,
                a->rate, a->pace);
  dpc_json* report = dpc_json_object();
  dpc_json_set_int(report, "steps", world->steps);
  return dpc_cli_report(&a->cli, report, error);
}

int main(int argc, char** argv) {
  world_def world;
  const dpc_config_section sections[] = {{.table = &world_table, .def = &world}};
  const dpc_cli_program program = {.name = "probe",
                                   .doc = "A probe.",
                                   .options = options,
                                   .parse = parse,
                                   .sections = sections,
                                   .section_count = DPC_COUNT(sections),
                                   .config_required = getenv("PROBE_NEEDS_CONFIG") != NULL};
  args a = {0};
  dpc_error error = {""};
  dpc_cli_start(&program, argc, argv, &a.cli, &a);
  return dpc_cli_finish(&a.cli, work(&a, &world, &error), &error);
}
