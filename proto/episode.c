#include <stdlib.h>
#include <string.h>

#include "proto/episode_log.h"
#include "proto/wire_image.h"

enum { LENGTH_MAX = 1 << 28 };

/// Room for `rows` rows and one more for `last_obs`; those that are new are zero. NULL: no memory.
static void* grow(void* old, int old_rows, int rows, size_t row_size) {
  char* bytes = realloc(old, ((size_t)rows + 1) * row_size);
  if (bytes != NULL && rows > old_rows) {
    memset(bytes + (size_t)old_rows * row_size, 0, (size_t)(rows - old_rows + 1) * row_size);
  }
  return bytes;
}

dpc_status dpc_episode_resize(dpc_episode* e, int length, int obs_dim, int action_dim,
                              dpc_error* error) {
  if (length < 1 || length > LENGTH_MAX) {
    return dpc_fail(error, DPC_ERR_INVALID, "an episode of %d steps, at most %d", length,
                    LENGTH_MAX);
  }
  // What was moved is kept even when a later one fails, so that it can be freed.
  float* obs = grow(e->obs, e->length, length, (size_t)obs_dim * sizeof(*obs));
  float* action = grow(e->action, e->length, length, (size_t)action_dim * sizeof(*action));
  double* reward = grow(e->reward, e->length, length, sizeof(*reward));
  bool* done = grow(e->done, e->length, length, sizeof(*done));
  if (obs != NULL) e->obs = obs;
  if (action != NULL) e->action = action;
  if (reward != NULL) e->reward = reward;
  if (done != NULL) e->done = done;
  if (obs == NULL || action == NULL || reward == NULL || done == NULL) {
    return dpc_fail(error, DPC_ERR_NO_MEMORY, "no memory for %d steps", length);
  }
  e->last_obs = NULL;
  e->length = length;
  return DPC_OK;
}

dpc_status dpc_episode_images_alloc(dpc_episode_images* images, const char* name, int length,
                                    int height, int width, int channels, dpc_error* error) {
  const dpc_image image = {.height = height, .width = width, .channels = channels};
  DPC_TRY(dpc_wire_check_image(&image, error));
  DPC_ASSERT(length > 0 && strlen(name) < sizeof(images->name));
  const size_t size = (size_t)height * (size_t)width * (size_t)channels;
  uint8_t* pixels = calloc((size_t)length, size);
  if (pixels == NULL) return dpc_fail(error, DPC_ERR_NO_MEMORY, "no memory for '%s'", name);
  *images = (dpc_episode_images){
      .height = height, .width = width, .channels = channels, .pixels = pixels};
  memcpy(images->name, name, strlen(name) + 1);
  return DPC_OK;
}

void dpc_episode_free(dpc_episode* e) {
  free(e->obs);
  free(e->action);
  free(e->reward);
  free(e->done);
  free(e->notes);
  for (int i = 0; i < e->image_count; i++) free(e->images[i].pixels);
  memset(e, 0, sizeof(*e));
}
