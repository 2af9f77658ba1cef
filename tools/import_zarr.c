#include "tools/import_zarr.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/zarr_array.h"

enum { EPISODE_MAX = 1000000 };

typedef struct zarr_field {
  char name[DPC_NAME_MAX];
  dpc_zarr_array array;
} zarr_field;

typedef struct zarr_source {
  zarr_field fields[DPC_SIGNAL_MAX];  // in the order of the interface's observation
  int field_count;
  zarr_field images[DPC_EPISODE_IMAGE_MAX];
  int image_count;
  zarr_field action;
  int64_t* ends;  // [episode_count], exclusive
} zarr_source;

bool dpc_import_zarr_detect(const char* path) {
  static const char* const parts[] = {".zgroup", "data", "meta"};
  for (int i = 0; i < DPC_COUNT(parts); i++) {
    char file[PATH_MAX];
    const int length = snprintf(file, sizeof(file), "%s/%s", path, parts[i]);
    if (length >= (int)sizeof(file) || access(file, F_OK) != 0) return false;
  }
  return true;
}

// --- opening ------------------------------------------------------------------------------------

static bool is_picture(const dpc_zarr_array* a) {
  const int64_t channels = a->rank == 4 ? a->shape[3] : 0;
  return channels == 1 || channels == 3 || channels == 4;
}

/// Decide what a field of data/ becomes. Takes the array over, or closes it.
static dpc_status add_field(dpc_import_source* source, const char* name, dpc_zarr_array* array,
                            bool images, dpc_error* error) {
  zarr_source* z = source->state;
  zarr_field* field = NULL;
  if (strcmp(name, "action") == 0) {
    field = &z->action;
  } else if (is_picture(array)) {
    if (images && z->image_count < DPC_EPISODE_IMAGE_MAX) field = &z->images[z->image_count++];
    if (field == NULL) dpc_import_leave_out(source, name, DPC_IMPORT_PICTURES_REASON(images));
  } else if (array->row_size < 1 || array->row_size > DPC_SIGNAL_DIM_MAX) {
    dpc_import_leave_out(source, name, DPC_IMPORT_DIM_REASON);
  } else if (z->field_count == DPC_SIGNAL_MAX) {
    return dpc_fail(error, DPC_ERR_UNSUPPORTED, "%s: more than %d fields", array->path,
                    DPC_SIGNAL_MAX);
  } else {
    field = &z->fields[z->field_count++];
  }
  if (field == NULL) {
    dpc_zarr_array_close(array);
    return DPC_OK;
  }
  memcpy(field->name, name, strlen(name) + 1);
  field->array = *array;
  return DPC_OK;
}

static dpc_status open_field(dpc_import_source* source, const char* folder, const char* name,
                             bool images, dpc_error* error) {
  char path[PATH_MAX];
  if (snprintf(path, sizeof(path), "%s/%s", folder, name) >= (int)sizeof(path) ||
      strlen(name) >= DPC_NAME_MAX) {
    return dpc_fail(error, DPC_ERR_UNSUPPORTED, "%s/%.64s: name too long", folder, name);
  }
  dpc_zarr_array array;
  dpc_error why = {""};
  const dpc_status status = dpc_zarr_array_open(path, &array, &why);
  if (status == DPC_ERR_NOT_FOUND) {
    dpc_import_leave_out(source, name, "not an array");
    return DPC_OK;
  }
  if (status != DPC_OK) return dpc_fail(error, status, "%s", why.text);
  const dpc_status added = add_field(source, name, &array, images, error);
  if (added != DPC_OK) dpc_zarr_array_close(&array);
  return added;
}

static int not_hidden(const struct dirent* entry) {
  return entry->d_name[0] != '.';
}

