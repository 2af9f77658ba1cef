#include "tools/import_hdf5.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/hdf5_array.h"

enum { PATH_MAX_IN_FILE = 256, PATH_MAX_IN_DEMO = 128, DEMO_MAX = 1000000 };

/// One array that every demonstration has.
typedef struct hdf5_field {
  char path[PATH_MAX_IN_DEMO];  // below the demonstration's group: "obs/object"
  char name[DPC_NAME_MAX];      // "object"
  dpc_hdf5_shape shape;         // dims[0], the steps, is each demonstration's own
  int dim;                      // values a step
} hdf5_field;

typedef struct hdf5_source {
  dpc_hdf5_file file;
  int* demos;  // [episode_count] numbers, ascending
  hdf5_field actions;
  hdf5_field fields[DPC_SIGNAL_MAX];  // in the order of the interface's observation
  int field_count;
  hdf5_field images[DPC_EPISODE_IMAGE_MAX];
  int image_count;
} hdf5_source;

typedef char path_in_file[PATH_MAX_IN_FILE];

static const char* demo_path(int demo, const char* below, path_in_file out) {
  (void)snprintf(out, PATH_MAX_IN_FILE, "data/demo_%d%s%s", demo, below[0] == '\0' ? "" : "/",
                 below);
  return out;
}

bool dpc_import_hdf5_detect(const char* path) {
  return dpc_hdf5_detect(path);
}

// --- the first demonstration says what there is -------------------------------------------------

static bool is_picture(const hdf5_field* field) {
  const int64_t channels = field->shape.rank == 4 ? field->shape.dims[3] : 0;
  return field->shape.is_byte && (channels == 1 || channels == 3 || channels == 4);
}

/// `path` is "obs/KEY" or "KEY"; the field's name is KEY.
static dpc_status describe(const hdf5_source* s, const char* path, hdf5_field* out,
                           dpc_error* error) {
  hdf5_field field = {.dim = 1};
  path_in_file where;
  (void)demo_path(s->demos[0], path, where);
  const char* slash = strrchr(path, '/');
  const char* name = slash == NULL ? path : slash + 1;
  if (strlen(name) >= sizeof(field.name) || name[0] == '\0') {
    return dpc_hdf5_fail(&s->file, DPC_ERR_UNSUPPORTED, where, "name too long", error);
  }
  (void)snprintf(field.path, sizeof(field.path), "%s", path);
  (void)snprintf(field.name, sizeof(field.name), "%s", name);
  DPC_TRY(dpc_hdf5_shape_of(&s->file, where, &field.shape, error));
  if (field.shape.dims[0] < 1) {
    return dpc_hdf5_fail(&s->file, DPC_ERR_FORMAT, where, "has no rows", error);
  }
  for (int d = 1; d < field.shape.rank; d++) field.dim *= (int)field.shape.dims[d];
  *out = field;
  return DPC_OK;
}

/// Decide what an array of a demonstration becomes.
static dpc_status add_field(dpc_import_source* source, const char* path, bool images,
                            dpc_error* error) {
  hdf5_source* s = source->state;
  hdf5_field field = {0};
  dpc_error why = {""};
  if (describe(s, path, &field, &why) != DPC_OK) {
    dpc_import_leave_out(source, path, why.text);
  } else if (is_picture(&field)) {
    if (images && s->image_count < DPC_EPISODE_IMAGE_MAX) {
      s->images[s->image_count++] = field;
    } else {
      dpc_import_leave_out(source, path, DPC_IMPORT_PICTURES_REASON(images));
    }
  } else if (field.dim < 1 || field.dim > DPC_SIGNAL_DIM_MAX) {
    dpc_import_leave_out(source, path, DPC_IMPORT_DIM_REASON);
  } else if (s->field_count == DPC_SIGNAL_MAX) {
    return dpc_fail(error, DPC_ERR_UNSUPPORTED, "%s: more than %d fields", s->file.path,
                    DPC_SIGNAL_MAX);
  } else {
    s->fields[s->field_count++] = field;
    dpc_layout_add(&source->interface.obs, field.name, field.dim, "", "");
  }
  return DPC_OK;
}

