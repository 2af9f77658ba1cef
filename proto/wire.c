#include <string.h>

#include "proto/wire_kinds.h"

// On the wire an envelope with one message set is that field's tag, its length, and the message.
enum { ENVELOPE_MAX = 4, LENGTH_DELIMITED = 2 };

// --- memory for protobuf-c ----------------------------------------------------------------------

// Each block is preceded by its size, which tells a text's true length from its first NUL's place.
typedef struct scratch_memory {
  dpc_arena* arena;
  bool full;
} scratch_memory;

static void* scratch_alloc(void* context, size_t size) {
  scratch_memory* memory = context;
  char* block = size > (size_t)DPC_MESSAGE_MAX * 32
                    ? NULL
                    : (char*)dpc_arena_take(memory->arena, DPC_ARENA_ALIGN + size);
  if (block == NULL) {
    memory->full = true;
    return NULL;
  }
  memcpy(block, &size, sizeof size);
  return block + DPC_ARENA_ALIGN;
}

static void scratch_free(void* context, void* block) {
  (void)context;
  (void)block;
}

size_t dpc_wire_block_size(const void* block) {
  size_t size = 0;
  memcpy(&size, (const char*)block - DPC_ARENA_ALIGN, sizeof size);
  return size;
}

// --- kinds of messages ---------------------------------------------------------------------------

const char* dpc_message_kind_name(dpc_message_kind kind) {
  DPC_ASSERT((int)kind >= 0 && (int)kind < DPC_MESSAGE_KIND_COUNT);
  return dpc_wire_kinds[kind].name;
}

uint64_t dpc_message_session(const dpc_message* message) {
  switch (message->kind) {
    case DPC_MESSAGE_HELLO:
      return message->hello.session;
    case DPC_MESSAGE_HELLO_ACK:
      return message->hello_ack.session;
    case DPC_MESSAGE_OBSERVATION:
      return message->observation.session;
    case DPC_MESSAGE_COMMAND:
      return message->command.session;
    case DPC_MESSAGE_RESET:
      return message->reset.session;
    case DPC_MESSAGE_HEARTBEAT:
      return message->heartbeat.session;
    case DPC_MESSAGE_BYE:
      return message->bye.session;
  }
  return 0;
}

// --- sending --------------------------------------------------------------------------------------

// Pack with an envelope of this tag, or with none for tag 0.
static dpc_status encode(const dpc_message* message, unsigned tag, void* buffer, size_t capacity,
                         size_t* size, dpc_error* error) {
  const dpc_wire_kind* kind = &dpc_wire_kinds[message->kind];
  DPC_TRY(dpc_wire_check(message, error));
  dpc_wire_packing packed;
  kind->pack(message, &packed);
  const size_t inner = protobuf_c_message_get_packed_size(&packed.base);
  const size_t limit = capacity < DPC_MESSAGE_MAX ? capacity : DPC_MESSAGE_MAX;
  if (inner + ENVELOPE_MAX > limit) {
    return dpc_fail(error, DPC_ERR_NO_MEMORY, "%s: %zu bytes do not fit in %zu", kind->name, inner,
                    limit);
  }
  uint8_t* at = buffer;
  if (tag != 0) {
    *at++ = (uint8_t)(tag << 3 | LENGTH_DELIMITED);
    size_t rest = inner;
    for (; rest >= 0x80; rest >>= 7) *at++ = (uint8_t)(0x80 | (rest & 0x7f));
    *at++ = (uint8_t)rest;
  }
  at += protobuf_c_message_pack(&packed.base, at);
  *size = (size_t)(at - (uint8_t*)buffer);
  return DPC_OK;
}

dpc_status dpc_wire_encode(dpc_direction direction, const dpc_message* message, void* buffer,
                           size_t capacity, size_t* size, dpc_error* error) {
  const unsigned tag = dpc_wire_kinds[message->kind].tags[direction];
  if (tag == 0) {
    return dpc_fail(error, DPC_ERR_UNSUPPORTED, "%s does not travel %s the robot",
                    dpc_wire_kinds[message->kind].name,
                    direction == DPC_FROM_ROBOT ? "from" : "to");
  }
  return encode(message, tag, buffer, capacity, size, error);
}

dpc_status dpc_wire_encode_bare(const dpc_message* message, void* buffer, size_t capacity,
                                size_t* size, dpc_error* error) {
  return encode(message, 0, buffer, capacity, size, error);
}

// --- receiving ------------------------------------------------------------------------------------

