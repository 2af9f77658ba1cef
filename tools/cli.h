/// What every dpc-<command> program shares: options, exit codes, messages, results and progress.
///
/// Standard output carries results only; everything else goes to standard error. With `--json -`
/// the JSON is all that standard output carries.
///
///     typedef struct args { dpc_cli cli; const char* policy; } args;
///     static error_t parse(int key, char* text, struct argp_state* state) {
///       args* a = state->input;
///       switch (key) {
///         case 'p': a->policy = text; return 0;
///         default: return ARGP_ERR_UNKNOWN;
///       }
///     }
///     int main(int argc, char** argv) {
///       const dpc_cli_program program = {.name = "eval", .doc = "…", .options = options, .parse =
///       parse}; args a = {0}; dpc_error error = {""}; dpc_cli_start(&program, argc, argv, &a.cli,
///       &a); return dpc_cli_finish(&a.cli, eval(&a, &error), &error);
///     }
#pragma once

#include <argp.h>
#include <stdio.h>

#include "policy/base.h"
#include "tools/config.h"
#include "tools/json.h"

enum { DPC_CLI_OVERRIDE_MAX = 64 };

/// Exit codes of every program.
enum { DPC_EXIT_DONE = 0, DPC_EXIT_FAILED = 1, DPC_EXIT_USAGE = 2 };

/// What a program is. Members that are zero are not needed.
typedef struct dpc_cli_program {
  const char* name;       // "eval" for dpc-eval, which people call as "dpc eval"
  const char* doc;        // what it does; text after a '\v' is printed below the options
  const char* arguments;  // "SRC DIR", for the usage line
  const struct argp_option* options;  // ends with {0}; -v, -q, --json, --help-config are taken
  argp_parser_t parse;                // for options and arguments; `state->input` is as given
  const struct argp_child* children;  // options it shares with others; `parse` gives their inputs
  // A program with settings: CONFIG and KEY=VALUE arguments are collected in dpc_cli, and do not
  // reach `parse`.
  const dpc_config_section* sections;
  int section_count;
  bool config_required;  // CONFIG must be given
  bool subject;          // an argument comes before CONFIG
} dpc_cli_program;

/// What the shared options said.
typedef struct dpc_cli {
  const dpc_cli_program* program;
  const char* json_path;    // --json FILE; NULL when not given, "-" for standard output
  int verbosity;            // -1 quiet, 0 normal, 1 verbose
  bool help_config;         // --help-config was given (handled by dpc_cli_start)
  const char* subject;      // NULL when not given, or not taken
  const char* config_path;  // NULL when not given
  int override_count;
  const char* overrides[DPC_CLI_OVERRIDE_MAX];  // "section.key=value", argv's own memory
} dpc_cli;

/// Parse the command line; send log messages to standard error. `--help`, `--usage`, `--version`
/// and `--help-config` print and exit 0; wrong usage prints and exits 2. `input` is what `parse`
/// gets as `state->input`; it may be NULL.
/// Allocates: heap, inside argp. Blocks: no. Thread: start-up only.
void dpc_cli_start(const dpc_cli_program* program, int argc, char** argv, dpc_cli* cli,
                   void* input);

/// Read CONFIG and the KEY=VALUE arguments into the program's sections, as dpc_config_read does. A
/// CONFIG that cannot be read is DPC_ERR_CONFIG too.
/// Allocates: heap, freed before it returns. Blocks: on the disk. Thread: start-up only.
DPC_NODISCARD dpc_status dpc_cli_read_config(const dpc_cli* cli, dpc_error* error);

/// The exit code for `status`, for main to return: prints "dpc eval: message" on standard error
/// unless it is DPC_OK. DPC_ERR_CONFIG gives 2, every other failure 1. Results that could not be
/// written to standard output (a full disk) are a failure too.
/// Allocates: no. Blocks: on the streams. Thread: main only.
int dpc_cli_finish(const dpc_cli* cli, dpc_status status, const dpc_error* error);

// --- option values: what is wrong is said with argp_error, which exits 2
// ----------------------------

/// An integer in [min, max]. `option` is named in the message: "--steps".
/// Allocates: no. Blocks: no. Thread: start-up only.
int dpc_cli_int(const struct argp_state* state, const char* option, const char* text, int min,
                int max);

/// A real number in [min, max]; never NaN.
/// Allocates: no. Blocks: no. Thread: start-up only.
double dpc_cli_real(const struct argp_state* state, const char* option, const char* text,
                    double min, double max);

/// The index of `text` in `names`, which ends with NULL.
/// Allocates: no. Blocks: no. Thread: start-up only.
int dpc_cli_choice(const struct argp_state* state, const char* option, const char* text,
                   const char* const* names);

/// Seeds first, first + 1, …, end - 1.
typedef struct dpc_seed_range {
  uint64_t first, end;
} dpc_seed_range;

/// "A:B", the seeds from A up to but without B, or "A" alone for one seed; at least one, all below
/// 2^32.
/// Allocates: no. Blocks: no. Thread: start-up only.
dpc_seed_range dpc_cli_seeds(const struct argp_state* state, const char* option, const char* text);

// --- what people and programs read
// -----------------------------------------------------------------

/// Print results for people on standard output; nothing when `--json -` owns it.
/// Allocates: no. Blocks: on the stream. Thread: any.
void dpc_cli_print(const dpc_cli* cli, const char* format, ...) DPC_PRINTF(2, 3);

/// Save `report` where `--json` says, and free it. Without `--json` it is only freed.
/// Allocates: heap. Blocks: on the disk. Thread: any.
DPC_NODISCARD dpc_status dpc_cli_report(const dpc_cli* cli, dpc_json* report, dpc_error* error);

/// Show how far things are on standard error: one line that is written over, at most ten times a
/// second, on a terminal; a plain line every five seconds elsewhere; nothing with --quiet.
/// Allocates: no. Blocks: on the stream. Thread: any.
void dpc_cli_progress(const dpc_cli* cli, const char* format, ...) DPC_PRINTF(2, 3);

/// Take the progress line away; call when the work is done, before results are printed.
/// Allocates: no. Blocks: on the stream. Thread: any.
void dpc_cli_progress_end(const dpc_cli* cli);

// --- signals
// ---------------------------------------------------------------------------------------

/// From now on SIGINT and SIGTERM only set a flag, so that work can end in order; a second one
/// ends the program at once. Blocking system calls return EINTR.
/// Allocates: no. Blocks: no. Thread: start-up only, before other threads.
void dpc_cli_catch_signals(void);

/// True once SIGINT or SIGTERM has come.
/// Allocates: no. Blocks: no. Thread: any.
bool dpc_cli_interrupted(void);
