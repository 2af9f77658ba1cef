/// dpc-bench: how long a policy takes, per denoising step and per chunk, and how near that is to
/// what the machine could do.

#include <string.h>

#include "policy/kernels/kernels.h"
#include "runtime/rt.h"
#include "tools/bench_loop.h"
#include "tools/bench_report.h"
#include "tools/sampler_options.h"

static const size_t ADDRESS_SPACE = (size_t)16 << 30;  // reserved; only what is touched is used

enum {
  CASES_MAX = 64,
  KEY_WARMUP = 0x1000,
  KEY_PRECISION,
  KEY_SWEEP,
  KEY_LOOP,
  KEY_SECONDS,
  KEY_WINDOWS,
};

static const struct argp_option options[] = {
    {"policy", 'p', "FILE", 0,
     "The policy; with --sweep or --loop, random weights when it is left out", 0},
    {"precision", KEY_PRECISION, "NAME", 0, "auto, fp32, bf16 or int8 (auto)", 0},
    {"threads", 't', "N", 0, "Threads that share a step's work (1)", 0},
    {"runs", 'n', "N", 0, "Chunks to time (1000; 100 with --sweep)", 0},
    {"warmup", KEY_WARMUP, "N", 0, "Chunks before that (20)", 0},
    {"sweep", KEY_SWEEP, NULL, 0,
     "Compare with every precision and number of threads, with every instruction set of this "
     "machine, and with larger networks",
     0},
    {"loop", KEY_LOOP, NULL, 0,
     "Not the policy but the control loop: how punctually it wakes up, beside a loop that only "
     "sleeps",
     0},
    {"seconds", KEY_SECONDS, "S", 0, "--loop: length of a window (60)", 0},
    {"windows", KEY_WINDOWS, "N", 0, "--loop: windows of each kind, at each rate (5)", 0},
    {0}};

typedef struct bench {
  dpc_cli cli;
  const char* path;  // NULL: random weights
  bool sweep, loop;
  dpc_bench_loop_def loop_def;
  int runs, warmup;  // runs 0: not given
  int precision, threads;
  dpc_sampler_options sampler_options;

  dpc_cpus cpus;
  const char* isa;  // what the environment says, or the fastest
  dpc_json *report, *rows;

  // of the size in hand
  dpc_arena arena;
  dpc_bench_network network;
  dpc_sampler_def sampler;
  dpc_bench_case cases[CASES_MAX];
  int count;
} bench;

static error_t parse(int key, char* text, struct argp_state* state) {
  bench* b = state->input;
  switch (key) {
    case ARGP_KEY_INIT:
      state->child_inputs[0] = &b->sampler_options;
      return 0;
    case 'p':
      b->path = text;
      return 0;
    case 'n':
      b->runs = dpc_cli_int(state, "--runs", text, 1, 1000000);
      return 0;
    case 't':
      b->threads = dpc_cli_int(state, "--threads", text, 1, 1024);
      return 0;
    case KEY_WARMUP:
      b->warmup = dpc_cli_int(state, "--warmup", text, 1, 1000000);
      return 0;
    case KEY_PRECISION:
      b->precision = dpc_cli_choice(state, "--precision", text, dpc_precision_names);
      return 0;
    case KEY_SWEEP:
      b->sweep = true;
      return 0;
    case KEY_LOOP:
      b->loop = true;
      return 0;
    case KEY_SECONDS:
      b->loop_def.seconds = dpc_cli_real(state, "--seconds", text, 0.1, 86400);
      return 0;
    case KEY_WINDOWS:
      b->loop_def.windows = dpc_cli_int(state, "--windows", text, 1, 1000);
      return 0;
    case ARGP_KEY_END:
      if (b->path == NULL && !b->sweep && !b->loop) argp_error(state, "--policy is missing");
      if (b->runs == 0) b->runs = b->sweep ? 100 : 1000;
      return 0;
    default:
      return ARGP_ERR_UNKNOWN;
  }
}

// --- which configurations ------------------------------------------------------------------------

static bool is_new(const bench* b, const char* isa, const char* precision, int threads) {
  for (int i = 0; i < b->count; ++i) {
    const dpc_bench_case* c = &b->cases[i];
    if (strcmp(c->engine.isa, isa) == 0 && strcmp(c->engine.precision, precision) == 0 &&
        c->threads == threads) {
      return false;
    }
  }
  return true;
}

