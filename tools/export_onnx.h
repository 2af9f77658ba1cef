/// The network as an ONNX model that other runtimes load: the graph of dpc_unet_forward, for any
/// batch.
///
///     inputs   sample     float [batch, horizon, dpc_unet_row]
///              timestep   float [batch], of the noise schedule
///              cond       float [batch, global_cond_dim]
///     output   prediction float [batch, horizon, input_dim]
///
/// Weights are initialisers under the reference's names, with the reference's values in its order.
/// Opset 13, and nothing but standard operators.
#pragma once

#include "policy/safetensors.h"
#include "policy/unet.h"

enum { DPC_ONNX_OPSET = 13 };

/// How convolutions of time are written. Both compute the same.
typedef enum dpc_onnx_form {
  // As convolutions of pictures of height 1, for which runtimes have better kernels than for those
  // of lines. Weights carry axes of size 1 for it: (out, in, 1, tap), and (channel, 1, 1) for
  // normalisations.
  DPC_ONNX_CONV,
  // As matrix products of rows, weights as the reference shapes them. The faster form in ONNX Runtime
  // on a CPU, for a batch of one.
  DPC_ONNX_MATMUL,
} dpc_onnx_form;

/// Names of the forms, in order: "conv", "matmul"; ends with NULL.
extern const char* const dpc_onnx_form_names[];

/// What was written.
typedef struct dpc_onnx_summary {
  size_t bytes;
  int nodes;
  int initializers;  // constants of the graph included
} dpc_onnx_summary;

/// Write the network to `path`, as a whole or not at all. `metadata` becomes the model's
/// metadata_props. DPC_ERR_UNSUPPORTED for a network of more than 2 GB, which no ONNX file holds;
/// DPC_ERR_IO names the file.
/// Allocates: yes (mmap), given back. Blocks: disk. Thread: any.
DPC_NODISCARD dpc_status dpc_onnx_save(const char* path, const dpc_unet* unet, const float* params,
                                       dpc_onnx_form form, const dpc_metadata_entry* metadata,
                                       int metadata_count, dpc_onnx_summary* summary,
                                       dpc_error* error);
