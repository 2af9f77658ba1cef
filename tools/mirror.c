/// dpc-mirror: recorded episodes of the push world, and after them each one's mirror image.

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "proto/episode_log.h"
#include "tools/cli.h"
#include "tools/log_folder.h"
#include "tools/mirror_episode.h"

static const char doc[] =
    "Write an episode log with every episode of LOG and, behind them, the mirror image of each."
    "\vLOG is of the push world: our own, or the public demonstrations as `dpc import` leaves "
    "them. "
    "The line along the goal's stem is the mirror; what is done in it is as good a demonstration, "
    "with the same rewards. A signal whose image is not known is refused, pictures are left out. "
    "DIR appears when it is complete, or not at all.";

typedef struct run {
  dpc_cli cli;
  const char* path;  // LOG
  dpc_log_folder folder;
  int episode_count;   // of LOG
  int64_t step_count;  // written
  double fit;          // largest distance of a keypoint from the block's, px
  int left_out_count;
  char left_out[DPC_EPISODE_IMAGE_MAX][DPC_NAME_MAX];  // pictures
} run;

static error_t parse(int key, char* text, struct argp_state* state) {
  run* r = state->input;
  switch (key) {
    case ARGP_KEY_ARG:
      if (state->arg_num == 0) r->path = text;
      if (state->arg_num == 1 && !dpc_log_folder_set_name(&r->folder, text)) {
        argp_error(state, "DIR: not a usable name: '%s'", text);
      }
      if (state->arg_num > 1) argp_error(state, "too many arguments");
      return 0;
    case ARGP_KEY_END:
      if (state->arg_num < 2) argp_error(state, "LOG and DIR are needed");
      return 0;
    default:
      return ARGP_ERR_UNKNOWN;
  }
}

// --- the log ------------------------------------------------------------------------------------

static dpc_status append_steps(const dpc_episode* e, dpc_episode_writer* writer, dpc_error* error) {
  const size_t obs_dim = (size_t)dpc_layout_dim(&e->interface.obs);
  const size_t action_dim = (size_t)dpc_layout_dim(&e->interface.action);
  for (int t = 0; t < e->length; ++t) {
    DPC_TRY(dpc_episode_writer_append(writer, e->obs + (size_t)t * obs_dim,
                                      e->action + (size_t)t * action_dim, e->reward[t], e->done[t],
                                      error));
  }
  return DPC_OK;
}

static dpc_status write_episode(const run* r, int index, const dpc_episode* e,
                                const dpc_note* notes, int note_count, dpc_error* error) {
  const dpc_episode_writer_def def = {.dir = r->folder.part,
                                      .index = index,
                                      .interface = &e->interface,
                                      .seed = e->seed,
                                      .notes = notes,
                                      .note_count = note_count};
  dpc_episode_writer* writer = NULL;
  DPC_TRY(dpc_episode_writer_open(&def, &writer, error));
  const dpc_status status = append_steps(e, writer, error);
  if (status == DPC_OK) return dpc_episode_writer_close(writer, e->last_obs, error);
  dpc_episode_writer_abort(writer);
  return status;
}

/// The notes of an image: those of the episode, and whose image it is. A second mirror would only
/// give back what was there, so its images are refused.
static dpc_status make_notes(const char* path, int index, const dpc_episode* e,
                             dpc_note notes[DPC_NOTE_MAX], dpc_error* error) {
  for (int i = 0; i < e->note_count; ++i) {
    notes[i] = e->notes[i];
    if (strcmp(notes[i].key, "mirrored") == 0) {
      return dpc_fail(error, DPC_ERR_INVALID, "%s: a mirror image already: %s", path,
                      notes[i].value);
    }
  }
  if (e->note_count == DPC_NOTE_MAX) {
    return dpc_fail(error, DPC_ERR_INVALID, "%s: %d notes leave no room for one more", path,
                    e->note_count);
  }
  dpc_note* note = &notes[e->note_count];
  *note = (dpc_note){.key = "mirrored"};
  (void)snprintf(note->value, sizeof note->value, "image of episode %d", index);
  return DPC_OK;
}

static void leave_out_pictures(run* r, const dpc_episode* e) {
  for (int i = 0; i < e->image_count; ++i) {
    int k = 0;
    while (k < r->left_out_count && strcmp(r->left_out[k], e->images[i].name) != 0) ++k;
    if (k < r->left_out_count || k == DPC_EPISODE_IMAGE_MAX) continue;
    memcpy(r->left_out[r->left_out_count++], e->images[i].name, DPC_NAME_MAX);
  }
}