static dpc_status add_case(bench* b, const char* isa, int precision, int threads,
                           dpc_error* error) {
  if (!is_new(b, isa, dpc_precision_names[precision], threads)) return DPC_OK;
  DPC_ASSERT(b->count < CASES_MAX);
  const dpc_bench_def def = {.isa = isa,
                             .precision = precision,
                             .threads = threads,
                             .runs = b->runs,
                             .sampler = &b->sampler};
  return dpc_bench_case_create(&def, &b->network, &b->cpus, &b->arena, &b->cases[b->count++],
                               error);
}

static dpc_status add_precisions(bench* b, const char* isa, int threads, dpc_error* error) {
  for (int i = DPC_PRECISION_AUTO + 1; dpc_precision_names[i] != NULL; ++i) {
    DPC_TRY(add_case(b, isa, i, threads, error));
  }
  return DPC_OK;
}

// The selected one comes first; the other instruction sets are compared on the smallest network.
static dpc_status add_cases(bench* b, dpc_bench_size size, dpc_error* error) {
  if (size == DPC_BENCH_SMALL) DPC_TRY(add_case(b, b->isa, b->precision, b->threads, error));
  if (!b->sweep) return DPC_OK;
  for (int threads = 1; threads <= 2; ++threads) {
    if (threads > b->cpus.count || threads > DPC_BENCH_THREADS_MAX) break;
    DPC_TRY(add_precisions(b, b->isa, threads, error));
  }
  for (int isa = DPC_ISA_COUNT - 1; size == DPC_BENCH_SMALL && isa >= 0; --isa) {
    const dpc_kernels* kernels = dpc_kernels_of((dpc_isa)isa);
    if (kernels != NULL) DPC_TRY(add_precisions(b, kernels->name, 1, error));
  }
  return DPC_OK;
}

// --- measuring -----------------------------------------------------------------------------------

static dpc_status measure_cases(bench* b, dpc_error* error) {
  for (int i = 0; i < b->count; ++i) {
    dpc_cli_progress(&b->cli, "%s: warming up", b->network.size);
    DPC_TRY(dpc_bench_case_warm_up(&b->cases[i], b->warmup, error));
  }
  for (int done = 0; done < b->runs; done += DPC_BENCH_ROUND) {
    dpc_cli_progress(&b->cli, "%s: chunk %d/%d of %d configurations", b->network.size, done,
                     b->runs, b->count);
    for (int i = 0; i < b->count; ++i) {
      DPC_TRY(dpc_bench_case_round(&b->cases[i], &b->cpus, error));
    }
  }
  dpc_cli_progress_end(&b->cli);
  return DPC_OK;
}

// The selected configuration, the first of all, is also the report itself.
static void report_cases(bench* b) {
  for (int i = 0; i < b->count; ++i) {
    const dpc_bench_result result = dpc_bench_case_result(&b->cases[i]);
    if (b->report == NULL) {
      b->report = dpc_json_object();
      dpc_bench_report(b->report, &result);
      dpc_json_set(b->report, "machine", dpc_bench_report_machine(&b->cpus, &result));
      dpc_bench_print(&b->cli, &result);
      if (b->sweep) dpc_bench_print_heading(&b->cli);
      if (b->sweep) b->rows = dpc_json_set(b->report, "runs", dpc_json_array());
    }
    if (!b->sweep) continue;
    dpc_bench_report(dpc_json_push(b->rows, dpc_json_object()), &result);
    dpc_bench_print_line(&b->cli, &result);
  }
}

static dpc_status make_network(bench* b, dpc_bench_size size, dpc_error* error) {
  if (size == DPC_BENCH_SMALL && b->path != NULL) {
    return dpc_bench_network_load(b->path, &b->arena, &b->network, error);
  }
  return dpc_bench_network_draw(size, &b->arena, &b->network, error);
}

static dpc_status measure_in_arena(bench* b, dpc_bench_size size, dpc_error* error) {
  DPC_TRY(make_network(b, size, error));
  b->sampler = b->network.info.sampler;
  dpc_sampler_options_apply(&b->sampler_options, &b->sampler);
  DPC_TRY(add_cases(b, size, error));
  DPC_TRY(measure_cases(b, error));
  report_cases(b);
  return DPC_OK;
}

