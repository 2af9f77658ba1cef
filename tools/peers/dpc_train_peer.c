// dpc's side of tools/peers/run train: stays alive, and makes updates when it is told to.
//
// First it prints {"variant", "version", "threads", "loss"}, the loss being that of a first update.
// Then each line of standard input is a number of updates, answered by {"us": [...]}, what each of
// them took. The episodes are random numbers.
#include <stdlib.h>
#include <string.h>

#include "policy/train/trainer.h"
#include "runtime/clock.h"
#include "runtime/rt.h"
#include "tools/cli.h"
#include "tools/random_network.h"

static const size_t ADDRESS_SPACE = (size_t)32 << 30;  // reserved; only what is touched is used

enum { EPISODES = 100, LENGTH = 100, ROWS = EPISODES * LENGTH, OBS = 20, ACTION = 2 };
enum { STEPS_MAX = 1000000 };

enum { KEY_BATCH = 0x1000, KEY_SHARD, KEY_THREADS };

static const struct argp_option options[] = {
    {"batch", KEY_BATCH, "N", 0, "As train.batch", 0},
    {"shard", KEY_SHARD, "N", 0, "As train.shard", 0},
    {"threads", KEY_THREADS, "N", 0, "As train.threads", 0},
    {0}};

typedef struct peer {
  dpc_cli cli;
  int size;  // of the network
  dpc_train_settings settings;
  dpc_arena arena;
  dpc_dataset* dataset;
  dpc_trainer* trainer;
} peer;

static error_t parse(int key, char* text, struct argp_state* state) {
  peer* p = state->input;
  dpc_train_def* train = &p->settings.train;
  switch (key) {
    case KEY_BATCH:
      train->batch = dpc_cli_int(state, "--batch", text, 1, 65536);
      return 0;
    case KEY_SHARD:
      train->shard = dpc_cli_int(state, "--shard", text, 1, 4096);
      return 0;
    case KEY_THREADS:
      train->threads = dpc_cli_int(state, "--threads", text, 1, 1024);
      return 0;
    case ARGP_KEY_ARG:
      if (state->arg_num > 0) argp_error(state, "too many arguments");
      p->size = dpc_cli_choice(state, "SIZE", text, dpc_random_network_names);
      return 0;
    case ARGP_KEY_END:
      if (p->size < 0) argp_error(state, "SIZE is needed");
      return 0;
    default:
      return ARGP_ERR_UNKNOWN;
  }
}

// --- start-up ------------------------------------------------------------------------------------

static void list_one(dpc_text_list* list, const char* name) {
  list->count = 1;
  (void)snprintf(list->values[0], sizeof list->values[0], "%s", name);
}

// Episodes of normally distributed numbers, selected as a whole.
static dpc_status make_dataset(peer* p, dpc_error* error) {
  dpc_train_settings* settings = &p->settings;
  float* obs = DPC_TAKE(&p->arena, float, ROWS* OBS);
  float* action = DPC_TAKE(&p->arena, float, ROWS* ACTION);
  if (obs == NULL || action == NULL) return dpc_arena_full(&p->arena, "the episodes", error);
  dpc_rng_normal((dpc_rng_key){1, 1}, 0, 0, 0, ROWS * OBS, obs);
  dpc_rng_normal((dpc_rng_key){1, 2}, 0, 0, 0, ROWS * ACTION, action);
  int lengths[EPISODES];
  for (int i = 0; i < EPISODES; ++i) lengths[i] = LENGTH;
  dpc_episode_source source = {.episode_count = EPISODES,
                               .lengths = lengths,
                               .obs_dim = OBS,
                               .action_dim = ACTION,
                               .obs = obs,
                               .action = action};
  source.interface.period_ns = 100000000;
  dpc_layout_add(&source.interface.obs, "observation", OBS, NULL, NULL);
  dpc_layout_add(&source.interface.action, "action", ACTION, NULL, NULL);
  memset(source.sha256, '0', sizeof source.sha256 - 1);
  list_one(&settings->dataset.obs, "observation");
  list_one(&settings->dataset.action, "action");
  const dpc_window_def window = {settings->unet.horizon, settings->policy.n_obs,
                                 settings->policy.n_actions};
  return dpc_dataset_create(&settings->dataset, &window, &source, &p->arena, &p->dataset, error);
}

static dpc_status start(peer* p, dpc_error* error) {
  DPC_TRY(dpc_arena_map(&p->arena, ADDRESS_SPACE, error));
  p->settings.unet = dpc_random_network_def(p->size);
  p->settings.train.lr_schedule = DPC_LR_CONSTANT;
  DPC_TRY(make_dataset(p, error));
  (void)dpc_denormals_flush();  // before the threads, which inherit it
  return dpc_trainer_create(&p->settings, p->dataset, &p->arena, &p->trainer, error);
}

// --- updates -------------------------------------------------------------------------------------

static dpc_status say_hello(peer* p, dpc_error* error) {
  dpc_train_report report;
  DPC_TRY(dpc_trainer_step(p->trainer, &report, error));
  dpc_json* hello = dpc_json_object();
  dpc_json_set_text(hello, "variant", "fp32");
  dpc_json_set_text(hello, "version", DPC_VERSION);
  dpc_json_set_int(hello, "threads", dpc_trainer_threads(p->trainer));
  dpc_json_set_real(hello, "loss", report.loss);
  const dpc_status status = dpc_json_write_line(hello, stdout, error);
  dpc_json_free(hello);
  return status;
}

static dpc_status run_burst(peer* p, int steps, dpc_error* error) {
  dpc_json* answer = dpc_json_object();
  dpc_json* times = dpc_json_set(answer, "us", dpc_json_array());
  dpc_status status = DPC_OK;
  for (int i = 0; i < steps && status == DPC_OK; ++i) {
    dpc_train_report report;
    const dpc_time before = dpc_clock_now();
    status = dpc_trainer_step(p->trainer, &report, error);
    dpc_json_push_real(times, 1e6 * dpc_to_seconds(dpc_time_since(dpc_clock_now(), before)));
  }
  if (status == DPC_OK) status = dpc_json_write_line(answer, stdout, error);
  dpc_json_free(answer);
  return status;
}

static dpc_status run(peer* p, dpc_error* error) {
  DPC_TRY(start(p, error));
  DPC_TRY(say_hello(p, error));
  char line[64];
  while (fgets(line, sizeof line, stdin) != NULL) {
    const long steps = strtol(line, NULL, 10);
    if (steps < 1 || steps > STEPS_MAX) {
      return dpc_fail(error, DPC_ERR_INVALID, "'%.20s' is not a number of updates", line);
    }
    DPC_TRY(run_burst(p, (int)steps, error));
  }
  return DPC_OK;
}

int main(int argc, char** argv) {
  peer p = {.size = -1, .settings = dpc_train_settings_default()};
  const dpc_cli_program program = {.name = "train-peer",
                                   .doc = "The trainer, as tools/peers/run measures it.",
                                   .arguments = "SIZE",
                                   .options = options,
                                   .parse = parse};
  dpc_error error = {""};
  dpc_cli_start(&program, argc, argv, &p.cli, &p);
  const dpc_status status = run(&p, &error);
  dpc_trainer_destroy(p.trainer);
  dpc_arena_unmap(&p.arena);
  return dpc_cli_finish(&p.cli, status, &error);
}
