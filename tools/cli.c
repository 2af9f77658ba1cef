#include "tools/cli.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

// --- the command line ----------------------------------------------------------------------------

enum { KEY_JSON = 0x100000, KEY_HELP_CONFIG };  // far from any program's own long options

// A program without settings leaves out the first.
static const struct argp_option shared_options[] = {
    {"help-config", KEY_HELP_CONFIG, NULL, 0,
     "Print every setting with its default, meaning and range", -2},
    {"json", KEY_JSON, "FILE", 0, "Write the results as JSON to FILE; - is standard output", -2},
    {"verbose", 'v', NULL, 0, "Say more on standard error", -2},
    {"quiet", 'q', NULL, 0, "Say only what went wrong, and results", -2},
    {0}};

// CONFIG is the argument that is not KEY=VALUE; a path with a folder in it may hold a '='.
static error_t take_argument(dpc_cli* cli, char* text, struct argp_state* state) {
  if (cli->program->section_count == 0) return ARGP_ERR_UNKNOWN;
  const char* equals = strchr(text, '=');
  if (equals != NULL && memchr(text, '/', (size_t)(equals - text)) == NULL) {
    if (cli->override_count == DPC_CLI_OVERRIDE_MAX) {
      argp_error(state, "more than %d KEY=VALUE arguments", DPC_CLI_OVERRIDE_MAX);
    }
    cli->overrides[cli->override_count++] = text;
  } else if (cli->program->subject && cli->subject == NULL) {
    cli->subject = text;
  } else if (cli->config_path != NULL) {
    argp_error(state, "'%s': CONFIG is '%s' already, and a setting is KEY=VALUE", text,
               cli->config_path);
  } else {
    cli->config_path = text;
  }
  return 0;
}

static error_t parse_shared(int key, char* text, struct argp_state* state) {
  dpc_cli* cli = state->input;
  switch (key) {
    case KEY_JSON:
      cli->json_path = text;
      return 0;
    case 'v':
      cli->verbosity = 1;
      return 0;
    case 'q':
      cli->verbosity = -1;
      return 0;
    case KEY_HELP_CONFIG:
      cli->help_config = true;
      return 0;
    case ARGP_KEY_ARG:
      return take_argument(cli, text, state);
    case ARGP_KEY_END:
      if (cli->program->config_required && cli->config_path == NULL && !cli->help_config) {
        argp_error(state, "CONFIG is missing");
      }
      return 0;
    default:
      return ARGP_ERR_UNKNOWN;
  }
}

// The last to be asked: an argument that comes here is nobody's.
static error_t parse_leftover(int key, char* text, struct argp_state* state) {
  if (key == ARGP_KEY_ARG) argp_error(state, "'%s': an argument too many", text);
  return ARGP_ERR_UNKNOWN;
}

typedef struct inputs {
  dpc_cli* cli;
  void* program;
} inputs;

// Hands each child its input, in the order of the children.
static error_t parse_root(int key, char* text, struct argp_state* state) {
  (void)text;
  if (key != ARGP_KEY_INIT) return ARGP_ERR_UNKNOWN;
  const inputs* given = state->input;
  state->child_inputs[0] = given->cli;
  state->child_inputs[1] = given->program;
  return 0;
}

static const char* usage_arguments(const dpc_cli_program* program) {
  if (program->arguments != NULL) return program->arguments;
  if (program->section_count == 0) return NULL;
  return program->config_required ? "CONFIG [KEY=VALUE...]" : "[CONFIG] [KEY=VALUE...]";
}

static void parse_command_line(dpc_cli* cli, int argc, char** argv, void* input) {
  const dpc_cli_program* program = cli->program;
  const bool has_settings = program->section_count > 0;
  const struct argp shared = {.options = shared_options + (has_settings ? 0 : 1),
                              .parser = parse_shared};
  const struct argp own = {
      .options = program->options, .parser = program->parse, .children = program->children};
  const struct argp leftover = {.parser = parse_leftover};
  const struct argp_child children[] = {
      {.argp = &shared}, {.argp = &own}, {.argp = &leftover}, {0}};
  const struct argp root = {.parser = parse_root,
                            .args_doc = usage_arguments(program),
                            .doc = program->doc,
                            .children = children};
  argp_err_exit_status = DPC_EXIT_USAGE;
  argp_program_version = "dpc " DPC_VERSION;
  // argp's own failures (no memory) end the program there; a wrong command line has exited already.
  if (argp_parse(&root, argc, argv, 0, NULL, &(inputs){cli, input}) != 0) exit(DPC_EXIT_FAILED);
}

