#include "proto/episode_log.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct dpc_episode_log {
  int count, part_count;
  char** paths;  // [count]
};

static bool ends_with(const char* text, const char* end) {
  const size_t length = strlen(text), tail = strlen(end);
  return length > tail && strcmp(text + length - tail, end) == 0;
}

static int is_episode_or_part(const struct dirent* entry) {
  const char* name = entry->d_name;
  return name[0] != '.' && (ends_with(name, ".mcap") || ends_with(name, ".part"));
}

/// By bytes, not by the user's language: the order of episodes is part of a data set.
static int by_name(const struct dirent** a, const struct dirent** b) {
  return strcmp((*a)->d_name, (*b)->d_name);
}

static dpc_status list(dpc_episode_log* log, const char* dir, struct dirent** entries, int count,
                       dpc_error* error) {
  log->paths = calloc((size_t)count + 1, sizeof(*log->paths));
  if (log->paths == NULL) return dpc_fail(error, DPC_ERR_NO_MEMORY, "%s: out of memory", dir);
  for (int i = 0; i < count; i++) {
    if (ends_with(entries[i]->d_name, ".part")) {
      log->part_count++;
    } else if (asprintf(&log->paths[log->count], "%s/%s", dir, entries[i]->d_name) < 0) {
      return dpc_fail(error, DPC_ERR_NO_MEMORY, "%s: out of memory", dir);
    } else {
      log->count++;
    }
  }
  if (log->count > 0) return DPC_OK;
  if (log->part_count == 0) return dpc_fail(error, DPC_ERR_NOT_FOUND, "%s: no episodes", dir);
  return dpc_fail(error, DPC_ERR_NOT_FOUND, "%s: no episodes, only %d unfinished", dir,
                  log->part_count);
}

dpc_status dpc_episode_log_open(const char* dir, dpc_episode_log** out, dpc_error* error) {
  struct dirent** entries = NULL;
  const int count = scandir(dir, &entries, is_episode_or_part, by_name);
  if (count < 0) {
    const dpc_status status = errno == ENOENT ? DPC_ERR_NOT_FOUND : DPC_ERR_IO;
    return dpc_fail(error, status, "%s: %s", dir, strerror(errno));
  }
  dpc_episode_log* log = calloc(1, sizeof(*log));
  const dpc_status status = log != NULL
                                ? list(log, dir, entries, count, error)
                                : dpc_fail(error, DPC_ERR_NO_MEMORY, "%s: out of memory", dir);
  for (int i = 0; i < count; i++) free(entries[i]);
  free(entries);
  if (status == DPC_OK) {
    *out = log;
  } else {
    dpc_episode_log_close(log);
  }
  return status;
}

void dpc_episode_log_close(dpc_episode_log* log) {
  if (log == NULL) return;
  for (int i = 0; log->paths != NULL && i < log->count; i++) free(log->paths[i]);
  free(log->paths);
  free(log);
}

int dpc_episode_log_count(const dpc_episode_log* log) {
  return log->count;
}

const char* dpc_episode_log_path(const dpc_episode_log* log, int index) {
  DPC_ASSERT(index >= 0 && index < log->count);
  return log->paths[index];
}

int dpc_episode_log_part_count(const dpc_episode_log* log) {
  return log->part_count;
}
