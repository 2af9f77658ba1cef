/// dpc-verify: compare our network with what the reference implementation made of the same weights.

#include <stdio.h>

#include "policy/gemm.h"
#include "tools/cli.h"
#include "tools/verify_run.h"

static const size_t ADDRESS_SPACE = (size_t)4 << 30;  // reserved; only what is touched is used

typedef struct args {
  dpc_cli cli;
  const char *weights, *io;
} args;

static void print_row(const args* a, const char* what, double value, double limit,
                      const char* note) {
  const char* verdict = value <= limit ? "ok" : "FAILED";
  dpc_cli_print(&a->cli, "%-28s %10.3g  %s (limit %g)%s\n", what, value, verdict, limit, note);
}

static void print_table(const args* a, const dpc_verify_result* r) {
  char note[160], adjusted[64] = "";
  if (r->grad_adjusted > 0) {
    (void)snprintf(adjusted, sizeof adjusted, ", %d first updates fitted (%.2g before)",
                   r->grad_adjusted, r->grad_nmse_raw);
  }
  (void)snprintf(note, sizeof note, ", worst %s, of step %d%s", r->grad_worst, r->grad_step,
                 adjusted);
  print_row(a, "output, largest error", r->output_max_abs, DPC_VERIFY_OUTPUT_LIMIT, "");
  print_row(a, "loss, error", r->loss_abs, DPC_VERIFY_LOSS_LIMIT, "");
  print_row(a, "gradients, nmse", r->grad_nmse_max, DPC_VERIFY_GRAD_LIMIT, note);
  print_row(a, "gradient of sample, nmse", r->grad_sample_nmse, DPC_VERIFY_GRAD_LIMIT, "");
  print_row(a, "gradient of condition, nmse", r->grad_cond_nmse, DPC_VERIFY_GRAD_LIMIT, "");
  print_row(a, "AdamW losses, largest error", r->losses_abs, DPC_VERIFY_LOSS_LIMIT, "");
}

// False also for what is not a number.
static bool agrees(const dpc_verify_result* r) {
  return r->output_max_abs <= DPC_VERIFY_OUTPUT_LIMIT && r->loss_abs <= DPC_VERIFY_LOSS_LIMIT &&
         r->grad_nmse_max <= DPC_VERIFY_GRAD_LIMIT &&
         r->grad_sample_nmse <= DPC_VERIFY_GRAD_LIMIT &&
         r->grad_cond_nmse <= DPC_VERIFY_GRAD_LIMIT && r->losses_abs <= DPC_VERIFY_LOSS_LIMIT;
}

static dpc_status report(const args* a, const dpc_verify_result* r, dpc_error* error) {
  dpc_json* json = dpc_json_object();
  dpc_json_set_bool(json, "passed", agrees(r));
  dpc_json_set_real(json, "output_max_abs", r->output_max_abs);
  dpc_json_set_real(json, "loss_abs", r->loss_abs);
  dpc_json_set_real(json, "grad_nmse_max", r->grad_nmse_max);
  dpc_json_set_real(json, "grad_nmse_raw", r->grad_nmse_raw);
  dpc_json_set_text(json, "grad_worst", r->grad_worst);
  dpc_json_set_int(json, "grad_step", r->grad_step);
  dpc_json_set_int(json, "grad_adjusted", r->grad_adjusted);
  dpc_json_set_real(json, "grad_input_sample_nmse", r->grad_sample_nmse);
  dpc_json_set_real(json, "grad_input_global_cond_nmse", r->grad_cond_nmse);
  dpc_json_set_real(json, "adamw_losses_abs", r->losses_abs);
  dpc_json_set_real(json, "adamw_params_abs", r->params_abs);
  return dpc_cli_report(&a->cli, json, error);
}

static dpc_status verify(const args* a, dpc_verify_pair* pair, dpc_arena* arena, dpc_error* error) {
  dpc_verify_result result;
  DPC_TRY(dpc_gemm_start(error));
  DPC_TRY(dpc_arena_map(arena, ADDRESS_SPACE, error));
  DPC_TRY(dpc_verify_pair_open(a->weights, a->io, arena, pair, error));
  DPC_TRY(dpc_verify_run(pair, arena, &result, error));
  print_table(a, &result);
  DPC_TRY(report(a, &result, error));
  if (agrees(&result)) return DPC_OK;
  return dpc_fail(error, DPC_ERR_MISMATCH, "%s: the network differs from the reference", a->io);
}

static error_t parse(int key, char* text, struct argp_state* state) {
  args* a = state->input;
  switch (key) {
    case ARGP_KEY_ARG:
      if (state->arg_num > 1) argp_error(state, "only WEIGHTS and IO are wanted, not '%s'", text);
      *(state->arg_num == 0 ? &a->weights : &a->io) = text;
      return 0;
    case ARGP_KEY_END:
      if (state->arg_num < 2) argp_error(state, "WEIGHTS and IO are wanted");
      return 0;
    default:
      return ARGP_ERR_UNKNOWN;
  }
}

int main(int argc, char** argv) {
  const dpc_cli_program program = {
      .name = "verify",
      .doc =
          "Compare the network with reference tensors.\v"
          "WEIGHTS holds a state_dict of the reference implementation, its settings in the "
          "metadata; IO holds a batch, its output and loss, gradients, and the losses of AdamW "
          "steps on it (tools/reference/make_unet_golden.py writes both). The gradients may be "
          "those of the first or of the last step. Ends with code 1 when an error is over its "
          "limit.",
      .arguments = "WEIGHTS IO",
      .parse = parse,
  };
  args a = {0};
  dpc_verify_pair pair = {0};
  dpc_arena arena = {0};
  dpc_error error = {""};
  dpc_cli_start(&program, argc, argv, &a.cli, &a);
  const dpc_status status = verify(&a, &pair, &arena, &error);
  dpc_verify_pair_close(&pair);
  dpc_arena_unmap(&arena);
  return dpc_cli_finish(&a.cli, status, &error);
}
