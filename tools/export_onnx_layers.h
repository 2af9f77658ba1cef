/// The layers of the network as ONNX nodes, in either form. Shared by the files export_onnx*.c and
/// nobody else.
///
/// Activations between them are [batch, channel, 1, time] with convolutions, and [batch, time,
/// channel] with products.
#pragma once

#include "tools/export_onnx.h"
#include "tools/export_onnx_graph.h"

typedef struct dpc_onnx_layers {
  dpc_onnx_graph* g;
  const dpc_unet_def* def;
  dpc_onnx_form form;
} dpc_onnx_layers;

/// The name of a module, or of a weight, inside another one: "module.inner".
/// Allocates: from the arena. Blocks: no. Thread: the arena's owner.
const char* dpc_onnx_in(const dpc_onnx_layers* l, const char* module, const char* inner);

/// Constants that the layers refer to; before all of them.
/// Allocates: from the arena. Blocks: no. Thread: the arena's owner.
void dpc_onnx_add_constants(const dpc_onnx_layers* l);

/// From "sample" to activations.
/// Allocates: from the arena. Blocks: no. Thread: the arena's owner.
const char* dpc_onnx_add_entry(const dpc_onnx_layers* l);

/// From activations to "prediction".
/// Allocates: from the arena. Blocks: no. Thread: the arena's owner.
void dpc_onnx_add_exit(const dpc_onnx_layers* l, const char* x);

/// mish(x), of any shape.
/// Allocates: from the arena. Blocks: no. Thread: the arena's owner.
const char* dpc_onnx_add_mish(const dpc_onnx_layers* l, const char* x);

/// A linear layer, [batch, inputs] to [batch, outputs].
/// Allocates: from the arena. Blocks: no. Thread: the arena's owner.
const char* dpc_onnx_add_linear(const dpc_onnx_layers* l, const char* module, const char* x);

/// A convolution that keeps time, or halves it with stride 2.
/// Allocates: from the arena. Blocks: no. Thread: the arena's owner.
const char* dpc_onnx_add_conv(const dpc_onnx_layers* l, const char* module, const char* x,
                              int kernel, int stride);

/// The transposed convolution that doubles time.
/// Allocates: from the arena. Blocks: no. Thread: the arena's owner.
const char* dpc_onnx_add_growth(const dpc_onnx_layers* l, const char* module, const char* x);

/// Group normalisation.
/// Allocates: from the arena. Blocks: no. Thread: the arena's owner.
const char* dpc_onnx_add_group_norm(const dpc_onnx_layers* l, const char* module, const char* x,
                                    int channels);

/// scale * x + shift, from `both` [batch, 2 * channels].
/// Allocates: from the arena. Blocks: no. Thread: the arena's owner.
const char* dpc_onnx_add_modulation(const dpc_onnx_layers* l, const char* both, const char* x,
                                    int channels);

/// Channels side by side.
/// Allocates: from the arena. Blocks: no. Thread: the arena's owner.
const char* dpc_onnx_add_join(const dpc_onnx_layers* l, const char* a, const char* b);