/// What is not a field of its own, and why; NULL when it is.
static const char* no_field(const char* path) {
  static const char* const known[] = {"actions", "rewards", "dones", "obs"};
  for (int i = 0; i < DPC_COUNT(known); i++) {
    if (strcmp(path, known[i]) == 0) return "";
  }
  return strcmp(path, "next_obs") == 0 ? "repeats obs one step later" : NULL;
}

/// The members of a demonstration's group ("") or of its "obs".
static dpc_status add_members(dpc_import_source* source, const char* group, bool images,
                              dpc_error* error) {
  const hdf5_source* s = source->state;
  path_in_file where;
  (void)demo_path(s->demos[0], group, where);
  const int count = dpc_hdf5_member_count(&s->file, where);
  if (count < 0) return dpc_hdf5_fail(&s->file, DPC_ERR_FORMAT, where, "no such group", error);
  for (int i = 0; i < count; i++) {
    char name[PATH_MAX_IN_DEMO - sizeof("obs/")], path[PATH_MAX_IN_DEMO];
    dpc_hdf5_member_name(&s->file, where, i, name, sizeof(name));
    (void)snprintf(path, sizeof(path), "%s%s%s", group, group[0] == '\0' ? "" : "/", name);
    const char* reason = no_field(path);
    if (reason == NULL) {
      DPC_TRY(add_field(source, path, images, error));
    } else if (reason[0] != '\0') {
      dpc_import_leave_out(source, path, reason);
    }
  }
  return DPC_OK;
}

static dpc_status add_fields(dpc_import_source* source, bool images, dpc_error* error) {
  hdf5_source* s = source->state;
  DPC_TRY(describe(s, "actions", &s->actions, error));
  if (s->actions.shape.rank != 2 || s->actions.dim < 1 || s->actions.dim > DPC_SIGNAL_DIM_MAX) {
    path_in_file where;
    return dpc_hdf5_fail(&s->file, DPC_ERR_FORMAT, demo_path(s->demos[0], "actions", where),
                         "must have two dimensions, steps and values", error);
  }
  dpc_layout_add(&source->interface.action, "actions", s->actions.dim, "", "");
  DPC_TRY(add_members(source, "obs", images, error));
  return add_members(source, "", images, error);
}

// --- the list of demonstrations -----------------------------------------------------------------

static int compare_ints(const void* a, const void* b) {
  const int x = *(const int*)a, y = *(const int*)b;
  return (x > y) - (x < y);
}

/// The number N of "demo_N", or -1.
static int demo_number(const char* name) {
  char* end = NULL;
  if (strncmp(name, "demo_", 5) != 0 || name[5] < '0' || name[5] > '9') return -1;
  const long number = strtol(name + 5, &end, 10);
  return *end == '\0' && number <= 9999999 ? (int)number : -1;
}

static dpc_status list_demos(dpc_import_source* source, dpc_error* error) {
  hdf5_source* s = source->state;
  const int count = dpc_hdf5_member_count(&s->file, "data");
  if (count < 1 || count > DEMO_MAX) {
    return dpc_fail(error, DPC_ERR_FORMAT, "%s: not robomimic's: no demonstrations in /data",
                    s->file.path);
  }
  s->demos = calloc((size_t)count, sizeof(*s->demos));
  if (s->demos == NULL) {
    return dpc_fail(error, DPC_ERR_NO_MEMORY, "%s: out of memory", s->file.path);
  }
  for (int i = 0; i < count; i++) {
    char name[64];
    dpc_hdf5_member_name(&s->file, "data", i, name, sizeof(name));
    s->demos[i] = demo_number(name);
    if (s->demos[i] >= 0) continue;
    return dpc_fail(error, DPC_ERR_FORMAT,
                    "%s: not robomimic's: /data/%s is not a demonstration (demo_0, demo_1, ...)",
                    s->file.path, name);
  }
  qsort(s->demos, (size_t)count, sizeof(*s->demos), compare_ints);
  source->episode_count = count;
  return DPC_OK;
}

