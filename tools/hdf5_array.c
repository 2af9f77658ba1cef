#include "tools/hdf5_array.h"

#include <hdf5.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum { ELEMENT_MAX = 1 << 30, TEXT_MAX = 16 << 10 };

dpc_status dpc_hdf5_fail(const dpc_hdf5_file* file, dpc_status status, const char* where,
                         const char* what, dpc_error* error) {
  return dpc_fail(error, status, "%s: /%s: %s", file->path, where, what);
}

// --- files --------------------------------------------------------------------------------------

/// Without this HDF5 prints every failure on standard error, in its own words.
static void silence(void) {
  (void)H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
}

bool dpc_hdf5_detect(const char* path) {
  silence();
  return H5Fis_hdf5(path) > 0;
}

dpc_status dpc_hdf5_open(const char* path, dpc_hdf5_file* out, dpc_error* error) {
  silence();
  const hid_t id = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
  if (id < 0) return dpc_fail(error, DPC_ERR_FORMAT, "%s: damaged or locked HDF5 file", path);
  char* copy = strdup(path);
  if (copy == NULL) {
    (void)H5Fclose(id);
    return dpc_fail(error, DPC_ERR_NO_MEMORY, "%s: out of memory", path);
  }
  *out = (dpc_hdf5_file){copy, id};
  return DPC_OK;
}

void dpc_hdf5_close(dpc_hdf5_file* file) {
  if (file->path == NULL) return;
  (void)H5Fclose(file->id);
  free(file->path);
  *file = (dpc_hdf5_file){0};
}

// --- arrays -------------------------------------------------------------------------------------

static bool is_number(hid_t dataset, bool* is_byte) {
  const hid_t type = H5Dget_type(dataset);
  const H5T_class_t kind = H5Tget_class(type);
  *is_byte = kind == H5T_INTEGER && H5Tget_size(type) == 1;
  (void)H5Tclose(type);
  return kind == H5T_FLOAT || kind == H5T_INTEGER;
}

/// Fill in the shape. Returns what is wrong with the array, or NULL.
static const char* measure(hid_t dataset, dpc_hdf5_shape* out) {
  hsize_t dims[DPC_HDF5_RANK_MAX] = {0};
  const hid_t space = H5Dget_space(dataset);
  out->rank = H5Sget_simple_extent_ndims(space);
  const bool usable = out->rank >= 1 && out->rank <= DPC_HDF5_RANK_MAX &&
                      is_number(dataset, &out->is_byte) &&
                      H5Sget_simple_extent_dims(space, dims, NULL) >= 0;
  (void)H5Sclose(space);
  if (!usable) return "not an array of numbers with 1 to 8 dimensions";
  hsize_t size = 1;
  for (int d = 0; d < out->rank; d++) {
    if (dims[d] > ELEMENT_MAX || (size *= dims[d]) > ELEMENT_MAX) return "too large";
    out->dims[d] = (int64_t)dims[d];
  }
  return NULL;
}

static dpc_status open_array(const dpc_hdf5_file* file, const char* where, dpc_hdf5_shape* shape,
                             hid_t* out, dpc_error* error) {
  const hid_t dataset = H5Dopen2(file->id, where, H5P_DEFAULT);
  if (dataset < 0) {
    return dpc_hdf5_fail(file, DPC_ERR_FORMAT, where, "missing, or not an array", error);
  }
  const char* wrong = measure(dataset, shape);
  if (wrong != NULL) {
    (void)H5Dclose(dataset);
    return dpc_hdf5_fail(file, DPC_ERR_FORMAT, where, wrong, error);
  }
  *out = dataset;
  return DPC_OK;
}

dpc_status dpc_hdf5_shape_of(const dpc_hdf5_file* file, const char* where, dpc_hdf5_shape* out,
                             dpc_error* error) {
  hid_t dataset = -1;
  dpc_hdf5_shape shape = {0};
  DPC_TRY(open_array(file, where, &shape, &dataset, error));
  (void)H5Dclose(dataset);
  *out = shape;
  return DPC_OK;
}

