#include "tools/export_onnx_graph.h"

#include <stdio.h>
#include <string.h>

// Eight levels and 31 taps come to about 4,000 nodes and 600 initialisers.
enum { NODES_MAX = 16384, INITIALIZERS_MAX = 4096, ATTRIBUTES_MAX = 4 };

static void* take(dpc_onnx_graph* g, size_t size) {
  void* memory = dpc_arena_take(g->arena, size);
  DPC_ASSERT(memory != NULL);
  return memory;
}

#define TAKE(g, type, count) ((type*)take((g), sizeof(type) * (size_t)(count)))

char* dpc_onnx_text(dpc_onnx_graph* g, const char* format, ...) {
  char text[512];
  va_list args;
  va_start(args, format);
  const int length = vsnprintf(text, sizeof text, format, args);
  va_end(args);
  DPC_ASSERT(length >= 0 && length < (int)sizeof text);
  return memcpy(take(g, (size_t)length + 1), text, (size_t)length + 1);
}

void dpc_onnx_graph_init(dpc_onnx_graph* g, dpc_arena* arena) {
  *g = (dpc_onnx_graph){.arena = arena, .proto = ONNX__GRAPH_PROTO__INIT, .scope = ""};
  g->proto.node = TAKE(g, Onnx__NodeProto*, NODES_MAX);
  g->proto.initializer = TAKE(g, Onnx__TensorProto*, INITIALIZERS_MAX);
}

// --- nodes ---------------------------------------------------------------------------------------

static Onnx__NodeProto* last_node(dpc_onnx_graph* g) {
  DPC_ASSERT(g->proto.n_node > 0);
  return g->proto.node[g->proto.n_node - 1];
}

const char* dpc_onnx_output(dpc_onnx_graph* g) {
  Onnx__NodeProto* node = last_node(g);
  DPC_ASSERT(node->n_output < 2);
  char* name = dpc_onnx_text(g, "%s.%zu", node->name, node->n_output);
  node->output[node->n_output++] = name;
  return name;
}

const char* dpc_onnx_node(dpc_onnx_graph* g, const char* operator, const char* const* inputs) {
  Onnx__GraphProto* graph = &g->proto;
  DPC_ASSERT(graph->n_node < NODES_MAX);
  Onnx__NodeProto* node = TAKE(g, Onnx__NodeProto, 1);
  onnx__node_proto__init(node);
  node->op_type = dpc_onnx_text(g, "%s", operator);
  node->name = dpc_onnx_text(g, "%s/%s.%zu", g->scope, operator, graph->n_node);
  node->output = TAKE(g, char*, 2);
  node->attribute = TAKE(g, Onnx__AttributeProto*, ATTRIBUTES_MAX);
  while (inputs[node->n_input] != NULL) ++node->n_input;
  node->input = TAKE(g, char*, node->n_input);
  for (size_t i = 0; i < node->n_input; ++i) node->input[i] = dpc_onnx_text(g, "%s", inputs[i]);
  graph->node[graph->n_node++] = node;
  return dpc_onnx_output(g);
}

void dpc_onnx_rename_output(dpc_onnx_graph* g, const char* name) {
  Onnx__NodeProto* node = last_node(g);
  DPC_ASSERT(node->n_output == 1);
  node->output[0] = dpc_onnx_text(g, "%s", name);
}

static Onnx__AttributeProto* add_attribute(dpc_onnx_graph* g, const char* name,
                                           Onnx__AttributeProto__AttributeType type) {
  Onnx__NodeProto* node = last_node(g);
  DPC_ASSERT(node->n_attribute < ATTRIBUTES_MAX);
  Onnx__AttributeProto* attribute = TAKE(g, Onnx__AttributeProto, 1);
  onnx__attribute_proto__init(attribute);
  attribute->name = dpc_onnx_text(g, "%s", name);
  attribute->has_type = true;
  attribute->type = type;
  node->attribute[node->n_attribute++] = attribute;
  return attribute;
}

void dpc_onnx_set_int(dpc_onnx_graph* g, const char* name, int64_t value) {
  Onnx__AttributeProto* attribute =
      add_attribute(g, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT);
  attribute->has_i = true;
  attribute->i = value;
}

void dpc_onnx_set_ints(dpc_onnx_graph* g, const char* name, int count, const int64_t* values) {
  Onnx__AttributeProto* attribute =
      add_attribute(g, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS);
  attribute->n_ints = (size_t)count;
  attribute->ints = TAKE(g, int64_t, count);
  memcpy(attribute->ints, values, sizeof(int64_t) * (size_t)count);
}

void dpc_onnx_set_real(dpc_onnx_graph* g, const char* name, float value) {
  Onnx__AttributeProto* attribute =
      add_attribute(g, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT);
  attribute->has_f = true;
  attribute->f = value;
}

// --- initialisers --------------------------------------------------------------------------------

