#include "tools/zarr_array.h"

#include <blosc.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/file.h"
#include "tools/json.h"

enum { BLOCK_MAX = 1 << 30 };  // bytes of a chunk, and of the chunks that hold one row

// --- .zarray ------------------------------------------------------------------------------------

static dpc_status unsupported(const char* path, const char* member, const char* what,
                              dpc_error* error) {
  return dpc_fail(error, DPC_ERR_UNSUPPORTED, "%s/.zarray: %s %s", path, member, what);
}

/// A list of `rank` integers in [min, 2^40].
static bool read_dims(const dpc_json* list, int64_t min, int rank, int64_t* out) {
  if (list == NULL || dpc_json_count(list) != rank) return false;
  for (int i = 0; i < rank; i++) {
    if (!dpc_json_as_int(dpc_json_at(list, i), &out[i])) return false;
    if (out[i] < min || out[i] > INT64_C(1) << 40) return false;
  }
  return true;
}

static dpc_status read_type(const char* text, dpc_zarr_array* a, dpc_error* error) {
  static const char* const names[] = {
#define X(name, type) #name,
      DPC_ZARR_TYPE_LIST(X)
#undef X
  };
  static const size_t sizes[] = {
#define X(name, type) sizeof(type),
      DPC_ZARR_TYPE_LIST(X)
#undef X
  };
  for (int i = 0; text != NULL && i < DPC_COUNT(names); i++) {
    const bool order = text[0] == '<' || (text[0] == '|' && sizes[i] == 1);
    if (!order || strcmp(text + 1, names[i]) != 0) continue;
    a->type = (dpc_zarr_type)i;
    a->item_size = sizes[i];
    return DPC_OK;
  }
  return dpc_fail(error, DPC_ERR_UNSUPPORTED, "%s/.zarray: dtype %s is not a little-endian number",
                  a->path, text == NULL ? "(a structure)" : text);
}

static dpc_status read_coding(const dpc_json* meta, dpc_zarr_array* a, dpc_error* error) {
  const char* order = dpc_json_as_text(dpc_json_get(meta, "order"));
  if (order == NULL || strcmp(order, "C") != 0) {
    return unsupported(a->path, "order", "must be \"C\" (row-major)", error);
  }
  const dpc_json* filters = dpc_json_get(meta, "filters");
  if (filters != NULL && !dpc_json_is_null(filters) && dpc_json_count(filters) != 0) {
    return unsupported(a->path, "filters", "are not supported", error);
  }
  const char* separator = dpc_json_as_text(dpc_json_get(meta, "dimension_separator"));
  a->separator = separator == NULL ? '.' : separator[0];
  if (a->separator != '.' && a->separator != '/') {
    return unsupported(a->path, "dimension_separator", "must be \".\" or \"/\"", error);
  }
  const dpc_json* compressor = dpc_json_get(meta, "compressor");
  const char* id = dpc_json_as_text(dpc_json_get(compressor, "id"));
  a->compressed = id != NULL && strcmp(id, "blosc") == 0;
  if (!a->compressed && !(compressor != NULL && dpc_json_is_null(compressor))) {
    return unsupported(a->path, "compressor", "must be blosc or null", error);
  }
  return DPC_OK;
}

static dpc_status read_shape(const dpc_json* meta, dpc_zarr_array* a, dpc_error* error) {
  const dpc_json* shape = dpc_json_get(meta, "shape");
  a->rank = dpc_json_count(shape);
  if (a->rank < 1 || a->rank > DPC_ZARR_RANK_MAX || !read_dims(shape, 0, a->rank, a->shape)) {
    return dpc_fail(error, DPC_ERR_FORMAT, "%s/.zarray: shape must be 1 to %d integers >= 0",
                    a->path, DPC_ZARR_RANK_MAX);
  }
  if (!read_dims(dpc_json_get(meta, "chunks"), 1, a->rank, a->chunks)) {
    return dpc_fail(error, DPC_ERR_FORMAT, "%s/.zarray: chunks must be %d integers >= 1", a->path,
                    a->rank);
  }
  // All sizes used below are products that are known to fit from here on.
  int64_t chunk_bytes = (int64_t)a->item_size, row_bytes = (int64_t)a->item_size;
  bool over = false;
  for (int d = 0; d < a->rank; d++) {
    over |= __builtin_mul_overflow(chunk_bytes, a->chunks[d], &chunk_bytes);
    over |= __builtin_mul_overflow(row_bytes, d == 0 ? a->chunks[0] : a->shape[d], &row_bytes);
    over |= chunk_bytes > BLOCK_MAX || row_bytes > BLOCK_MAX;
    if (over) return unsupported(a->path, "chunks", "must be 1 GiB at most", error);
  }
  a->row_size = row_bytes / (int64_t)a->item_size / a->chunks[0];
  return DPC_OK;
}