// --- the name of the task -----------------------------------------------------------------------

/// Notes are plain ASCII of a limited length. Returns whether the value is one.
static bool add_note(dpc_import_source* source, const char* key, const char* value) {
  dpc_note* note = &source->notes[source->note_count];
  const size_t length = strlen(value);
  bool plain = length > 0 && length < sizeof(note->value);
  for (size_t i = 0; plain && i < length; i++) plain = value[i] >= ' ' && value[i] <= '~';
  if (!plain) return false;
  (void)snprintf(note->key, sizeof(note->key), "%s", key);
  memcpy(note->value, value, length + 1);
  source->note_count++;
  return true;
}

/// Steps per second as robomimic's own simulations say it; 0 where it is not said.
static double control_rate(const dpc_json* env_args) {
  double rate = 0;
  const dpc_json* said = dpc_json_get(dpc_json_get(env_args, "env_kwargs"), "control_freq");
  return dpc_json_as_real(said, &rate) && rate >= 0.01 && rate <= 100000 ? rate : 0;
}

/// Note the name of the simulated task, and all that is said about it when that fits; and its rate.
static void note_env_args(dpc_import_source* source) {
  const hdf5_source* s = source->state;
  char* text = dpc_hdf5_text_attribute(&s->file, "data", "env_args");
  dpc_json* json = NULL;
  if (text != NULL && dpc_json_parse(text, strlen(text), "env_args", &json, NULL) == DPC_OK) {
    const char* name = dpc_json_as_text(dpc_json_get(json, "env_name"));
    char* line = dpc_json_print(json, true);
    (void)add_note(source, "env_name", name == NULL ? "" : name);
    if (!add_note(source, "env_args", line)) {
      dpc_import_leave_out(source, "data@env_args", "too long for a note");
    }
    free(line);
    const double rate = control_rate(json);
    if (rate > 0) source->interface.period_ns = llround(1e9 / rate);
  }
  dpc_json_free(json);
  free(text);
}

// --- episodes -----------------------------------------------------------------------------------

static dpc_status read_field(const hdf5_source* s, int demo, const hdf5_field* field, int length,
                             dpc_hdf5_type type, void* out, dpc_error* error) {
  dpc_hdf5_shape shape = field->shape;
  shape.dims[0] = length;
  path_in_file where;
  return dpc_hdf5_read(&s->file, demo_path(demo, field->path, where), &shape, type, out, error);
}

/// The number of steps, which a demonstration says twice; the two must agree.
static dpc_status read_length(const hdf5_source* s, int demo, int* length, dpc_error* error) {
  path_in_file where;
  dpc_hdf5_shape shape;
  DPC_TRY(dpc_hdf5_shape_of(&s->file, demo_path(demo, "actions", where), &shape, error));
  if (shape.dims[0] < 1) {
    return dpc_hdf5_fail(&s->file, DPC_ERR_FORMAT, where, "has no rows", error);
  }
  *length = (int)shape.dims[0];
  int64_t samples = *length;
  (void)dpc_hdf5_int_attribute(&s->file, demo_path(demo, "", where), "num_samples", &samples);
  if (samples == *length) return DPC_OK;
  return dpc_fail(error, DPC_ERR_FORMAT,
                  "%s: /%s: num_samples is %" PRId64 ", but 'actions' has %d rows", s->file.path,
                  where, samples, *length);
}

/// Rewards or dones, which may be missing; they are zero then.
static dpc_status read_optional(const hdf5_source* s, int demo, const char* name, int length,
                                double* out, dpc_error* error) {
  path_in_file where;
  if (!dpc_hdf5_exists(&s->file, demo_path(demo, name, where))) return DPC_OK;
  const dpc_hdf5_shape shape = {.rank = 1, .dims = {length}};
  return dpc_hdf5_read(&s->file, where, &shape, DPC_HDF5_DOUBLE, out, error);
}

