// What modulates every block: the embedded timestep, and step size, through two linear layers,
// beside the observations.
#include <math.h>
#include <string.h>

#include "policy/gemm.h"
#include "policy/unet_pass.h"

// Sines, then cosines, of a time at rates that fall from 1 to 1 / 10000 (Vaswani et al. 2017,
// arXiv 1706.03762), in each row from `column` on. Without times they are all 0.
static void embed_time(const dpc_unet_pass* p, const float* time, int column) {
  const dpc_unet_def* def = &p->unet->def;
  const int half = def->step_embed_dim / 2, width = dpc_unet_embed_dim(def);
  for (int i = 0; i < half; ++i) {
    const float rate = (float)exp(-log(10000.0) / (half - 1) * i);
    for (int b = 0; b < p->batch; ++b) {
      const float angle = time != NULL ? time[b] * rate : 0.0f;
      float* row = p->work->embed + (size_t)b * width + column;
      row[i] = sinf(angle);
      row[half + i] = cosf(angle);
    }
  }
}

void dpc_unet_embed_forward(const dpc_unet_pass* p, const float* timestep, const float* step_size) {
  const dpc_unet* u = p->unet;
  dpc_unet_work* w = p->work;
  const int embed = u->def.step_embed_dim;
  embed_time(p, timestep, 0);
  if (u->def.step_size_dim > 0) embed_time(p, step_size, embed);
  dpc_linear_forward(p->batch, dpc_unet_embed_dim(&u->def), 4 * embed, w->embed,
                     p->params + u->step_weight1, p->params + u->step_bias1, w->hidden);
  dpc_mish_forward(p->batch * 4 * embed, w->hidden, w->hidden_mish);
  // the second linear layer writes its rows in place, cond_dim apart
  for (int b = 0; b < p->batch; ++b) {
    memcpy(w->cond + (size_t)b * u->cond_dim, p->params + u->step_bias2,
           sizeof(float) * (size_t)embed);
  }
  dpc_gemm_nt(p->batch, embed, 4 * embed, w->hidden_mish, 4 * embed, p->params + u->step_weight2,
              4 * embed, 1, w->cond, u->cond_dim);
  for (int b = 0; b < p->batch; ++b) {
    const size_t row = (size_t)b * u->cond_dim;
    dpc_mish_forward(embed, w->cond + row, w->cond_mish + row);
  }
}

void dpc_unet_condition_forward(const dpc_unet_pass* p, const float* timestep,
                                const float* step_size, const float* cond) {
  const dpc_unet* u = p->unet;
  dpc_unet_work* w = p->work;
  const int embed = u->def.step_embed_dim, given = u->def.global_cond_dim;
  dpc_unet_embed_forward(p, timestep, step_size);
  for (int b = 0; b < p->batch; ++b) {
    const size_t row = (size_t)b * u->cond_dim + (size_t)embed;
    memcpy(w->cond + row, cond + (size_t)b * given, sizeof(float) * (size_t)given);
    dpc_mish_forward(given, w->cond + row, w->cond_mish + row);
  }
}

void dpc_unet_condition_backward(const dpc_unet_pass* p, float* grad_cond) {
  const dpc_unet* u = p->unet;
  dpc_unet_work* w = p->work;
  const int embed = u->def.step_embed_dim, given = u->def.global_cond_dim;
  dpc_mish_backward(p->batch * u->cond_dim, w->cond, w->grad_cond, w->grad_cond);
  for (int b = 0; b < p->batch; ++b) {
    const float* row = w->grad_cond + (size_t)b * u->cond_dim;
    float* bias = p->grads + u->step_bias2;
    for (int i = 0; i < embed; ++i) bias[i] += row[i];
    if (grad_cond != NULL) {
      memcpy(grad_cond + (size_t)b * given, row + embed, sizeof(float) * (size_t)given);
    }
  }
  dpc_gemm_tn(embed, 4 * embed, p->batch, w->grad_cond, u->cond_dim, w->hidden_mish, 4 * embed, 1,
              p->grads + u->step_weight2, 4 * embed);
  dpc_gemm_nn(p->batch, 4 * embed, embed, w->grad_cond, u->cond_dim, p->params + u->step_weight2,
              4 * embed, 0, w->grad_hidden, 4 * embed);
  dpc_mish_backward(p->batch * 4 * embed, w->hidden, w->grad_hidden, w->grad_hidden);
  dpc_linear_backward(p->batch, dpc_unet_embed_dim(&u->def), 4 * embed, w->embed,
                      p->params + u->step_weight1, w->grad_hidden, p->grads + u->step_weight1,
                      p->grads + u->step_bias1, NULL, false);
}
