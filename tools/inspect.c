/// dpc-inspect: what is in an episode log, a checkpoint, a training run or a recording.

#include "tools/inspect.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "tools/train_run.h"

static const char doc[] =
    "Say what is in PATH: the folder of an episode log, a checkpoint (.safetensors), the folder of "
    "a "
    "training run, or the recording of a dpc run (.mcap, or the .mcap.part that a killed one "
    "leaves). "
    "Several runs become a table, with the settings in which they differ, and "
    "mean and standard deviation of those that differ in train.seed alone."
    "\vEverything is read and verified on the way, so that what is shown can be trained from or "
    "run. "
    "With --verbose, every value of every signal, and every measured step of a run, has its own "
    "line.";

enum { PATHS_MAX = 256 };

typedef struct inspect {
  dpc_cli cli;
  int count;
  const char* paths[PATHS_MAX];
} inspect;

static error_t parse(int key, char* text, struct argp_state* state) {
  inspect* s = state->input;
  switch (key) {
    case ARGP_KEY_ARG:
      if (s->count == PATHS_MAX) argp_error(state, "more than %d paths", PATHS_MAX);
      s->paths[s->count++] = text;
      return 0;
    case ARGP_KEY_END:
      if (s->count == 0) argp_error(state, "PATH is needed");
      return 0;
    default:
      return ARGP_ERR_UNKNOWN;
  }
}

static bool ends_with(const char* text, const char* end) {
  const size_t length = strlen(text), tail = strlen(end);
  return length > tail && strcmp(text + length - tail, end) == 0;
}

static bool is_recording(const char* path) {
  return ends_with(path, ".mcap") || ends_with(path, ".mcap.part");
}

static dpc_status run(const inspect* s, dpc_error* error) {
  struct stat info;
  const char* path = s->paths[0];
  if (s->count > 1) return dpc_inspect_runs(&s->cli, s->paths, s->count, error);
  if (stat(path, &info) != 0) {
    return dpc_fail(error, DPC_ERR_NOT_FOUND, "%s: %s", path, strerror(errno));
  }
  if (!S_ISDIR(info.st_mode) && is_recording(path)) {
    return dpc_inspect_recording(&s->cli, path, error);
  }
  if (!S_ISDIR(info.st_mode)) return dpc_inspect_safetensors(&s->cli, path, error);
  return dpc_train_run_is(path) ? dpc_inspect_run(&s->cli, path, error)
                                : dpc_inspect_episodes(&s->cli, path, error);
}

int main(int argc, char** argv) {
  static inspect s;
  dpc_error error = {""};
  const dpc_cli_program program = {
      .name = "inspect", .doc = doc, .arguments = "PATH...", .parse = parse};
  dpc_cli_start(&program, argc, argv, &s.cli, &s);
  const dpc_status status = run(&s, &error);
  return dpc_cli_finish(&s.cli, status, &error);
}
