/// dpc-verify: compare our network with what the reference implementation made of the same weights.

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "policy/gemm.h"
#include "tools/cli.h"
#include "tools/verify_pair.h"

static const size_t ADDRESS_SPACE = (size_t)64 << 30;  // reserved; only what is touched is used

// What still counts as the same network.
static const double OUTPUT_LIMIT = 2e-5, GRAD_LIMIT = 1e-8, LOSS_LIMIT = 1e-4;
// A gradient smaller than this part of the root mean square of all is zero but for rounding (a bias in
// front of a normalisation of its channel alone has one), and is judged by the size of the others.
static const double GRAD_ZERO = 1e-4;

typedef struct args {
  dpc_cli cli;
  const char *weights, *io;
} args;

// How far the gradients of all parameters are off.
typedef struct grad_error {
  double nmse_max;    // largest over the tensors
  const char* worst;  // the tensor that has it
} grad_error;

typedef struct verify {
  dpc_arena arena;
  dpc_verify_pair pair;
  dpc_unet_work* work;
  float *grads, *m, *v;              // [parameters]
  float *ours, *theirs;              // [parameters], one tensor at a time
  float *output, *grad_out;          // like pair.output
  float *grad_sample, *grad_cond;    // of the first step
  float *their_sample, *their_cond;  // likewise

  double output_max_abs, loss_abs, losses_abs, params_abs;
  double grad_sample_nmse, grad_cond_nmse;
  grad_error grad[2];  // of the first and of the last step
} verify;

// --- comparing -----------------------------------------------------------------------------------

// The larger one; NaN when either is.
static double larger(double a, double b) {
  return isnan(a) || a >= b ? a : b;
}

static double max_difference(size_t count, const float* a, const float* b) {
  double worst = 0;
  for (size_t i = 0; i < count; ++i) worst = larger(worst, fabs((double)a[i] - (double)b[i]));
  return worst;
}

// Squared error over the squared size of `theirs`, or over the size that is `typical` where theirs is
// no more than rounding.
static double nmse(size_t count, const float* ours, const float* theirs, double typical) {
  double error = 0, size = 0;
  for (size_t i = 0; i < count; ++i) {
    const double off = (double)ours[i] - (double)theirs[i];
    error += off * off;
    size += (double)theirs[i] * (double)theirs[i];
  }
  if (size < typical * GRAD_ZERO * GRAD_ZERO) size = typical;
  return error > 0 ? error / size : error;
}

static dpc_status read_gradient(const verify* c, const dpc_unet_tensor* tensor, dpc_error* error) {
  char name[sizeof tensor->name + 8];
  (void)snprintf(name, sizeof name, "grad.%s", tensor->name);
  return dpc_safetensors_read_f32(c->pair.io, name, tensor->rank, tensor->shape, c->theirs, error);
}

static dpc_status mean_square_gradient(const verify* c, double* out, dpc_error* error) {
  double squares = 0, count = 0;
  for (int i = 0; i < dpc_unet_tensor_count(c->pair.unet); ++i) {
    const dpc_unet_tensor* tensor = dpc_unet_tensor_at(c->pair.unet, i);
    DPC_TRY(read_gradient(c, tensor, error));
    squares += dpc_sum_of_squares(c->theirs, tensor->count);
    count += (double)tensor->count;
  }
  *out = squares / count;
  return DPC_OK;
}

static dpc_status compare_gradients(const verify* c, grad_error* out, dpc_error* error) {
  grad_error found = {.worst = dpc_unet_tensor_at(c->pair.unet, 0)->name};
  double mean_square;
  DPC_TRY(mean_square_gradient(c, &mean_square, error));
  for (int i = 0; i < dpc_unet_tensor_count(c->pair.unet); ++i) {
    const dpc_unet_tensor* tensor = dpc_unet_tensor_at(c->pair.unet, i);
    DPC_TRY(read_gradient(c, tensor, error));
    dpc_unet_tensor_export(c->pair.unet, i, c->grads, c->ours);
    const double typical = (double)tensor->count * mean_square;
    const double off = nmse(tensor->count, c->ours, c->theirs, typical);
    if (off <= found.nmse_max) continue;
    found = (grad_error){off, tensor->name};
    if (isnan(off)) break;
  }
  *out = found;
  return DPC_OK;
}