static dpc_status measure_size(bench* b, dpc_bench_size size, dpc_error* error) {
  DPC_TRY(dpc_arena_map(&b->arena, ADDRESS_SPACE, error));
  const dpc_status status = measure_in_arena(b, size, error);
  for (int i = 0; i < b->count; ++i) dpc_bench_case_end(&b->cases[i]);
  b->count = 0;
  dpc_arena_unmap(&b->arena);
  return status;
}

static dpc_status run_loop(bench* b, dpc_error* error) {
  DPC_TRY(dpc_arena_map(&b->arena, ADDRESS_SPACE, error));
  b->report = dpc_json_object();
  dpc_status status = make_network(b, DPC_BENCH_SMALL, error);
  if (status == DPC_OK) {
    status = dpc_bench_loop(&b->cli, &b->loop_def, &b->network, &b->arena, b->report, error);
  }
  dpc_arena_unmap(&b->arena);
  return status;
}

static dpc_status run_policy(bench* b, dpc_error* error) {
  const dpc_kernels* kernels = NULL;
  DPC_TRY(dpc_kernels_pick(&kernels, error));
  DPC_TRY(dpc_cpus_read(&b->cpus, error));
  if (b->threads > DPC_BENCH_THREADS_MAX || b->threads > b->cpus.count) {
    return dpc_fail(error, DPC_ERR_CONFIG,
                    "--threads %d: the engine can use %d, and this program may use %d processors",
                    b->threads, DPC_BENCH_THREADS_MAX, b->cpus.count);
  }
  b->isa = kernels->name;
  (void)dpc_denormals_flush();  // as planners do
  for (int size = DPC_BENCH_SMALL; dpc_bench_size_names[size] != NULL; ++size) {
    if (size > DPC_BENCH_SMALL && !b->sweep) break;
    DPC_TRY(measure_size(b, (dpc_bench_size)size, error));
  }
  dpc_json_set_int(b->report, "warmup", b->warmup);
  return DPC_OK;
}

static dpc_status run(bench* b, dpc_error* error) {
  DPC_TRY(b->loop ? run_loop(b, error) : run_policy(b, error));
  dpc_json_set_text(b->report, "policy", b->path != NULL ? b->path : "random weights");
  dpc_json* report = b->report;
  b->report = NULL;
  return dpc_cli_report(&b->cli, report, error);
}

int main(int argc, char** argv) {
  static bench b = {
      .warmup = 20, .threads = 1, .loop_def = {.seconds = 60, .windows = 5, .priority = 80}};
  const dpc_cli_program program = {
      .name = "bench",
      .doc =
          "Time a policy: each denoising step, and each whole chunk."
          "\vAfter each chunk comes the control, arithmetic in registers that takes as long as a "
          "chunk: its tail is the machine's own noise. The limit is what this machine could do at "
          "best: it reads a step's weights, or multiplies as much as a step does, whichever takes "
          "longer, and then does what is done element by element. The bench keeps to one "
          "processor, the last of those that it may use (one for each thread).\n\n"
          "A fair figure needs an idle machine and, for p99.9, at least 1000 runs.\n\n"
          "--loop measures at 100 and at 500 Hz: windows of the control loop, with its planner and "
          "a robot, and of a loop that only sleeps, by turns, both with real-time priority on the "
          "last processor while the others are kept busy. A miss is a wake-up that is later than a "
          "period. Of p99.9 the median over the windows is compared, which is also shown.\n\n"
          "    dpc bench --policy policy/pretrained/pusht.safetensors\n"
          "    dpc bench --policy policy/pretrained/pusht.safetensors --precision bf16\n"
          "    dpc bench --sweep --json sweep.json\n"
          "    dpc bench --loop --seconds 5",
      .options = options,
      .parse = parse,
      .children = (const struct argp_child[]){{.argp = &dpc_sampler_argp}, {0}},
  };
  dpc_error error = {""};
  dpc_cli_start(&program, argc, argv, &b.cli, &b);
  const dpc_status status = run(&b, &error);
  dpc_json_free(b.report);
  return dpc_cli_finish(&b.cli, status, &error);
}
