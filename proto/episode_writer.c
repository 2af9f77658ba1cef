#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dpc_schema.h"
#include "proto/episode_log.h"
#include "proto/mcap.h"
#include "proto/publish.h"
#include "proto/wire_image.h"

enum { CHANNEL_HELLO, CHANNEL_OBSERVATION, CHANNEL_COMMAND, CHANNEL_IMAGE, TOPIC_MAX = 64 };

enum { INDEX_MAX = 999999 };

struct dpc_episode_writer {
  char path[PATH_MAX];  // the final name
  char part[PATH_MAX];  // the name until then
  bool part_made;       // and not renamed yet
  dpc_mcap_writer* mcap;
  dpc_mcap_channel channels[CHANNEL_IMAGE + DPC_EPISODE_IMAGE_MAX];
  char topics[DPC_EPISODE_IMAGE_MAX][TOPIC_MAX];
  dpc_interface interface;
  int obs_dim, action_dim;
  dpc_image images[DPC_EPISODE_IMAGE_MAX];
  int image_count;
  void* buffer;  // for one message
  size_t capacity;

  // the observation to come; reward and done are what the step before it came to
  dpc_observation next;
};

// --- messages -----------------------------------------------------------------------------------

static dpc_status put(dpc_episode_writer* w, int channel, const dpc_message* message,
                      dpc_error* error) {
  size_t size = 0;
  const dpc_status status = dpc_wire_encode_bare(message, w->buffer, w->capacity, &size, error);
  if (status != DPC_OK) return dpc_fail_prefix(error, status, "%s: ", w->path);
  return dpc_mcap_write(w->mcap, channel, w->next.sample_time_ns, w->buffer, size, error);
}

static dpc_status put_hello(dpc_episode_writer* w, const dpc_episode_writer_def* def,
                            dpc_error* error) {
  dpc_message* message = calloc(1, sizeof(*message));
  if (message == NULL) return dpc_fail(error, DPC_ERR_NO_MEMORY, "%s: out of memory", w->path);
  message->kind = DPC_MESSAGE_HELLO;
  message->hello.interface = *def->interface;
  (void)snprintf(message->hello.software, sizeof(message->hello.software), "dpc %s", DPC_VERSION);
  message->hello.note_count = def->note_count;
  for (int i = 0; i < def->note_count; i++) message->hello.notes[i] = def->notes[i];
  const dpc_status status = put(w, CHANNEL_HELLO, message, error);
  free(message);
  return status;
}

/// Name the signal of a value that is not finite, which the encoder could only number.
static dpc_status check_finite(const dpc_episode_writer* w, const char* what,
                               const dpc_layout* layout, const float* values, dpc_error* error) {
  for (int s = 0; s < layout->count; s++) {
    const dpc_signal* signal = &layout->signals[s];
    for (int i = 0; i < signal->dim; i++) {
      if (isfinite(*values++)) continue;
      return dpc_fail(error, DPC_ERR_INVALID, "%s: step %llu: %s '%s[%d]' is not finite", w->path,
                      (unsigned long long)w->next.tick, what, signal->name, i);
    }
  }
  return DPC_OK;
}

static dpc_status put_observation(dpc_episode_writer* w, const float* values, dpc_error* error) {
  if (values != NULL) {
    DPC_TRY(check_finite(w, "observation", &w->interface.obs, values, error));
  }
  dpc_message message = {.kind = DPC_MESSAGE_OBSERVATION, .observation = w->next};
  message.observation.values = values;
  message.observation.value_count = values == NULL ? 0 : w->obs_dim;
  return put(w, CHANNEL_OBSERVATION, &message, error);
}

dpc_status dpc_episode_writer_append(dpc_episode_writer* w, const float* obs, const float* action,
                                     double reward, bool done, dpc_error* error) {
  if (!isfinite(reward)) {
    return dpc_fail(error, DPC_ERR_INVALID, "%s: step %llu: reward is not finite", w->path,
                    (unsigned long long)w->next.tick);
  }
  DPC_TRY(put_observation(w, obs, error));
  DPC_TRY(check_finite(w, "action", &w->interface.action, action, error));
  dpc_message message = {.kind = DPC_MESSAGE_COMMAND};
  message.command = (dpc_command){.episode = w->next.episode,
                                  .tick = w->next.tick,
                                  .value_count = w->action_dim,
                                  .values = action};
  DPC_TRY(put(w, CHANNEL_COMMAND, &message, error));
  w->next.tick++;
  w->next.sample_time_ns += w->interface.period_ns;
  w->next.reward = reward;
  w->next.done = done;
  return DPC_OK;
}

dpc_status dpc_episode_writer_image(dpc_episode_writer* w, int image, const uint8_t* pixels,
                                    dpc_error* error) {
  DPC_ASSERT(image >= 0 && image < w->image_count && w->next.tick > 0);
  dpc_image picture = w->images[image];
  picture.tick = w->next.tick - 1;
  picture.pixels = pixels;
  size_t size = 0;
  const dpc_status status = dpc_wire_encode_image(&picture, w->buffer, w->capacity, &size, error);
  if (status != DPC_OK) return dpc_fail_prefix(error, status, "%s: ", w->path);
  const int64_t time = w->next.sample_time_ns - w->interface.period_ns;
  return dpc_mcap_write(w->mcap, CHANNEL_IMAGE + image, time, w->buffer, size, error);
}

