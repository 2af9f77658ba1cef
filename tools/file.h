/// Whole files: read with a size limit, written as a whole or not at all.
#pragma once

#include "policy/base.h"

/// Read a file of at most `limit` bytes. `*data` gets a terminating NUL that `*size` does not
/// count, and is freed by the caller with `free`.
/// Allocates: heap. Blocks: on the disk. Thread: any.
DPC_NODISCARD dpc_status dpc_file_read(const char* path, size_t limit, char** data, size_t* size,
                                       dpc_error* error);

/// Write a file under a temporary name, sync it, rename it to `path` and sync the folder: after a
/// crash or with a full disk `path` is either old or new, never half. Pipes and devices, which
/// cannot be replaced, are written to directly.
/// Allocates: no. Blocks: on the disk. Thread: any.
DPC_NODISCARD dpc_status dpc_file_save(const char* path, const void* data, size_t size,
                                       dpc_error* error);
