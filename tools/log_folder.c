#include "tools/log_folder.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

bool dpc_log_folder_set_name(dpc_log_folder* folder, const char* name) {
  size_t length = strlen(name);
  while (length > 1 && name[length - 1] == '/') length--;
  if (length == 0 || length + sizeof(".part") > sizeof(folder->part)) return false;
  (void)snprintf(folder->dir, sizeof(folder->dir), "%.*s", (int)length, name);
  (void)snprintf(folder->part, sizeof(folder->part), "%.*s.part", (int)length, name);
  return true;
}

/// Remove an unfinished log: its episodes and the folder. Anything else in it stays, and so does it.
static dpc_status remove_part(const dpc_log_folder* folder, dpc_error* error) {
  char path[PATH_MAX + 64];
  bool more = true;
  for (int i = 0; more; i++) {
    static const char* const endings[] = {"", ".part"};
    more = false;
    for (int e = 0; e < DPC_COUNT(endings); e++) {
      (void)snprintf(path, sizeof(path), "%s/episode_%06d.mcap%s", folder->part, i, endings[e]);
      more |= unlink(path) == 0;
    }
  }
  if (rmdir(folder->part) == 0 || errno == ENOENT) return DPC_OK;
  return dpc_fail(error, DPC_ERR_IO, "%s: in the way: %s", folder->part, strerror(errno));
}

dpc_status dpc_log_folder_begin(const dpc_log_folder* folder, dpc_error* error) {
  struct stat info;
  if (lstat(folder->dir, &info) == 0) {
    return dpc_fail(error, DPC_ERR_CONFIG, "%s: already there; remove it or choose another name",
                    folder->dir);
  }
  DPC_TRY(remove_part(folder, error));  // what a killed program may have left
  if (mkdir(folder->part, 0777) == 0) return DPC_OK;
  return dpc_fail(error, DPC_ERR_IO, "%s: %s", folder->part, strerror(errno));
}

dpc_status dpc_log_folder_finish(const dpc_log_folder* folder, dpc_error* error) {
  if (rename(folder->part, folder->dir) == 0) return DPC_OK;
  return dpc_fail(error, DPC_ERR_IO, "%s: %s", folder->dir, strerror(errno));
}

void dpc_log_folder_abort(const dpc_log_folder* folder) {
  (void)remove_part(folder, NULL);
}
