/// dpc-replay: what was recorded, computed again and compared.

#include "tools/replay.h"

typedef struct replay {
  dpc_cli cli;
  const char* run;     // RUN.mcap
  const char* world;   // --world
  const char* policy;  // --policy
} replay;

static const struct argp_option options[] = {
    {"policy", 'p', "FILE", 0, "The policy of RUN, when it is not where it was", 0},
    {"world", 'w', "PATH", 0, "Replay this episode log through the push world", 0},
    {0}};

static error_t parse(int key, char* text, struct argp_state* state) {
  replay* r = state->input;
  switch (key) {
    case 'p':
      r->policy = text;
      return 0;
    case 'w':
      r->world = text;
      return 0;
    case ARGP_KEY_ARG:
      if (r->run != NULL) argp_error(state, "one RUN.mcap at a time");
      r->run = text;
      return 0;
    case ARGP_KEY_END:
      if ((r->run == NULL) == (r->world == NULL)) {
        argp_error(state, "RUN.mcap or --world PATH is needed, and not both");
      }
      if (r->policy != NULL && r->run == NULL) argp_error(state, "--policy goes with RUN.mcap");
      return 0;
    default:
      return ARGP_ERR_UNKNOWN;
  }
}

int main(int argc, char** argv) {
  const dpc_cli_program program = {
      .name = "replay",
      .doc =
          "Compute what was recorded again, and compare.\v"
          "RUN.mcap is a recording of dpc run (run.record). Its observations, and which plan "
          "arrived "
          "at which tick, are given to the controller and the policy again; every plan and every "
          "command must have the recorded bits. Ends with code 1, and the first tick and field "
          "that "
          "differ, when they have not. The same bits need the same processor type, packages and "
          "build.\n\n"
          "With --world, each episode of the push world begins at its first recorded state, at "
          "rest, and gets its actions; the largest distance between the block and its recorded "
          "position is reported. Ends with code 1 when it exceeds 1 px in any episode.",
      .arguments = "RUN.mcap\n--world PATH",
      .options = options,
      .parse = parse,
  };
  replay r = {0};
  dpc_error error = {""};
  dpc_cli_start(&program, argc, argv, &r.cli, &r);
  dpc_cli_catch_signals();
  const dpc_status status = r.world != NULL ? dpc_replay_world(&r.cli, r.world, &error)
                                            : dpc_replay_run(&r.cli, r.run, r.policy, &error);
  return dpc_cli_finish(&r.cli, status, &error);
}
