#include "tools/sampler_options.h"

#include "tools/cli.h"

enum { KEY_SAMPLER = 0x2000, KEY_STEPS, KEY_GRID, KEY_ETA, KEY_TEMPERATURE };

static const struct argp_option options[] = {
    {NULL, 0, NULL, 0, "How it denoises; by default as the policy's file says:", 1},
    {"sampler", KEY_SAMPLER, "KIND", 0, "ddim, ddpm, dpmpp_2m, heun, consistency or shortcut", 0},
    {"steps", KEY_STEPS, "N", 0, "Denoising steps per chunk", 0},
    {"grid", KEY_GRID, "GRID", 0, "Which timesteps: leading, linspace or trailing", 0},
    {"eta", KEY_ETA, "X", 0, "Randomness of DDIM, from 0 to 1", 0},
    {"temperature", KEY_TEMPERATURE, "X", 0, "Scale of all noise", 0},
    {0}};

static error_t parse(int key, char* text, struct argp_state* state) {
  dpc_sampler_options* given = state->input;
  switch (key) {
    case ARGP_KEY_INIT:
      *given =
          (dpc_sampler_options){.kind = -1, .steps = -1, .grid = -1, .eta = -1, .temperature = -1};
      return 0;
    case KEY_SAMPLER:
      given->kind = dpc_cli_choice(state, "--sampler", text, dpc_sampler_kind_names);
      return 0;
    case KEY_STEPS:
      given->steps = dpc_cli_int(state, "--steps", text, 1, 1000);
      return 0;
    case KEY_GRID:
      given->grid = dpc_cli_choice(state, "--grid", text, dpc_grid_names);
      return 0;
    case KEY_ETA:
      given->eta = dpc_cli_real(state, "--eta", text, 0, 1);
      return 0;
    case KEY_TEMPERATURE:
      given->temperature = dpc_cli_real(state, "--temperature", text, 0, 10);
      return 0;
    default:
      return ARGP_ERR_UNKNOWN;
  }
}

const struct argp dpc_sampler_argp = {.options = options, .parser = parse};

void dpc_sampler_options_apply(const dpc_sampler_options* given, dpc_sampler_def* sampler) {
  if (given->kind >= 0) sampler->kind = given->kind;
  if (given->steps >= 0) sampler->steps = given->steps;
  if (given->grid >= 0) sampler->grid = given->grid;
  if (given->eta >= 0) sampler->eta = given->eta;
  if (given->temperature >= 0) sampler->temperature = given->temperature;
}