static dpc_status check_expected(const dpc_message* message, int value_count, dpc_error* error) {
  const bool observed = message->kind == DPC_MESSAGE_OBSERVATION;
  if (value_count < 0 || (!observed && message->kind != DPC_MESSAGE_COMMAND)) return DPC_OK;
  const int count = observed ? message->observation.value_count : message->command.value_count;
  if (count == value_count) return DPC_OK;
  return dpc_fail(error, DPC_ERR_MISMATCH, "%s: %d values, expected %d",
                  dpc_wire_kinds[message->kind].name, count, value_count);
}

dpc_status dpc_wire_unpack(const ProtobufCMessageDescriptor* descriptor, const void* data,
                           size_t size, dpc_arena* scratch, const void** out, dpc_error* error) {
  scratch_memory memory = {.arena = scratch};
  ProtobufCAllocator allocator = {scratch_alloc, scratch_free, &memory};
  const void* unpacked = protobuf_c_message_unpack(descriptor, &allocator, size, data);
  if (memory.full) return dpc_arena_full(scratch, descriptor->name, error);
  if (unpacked == NULL) {
    return dpc_fail(error, DPC_ERR_FORMAT, "%s: not a protobuf message", descriptor->name);
  }
  *out = unpacked;
  return DPC_OK;
}

// The message's memory stays taken on success; the caller gives it back on failure.
static dpc_status decode(dpc_message_kind kind, const void* data, size_t size, int value_count,
                         dpc_arena* scratch, dpc_message* out, dpc_error* error) {
  const void* unpacked = NULL;
  DPC_TRY(dpc_wire_unpack(dpc_wire_kinds[kind].descriptor, data, size, scratch, &unpacked, error));
  dpc_message message;
  message.kind = kind;
  DPC_TRY(dpc_wire_kinds[kind].unpack(unpacked, &message, error));
  DPC_TRY(dpc_wire_check(&message, error));
  DPC_TRY(check_expected(&message, value_count, error));
  memcpy(out, &message, offsetof(dpc_message, hello) + dpc_wire_kinds[kind].size);
  return DPC_OK;
}

dpc_status dpc_wire_decode_bare(dpc_message_kind kind, const void* data, size_t size,
                                int value_count, dpc_arena* scratch, dpc_message* out,
                                dpc_error* error) {
  if (size > DPC_MESSAGE_MAX) {
    return dpc_fail(error, DPC_ERR_FORMAT, "%s: %zu bytes, at most %d", dpc_wire_kinds[kind].name,
                    size, DPC_MESSAGE_MAX);
  }
  const size_t mark = dpc_arena_mark(scratch);
  const dpc_status status = decode(kind, data, size, value_count, scratch, out, error);
  if (status != DPC_OK) dpc_arena_release(scratch, mark);
  return status;
}

// Exactly one message, which is all of the rest: where it starts, or 0 when that is not so.
static size_t envelope_size(const uint8_t* data, size_t size) {
  size_t length = 0, at = 1;
  if (size < 2 || (data[0] & 7) != LENGTH_DELIMITED || data[0] >= 0x80) return 0;
  for (int shift = 0; at < size && at < ENVELOPE_MAX; shift += 7) {
    length |= (size_t)(data[at] & 0x7f) << shift;
    if (data[at++] < 0x80) return at + length == size ? at : 0;
  }
  return 0;
}

dpc_status dpc_wire_decode(dpc_direction direction, const void* data, size_t size, int value_count,
                           dpc_arena* scratch, dpc_message* out, dpc_error* error) {
  const uint8_t* bytes = data;
  const char* name = direction == DPC_FROM_ROBOT ? "FromRobot" : "ToRobot";
  const size_t start = size > DPC_MESSAGE_MAX ? 0 : envelope_size(bytes, size);
  if (start == 0) {
    return dpc_fail(error, DPC_ERR_FORMAT, "%zu bytes are not one %s message", size, name);
  }
  for (int kind = 0; kind < DPC_MESSAGE_KIND_COUNT; ++kind) {
    const unsigned tag = dpc_wire_kinds[kind].tags[direction];
    if (tag == 0 || tag != bytes[0] >> 3) continue;
    return dpc_wire_decode_bare((dpc_message_kind)kind, bytes + start, size - start, value_count,
                                scratch, out, error);
  }
  return dpc_fail(error, DPC_ERR_FORMAT, "%s: unknown message number %d", name, bytes[0] >> 3);
}
