/// dpc-diffuse: pictures of what diffusion does, and a check of noise schedules.

#include "tools/diffuse.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "policy/schedule_end.h"

static const char doc[] =
    "Draw what diffusion does: to a number, to points, to actions and pictures; what a noise "
    "schedule "
    "makes of them; and how a policy finds its way back from noise to a plan."
    "\vFigures, in the order in which they explain each other (tools/docs/diffusion.md does):\n"
    "  point      a value becomes a Gaussian: its densities, and random walks (--at)\n"
    "  points     the same for several values\n"
    "  plane      points of a plane\n"
    "  schedules  mean factor and variance of good and bad schedules over t\n"
    "  centred    data that are not normalised\n"
    "  chunk      an action chunk of an episode log (--log, --episode, --row)\n"
    "  image      a picture (--image)\n"
    "  samplers   the way back with DDPM, DDIM and a flow, where the answer is known\n"
    "  denoise    a policy's plan at each denoising step (--policy, --seed, --plan)\n"
    "  modes      many plans for one observation (--policy, --samples)\n"
    "  all        everything above, into the folder --out\n"
    "\nSCHEDULE is a kind (linear, scaled_linear, squaredcos_cap_v2, flow), a configuration of dpc "
    "train, or a policy. KEY=VALUE changes it, such as schedule.steps=200 schedule.beta_end=0.1. "
    "Without one, figures use the textbook's: linear, 1000 steps, beta from 1e-4 to 0.02.\n"
    "\n--check says whether a schedule ends in the unit Gaussian, where sampling begins; the exit "
    "code "
    "is 0 when it does and 1 when not.";

static const size_t ADDRESS_SPACE = (size_t)4 << 30;  // reserved; only what is touched is used

enum {
  KEY_CHECK = 0x1000,
  KEY_SCHEDULE,
  KEY_AT,
  KEY_LOG,
  KEY_EPISODE,
  KEY_ROW,
  KEY_IMAGE,
  KEY_SEED,
  KEY_PLAN,
  KEY_SAMPLES
};

static const struct argp_option options[] = {
    {"out", 'o', "FILE", 0, "Where to: .svg, .png, or .csv for the numbers (FIGURE.svg)", 0},
    {"check", KEY_CHECK, "SCHEDULE", 0, "Does it end in the unit Gaussian? No figure is drawn", 0},
    {"schedule", KEY_SCHEDULE, "SCHEDULE", 0, "The schedule of the figure", 0},
    {"at", KEY_AT, "X", 0, "point, points: a clean value, up to eight times (4; -3, 0.5, 4)", 0},
    {"log", KEY_LOG, "DIR", 0, "chunk: the episode log (sim/demonstrations)", 0},
    {"episode", KEY_EPISODE, "N", 0, "chunk: its episode, from 0 (0)", 0},
    {"row", KEY_ROW, "N", 0, "chunk: the episode's step it begins with (20)", 0},
    {"image", KEY_IMAGE, "FILE", 0, "image: a PNG of up to 512 x 512 pixels (the push world)", 0},
    {"policy", 'p', "FILE", 0, "denoise, modes: the policy (policy/pretrained/pusht.safetensors)",
     0},
    {"seed", KEY_SEED, "N", 0, "denoise, modes: the push world's episode (26)", 0},
    {"plan", KEY_PLAN, "N", 0, "denoise, modes: which of the episode's plans, from 0 (0)", 0},
    {"samples", KEY_SAMPLES, "N", 0, "modes: plans that are drawn (64)", 0},
    {0}};

typedef struct figure {
  const char* name;
  dpc_status (*draw)(dpc_diffuse* d, const char* path, dpc_error* error);
} figure;

static const figure figures[] = {
    {"point", dpc_diffuse_point},     {"points", dpc_diffuse_point},
    {"plane", dpc_diffuse_plane},     {"schedules", dpc_diffuse_schedules},
    {"centred", dpc_diffuse_centred}, {"chunk", dpc_diffuse_chunk},
    {"image", dpc_diffuse_image},     {"samplers", dpc_diffuse_samplers},
    {"denoise", dpc_diffuse_denoise}, {"modes", dpc_diffuse_modes},
};

