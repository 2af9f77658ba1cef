#include "proto/wire_image.h"

#include "dpc.pb-c.h"

static size_t pixel_count(const dpc_image* image) {
  return (size_t)image->height * (size_t)image->width * (size_t)image->channels;
}

size_t dpc_wire_image_size_max(const dpc_image* image) {
  return pixel_count(image) + 64;  // five tags and four numbers take less
}

dpc_status dpc_wire_check_image(const dpc_image* image, dpc_error* error) {
  const bool sides = image->height >= 1 && image->height <= DPC_IMAGE_SIDE_MAX &&
                     image->width >= 1 && image->width <= DPC_IMAGE_SIDE_MAX;
  if (sides && image->channels >= 1 && image->channels <= 4 && image->channels != 2) return DPC_OK;
  return dpc_fail(error, DPC_ERR_INVALID, "an image of %d x %d x %d", image->height, image->width,
                  image->channels);
}

dpc_status dpc_wire_encode_image(const dpc_image* image, void* buffer, size_t capacity,
                                 size_t* size, dpc_error* error) {
  DPC_TRY(dpc_wire_check_image(image, error));
  Dpc__Image message = DPC__IMAGE__INIT;
  message.tick = image->tick;
  message.height = (uint32_t)image->height;
  message.width = (uint32_t)image->width;
  message.channels = (uint32_t)image->channels;
  message.pixels.len = pixel_count(image);
  message.pixels.data = (uint8_t*)image->pixels;  // only read from when packing
  const size_t packed = dpc__image__get_packed_size(&message);
  if (packed > capacity) {
    return dpc_fail(error, DPC_ERR_NO_MEMORY, "an image takes %zu bytes of %zu", packed, capacity);
  }
  *size = dpc__image__pack(&message, buffer);
  return DPC_OK;
}
