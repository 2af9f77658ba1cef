// The reader. Nothing in a file is believed before it has been checked, and everything is checked
// when the file is opened: what comes after may index without asking.
#include "policy/safetensors.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "policy/arena.h"
#include "policy/sha256.h"

struct dpc_safetensors {
  dpc_arena arena;  // holds this struct too
  char* path;
  const unsigned char* bytes;  // the whole file
  size_t size;
  void* mapping;              // the same when it is ours to unmap, or NULL
  const unsigned char* data;  // after the header
  size_t data_size;
  json_t* header;
  int count;
  dpc_tensor_view* tensors;  // by position in the data
  int metadata_count;
  dpc_metadata_entry* metadata;
};

static const struct {
  const char* name;
  size_t size;
} dtypes[] = {
#define X(name, size) [DPC_DTYPE_##name] = {#name, size},
    DPC_DTYPE_LIST(X)
#undef X
};

const char* dpc_dtype_name(dpc_dtype dtype) {
  return dtypes[dtype].name;
}

size_t dpc_dtype_size(dpc_dtype dtype) {
  return dtypes[dtype].size;
}

// --- one tensor's entry in the header -------------------------------------------------------------

static dpc_status bad_tensor(const dpc_safetensors* file, const char* name, const char* what,
                             dpc_error* error) {
  return dpc_fail(error, DPC_ERR_FORMAT, "%s: tensor '%.96s': %s", file->path, name, what);
}

static bool parse_dtype(const json_t* text, dpc_dtype* out) {
  if (!json_is_string(text)) return false;
  for (int i = 0; i < DPC_COUNT(dtypes); ++i) {
    if (strcmp(dtypes[i].name, json_string_value(text)) == 0) {
      *out = (dpc_dtype)i;
      return true;
    }
  }
  return false;
}

// A whole number in [0, INT64_MAX]; jansson has already refused what does not fit an int64.
static bool parse_size(const json_t* number, int64_t* out) {
  *out = json_is_integer(number) ? json_integer_value(number) : -1;
  return *out >= 0;
}

static bool parse_shape(const json_t* shape, dpc_tensor_view* view) {
  if (!json_is_array(shape) || json_array_size(shape) > DPC_TENSOR_RANK_MAX) return false;
  view->rank = (int)json_array_size(shape);
  view->count = 1;
  for (int i = 0; i < view->rank; ++i) {
    if (!parse_size(json_array_get(shape, (size_t)i), &view->shape[i])) return false;
    if (__builtin_mul_overflow(view->count, (size_t)view->shape[i], &view->count)) return false;
  }
  return !__builtin_mul_overflow(view->count, dtypes[view->dtype].size, &view->bytes);
}

static dpc_status parse_tensor(const dpc_safetensors* file, const char* name, const json_t* entry,
                               dpc_tensor_view* view, dpc_error* error) {
  *view = (dpc_tensor_view){.name = name};
  if (!json_is_object(entry) || json_object_size(entry) != 3) {
    return bad_tensor(file, name, "needs dtype, shape and data_offsets, and no more", error);
  }
  if (!parse_dtype(json_object_get(entry, "dtype"), &view->dtype)) {
    return bad_tensor(file, name, "unknown dtype", error);
  }
  if (!parse_shape(json_object_get(entry, "shape"), view)) {
    return bad_tensor(file, name, "shape is malformed or too large", error);
  }
  const json_t* offsets = json_object_get(entry, "data_offsets");
  int64_t begin, end;
  if (!json_is_array(offsets) || json_array_size(offsets) != 2 ||
      !parse_size(json_array_get(offsets, 0), &begin) ||
      !parse_size(json_array_get(offsets, 1), &end)) {
    return bad_tensor(file, name, "data_offsets must be two whole numbers", error);
  }
  if (begin > end || (uint64_t)end > file->data_size) {
    return bad_tensor(file, name, "data_offsets lie outside of the data", error);
  }
  if ((size_t)(end - begin) != view->bytes) {
    return bad_tensor(file, name, "data_offsets do not fit dtype and shape", error);
  }
  view->data = file->data + begin;
  return DPC_OK;
}

// --- the header -----------------------------------------------------------------------------------

static dpc_status parse_metadata(dpc_safetensors* file, json_t* metadata, dpc_error* error) {
  if (!json_is_object(metadata)) {
    return dpc_fail(error, DPC_ERR_FORMAT, "%s: __metadata__ is not an object", file->path);
  }
  const char* key;
  json_t* value;
  json_object_foreach(metadata, key, value) {
    if (!json_is_string(value)) {
      return dpc_fail(error, DPC_ERR_FORMAT, "%s: metadata '%.96s' is not a string", file->path,
                      key);
    }
    file->metadata[file->metadata_count++] = (dpc_metadata_entry){key, json_string_value(value)};
  }
  return DPC_OK;
}

