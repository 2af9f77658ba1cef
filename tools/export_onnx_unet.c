// The nodes of the network, module by module as the reference has them. Activations are
// [batch, channel, 1, time].
#include <math.h>

#include "tools/export_onnx_graph.h"

typedef struct unet_export {
  dpc_onnx_graph* g;
  const dpc_unet_def* def;
  const char* cond_mish;  // what every block is modulated by, [batch, step_embed_dim + cond]
} unet_export;

// A weight's name: module and suffix.
static const char* in(const unet_export* e, const char* module, const char* suffix) {
  return dpc_onnx_text(e->g, "%s.%s", module, suffix);
}

// x n / (n + 2) with n = e (e + 2) and e = e^x, as policy/activation.h has it. Seven cheap passes
// are faster in ONNX Runtime than Softplus, Tanh, Mul, whose Softplus is not vectorised, and than
// the Mish of later opsets, which becomes those three. From 20 on the factor is 1.
static const char* add_mish(const unet_export* e, const char* x) {
  dpc_onnx_graph* g = e->g;
  const char* two = dpc_onnx_scalar(g, 2);
  const char* limited = DPC_ONNX_NODE(g, "Min", x, dpc_onnx_scalar(g, 20));
  const char* power = DPC_ONNX_NODE(g, "Exp", limited);
  const char* n = DPC_ONNX_NODE(g, "Mul", power, DPC_ONNX_NODE(g, "Add", power, two));
  const char* factor = DPC_ONNX_NODE(g, "Div", n, DPC_ONNX_NODE(g, "Add", n, two));
  return DPC_ONNX_NODE(g, "Mul", x, factor);
}

static const char* add_linear(const unet_export* e, const char* module, const char* x) {
  const char* y = DPC_ONNX_NODE(e->g, "Gemm", x, in(e, module, "weight"), in(e, module, "bias"));
  dpc_onnx_set_int(e->g, "transB", 1);
  return y;
}

static const char* add_conv(const unet_export* e, const char* operator, const char* module,
                            const char* x, int kernel, int stride, int pad) {
  const char* y = DPC_ONNX_NODE(e->g, operator, x, in(e, module, "weight"), in(e, module, "bias"));
  dpc_onnx_set_ints(e->g, "kernel_shape", 2, (int64_t[]){1, kernel});
  dpc_onnx_set_ints(e->g, "strides", 2, (int64_t[]){1, stride});
  dpc_onnx_set_ints(e->g, "pads", 4, (int64_t[]){0, pad, 0, pad});
  return y;
}

// Group normalisation: a group is one channel of an instance normalisation, whose own factors are
// 1 and 0; then each channel has its factors.
static const char* add_group_norm(const unet_export* e, const char* module, const char* x,
                                  int channels) {
  dpc_onnx_graph* g = e->g;
  const int64_t groups = e->def->group_count;
  const char* wide =
      DPC_ONNX_NODE(g, "Reshape", x, dpc_onnx_ints(g, 3, (int64_t[]){0, groups, -1}));
  const char* normal = DPC_ONNX_NODE(g, "InstanceNormalization", wide, "const/ones", "const/zeros");
  dpc_onnx_set_real(g, "epsilon", 1e-5F);
  const char* shape = dpc_onnx_ints(g, 4, (int64_t[]){0, channels, 1, -1});
  const char* narrow = DPC_ONNX_NODE(g, "Reshape", normal, shape);
  const char* scaled = DPC_ONNX_NODE(g, "Mul", narrow, in(e, module, "weight"));
  return DPC_ONNX_NODE(g, "Add", scaled, in(e, module, "bias"));
}

static const char* add_conv_block(const unet_export* e, const char* module, const char* x,
                                  int channels) {
  const int kernel = e->def->kernel_size;
  e->g->scope = module;
  const char* y = add_conv(e, "Conv", in(e, module, "block.0"), x, kernel, 1, kernel / 2);
  return add_mish(e, add_group_norm(e, in(e, module, "block.1"), y, channels));
}

static const char* add_film(const unet_export* e, const char* module, const char* x, int channels) {
  dpc_onnx_graph* g = e->g;
  g->scope = in(e, module, "cond_encoder");
  const char* both = add_linear(e, in(e, module, "cond_encoder.1"), e->cond_mish);
  const char* shape = dpc_onnx_ints(g, 4, (int64_t[]){0, 2 * channels, 1, 1});
  both = DPC_ONNX_NODE(g, "Reshape", both, shape);
  const char* sizes = dpc_onnx_ints(g, 2, (int64_t[]){channels, channels});
  const char* scale = DPC_ONNX_NODE(g, "Split", both, sizes);
  const char* shift = dpc_onnx_output(g);
  dpc_onnx_set_int(g, "axis", 1);
  return DPC_ONNX_NODE(g, "Add", DPC_ONNX_NODE(g, "Mul", scale, x), shift);
}

static const char* add_residual(const unet_export* e, const char* module, const char* x, int inputs,
                                int outputs) {
  const char* y = add_conv_block(e, in(e, module, "blocks.0"), x, outputs);
  y = add_film(e, module, y, outputs);
  y = add_conv_block(e, in(e, module, "blocks.1"), y, outputs);
  e->g->scope = module;
  if (inputs != outputs) x = add_conv(e, "Conv", in(e, module, "residual_conv"), x, 1, 1, 0);
  return DPC_ONNX_NODE(e->g, "Add", y, x);
}

