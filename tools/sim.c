/// dpc-sim: the push world as a robot that needs no hardware.

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "tools/cli.h"
#include "tools/sim_server.h"

enum { KEY_RESET_STATES = 0x1000, KEY_INSECURE, KEY_STRIP, STRIP_FRAMES = 8, STRIP_SIZE = 192 };

typedef struct run {
  dpc_cli cli;
  dpc_sim_def sim;
  dpc_link_def link;
  // what options said; they win over CONFIG and KEY=VALUE
  const char* endpoint;
  bool insecure;
  int pace;              // -1: not given
  dpc_seed_range seeds;  // first = end: not given
  dpc_seed_range reset_states;
  const char* strip;
  dpc_sim_result result;
} run;

static const struct argp_option options[] = {
    {"seeds", 's', "A:B", 0, "Serve these episodes, then say Bye (default: 100000 and on)", 0},
    {"endpoint", 'e', "ENDPOINT", 0, "Listen here: tcp://127.0.0.1:PORT or ipc://PATH", 0},
    {"pace", 'p', "PACE", 0, "realtime (10 Hz) or lockstep (a step for each command)", 0},
    {"insecure", KEY_INSECURE, NULL, 0,
     "Allow an endpoint that other machines can reach; nothing is authenticated yet", 0},
    {"strip", KEY_STRIP, "FILE", 0, "Leave a picture (PNG) of the last episode", 0},
    {"reset-states", KEY_RESET_STATES, "A:B", 0,
     "Only print the five numbers that each seed draws, before placing", 0},
    {0}};

static error_t parse(int key, char* text, struct argp_state* state) {
  static const char* const paces[] = {"realtime", "lockstep", NULL};
  run* r = state->input;
  switch (key) {
    case 's':
      r->seeds = dpc_cli_seeds(state, "--seeds", text);
      return 0;
    case 'e':
      r->endpoint = text;
      return 0;
    case 'p':
      r->pace = dpc_cli_choice(state, "--pace", text, paces);
      return 0;
    case KEY_INSECURE:
      r->insecure = true;
      return 0;
    case KEY_STRIP:
      r->strip = text;
      return 0;
    case KEY_RESET_STATES:
      r->reset_states = dpc_cli_seeds(state, "--reset-states", text);
      return 0;
    default:
      return ARGP_ERR_UNKNOWN;
  }
}

// --- reset states ---------------------------------------------------------------------------------

static dpc_status print_reset_states(run* r, dpc_error* error) {
  dpc_json* report = dpc_json_object();
  dpc_json* states = dpc_json_set(report, "states", dpc_json_array());
  for (uint64_t seed = r->reset_states.first; seed < r->reset_states.end; ++seed) {
    const dpc_push_state state = dpc_push_reset_state((uint32_t)seed);
    const double numbers[] = {state.agent_x, state.agent_y, state.block_x, state.block_y,
                              state.block_angle};
    dpc_json* row = dpc_json_push(states, dpc_json_array());
    dpc_json_push_int(row, (int64_t)seed);
    for (int i = 0; i < DPC_COUNT(numbers); ++i) dpc_json_push_real(row, numbers[i]);
    dpc_cli_print(&r->cli, "%" PRIu64 " %.17g %.17g %.17g %.17g %.17g\n", seed, numbers[0],
                  numbers[1], numbers[2], numbers[3], numbers[4]);
  }
  return dpc_cli_report(&r->cli, report, error);
}

// --- serving --------------------------------------------------------------------------------------

static dpc_status read_settings(run* r, dpc_error* error) {
  DPC_TRY(dpc_cli_read_config(&r->cli, error));
  if (r->pace >= 0) r->sim.pace = r->pace;
  if (r->insecure) r->link.insecure = true;
  if (r->seeds.end > r->seeds.first) {
    if (r->seeds.end - r->seeds.first > 100000000) {
      return dpc_fail(error, DPC_ERR_CONFIG, "--seeds: at most 100000000 episodes");
    }
    r->sim.first_seed = r->seeds.first;
    r->sim.episodes = (int)(r->seeds.end - r->seeds.first);
  }
  if (r->endpoint != NULL) {
    if (strlen(r->endpoint) >= sizeof r->link.endpoint) {
      return dpc_fail(error, DPC_ERR_CONFIG, "--endpoint: longer than %d bytes",
                      DPC_ENDPOINT_MAX - 1);
    }
    (void)snprintf(r->link.endpoint, sizeof r->link.endpoint, "%s", r->endpoint);
  }
  DPC_TRY(dpc_sim_def_check(&r->sim, error));
  return dpc_link_def_check(&r->link, error);
}

