#include "tools/eval_keep.h"

#include <stdio.h>
#include <string.h>

#include "sim/render.h"

enum { MOMENTS = 8, MOMENT_SIZE = 192 };  // of the picture; px

static dpc_note make_note(const char* key, const char* value) {
  dpc_note note = {.key = "", .value = ""};
  (void)snprintf(note.key, sizeof note.key, "%s", key);
  (void)snprintf(note.value, sizeof note.value, "%s", value);
  return note;
}

dpc_status dpc_eval_record(const char* dir, int index, const char* policy,
                           const dpc_rollout_result* result, const dpc_episode* episode,
                           dpc_error* error) {
  const char* slash = strrchr(policy, '/');
  char score[32];
  (void)snprintf(score, sizeof score, "%.9g", result->score);
  const dpc_note notes[] = {make_note("source", "dpc eval " DPC_VERSION),
                            make_note("policy", slash == NULL ? policy : slash + 1),
                            make_note("score", score)};
  const dpc_episode_writer_def def = {.dir = dir,
                                      .index = index,
                                      .interface = &episode->interface,
                                      .seed = episode->seed,
                                      .notes = notes,
                                      .note_count = DPC_COUNT(notes)};
  dpc_episode_writer* writer = NULL;
  DPC_TRY(dpc_episode_writer_open(&def, &writer, error));
  for (int t = 0; t < episode->length; ++t) {
    const dpc_status status =
        dpc_episode_writer_append(writer, episode->obs + (size_t)t * DPC_PUSH_OBS_DIM,
                                  episode->action + (size_t)t * DPC_PUSH_ACTION_DIM,
                                  episode->reward[t], episode->done[t], error);
    if (status != DPC_OK) {
      dpc_episode_writer_abort(writer);
      return status;
    }
  }
  return dpc_episode_writer_close(writer, episode->last_obs, error);
}

// Row `row` of an episode; the one behind the last step is what was seen at the end.
static dpc_render_frame frame_at(const dpc_episode* episode, int row) {
  const dpc_layout* layout = &episode->interface.obs;
  const float* obs = episode->obs + (size_t)row * DPC_PUSH_OBS_DIM;
  int agent = 0, block = 0, angle = 0;
  (void)dpc_layout_find(layout, "agent_pos", &agent);
  (void)dpc_layout_find(layout, "block_pos", &block);
  (void)dpc_layout_find(layout, "block_angle", &angle);
  dpc_render_frame frame = {
      .state = {(double)obs[agent], (double)obs[agent + 1], (double)obs[block],
                (double)obs[block + 1], (double)obs[angle]},
      .time_s = (double)row * (double)episode->interface.period_ns * 1e-9,
      .has_target = row < episode->length};
  if (frame.has_target) {
    frame.target_x = (double)episode->action[(size_t)row * DPC_PUSH_ACTION_DIM];
    frame.target_y = (double)episode->action[(size_t)row * DPC_PUSH_ACTION_DIM + 1];
  }
  return frame;
}

dpc_status dpc_eval_draw(const char* path, const dpc_rollout_result* result,
                         const dpc_episode* episode, dpc_error* error) {
  dpc_render_frame frames[MOMENTS];
  char caption[96];
  for (int i = 0; i < MOMENTS; ++i) {
    frames[i] = frame_at(episode, (int)((int64_t)i * episode->length / (MOMENTS - 1)));
  }
  (void)snprintf(caption, sizeof caption, "seed %u    score %.3f%s", result->seed, result->score,
                 result->success ? "    success" : "");
  return dpc_render_strip(frames, MOMENTS, MOMENT_SIZE, caption, path, error);
}