static int compare_position(const void* a, const void* b) {
  const dpc_tensor_view *left = a, *right = b;
  if (left->data != right->data) return left->data < right->data ? -1 : 1;
  return (left->bytes > right->bytes) - (left->bytes < right->bytes);
}

// Sorted by position, each tensor must begin where the one before it ends, and the last at the end.
static dpc_status check_cover(const dpc_safetensors* file, dpc_error* error) {
  const unsigned char* expected = file->data;
  for (int i = 0; i < file->count; ++i) {
    const dpc_tensor_view* view = &file->tensors[i];
    if (view->data != expected) {
      return bad_tensor(file, view->name,
                        (const unsigned char*)view->data < expected
                            ? "overlaps the tensor before it"
                            : "leaves a hole before it",
                        error);
    }
    expected += view->bytes;
  }
  const size_t left = file->data_size - (size_t)(expected - file->data);
  if (left == 0) return DPC_OK;
  return dpc_fail(error, DPC_ERR_FORMAT, "%s: %zu bytes after the last tensor", file->path, left);
}

static dpc_status parse_tensors(dpc_safetensors* file, dpc_error* error) {
  json_t* metadata = json_object_get(file->header, "__metadata__");
  const size_t entries = json_object_size(file->header);
  file->tensors = DPC_TAKE(&file->arena, dpc_tensor_view, entries + 1);
  file->metadata = DPC_TAKE(&file->arena, dpc_metadata_entry, json_object_size(metadata) + 1);
  if (file->tensors == NULL || file->metadata == NULL) {
    return dpc_arena_full(&file->arena, "a safetensors header", error);
  }
  if (metadata != NULL) DPC_TRY(parse_metadata(file, metadata, error));

  const char* name;
  json_t* entry;
  json_object_foreach(file->header, name, entry) {
    if (entry == metadata) continue;
    DPC_TRY(parse_tensor(file, name, entry, &file->tensors[file->count], error));
    ++file->count;
  }
  qsort(file->tensors, (size_t)file->count, sizeof *file->tensors, compare_position);
  return check_cover(file, error);
}

static dpc_status parse_header(dpc_safetensors* file, dpc_error* error) {
  uint64_t length = 0;
  if (file->size < sizeof length) {
    return dpc_fail(error, DPC_ERR_FORMAT, "%s: truncated: %zu bytes are not a safetensors file",
                    file->path, file->size);
  }
  for (int i = 0; i < 8; ++i) length |= (uint64_t)file->bytes[i] << (8 * i);
  if (length > DPC_SAFETENSORS_HEADER_MAX) {
    return dpc_fail(
        error, DPC_ERR_FORMAT,
        "%s: not a safetensors file, or its header is too large: %llu bytes, at most %d",
        file->path, (unsigned long long)length, DPC_SAFETENSORS_HEADER_MAX);
  }
  if (length > file->size - sizeof length) {
    return dpc_fail(error, DPC_ERR_FORMAT, "%s: truncated: the header has %zu of %llu bytes",
                    file->path, file->size - sizeof length, (unsigned long long)length);
  }
  const char* text = (const char*)file->bytes + sizeof length;
  file->data = file->bytes + sizeof length + length;
  file->data_size = file->size - sizeof length - length;

  json_error_t json;
  if (length == 0 || text[0] != '{') {
    return dpc_fail(error, DPC_ERR_FORMAT, "%s: the header does not begin with '{'", file->path);
  }
  file->header = json_loadb(text, length, JSON_REJECT_DUPLICATES, &json);
  if (file->header == NULL) {
    return dpc_fail(error, DPC_ERR_FORMAT, "%s: header, byte %d: %s", file->path, json.position,
                    json.text);
  }
  return parse_tensors(file, error);
}

static dpc_status check_sha256(const dpc_safetensors* file, dpc_error* error) {
  const char* expected = dpc_safetensors_metadata(file, DPC_SAFETENSORS_SHA256);
  if (expected == NULL) return DPC_OK;
  dpc_sha256 hash;
  char actual[DPC_SHA256_TEXT];
  dpc_sha256_start(&hash);
  dpc_sha256_add(&hash, file->data, file->data_size);
  dpc_sha256_finish(&hash, actual);
  if (strcmp(actual, expected) == 0) return DPC_OK;
  return dpc_fail(error, DPC_ERR_FORMAT, "%s: damaged: the data do not match %s", file->path,
                  DPC_SAFETENSORS_SHA256);
}