// --- standard error: log lines and the progress line, which share it -----------------------------

// Guarded by the lock of stderr.
static struct {
  char called[64];       // "dpc eval"
  bool on_screen;        // a progress line stands where the next text goes
  struct timespec next;  // when progress may be shown again
} screen;

static void clear_progress(void) {
  if (screen.on_screen) (void)fputs("\r\033[K", stderr);
  screen.on_screen = false;
}

static void print_log(void* context, dpc_log_level level, const char* message) {
  const dpc_cli* cli = context;
  const int most = cli->verbosity < 0   ? DPC_LOG_ERROR
                   : cli->verbosity > 0 ? DPC_LOG_DEBUG
                                        : DPC_LOG_INFO;
  if ((int)level > most) return;
  static const char* const words[] = {"error: ", "warning: ", "", ""};
  flockfile(stderr);
  clear_progress();
  (void)fprintf(stderr, "%s: %s%s\n", screen.called, words[level], message);
  funlockfile(stderr);
}

static bool is_due(double interval) {
  struct timespec now;
  (void)clock_gettime(CLOCK_MONOTONIC, &now);
  if (now.tv_sec < screen.next.tv_sec ||
      (now.tv_sec == screen.next.tv_sec && now.tv_nsec < screen.next.tv_nsec)) {
    return false;
  }
  const long long at = now.tv_sec * 1000000000LL + now.tv_nsec + (long long)(interval * 1e9);
  screen.next = (struct timespec){.tv_sec = at / 1000000000LL, .tv_nsec = at % 1000000000LL};
  return true;
}

// Columns of the terminal; a longer line would wrap and could not be written over.
static int screen_width(void) {
  struct winsize size;
  return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1 ? size.ws_col - 1 : 79;
}

void dpc_cli_progress(const dpc_cli* cli, const char* format, ...) {
  if (cli->verbosity < 0) return;
  const bool terminal = isatty(STDERR_FILENO) != 0;
  flockfile(stderr);
  if (is_due(terminal ? 0.1 : 5.0)) {
    char line[512];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(line, sizeof line, format, args);
    va_end(args);
    if (terminal) {
      (void)fprintf(stderr, "\r%.*s\033[K", screen_width(), line);
    } else {
      (void)fprintf(stderr, "%s\n", line);
    }
    (void)fflush(stderr);
    screen.on_screen = terminal;
  }
  funlockfile(stderr);
}

void dpc_cli_progress_end(const dpc_cli* cli) {
  (void)cli;
  flockfile(stderr);
  clear_progress();
  funlockfile(stderr);
}

// --- from start to finish ------------------------------------------------------------------------

void dpc_cli_start(const dpc_cli_program* program, int argc, char** argv, dpc_cli* cli,
                   void* input) {
  *cli = (dpc_cli){.program = program};
  (void)snprintf(screen.called, sizeof screen.called, "dpc %s", program->name);
  if (argc > 0) argv[0] = screen.called;  // argp's messages and usage call it what people do
  parse_command_line(cli, argc, argv, input);
  dpc_log_to(print_log, cli);
  if (cli->help_config) {
    dpc_config_print_reference(stdout, program->sections, program->section_count);
    exit(fflush(stdout) == 0 ? DPC_EXIT_DONE : DPC_EXIT_FAILED);
  }
}

dpc_status dpc_cli_read_config(const dpc_cli* cli, dpc_error* error) {
  const dpc_status status =
      dpc_config_read(cli->config_path, cli->overrides, cli->override_count, cli->program->sections,
                      cli->program->section_count, error);
  return status == DPC_OK || status == DPC_ERR_NO_MEMORY ? status : DPC_ERR_CONFIG;
}