/// Everything in data/, by name.
static dpc_status open_fields(dpc_import_source* source, const char* root, bool images,
                              dpc_error* error) {
  char folder[PATH_MAX];
  (void)snprintf(folder, sizeof(folder), "%s/data", root);
  struct dirent** entries = NULL;
  const int count = scandir(folder, &entries, not_hidden, alphasort);
  if (count < 0) return dpc_fail(error, DPC_ERR_IO, "%s: %s", folder, strerror(errno));
  dpc_status status = DPC_OK;
  for (int i = 0; i < count; i++) {
    if (status == DPC_OK) status = open_field(source, folder, entries[i]->d_name, images, error);
    free(entries[i]);
  }
  free(entries);
  const zarr_source* z = source->state;
  if (status == DPC_OK && z->action.array.path == NULL) {
    return dpc_fail(error, DPC_ERR_FORMAT, "%s: no field 'action'", folder);
  }
  return status;
}

/// Read and check meta/episode_ends.
static dpc_status read_ends(dpc_import_source* source, const char* root, dpc_error* error) {
  zarr_source* z = source->state;
  char path[PATH_MAX];
  (void)snprintf(path, sizeof(path), "%s/meta/episode_ends", root);
  dpc_zarr_array array;
  DPC_TRY(dpc_zarr_array_open(path, &array, error));
  const int64_t count = array.shape[0];
  dpc_status status = DPC_OK;
  if (array.rank != 1 || count < 1 || count > EPISODE_MAX) {
    status =
        dpc_fail(error, DPC_ERR_FORMAT, "%s: must be a list of 1 to %d ends", path, EPISODE_MAX);
  } else if ((z->ends = calloc((size_t)count, sizeof(*z->ends))) == NULL) {
    status = dpc_fail(error, DPC_ERR_NO_MEMORY, "%s: out of memory", path);
  } else {
    status = dpc_zarr_array_read_int(&array, 0, count, z->ends, error);
  }
  dpc_zarr_array_close(&array);
  if (status != DPC_OK || z->ends == NULL) return status;
  for (int64_t i = 0; i < count; i++) {
    if (z->ends[i] > (i == 0 ? 0 : z->ends[i - 1])) continue;
    return dpc_fail(error, DPC_ERR_FORMAT,
                    "%s: end %" PRId64 " of episode %" PRId64 " is not after the one before", path,
                    z->ends[i], i);
  }
  source->episode_count = (int)count;
  return DPC_OK;
}

static dpc_status check_length(const zarr_field* field, int64_t expected, dpc_error* error) {
  if (field->array.shape[0] == expected) return DPC_OK;
  return dpc_fail(error, DPC_ERR_FORMAT,
                  "%s: has %" PRId64 " rows, but meta/episode_ends ends at %" PRId64,
                  field->array.path, field->array.shape[0], expected);
}

static dpc_status build_interface(dpc_import_source* source, dpc_error* error) {
  zarr_source* z = source->state;
  const int64_t total = z->ends[source->episode_count - 1];
  DPC_TRY(check_length(&z->action, total, error));
  if (z->action.array.row_size < 1 || z->action.array.row_size > DPC_SIGNAL_DIM_MAX) {
    return dpc_fail(error, DPC_ERR_FORMAT, "%s: not between 1 and %d values a step",
                    z->action.array.path, DPC_SIGNAL_DIM_MAX);
  }
  for (int i = 0; i < z->image_count; i++) DPC_TRY(check_length(&z->images[i], total, error));
  dpc_layout_add(&source->interface.action, "action", (int)z->action.array.row_size, "", "");
  for (int i = 0; i < z->field_count; i++) {
    DPC_TRY(check_length(&z->fields[i], total, error));
    dpc_layout_add(&source->interface.obs, z->fields[i].name, (int)z->fields[i].array.row_size, "",
                   "");
  }
  return DPC_OK;
}

// --- episodes -----------------------------------------------------------------------------------

/// Rows of one field into columns [offset, offset + dim) of a wider array of rows.
static dpc_status read_columns(zarr_field* field, int64_t first, int length, float* out, int width,
                               int offset, dpc_error* error) {
  const size_t dim = (size_t)field->array.row_size;
  float* values = malloc((size_t)length * dim * sizeof(*values));
  if (values == NULL) return dpc_fail(error, DPC_ERR_NO_MEMORY, "%s: out of memory", field->name);
  const dpc_status status = dpc_zarr_array_read(&field->array, first, length, values, error);
  for (int t = 0; status == DPC_OK && t < length; t++) {
    memcpy(out + (size_t)t * (size_t)width + offset, values + (size_t)t * dim,
           dim * sizeof(*values));
  }
  free(values);
  return status;
}

