#include "tools/export_onnx_layers.h"

static bool by_products(const dpc_onnx_layers* l) {
  return l->form == DPC_ONNX_MATMUL;
}

const char* dpc_onnx_in(const dpc_onnx_layers* l, const char* module, const char* inner) {
  return dpc_onnx_text(l->g, "%s.%s", module, inner);
}

void dpc_onnx_add_constants(const dpc_onnx_layers* l) {
  if (by_products(l)) return;
  const int64_t groups = l->def->group_count;
  float* values = DPC_TAKE(l->g->arena, float, 2 * groups);
  DPC_ASSERT(values != NULL);
  for (int i = 0; i < groups; ++i) values[i] = 1;
  dpc_onnx_floats(l->g, "const/ones", 1, &groups, values);
  dpc_onnx_floats(l->g, "const/zeros", 1, &groups, values + groups);
}

// Reshape to this shape; 0 keeps a dimension, -1 is what is left.
static const char* reshape(const dpc_onnx_layers* l, const char* x, int rank,
                           const int64_t* shape) {
  return DPC_ONNX_NODE(l->g, "Reshape", x, dpc_onnx_ints(l->g, rank, shape));
}

static const char* transpose(const dpc_onnx_layers* l, const char* x, int64_t a, int64_t b,
                             int64_t c) {
  const char* y = DPC_ONNX_NODE(l->g, "Transpose", x);
  dpc_onnx_set_ints(l->g, "perm", 3, (int64_t[]){a, b, c});
  return y;
}

// --- both ends -----------------------------------------------------------------------------------

const char* dpc_onnx_add_entry(const dpc_onnx_layers* l) {
  if (by_products(l)) return "sample";
  const char* x = transpose(l, "sample", 0, 2, 1);
  return reshape(l, x, 4, (int64_t[]){0, dpc_unet_row(l->def), 1, -1});
}

void dpc_onnx_add_exit(const dpc_onnx_layers* l, const char* x) {
  if (by_products(l)) {
    (void)DPC_ONNX_NODE(l->g, "Identity", x);
  } else {
    (void)transpose(l, reshape(l, x, 3, (int64_t[]){0, l->def->input_dim, -1}), 0, 2, 1);
  }
  dpc_onnx_rename_output(l->g, "prediction");
}

// --- without time --------------------------------------------------------------------------------

// x n / (n + 2) with n = e (e + 2) and e = e^x, as policy/activation.h has it. Seven cheap passes
// are faster in ONNX Runtime than Softplus, Tanh, Mul, whose Softplus is not vectorised, and than
// the Mish of later opsets, which becomes those three. From 20 on the factor is 1.
const char* dpc_onnx_add_mish(const dpc_onnx_layers* l, const char* x) {
  dpc_onnx_graph* g = l->g;
  const char* two = dpc_onnx_scalar(g, 2);
  const char* power = DPC_ONNX_NODE(g, "Exp", DPC_ONNX_NODE(g, "Min", x, dpc_onnx_scalar(g, 20)));
  const char* n = DPC_ONNX_NODE(g, "Mul", power, DPC_ONNX_NODE(g, "Add", power, two));
  const char* factor = DPC_ONNX_NODE(g, "Div", n, DPC_ONNX_NODE(g, "Add", n, two));
  return DPC_ONNX_NODE(g, "Mul", x, factor);
}

const char* dpc_onnx_add_linear(const dpc_onnx_layers* l, const char* module, const char* x) {
  const char* y = DPC_ONNX_NODE(l->g, "Gemm", x, dpc_onnx_in(l, module, "weight"),
                                dpc_onnx_in(l, module, "bias"));
  dpc_onnx_set_int(l->g, "transB", 1);
  return y;
}

// --- convolutions --------------------------------------------------------------------------------

static const char* add_picture_conv(const dpc_onnx_layers* l, const char* operator,
                                    const char* module, const char* x, int kernel, int stride,
                                    int pad) {
  const char* y = DPC_ONNX_NODE(l->g, operator, x, dpc_onnx_in(l, module, "weight"),
                                dpc_onnx_in(l, module, "bias"));
  dpc_onnx_set_ints(l->g, "kernel_shape", 2, (int64_t[]){1, kernel});
  dpc_onnx_set_ints(l->g, "strides", 2, (int64_t[]){1, stride});
  dpc_onnx_set_ints(l->g, "pads", 4, (int64_t[]){0, pad, 0, pad});
  return y;
}

// What each tap of a convolution reads, side by side: [batch, time', taps * inputs].
static const char* add_windows(const dpc_onnx_layers* l, const char* x, int kernel, int stride) {
  dpc_onnx_graph* g = l->g;
  const int64_t pad = kernel / 2;
  const char* pads = dpc_onnx_ints(g, 6, (int64_t[]){0, pad, 0, 0, pad, 0});
  const char* padded = DPC_ONNX_NODE(g, "Pad", x, pads);
  const char** taps = DPC_TAKE(g->arena, const char*, kernel + 1);
  DPC_ASSERT(taps != NULL);
  for (int i = 0; i < kernel; ++i) {
    const int64_t before_end = i - kernel + 1 - (stride - 1);
    const int64_t end = before_end == 0 ? INT64_MAX : before_end;
    taps[i] = DPC_ONNX_NODE(g, "Slice", padded, dpc_onnx_ints(g, 1, (int64_t[]){i}),
                            dpc_onnx_ints(g, 1, &end), dpc_onnx_ints(g, 1, (int64_t[]){1}),
                            dpc_onnx_ints(g, 1, (int64_t[]){stride}));
  }
  const char* windows = dpc_onnx_node(g, "Concat", taps);
  dpc_onnx_set_int(g, "axis", 2);
  return windows;
}