static dpc_status compare_input_gradients(verify* c, dpc_error* error) {
  const dpc_verify_pair* pair = &c->pair;
  const dpc_unet_def* def = dpc_unet_settings(pair->unet);
  const int chunk[3] = {pair->batch, def->horizon, def->input_dim};
  const int cond[2] = {pair->batch, def->global_cond_dim};
  DPC_TRY(
      dpc_safetensors_read_f32(pair->io, "grad_input.sample", 3, chunk, c->their_sample, error));
  c->grad_sample_nmse = nmse(pair->size, c->grad_sample, c->their_sample, 0);
  if (def->global_cond_dim == 0) return DPC_OK;
  const size_t count = (size_t)cond[0] * (size_t)cond[1];
  DPC_TRY(
      dpc_safetensors_read_f32(pair->io, "grad_input.global_cond", 2, cond, c->their_cond, error));
  c->grad_cond_nmse = nmse(count, c->grad_cond, c->their_cond, 0);
  return DPC_OK;
}

// Parameters after the last step, of those tensors that the file has.
static dpc_status compare_params(verify* c, dpc_error* error) {
  for (int i = 0; i < dpc_unet_tensor_count(c->pair.unet); ++i) {
    const dpc_unet_tensor* tensor = dpc_unet_tensor_at(c->pair.unet, i);
    char name[sizeof tensor->name + 8];
    (void)snprintf(name, sizeof name, "adamw.%s", tensor->name);
    if (dpc_safetensors_find(c->pair.io, name) == NULL) continue;
    DPC_TRY(
        dpc_safetensors_read_f32(c->pair.io, name, tensor->rank, tensor->shape, c->theirs, error));
    dpc_unet_tensor_export(c->pair.unet, i, c->pair.params, c->ours);
    c->params_abs = larger(c->params_abs, max_difference(tensor->count, c->ours, c->theirs));
  }
  return DPC_OK;
}

// --- running -------------------------------------------------------------------------------------

static dpc_status make_work(verify* c, dpc_error* error) {
  const dpc_verify_pair* pair = &c->pair;
  const size_t params = dpc_unet_param_count(pair->unet);
  const size_t cond = (size_t)pair->batch * (size_t)dpc_unet_settings(pair->unet)->global_cond_dim;
  DPC_TRY(dpc_unet_work_create(pair->unet, pair->batch, true, &c->arena, &c->work, error));
  struct {
    float** block;
    size_t count;
  } const blocks[] = {
      {&c->grads, params},
      {&c->m, params},
      {&c->v, params},
      {&c->ours, params},
      {&c->theirs, params},
      {&c->output, pair->size},
      {&c->grad_out, pair->size},
      {&c->grad_cond, cond},
      {&c->grad_sample, pair->size},
      {&c->their_cond, cond},
      {&c->their_sample, pair->size},
  };
  for (int i = 0; i < DPC_COUNT(blocks); ++i) {
    *blocks[i].block = DPC_TAKE(&c->arena, float, blocks[i].count);
    if (*blocks[i].block == NULL) return dpc_arena_full(&c->arena, "the comparison", error);
  }
  return DPC_OK;
}

// Mean squared error, with its gradient by the output.
static double forward(verify* c) {
  const dpc_verify_pair* pair = &c->pair;
  dpc_unet_forward(pair->unet, pair->params, c->work, pair->batch, pair->sample, pair->timestep,
                   pair->cond, c->output);
  double sum = 0;
  for (size_t i = 0; i < pair->size; ++i) {
    const float off = c->output[i] - pair->target[i];
    sum += (double)off * (double)off;
    c->grad_out[i] = (float)(2 / (double)pair->size) * off;
  }
  return sum / (double)pair->size;
}

static void backward(verify* c, bool inputs) {
  const dpc_verify_pair* pair = &c->pair;
  memset(c->grads, 0, sizeof(float) * dpc_unet_param_count(pair->unet));
  dpc_unet_backward(pair->unet, pair->params, c->work, pair->batch, pair->sample, pair->cond,
                    c->grad_out, c->grads, inputs ? c->grad_sample : NULL,
                    inputs ? c->grad_cond : NULL);
}

