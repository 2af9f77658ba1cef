// The network, module by module as the reference has it.
#include "tools/export_onnx_unet.h"

#include <math.h>

#include "tools/export_onnx_layers.h"

typedef struct unet_export {
  dpc_onnx_layers layers;
  const char* cond_mish;  // what every block is modulated by, [batch, step_embed_dim + cond]
} unet_export;

static const char* add_conv_block(const unet_export* e, const char* module, const char* x,
                                  int channels) {
  const dpc_onnx_layers* l = &e->layers;
  l->g->scope = module;
  const char* conv = dpc_onnx_in(l, module, "block.0");
  const char* y = dpc_onnx_add_conv(l, conv, x, l->def->kernel_size, 1);
  y = dpc_onnx_add_group_norm(l, dpc_onnx_in(l, module, "block.1"), y, channels);
  return dpc_onnx_add_mish(l, y);
}

static const char* add_film(const unet_export* e, const char* module, const char* x, int channels) {
  const dpc_onnx_layers* l = &e->layers;
  l->g->scope = dpc_onnx_in(l, module, "cond_encoder");
  const char* linear = dpc_onnx_in(l, module, "cond_encoder.1");
  return dpc_onnx_add_modulation(l, dpc_onnx_add_linear(l, linear, e->cond_mish), x, channels);
}

static const char* add_residual(const unet_export* e, const char* module, const char* x, int inputs,
                                int outputs) {
  const dpc_onnx_layers* l = &e->layers;
  const char* y = add_conv_block(e, dpc_onnx_in(l, module, "blocks.0"), x, outputs);
  y = add_film(e, module, y, outputs);
  y = add_conv_block(e, dpc_onnx_in(l, module, "blocks.1"), y, outputs);
  l->g->scope = module;
  if (inputs != outputs) {
    x = dpc_onnx_add_conv(l, dpc_onnx_in(l, module, "residual_conv"), x, 1, 1);
  }
  return DPC_ONNX_NODE(l->g, "Add", y, x);
}

// Two residuals of one level, at "list.index.0" and "list.index.1".
static const char* add_pair(const unet_export* e, const char* list, int index, const char* x,
                            int inputs, int outputs) {
  dpc_onnx_graph* g = e->layers.g;
  x = add_residual(e, dpc_onnx_text(g, "%s.%d.0", list, index), x, inputs, outputs);
  x = add_residual(e, dpc_onnx_text(g, "%s.%d.1", list, index), x, outputs, outputs);
  g->scope = dpc_onnx_text(g, "%s.%d.2", list, index);
  return x;
}

// Down, through the middle, and up again with the skips.
static const char* add_levels(const unet_export* e, const char* x) {
  const dpc_onnx_layers* l = &e->layers;
  const int* dims = l->def->down_dims.values;
  const int deepest = l->def->down_dims.count - 1;
  const char* skips[DPC_LIST_MAX];
  for (int i = 0; i <= deepest; ++i) {
    x = add_pair(e, "down_modules", i, x, i == 0 ? dpc_unet_row(l->def) : dims[i - 1], dims[i]);
    skips[i] = x;
    if (i == deepest) break;
    x = dpc_onnx_add_conv(l, dpc_onnx_text(l->g, "down_modules.%d.2.conv", i), x, 3, 2);
  }
  for (int i = 0; i < 2; ++i) {
    const char* module = dpc_onnx_text(l->g, "mid_modules.%d", i);
    x = add_residual(e, module, x, dims[deepest], dims[deepest]);
  }
  for (int i = 0; i < deepest; ++i) {
    const int from = dims[deepest - i], to = dims[deepest - i - 1];
    x = add_pair(e, "up_modules", i, dpc_onnx_add_join(l, x, skips[deepest - i]), 2 * from, to);
    x = dpc_onnx_add_growth(l, dpc_onnx_text(l->g, "up_modules.%d.2.conv", i), x);
  }
  return x;
}

// Sines, then cosines, of the times called `name`, at the rates in `row`.
static const char* add_sines(dpc_onnx_graph* g, const char* name, const char* row) {
  const char* column = dpc_onnx_ints(g, 2, (int64_t[]){-1, 1});
  const char* angles = DPC_ONNX_NODE(g, "Mul", DPC_ONNX_NODE(g, "Reshape", name, column), row);
  const char* sines = DPC_ONNX_NODE(g, "Sin", angles);
  const char* embedding = DPC_ONNX_NODE(g, "Concat", sines, DPC_ONNX_NODE(g, "Cos", angles));
  dpc_onnx_set_int(g, "axis", 1);
  return embedding;
}

// The timestep at falling rates, and the step size beside it.
static const char* add_embedding(const unet_export* e) {
  dpc_onnx_graph* g = e->layers.g;
  const int half = e->layers.def->step_embed_dim / 2;
  float* rates = DPC_TAKE(g->arena, float, half);
  DPC_ASSERT(rates != NULL);
  for (int i = 0; i < half; ++i) rates[i] = (float)exp(-log(10000.0) / (half - 1) * i);
  const char* row = dpc_onnx_floats(g, "const/rates", 2, (int64_t[]){1, half}, rates);
  const char* embedding = add_sines(g, "timestep", row);
  if (e->layers.def->step_size_dim == 0) return embedding;
  embedding = DPC_ONNX_NODE(g, "Concat", embedding, add_sines(g, "step_size", row));
  dpc_onnx_set_int(g, "axis", 1);
  return embedding;
}

static const char* add_condition(const unet_export* e) {
  const dpc_onnx_layers* l = &e->layers;
  l->g->scope = "diffusion_step_encoder";
  const char* hidden = dpc_onnx_add_linear(l, "diffusion_step_encoder.1", add_embedding(e));
  hidden = dpc_onnx_add_mish(l, hidden);
  const char* step = dpc_onnx_add_linear(l, "diffusion_step_encoder.3", hidden);
  const char* both = DPC_ONNX_NODE(l->g, "Concat", step, "cond");
  dpc_onnx_set_int(l->g, "axis", 1);
  return dpc_onnx_add_mish(l, both);
}

void dpc_onnx_add_unet(dpc_onnx_graph* g, const dpc_unet_def* def, dpc_onnx_form form) {
  unet_export e = {.layers = {.g = g, .def = def, .form = form}};
  dpc_onnx_add_constants(&e.layers);
  e.cond_mish = add_condition(&e);
  g->scope = "sample";
  const char* x = add_levels(&e, dpc_onnx_add_entry(&e.layers));
  x = add_conv_block(&e, "final_conv.0", x, def->down_dims.values[0]);
  g->scope = "final_conv";
  dpc_onnx_add_exit(&e.layers, dpc_onnx_add_conv(&e.layers, "final_conv.1", x, 1, 1));
}
