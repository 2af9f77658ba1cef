/// Arrays of numbers in an HDF5 file, read whole, and the names and attributes around them. The
/// door to HDF5; failures are reported in our words, never in HDF5's.
#pragma once

#include "policy/base.h"

enum { DPC_HDF5_RANK_MAX = 8 };

/// An opened file.
typedef struct dpc_hdf5_file {
  char* path;
  int64_t id;  // HDF5's
} dpc_hdf5_file;

/// What an array looks like.
typedef struct dpc_hdf5_shape {
  int rank;
  int64_t dims[DPC_HDF5_RANK_MAX];
  bool is_byte;  // elements are of one byte
} dpc_hdf5_shape;

/// True when there is an HDF5 file at `path`.
/// Allocates: heap, inside HDF5. Blocks: on the disk. Thread: one at a time.
bool dpc_hdf5_detect(const char* path);

/// Open a file for reading; errors name it.
/// Allocates: heap. Blocks: on the disk. Thread: one at a time.
DPC_NODISCARD dpc_status dpc_hdf5_open(const char* path, dpc_hdf5_file* out, dpc_error* error);

/// Close the file. A zeroed one is left alone.
/// Allocates: no. Blocks: no. Thread: one at a time.
void dpc_hdf5_close(dpc_hdf5_file* file);

/// Write "FILE: /WHERE: what" into `error`.
/// Allocates: no. Blocks: no. Thread: any.
dpc_status dpc_hdf5_fail(const dpc_hdf5_file* file, dpc_status status, const char* where,
                         const char* what, dpc_error* error);

/// The shape of the array at `where`: integers or floats, 1 to 8 dimensions, at most 2^30 elements;
/// anything else is DPC_ERR_FORMAT.
/// Allocates: heap, inside HDF5. Blocks: on the disk. Thread: one at a time.
DPC_NODISCARD dpc_status dpc_hdf5_shape_of(const dpc_hdf5_file* file, const char* where,
                                           dpc_hdf5_shape* out, dpc_error* error);

/// What an array is converted to when it is read.
typedef enum dpc_hdf5_type { DPC_HDF5_FLOAT, DPC_HDF5_DOUBLE, DPC_HDF5_UINT8 } dpc_hdf5_type;

/// Read all of an array that has exactly this shape, converted to `type`.
/// Allocates: heap, inside HDF5. Blocks: on the disk. Thread: one at a time.
DPC_NODISCARD dpc_status dpc_hdf5_read(const dpc_hdf5_file* file, const char* where,
                                       const dpc_hdf5_shape* shape, dpc_hdf5_type type, void* out,
                                       dpc_error* error);

/// Number of members of the group at `where`, or -1 when there is no such group.
/// Allocates: heap, inside HDF5. Blocks: on the disk. Thread: one at a time.
int dpc_hdf5_member_count(const dpc_hdf5_file* file, const char* where);

/// Name of member `i`, in the order of names; "" when it does not fit.
/// Allocates: heap, inside HDF5. Blocks: on the disk. Thread: one at a time.
void dpc_hdf5_member_name(const dpc_hdf5_file* file, const char* where, int i, char* out,
                          size_t capacity);

/// True when something is at `where`, whose parents exist.
/// Allocates: heap, inside HDF5. Blocks: on the disk. Thread: one at a time.
bool dpc_hdf5_exists(const dpc_hdf5_file* file, const char* where);

/// The text of an attribute, at most 16 KiB of it, freed by the caller; NULL when there is none.
/// Allocates: heap. Blocks: on the disk. Thread: one at a time.
char* dpc_hdf5_text_attribute(const dpc_hdf5_file* file, const char* where, const char* name);

/// True, with the value in `*out`, when the attribute is there and is one integer.
/// Allocates: heap, inside HDF5. Blocks: on the disk. Thread: one at a time.
bool dpc_hdf5_int_attribute(const dpc_hdf5_file* file, const char* where, const char* name,
                            int64_t* out);