static dpc_status read_meta(const dpc_json* meta, dpc_zarr_array* a, dpc_error* error) {
  int64_t format = 0;
  if (!dpc_json_as_int(dpc_json_get(meta, "zarr_format"), &format) || format != 2) {
    return unsupported(a->path, "zarr_format", "must be 2", error);
  }
  DPC_TRY(read_type(dpc_json_as_text(dpc_json_get(meta, "dtype")), a, error));
  DPC_TRY(read_coding(meta, a, error));
  return read_shape(meta, a, error);
}

dpc_status dpc_zarr_array_open(const char* path, dpc_zarr_array* out, dpc_error* error) {
  dpc_zarr_array a = {.loaded = -1};
  char* file = NULL;
  if ((a.path = strdup(path)) == NULL || asprintf(&file, "%s/.zarray", path) < 0) {
    free(a.path);
    return dpc_fail(error, DPC_ERR_NO_MEMORY, "%s: out of memory", path);
  }
  dpc_json* meta = NULL;
  dpc_status status = dpc_json_read(file, &meta, error);
  if (status == DPC_OK) status = read_meta(meta, &a, error);
  dpc_json_free(meta);
  free(file);
  if (status == DPC_OK) {
    *out = a;
  } else {
    dpc_zarr_array_close(&a);
  }
  return status;
}

void dpc_zarr_array_close(dpc_zarr_array* a) {
  free(a->path);
  free(a->rows);
  free(a->chunk);
  *a = (dpc_zarr_array){.loaded = -1};
}

// --- chunks -------------------------------------------------------------------------------------

static size_t chunk_bytes(const dpc_zarr_array* a) {
  size_t bytes = a->item_size;
  for (int d = 0; d < a->rank; d++) bytes *= (size_t)a->chunks[d];
  return bytes;
}

static dpc_status decode(dpc_zarr_array* a, const char* path, const char* data, size_t size,
                         dpc_error* error) {
  const size_t expected = chunk_bytes(a);
  size_t got = size;
  if (a->compressed && blosc_cbuffer_validate(data, size, &got) < 0) {
    return dpc_fail(error, DPC_ERR_FORMAT, "damaged chunk %s: not Blosc's, or cut short", path);
  }
  if (got != expected) {
    return dpc_fail(error, DPC_ERR_FORMAT, "damaged chunk %s: %zu bytes instead of %zu", path, got,
                    expected);
  }
  if (!a->compressed) {
    memcpy(a->chunk, data, size);
  } else if (blosc_decompress_ctx(data, a->chunk, expected, 1) != (int)expected) {
    return dpc_fail(error, DPC_ERR_FORMAT, "damaged chunk %s: it does not uncompress", path);
  }
  return DPC_OK;
}

/// Read the chunk at a place of the grid into `chunk`.
static dpc_status load_chunk(dpc_zarr_array* a, const int64_t* grid, dpc_error* error) {
  char path[PATH_MAX];
  size_t used = (size_t)snprintf(path, sizeof(path), "%s", a->path);
  for (int d = 0; d < a->rank && used < sizeof(path); d++) {
    used += (size_t)snprintf(path + used, sizeof(path) - used, "%c%" PRId64,
                             d == 0 ? '/' : a->separator, grid[d]);
  }
  if (used >= sizeof(path)) return dpc_fail(error, DPC_ERR_IO, "%s: path too long", a->path);

  char* data = NULL;
  size_t size = 0;
  const size_t limit = chunk_bytes(a) + BLOSC_MAX_OVERHEAD;  // what Blosc needs at worst
  dpc_status status = dpc_file_read(path, limit, &data, &size, error);
  if (status == DPC_ERR_NOT_FOUND) return dpc_fail(error, status, "missing chunk %s", path);
  if (status == DPC_ERR_INVALID) return dpc_fail_prefix(error, status, "damaged chunk ");
  if (status == DPC_OK) status = decode(a, path, data, size, error);
  free(data);
  return status;
}

