#include "proto/publish.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static dpc_status sync_folder_of(const char* path, dpc_error* error) {
  char parent[PATH_MAX];
  const char* slash = strrchr(path, '/');
  const int length = slash == NULL ? 0 : (int)(slash - path);
  (void)snprintf(parent, sizeof parent, "%.*s", length, path);
  const char* dir = slash == NULL ? "." : length == 0 ? "/" : parent;
  const int folder = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const bool synced = folder >= 0 && fsync(folder) == 0;
  const int reason = errno;
  if (folder >= 0) (void)close(folder);
  return synced ? DPC_OK : dpc_fail(error, DPC_ERR_IO, "%s: %s", dir, strerror(reason));
}

dpc_status dpc_publish(const char* part, const char* path, dpc_error* error) {
  if (rename(part, path) != 0) {
    return dpc_fail(error, DPC_ERR_IO, "%s: %s", path, strerror(errno));
  }
  return sync_folder_of(path, error);
}
