/// dpc-ack: acknowledge the fault in which a running controller holds its robot.

#include "runtime/acknowledge.h"
#include "runtime/link_def.h"
#include "tools/cli.h"

typedef struct args {
  dpc_cli cli;
  const char* endpoint;
} args;

static error_t parse(int key, char* text, struct argp_state* state) {
  args* a = state->input;
  if (key != ARGP_KEY_ARG || a->endpoint != NULL) return ARGP_ERR_UNKNOWN;
  a->endpoint = text;
  return 0;
}

static dpc_status acknowledge(const args* a, dpc_error* error) {
  const dpc_link_def fallback = dpc_link_def_default();
  const char* endpoint = a->endpoint != NULL ? a->endpoint : fallback.endpoint;
  char answer[256];
  DPC_TRY(dpc_ack_send(endpoint, dpc_seconds(2), answer, sizeof answer, error));
  dpc_cli_print(&a->cli, "%s\n", answer);
  dpc_json* json = dpc_json_object();
  dpc_json_set_text(json, "answer", answer);
  return dpc_cli_report(&a->cli, json, error);
}

int main(int argc, char** argv) {
  const dpc_cli_program program = {
      .name = "ack",
      .doc =
          "Acknowledge the fault in which a running controller holds its robot.\v"
          "ENDPOINT is the link.endpoint that `dpc run` was started with, its default otherwise. "
          "Look at the robot first: it will move again. Heeded from the user who started the "
          "controller and from root, on the same machine.",
      .arguments = "[ENDPOINT]",
      .parse = parse};
  args a = {0};
  dpc_error error = {""};
  dpc_cli_start(&program, argc, argv, &a.cli, &a);
  return dpc_cli_finish(&a.cli, acknowledge(&a, &error), &error);
}
