/// dpc-import: recorded demonstrations of other projects become an episode log.

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tools/cli.h"
#include "tools/import_hdf5.h"
#include "tools/import_zarr.h"
#include "tools/log_folder.h"

enum { KEY_IMAGES = 'i', KEY_RATE = 'r' };

static const struct argp_option options[] = {
    {"images", KEY_IMAGES, NULL, 0, "Keep pictures too", 0},
    {"rate", KEY_RATE, "HZ", 0,
     "Steps per second (default: as robomimic's env_args say, or 20; for Zarr 10)", 0},
    {0}};

static const char doc[] =
    "Turn recorded demonstrations into an episode log, the folder DIR."
    "\vSRC is a Zarr v2 replay buffer as Diffusion Policy writes it (a folder with data and "
    "meta/episode_ends), or robomimic's HDF5. Every numeric field is kept under its own name; "
    "which of them a policy sees is chosen when it is trained. DIR appears when all of SRC has "
    "been "
    "read, or not at all.";

typedef struct import {
  dpc_cli cli;
  const char* source_path;
  dpc_log_folder log;
  bool images;
  double rate;  // 0: the format's default
  dpc_import_source source;
  int64_t step_count;
} import;

static error_t parse(int key, char* text, struct argp_state* state) {
  import* m = state->input;
  switch (key) {
    case KEY_IMAGES:
      m->images = true;
      return 0;
    case KEY_RATE:
      m->rate = dpc_cli_real(state, "--rate", text, 0.01, 100000);
      return 0;
    case ARGP_KEY_ARG:
      if (state->arg_num == 0) m->source_path = text;
      if (state->arg_num == 1 && !dpc_log_folder_set_name(&m->log, text)) {
        argp_error(state, "DIR: not a usable name: '%s'", text);
      }
      if (state->arg_num > 1) argp_error(state, "too many arguments");
      return 0;
    case ARGP_KEY_END:
      if (state->arg_num < 2) argp_error(state, "SRC and DIR are needed");
      return 0;
    default:
      return ARGP_ERR_UNKNOWN;
  }
}

// --- the source ---------------------------------------------------------------------------------

static dpc_status open_source(import* m, dpc_error* error) {
  struct stat info;
  if (stat(m->source_path, &info) != 0) {
    return dpc_fail(error, DPC_ERR_NOT_FOUND, "%s: %s", m->source_path, strerror(errno));
  }
  double rate = 10;
  if (S_ISDIR(info.st_mode) && dpc_import_zarr_detect(m->source_path)) {
    DPC_TRY(dpc_import_zarr_open(m->source_path, m->images, &m->source, error));
  } else if (S_ISREG(info.st_mode) && dpc_import_hdf5_detect(m->source_path)) {
    rate = 20;
    DPC_TRY(dpc_import_hdf5_open(m->source_path, m->images, &m->source, error));
  } else {
    return dpc_fail(
        error, DPC_ERR_FORMAT,
        "%s: neither a Zarr v2 replay buffer (a folder with .zgroup, data and meta) nor "
        "an HDF5 file",
        m->source_path);
  }
  const int64_t said = m->source.interface.period_ns;
  if (m->rate == 0) m->rate = said > 0 ? 1e9 / (double)said : rate;
  m->source.interface.period_ns = llround(1e9 / m->rate);
  return DPC_OK;
}

// --- the log ------------------------------------------------------------------------------------

/// Where an episode comes from, in words that a log may carry: plain ASCII, cut to what fits.
static dpc_note make_note(const char* key, const char* value) {
  dpc_note note = {{0}, {0}};
  (void)snprintf(note.key, sizeof(note.key), "%s", key);
  for (size_t i = 0; i + 1 < sizeof(note.value) && value[i] != '\0'; i++) {
    note.value[i] = (char)(value[i] >= ' ' && value[i] <= '~' ? value[i] : '?');
  }
  return note;
}

static const char* base_name(const char* path) {
  const char* end = path + strlen(path);
  while (end > path && end[-1] == '/') end--;
  const char* start = end;
  while (start > path && start[-1] != '/') start--;
  return start;
}

static dpc_status append_steps(const dpc_episode* e, dpc_episode_writer* writer, dpc_error* error) {
  const size_t obs_dim = (size_t)dpc_layout_dim(&e->interface.obs);
  const size_t action_dim = (size_t)dpc_layout_dim(&e->interface.action);
  for (int t = 0; t < e->length; t++) {
    DPC_TRY(dpc_episode_writer_append(writer, e->obs + (size_t)t * obs_dim,
                                      e->action + (size_t)t * action_dim, e->reward[t], e->done[t],
                                      error));
    for (int i = 0; i < e->image_count; i++) {
      const dpc_episode_images* camera = &e->images[i];
      const size_t size = (size_t)camera->height * (size_t)camera->width * (size_t)camera->channels;
      DPC_TRY(dpc_episode_writer_image(writer, i, camera->pixels + (size_t)t * size, error));
    }
  }
  return DPC_OK;
}

static dpc_status write_episode(const import* m, int index, const dpc_episode* e,
                                dpc_error* error) {
  dpc_note notes[DPC_NOTE_MAX];
  int note_count = 0;
  notes[note_count++] = make_note("source", base_name(m->source_path));
  notes[note_count++] = make_note("format", m->source.format);
  for (int i = 0; i < m->source.note_count; i++) notes[note_count++] = m->source.notes[i];
  const dpc_episode_writer_def def = {.dir = m->log.part,
                                      .index = index,
                                      .interface = &e->interface,
                                      .notes = notes,
                                      .note_count = note_count,
                                      .images = e->images,
                                      .image_count = e->image_count};
  dpc_episode_writer* writer = NULL;
  DPC_TRY(dpc_episode_writer_open(&def, &writer, error));
  const dpc_status status = append_steps(e, writer, error);
  if (status == DPC_OK) return dpc_episode_writer_close(writer, e->last_obs, error);
  dpc_episode_writer_abort(writer);
  return status;
}