dpc_status dpc_hdf5_read(const dpc_hdf5_file* file, const char* where, const dpc_hdf5_shape* shape,
                         dpc_hdf5_type type, void* out, dpc_error* error) {
  const hid_t types[] = {H5T_NATIVE_FLOAT, H5T_NATIVE_DOUBLE, H5T_NATIVE_UINT8};
  hid_t dataset = -1;
  dpc_hdf5_shape got = {0};
  DPC_TRY(open_array(file, where, &got, &dataset, error));
  bool same = got.rank == shape->rank;
  for (int d = 0; same && d < got.rank; d++) same = got.dims[d] == shape->dims[d];
  const bool read = same && H5Dread(dataset, types[type], H5S_ALL, H5S_ALL, H5P_DEFAULT, out) >= 0;
  (void)H5Dclose(dataset);
  if (read) return DPC_OK;
  return dpc_hdf5_fail(file, DPC_ERR_FORMAT, where,
                       same ? "damaged, it cannot be read"
                            : "its shape differs from that of 'actions' or of the first "
                              "demonstration",
                       error);
}

// --- groups -------------------------------------------------------------------------------------

int dpc_hdf5_member_count(const dpc_hdf5_file* file, const char* where) {
  const hid_t group = H5Gopen2(file->id, where, H5P_DEFAULT);
  if (group < 0) return -1;
  H5G_info_t info;
  const bool known = H5Gget_info(group, &info) >= 0 && info.nlinks < INT_MAX;
  (void)H5Gclose(group);
  return known ? (int)info.nlinks : -1;
}

void dpc_hdf5_member_name(const dpc_hdf5_file* file, const char* where, int i, char* out,
                          size_t capacity) {
  const ssize_t length = H5Lget_name_by_idx(file->id, where, H5_INDEX_NAME, H5_ITER_INC, (hsize_t)i,
                                            out, capacity, H5P_DEFAULT);
  if (length < 0 || (size_t)length >= capacity) out[0] = '\0';
}

bool dpc_hdf5_exists(const dpc_hdf5_file* file, const char* where) {
  return H5Lexists(file->id, where, H5P_DEFAULT) > 0;
}

// --- attributes ---------------------------------------------------------------------------------

static char* read_text(hid_t attribute, hid_t type) {
  if (H5Tget_class(type) != H5T_STRING) return NULL;
  if (H5Tis_variable_str(type) > 0) {
    char* theirs = NULL;
    if (H5Aread(attribute, type, (void*)&theirs) < 0 || theirs == NULL) return NULL;
    char* text = strndup(theirs, TEXT_MAX);
    (void)H5free_memory(theirs);
    return text;
  }
  const size_t size = H5Tget_size(type);
  char* text = size <= TEXT_MAX ? calloc(1, size + 1) : NULL;
  if (text != NULL && H5Aread(attribute, type, text) < 0) text[0] = '\0';
  return text;
}

static bool is_scalar(hid_t attribute) {
  const hid_t space = H5Aget_space(attribute);
  const hssize_t count = H5Sget_simple_extent_npoints(space);
  (void)H5Sclose(space);
  return count == 1;
}

char* dpc_hdf5_text_attribute(const dpc_hdf5_file* file, const char* where, const char* name) {
  const hid_t attribute = H5Aopen_by_name(file->id, where, name, H5P_DEFAULT, H5P_DEFAULT);
  if (attribute < 0) return NULL;
  const hid_t type = H5Aget_type(attribute);
  char* text = is_scalar(attribute) ? read_text(attribute, type) : NULL;
  (void)H5Tclose(type);
  (void)H5Aclose(attribute);
  return text;
}

bool dpc_hdf5_int_attribute(const dpc_hdf5_file* file, const char* where, const char* name,
                            int64_t* out) {
  const hid_t attribute = H5Aopen_by_name(file->id, where, name, H5P_DEFAULT, H5P_DEFAULT);
  if (attribute < 0) return false;
  const bool read = is_scalar(attribute) && H5Aread(attribute, H5T_NATIVE_INT64, out) >= 0;
  (void)H5Aclose(attribute);
  return read;
}