typedef struct run {
  dpc_diffuse diffuse;
  const char *figure, *out, *schedule;
  bool check;
} run;

static bool is_figure(const char* name) {
  for (int i = 0; i < DPC_COUNT(figures); ++i) {
    if (strcmp(figures[i].name, name) == 0) return true;
  }
  return strcmp(name, "all") == 0;
}

static void take_argument(run* r, char* text, const struct argp_state* state) {
  dpc_cli* cli = &r->diffuse.cli;
  if (strchr(text, '=') != NULL) {
    if (cli->override_count == DPC_CLI_OVERRIDE_MAX) argp_error(state, "too many arguments");
    cli->overrides[cli->override_count++] = text;
  } else if (r->figure != NULL) {
    argp_error(state, "'%s': the figure is '%s' already", text, r->figure);
  } else if (!is_figure(text)) {
    argp_error(state, "'%s' is not a figure; --help lists them", text);
  } else {
    r->figure = text;
  }
}

static void check_arguments(const run* r, const struct argp_state* state) {
  if (r->check && r->figure != NULL) argp_error(state, "--check draws no figure");
  if (!r->check && r->figure == NULL) argp_error(state, "FIGURE is missing, or --check SCHEDULE");
  if (r->figure != NULL && strcmp(r->figure, "all") == 0 && r->out == NULL) {
    argp_error(state, "--out is missing: the folder for all figures");
  }
}

static error_t parse(int key, char* text, struct argp_state* state) {
  run* r = state->input;
  dpc_diffuse* d = &r->diffuse;
  switch (key) {
    case ARGP_KEY_INIT:
      state->child_inputs[0] = &d->sampler;
      return 0;
    case 'o':
      r->out = text;
      return 0;
    case KEY_CHECK:
      r->check = true;
      r->schedule = text;
      return 0;
    case KEY_SCHEDULE:
      r->schedule = text;
      return 0;
    case KEY_AT:
      if (d->at_count == DPC_DIFFUSE_POINTS_MAX) argp_error(state, "--at: more than eight");
      d->at[d->at_count++] = dpc_cli_real(state, "--at", text, -100, 100);
      return 0;
    case KEY_LOG:
      d->log = text;
      return 0;
    case KEY_EPISODE:
      d->episode = dpc_cli_int(state, "--episode", text, 0, 999999);
      return 0;
    case KEY_ROW:
      d->row = dpc_cli_int(state, "--row", text, 0, 1000000);
      return 0;
    case KEY_IMAGE:
      d->image = text;
      return 0;
    case 'p':
      d->policy = text;
      return 0;
    case KEY_SEED:
      d->seed = (uint32_t)dpc_cli_int(state, "--seed", text, 0, INT32_MAX);
      return 0;
    case KEY_PLAN:
      d->plan = dpc_cli_int(state, "--plan", text, 0, 1000);
      return 0;
    case KEY_SAMPLES:
      d->samples = dpc_cli_int(state, "--samples", text, 1, 1000);
      return 0;
    case ARGP_KEY_ARG:
      take_argument(r, text, state);
      return 0;
    case ARGP_KEY_END:
      check_arguments(r, state);
      return 0;
    default:
      return ARGP_ERR_UNKNOWN;
  }
}

// --- the check ------------------------------------------------------------------------------------

static dpc_status check_schedule(const run* r, dpc_error* error) {
  const dpc_cli* cli = &r->diffuse.cli;
  char words[256];
  const bool reached = dpc_schedule_end_check(r->diffuse.schedule, words, sizeof words);
  const dpc_schedule_end end = dpc_schedule_end_of(r->diffuse.schedule);
  dpc_cli_print(cli, "%s\n", words);
  dpc_json* json = dpc_json_object();
  dpc_json_set_bool(json, "unit_gaussian", reached);
  dpc_json_set_real(json, "mean_factor", end.mean);
  dpc_json_set_real(json, "variance", end.variance);
  dpc_json_set_real(json, "mean_tolerance", DPC_SCHEDULE_MEAN_TOLERANCE);
  dpc_json_set_real(json, "variance_tolerance", DPC_SCHEDULE_VARIANCE_TOLERANCE);
  DPC_TRY(dpc_cli_report(cli, json, error));
  if (reached) return DPC_OK;
  return dpc_fail(error, DPC_ERR_MISMATCH, "the schedule does not end in the unit Gaussian");
}

