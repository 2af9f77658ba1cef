#include "tools/verify_run.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

// A gradient smaller than this part of the root mean square of all is zero but for rounding (a bias in
// front of a normalisation of its channel alone has one), and is judged by the size of the others.
static const double GRAD_ZERO = 1e-4;
// Weights whose first update may be fitted, and the range of its change, in learning rates.
enum { DOUBTFUL = 24, SWEEPS = 3 };
static const double NUDGE_MAX = 2;
// Doubtful updates were seen to make a nmse of 3e-7; far beyond that they are no explanation.
static const double DOUBT_MAX = 1e-4;

typedef struct nudge {
  size_t weight;  // index in the block
  double doubt;   // how far rounding may move its update, in no particular unit
  double by;      // learning rates added after the first step
} nudge;

typedef struct run {
  dpc_verify_pair* pair;
  dpc_unet_work* work;
  size_t count;                    // floats in the block of parameters
  float *start, *m, *v;            // [count]; parameters before the first step, moments
  float *grads, *first, *theirs;   // [count]; ours, ours of the first step, the reference's
  float *apart, *response;         // [count]
  float *output, *grad_out;        // like pair->output
  float *grad_sample, *grad_cond;  // of the first step
  float *their_sample, *their_cond;
  nudge nudges[DOUBTFUL];
  int nudge_count;
} run;

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
  double error = 0, size = dpc_sum_of_squares(theirs, count);
  for (size_t i = 0; i < count; ++i) {
    const double off = (double)ours[i] - (double)theirs[i];
    error += off * off;
  }
  if (size < typical * GRAD_ZERO * GRAD_ZERO) size = typical;
  return error > 0 ? error / size : error;
}

static dpc_status read_theirs(run* r, const char* prefix, const dpc_unet_tensor* tensor, float* out,
                              dpc_error* error) {
  char name[sizeof tensor->name + 8];
  (void)snprintf(name, sizeof name, "%s.%s", prefix, tensor->name);
  return dpc_safetensors_read_f32(r->pair->io, name, tensor->rank, tensor->shape, out, error);
}

static dpc_status read_gradients(run* r, dpc_error* error) {
  for (int i = 0; i < dpc_unet_tensor_count(r->pair->unet); ++i) {
    const dpc_unet_tensor* tensor = dpc_unet_tensor_at(r->pair->unet, i);
    DPC_TRY(read_theirs(r, "grad", tensor, r->response, error));
    dpc_unet_tensor_import(r->pair->unet, i, r->response, r->theirs);
  }
  return DPC_OK;
}

// The largest error over the tensors into `out`, when it is smaller than what is there.
static void compare_gradients(const run* r, int step, dpc_verify_result* out) {
  const dpc_unet* unet = r->pair->unet;
  const double mean_square = dpc_sum_of_squares(r->theirs, r->count) / (double)r->count;
  double worst = 0;
  const char* name = dpc_unet_tensor_at(unet, 0)->name;
  for (int i = 0; i < dpc_unet_tensor_count(unet); ++i) {
    const dpc_unet_tensor* t = dpc_unet_tensor_at(unet, i);
    const double off =
        nmse(t->count, r->grads + t->offset, r->theirs + t->offset, (double)t->count * mean_square);
    if (off <= worst) continue;
    worst = larger(off, worst);
    name = t->name;
  }
  if (!(out->grad_step == 0 || worst < out->grad_nmse_max)) return;
  out->grad_nmse_max = worst;
  out->grad_worst = name;
  out->grad_step = step;
}

static dpc_status compare_inputs(run* r, dpc_verify_result* out, dpc_error* error) {
  const dpc_verify_pair* p = r->pair;
  const dpc_unet_def* def = dpc_unet_settings(p->unet);
  const int chunk[3] = {p->batch, def->horizon, def->input_dim};
  const int cond[2] = {p->batch, def->global_cond_dim};
  DPC_TRY(dpc_safetensors_read_f32(p->io, "grad_input.sample", 3, chunk, r->their_sample, error));
  out->grad_sample_nmse = nmse(p->size, r->grad_sample, r->their_sample, 0);
  if (cond[1] == 0) return DPC_OK;
  DPC_TRY(dpc_safetensors_read_f32(p->io, "grad_input.global_cond", 2, cond, r->their_cond, error));
  out->grad_cond_nmse = nmse((size_t)cond[0] * (size_t)cond[1], r->grad_cond, r->their_cond, 0);
  return DPC_OK;
}