// Moments at equal distances, the first and the last among them.
static dpc_status draw_strip(const run* r, dpc_error* error) {
  const dpc_sim_result* result = &r->result;
  if (r->strip == NULL) return DPC_OK;
  if (result->count == 0) {
    dpc_log(DPC_LOG_WARNING, "%s: not drawn, as no episode has ended", r->strip);
    return DPC_OK;
  }
  const int count = result->frame_count < STRIP_FRAMES ? result->frame_count : STRIP_FRAMES;
  dpc_render_frame frames[STRIP_FRAMES];
  for (int i = 0; i < count; ++i) {
    frames[i] = result->frames[i * (result->frame_count - 1) / (count > 1 ? count - 1 : 1)];
  }
  const dpc_sim_episode* last = &result->episodes[result->count - 1];
  char caption[96];
  (void)snprintf(caption, sizeof caption, "seed %" PRIu32 ": score %.3f%s, %d steps", last->seed,
                 last->score, last->success ? ", success" : "", last->steps);
  DPC_TRY(dpc_render_strip(frames, count, STRIP_SIZE, caption, r->strip, error));
  dpc_log(DPC_LOG_INFO, "drew %s", r->strip);
  return DPC_OK;
}

static dpc_status report(run* r, dpc_error* error) {
  const dpc_sim_result* result = &r->result;
  double score = 0, successes = 0;
  int64_t held = 0;
  dpc_json* json = dpc_json_object();
  dpc_json* rows = dpc_json_array();
  for (int i = 0; i < result->count; ++i) {
    const dpc_sim_episode* episode = &result->episodes[i];
    score += episode->score;
    successes += episode->success ? 1 : 0;
    held += episode->held;
    dpc_json* row = dpc_json_push(rows, dpc_json_array());
    dpc_json_push_int(row, episode->seed);
    dpc_json_push_real(row, episode->score);
    dpc_json_push_int(row, episode->success ? 1 : 0);
  }
  const double count = result->count > 0 ? result->count : 1;
  dpc_json_set_int(json, "episodes", result->count);
  dpc_json_set_real(json, "score_mean", score / count);
  dpc_json_set_real(json, "success_rate", successes / count);
  dpc_json_set_int(json, "held_steps", held);
  dpc_json_set_int(json, "late_steps", (int64_t)result->late);
  dpc_json_set_int(json, "expired_leases", (int64_t)result->link.expired);
  dpc_json_set_int(
      json, "ignored_messages",
      (int64_t)(result->link.other_session + result->link.unexpected + result->link.bad_frame +
                result->link.bad_format + result->link.bad_value + result->link.bad_count));
  dpc_json_set(json, "per_seed", rows);
  dpc_cli_print(&r->cli,
                "%d episodes: score %.3f, success %.3f; %" PRId64 " steps held, %" PRIu64 " late\n",
                result->count, score / count, successes / count, held, result->late);
  return dpc_cli_report(&r->cli, json, error);
}

static dpc_status serve(run* r, dpc_error* error) {
  DPC_TRY(read_settings(r, error));
  dpc_cli_catch_signals();
  dpc_status status = dpc_sim_serve(&r->sim, &r->link, &r->result, error);
  if (status == DPC_OK) status = draw_strip(r, error);
  if (status == DPC_OK) status = report(r, error);
  // stopping a server that has no end of its own is how it ends
  if (status == DPC_OK && dpc_cli_interrupted() && r->result.count < r->sim.episodes) {
    status = dpc_fail(error, DPC_ERR_INTERRUPTED, "interrupted after %d of %d episodes",
                      r->result.count, r->sim.episodes);
  }
  dpc_sim_result_free(&r->result);
  return status;
}

int main(int argc, char** argv) {
  static run r = {.pace = -1};
  const dpc_config_section sections[] = {{.table = &dpc_sim_fields, .def = &r.sim},
                                         {.table = &dpc_link_fields, .def = &r.link}};
  const dpc_cli_program program = {
      .name = "sim",
      .doc = "Serve the push world to a controller (dpc run), as a robot would.",
      .options = options,
      .parse = parse,
      .sections = sections,
      .section_count = DPC_COUNT(sections)};
  dpc_error error = {""};
  dpc_cli_start(&program, argc, argv, &r.cli, &r);
  const dpc_status status = r.reset_states.end > r.reset_states.first
                                ? print_reset_states(&r, &error)
                                : serve(&r, &error);
  return dpc_cli_finish(&r.cli, status, &error);
}