/// A value that cannot be imported: the writer named its own file, which nobody will see.
static void name_source(const import* m, int index, dpc_error* error) {
  const char* end = strstr(error->text, ".mcap: ");
  const char* what = end == NULL ? error->text : end + strlen(".mcap: ");
  dpc_error copy;
  (void)snprintf(copy.text, sizeof(copy.text), "%s", what);
  (void)dpc_fail(error, DPC_ERR_INVALID, "%s: episode %d: %s", m->source_path, index, copy.text);
}

static dpc_status convert_episode(import* m, int index, dpc_error* error) {
  dpc_episode episode = {0};
  dpc_status status = m->source.read(&m->source, index, &episode, error);
  if (status == DPC_OK) {
    episode.interface = m->source.interface;
    m->step_count += episode.length;
    status = write_episode(m, index, &episode, error);
    if (status == DPC_ERR_INVALID) name_source(m, index, error);
  }
  dpc_episode_free(&episode);
  return status;
}

static dpc_status convert(import* m, dpc_error* error) {
  for (int i = 0; i < m->source.episode_count; i++) {
    if (dpc_cli_interrupted()) {
      return dpc_fail(error, DPC_ERR_INTERRUPTED, "interrupted; nothing was imported");
    }
    dpc_cli_progress(&m->cli, "episode %d of %d", i + 1, m->source.episode_count);
    DPC_TRY(convert_episode(m, i, error));
  }
  return dpc_log_folder_finish(&m->log, error);
}

// --- what is said -------------------------------------------------------------------------------

static dpc_json* layout_json(const dpc_layout* layout) {
  dpc_json* list = dpc_json_array();
  for (int i = 0; i < layout->count; i++) {
    dpc_json* row = dpc_json_push(list, dpc_json_object());
    dpc_json_set_text(row, "name", layout->signals[i].name);
    dpc_json_set_int(row, "dim", layout->signals[i].dim);
  }
  return list;
}

static dpc_status report(import* m, dpc_error* error) {
  dpc_json* json = dpc_json_object();
  dpc_json_set_text(json, "source", m->source_path);
  dpc_json_set_text(json, "format", m->source.format);
  dpc_json_set_text(json, "path", m->log.dir);
  dpc_json_set_int(json, "episodes", m->source.episode_count);
  dpc_json_set_int(json, "steps", m->step_count);
  dpc_json_set_real(json, "rate_hz", m->rate);
  dpc_json_set(json, "observation", layout_json(&m->source.interface.obs));
  dpc_json_set(json, "action", layout_json(&m->source.interface.action));
  dpc_json_set_bool(json, "images", m->images);
  dpc_json_set(json, "left_out", m->source.left_out);
  m->source.left_out = NULL;
  return dpc_cli_report(&m->cli, json, error);
}

/// "keypoint(18), state(5)", in lines of at most 100 columns.
static void print_layout(const import* m, const char* what, const dpc_layout* layout) {
  enum { INDENT = 14, WIDTH = 100 };
  dpc_cli_print(&m->cli, "  %-*s", INDENT - 2, what);
  int column = INDENT;
  for (int i = 0; i < layout->count; i++) {
    char text[DPC_NAME_MAX + 16];
    const int length = snprintf(text, sizeof(text), "%s(%d)%s", layout->signals[i].name,
                                layout->signals[i].dim, i + 1 < layout->count ? ", " : "\n");
    if (column + length > WIDTH) dpc_cli_print(&m->cli, "\n%*s", INDENT, "");
    column = (column + length > WIDTH ? INDENT : column) + length;
    dpc_cli_print(&m->cli, "%s", text);
  }
}

static void print(const import* m) {
  dpc_cli_print(&m->cli, "%s: %d episodes, %lld steps, %g Hz (%s)\n", m->log.dir,
                m->source.episode_count, (long long)m->step_count, m->rate, m->source.format);
  print_layout(m, "observation", &m->source.interface.obs);
  print_layout(m, "action", &m->source.interface.action);
  for (int i = 0; i < dpc_json_count(m->source.left_out); i++) {
    const dpc_json* row = dpc_json_at(m->source.left_out, i);
    dpc_cli_print(&m->cli, "  %-12s%s: %s\n", "left out",
                  dpc_json_as_text(dpc_json_get(row, "field")),
                  dpc_json_as_text(dpc_json_get(row, "reason")));
  }
}

static dpc_status run(import* m, dpc_error* error) {
  DPC_TRY(open_source(m, error));
  DPC_TRY(dpc_log_folder_begin(&m->log, error));
  const dpc_status status = convert(m, error);
  dpc_cli_progress_end(&m->cli);
  if (status != DPC_OK) {
    dpc_log_folder_abort(&m->log);
    return status;
  }
  print(m);
  return report(m, error);
}

int main(int argc, char** argv) {
  static import m;  // its paths are large
  dpc_error error = {""};
  const dpc_cli_program program = {
      .name = "import", .doc = doc, .arguments = "SRC DIR", .options = options, .parse = parse};
  dpc_cli_start(&program, argc, argv, &m.cli, &m);
  dpc_cli_catch_signals();
  const dpc_status status = run(&m, &error);
  if (m.source.close != NULL) m.source.close(&m.source);
  return dpc_cli_finish(&m.cli, status, &error);
}