static const char* add_initializer(dpc_onnx_graph* g, const char* name, int type, int rank,
                                   const int64_t* shape, size_t size, const void* data) {
  Onnx__GraphProto* graph = &g->proto;
  DPC_ASSERT(graph->n_initializer < INITIALIZERS_MAX);
  Onnx__TensorProto* tensor = TAKE(g, Onnx__TensorProto, 1);
  onnx__tensor_proto__init(tensor);
  tensor->name = dpc_onnx_text(g, "%s", name);
  tensor->has_data_type = true;
  tensor->data_type = type;
  tensor->n_dims = (size_t)rank;
  tensor->dims = TAKE(g, int64_t, rank + 1);
  if (rank > 0) memcpy(tensor->dims, shape, sizeof(int64_t) * (size_t)rank);
  tensor->has_raw_data = true;
  tensor->raw_data = (ProtobufCBinaryData){.len = size, .data = (uint8_t*)data};
  graph->initializer[graph->n_initializer++] = tensor;
  return tensor->name;
}

const char* dpc_onnx_floats(dpc_onnx_graph* g, const char* name, int rank, const int64_t* shape,
                            const float* values) {
  size_t size = sizeof(float);
  for (int i = 0; i < rank; ++i) size *= (size_t)shape[i];
  return add_initializer(g, name, ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT, rank, shape, size, values);
}

// The initialiser of this name that is there already, or NULL.
static const Onnx__TensorProto* find_initializer(const dpc_onnx_graph* g, const char* name) {
  for (size_t i = 0; i < g->proto.n_initializer; ++i) {
    if (strcmp(g->proto.initializer[i]->name, name) == 0) return g->proto.initializer[i];
  }
  return NULL;
}

int64_t dpc_onnx_dim(const dpc_onnx_graph* g, const char* name, int axis) {
  const Onnx__TensorProto* tensor = find_initializer(g, name);
  DPC_ASSERT(tensor != NULL && axis >= 0 && (size_t)axis < tensor->n_dims);
  return tensor->dims[axis];
}

const char* dpc_onnx_scalar(dpc_onnx_graph* g, float value) {
  char name[32];
  (void)snprintf(name, sizeof name, "const/%g", (double)value);
  const Onnx__TensorProto* found = find_initializer(g, name);
  if (found != NULL) return found->name;
  float* copy = TAKE(g, float, 1);
  *copy = value;
  return dpc_onnx_floats(g, name, 0, NULL, copy);
}

const char* dpc_onnx_ints(dpc_onnx_graph* g, int count, const int64_t* values) {
  char name[128] = "const";
  size_t used = strlen(name);
  for (int i = 0; i < count; ++i) {
    used += (size_t)snprintf(name + used, sizeof name - used, "%c%lld", i == 0 ? '/' : ',',
                             (long long)values[i]);
    DPC_ASSERT(used < sizeof name);
  }
  (void)snprintf(name + used, sizeof name - used, ",");  // a list, against the scalar of that value
  const Onnx__TensorProto* found = find_initializer(g, name);
  if (found != NULL) return found->name;
  int64_t* copy = TAKE(g, int64_t, count);
  const size_t size = sizeof(int64_t) * (size_t)count;
  memcpy(copy, values, size);
  return add_initializer(g, name, ONNX__TENSOR_PROTO__DATA_TYPE__INT64, 1, (int64_t[]){count}, size,
                         copy);
}

// --- values --------------------------------------------------------------------------------------

static Onnx__TensorShapeProto* make_shape(dpc_onnx_graph* g, int rank, const int64_t* shape) {
  Onnx__TensorShapeProto* made = TAKE(g, Onnx__TensorShapeProto, 1);
  onnx__tensor_shape_proto__init(made);
  made->dim = TAKE(g, Onnx__TensorShapeProto__Dimension*, rank);
  for (int i = 0; i < rank; ++i) {
    Onnx__TensorShapeProto__Dimension* dim = TAKE(g, Onnx__TensorShapeProto__Dimension, 1);
    onnx__tensor_shape_proto__dimension__init(dim);
    if (i == 0) {
      dim->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM;
      dim->dim_param = dpc_onnx_text(g, "batch");
    } else {
      dim->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
      dim->dim_value = shape[i];
    }
    made->dim[made->n_dim++] = dim;
  }
  return made;
}

Onnx__ValueInfoProto* dpc_onnx_value(dpc_onnx_graph* g, const char* name, int rank,
                                     const int64_t* shape) {
  Onnx__TypeProto__Tensor* tensor = TAKE(g, Onnx__TypeProto__Tensor, 1);
  onnx__type_proto__tensor__init(tensor);
  tensor->has_elem_type = true;
  tensor->elem_type = ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT;
  tensor->shape = make_shape(g, rank, shape);
  Onnx__TypeProto* type = TAKE(g, Onnx__TypeProto, 1);
  onnx__type_proto__init(type);
  type->value_case = ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
  type->tensor_type = tensor;
  Onnx__ValueInfoProto* value = TAKE(g, Onnx__ValueInfoProto, 1);
  onnx__value_info_proto__init(value);
  value->name = dpc_onnx_text(g, "%s", name);
  value->type = type;
  return value;
}
