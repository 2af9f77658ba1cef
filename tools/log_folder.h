/// The folder of an episode log that a program makes: it appears under its name when it is complete,
/// or not at all, and never in place of something else.
///
///     set_name -> begin -> episodes into `part` -> finish, or abort after a failure
#pragma once

#include <limits.h>

#include "policy/base.h"

typedef struct dpc_log_folder {
  char dir[PATH_MAX];   // the log to be
  char part[PATH_MAX];  // its name until it is complete
} dpc_log_folder;

/// Take the name that the user gave. False when it is empty or too long.
/// Allocates: no. Blocks: no. Thread: any.
bool dpc_log_folder_set_name(dpc_log_folder* folder, const char* name);

/// Make `part`, without what a killed program may have left there. DPC_ERR_CONFIG when `dir` is
/// there already; DPC_ERR_IO when `part` holds anything but episodes.
/// Allocates: no. Blocks: disk. Thread: any.
DPC_NODISCARD dpc_status dpc_log_folder_begin(const dpc_log_folder* folder, dpc_error* error);

/// Give the log its name. After a failure, `dpc_log_folder_abort` is left to do.
/// Allocates: no. Blocks: disk. Thread: any.
DPC_NODISCARD dpc_status dpc_log_folder_finish(const dpc_log_folder* folder, dpc_error* error);

/// Remove the unfinished log. Anything in it that is not an episode stays, and so does the folder.
/// Allocates: no. Blocks: disk. Thread: any.
void dpc_log_folder_abort(const dpc_log_folder* folder);
