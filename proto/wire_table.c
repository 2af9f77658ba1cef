#include "proto/wire_table.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "proto/wire_kinds.h"

enum { MESSAGE_STRUCT_MAX = 512 };  // bytes of protobuf-c's struct of any message here

static const struct {
  size_t size;           // of the member
  unsigned accepted[2];  // types of the field
} types[] = {
    [DPC_WIRE_BOOL] = {sizeof(bool), {PROTOBUF_C_TYPE_BOOL, PROTOBUF_C_TYPE_BOOL}},
    [DPC_WIRE_INT] = {sizeof(int), {PROTOBUF_C_TYPE_INT32, PROTOBUF_C_TYPE_INT32}},
    [DPC_WIRE_UINT32] = {sizeof(uint32_t), {PROTOBUF_C_TYPE_UINT32, PROTOBUF_C_TYPE_ENUM}},
    [DPC_WIRE_INT64] = {sizeof(int64_t), {PROTOBUF_C_TYPE_INT64, PROTOBUF_C_TYPE_INT64}},
    [DPC_WIRE_UINT64] = {sizeof(uint64_t), {PROTOBUF_C_TYPE_UINT64, PROTOBUF_C_TYPE_FIXED64}},
    [DPC_WIRE_DOUBLE] = {sizeof(double), {PROTOBUF_C_TYPE_DOUBLE, PROTOBUF_C_TYPE_DOUBLE}},
    [DPC_WIRE_FLOATS] = {sizeof(float*), {PROTOBUF_C_TYPE_FLOAT, PROTOBUF_C_TYPE_FLOAT}},
};

static const ProtobufCMessageDescriptor* find_message(const dpc_wire_table* table) {
  static const ProtobufCMessageDescriptor* const known[] = {
      &dpc__tick__descriptor, &dpc__gap__descriptor, &dpc__end__descriptor};
  for (int i = 0; i < DPC_COUNT(known); i++) {
    if (strcmp(known[i]->name, table->message) != 0) continue;
    DPC_ASSERT(known[i]->n_fields == (unsigned)table->count);
    DPC_ASSERT(known[i]->sizeof_message <= MESSAGE_STRUCT_MAX);
    return known[i];
  }
  DPC_ASSERT(false);
  return NULL;
}

static const ProtobufCFieldDescriptor* find_field(const ProtobufCMessageDescriptor* message,
                                                  const dpc_wire_member* m) {
  const ProtobufCFieldDescriptor* field =
      protobuf_c_message_descriptor_get_field_by_name(message, m->field);
  DPC_ASSERT(field != NULL);
  DPC_ASSERT((unsigned)field->type == types[m->type].accepted[0] ||
             (unsigned)field->type == types[m->type].accepted[1]);
  DPC_ASSERT((field->label == PROTOBUF_C_LABEL_REPEATED) == (m->type == DPC_WIRE_FLOATS));
  return field;
}

// --- out -----------------------------------------------------------------------------------------

static void put(const ProtobufCFieldDescriptor* field, const dpc_wire_member* m, const char* from,
                char* message) {
  if (m->type == DPC_WIRE_BOOL) {
    bool value;
    memcpy(&value, from + m->offset, sizeof value);
    const protobuf_c_boolean wide = value;
    memcpy(message + field->offset, &wide, sizeof wide);
    return;
  }
  memcpy(message + field->offset, from + m->offset, types[m->type].size);
  if (m->type == DPC_WIRE_FLOATS) {
    int count;
    memcpy(&count, from + m->count_offset, sizeof count);
    const size_t wide = (size_t)count;
    memcpy(message + field->quantifier_offset, &wide, sizeof wide);
  }
}

dpc_status dpc_wire_encode_table(const dpc_wire_table* table, const void* from, void* buffer,
                                 size_t capacity, size_t* size, dpc_error* error) {
  const ProtobufCMessageDescriptor* descriptor = find_message(table);
  union {
    ProtobufCMessage base;
    _Alignas(16) char bytes[MESSAGE_STRUCT_MAX];
  } message;
  protobuf_c_message_init(descriptor, &message);
  for (int i = 0; i < table->count; i++) {
    const dpc_wire_member* member = &table->members[i];
    put(find_field(descriptor, member), member, from, message.bytes);
  }
  const size_t packed = protobuf_c_message_get_packed_size(&message.base);
  if (packed > capacity) {
    return dpc_fail(error, DPC_ERR_NO_MEMORY, "%s: %zu bytes do not fit in %zu", table->message,
                    packed, capacity);
  }
  *size = protobuf_c_message_pack(&message.base, buffer);
  return DPC_OK;
}

// --- in ------------------------------------------------------------------------------------------