/// Write episode `index` again, or its image. An image began with no seed's initial state; like an
/// imported episode it has 0.
static dpc_status convert_episode(run* r, const char* path, int index, bool image, dpc_episode* e,
                                  dpc_error* error) {
  if (!image) return write_episode(r, index, e, e->notes, e->note_count, error);
  dpc_note notes[DPC_NOTE_MAX];
  DPC_TRY(make_notes(path, index, e, notes, error));
  DPC_TRY(dpc_mirror_episode(path, e, &r->fit, error));
  e->seed = 0;
  return write_episode(r, r->episode_count + index, e, notes, e->note_count + 1, error);
}

/// Twice through the log, so that what is written has no gaps at any time.
static dpc_status convert(run* r, const dpc_episode_log* log, dpc_error* error) {
  for (int i = 0; i < 2 * r->episode_count; ++i) {
    if (dpc_cli_interrupted()) {
      return dpc_fail(error, DPC_ERR_INTERRUPTED, "interrupted; nothing was written");
    }
    dpc_cli_progress(&r->cli, "episode %d of %d", i + 1, 2 * r->episode_count);
    const int index = i % r->episode_count;
    dpc_episode episode = {0};
    DPC_TRY(dpc_episode_read(log, index, &episode, error));
    r->step_count += episode.length;
    leave_out_pictures(r, &episode);
    const dpc_status status = convert_episode(r, dpc_episode_log_path(log, index), index,
                                              i >= r->episode_count, &episode, error);
    dpc_episode_free(&episode);
    DPC_TRY(status);
  }
  return dpc_log_folder_finish(&r->folder, error);
}

/// The unfinished folder is cleared at the start; it must not be what is read.
static dpc_status check_apart(const run* r, dpc_error* error) {
  struct stat log, part;
  if (stat(r->path, &log) != 0 || stat(r->folder.part, &part) != 0) return DPC_OK;
  if (log.st_dev != part.st_dev || log.st_ino != part.st_ino) return DPC_OK;
  return dpc_fail(error, DPC_ERR_CONFIG, "%s: is written as %s, which is LOG; choose another name",
                  r->folder.dir, r->folder.part);
}

// --- what is said -------------------------------------------------------------------------------

static dpc_status report(run* r, dpc_error* error) {
  dpc_cli_print(&r->cli, "%s: %d episodes, %lld steps: those of %s, and their mirror images\n",
                r->folder.dir, 2 * r->episode_count, (long long)r->step_count, r->path);
  dpc_json* json = dpc_json_object();
  dpc_json_set_text(json, "source", r->path);
  dpc_json_set_text(json, "path", r->folder.dir);
  dpc_json_set_int(json, "episodes", 2 * (int64_t)r->episode_count);
  dpc_json_set_int(json, "steps", r->step_count);
  dpc_json_set_real(json, "keypoint_error_px", r->fit);
  dpc_json* left_out = dpc_json_set(json, "left_out", dpc_json_array());
  for (int i = 0; i < r->left_out_count; ++i) {
    dpc_cli_print(&r->cli, "  %-12s%s: pictures\n", "left out", r->left_out[i]);
    dpc_json* row = dpc_json_push(left_out, dpc_json_object());
    dpc_json_set_text(row, "field", r->left_out[i]);
    dpc_json_set_text(row, "reason", "pictures");
  }
  return dpc_cli_report(&r->cli, json, error);
}

static dpc_status mirror(run* r, dpc_error* error) {
  dpc_episode_log* log = NULL;
  DPC_TRY(check_apart(r, error));
  DPC_TRY(dpc_episode_log_open(r->path, &log, error));
  r->episode_count = dpc_episode_log_count(log);
  dpc_status status = dpc_log_folder_begin(&r->folder, error);
  if (status == DPC_OK) {
    status = convert(r, log, error);
    if (status != DPC_OK) dpc_log_folder_abort(&r->folder);
  }
  dpc_episode_log_close(log);
  dpc_cli_progress_end(&r->cli);
  return status == DPC_OK ? report(r, error) : status;
}

int main(int argc, char** argv) {
  static run r;  // its paths are large
  dpc_error error = {""};
  const dpc_cli_program program = {
      .name = "mirror", .doc = doc, .arguments = "LOG DIR", .parse = parse};
  dpc_cli_start(&program, argc, argv, &r.cli, &r);
  dpc_cli_catch_signals();
  return dpc_cli_finish(&r.cli, mirror(&r, &error), &error);
}
