#include "tools/export_onnx.h"

#include <string.h>

#include "tools/export_onnx_graph.h"
#include "tools/export_onnx_unet.h"
#include "tools/file.h"

static const size_t ROOM = (size_t)64 << 20;  // for the graph without its weights
static const size_t LIMIT = ((size_t)1 << 31) - ((size_t)64 << 20);  // of protobuf, less the graph
enum { ENTRY_ROOM = 256 };  // of a metadata entry, beside its texts

const char* const dpc_onnx_form_names[] = {"conv", "matmul", NULL};

static char description[] =
    "The denoising network of a diffusion policy: prediction = f(sample, timestep, cond). The "
    "metadata say how observations and actions are normalised.";

static size_t weight_bytes(const dpc_unet* unet) {
  return sizeof(float) * dpc_unet_param_count(unet);
}

// The reference's shape with the axes of size 1 that the form wants: see the header.
static int widen_shape(const dpc_unet_tensor* tensor, dpc_onnx_form form, int64_t shape[4]) {
  for (int i = 0; i < tensor->rank; ++i) shape[i] = tensor->shape[i];
  if (form == DPC_ONNX_MATMUL) return tensor->rank;
  if (tensor->rank == 3) {
    shape[3] = shape[2];
    shape[2] = 1;
    return 4;
  }
  const bool is_norm = tensor->rank == 1 && tensor->fan_in == 0;
  if (!is_norm) return tensor->rank;
  shape[1] = shape[2] = 1;
  return 3;
}

static void add_weights(dpc_onnx_graph* g, const dpc_unet* unet, const float* params,
                        dpc_onnx_form form) {
  for (int i = 0; i < dpc_unet_tensor_count(unet); ++i) {
    const dpc_unet_tensor* tensor = dpc_unet_tensor_at(unet, i);
    float* values = DPC_TAKE(g->arena, float, tensor->count);
    DPC_ASSERT(values != NULL);
    dpc_unet_tensor_export(unet, i, params, values);
    int64_t shape[4];
    const int rank = widen_shape(tensor, form, shape);
    dpc_onnx_floats(g, tensor->name, rank, shape, values);
  }
}

static void add_ends(dpc_onnx_graph* g, const dpc_unet_def* def) {
  Onnx__ValueInfoProto** values = DPC_TAKE(g->arena, Onnx__ValueInfoProto*, 5);
  DPC_ASSERT(values != NULL);
  int inputs = 0;
  values[inputs++] =
      dpc_onnx_value(g, "sample", 3, (int64_t[]){0, def->horizon, dpc_unet_row(def)});
  values[inputs++] = dpc_onnx_value(g, "timestep", 1, (int64_t[]){0});
  if (def->step_size_dim > 0) {
    values[inputs++] = dpc_onnx_value(g, "step_size", 1, (int64_t[]){0});
  }
  values[inputs++] = dpc_onnx_value(g, "cond", 2, (int64_t[]){0, def->global_cond_dim});
  values[inputs] = dpc_onnx_value(g, "prediction", 3, (int64_t[]){0, def->horizon, def->input_dim});
  g->proto.input = values;
  g->proto.n_input = (size_t)inputs;
  g->proto.output = values + inputs;
  g->proto.n_output = 1;
}

static void add_metadata(dpc_arena* arena, Onnx__ModelProto* model,
                         const dpc_metadata_entry* metadata, int count) {
  Onnx__StringStringEntryProto* entries = DPC_TAKE(arena, Onnx__StringStringEntryProto, count + 1);
  model->metadata_props = DPC_TAKE(arena, Onnx__StringStringEntryProto*, count + 1);
  DPC_ASSERT(entries != NULL && model->metadata_props != NULL);
  for (int i = 0; i < count; ++i) {
    onnx__string_string_entry_proto__init(&entries[i]);
    entries[i].key = (char*)metadata[i].key;
    entries[i].value = (char*)metadata[i].value;
    model->metadata_props[i] = &entries[i];
  }
  model->n_metadata_props = (size_t)count;
}

// Put the model around the graph, and the whole into the arena as bytes.
static uint8_t* pack(dpc_onnx_graph* g, const dpc_metadata_entry* metadata, int count,
                     size_t* size) {
  Onnx__OperatorSetIdProto opset = ONNX__OPERATOR_SET_ID_PROTO__INIT;
  opset.domain = (char[]){""};
  opset.has_version = true;
  opset.version = DPC_ONNX_OPSET;
  Onnx__OperatorSetIdProto* opsets[] = {&opset};
  Onnx__ModelProto model = ONNX__MODEL_PROTO__INIT;
  model.has_ir_version = true;
  model.ir_version = ONNX__VERSION__IR_VERSION_2020_5_8;
  model.n_opset_import = DPC_COUNT(opsets);
  model.opset_import = opsets;
  model.producer_name = (char[]){"dpc"};
  model.producer_version = (char[]){DPC_VERSION};
  model.doc_string = description;
  model.graph = &g->proto;
  add_metadata(g->arena, &model, metadata, count);
  *size = onnx__model_proto__get_packed_size(&model);
  uint8_t* bytes = dpc_arena_take(g->arena, *size);
  DPC_ASSERT(bytes != NULL);
  const size_t packed = onnx__model_proto__pack(&model, bytes);
  DPC_ASSERT(packed == *size);
  return bytes;
}

dpc_status dpc_onnx_save(const char* path, const dpc_unet* unet, const float* params,
                         dpc_onnx_form form, const dpc_metadata_entry* metadata, int metadata_count,
                         dpc_onnx_summary* summary, dpc_error* error) {
  size_t texts = 0;
  for (int i = 0; i < metadata_count; ++i) {
    texts += strlen(metadata[i].key) + strlen(metadata[i].value) + ENTRY_ROOM;
  }
  if (weight_bytes(unet) + texts > LIMIT) {
    return dpc_fail(error, DPC_ERR_UNSUPPORTED,
                    "%s: an ONNX file holds at most 2 GB, the network is %.1f GB", path,
                    (double)weight_bytes(unet) * 1e-9);
  }
  dpc_arena arena;
  DPC_TRY(dpc_arena_map(&arena, ROOM + 2 * (weight_bytes(unet) + texts), error));
  dpc_onnx_graph g;
  dpc_onnx_graph_init(&g, &arena);
  g.proto.name = dpc_onnx_text(&g, "ConditionalUnet1D");
  add_weights(&g, unet, params, form);
  dpc_onnx_add_unet(&g, dpc_unet_settings(unet), form);
  add_ends(&g, dpc_unet_settings(unet));
  size_t size = 0;
  const uint8_t* bytes = pack(&g, metadata, metadata_count, &size);
  const dpc_status status = dpc_file_save(path, bytes, size, error);
  if (status == DPC_OK) {
    *summary = (dpc_onnx_summary){
        .bytes = size, .nodes = (int)g.proto.n_node, .initializers = (int)g.proto.n_initializer};
  }
  dpc_arena_unmap(&arena);
  return status;
}