int dpc_cli_finish(const dpc_cli* cli, dpc_status status, const dpc_error* error) {
  dpc_cli_progress_end(cli);
  dpc_log_to(NULL, NULL);  // `cli` is about to go
  const bool written = fflush(stdout) == 0 && ferror(stdout) == 0;
  if (status != DPC_OK) {
    const bool words = error != NULL && error->text[0] != '\0';
    (void)fprintf(stderr, "%s: %s\n", screen.called, words ? error->text : dpc_status_text(status));
    return status == DPC_ERR_CONFIG ? DPC_EXIT_USAGE : DPC_EXIT_FAILED;
  }
  if (!written) (void)fprintf(stderr, "%s: standard output: write failed\n", screen.called);
  return written ? DPC_EXIT_DONE : DPC_EXIT_FAILED;
}

// --- option values -------------------------------------------------------------------------------

int dpc_cli_int(const struct argp_state* state, const char* option, const char* text, int min,
                int max) {
  char* end = NULL;
  errno = 0;
  const long long value = strtoll(text, &end, 10);
  if (end == text || *end != '\0' || errno != 0 || value < min || value > max) {
    argp_error(state, "%s: '%s' is not allowed: an integer in [%d, %d]", option, text, min, max);
  }
  return (int)value;
}

double dpc_cli_real(const struct argp_state* state, const char* option, const char* text,
                    double min, double max) {
  char* end = NULL;
  const double value = strtod(text, &end);
  // written so that NaN fails
  if (end == text || *end != '\0' || !(value >= min && value <= max) || !isfinite(value)) {
    argp_error(state, "%s: '%s' is not allowed: a number in [%g, %g]", option, text, min, max);
  }
  return value;
}

int dpc_cli_choice(const struct argp_state* state, const char* option, const char* text,
                   const char* const* names) {
  char allowed[256] = "";
  size_t used = 0;
  for (int i = 0; names[i] != NULL; ++i) {
    if (strcmp(names[i], text) == 0) return i;
    if (used < sizeof allowed) {
      used += (size_t)snprintf(allowed + used, sizeof allowed - used, "%s%s", i > 0 ? ", " : "",
                               names[i]);
    }
  }
  argp_error(state, "%s: '%s' is not allowed: one of %s", option, text, allowed);
  return 0;
}

// A seed's digits; the end of them, or NULL when there is no 32-bit seed (or `limit` itself).
static const char* read_seed(const char* text, uint64_t limit, uint64_t* seed) {
  const size_t digits = strspn(text, "0123456789");
  if (digits == 0 || digits > 10) return NULL;
  *seed = strtoull(text, NULL, 10);
  return *seed <= limit ? text + digits : NULL;
}

dpc_seed_range dpc_cli_seeds(const struct argp_state* state, const char* option, const char* text) {
  dpc_seed_range range = {0, 0};
  const char* at = read_seed(text, UINT32_MAX, &range.first);
  range.end = range.first + 1;
  if (at != NULL && *at == ':') at = read_seed(at + 1, (uint64_t)UINT32_MAX + 1, &range.end);
  if (at == NULL || *at != '\0' || range.end <= range.first) {
    argp_error(state, "%s: '%s' is not allowed: A:B for the seeds A, …, B - 1, with A < B <= 2^32",
               option, text);
  }
  return range;
}

// --- results -------------------------------------------------------------------------------------

void dpc_cli_print(const dpc_cli* cli, const char* format, ...) {
  if (cli->json_path != NULL && strcmp(cli->json_path, "-") == 0) return;
  va_list args;
  va_start(args, format);
  (void)vprintf(format, args);
  va_end(args);
}

dpc_status dpc_cli_report(const dpc_cli* cli, dpc_json* report, dpc_error* error) {
  dpc_status status = DPC_OK;
  if (cli->json_path != NULL) status = dpc_json_save(report, cli->json_path, error);
  dpc_json_free(report);
  return status;
}

// --- signals -------------------------------------------------------------------------------------

static volatile sig_atomic_t interrupted;

static void note_signal(int signal_number) {
  (void)signal_number;
  interrupted = 1;
}

// SA_RESETHAND: the second signal meets the default action, which ends the program.
void dpc_cli_catch_signals(void) {
  struct sigaction action = {.sa_handler = note_signal, .sa_flags = (int)SA_RESETHAND};
  (void)sigemptyset(&action.sa_mask);
  (void)sigaction(SIGINT, &action, NULL);
  (void)sigaction(SIGTERM, &action, NULL);
}

bool dpc_cli_interrupted(void) {
  return interrupted != 0;
}