/// Copy the part of `chunk` that lies inside the array to its place in `rows`.
static void place_chunk(dpc_zarr_array* a, const int64_t* grid) {
  // Rows past the array's end are copied as well: chunks have their full size there too.
  int64_t extent[DPC_ZARR_RANK_MAX], at[DPC_ZARR_RANK_MAX] = {0};
  extent[0] = a->chunks[0];
  for (int d = 1; d < a->rank; d++) {
    const int64_t left = a->shape[d] - grid[d] * a->chunks[d];
    extent[d] = left < a->chunks[d] ? left : a->chunks[d];
  }
  const int last = a->rank - 1;
  for (bool more = true; more;) {
    // one run of consecutive elements: offsets of its start on both sides
    int64_t from = at[0], to = at[0];
    for (int d = 1; d < a->rank; d++) {
      from = from * a->chunks[d] + at[d];
      to = to * a->shape[d] + grid[d] * a->chunks[d] + at[d];
    }
    memcpy(a->rows + (size_t)to * a->item_size, a->chunk + (size_t)from * a->item_size,
           (size_t)extent[last] * a->item_size);
    more = false;
    for (int d = last - 1; d >= 0 && !more; d--) {
      more = ++at[d] < extent[d];
      if (!more) at[d] = 0;
    }
  }
}

/// Bring the chunks that hold row `row` into `rows`.
static dpc_status load_rows(dpc_zarr_array* a, int64_t row, dpc_error* error) {
  int64_t grid[DPC_ZARR_RANK_MAX] = {row / a->chunks[0]};
  if (a->loaded == grid[0]) return DPC_OK;
  if (a->rows == NULL) {
    a->rows = malloc((size_t)(a->chunks[0] * a->row_size) * a->item_size + 1);
    a->chunk = malloc(chunk_bytes(a));
    if (a->rows == NULL || a->chunk == NULL) {
      return dpc_fail(error, DPC_ERR_NO_MEMORY, "%s: no memory for a chunk", a->path);
    }
  }
  a->loaded = -1;
  for (bool more = true; more;) {
    DPC_TRY(load_chunk(a, grid, error));
    place_chunk(a, grid);
    more = false;
    for (int d = a->rank - 1; d > 0 && !more; d--) {
      more = ++grid[d] * a->chunks[d] < a->shape[d];
      if (!more) grid[d] = 0;
    }
  }
  a->loaded = grid[0];
  return DPC_OK;
}

// --- rows ---------------------------------------------------------------------------------------

static void to_float(dpc_zarr_type type, const void* from, size_t count, float* to) {
  switch (type) {
#define X(name, type)                                       \
  case DPC_ZARR_##name:                                     \
    for (size_t i = 0; i < count; i++) {                    \
      type value;                                           \
      memcpy(&value, (const type*)from + i, sizeof(value)); \
      to[i] = (float)value;                                 \
    }                                                       \
    break;
    DPC_ZARR_TYPE_LIST(X)
#undef X
  }
}

static void to_int(dpc_zarr_type type, const void* from, size_t count, int64_t* to) {
  switch (type) {
#define X(name, type)                                       \
  case DPC_ZARR_##name:                                     \
    for (size_t i = 0; i < count; i++) {                    \
      type value;                                           \
      memcpy(&value, (const type*)from + i, sizeof(value)); \
      to[i] = (int64_t)value;                               \
    }                                                       \
    break;
    DPC_ZARR_TYPE_LIST(X)
#undef X
  }
}

/// The next piece of [first, first + count): as many rows as are in one chunk.
static dpc_status next_piece(dpc_zarr_array* a, int64_t first, int64_t count, const void** from,
                             int64_t* rows, dpc_error* error) {
  DPC_TRY(load_rows(a, first, error));
  const int64_t skip = first % a->chunks[0], left = a->chunks[0] - skip;
  *from = a->rows + (size_t)(skip * a->row_size) * a->item_size;
  *rows = count < left ? count : left;
  return DPC_OK;
}

dpc_status dpc_zarr_array_read(dpc_zarr_array* a, int64_t first, int64_t count, float* out,
                               dpc_error* error) {
  DPC_ASSERT(first >= 0 && count >= 0 && count <= a->shape[0] - first);
  for (int64_t done = 0, rows; done < count; done += rows) {
    const void* from;
    DPC_TRY(next_piece(a, first + done, count - done, &from, &rows, error));
    to_float(a->type, from, (size_t)(rows * a->row_size), out + done * a->row_size);
  }
  return DPC_OK;
}

dpc_status dpc_zarr_array_read_int(dpc_zarr_array* a, int64_t first, int64_t count, int64_t* out,
                                   dpc_error* error) {
  DPC_ASSERT(first >= 0 && count >= 0 && count <= a->shape[0] - first);
  if (a->type == DPC_ZARR_f4 || a->type == DPC_ZARR_f8) {
    return dpc_fail(error, DPC_ERR_FORMAT, "%s: must hold integers", a->path);
  }
  for (int64_t done = 0, rows; done < count; done += rows) {
    const void* from;
    DPC_TRY(next_piece(a, first + done, count - done, &from, &rows, error));
    to_int(a->type, from, (size_t)(rows * a->row_size), out + done * a->row_size);
  }
  return DPC_OK;
}
