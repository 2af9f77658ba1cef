/// The safetensors container: named tensors and string metadata in one file. What is opened has
/// been checked completely (header, offsets, sizes, SHA-256 when the file carries one); what is
/// saved appears under its name complete, or not at all.
///
/// File: u64 little-endian N, N bytes of JSON, the data. JSON: {"__metadata__": {text: text},
/// name: {"dtype", "shape", "data_offsets": [begin, end]}}; offsets count from the data's start and
/// cover it without holes or overlap.
#pragma once

#include "policy/base.h"

enum {
  DPC_TENSOR_RANK_MAX = 8,
  DPC_SAFETENSORS_HEADER_MAX = 16 << 20,  // bytes; a larger header is refused
};

/// Metadata key under which a file carries the SHA-256 of its data.
#define DPC_SAFETENSORS_SHA256 "weights_sha256"

// In the order of the format's reference writer, which sorts tensors by it, downwards.
#define DPC_DTYPE_LIST(X) \
  X(BOOL, 1)              \
  X(U8, 1)                \
  X(I8, 1)                \
  X(F8_E5M2, 1)           \
  X(F8_E4M3, 1)           \
  X(I16, 2)               \
  X(U16, 2)               \
  X(F16, 2)               \
  X(BF16, 2)              \
  X(I32, 4)               \
  X(U32, 4)               \
  X(F32, 4)               \
  X(F64, 8)               \
  X(I64, 8)               \
  X(U64, 8)

typedef enum dpc_dtype {
#define X(name, size) DPC_DTYPE_##name,
  DPC_DTYPE_LIST(X)
#undef X
} dpc_dtype;

/// "F32", as the file spells it.
/// Allocates: no. Blocks: no. Thread: any.
const char* dpc_dtype_name(dpc_dtype dtype);

/// Bytes of one element.
/// Allocates: no. Blocks: no. Thread: any.
size_t dpc_dtype_size(dpc_dtype dtype);

// --- reading
// --------------------------------------------------------------------------------------

/// An opened file: memory-mapped, const, to be closed.
typedef struct dpc_safetensors dpc_safetensors;

/// One tensor of an opened file; valid until the file is closed.
typedef struct dpc_tensor_view {
  const char* name;
  dpc_dtype dtype;
  int rank;
  int64_t shape[DPC_TENSOR_RANK_MAX];
  const void* data;  // row-major, little-endian; foreign files need not align it
  size_t bytes;
  size_t count;  // elements
} dpc_tensor_view;

/// One key and its text.
typedef struct dpc_metadata_entry {
  const char* key;
  const char* value;
} dpc_metadata_entry;

/// Open and check a file. Returns DPC_ERR_IO when it cannot be read, DPC_ERR_FORMAT when anything
/// in it is wrong (including data that do not match the file's SHA-256); the message begins with
/// the path and names the tensor. Close with `dpc_safetensors_close`. Allocates: yes (mmap,
/// jansson). Blocks: disk. Thread: start-up only.
DPC_NODISCARD dpc_status dpc_safetensors_open(const char* path, dpc_safetensors** out,
                                              dpc_error* error);

/// The same for a file that is already in memory; `bytes` stay the caller's and must outlive the
/// result. `name` stands in messages where the path would.
/// Allocates: yes (mmap, jansson). Blocks: no. Thread: start-up only.
DPC_NODISCARD dpc_status dpc_safetensors_open_bytes(const char* name, const void* bytes,
                                                    size_t size, dpc_safetensors** out,
                                                    dpc_error* error);

/// Release an opened file. NULL is left alone.
/// Allocates: no. Blocks: no. Thread: any, one file each.
void dpc_safetensors_close(dpc_safetensors* file);

/// The path it was opened with.
/// Allocates: no. Blocks: no. Thread: any.
const char* dpc_safetensors_path(const dpc_safetensors* file);

/// Number of tensors.
/// Allocates: no. Blocks: no. Thread: any.
int dpc_safetensors_count(const dpc_safetensors* file);

/// Tensor i, in the order of the data.
/// Allocates: no. Blocks: no. Thread: any.
const dpc_tensor_view* dpc_safetensors_at(const dpc_safetensors* file, int i);

/// The tensor with this name, or NULL.
/// Allocates: no. Blocks: no. Thread: any.
const dpc_tensor_view* dpc_safetensors_find(const dpc_safetensors* file, const char* name);

/// Number of metadata entries.
/// Allocates: no. Blocks: no. Thread: any.
int dpc_safetensors_metadata_count(const dpc_safetensors* file);

/// Metadata entry i, in the order of the file; valid until the file is closed.
/// Allocates: no. Blocks: no. Thread: any.
dpc_metadata_entry dpc_safetensors_metadata_at(const dpc_safetensors* file, int i);

/// The text under this key, valid until the file is closed, or NULL.
/// Allocates: no. Blocks: no. Thread: any.
const char* dpc_safetensors_metadata(const dpc_safetensors* file, const char* key);

/// Read a tensor of this exact shape as floats, in the file's row-major order. F32, BF16, F16 and
/// F64 are converted. DPC_ERR_NOT_FOUND, DPC_ERR_FORMAT for another shape or dtype, DPC_ERR_INVALID
/// for a value that is not finite; the message names file, tensor, and both shapes. `out`, the
/// product of `shape`, is unspecified on failure. Allocates: no. Blocks: no. Thread: any.
DPC_NODISCARD dpc_status dpc_safetensors_read_f32(const dpc_safetensors* file, const char* name,
                                                  int rank, const int* shape, float* out,
                                                  dpc_error* error);

/// The same for integers: I64, I32, U32 and U64 up to INT64_MAX.
/// Allocates: no. Blocks: no. Thread: any.
DPC_NODISCARD dpc_status dpc_safetensors_read_i64(const dpc_safetensors* file, const char* name,
                                                  int rank, const int* shape, int64_t* out,
                                                  dpc_error* error);

// --- writing
// --------------------------------------------------------------------------------------

/// A tensor to be saved. For F32 and BF16 `data` holds floats (BF16 is rounded to nearest even
/// while writing); for other dtypes it holds elements of that dtype.
typedef struct dpc_tensor_source {
  const char* name;
  dpc_dtype dtype;  // as stored
  int rank;
  int64_t shape[DPC_TENSOR_RANK_MAX];
  const void* data;
} dpc_tensor_source;

/// Write a file: tensors sorted as the reference writer does (dtype downwards, then name), header
/// padded to 8 bytes, "weights_sha256" added to the metadata. It is written under a temporary name
/// in the same folder, synced, and renamed, so that `path` is either the old file or the complete
/// new one; nothing is left behind on failure. Returns DPC_ERR_IO with path and reason,
/// DPC_ERR_INVALID for a name given twice, text that is not UTF-8, or a float that is not finite.
/// Allocates: yes (mmap, jansson). Blocks: disk. Thread: any.
DPC_NODISCARD dpc_status dpc_safetensors_save(const char* path, const dpc_metadata_entry* metadata,
                                              int metadata_count, const dpc_tensor_source* tensors,
                                              int tensor_count, dpc_error* error);
