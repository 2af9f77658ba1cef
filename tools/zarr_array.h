/// One array of a Zarr v2 folder store, read row by row: axis 0 is time. The door to Blosc.
///
/// Chunks may be plain or Blosc's, with any of its codecs and shuffles. A chunk that is not there
/// is refused rather than filled: in recorded data it is damage.
#pragma once

#include "policy/base.h"

enum { DPC_ZARR_RANK_MAX = 8 };

/// Types of elements, all little-endian.
#define DPC_ZARR_TYPE_LIST(X) \
  X(b1, uint8_t)              \
  X(i1, int8_t)               \
  X(u1, uint8_t)              \
  X(i2, int16_t)              \
  X(u2, uint16_t)             \
  X(i4, int32_t)              \
  X(u4, uint32_t)             \
  X(i8, int64_t)              \
  X(u8, uint64_t)             \
  X(f4, float)                \
  X(f8, double)

typedef enum dpc_zarr_type {
#define X(name, type) DPC_ZARR_##name,
  DPC_ZARR_TYPE_LIST(X)
#undef X
} dpc_zarr_type;

typedef struct dpc_zarr_array {
  char* path;  // of its folder
  int rank;
  int64_t shape[DPC_ZARR_RANK_MAX];
  int64_t chunks[DPC_ZARR_RANK_MAX];
  dpc_zarr_type type;
  size_t item_size;      // bytes of an element
  int64_t row_size;      // elements in a row: the product of shape[1...]
  char separator;        // between grid indices in chunk names
  bool compressed;       // with Blosc
  int64_t loaded;        // index along axis 0 of the chunks in `rows`; -1 = none
  unsigned char* rows;   // [chunks[0] x row_size] elements
  unsigned char* chunk;  // scratch: one chunk
} dpc_zarr_array;

/// Read and check `path`/.zarray. Returns DPC_ERR_UNSUPPORTED for what is legal Zarr but not read
/// here (its message says which member), DPC_ERR_FORMAT for what is wrong. Messages name the file.
/// Allocates: heap, until closed. Blocks: on the disk. Thread: any.
DPC_NODISCARD dpc_status dpc_zarr_array_open(const char* path, dpc_zarr_array* out,
                                             dpc_error* error);

/// Free what the array holds. A zeroed array is left alone.
/// Allocates: no. Blocks: no. Thread: any, one array each.
void dpc_zarr_array_close(dpc_zarr_array* array);

/// Rows [first, first + count) converted to float; `out` [count x row_size]. The rows must exist
/// (asserts). Returns DPC_ERR_NOT_FOUND naming a missing chunk, DPC_ERR_FORMAT a damaged one.
/// Allocates: heap, freed or kept for the next call. Blocks: on the disk. Thread: one array each.
DPC_NODISCARD dpc_status dpc_zarr_array_read(dpc_zarr_array* array, int64_t first, int64_t count,
                                             float* out, dpc_error* error);

/// The same for integers of any size; other types are DPC_ERR_FORMAT.
/// Allocates: heap, freed or kept for the next call. Blocks: on the disk. Thread: one array each.
DPC_NODISCARD dpc_status dpc_zarr_array_read_int(dpc_zarr_array* array, int64_t first,
                                                 int64_t count, int64_t* out, dpc_error* error);
