/// An ONNX graph being put together, node by node. Shared by the files export_onnx*.c and nobody
/// else.
///
/// Values are known by name. A node is added with its inputs and gives the name of its output;
/// attributes are set on the node added last:
///
///     const char* y = DPC_ONNX_NODE(g, "Concat", a, b);
///     dpc_onnx_set_int(g, "axis", 1);
#pragma once

#include <onnx.pb-c.h>

#include "policy/arena.h"

typedef struct dpc_onnx_graph {
  dpc_arena* arena;  // large enough for everything: its owner has counted
  Onnx__GraphProto proto;
  const char* scope;  // the module that nodes are named after
} dpc_onnx_graph;

/// An empty graph.
/// Allocates: from the arena. Blocks: no. Thread: the arena's owner.
void dpc_onnx_graph_init(dpc_onnx_graph* g, dpc_arena* arena);

/// Text as by printf.
/// Allocates: from the arena. Blocks: no. Thread: the arena's owner.
char* dpc_onnx_text(dpc_onnx_graph* g, const char* format, ...) DPC_PRINTF(2, 3);

/// Add a node; `inputs` ends with NULL. Returns the name of its output.
/// Allocates: from the arena. Blocks: no. Thread: the arena's owner.
const char* dpc_onnx_node(dpc_onnx_graph* g, const char* operator, const char* const* inputs);

#define DPC_ONNX_NODE(g, operator, ...) \
  dpc_onnx_node((g), (operator), (const char* const[]){__VA_ARGS__, NULL})

/// One more output of the node added last.
/// Allocates: from the arena. Blocks: no. Thread: the arena's owner.
const char* dpc_onnx_output(dpc_onnx_graph* g);

/// Give the output of the node added last another name.
/// Allocates: from the arena. Blocks: no. Thread: the arena's owner.
void dpc_onnx_rename_output(dpc_onnx_graph* g, const char* name);

/// Set an attribute of the node added last: a whole number.
/// Allocates: from the arena. Blocks: no. Thread: the arena's owner.
void dpc_onnx_set_int(dpc_onnx_graph* g, const char* name, int64_t value);

/// As above: `count` whole numbers.
/// Allocates: from the arena. Blocks: no. Thread: the arena's owner.
void dpc_onnx_set_ints(dpc_onnx_graph* g, const char* name, int count, const int64_t* values);

/// As above: a real number.
/// Allocates: from the arena. Blocks: no. Thread: the arena's owner.
void dpc_onnx_set_real(dpc_onnx_graph* g, const char* name, float value);

/// An initialiser of floats, `values` as [shape]; they stay the caller's until the graph is written.
/// Returns `name`.
/// Allocates: from the arena. Blocks: no. Thread: the arena's owner.
const char* dpc_onnx_floats(dpc_onnx_graph* g, const char* name, int rank, const int64_t* shape,
                            const float* values);

/// Dimension `axis` of an initialiser that is there.
/// Allocates: no. Blocks: no. Thread: the arena's owner.
int64_t dpc_onnx_dim(const dpc_onnx_graph* g, const char* name, int axis);

/// A constant that is one float. Asked for again, it is the same one.
/// Allocates: from the arena. Blocks: no. Thread: the arena's owner.
const char* dpc_onnx_scalar(dpc_onnx_graph* g, float value);

/// A constant that is a list of whole numbers. Asked for again, it is the same one.
/// Allocates: from the arena. Blocks: no. Thread: the arena's owner.
const char* dpc_onnx_ints(dpc_onnx_graph* g, int count, const int64_t* values);

/// A float value that goes into the graph or out of it; dimension 0 is any batch.
/// Allocates: from the arena. Blocks: no. Thread: the arena's owner.
Onnx__ValueInfoProto* dpc_onnx_value(dpc_onnx_graph* g, const char* name, int rank,
                                     const int64_t* shape);
