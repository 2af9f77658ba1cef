// libFuzzer's entry: any bytes are either refused with words, or a message that can be sent again.
// The first byte says how they are read. fuzz_safetensors.c says how to build one.
#include <stdlib.h>

#include "proto/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size);

static void send_again(dpc_direction direction, const dpc_message* message) {
  static uint8_t frame[DPC_MESSAGE_MAX];
  size_t size = 0;
  dpc_error error = {""};
  const dpc_status status = dpc_wire_encode(direction, message, frame, sizeof frame, &size, &error);
  // unpacked floats and long varints may be shorter than ours, but only near the limit
  DPC_ASSERT(status == DPC_OK || status == DPC_ERR_NO_MEMORY);
}

int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  static _Alignas(64) char block[DPC_WIRE_SCRATCH_SIZE];
  static dpc_arena scratch;
  static dpc_message message;
  dpc_error error = {""};
  if (size < 1) return 0;
  dpc_arena_init(&scratch, block, sizeof block);
  const dpc_direction direction = (bytes[0] & 1) == 0 ? DPC_FROM_ROBOT : DPC_TO_ROBOT;
  const int value_count = (bytes[0] >> 1) % 16 - 1;
  const dpc_status status =
      dpc_wire_decode(direction, bytes + 1, size - 1, value_count, &scratch, &message, &error);
  if (status == DPC_OK) {
    send_again(direction, &message);
  } else {
    DPC_ASSERT(error.text[0] != '\0' && dpc_arena_mark(&scratch) == 0);
  }
  return 0;
}