/// Pictures are stored as bytes, so their values must be bytes whatever their type is.
static dpc_status read_pictures(zarr_field* field, int64_t first, int length,
                                dpc_episode_images* out, dpc_error* error) {
  const dpc_zarr_array* a = &field->array;
  DPC_TRY(dpc_episode_images_alloc(out, field->name, length, (int)a->shape[1], (int)a->shape[2],
                                   (int)a->shape[3], error));
  const size_t size = (size_t)a->row_size;
  float* row = malloc(size * sizeof(*row));
  if (row == NULL) return dpc_fail(error, DPC_ERR_NO_MEMORY, "%s: out of memory", field->name);
  dpc_status status = DPC_OK;
  for (int t = 0; status == DPC_OK && t < length; t++) {
    status = dpc_zarr_array_read(&field->array, first + t, 1, row, error);
    for (size_t i = 0; status == DPC_OK && i < size; i++) {
      const uint8_t value = row[i] >= 0 && row[i] <= 255 ? (uint8_t)row[i] : 0;
      out->pixels[(size_t)t * size + i] = value;
      if ((float)value == row[i]) continue;
      status = dpc_fail(error, DPC_ERR_UNSUPPORTED,
                        "%s: row %" PRId64 " holds %g; pixels must be whole numbers from 0 to 255",
                        a->path, first + t, (double)row[i]);
    }
  }
  free(row);
  return status;
}

static dpc_status read_episode(dpc_import_source* source, int episode, dpc_episode* out,
                               dpc_error* error) {
  zarr_source* z = source->state;
  const int64_t first = episode == 0 ? 0 : z->ends[episode - 1];
  if (z->ends[episode] - first > INT_MAX) {
    return dpc_fail(error, DPC_ERR_UNSUPPORTED, "episode %d is too long", episode);
  }
  const int length = (int)(z->ends[episode] - first);
  const int obs_dim = dpc_layout_dim(&source->interface.obs);
  const int action_dim = dpc_layout_dim(&source->interface.action);
  DPC_TRY(dpc_episode_resize(out, length, obs_dim, action_dim, error));
  for (int i = 0, offset = 0; i < z->field_count; i++) {
    DPC_TRY(read_columns(&z->fields[i], first, length, out->obs, obs_dim, offset, error));
    offset += (int)z->fields[i].array.row_size;
  }
  for (int i = 0; i < z->image_count; i++) {
    DPC_TRY(read_pictures(&z->images[i], first, length, &out->images[i], error));
    out->image_count = i + 1;
  }
  return read_columns(&z->action, first, length, out->action, action_dim, 0, error);
}

// --- life ---------------------------------------------------------------------------------------

static void close_source(dpc_import_source* source) {
  zarr_source* z = source->state;
  for (int i = 0; i < z->field_count; i++) dpc_zarr_array_close(&z->fields[i].array);
  for (int i = 0; i < z->image_count; i++) dpc_zarr_array_close(&z->images[i].array);
  dpc_zarr_array_close(&z->action.array);
  free(z->ends);
  free(z);
  dpc_json_free(source->left_out);
  *source = (dpc_import_source){0};
}

dpc_status dpc_import_zarr_open(const char* path, bool images, dpc_import_source* out,
                                dpc_error* error) {
  dpc_import_source source = {.format = "Zarr replay buffer",
                              .left_out = dpc_json_array(),
                              .state = calloc(1, sizeof(zarr_source)),
                              .read = read_episode,
                              .close = close_source};
  if (source.state == NULL) {
    dpc_json_free(source.left_out);
    return dpc_fail(error, DPC_ERR_NO_MEMORY, "%s: out of memory", path);
  }
  dpc_status status = open_fields(&source, path, images, error);
  if (status == DPC_OK) status = read_ends(&source, path, error);
  if (status == DPC_OK) status = build_interface(&source, error);
  if (status == DPC_OK) {
    *out = source;
  } else {
    close_source(&source);
  }
  return status;
}