static dpc_status read_rewards(const hdf5_source* s, int demo, dpc_episode* out, dpc_error* error) {
  DPC_TRY(read_optional(s, demo, "rewards", out->length, out->reward, error));
  double* dones = calloc((size_t)out->length, sizeof(*dones));
  if (dones == NULL) return dpc_fail(error, DPC_ERR_NO_MEMORY, "%s: out of memory", s->file.path);
  const dpc_status status = read_optional(s, demo, "dones", out->length, dones, error);
  for (int t = 0; status == DPC_OK && t < out->length; t++) out->done[t] = dones[t] != 0;
  free(dones);
  return status;
}

static dpc_status read_signals(const hdf5_source* s, int demo, int obs_dim, dpc_episode* out,
                               dpc_error* error) {
  float* values = malloc((size_t)out->length * (size_t)obs_dim * sizeof(*values) + 1);
  if (values == NULL) return dpc_fail(error, DPC_ERR_NO_MEMORY, "%s: out of memory", s->file.path);
  dpc_status status = DPC_OK;
  for (int f = 0, offset = 0; status == DPC_OK && f < s->field_count; f++) {
    const size_t dim = (size_t)s->fields[f].dim;
    status = read_field(s, demo, &s->fields[f], out->length, DPC_HDF5_FLOAT, values, error);
    for (int t = 0; status == DPC_OK && t < out->length; t++) {
      memcpy(out->obs + (size_t)t * (size_t)obs_dim + offset, values + (size_t)t * dim,
             dim * sizeof(*values));
    }
    offset += (int)dim;
  }
  free(values);
  return status;
}

static dpc_status read_pictures(const hdf5_source* s, int demo, dpc_episode* out,
                                dpc_error* error) {
  for (int i = 0; i < s->image_count; i++) {
    const hdf5_field* field = &s->images[i];
    const int64_t* dims = field->shape.dims;
    DPC_TRY(dpc_episode_images_alloc(&out->images[i], field->name, out->length, (int)dims[1],
                                     (int)dims[2], (int)dims[3], error));
    out->image_count = i + 1;
    DPC_TRY(read_field(s, demo, field, out->length, DPC_HDF5_UINT8, out->images[i].pixels, error));
  }
  return DPC_OK;
}

static dpc_status read_episode(dpc_import_source* source, int episode, dpc_episode* out,
                               dpc_error* error) {
  const hdf5_source* s = source->state;
  const int demo = s->demos[episode];
  const int obs_dim = dpc_layout_dim(&source->interface.obs);
  int length = 0;
  DPC_TRY(read_length(s, demo, &length, error));
  DPC_TRY(dpc_episode_resize(out, length, obs_dim, s->actions.dim, error));
  DPC_TRY(read_field(s, demo, &s->actions, length, DPC_HDF5_FLOAT, out->action, error));
  DPC_TRY(read_signals(s, demo, obs_dim, out, error));
  DPC_TRY(read_rewards(s, demo, out, error));
  return read_pictures(s, demo, out, error);
}

// --- life ---------------------------------------------------------------------------------------

static void close_source(dpc_import_source* source) {
  hdf5_source* s = source->state;
  dpc_hdf5_close(&s->file);
  free(s->demos);
  free(s);
  dpc_json_free(source->left_out);
  *source = (dpc_import_source){0};
}

dpc_status dpc_import_hdf5_open(const char* path, bool images, dpc_import_source* out,
                                dpc_error* error) {
  hdf5_source* s = calloc(1, sizeof(*s));
  if (s == NULL) return dpc_fail(error, DPC_ERR_NO_MEMORY, "%s: out of memory", path);
  dpc_import_source source = {.format = "robomimic HDF5",
                              .left_out = dpc_json_array(),
                              .state = s,
                              .read = read_episode,
                              .close = close_source};
  dpc_status status = dpc_hdf5_open(path, &s->file, error);
  if (status == DPC_OK) status = list_demos(&source, error);
  if (status == DPC_OK) status = add_fields(&source, images, error);
  if (status != DPC_OK) {
    close_source(&source);
    return status;
  }
  note_env_args(&source);
  if (dpc_hdf5_exists(&s->file, "mask")) {
    dpc_import_leave_out(&source, "mask", "splits; training makes its own from a seed");
  }
  *out = source;
  return DPC_OK;
}