static dpc_status compare_params(run* r, dpc_verify_result* out, dpc_error* error) {
  for (int i = 0; i < dpc_unet_tensor_count(r->pair->unet); ++i) {
    const dpc_unet_tensor* t = dpc_unet_tensor_at(r->pair->unet, i);
    char name[sizeof t->name + 8];
    (void)snprintf(name, sizeof name, "adamw.%s", t->name);
    if (dpc_safetensors_find(r->pair->io, name) == NULL) continue;
    DPC_TRY(read_theirs(r, "adamw", t, r->response, error));
    dpc_unet_tensor_export(r->pair->unet, i, r->pair->params, r->apart);
    out->params_abs = larger(out->params_abs, max_difference(t->count, r->apart, r->response));
  }
  return DPC_OK;
}

// --- steps ---------------------------------------------------------------------------------------

static void restart(run* r) {
  memcpy(r->pair->params, r->start, sizeof(float) * r->count);
  memset(r->m, 0, sizeof(float) * r->count);
  memset(r->v, 0, sizeof(float) * r->count);
}

// Mean squared error, with its gradient by the output.
static double forward(run* r) {
  const dpc_verify_pair* p = r->pair;
  dpc_unet_forward(p->unet, p->params, r->work, p->batch, p->sample, p->timestep, p->step_size,
                   p->cond, r->output);
  double sum = 0;
  for (size_t i = 0; i < p->size; ++i) {
    const float off = r->output[i] - p->target[i];
    sum += (double)off * (double)off;
    r->grad_out[i] = (float)(2 / (double)p->size) * off;
  }
  return sum / (double)p->size;
}

static void backward(run* r) {
  const dpc_verify_pair* p = r->pair;
  memset(r->grads, 0, sizeof(float) * r->count);
  dpc_unet_backward(p->unet, p->params, r->work, p->batch, p->sample, p->cond, r->grad_out,
                    r->grads, r->grad_sample, r->grad_cond);
}

// Update number `step`, from 1.
static void update(run* r, int step) {
  const dpc_verify_pair* p = r->pair;
  dpc_adamw_step(&p->adamw, step, p->lr, r->grads, p->params, r->m, r->v, r->count);
  for (int i = 0; step == 1 && i < r->nudge_count; ++i) {
    p->params[r->nudges[i].weight] += (float)(p->lr * r->nudges[i].by);
  }
}

// --- doubtful updates ----------------------------------------------------------------------------

// The first step of AdamW is lr * g / (|g| + epsilon); rounding of g, in proportion to the size of the
// tensor's gradients, moves it by that times epsilon / (|g| + epsilon)^2.
static void find_doubtful(run* r) {
  const double epsilon = r->pair->adamw.epsilon;
  for (int i = 0; i < dpc_unet_tensor_count(r->pair->unet); ++i) {
    const dpc_unet_tensor* t = dpc_unet_tensor_at(r->pair->unet, i);
    const double size = sqrt(dpc_sum_of_squares(r->first + t->offset, t->count) / (double)t->count);
    for (size_t w = t->offset; w < t->offset + t->count; ++w) {
      const double g = fabs((double)r->first[w]) + epsilon, doubt = size / (g * g);
      if (r->nudge_count == DOUBTFUL && doubt <= r->nudges[DOUBTFUL - 1].doubt) continue;
      // insert, most doubtful first
      int at = r->nudge_count < DOUBTFUL ? r->nudge_count++ : DOUBTFUL - 1;
      for (; at > 0 && r->nudges[at - 1].doubt < doubt; --at) r->nudges[at] = r->nudges[at - 1];
      r->nudges[at] = (nudge){.weight = w, .doubt = doubt};
    }
  }
}

static void last_gradients(run* r) {
  restart(r);
  for (int step = 1;; ++step) {
    (void)forward(r);
    backward(r);
    if (step == r->pair->steps) return;
    update(r, step);
  }
}

// What multiple of `response` is nearest to `apart`, tensors weighing alike.
static double project(const run* r) {
  double product = 0, square = 0;
  for (int i = 0; i < dpc_unet_tensor_count(r->pair->unet); ++i) {
    const dpc_unet_tensor* t = dpc_unet_tensor_at(r->pair->unet, i);
    const double size = dpc_sum_of_squares(r->theirs + t->offset, t->count) + 1e-30;
    for (size_t w = t->offset; w < t->offset + t->count; ++w) {
      product += (double)r->apart[w] * (double)r->response[w] / size;
      square += (double)r->response[w] * (double)r->response[w] / size;
    }
  }
  return square > 0 ? product / square : 0;
}

