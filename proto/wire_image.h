/// Pictures as messages: only episode logs hold them, they never go over the wire.
#pragma once

#include "policy/base.h"

enum { DPC_IMAGE_SIDE_MAX = 16384 };

typedef struct dpc_image {
  uint64_t tick;  // of the observation that it belongs to
  int height, width, channels;
  const uint8_t* pixels;  // [height x width x channels]
} dpc_image;

/// DPC_ERR_INVALID for a side outside [1, DPC_IMAGE_SIDE_MAX] or other than 1, 3 or 4 channels.
/// Allocates: no. Blocks: no. Thread: any.
DPC_NODISCARD dpc_status dpc_wire_check_image(const dpc_image* image, dpc_error* error);

/// Bytes that `dpc_wire_encode_image` may need.
/// Allocates: no. Blocks: no. Thread: any.
size_t dpc_wire_image_size_max(const dpc_image* image);

/// Pack a dpc.Image without envelope; `*size` is what it takes. Fails as `dpc_wire_check_image`
/// does, and with DPC_ERR_NO_MEMORY when it is larger than `capacity`.
/// Allocates: no. Blocks: no. Thread: any.
DPC_NODISCARD dpc_status dpc_wire_encode_image(const dpc_image* image, void* buffer,
                                               size_t capacity, size_t* size, dpc_error* error);
