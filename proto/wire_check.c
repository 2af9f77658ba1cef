#include "proto/wire_kinds.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

// Bytes of the UTF-8 character at `text`; 0 when it is none, or a control character.
static int character_size(const unsigned char* text) {
  static const struct {
    unsigned char mask, lead;
    uint32_t first;
  } forms[] = {{0xe0, 0xc0, 0xa0}, {0xf0, 0xe0, 0x800}, {0xf8, 0xf0, 0x10000}};
  if (text[0] < 0x80) return text[0] >= ' ' && text[0] != 0x7f;
  for (int i = 0; i < DPC_COUNT(forms); ++i) {
    if ((text[0] & forms[i].mask) != forms[i].lead) continue;
    uint32_t code = text[0] & (unsigned char)~forms[i].mask;
    for (int j = 1; j <= i + 1; ++j) {
      if ((text[j] & 0xc0) != 0x80) return 0;
      code = code << 6 | (text[j] & 0x3f);
    }
    const bool surrogate = code >= 0xd800 && code <= 0xdfff;
    return code < forms[i].first || surrogate || code > 0x10ffff ? 0 : i + 2;
  }
  return 0;
}

// Texts end up in terminals and logs, so control characters are refused.
dpc_status dpc_wire_check_text(const char* what, const char* text, size_t capacity,
                               dpc_error* error) {
  if (strnlen(text, capacity) == capacity) {
    return dpc_fail(error, DPC_ERR_INVALID, "%s: longer than %zu bytes", what, capacity - 1);
  }
  const unsigned char* at = (const unsigned char*)text;
  while (*at != '\0') {
    const int size = character_size(at);
    if (size == 0) {
      return dpc_fail(error, DPC_ERR_INVALID, "%s: not printable UTF-8 at byte %td", what,
                      at - (const unsigned char*)text);
    }
    at += size;
  }
  return DPC_OK;
}

dpc_status dpc_wire_take_text(const char* what, const char* text, char* out, size_t capacity,
                              dpc_error* error) {
  memset(out, 0, capacity);
  if (text == protobuf_c_empty_string) return DPC_OK;
  const size_t length = dpc_wire_block_size(text) - 1;
  if (length >= capacity) {
    return dpc_fail(error, DPC_ERR_INVALID, "%s: longer than %zu bytes", what, capacity - 1);
  }
  if (strlen(text) != length) {
    return dpc_fail(error, DPC_ERR_INVALID, "%s: holds a NUL", what);
  }
  memcpy(out, text, length);
  return DPC_OK;
}

static dpc_status check_values(const char* what, const float* values, int count, dpc_error* error) {
  if (count < 0 || count > DPC_MESSAGE_VALUE_MAX) {
    return dpc_fail(error, DPC_ERR_INVALID, "%s: %d values, at most %d", what, count,
                    DPC_MESSAGE_VALUE_MAX);
  }
  for (int i = 0; i < count; ++i) {
    if (!isfinite(values[i])) {
      return dpc_fail(error, DPC_ERR_INVALID, "%s: value %d is not finite", what, i);
    }
  }
  return DPC_OK;
}

static dpc_status check_time(const char* what, int64_t ns, int64_t max, dpc_error* error) {
  if (ns >= 0 && ns <= max) return DPC_OK;
  return dpc_fail(error, DPC_ERR_INVALID, "%s: %" PRId64 " ns is not in [0, %" PRId64 "]", what, ns,
                  max);
}

static dpc_status check_hello(const dpc_hello* hello, dpc_error* error) {
  dpc_status status = dpc_interface_check(&hello->interface, error);
  if (status != DPC_OK) return dpc_fail_prefix(error, status, "hello: ");
  DPC_TRY(dpc_wire_check_text("hello: software", hello->software, sizeof hello->software, error));
  if (hello->note_count < 0 || hello->note_count > DPC_NOTE_MAX) {
    return dpc_fail(error, DPC_ERR_INVALID, "hello: %d notes, at most %d", hello->note_count,
                    DPC_NOTE_MAX);
  }
  for (int i = 0; i < hello->note_count; ++i) {
    const dpc_note* note = &hello->notes[i];
    DPC_TRY(dpc_wire_check_text("hello: key of a note", note->key, sizeof note->key, error));
    DPC_TRY(dpc_wire_check_text("hello: value of a note", note->value, sizeof note->value, error));
  }
  return DPC_OK;
}

static dpc_status check_observation(const dpc_observation* observation, dpc_error* error) {
  DPC_TRY(check_values("observation", observation->values, observation->value_count, error));
  if (!isfinite(observation->reward)) {
    return dpc_fail(error, DPC_ERR_INVALID, "observation: the reward is not finite");
  }
  return check_time("observation: sample time", observation->sample_time_ns, INT64_MAX, error);
}

static dpc_status check_command(const dpc_command* command, dpc_error* error) {
  DPC_TRY(check_values("command", command->values, command->value_count, error));
  return check_time("command: lease", command->lease_ns, INT64_C(3600000000000), error);
}

dpc_status dpc_wire_check(const dpc_message* message, dpc_error* error) {
  switch (message->kind) {
    case DPC_MESSAGE_HELLO:
      return check_hello(&message->hello, error);
    case DPC_MESSAGE_HELLO_ACK:
      return dpc_wire_check_text("hello_ack: reason", message->hello_ack.reason, DPC_REASON_MAX,
                                 error);
    case DPC_MESSAGE_OBSERVATION:
      return check_observation(&message->observation, error);
    case DPC_MESSAGE_COMMAND:
      return check_command(&message->command, error);
    case DPC_MESSAGE_RESET:
      return DPC_OK;
    case DPC_MESSAGE_HEARTBEAT:
      return check_time("heartbeat: time", message->heartbeat.time_ns, INT64_MAX, error);
    case DPC_MESSAGE_BYE:
      return dpc_wire_check_text("bye: reason", message->bye.reason, DPC_REASON_MAX, error);
  }
  DPC_ASSERT(false);
  return DPC_ERR_INVALID;
}