// What an update more of one weight would change in the last gradients, and how much of that is found
// between ours and theirs. `grads` and `apart` are those of the current nudges, before and after.
static void fit_one(run* r, nudge* n) {
  const double before = n->by;
  memcpy(r->response, r->grads, sizeof(float) * r->count);
  n->by = before + 1;
  last_gradients(r);
  for (size_t w = 0; w < r->count; ++w) r->response[w] = r->grads[w] - r->response[w];
  n->by = fmax(-NUDGE_MAX, fmin(NUDGE_MAX, before + project(r)));
  last_gradients(r);
  for (size_t w = 0; w < r->count; ++w) r->apart[w] = r->theirs[w] - r->grads[w];
}

static void fit_doubtful(run* r, dpc_verify_result* out) {
  if (!(out->grad_nmse_max > DPC_VERIFY_GRAD_LIMIT)) return;
  last_gradients(r);
  find_doubtful(r);
  for (size_t w = 0; w < r->count; ++w) r->apart[w] = r->theirs[w] - r->grads[w];
  for (int sweep = 0; sweep < SWEEPS && out->grad_nmse_max > DPC_VERIFY_GRAD_LIMIT; ++sweep) {
    for (int i = 0; i < r->nudge_count; ++i) fit_one(r, &r->nudges[i]);
    const double before = out->grad_nmse_max;
    compare_gradients(r, r->pair->steps, out);
    if (out->grad_nmse_max < before) out->grad_adjusted = r->nudge_count;
  }
}

// --- the whole -----------------------------------------------------------------------------------

static dpc_status make_run(run* r, dpc_arena* arena, dpc_error* error) {
  const dpc_verify_pair* p = r->pair;
  const size_t count = dpc_unet_param_count(p->unet);
  const size_t cond = (size_t)p->batch * (size_t)dpc_unet_settings(p->unet)->global_cond_dim;
  r->count = count;
  DPC_TRY(dpc_unet_work_create(p->unet, p->batch, true, arena, &r->work, error));
  const struct {
    float** block;
    size_t count;
  } blocks[] = {
      {&r->start, count},          {&r->m, count},         {&r->v, count},
      {&r->grads, count},          {&r->first, count},     {&r->theirs, count},
      {&r->apart, count},          {&r->response, count},  {&r->output, p->size},
      {&r->grad_out, p->size},     {&r->grad_cond, cond},  {&r->grad_sample, p->size},
      {&r->their_sample, p->size}, {&r->their_cond, cond},
  };
  for (int i = 0; i < DPC_COUNT(blocks); ++i) {
    *blocks[i].block = DPC_TAKE(arena, float, blocks[i].count);
    if (*blocks[i].block == NULL) return dpc_arena_full(arena, "the comparison", error);
  }
  memcpy(r->start, p->params, sizeof(float) * count);
  return DPC_OK;
}

static dpc_status first_step(run* r, dpc_verify_result* out, dpc_error* error) {
  const dpc_verify_pair* p = r->pair;
  const double loss = forward(r);
  out->output_max_abs = max_difference(p->size, r->output, p->output);
  out->loss_abs = fabs(loss - p->loss);
  out->losses_abs = fabs(loss - (double)p->losses[0]);
  backward(r);
  memcpy(r->first, r->grads, sizeof(float) * r->count);
  compare_gradients(r, 1, out);
  return compare_inputs(r, out, error);
}

static void later_steps(run* r, dpc_verify_result* out) {
  const dpc_verify_pair* p = r->pair;
  for (int step = 1; step <= p->steps; ++step) {
    update(r, step);
    out->losses_abs = larger(out->losses_abs, fabs(forward(r) - (double)p->losses[step]));
    if (step == p->steps) break;
    backward(r);
    if (step == p->steps - 1) compare_gradients(r, p->steps, out);
  }
}

dpc_status dpc_verify_run(dpc_verify_pair* pair, dpc_arena* arena, dpc_verify_result* out,
                          dpc_error* error) {
  run r = {.pair = pair};
  dpc_verify_result result = {.grad_worst = ""};
  DPC_TRY(make_run(&r, arena, error));
  DPC_TRY(read_gradients(&r, error));
  DPC_TRY(first_step(&r, &result, error));
  later_steps(&r, &result);
  DPC_TRY(compare_params(&r, &result, error));
  result.grad_nmse_raw = result.grad_nmse_max;
  if (result.grad_nmse_max < DOUBT_MAX && pair->steps > 1) fit_doubtful(&r, &result);
  *out = result;
  return DPC_OK;
}
