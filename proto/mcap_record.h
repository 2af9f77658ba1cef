/// What MCAP's writer and reader share: opcodes, and little-endian numbers in and out of bytes.
/// Both directions fail softly: a flag is set once, and is looked at once at the end.
#pragma once

#include <stdlib.h>
#include <string.h>

#include "policy/base.h"

static const uint8_t mcap_magic[8] = {0x89, 'M', 'C', 'A', 'P', '0', '\r', '\n'};

enum {
  MCAP_HEADER = 0x01,
  MCAP_FOOTER = 0x02,
  MCAP_SCHEMA = 0x03,
  MCAP_CHANNEL = 0x04,
  MCAP_MESSAGE = 0x05,
  MCAP_CHUNK = 0x06,
  MCAP_MESSAGE_INDEX = 0x07,
  MCAP_CHUNK_INDEX = 0x08,
  MCAP_STATISTICS = 0x0B,
  MCAP_SUMMARY_OFFSET = 0x0E,
  MCAP_DATA_END = 0x0F,

  MCAP_PREFIX_SIZE = 9,                     // opcode, length
  MCAP_FOOTER_SIZE = MCAP_PREFIX_SIZE + 20  // the whole record
};

// --- bytes out ----------------------------------------------------------------------------------

typedef struct mcap_bytes {
  uint8_t* data;
  size_t size, capacity;
  bool failed;  // out of memory; what follows is dropped
} mcap_bytes;

static inline uint8_t* mcap_grow(mcap_bytes* bytes, size_t size) {
  if (bytes->failed) return NULL;
  if (size > bytes->capacity - bytes->size || bytes->data == NULL) {
    const size_t capacity = (bytes->size + size) * 3 / 2 + 256;
    uint8_t* data = realloc(bytes->data, capacity);
    if (data == NULL) {
      bytes->failed = true;
      return NULL;
    }
    bytes->data = data;
    bytes->capacity = capacity;
  }
  uint8_t* at = bytes->data + bytes->size;
  bytes->size += size;
  return at;
}

static inline void mcap_put(mcap_bytes* bytes, const void* data, size_t size) {
  uint8_t* at = mcap_grow(bytes, size);
  if (at != NULL && data != NULL) memcpy(at, data, size);
}

static inline void mcap_put_number(mcap_bytes* bytes, uint64_t value, size_t size) {
  uint8_t* at = mcap_grow(bytes, size);
  if (at == NULL) return;
  for (size_t i = 0; i < size; i++) at[i] = (uint8_t)(value >> (8 * i));
}

static inline void mcap_put_u8(mcap_bytes* bytes, uint8_t value) {
  mcap_put_number(bytes, value, 1);
}

static inline void mcap_put_u16(mcap_bytes* bytes, uint16_t value) {
  mcap_put_number(bytes, value, 2);
}

static inline void mcap_put_u32(mcap_bytes* bytes, uint32_t value) {
  mcap_put_number(bytes, value, 4);
}

static inline void mcap_put_u64(mcap_bytes* bytes, uint64_t value) {
  mcap_put_number(bytes, value, 8);
}

static inline void mcap_put_text(mcap_bytes* bytes, const char* text) {
  mcap_put_u32(bytes, (uint32_t)strlen(text));
  mcap_put(bytes, text, strlen(text));
}

/// Begin a record; its length is filled in by `mcap_end`, given what this returned.
static inline size_t mcap_begin(mcap_bytes* bytes, uint8_t opcode) {
  mcap_put_u8(bytes, opcode);
  mcap_put_u64(bytes, 0);
  return bytes->size;
}

static inline void mcap_end(mcap_bytes* bytes, size_t body) {
  if (bytes->failed) return;
  const uint64_t length = bytes->size - body;
  for (size_t i = 0; i < 8; i++) bytes->data[body - 8 + i] = (uint8_t)(length >> (8 * i));
}

// --- bytes in -----------------------------------------------------------------------------------

typedef struct mcap_cursor {
  const uint8_t* at;
  const uint8_t* end;
  bool failed;  // asked for more than there is; everything after is 0
} mcap_cursor;

static inline size_t mcap_left(const mcap_cursor* cursor) {
  return (size_t)(cursor->end - cursor->at);
}

/// `size` bytes of what is left, or NULL.
static inline const uint8_t* mcap_get(mcap_cursor* cursor, uint64_t size) {
  if (cursor->failed || size > mcap_left(cursor)) {
    cursor->failed = true;
    return NULL;
  }
  const uint8_t* at = cursor->at;
  cursor->at += size;
  return at;
}

static inline uint64_t mcap_get_number(mcap_cursor* cursor, size_t size) {
  const uint8_t* at = mcap_get(cursor, size);
  uint64_t value = 0;
  for (size_t i = 0; at != NULL && i < size; i++) value |= (uint64_t)at[i] << (8 * i);
  return value;
}

static inline uint8_t mcap_get_u8(mcap_cursor* cursor) {
  return (uint8_t)mcap_get_number(cursor, 1);
}

static inline uint16_t mcap_get_u16(mcap_cursor* cursor) {
  return (uint16_t)mcap_get_number(cursor, 2);
}

static inline uint32_t mcap_get_u32(mcap_cursor* cursor) {
  return (uint32_t)mcap_get_number(cursor, 4);
}

static inline uint64_t mcap_get_u64(mcap_cursor* cursor) {
  return mcap_get_number(cursor, 8);
}

/// A text into `out`; one that does not fit or holds a zero byte fails.
static inline void mcap_get_text(mcap_cursor* cursor, char* out, size_t capacity) {
  const uint32_t length = mcap_get_u32(cursor);
  const uint8_t* at = mcap_get(cursor, length);
  out[0] = '\0';
  if (at == NULL || length == 0) return;
  if (length >= capacity || memchr(at, 0, length) != NULL) {
    cursor->failed = true;
    return;
  }
  memcpy(out, at, length);
  out[length] = '\0';
}
