// One residual block, its convolutions and normalisations: each way forward beside its way back.
#include "policy/unet_pass.h"

// --- convolution ---------------------------------------------------------------------------------

void dpc_unet_conv_forward(const dpc_unet_pass* p, const dpc_unet_conv* c, const float* in,
                           float* out) {
  dpc_conv1d_forward(&c->conv, p->batch, c->time, in, p->params + c->weight, p->params + c->bias,
                     out);
}

void dpc_unet_conv_backward(const dpc_unet_pass* p, const dpc_unet_conv* c, const float* in,
                            const float* grad_out, float* grad_in) {
  dpc_conv1d_backward(&c->conv, p->batch, c->time, in, p->params + c->weight, grad_out,
                      p->grads + c->weight, p->grads + c->bias, grad_in);
}

// --- normalisation -------------------------------------------------------------------------------

void dpc_unet_norm_forward(const dpc_unet_pass* p, const dpc_unet_conv_block* block,
                           const float* pre, const float* film, float* stats, float* out) {
  dpc_norm_mish_forward(&block->norm, p->batch, block->conv.time, pre, p->params + block->gamma,
                        p->params + block->beta, film, stats, out);
}

void dpc_unet_norm_backward(const dpc_unet_pass* p, const dpc_unet_conv_block* block,
                            const float* pre, const float* film, const float* stats,
                            const float* grad_out, float* grad_film, float* grad_pre) {
  dpc_norm_mish_backward(&block->norm, p->batch, block->conv.time, pre, p->params + block->gamma,
                         p->params + block->beta, film, stats, grad_out, p->grads + block->gamma,
                         p->grads + block->beta, grad_film, grad_pre);
}

// --- residual block ------------------------------------------------------------------------------

void dpc_unet_residual_forward(const dpc_unet_pass* p, const dpc_unet_residual* r,
                               dpc_unet_residual_work* w, const float* in) {
  const int size = p->batch * r->time * r->out;
  dpc_linear_forward(p->batch, p->unet->cond_dim, 2 * r->out, p->work->cond_mish,
                     p->params + r->film_weight, p->params + r->film_bias, w->film);
  dpc_unet_conv_forward(p, &r->first.conv, in, w->pre1);
  dpc_unet_norm_forward(p, &r->first, w->pre1, w->film, w->stats1, w->act1);
  dpc_unet_conv_forward(p, &r->second.conv, w->act1, w->pre2);
  dpc_unet_norm_forward(p, &r->second, w->pre2, NULL, w->stats2, w->out);
  const float* around = in;
  if (r->projects) {
    dpc_unet_conv_forward(p, &r->projection, in, p->work->grad[0]);
    around = p->work->grad[0];
  }
  for (int i = 0; i < size; ++i) w->out[i] += around[i];
}

void dpc_unet_residual_backward(const dpc_unet_pass* p, const dpc_unet_residual* r,
                                const dpc_unet_residual_work* w, const float* in,
                                const float* grad_out, float* grad_in) {
  float *a = p->work->grad[2], *b = p->work->grad[3];
  const int cond = p->unet->cond_dim;
  dpc_unet_norm_backward(p, &r->second, w->pre2, NULL, w->stats2, grad_out, NULL, a);
  dpc_unet_conv_backward(p, &r->second.conv, w->act1, a, b);
  dpc_unet_norm_backward(p, &r->first, w->pre1, w->film, w->stats1, b, p->work->grad_film, b);
  dpc_linear_backward(p->batch, cond, 2 * r->out, p->work->cond_mish, p->params + r->film_weight,
                      p->work->grad_film, p->grads + r->film_weight, p->grads + r->film_bias,
                      p->work->grad_cond, true);
  dpc_unet_conv_backward(p, &r->first.conv, in, b, grad_in);
  const float* around = grad_out;
  if (r->projects) {
    dpc_unet_conv_backward(p, &r->projection, in, grad_out, grad_in == NULL ? NULL : a);
    around = a;
  }
  if (grad_in == NULL) return;
  const int size = p->batch * r->time * r->in;
  for (int i = 0; i < size; ++i) grad_in[i] += around[i];
}
