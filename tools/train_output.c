#include "tools/train_output.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/train_best.h"

dpc_train_path dpc_train_file(const char* folder, const char* name) {
  dpc_train_path path;
  (void)snprintf(path.text, sizeof path.text, "%s/%s", folder, name);
  return path;
}

static dpc_status make_folders(const char* path, dpc_error* error) {
  char part[256];
  (void)snprintf(part, sizeof part, "%s", path);
  for (char* at = part + 1;; ++at) {
    if (*at != '/' && *at != '\0') continue;
    const char end = *at;
    *at = '\0';
    if (mkdir(part, 0777) != 0 && errno != EEXIST) {
      return dpc_fail(error, DPC_ERR_IO, "%s: %s", part, strerror(errno));
    }
    if (end == '\0') return DPC_OK;
    *at = end;
  }
}

// The process in the name of a temporary file: "policy.safetensors.tmp.123" of the weights,
// "config.yaml.123.tmp" of the rest. 0 for other names.
static long process_of(const char* name) {
  long process = 0;
  const char* tmp = strstr(name, ".tmp");
  if (tmp == NULL) return 0;
  if (tmp[4] == '.') return sscanf(tmp, ".tmp.%ld", &process) == 1 ? process : 0;  // NOLINT
  const char* dot = memrchr(name, '.', (size_t)(tmp - name));
  return dot != NULL && sscanf(dot, ".%ld.tmp", &process) == 1 ? process : 0;  // NOLINT
}

// True for a file that a process which is no more did not finish.
static bool is_left_over(const char* name) {
  static const char* const begins[] = {"state.safetensors.", "policy.safetensors.", "best_step_",
                                       "config.yaml.", "metrics.jsonl."};
  for (int i = 0; i < DPC_COUNT(begins); ++i) {
    if (strncmp(name, begins[i], strlen(begins[i])) != 0) continue;
    const long process = process_of(name);
    return process > 0 && kill((pid_t)process, 0) != 0 && errno == ESRCH;
  }
  return false;
}

static dpc_status remove_left_over(const char* folder, dpc_error* error) {
  DIR* dir = opendir(folder);
  if (dir == NULL) return dpc_fail(error, DPC_ERR_IO, "%s: %s", folder, strerror(errno));
  for (const struct dirent* entry; (entry = readdir(dir)) != NULL;) {
    if (is_left_over(entry->d_name)) (void)unlinkat(dirfd(dir), entry->d_name, 0);
  }
  (void)closedir(dir);
  return DPC_OK;
}

// A run that took hours is not replaced by a typing slip.
dpc_status dpc_train_output_prepare(const char* folder, dpc_train_there there, dpc_error* error) {
  if (folder[0] == '\0') {
    return dpc_fail(error, DPC_ERR_CONFIG, "train.output is missing: the folder to write to");
  }
  DPC_TRY(make_folders(folder, error));
  const dpc_train_path state = dpc_train_file(folder, "state.safetensors");
  const dpc_train_path policy = dpc_train_file(folder, "policy.safetensors");
  dpc_train_best_list best = {.count = 0};
  DPC_TRY(dpc_train_best_read(folder, &best, error));
  const bool exists =
      access(state.text, F_OK) == 0 || access(policy.text, F_OK) == 0 || best.count > 0;
  if (exists && there == DPC_TRAIN_REFUSE) {
    return dpc_fail(error, DPC_ERR_CONFIG,
                    "%s holds a run; go on with it (--resume %s), begin anew there (--overwrite), "
                    "or choose another train.output",
                    folder, folder);
  }
  DPC_TRY(remove_left_over(folder, error));
  if (there == DPC_TRAIN_RESUME) return DPC_OK;
  (void)unlink(state.text);
  (void)unlink(policy.text);
  return dpc_train_best_drop_later(folder, -1, error);
}
