/// Inside run_log: how a recording begins, as a message, and the tables of what is in it.
#pragma once

#include "proto/run_log.h"

enum { DPC_RUN_TEXT_MAX = 4096 };  // bytes of each text, terminator included

extern const dpc_wire_table dpc_run_gap_table;
extern const dpc_wire_table dpc_run_end_table;

/// Bytes that `info` takes as a message at most; the robot's interface is not in it.
/// Allocates: no. Blocks: no. Thread: any.
size_t dpc_wire_run_size(const dpc_run_info* info);

/// Pack it into `buffer` of `capacity` bytes. DPC_ERR_INVALID names a text that is not printable or too
/// long; DPC_ERR_NO_MEMORY.
/// Allocates: no. Blocks: no. Thread: any.
DPC_NODISCARD dpc_status dpc_wire_encode_run(const dpc_run_info* info, void* buffer,
                                             size_t capacity, size_t* size, dpc_error* error);

/// Unpack it; texts and settings lie in `memory`, `robot` is untouched. DPC_ERR_FORMAT,
/// DPC_ERR_INVALID, DPC_ERR_NO_MEMORY.
/// Allocates: from the arena. Blocks: no. Thread: any, one arena each.
DPC_NODISCARD dpc_status dpc_wire_decode_run(const void* data, size_t size, dpc_arena* memory,
                                             dpc_run_info* info, dpc_error* error);