// --- figures --------------------------------------------------------------------------------------

dpc_status dpc_diffuse_finish(dpc_plot* plot, dpc_error* error) {
  const dpc_status status = dpc_plot_save(plot, error);
  dpc_plot_destroy(plot);
  return status;
}

dpc_noise_level dpc_diffuse_level(const dpc_schedule* schedule, double t) {
  if (schedule->def.kind == DPC_SCHEDULE_FLOW) return dpc_schedule_level(schedule, t);
  return t < 1 ? (dpc_noise_level){1, 0} : dpc_schedule_level(schedule, (int)t - 1);
}

static dpc_status draw(run* r, const figure* f, const char* path, dpc_error* error) {
  static const double one[] = {4}, several[] = {-3, 0.5, 4};
  dpc_diffuse* d = &r->diffuse;
  const int given = d->at_count;
  if (given == 0) {
    const bool is_one = strcmp(f->name, "points") != 0;
    d->at_count = is_one ? DPC_COUNT(one) : DPC_COUNT(several);
    memcpy(d->at, is_one ? one : several, sizeof(double) * (size_t)d->at_count);
  }
  const size_t mark = dpc_arena_mark(&d->arena);
  const dpc_status status = f->draw(d, path, error);
  dpc_arena_release(&d->arena, mark);
  d->at_count = given;
  if (status == DPC_OK) dpc_cli_print(&d->cli, "%s\n", path);
  return status;
}

static dpc_status draw_all(run* r, dpc_error* error) {
  if (mkdir(r->out, 0777) != 0 && errno != EEXIST) {
    return dpc_fail(error, DPC_ERR_IO, "%s: %s", r->out, strerror(errno));
  }
  for (int i = 0; i < DPC_COUNT(figures); ++i) {
    char path[512];
    (void)snprintf(path, sizeof path, "%s/%s.svg", r->out, figures[i].name);
    DPC_TRY(draw(r, &figures[i], path, error));
  }
  return DPC_OK;
}

static dpc_status draw_one(run* r, dpc_error* error) {
  char path[512];
  (void)snprintf(path, sizeof path, "%s.svg", r->figure);
  int i = 0;
  while (strcmp(figures[i].name, r->figure) != 0) ++i;
  return draw(r, &figures[i], r->out != NULL ? r->out : path, error);
}

static dpc_status diffuse(run* r, dpc_error* error) {
  DPC_TRY(dpc_arena_map(&r->diffuse.arena, ADDRESS_SPACE, error));
  DPC_TRY(dpc_diffuse_read_schedule(&r->diffuse, r->schedule, error));
  if (r->check) return check_schedule(r, error);
  return strcmp(r->figure, "all") == 0 ? draw_all(r, error) : draw_one(r, error);
}

int main(int argc, char** argv) {
  static run r = {.diffuse = {.log = "sim/demonstrations",
                              .row = 20,
                              .policy = "policy/pretrained/pusht.safetensors",
                              .seed = 26,  // two ways around the block
                              .samples = 64}};
  dpc_error error = {""};
  const struct argp_child children[] = {{.argp = &dpc_sampler_argp}, {0}};
  const dpc_cli_program program = {
      .name = "diffuse",
      .doc = doc,
      .arguments = "FIGURE [KEY=VALUE...]\n--check SCHEDULE [KEY=VALUE...]",
      .options = options,
      .parse = parse,
      .children = children};
  dpc_cli_start(&program, argc, argv, &r.diffuse.cli, &r);
  const dpc_status status = diffuse(&r, &error);
  dpc_arena_unmap(&r.diffuse.arena);
  return dpc_cli_finish(&r.diffuse.cli, status, &error);
}
