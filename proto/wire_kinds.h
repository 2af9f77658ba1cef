/// Inside wire: what each kind of message is in protobuf-c's structs, and what is allowed in it.
#pragma once

#include "dpc.pb-c.h"
#include "proto/wire.h"

enum { DPC_MESSAGE_KIND_COUNT = DPC_MESSAGE_BYE + 1 };

/// A message as protobuf-c wants it, with room for everything that a Hello points to. Its pointers
/// lead into itself and into the plain message.
typedef struct dpc_wire_packing {
  union {
    ProtobufCMessage base;
    Dpc__Hello hello;
    Dpc__HelloAck hello_ack;
    Dpc__Observation observation;
    Dpc__Command command;
    Dpc__Reset reset;
    Dpc__Heartbeat heartbeat;
    Dpc__Bye bye;
  };
  Dpc__Signal signals[2 * DPC_SIGNAL_MAX];
  Dpc__Signal* signal_list[2 * DPC_SIGNAL_MAX];
  Dpc__Limits limits[DPC_SIGNAL_MAX];
  Dpc__Note notes[DPC_NOTE_MAX];
  Dpc__Note* note_list[DPC_NOTE_MAX];
} dpc_wire_packing;

typedef struct dpc_wire_kind {
  const char* name;
  unsigned tags[2];  // field numbers in FromRobot and ToRobot; 0 where it does not travel
  size_t size;       // of the plain struct
  const ProtobufCMessageDescriptor* descriptor;
  void (*pack)(const dpc_message* message, dpc_wire_packing* out);
  dpc_status (*unpack)(const void* in, dpc_message* out, dpc_error* error);
} dpc_wire_kind;

/// Indexed by dpc_message_kind.
extern const dpc_wire_kind dpc_wire_kinds[DPC_MESSAGE_KIND_COUNT];

/// What is allowed in a message, both when sending and when receiving. DPC_ERR_INVALID names what
/// is not.
/// Allocates: no. Blocks: no. Thread: any.
DPC_NODISCARD dpc_status dpc_wire_check(const dpc_message* message, dpc_error* error);

/// Bytes that protobuf-c has asked for when it got this block, so that a text's true length is
/// known and a NUL inside it is found.
/// Allocates: no. Blocks: no. Thread: any.
size_t dpc_wire_block_size(const void* block);

/// Unpack a message of this kind; everything lies in `scratch`, and stays taken there also on failure.
/// DPC_ERR_FORMAT when it is none, DPC_ERR_NO_MEMORY when it does not fit.
/// Allocates: no. Blocks: no. Thread: any, one scratch arena each.
DPC_NODISCARD dpc_status dpc_wire_unpack(const ProtobufCMessageDescriptor* descriptor,
                                         const void* data, size_t size, dpc_arena* scratch,
                                         const void** out, dpc_error* error);

/// Texts end up in terminals and logs: printable UTF-8 that ends before `capacity`. DPC_ERR_INVALID
/// names `what`.
/// Allocates: no. Blocks: no. Thread: any.
DPC_NODISCARD dpc_status dpc_wire_check_text(const char* what, const char* text, size_t capacity,
                                             dpc_error* error);

/// Copy a text that protobuf-c has unpacked; DPC_ERR_INVALID for one that does not fit or holds a NUL.
/// Allocates: no. Blocks: no. Thread: any.
DPC_NODISCARD dpc_status dpc_wire_take_text(const char* what, const char* text, char* out,
                                            size_t capacity, dpc_error* error);

/// A Hello's row in dpc_wire_kinds, which has a file of its own.
/// Allocates: no. Blocks: no. Thread: any.
void dpc_wire_pack_hello(const dpc_message* message, dpc_wire_packing* out);

/// The way back.
/// Allocates: no. Blocks: no. Thread: any.
DPC_NODISCARD dpc_status dpc_wire_unpack_hello(const void* in, dpc_message* message,
                                               dpc_error* error);