// --- opening ------------------------------------------------------------------------------------

static dpc_status set_paths(dpc_episode_writer* w, const dpc_episode_writer_def* def,
                            dpc_error* error) {
  DPC_ASSERT(def->index >= 0 && def->index <= INDEX_MAX);
  const int length =
      snprintf(w->part, sizeof(w->part), "%s/episode_%06d.mcap.part", def->dir, def->index);
  if (length < 0 || length >= (int)sizeof(w->part)) {
    return dpc_fail(error, DPC_ERR_IO, "%s: path too long", def->dir);
  }
  memcpy(w->path, w->part, (size_t)length - strlen(".part"));
  if (mkdir(def->dir, 0777) != 0 && errno != EEXIST) {
    return dpc_fail(error, DPC_ERR_IO, "%s: %s", def->dir, strerror(errno));
  }
  if (access(w->path, F_OK) == 0) {
    return dpc_fail(error, DPC_ERR_IO, "%s: already there", w->path);
  }
  return DPC_OK;
}

static void set_channel(dpc_episode_writer* w, int channel, const char* topic, const char* schema) {
  w->channels[channel] = (dpc_mcap_channel){topic, schema, dpc_schema, sizeof(dpc_schema)};
}

static void set_channels(dpc_episode_writer* w, const dpc_episode_writer_def* def) {
  DPC_ASSERT(def->image_count >= 0 && def->image_count <= DPC_EPISODE_IMAGE_MAX);
  set_channel(w, CHANNEL_HELLO, "/hello", "dpc.Hello");
  set_channel(w, CHANNEL_OBSERVATION, "/observation", "dpc.Observation");
  set_channel(w, CHANNEL_COMMAND, "/command", "dpc.Command");
  w->image_count = def->image_count;
  w->capacity = DPC_MESSAGE_MAX;
  for (int i = 0; i < def->image_count; i++) {
    const dpc_episode_images* camera = &def->images[i];
    (void)snprintf(w->topics[i], TOPIC_MAX, "/image/%s", camera->name);
    set_channel(w, CHANNEL_IMAGE + i, w->topics[i], "dpc.Image");
    w->images[i] =
        (dpc_image){.height = camera->height, .width = camera->width, .channels = camera->channels};
    const size_t size = dpc_wire_image_size_max(&w->images[i]);
    if (size > w->capacity) w->capacity = size;
  }
}

static dpc_status start(dpc_episode_writer* w, const dpc_episode_writer_def* def,
                        dpc_error* error) {
  DPC_ASSERT(def->note_count >= 0 && def->note_count <= DPC_NOTE_MAX);
  DPC_TRY(set_paths(w, def, error));
  const dpc_status status = dpc_interface_check(def->interface, error);
  if (status != DPC_OK) return dpc_fail_prefix(error, status, "%s: ", w->path);
  w->interface = *def->interface;
  w->obs_dim = dpc_layout_dim(&w->interface.obs);
  w->action_dim = dpc_layout_dim(&w->interface.action);
  w->next = (dpc_observation){.episode = (uint32_t)def->index, .seed = def->seed};
  set_channels(w, def);
  w->buffer = malloc(w->capacity);
  if (w->buffer == NULL) return dpc_fail(error, DPC_ERR_NO_MEMORY, "%s: out of memory", w->path);
  w->part_made = true;
  DPC_TRY(dpc_mcap_writer_create(w->part, w->channels, CHANNEL_IMAGE + w->image_count, &w->mcap,
                                 error));
  return put_hello(w, def, error);
}

dpc_status dpc_episode_writer_open(const dpc_episode_writer_def* def, dpc_episode_writer** out,
                                   dpc_error* error) {
  dpc_episode_writer* w = calloc(1, sizeof(*w));
  if (w == NULL) return dpc_fail(error, DPC_ERR_NO_MEMORY, "%s: out of memory", def->dir);
  const dpc_status status = start(w, def, error);
  if (status == DPC_OK) {
    *out = w;
  } else {
    dpc_episode_writer_abort(w);
  }
  return status;
}

// --- closing ------------------------------------------------------------------------------------

static dpc_status finish(dpc_episode_writer* w, const float* last_obs, dpc_error* error) {
  if (w->next.tick == 0) return dpc_fail(error, DPC_ERR_INVALID, "%s: has no steps", w->path);
  w->next.done = true;
  DPC_TRY(put_observation(w, last_obs, error));
  dpc_mcap_writer* mcap = w->mcap;
  w->mcap = NULL;
  DPC_TRY(dpc_mcap_writer_finish(mcap, error));
  DPC_TRY(dpc_publish(w->part, w->path, error));
  w->part_made = false;
  return DPC_OK;
}

dpc_status dpc_episode_writer_close(dpc_episode_writer* w, const float* last_obs,
                                    dpc_error* error) {
  const dpc_status status = finish(w, last_obs, error);
  dpc_episode_writer_abort(w);
  return status;
}

void dpc_episode_writer_abort(dpc_episode_writer* w) {
  if (w == NULL) return;
  dpc_mcap_writer_abandon(w->mcap);
  if (w->part_made) (void)unlink(w->part);
  free(w->buffer);
  free(w);
}
