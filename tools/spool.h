/// Values that may be more than memory holds: written to an unnamed file, then mapped. The system keeps
/// of it in memory what there is room for. The file is in the folder TMPDIR, or in /var/tmp, and gone
/// when the program ends, however it ends.
#pragma once

#include <stdio.h>

#include "policy/base.h"

typedef struct dpc_spool {
  FILE* stream;
  size_t size;  // bytes written
} dpc_spool;

/// Make an empty one. DPC_ERR_IO names the folder.
/// Allocates: heap, a buffer. Blocks: disk. Thread: any, one spool each.
DPC_NODISCARD dpc_status dpc_spool_open(dpc_spool* out, dpc_error* error);

/// Append `count` numbers. DPC_ERR_IO names the folder, of a full disk for example.
/// Allocates: no. Blocks: disk. Thread: the spool's owner.
DPC_NODISCARD dpc_status dpc_spool_add(dpc_spool* spool, const float* values, size_t count,
                                       dpc_error* error);

/// Map what was written, at least one number, for reading; the caller unmaps it with munmap.
/// Allocates: mmap. Blocks: disk. Thread: the spool's owner.
DPC_NODISCARD dpc_status dpc_spool_map(dpc_spool* spool, const float** out, dpc_error* error);

/// Close the file; what was mapped stays. A zeroed spool is left alone.
/// Allocates: no. Blocks: no. Thread: the spool's owner.
void dpc_spool_close(dpc_spool* spool);
