/// robomimic's HDF5: /data/demo_N with actions, obs/<key>, rewards, dones and states.
#pragma once

#include "tools/import_source.h"

/// True when `path` is an HDF5 file, robomimic's or not.
/// Allocates: no. Blocks: on the disk. Thread: one at a time.
bool dpc_import_hdf5_detect(const char* path);

/// Open a robomimic file; demonstrations come in the order of their numbers. The action is
/// "actions"; observed signals are obs/<key> under their keys, sorted by name, then the other
/// arrays of a demonstration ("states"). Rewards and dones are kept; next_obs, which repeats obs
/// one step later, is not. Fields of pictures are kept with `images`, left out without. Closed
/// with `out->close(out)`. Errors name the file and what is in it.
/// Allocates: heap. Blocks: on the disk. Thread: one at a time.
DPC_NODISCARD dpc_status dpc_import_hdf5_open(const char* path, bool images, dpc_import_source* out,
                                              dpc_error* error);
