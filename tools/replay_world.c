#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "proto/episode_log.h"
#include "tools/replay.h"
#include "tools/replay_episode.h"

// How far the block may be from where it was recorded, px.
static const double CLOSE = 0.1, NEAR = 1;

typedef struct run {
  const dpc_cli* cli;
  const char* path;
  int episode_count;
  double* worst;  // [episode_count] px
} run;

static dpc_status replay_log(run* r, const dpc_episode_log* log, dpc_push_world* world,
                             dpc_error* error) {
  for (int i = 0; i < r->episode_count && !dpc_cli_interrupted(); ++i) {
    dpc_episode episode = {0};
    DPC_TRY(dpc_episode_read(log, i, &episode, error));
    dpc_replayed replayed = {0};
    const dpc_status status =
        dpc_replay_episode(world, &episode, dpc_episode_log_path(log, i), &replayed, error);
    dpc_episode_free(&episode);
    DPC_TRY(status);
    r->worst[i] = replayed.worst;
    dpc_cli_progress(r->cli, "episode %d/%d", i + 1, r->episode_count);
  }
  if (dpc_cli_interrupted()) return dpc_fail(error, DPC_ERR_INTERRUPTED, "interrupted");
  return DPC_OK;
}

// --- results -------------------------------------------------------------------------------------

static int count_within(const run* r, double limit) {
  int count = 0;
  for (int i = 0; i < r->episode_count; ++i) count += r->worst[i] <= limit ? 1 : 0;
  return count;
}

static dpc_status report(const run* r, dpc_error* error) {
  const int close = count_within(r, CLOSE), near = count_within(r, NEAR);
  dpc_json* json = dpc_json_object();
  dpc_json_set_int(json, "episodes", r->episode_count);
  dpc_json_set_int(json, "within_0_1px", close);
  dpc_json_set_int(json, "within_1px", near);
  dpc_json* worst = dpc_json_set(json, "max_block_error_px", dpc_json_array());
  double largest = 0;
  for (int i = 0; i < r->episode_count; ++i) {
    dpc_json_push_real(worst, r->worst[i]);
    largest = fmax(largest, r->worst[i]);
  }
  DPC_TRY(dpc_cli_report(r->cli, json, error));
  dpc_cli_print(r->cli,
                "%d episodes: block within 0.1 px of the recording in %d, within 1 px in "
                "%d; at most %.3g px away\n",
                r->episode_count, close, near, largest);
  if (near == r->episode_count) return DPC_OK;
  return dpc_fail(error, DPC_ERR_MISMATCH, "%d of %d episodes do not replay within %g px",
                  r->episode_count - near, r->episode_count, NEAR);
}

static dpc_status replay(run* r, dpc_error* error) {
  dpc_episode_log* log = NULL;
  dpc_push_world* world = NULL;
  DPC_TRY(dpc_episode_log_open(r->path, &log, error));
  r->episode_count = dpc_episode_log_count(log);
  r->worst = calloc((size_t)r->episode_count, sizeof *r->worst);
  dpc_status status = DPC_ERR_NO_MEMORY;
  if (r->worst == NULL) {
    (void)dpc_fail(error, status, "no memory for %d episodes", r->episode_count);
  } else {
    status = dpc_push_world_create(&world, error);
    if (status == DPC_OK) status = replay_log(r, log, world, error);
  }
  dpc_push_world_destroy(world);
  dpc_episode_log_close(log);
  dpc_cli_progress_end(r->cli);
  return status == DPC_OK ? report(r, error) : status;
}

dpc_status dpc_replay_world(const dpc_cli* cli, const char* path, dpc_error* error) {
  run r = {.cli = cli, .path = path};
  const dpc_status status = replay(&r, error);
  free(r.worst);
  return status;
}
