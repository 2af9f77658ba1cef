/// A file that is complete gets the name by which it will be found.
#pragma once

#include "policy/base.h"

/// Rename `part`, which is on the disk, to `path` in the same folder, and have the disk keep that, too: a
/// rename lasts through a power cut only once the folder is there. DPC_ERR_IO names what could not be
/// done; only when it is the folder the file has its name nevertheless.
/// Allocates: no. Blocks: disk. Thread: any.
DPC_NODISCARD dpc_status dpc_publish(const char* part, const char* path, dpc_error* error);