static dpc_status run(verify* c, dpc_error* error) {
  const dpc_verify_pair* pair = &c->pair;
  for (int step = 0;; ++step) {
    const double loss = forward(c);
    c->losses_abs = larger(c->losses_abs, fabs(loss - (double)pair->losses[step]));
    if (step == 0) {
      c->output_max_abs = max_difference(pair->size, c->output, pair->output);
      c->loss_abs = fabs(loss - pair->loss);
    }
    if (step == pair->steps) break;
    backward(c, step == 0);
    if (step == 0) DPC_TRY(compare_input_gradients(c, error));
    if (step == 0) DPC_TRY(compare_gradients(c, &c->grad[0], error));
    if (step == pair->steps - 1) DPC_TRY(compare_gradients(c, &c->grad[1], error));
    dpc_adamw_step(&pair->adamw, step + 1, pair->lr, c->grads, pair->params, c->m, c->v,
                   dpc_unet_param_count(pair->unet));
  }
  return compare_params(c, error);
}

// --- reporting -----------------------------------------------------------------------------------

static void print_row(const args* a, const char* what, double value, double limit,
                      const char* note) {
  dpc_cli_print(&a->cli, "%-28s %10.3g  %s", what, value, value <= limit ? "ok" : "FAILED");
  dpc_cli_print(&a->cli, " (limit %g)%s\n", limit, note);
}

static dpc_status judge(const args* a, const verify* c, dpc_error* error) {
  // a recorder that keeps references sees the gradients of its last step under the first one's name
  const bool first = c->grad[0].nmse_max <= c->grad[1].nmse_max;
  const grad_error* grad = first ? &c->grad[0] : &c->grad[1];
  const double inputs = larger(c->grad_sample_nmse, c->grad_cond_nmse);
  const bool passed = c->output_max_abs <= OUTPUT_LIMIT && c->loss_abs <= LOSS_LIMIT &&
                      grad->nmse_max <= GRAD_LIMIT && inputs <= GRAD_LIMIT &&
                      c->losses_abs <= LOSS_LIMIT;
  char note[128];
  (void)snprintf(note, sizeof note, ", worst %s, of step %d", grad->worst,
                 first ? 1 : c->pair.steps);
  print_row(a, "output, largest error", c->output_max_abs, OUTPUT_LIMIT, "");
  print_row(a, "loss, error", c->loss_abs, LOSS_LIMIT, "");
  print_row(a, "gradients, nmse", grad->nmse_max, GRAD_LIMIT, note);
  print_row(a, "gradients of inputs, nmse", inputs, GRAD_LIMIT, "");
  print_row(a, "AdamW losses, largest error", c->losses_abs, LOSS_LIMIT, "");

  dpc_json* json = dpc_json_object();
  dpc_json_set_bool(json, "passed", passed);
  dpc_json_set_real(json, "output_max_abs", c->output_max_abs);
  dpc_json_set_real(json, "loss_abs", c->loss_abs);
  dpc_json_set_real(json, "grad_nmse_max", grad->nmse_max);
  dpc_json_set_text(json, "grad_worst", grad->worst);
  dpc_json_set_int(json, "grad_step", first ? 1 : c->pair.steps);
  dpc_json_set_real(json, "grad_input_sample_nmse", c->grad_sample_nmse);
  dpc_json_set_real(json, "grad_input_global_cond_nmse", c->grad_cond_nmse);
  dpc_json_set_real(json, "adamw_losses_abs", c->losses_abs);
  dpc_json_set_real(json, "adamw_params_abs", c->params_abs);
  DPC_TRY(dpc_cli_report(&a->cli, json, error));
  if (passed) return DPC_OK;
  return dpc_fail(error, DPC_ERR_MISMATCH, "%s: the network differs from the reference", a->io);
}

static dpc_status compare(const args* a, verify* c, dpc_error* error) {
  DPC_TRY(dpc_gemm_start(error));
  DPC_TRY(dpc_arena_map(&c->arena, ADDRESS_SPACE, error));
  DPC_TRY(dpc_verify_pair_open(a->weights, a->io, &c->arena, &c->pair, error));
  DPC_TRY(make_work(c, error));
  DPC_TRY(run(c, error));
  return judge(a, c, error);
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
  static args a;
  static verify c;
  dpc_error error = {""};
  dpc_cli_start(&program, argc, argv, &a.cli, &a);
  const dpc_status status = compare(&a, &c, &error);
  dpc_verify_pair_close(&c.pair);
  dpc_arena_unmap(&c.arena);
  return dpc_cli_finish(&a.cli, status, &error);
}
