/// Plain structs as messages of numbers, by a table of their members: one row takes a member into the
/// message, out of it, and into comparisons. For what only logs keep, and is not the link's: numbers
/// need not be finite, and every bit of them comes back.
#pragma once

#include "policy/arena.h"

typedef enum dpc_wire_type {
  DPC_WIRE_BOOL,
  DPC_WIRE_INT,     // int, and an int32 in the message
  DPC_WIRE_UINT32,  // also enums
  DPC_WIRE_INT64,
  DPC_WIRE_UINT64,
  DPC_WIRE_DOUBLE,
  DPC_WIRE_FLOATS,  // const float*, and a repeated float
} dpc_wire_type;

typedef struct dpc_wire_member {
  const char* field;  // its name in the message
  int role;           // the owner's, to compare only some; one bit
  dpc_wire_type type;
  size_t offset;        // in the struct
  size_t count_offset;  // FLOATS: where an int says how many; 0 goes with NULL
} dpc_wire_member;

typedef struct dpc_wire_table {
  const char* message;  // "dpc.Tick"
  const dpc_wire_member* members;
  int count;  // as many as the message has fields
} dpc_wire_table;

/// A row for a number. The struct's member may lie deep: "input.tick".
#define DPC_WIRE_NUMBER(role_, field_, def_type, member)                  \
  {                                                                       \
    .field = field_, .role = role_, .offset = offsetof(def_type, member), \
    .type = _Generic(((def_type*)0)->member, bool                         \
                     : DPC_WIRE_BOOL, int                                 \
                     : DPC_WIRE_INT, unsigned                             \
                     : DPC_WIRE_UINT32, int64_t                           \
                     : DPC_WIRE_INT64, uint64_t                           \
                     : DPC_WIRE_UINT64, double                            \
                     : DPC_WIRE_DOUBLE)                                   \
  }
/// A row for a pointer to floats; `count_member` is an int.
#define DPC_WIRE_VALUES(role_, field_, def_type, member, count_member)                         \
  {                                                                                            \
    .field = field_, .role = role_, .offset = offsetof(def_type, member),                    \
    .type = _Generic(((def_type*)0)->member, const float*: DPC_WIRE_FLOATS),                 \
    .count_offset = offsetof(def_type, count_member) \
  }

/// Where two structs differ first, and how, in words.
typedef struct dpc_wire_difference {
  char field[64];  // "command[1]"
  char a[48], b[48];
} dpc_wire_difference;

/// Pack a struct into `buffer`; `*size` is what it takes. DPC_ERR_NO_MEMORY when it is larger than
/// `capacity`. A table that does not fit the message asserts.
/// Allocates: no. Blocks: no. Thread: any.
DPC_NODISCARD dpc_status dpc_wire_encode_table(const dpc_wire_table* table, const void* from,
                                               void* buffer, size_t capacity, size_t* size,
                                               dpc_error* error);

/// Unpack into a struct; members without a row are left alone, and values lie in `scratch`.
/// DPC_ERR_FORMAT for what is not such a message, DPC_ERR_NO_MEMORY when it does not fit.
/// Allocates: no. Blocks: no. Thread: any, one scratch arena each.
DPC_NODISCARD dpc_status dpc_wire_decode_table(const dpc_wire_table* table, const void* data,
                                               size_t size, dpc_arena* scratch, void* to,
                                               dpc_error* error);

/// Compare the members whose role is in `roles`, bit by bit. True when one differs, with the first in
/// `*difference`.
/// Allocates: no. Blocks: no. Thread: any.
bool dpc_wire_differs(const dpc_wire_table* table, int roles, const void* a, const void* b,
                      dpc_wire_difference* difference);