// --- opening and closing --------------------------------------------------------------------------

// `mapping` is NULL, or the same bytes, to be unmapped with the file and on failure.
static dpc_status open_bytes(const char* path, const void* bytes, size_t size, void* mapping,
                             dpc_safetensors** out, dpc_error* error) {
  // A tensor's entry in the header is at least 40 bytes, a metadata entry 6.
  dpc_arena arena;
  const size_t header = size < DPC_SAFETENSORS_HEADER_MAX ? size : DPC_SAFETENSORS_HEADER_MAX;
  const size_t reserve = (header / 6 + 64) * sizeof(dpc_tensor_view) + strlen(path);
  dpc_status status = dpc_arena_map(&arena, reserve, error);
  if (status != DPC_OK) {
    if (mapping != NULL) munmap(mapping, size);
    return status;
  }
  dpc_safetensors* file = DPC_TAKE(&arena, dpc_safetensors, 1);
  file->path = DPC_TAKE(&arena, char, strlen(path) + 1);
  memcpy(file->path, path, strlen(path));
  file->arena = arena;
  file->bytes = bytes;
  file->size = size;
  file->mapping = mapping;

  status = parse_header(file, error);
  if (status == DPC_OK) status = check_sha256(file, error);
  if (status != DPC_OK) {
    dpc_safetensors_close(file);
    return status;
  }
  *out = file;
  return DPC_OK;
}

dpc_status dpc_safetensors_open_bytes(const char* name, const void* bytes, size_t size,
                                      dpc_safetensors** out, dpc_error* error) {
  return open_bytes(name, bytes, size, NULL, out, error);
}

static dpc_status map_file(int fd, const char* path, void** mapping, size_t* size,
                           dpc_error* error) {
  struct stat info;
  if (fstat(fd, &info) != 0) {
    return dpc_fail(error, DPC_ERR_IO, "%s: %s", path, strerror(errno));
  }
  if (!S_ISREG(info.st_mode)) {
    return dpc_fail(error, DPC_ERR_IO, "%s: not a file", path);
  }
  *size = (size_t)info.st_size;
  if (*size == 0) return dpc_fail(error, DPC_ERR_FORMAT, "%s: truncated: the file is empty", path);
  void* mapped = mmap(NULL, *size, PROT_READ, MAP_PRIVATE, fd, 0);
  if (mapped == MAP_FAILED) {
    return dpc_fail(error, DPC_ERR_IO, "%s: %s", path, strerror(errno));
  }
  *mapping = mapped;
  return DPC_OK;
}

dpc_status dpc_safetensors_open(const char* path, dpc_safetensors** out, dpc_error* error) {
  // Not blocking, so that a FIFO under this name is refused rather than waited for.
  const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return dpc_fail(error, DPC_ERR_IO, "%s: %s", path, strerror(errno));
  void* mapping = NULL;
  size_t size = 0;
  const dpc_status status = map_file(fd, path, &mapping, &size, error);
  close(fd);
  if (status != DPC_OK) return status;
  DPC_ASSERT(mapping != NULL);
  return open_bytes(path, mapping, size, mapping, out, error);
}

void dpc_safetensors_close(dpc_safetensors* file) {
  if (file == NULL) return;
  json_decref(file->header);
  if (file->mapping != NULL) munmap(file->mapping, file->size);
  dpc_arena arena = file->arena;
  dpc_arena_unmap(&arena);
}

// --- looking up -----------------------------------------------------------------------------------

const char* dpc_safetensors_path(const dpc_safetensors* file) {
  return file->path;
}

int dpc_safetensors_count(const dpc_safetensors* file) {
  return file->count;
}

const dpc_tensor_view* dpc_safetensors_at(const dpc_safetensors* file, int i) {
  DPC_ASSERT(i >= 0 && i < file->count);
  return &file->tensors[i];
}

const dpc_tensor_view* dpc_safetensors_find(const dpc_safetensors* file, const char* name) {
  for (int i = 0; i < file->count; ++i) {
    if (strcmp(file->tensors[i].name, name) == 0) return &file->tensors[i];
  }
  return NULL;
}

int dpc_safetensors_metadata_count(const dpc_safetensors* file) {
  return file->metadata_count;
}

dpc_metadata_entry dpc_safetensors_metadata_at(const dpc_safetensors* file, int i) {
  DPC_ASSERT(i >= 0 && i < file->metadata_count);
  return file->metadata[i];
}

const char* dpc_safetensors_metadata(const dpc_safetensors* file, const char* key) {
  for (int i = 0; i < file->metadata_count; ++i) {
    if (strcmp(file->metadata[i].key, key) == 0) return file->metadata[i].value;
  }
  return NULL;
}
