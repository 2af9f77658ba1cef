/// Recorded episodes: a folder with one MCAP file for each, `episode_000000.mcap` and so on.
///
/// An episode is what went over the wire: topic /hello with the interface and notes (dpc.Hello),
/// /observation (dpc.Observation) and /command (dpc.Command), each with its schema, so that
/// Foxglove and PlotJuggler open it. Observations count ticks from 0; each is answered by a command
/// but the last, which has done = true, carries the reward of the last action, and may be without
/// values where the source has none. Pictures are on the topics /image/<name>.
///
/// A file is written as `.part` and gets its name when it is complete: a killed program, a full
/// disk or an error leave no half episode behind that looks like a whole one.
#pragma once

#include "policy/layout.h"
#include "proto/wire.h"

enum { DPC_EPISODE_IMAGE_MAX = 8 };

/// Pictures of one camera, one for each step.
typedef struct dpc_episode_images {
  char name[DPC_NAME_MAX];
  int height, width, channels;
  uint8_t* pixels;  // [length x height x width x channels]; NULL when read from a log
} dpc_episode_images;

/// One episode as plain arrays, row t of which is step t.
typedef struct dpc_episode {
  dpc_interface interface;
  uint64_t seed;
  int length;       // steps: rows with an observation and an action
  float* obs;       // [length x obs_dim]
  float* action;    // [length x action_dim]
  double* reward;   // [length] of the action in this row
  bool* done;       // [length] after the action in this row; of the last row always true when read
  float* last_obs;  // [obs_dim] seen after the last action, behind the rows of `obs`; NULL when
                    // not recorded
  int image_count;
  dpc_episode_images images[DPC_EPISODE_IMAGE_MAX];
  int note_count;
  dpc_note* notes;  // [note_count] where the episode comes from
} dpc_episode;

/// Make room for `length` rows, and for `last_obs` behind them, and set `length`. Rows that are there
/// are kept, new ones are zero; `last_obs` becomes NULL. On failure, free the episode.
/// Allocates: heap. Blocks: no. Thread: any.
DPC_NODISCARD dpc_status dpc_episode_resize(dpc_episode* episode, int length, int obs_dim,
                                            int action_dim, dpc_error* error);

/// Take memory for the pictures of `length` steps. DPC_ERR_INVALID for sizes out of range.
/// Allocates: heap. Blocks: no. Thread: any.
DPC_NODISCARD dpc_status dpc_episode_images_alloc(dpc_episode_images* images, const char* name,
                                                  int length, int height, int width, int channels,
                                                  dpc_error* error);

/// Free the arrays and zero the episode. A zeroed one is left alone.
/// Allocates: no. Blocks: no. Thread: any.
void dpc_episode_free(dpc_episode* episode);

// --- reading ------------------------------------------------------------------------------------

typedef struct dpc_episode_log dpc_episode_log;

/// List the episodes of a folder, `*.mcap` in the order of their names. Returns DPC_ERR_NOT_FOUND
/// when there is none.
/// Allocates: heap. Blocks: disk. Thread: any.
DPC_NODISCARD dpc_status dpc_episode_log_open(const char* dir, dpc_episode_log** out,
                                              dpc_error* error);

/// Free the list. NULL is left alone.
/// Allocates: no. Blocks: no. Thread: any.
void dpc_episode_log_close(dpc_episode_log* log);

/// Number of episodes.
/// Allocates: no. Blocks: no. Thread: any.
int dpc_episode_log_count(const dpc_episode_log* log);

/// Path of episode `index`, valid until the log is closed.
/// Allocates: no. Blocks: no. Thread: any.
const char* dpc_episode_log_path(const dpc_episode_log* log, int index);

/// Number of unfinished files (`.part`), which are not read.
/// Allocates: no. Blocks: no. Thread: any.
int dpc_episode_log_part_count(const dpc_episode_log* log);

/// Read one episode. Of pictures only the names are read. `*out` is overwritten, and freed by the caller with
/// `dpc_episode_free`. DPC_ERR_FORMAT for a file that is cut or damaged, and for steps that are
/// missing, doubled or of the wrong size; DPC_ERR_INVALID for a value that is not finite. Messages
/// name the file and, where there is one, signal and step.
/// Allocates: heap. Blocks: disk. Thread: any, also several on one log.
DPC_NODISCARD dpc_status dpc_episode_read(const dpc_episode_log* log, int index, dpc_episode* out,
                                          dpc_error* error);

// --- writing ------------------------------------------------------------------------------------

/// What a writer is told before the first step.
typedef struct dpc_episode_writer_def {
  const char* dir;  // made when it is not there (its parent must be)
  int index;        // N of episode_N.mcap, in [0, 999999]; must not be there
  const dpc_interface* interface;
  uint64_t seed;
  const dpc_note* notes;  // [note_count <= DPC_NOTE_MAX]
  int note_count;
  const dpc_episode_images* images;  // [image_count <= DPC_EPISODE_IMAGE_MAX]; not their pixels
  int image_count;
} dpc_episode_writer_def;

typedef struct dpc_episode_writer dpc_episode_writer;

/// Begin an episode. Nothing of the def is kept.
/// Allocates: heap, about 1 MiB. Blocks: disk. Thread: any, one writer each.
DPC_NODISCARD dpc_status dpc_episode_writer_open(const dpc_episode_writer_def* def,
                                                 dpc_episode_writer** out, dpc_error* error);

/// Append a step: what was observed (`obs` [obs_dim]), what was commanded (`action` [action_dim]),
/// and what came of it. The step's time is its number times the interface's period. DPC_ERR_INVALID
/// names file, signal and step of a value that is not finite. After a failure, only
/// `dpc_episode_writer_abort` is left to do.
/// Allocates: rarely. Blocks: disk, when a chunk is full. Thread: the writer's owner.
DPC_NODISCARD dpc_status dpc_episode_writer_append(dpc_episode_writer* writer, const float* obs,
                                                   const float* action, double reward, bool done,
                                                   dpc_error* error);

/// Append what camera `image` of the def saw in the step appended last; [height x width x channels].
/// Allocates: rarely. Blocks: disk, when a chunk is full. Thread: the writer's owner.
DPC_NODISCARD dpc_status dpc_episode_writer_image(dpc_episode_writer* writer, int image,
                                                  const uint8_t* pixels, dpc_error* error);

/// End the episode: write the last observation (`last_obs` [obs_dim], or NULL where there is none),
/// have the disk keep it, and give the file its name. Frees the writer; on failure, also removes the
/// file. An episode without steps is DPC_ERR_INVALID.
/// Allocates: a little. Blocks: disk. Thread: the writer's owner.
DPC_NODISCARD dpc_status dpc_episode_writer_close(dpc_episode_writer* writer, const float* last_obs,
                                                  dpc_error* error);

/// Remove the unfinished file and free the writer. NULL is left alone.
/// Allocates: no. Blocks: disk. Thread: the writer's owner.
void dpc_episode_writer_abort(dpc_episode_writer* writer);