// Two residuals of one level, at "list.index.0" and "list.index.1".
static const char* add_pair(const unet_export* e, const char* list, int index, const char* x,
                            int inputs, int outputs) {
  x = add_residual(e, dpc_onnx_text(e->g, "%s.%d.0", list, index), x, inputs, outputs);
  return add_residual(e, dpc_onnx_text(e->g, "%s.%d.1", list, index), x, outputs, outputs);
}

// Sines, then cosines, of the timestep at falling rates.
static const char* add_embedding(const unet_export* e) {
  dpc_onnx_graph* g = e->g;
  const int half = e->def->step_embed_dim / 2;
  float* rates = DPC_TAKE(g->arena, float, half);
  DPC_ASSERT(rates != NULL);
  for (int i = 0; i < half; ++i) rates[i] = (float)exp(-log(10000.0) / (half - 1) * i);
  const char* row = dpc_onnx_floats(g, "const/rates", 2, (int64_t[]){1, half}, rates);
  const char* column = dpc_onnx_ints(g, 2, (int64_t[]){-1, 1});
  const char* angles =
      DPC_ONNX_NODE(g, "Mul", DPC_ONNX_NODE(g, "Reshape", "timestep", column), row);
  const char* embedding =
      DPC_ONNX_NODE(g, "Concat", DPC_ONNX_NODE(g, "Sin", angles), DPC_ONNX_NODE(g, "Cos", angles));
  dpc_onnx_set_int(g, "axis", 1);
  return embedding;
}

static const char* add_condition(const unet_export* e) {
  dpc_onnx_graph* g = e->g;
  g->scope = "diffusion_step_encoder";
  const char* hidden = add_linear(e, "diffusion_step_encoder.1", add_embedding(e));
  const char* step = add_linear(e, "diffusion_step_encoder.3", add_mish(e, hidden));
  const char* both = DPC_ONNX_NODE(g, "Concat", step, "cond");
  dpc_onnx_set_int(g, "axis", 1);
  return add_mish(e, both);
}

// Down, through the middle, and up again with the skips.
static const char* add_levels(const unet_export* e, const char* x) {
  const int* dims = e->def->down_dims.values;
  const int deepest = e->def->down_dims.count - 1;
  const char* skips[DPC_LIST_MAX];
  for (int i = 0; i <= deepest; ++i) {
    x = add_pair(e, "down_modules", i, x, i == 0 ? e->def->input_dim : dims[i - 1], dims[i]);
    skips[i] = x;
    if (i == deepest) break;
    x = add_conv(e, "Conv", dpc_onnx_text(e->g, "down_modules.%d.2.conv", i), x, 3, 2, 1);
  }
  for (int i = 0; i < 2; ++i) {
    const char* module = dpc_onnx_text(e->g, "mid_modules.%d", i);
    x = add_residual(e, module, x, dims[deepest], dims[deepest]);
  }
  for (int i = 0; i < deepest; ++i) {
    const int from = dims[deepest - i], to = dims[deepest - i - 1];
    x = DPC_ONNX_NODE(e->g, "Concat", x, skips[deepest - i]);
    dpc_onnx_set_int(e->g, "axis", 1);
    x = add_pair(e, "up_modules", i, x, 2 * from, to);
    x = add_conv(e, "ConvTranspose", dpc_onnx_text(e->g, "up_modules.%d.2.conv", i), x, 4, 2, 1);
  }
  return x;
}

// The vectors that an instance normalisation wants.
static void add_norm_constants(const unet_export* e) {
  const int64_t groups = e->def->group_count;
  float* values = DPC_TAKE(e->g->arena, float, 2 * groups);
  DPC_ASSERT(values != NULL);
  for (int i = 0; i < groups; ++i) values[i] = 1;
  dpc_onnx_floats(e->g, "const/ones", 1, &groups, values);
  dpc_onnx_floats(e->g, "const/zeros", 1, &groups, values + groups);
}

void dpc_onnx_add_unet(dpc_onnx_graph* g, const dpc_unet_def* def) {
  unet_export e = {.g = g, .def = def};
  add_norm_constants(&e);
  e.cond_mish = add_condition(&e);
  g->scope = "sample";
  const char* x = DPC_ONNX_NODE(g, "Transpose", "sample");
  dpc_onnx_set_ints(g, "perm", 3, (int64_t[]){0, 2, 1});
  x = DPC_ONNX_NODE(g, "Reshape", x, dpc_onnx_ints(g, 4, (int64_t[]){0, def->input_dim, 1, -1}));

  x = add_conv_block(&e, "final_conv.0", add_levels(&e, x), def->down_dims.values[0]);
  g->scope = "final_conv";
  x = add_conv(&e, "Conv", "final_conv.1", x, 1, 1, 0);
  x = DPC_ONNX_NODE(g, "Reshape", x, dpc_onnx_ints(g, 3, (int64_t[]){0, def->input_dim, -1}));
  (void)DPC_ONNX_NODE(g, "Transpose", x);
  dpc_onnx_set_ints(g, "perm", 3, (int64_t[]){0, 2, 1});
  Onnx__NodeProto* last = g->proto.node[g->proto.n_node - 1];
  last->output[0] = dpc_onnx_text(g, "prediction");
}
