/// dpc-inspect: what is in an episode log or a checkpoint.

#include "tools/inspect.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

static const char doc[] =
    "Say what is in PATH: the folder of an episode log, or a checkpoint (.safetensors)."
    "\vEverything is read and verified on the way, so that what is shown can be trained from or "
    "run. "
    "With --verbose, every value of every signal has its own line.";

typedef struct inspect {
  dpc_cli cli;
  const char* path;
} inspect;

static error_t parse(int key, char* text, struct argp_state* state) {
  inspect* s = state->input;
  switch (key) {
    case ARGP_KEY_ARG:
      if (state->arg_num > 0) argp_error(state, "too many arguments");
      s->path = text;
      return 0;
    case ARGP_KEY_END:
      if (s->path == NULL) argp_error(state, "PATH is needed");
      return 0;
    default:
      return ARGP_ERR_UNKNOWN;
  }
}

static dpc_status run(const inspect* s, dpc_error* error) {
  struct stat info;
  if (stat(s->path, &info) != 0) {
    return dpc_fail(error, DPC_ERR_NOT_FOUND, "%s: %s", s->path, strerror(errno));
  }
  return S_ISDIR(info.st_mode) ? dpc_inspect_episodes(&s->cli, s->path, error)
                               : dpc_inspect_safetensors(&s->cli, s->path, error);
}

int main(int argc, char** argv) {
  inspect s = {.path = NULL};
  dpc_error error = {""};
  const dpc_cli_program program = {
      .name = "inspect", .doc = doc, .arguments = "PATH", .parse = parse};
  dpc_cli_start(&program, argc, argv, &s.cli, &s);
  const dpc_status status = run(&s, &error);
  return dpc_cli_finish(&s.cli, status, &error);
}