static void get(const ProtobufCFieldDescriptor* field, const dpc_wire_member* m,
                const char* message, char* to) {
  if (m->type == DPC_WIRE_BOOL) {
    protobuf_c_boolean wide;
    memcpy(&wide, message + field->offset, sizeof wide);
    const bool value = wide != 0;
    memcpy(to + m->offset, &value, sizeof value);
    return;
  }
  memcpy(to + m->offset, message + field->offset, types[m->type].size);
  if (m->type == DPC_WIRE_FLOATS) {
    size_t wide;
    memcpy(&wide, message + field->quantifier_offset, sizeof wide);
    const int count = (int)wide;  // scratch memory bounds it
    memcpy(to + m->count_offset, &count, sizeof count);
  }
}

dpc_status dpc_wire_decode_table(const dpc_wire_table* table, const void* data, size_t size,
                                 dpc_arena* scratch, void* to, dpc_error* error) {
  const ProtobufCMessageDescriptor* descriptor = find_message(table);
  const void* message = NULL;
  DPC_TRY(dpc_wire_unpack(descriptor, data, size, scratch, &message, error));
  for (int i = 0; i < table->count; i++) {
    const dpc_wire_member* member = &table->members[i];
    get(find_field(descriptor, member), member, message, to);
  }
  return DPC_OK;
}

// --- comparing -----------------------------------------------------------------------------------

static uint32_t bits_of(const float* value) {
  uint32_t bits;
  memcpy(&bits, value, sizeof bits);
  return bits;
}

// Enough digits to tell any two values apart, and the bits where even those do not.
static void print_float(const float* value, char* text, size_t capacity) {
  (void)snprintf(text, capacity, "%.9g (0x%08" PRIx32 ")", (double)*value, bits_of(value));
}

static void print(const dpc_wire_member* m, const char* at, char* text, size_t capacity) {
  union {
    bool boolean;
    int integer;
    uint32_t uint32;
    int64_t int64;
    uint64_t uint64;
    double real;
  } value;
  memcpy(&value, at, types[m->type].size);
  switch (m->type) {
    case DPC_WIRE_BOOL:
      (void)snprintf(text, capacity, "%s", value.boolean ? "true" : "false");
      break;
    case DPC_WIRE_INT:
      (void)snprintf(text, capacity, "%d", value.integer);
      break;
    case DPC_WIRE_UINT32:
      (void)snprintf(text, capacity, "%" PRIu32, value.uint32);
      break;
    case DPC_WIRE_INT64:
      (void)snprintf(text, capacity, "%" PRId64, value.int64);
      break;
    case DPC_WIRE_UINT64:
      (void)snprintf(text, capacity, "%" PRIu64, value.uint64);
      break;
    case DPC_WIRE_DOUBLE:
      (void)snprintf(text, capacity, "%.17g", value.real);
      break;
    case DPC_WIRE_FLOATS:
      break;
  }
}

static bool values_differ(const dpc_wire_member* m, const char* a, const char* b,
                          dpc_wire_difference* out) {
  const float *values_a, *values_b;
  int count_a, count_b;
  memcpy(&values_a, a + m->offset, sizeof(values_a));
  memcpy(&values_b, b + m->offset, sizeof(values_b));
  memcpy(&count_a, a + m->count_offset, sizeof count_a);
  memcpy(&count_b, b + m->count_offset, sizeof count_b);
  if (count_a != count_b) {
    (void)snprintf(out->field, sizeof out->field, "%s", m->field);
    (void)snprintf(out->a, sizeof out->a, "%d values", count_a);
    (void)snprintf(out->b, sizeof out->b, "%d values", count_b);
    return true;
  }
  int i = 0;
  while (i < count_a && bits_of(&values_a[i]) == bits_of(&values_b[i])) i++;
  if (i == count_a) return false;
  (void)snprintf(out->field, sizeof out->field, "%s[%d]", m->field, i);
  print_float(&values_a[i], out->a, sizeof out->a);
  print_float(&values_b[i], out->b, sizeof out->b);
  return true;
}

static bool member_differs(const dpc_wire_member* m, const char* a, const char* b,
                           dpc_wire_difference* out) {
  if (m->type == DPC_WIRE_FLOATS) return values_differ(m, a, b, out);
  if (memcmp(a + m->offset, b + m->offset, types[m->type].size) == 0) return false;
  (void)snprintf(out->field, sizeof out->field, "%s", m->field);
  print(m, a + m->offset, out->a, sizeof out->a);
  print(m, b + m->offset, out->b, sizeof out->b);
  return true;
}

bool dpc_wire_differs(const dpc_wire_table* table, int roles, const void* a, const void* b,
                      dpc_wire_difference* difference) {
  for (int i = 0; i < table->count; i++) {
    const dpc_wire_member* member = &table->members[i];
    if ((member->role & roles) != 0 && member_differs(member, a, b, difference)) return true;
  }
  return false;
}
