/// Diffusion Policy's replay buffer: a Zarr v2 folder with data/<field>, one row per step, and
/// meta/episode_ends.
#pragma once

#include "tools/import_source.h"

/// True when `path` is a Zarr v2 group with the folders data and meta.
/// Allocates: no. Blocks: on the disk. Thread: any.
bool dpc_import_zarr_detect(const char* path);

/// Open a replay buffer. The field "action" is the action; the other numeric fields are observed
/// signals under their own names, sorted by name, several dimensions flattened to one. Fields of
/// pictures (rows of height x width x 1, 3 or 4) are kept with `images`, left out without. Closed
/// with `out->close(out)`. Errors name the file.
/// Allocates: heap. Blocks: on the disk. Thread: any.
DPC_NODISCARD dpc_status dpc_import_zarr_open(const char* path, bool images, dpc_import_source* out,
                                              dpc_error* error);
