/// The network's graph. Shared by the files export_onnx*.c and nobody else.
#pragma once

#include "tools/export_onnx.h"
#include "tools/export_onnx_graph.h"

/// Add the nodes of the network, from "sample", "timestep" and "cond" to "prediction". The weights
/// are there already, under their names.
/// Allocates: from the arena. Blocks: no. Thread: the arena's owner.
void dpc_onnx_add_unet(dpc_onnx_graph* g, const dpc_unet_def* def, dpc_onnx_form form);
