// The launcher: `dpc eval …` becomes the program dpc-eval beside this one. So each command is a
// program of its own that links what it needs and no more.
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "policy/field.h"

enum { EXIT_DONE = 0, EXIT_NOT_RUN = 1, EXIT_USAGE = 2 };

typedef struct command {
  const char* name;
  const char* doc;
} command;

// In the order in which a new user meets them.
static const command commands[] = {
    {"import", "recorded demonstrations of other projects -> episode log"},
    {"inspect", "what is in an episode log, a checkpoint or a training run"},
    {"replay", "recorded actions through the push world"},
    {"augment", "a log of the push world, aligned with the goal and mirrored"},
    {"train", "learn a policy from an episode log"},
    {"distill", "a policy that takes few evaluations, from one that takes many"},
    {"eval", "rollouts in process: score and success with confidence intervals"},
    {"sim", "serve the push world as a robot"},
    {"run", "drive a robot with a policy, in real time"},
    {"ack", "acknowledge the fault in which a controller holds its robot"},
    {"doctor", "is this machine fit for real time, and what would make it fitter"},
    {"bench", "time of a denoising step and of a chunk; how punctually the loop wakes up"},
    {"diffuse", "pictures of what diffusion does; does a noise schedule reach pure noise?"},
    {"export", "a policy's network for other runtimes (ONNX)"},
    {"verify", "compare the network with reference tensors"},
};

static int print_help(FILE* stream, int exit_code) {
  (void)fprintf(stream,
                "Usage: dpc COMMAND [ARGUMENT...]\n"
                "A diffusion-policy controller for real-time robots.\n\n");
  for (int i = 0; i < DPC_COUNT(commands); ++i) {
    (void)fprintf(stream, "  %-9s %s\n", commands[i].name, commands[i].doc);
  }
  (void)fprintf(
      stream,
      "\n`dpc help COMMAND` or `dpc COMMAND --help` says more; `dpc --version` the version."
      "\nExit codes: 0 done, 1 failed, 2 wrong usage or configuration.\n");
  if (fflush(stream) != 0) return EXIT_NOT_RUN;
  return exit_code;
}

// The command that is near to a misspelt one, found as near settings are.
static const char* nearest_command(const char* name) {
  dpc_field fields[DPC_COUNT(commands)];
  for (int i = 0; i < DPC_COUNT(commands); ++i) fields[i] = (dpc_field){.key = commands[i].name};
  const dpc_field_table table = {.fields = fields, .count = DPC_COUNT(commands)};
  return dpc_fields_nearest(&table, name);
}

static bool is_known(const char* name) {
  for (int i = 0; i < DPC_COUNT(commands); ++i) {
    if (strcmp(commands[i].name, name) == 0) return true;
  }
  return false;
}

static int fail_unknown(const char* name) {
  const char* nearest = nearest_command(name);
  (void)fprintf(stderr, "dpc: '%s' is not a command", name);
  if (nearest != NULL) (void)fprintf(stderr, ", did you mean '%s'?", nearest);
  (void)fprintf(stderr, "\n`dpc --help` lists all commands.\n");
  return EXIT_USAGE;
}

// Path of the program for a command, in the folder of this one. False when it does not fit.
static bool find_program(const char* name, char* path, size_t capacity) {
  char self[PATH_MAX];
  const ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
  if (length <= 0) return false;
  self[length] = '\0';
  const int folder = (int)(strrchr(self, '/') - self);
  const int used = snprintf(path, capacity, "%.*s/dpc-%s", folder, self, name);
  return used > 0 && (size_t)used < capacity;
}

// Become the command's program. Returns only when that is not possible.
static int launch(const char* name, char** arguments) {
  char path[PATH_MAX];
  const bool is_word =
      name[0] != '\0' && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == strlen(name);
  if (!is_word || !find_program(name, path, sizeof path)) return fail_unknown(name);
  arguments[0] = path;
  (void)execv(path, arguments);
  if (errno == ENOENT && !is_known(name)) return fail_unknown(name);
  (void)fprintf(stderr, "dpc: cannot start %s: %s\n", path, strerror(errno));
  return EXIT_NOT_RUN;
}

int main(int argc, char** argv) {
  if (argc < 2) return print_help(stderr, EXIT_USAGE);
  const char* first = argv[1];
  const bool asks_help = strcmp(first, "help") == 0;
  if (strcmp(first, "--version") == 0 || strcmp(first, "-V") == 0) {
    return puts("dpc " DPC_VERSION) < 0 || fflush(stdout) != 0 ? EXIT_NOT_RUN : EXIT_DONE;
  }
  if (strcmp(first, "--help") == 0 || strcmp(first, "-h") == 0 || (asks_help && argc == 2)) {
    return print_help(stdout, EXIT_DONE);
  }
  if (asks_help) return launch(argv[2], (char*[]){NULL, (char[]){"--help"}, NULL});
  return launch(first, argv + 1);
}
