/// dpc-augment: recorded episodes of the push world become better and more demonstrations.

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "proto/episode_log.h"
#include "sim/coverage.h"
#include "tools/cli.h"
#include "tools/log_folder.h"
#include "tools/move_episode.h"
#include "tools/replay_episode.h"

static const char doc[] =
    "Write an episode log with the episodes of LOG, aligned, mirrored, or both."
    "\vLOG is of the push world: our own, or the public demonstrations as `dpc import` leaves "
    "them. People stop when 95 % of the goal are covered, so their demonstrations end beside it, "
    "and what is learned from them stops there too. --align moves each episode as a whole, by a "
    "few px and degrees, so that its last action leaves the block on the goal itself; one that "
    "ends far from it, or cannot be replayed, stays where it is. --mirror adds, behind them, the "
    "mirror image of each in the line along the goal's stem, with the same rewards. A signal that "
    "cannot be moved is refused, pictures are left out. DIR appears when it is complete, or not at "
    "all.";

// An episode that covers less at its end was not about to arrive.
static const double COVERAGE_MIN = 0.8;

// One whose block went another way than recorded, px, says nothing of its end.
static const double REPLAY_ERROR_MAX = 1;

enum { OPTION_ALIGN = 1, OPTION_MIRROR };

static const struct argp_option options[] = {
    {"align", OPTION_ALIGN, NULL, 0, "Move each episode so that its block ends on the goal", 0},
    {"mirror", OPTION_MIRROR, NULL, 0, "Add the mirror image of each episode", 0},
    {0},
};

typedef struct run {
  dpc_cli cli;
  const char* path;  // LOG
  dpc_log_folder folder;
  bool align, mirror;
  dpc_push_world* world;  // where episodes are played to their ends
  int episode_count;      // of LOG
  int64_t step_count;     // written
  int aligned_count;      // of the episodes of LOG
  double shift_sum;       // of those: how far their block was from the goal, px
  double fit;             // largest distance of a keypoint from the block's, px
  int left_out_count;
  char left_out[DPC_EPISODE_IMAGE_MAX][DPC_NAME_MAX];  // pictures
} run;

