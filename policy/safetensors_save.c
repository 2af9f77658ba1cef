// The writer. Two passes over the data: one for the hash, which stands in front of them, one to
// write. The file gets its name only when it is complete and on disk.
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "policy/arena.h"
#include "policy/safetensors.h"
#include "policy/sha256.h"

enum { CHUNK = 4096 };  // elements converted at a time

// --- a tensor's bytes as stored -------------------------------------------------------------------

static size_t element_count(const dpc_tensor_source* tensor) {
  size_t count = 1;
  for (int i = 0; i < tensor->rank; ++i) count *= (size_t)tensor->shape[i];
  return count;
}

static size_t stored_size(const dpc_tensor_source* tensor) {
  return element_count(tensor) * dpc_dtype_size(tensor->dtype);
}

// Round to nearest, ties to even, on the bits; a carry out of the fraction is the right next value.
static uint16_t bfloat16_from_float(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  return (uint16_t)((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

typedef bool (*byte_sink)(void* context, const void* bytes, size_t size);

// Pass the tensor's bytes on, converted. False when the sink says so.
static bool emit(const dpc_tensor_source* tensor, byte_sink sink, void* context) {
  if (tensor->dtype != DPC_DTYPE_BF16) return sink(context, tensor->data, stored_size(tensor));
  const float* values = tensor->data;
  const size_t count = element_count(tensor);
  for (size_t done = 0; done < count; done += CHUNK) {
    uint16_t chunk[CHUNK];
    const size_t now = count - done < CHUNK ? count - done : CHUNK;
    for (size_t i = 0; i < now; ++i) chunk[i] = bfloat16_from_float(values[done + i]);
    if (!sink(context, chunk, now * sizeof chunk[0])) return false;
  }
  return true;
}

static bool hash_sink(void* context, const void* bytes, size_t size) {
  dpc_sha256_add(context, bytes, size);
  return true;
}

static bool file_sink(void* context, const void* bytes, size_t size) {
  const int fd = *(const int*)context;
  const char* at = bytes;
  while (size > 0) {
    const ssize_t written = write(fd, at, size);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return false;
    at += written;
    size -= (size_t)written;
  }
  return true;
}

// --- what is to be written ------------------------------------------------------------------------

// bfloat16's largest finite value is smaller than float's: what rounds up to infinity counts too.
static dpc_status check_finite(const char* path, const dpc_tensor_source* tensor,
                               dpc_error* error) {
  if (tensor->dtype != DPC_DTYPE_F32 && tensor->dtype != DPC_DTYPE_BF16) return DPC_OK;
  const float* values = tensor->data;
  const size_t count = element_count(tensor);
  for (size_t i = 0; i < count; ++i) {
    const bool finite = tensor->dtype == DPC_DTYPE_F32
                            ? isfinite(values[i])
                            : (bfloat16_from_float(values[i]) & 0x7f80) != 0x7f80;
    if (!finite || !isfinite(values[i])) {
      return dpc_fail(error, DPC_ERR_INVALID, "%s: tensor '%s': element %zu is not finite", path,
                      tensor->name, i);
    }
  }
  return DPC_OK;
}

static int compare_order(const void* a, const void* b) {
  const dpc_tensor_source *left = *(const dpc_tensor_source*const*)a,
                          *right = *(const dpc_tensor_source*const*)b;
  if (left->dtype != right->dtype) return left->dtype > right->dtype ? -1 : 1;
  return strcmp(left->name, right->name);
}

// Takes the new reference to `value`, NULL included.
static bool set_new(json_t* object, const char* key, json_t* value) {
  if (object != NULL && key != NULL && json_object_get(object, key) == NULL) {
    return json_object_set_new(object, key, value) == 0;
  }
  json_decref(value);
  return false;
}

static json_t* describe(const dpc_tensor_source* tensor, size_t begin) {
  json_t* shape = json_array();
  for (int i = 0; i < tensor->rank; ++i) {
    json_array_append_new(shape, json_integer(tensor->shape[i]));
  }
  const json_int_t first = (json_int_t)begin;
  const json_int_t size = (json_int_t)stored_size(tensor);
  return json_pack("{s:s, s:o, s:[I, I]}", "dtype", dpc_dtype_name(tensor->dtype), "shape", shape,
                   "data_offsets", first, first + size);
}

static json_t* describe_metadata(const dpc_metadata_entry* metadata, int count, const char* sha256,
                                 const char** bad) {
  json_t* object = json_object();
  for (int i = 0; i < count; ++i) {
    if (!set_new(object, metadata[i].key, json_string(metadata[i].value))) *bad = metadata[i].key;
  }
  if (!set_new(object, DPC_SAFETENSORS_SHA256, json_string(sha256))) *bad = DPC_SAFETENSORS_SHA256;
  return object;
}

// The header with its length in front, in the arena. A key or name that comes twice, or is not
// UTF-8, is an error.
static dpc_status make_header(const char* path, const dpc_metadata_entry* metadata,
                              int metadata_count, const dpc_tensor_source* const* tensors,
                              int tensor_count, dpc_arena* arena, char** out, size_t* size,
                              dpc_error* error) {
  dpc_sha256 hash;
  char sha256[DPC_SHA256_TEXT];
  dpc_sha256_start(&hash);
  for (int i = 0; i < tensor_count; ++i) emit(tensors[i], hash_sink, &hash);
  dpc_sha256_finish(&hash, sha256);

  const char* bad = NULL;
  json_t* header = json_object();
  json_t* described = describe_metadata(metadata, metadata_count, sha256, &bad);
  if (!set_new(header, "__metadata__", described)) bad = "__metadata__";
  size_t begin = 0;
  for (int i = 0; i < tensor_count; ++i) {
    if (!set_new(header, tensors[i]->name, describe(tensors[i], begin))) bad = tensors[i]->name;
    begin += stored_size(tensors[i]);
  }

  // Spaces behind the JSON, so that the data begin at a multiple of 8.
  const size_t length = bad == NULL ? json_dumpb(header, NULL, 0, JSON_COMPACT) : 0;
  const size_t padded = (length + 7) & ~(size_t)7;
  char* text = length > 0 ? dpc_arena_take(arena, 8 + padded) : NULL;
  if (text != NULL) {
    for (int i = 0; i < 8; ++i) text[i] = (char)(unsigned char)((uint64_t)padded >> (8 * i));
    memset(text + 8, ' ', padded);
    json_dumpb(header, text + 8, length, JSON_COMPACT);
  }
  json_decref(header);
  if (bad != NULL || length == 0) {
    return dpc_fail(error, DPC_ERR_INVALID, "%s: '%.96s' comes twice or is not UTF-8", path,
                    bad ? bad : "header");
  }
  if (text == NULL || padded > DPC_SAFETENSORS_HEADER_MAX) {
    return dpc_fail(error, DPC_ERR_INVALID, "%s: the header is too large: %zu bytes, at most %d",
                    path, padded, DPC_SAFETENSORS_HEADER_MAX);
  }
  *out = text;
  *size = 8 + padded;
  return DPC_OK;
}

// --- a complete file or none ----------------------------------------------------------------------

static bool write_all(int fd, const char* header, size_t header_size,
                      const dpc_tensor_source* const* tensors, int tensor_count) {
  bool good = file_sink(&fd, header, header_size);
  for (int i = 0; good && i < tensor_count; ++i) good = emit(tensors[i], file_sink, &fd);
  return good && fsync(fd) == 0;
}

// The rename is durable once the folder is on disk too.
static bool sync_folder(const char* path) {
  char folder[PATH_MAX] = ".";
  const char* slash = strrchr(path, '/');
  if (slash != NULL) snprintf(folder, sizeof folder, "%.*s", (int)(slash - path + 1), path);
  const int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return false;
  const bool good = fsync(fd) == 0 || errno == EINVAL;  // some file systems cannot sync a folder
  const int reason = errno;
  close(fd);
  errno = reason;
  return good;
}

static dpc_status publish(const char* path, const char* header, size_t header_size,
                          const dpc_tensor_source* const* tensors, int tensor_count,
                          dpc_error* error) {
  char temporary[PATH_MAX];
  const int length = snprintf(temporary, sizeof temporary, "%s.tmp.%ld", path, (long)getpid());
  if (length < 0 || (size_t)length >= sizeof temporary) {
    return dpc_fail(error, DPC_ERR_IO, "%s: the path is too long", path);
  }
  const int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0666);
  if (fd < 0) return dpc_fail(error, DPC_ERR_IO, "%s: %s", path, strerror(errno));

  bool good = write_all(fd, header, header_size, tensors, tensor_count);
  int reason = errno;
  if (close(fd) != 0 && good) {
    good = false;
    reason = errno;
  }
  if (good && rename(temporary, path) != 0) {
    good = false;
    reason = errno;
  }
  if (!good) {
    unlink(temporary);
    return dpc_fail(error, DPC_ERR_IO, "%s: not saved: %s", path, strerror(reason));
  }
  if (sync_folder(path)) return DPC_OK;
  return dpc_fail(error, DPC_ERR_IO, "%s: saved, but its folder cannot be synced: %s", path,
                  strerror(errno));
}

dpc_status dpc_safetensors_save(const char* path, const dpc_metadata_entry* metadata,
                                int metadata_count, const dpc_tensor_source* tensors,
                                int tensor_count, dpc_error* error) {
  for (int i = 0; i < tensor_count; ++i) DPC_TRY(check_finite(path, &tensors[i], error));

  dpc_arena scratch;
  const size_t order_size = ((size_t)tensor_count + 1) * sizeof(void*);
  DPC_TRY(dpc_arena_map(&scratch, order_size + DPC_SAFETENSORS_HEADER_MAX + 4096, error));
  const dpc_tensor_source** order = DPC_TAKE(&scratch, const dpc_tensor_source*, tensor_count + 1);
  for (int i = 0; i < tensor_count; ++i) order[i] = &tensors[i];
  qsort(order, (size_t)tensor_count, sizeof(void*), compare_order);

  char* header = NULL;
  size_t header_size = 0;
  dpc_status status = make_header(path, metadata, metadata_count, order, tensor_count, &scratch,
                                  &header, &header_size, error);
  if (status == DPC_OK) {
    status = publish(path, header, header_size, order, tensor_count, error);
  }
  dpc_arena_unmap(&scratch);
  return status;
}