const char* dpc_onnx_add_conv(const dpc_onnx_layers* l, const char* module, const char* x,
                              int kernel, int stride) {
  if (!by_products(l)) {
    return add_picture_conv(l, "Conv", module, x, kernel, stride, kernel / 2);
  }
  // runtimes turn the weight once, when they load the model: (out, in, tap) to (tap in, out)
  const char* weight = dpc_onnx_in(l, module, "weight");
  const char* turned = transpose(l, weight, 2, 1, 0);
  const int64_t outputs = dpc_onnx_dim(l->g, weight, 0);
  const char* matrix = reshape(l, turned, 2, (int64_t[]){-1, outputs});
  const char* windows = kernel == 1 ? x : add_windows(l, x, kernel, stride);
  const char* product = DPC_ONNX_NODE(l->g, "MatMul", windows, matrix);
  return DPC_ONNX_NODE(l->g, "Add", product, dpc_onnx_in(l, module, "bias"));
}

const char* dpc_onnx_add_growth(const dpc_onnx_layers* l, const char* module, const char* x) {
  if (!by_products(l)) return add_picture_conv(l, "ConvTranspose", module, x, 4, 2, 1);
  const char* y = DPC_ONNX_NODE(l->g, "ConvTranspose", transpose(l, x, 0, 2, 1),
                                dpc_onnx_in(l, module, "weight"), dpc_onnx_in(l, module, "bias"));
  dpc_onnx_set_ints(l->g, "kernel_shape", 1, (int64_t[]){4});
  dpc_onnx_set_ints(l->g, "strides", 1, (int64_t[]){2});
  dpc_onnx_set_ints(l->g, "pads", 2, (int64_t[]){1, 1});
  return transpose(l, y, 0, 2, 1);
}

// --- channels ------------------------------------------------------------------------------------

// A group is one channel of an instance normalisation, whose own factors are 1 and 0; then each
// channel has its factors.
static const char* add_picture_norm(const dpc_onnx_layers* l, const char* x, const char* gamma,
                                    const char* beta, int channels) {
  dpc_onnx_graph* g = l->g;
  const char* wide = reshape(l, x, 3, (int64_t[]){0, l->def->group_count, -1});
  const char* normal = DPC_ONNX_NODE(g, "InstanceNormalization", wide, "const/ones", "const/zeros");
  dpc_onnx_set_real(g, "epsilon", 1e-5F);
  const char* narrow = reshape(l, normal, 4, (int64_t[]){0, channels, 1, -1});
  return DPC_ONNX_NODE(g, "Add", DPC_ONNX_NODE(g, "Mul", narrow, gamma), beta);
}

// The mean over time and the channels of a group, of [batch, time, group, channel].
static const char* add_group_mean(const dpc_onnx_layers* l, const char* x) {
  const char* mean = DPC_ONNX_NODE(l->g, "ReduceMean", x);
  dpc_onnx_set_ints(l->g, "axes", 2, (int64_t[]){1, 3});
  return mean;
}

const char* dpc_onnx_add_group_norm(const dpc_onnx_layers* l, const char* module, const char* x,
                                    int channels) {
  dpc_onnx_graph* g = l->g;
  const char *gamma = dpc_onnx_in(l, module, "weight"), *beta = dpc_onnx_in(l, module, "bias");
  if (!by_products(l)) return add_picture_norm(l, x, gamma, beta, channels);
  const int64_t groups = l->def->group_count;
  const char* grouped = reshape(l, x, 4, (int64_t[]){0, 0, groups, -1});
  const char* off = DPC_ONNX_NODE(g, "Sub", grouped, add_group_mean(l, grouped));
  const char* variance = add_group_mean(l, DPC_ONNX_NODE(g, "Mul", off, off));
  const char* positive = DPC_ONNX_NODE(g, "Add", variance, dpc_onnx_scalar(g, 1e-5F));
  const int64_t by_group[] = {groups, -1};
  const char* factor =
      DPC_ONNX_NODE(g, "Div", reshape(l, gamma, 2, by_group), DPC_ONNX_NODE(g, "Sqrt", positive));
  const char* y =
      DPC_ONNX_NODE(g, "Add", DPC_ONNX_NODE(g, "Mul", off, factor), reshape(l, beta, 2, by_group));
  return reshape(l, y, 3, (int64_t[]){0, 0, channels});
}

const char* dpc_onnx_add_modulation(const dpc_onnx_layers* l, const char* both, const char* x,
                                    int channels) {
  dpc_onnx_graph* g = l->g;
  const int64_t two = 2 * (int64_t)channels;
  const char* shaped = by_products(l) ? reshape(l, both, 3, (int64_t[]){0, 1, two})
                                      : reshape(l, both, 4, (int64_t[]){0, two, 1, 1});
  const char* sizes = dpc_onnx_ints(g, 2, (int64_t[]){channels, channels});
  const char* scale = DPC_ONNX_NODE(g, "Split", shaped, sizes);
  const char* shift = dpc_onnx_output(g);
  dpc_onnx_set_int(g, "axis", by_products(l) ? 2 : 1);
  return DPC_ONNX_NODE(g, "Add", DPC_ONNX_NODE(g, "Mul", scale, x), shift);
}

const char* dpc_onnx_add_join(const dpc_onnx_layers* l, const char* a, const char* b) {
  const char* joined = DPC_ONNX_NODE(l->g, "Concat", a, b);
  dpc_onnx_set_int(l->g, "axis", by_products(l) ? 2 : 1);
  return joined;
}