static error_t parse(int key, char* text, struct argp_state* state) {
  run* r = state->input;
  switch (key) {
    case OPTION_ALIGN:
      r->align = true;
      return 0;
    case OPTION_MIRROR:
      r->mirror = true;
      return 0;
    case ARGP_KEY_ARG:
      if (state->arg_num == 0) r->path = text;
      if (state->arg_num == 1 && !dpc_log_folder_set_name(&r->folder, text)) {
        argp_error(state, "DIR: not a usable name: '%s'", text);
      }
      if (state->arg_num > 1) argp_error(state, "too many arguments");
      return 0;
    case ARGP_KEY_END:
      if (state->arg_num < 2) argp_error(state, "LOG and DIR are needed");
      if (!r->align && !r->mirror) argp_error(state, "--align, --mirror or both are needed");
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

static dpc_status write_episode(const run* r, int index, const dpc_episode* e, dpc_error* error) {
  const dpc_episode_writer_def def = {.dir = r->folder.part,
                                      .index = index,
                                      .interface = &e->interface,
                                      .seed = e->seed,
                                      .notes = e->notes,
                                      .note_count = e->note_count};
  dpc_episode_writer* writer = NULL;
  DPC_TRY(dpc_episode_writer_open(&def, &writer, error));
  const dpc_status status = append_steps(e, writer, error);
  if (status == DPC_OK) return dpc_episode_writer_close(writer, e->last_obs, error);
  dpc_episode_writer_abort(writer);
  return status;
}

static void leave_out_pictures(run* r, const dpc_episode* e) {
  for (int i = 0; i < e->image_count; ++i) {
    int k = 0;
    while (k < r->left_out_count && strcmp(r->left_out[k], e->images[i].name) != 0) ++k;
    if (k < r->left_out_count || k == DPC_EPISODE_IMAGE_MAX) continue;
    memcpy(r->left_out[r->left_out_count++], e->images[i].name, DPC_NAME_MAX);
  }
}

// --- moves ----------------------------------------------------------------------------------------

/// Move `e`, and say so in its notes. What is moved began with no seed's initial state; like an
/// imported episode it has 0.
static dpc_status move(run* r, const char* path, const dpc_push_isometry* isometry,
                       const dpc_note* note, dpc_episode* e, dpc_error* error) {
  if (e->note_count == DPC_NOTE_MAX) {
    return dpc_fail(error, DPC_ERR_INVALID, "%s: %d notes leave no room for one more", path,
                    e->note_count);
  }
  DPC_TRY(dpc_move_episode(path, isometry, e, &r->fit, error));
  dpc_note* notes = realloc(e->notes, sizeof *notes * ((size_t)e->note_count + 1));
  if (notes == NULL) return dpc_fail(error, DPC_ERR_NO_MEMORY, "%s: no memory for a note", path);
  e->notes = notes;
  e->notes[e->note_count++] = *note;
  e->seed = 0;
  return DPC_OK;
}

static dpc_status align(run* r, const char* path, dpc_episode* e, dpc_error* error) {
  static const dpc_push_state goal = {
      .block_x = DPC_PUSH_GOAL_X, .block_y = DPC_PUSH_GOAL_Y, .block_angle = DPC_PUSH_GOAL_ANGLE};
  dpc_replayed replayed = {0};
  DPC_TRY(dpc_replay_episode(r->world, e, path, &replayed, error));
  const dpc_push_state* end = &replayed.end;
  if (dpc_push_coverage(end) < COVERAGE_MIN || replayed.worst > REPLAY_ERROR_MAX) return DPC_OK;
  const dpc_push_isometry isometry = dpc_push_motion(end, &goal);
  const double shift = hypot(end->block_x - goal.block_x, end->block_y - goal.block_y);
  dpc_note note = {.key = "aligned"};
  (void)snprintf(note.value, sizeof note.value, "by %.1f px and %.1f degrees", shift,
                 isometry.angle * 45 / DPC_PUSH_GOAL_ANGLE);
  ++r->aligned_count;
  r->shift_sum += shift;
  return move(r, path, &isometry, &note, e, error);
}

/// A second mirror would only give back what was there, so images are refused.
static dpc_status mirror(run* r, const char* path, int index, dpc_episode* e, dpc_error* error) {
  for (int i = 0; i < e->note_count; ++i) {
    if (strcmp(e->notes[i].key, "mirrored") != 0) continue;
    return dpc_fail(error, DPC_ERR_INVALID, "%s: a mirror image already: %s", path,
                    e->notes[i].value);
  }
  const dpc_push_isometry isometry = dpc_push_mirror();
  dpc_note note = {.key = "mirrored"};
  (void)snprintf(note.value, sizeof note.value, "image of episode %d", index);
  return move(r, path, &isometry, &note, e, error);
}

/// Episode `index` of LOG, as it is wanted, and behind all of them its image.
static dpc_status convert_episode(run* r, const char* path, int index, dpc_episode* e,
                                  dpc_error* error) {
  if (r->align) DPC_TRY(align(r, path, e, error));
  DPC_TRY(write_episode(r, index, e, error));
  if (!r->mirror) return DPC_OK;
  DPC_TRY(mirror(r, path, index, e, error));
  return write_episode(r, r->episode_count + index, e, error);
}

static int copies(const run* r) {
  return r->mirror ? 2 : 1;
}

static dpc_status convert(run* r, const dpc_episode_log* log, dpc_error* error) {
  for (int i = 0; i < r->episode_count; ++i) {
    if (dpc_cli_interrupted()) {
      return dpc_fail(error, DPC_ERR_INTERRUPTED, "interrupted; nothing was written");
    }
    dpc_cli_progress(&r->cli, "episode %d of %d", i + 1, r->episode_count);
    dpc_episode episode = {0};
    DPC_TRY(dpc_episode_read(log, i, &episode, error));
    r->step_count += copies(r) * episode.length;
    leave_out_pictures(r, &episode);
    const dpc_status status = convert_episode(r, dpc_episode_log_path(log, i), i, &episode, error);
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
  dpc_cli_print(&r->cli, "%s: %d episodes, %lld steps: those of %s%s\n", r->folder.dir,
                copies(r) * r->episode_count, (long long)r->step_count, r->path,
                r->mirror ? ", and their mirror images" : "");
  const double shift = r->aligned_count > 0 ? r->shift_sum / r->aligned_count : 0;
  if (r->align) {
    dpc_cli_print(&r->cli, "  %-12s%d of %d, which ended %.1f px from the goal on average\n",
                  "aligned", r->aligned_count, r->episode_count, shift);
  }
  dpc_json* json = dpc_json_object();
  dpc_json_set_text(json, "source", r->path);
  dpc_json_set_text(json, "path", r->folder.dir);
  dpc_json_set_int(json, "episodes", copies(r) * r->episode_count);
  dpc_json_set_int(json, "steps", r->step_count);
  dpc_json_set_int(json, "aligned", r->aligned_count);
  dpc_json_set_real(json, "mean_shift_px", shift);
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

static dpc_status augment(run* r, dpc_error* error) {
  dpc_episode_log* log = NULL;
  DPC_TRY(check_apart(r, error));
  DPC_TRY(dpc_episode_log_open(r->path, &log, error));
  r->episode_count = dpc_episode_log_count(log);
  dpc_status status = dpc_log_folder_begin(&r->folder, error);
  if (status == DPC_OK) {
    status = dpc_push_world_create(&r->world, error);
    if (status == DPC_OK) status = convert(r, log, error);
    if (status != DPC_OK) dpc_log_folder_abort(&r->folder);
  }
  dpc_push_world_destroy(r->world);
  dpc_episode_log_close(log);
  dpc_cli_progress_end(&r->cli);
  return status == DPC_OK ? report(r, error) : status;
}

int main(int argc, char** argv) {
  static run r;  // its paths are large
  dpc_error error = {""};
  const dpc_cli_program program = {
      .name = "augment", .doc = doc, .arguments = "LOG DIR", .options = options, .parse = parse};
  dpc_cli_start(&program, argc, argv, &r.cli, &r);
  dpc_cli_catch_signals();
  return dpc_cli_finish(&r.cli, augment(&r, &error), &error);
}
